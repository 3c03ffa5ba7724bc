"""What opens GitHub is read from where people keep it, shown by nothing, and given to no agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.houses import shell, town
from muster.domain.errors import Invalid
from muster.own_file import parse_own_file
from muster.settings import GITHUB, Settings, load, parse_project_settings, resolve

TOKEN = "ghp_of_the_settings_0123456789"


def read(tmp_path: Path, environ: dict[str, str], file: str = "") -> Settings:
    (tmp_path / "config.toml").write_text(file)
    return load(tmp_path, environ)


def test_the_variables_of_others_are_read_and_our_own_win(tmp_path):
    others = {
        "GITHUB_TOKEN": "ghp_others", "GITHUB_OWNER": "them",
        "GITHUB_API_URL": "https://ghe.example/api/v3",
    }  # fmt: skip
    file = 'github_token = "ghp_of_file"\ngithub_owner = "us"\n'
    assert read(tmp_path, {}).github_api_url == GITHUB
    found = read(tmp_path, {}, file)
    assert (found.github_token, found.github_owner) == ("ghp_of_file", "us")
    found = read(tmp_path, others, file)
    assert (found.github_token, found.github_owner) == ("ghp_others", "them")
    assert found.github_api_url == "https://ghe.example/api/v3"
    found = read(tmp_path, {**others, "MUSTER_GITHUB_TOKEN": TOKEN}, file)
    assert (found.github_token, found.github_owner) == (TOKEN, "them")


def test_a_secret_that_cannot_be_is_told_without_it(tmp_path):
    for name in ("github_token", "github_webhook_secret"):
        for wrong in ("two words", "short", "é" * 20, "x" * 2000):
            with pytest.raises(Invalid) as told:
                read(tmp_path, {}, f'{name} = "{wrong}"\n')
            assert name in told.value.detail
            assert wrong not in told.value.detail + told.value.hint


def test_secrets_are_in_nothing_that_is_shown_and_known_to_what_hides_them(tmp_path):
    file = f'github_token = "{TOKEN}"\ngithub_webhook_secret = "hook-secret-1"\n'
    found = read(tmp_path, {"GH_TOKEN": TOKEN, "PATH": "/bin", "EMPTY": ""}, file)
    for secret in (TOKEN, "hook-secret-1"):
        assert secret not in repr(found)
        assert secret in found.environ.values()
        assert secret not in found.lendable.values()
    assert found.lendable == {"PATH": "/bin", "EMPTY": ""}


def test_what_a_project_says_of_its_forge_is_checked_and_needs_trust(tmp_path):
    settings, _ = resolve(read(tmp_path, {}), {}, {})
    assert (settings.forge, settings.github_repo) == ("off", None)
    good = {"forge": "github", "github_repo": "my-team/app.js"}
    assert parse_project_settings(good) == good
    for name, wrong in (
        ("forge", "Git Hub"), ("forge", ""), ("github_repo", "app"), ("github_repo", "a/b/c"),
        ("github_repo", "team/.."), ("github_repo", "-x/app"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=name):
            parse_project_settings({name: wrong})
    own = parse_own_file(b'forge = "github"\ngithub_repo = "evil/copy"\n')
    assert (own.free, own.guarded) == ({}, {"forge": "github", "github_repo": "evil/copy"})


async def test_no_agent_is_given_the_token_by_any_name(tmp_path):
    given = {
        "GITHUB_TOKEN": "ghp_another",
        "MUSTER_GITHUB_TOKEN": TOKEN,
        "MINE": TOKEN,
        "ALSO": "x",
    }
    agents = {"asks": shell(f"env > '{tmp_path}/env'", pass_env=list(given))}
    server = {"github_token": TOKEN, "environ": {**os.environ, **given}}
    async with town(tmp_path, agents, server=server, autonomy="confirm") as place:
        await place.do("asks", type="chore")
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert env["ALSO"] == "x"
    assert not {"GITHUB_TOKEN", "MUSTER_GITHUB_TOKEN", "MINE"} & set(env)
