"""The debug bundle: all that is known of a task, no secret in any spelling, never too large."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tarfile
from dataclasses import replace

import httpx
import pytest

from engine.houses import shell, town
from house.patience import PATIENCE
from muster.agents.acp_presets import ACP_PRESETS
from muster.api.app import make_app
from muster.domain.redact import Redactor, needles
from muster.domain.secret_shapes import without_shapes
from muster.service import tarball
from muster.service.tarball import Tarball
from muster.vault import login_files

SECRETS = {
    "environment": "env-7Hq2wZ9xLm-value",
    "url in the environment": "pgpass-8Kd3vT1y",
    "own agent": "own-5Rf8nB2q-agent",
    "git url": "gitpass-4Ws6mC7z",
    "login": "login-9Xp1cV5k-of-the-person",
    "header": "Zm9vYmFyLWhlYWRlci0x",
    "assignment": "assigned-3Gt7jN4h",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
    "provider": "gh" + "p_16C7e42F292c6912E7710c838347Ae178B4a",
    "key": "MIIEpAIBAAKCAQEA7f3q",
    "address of a notifier": "T024Vq/B9Wd3kRzx/p7LmNc5TyHs",
}
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRETS['key']}\n-----END RSA PRIVATE KEY-----"
SAID = [
    f"remote: https://me:{SECRETS['git url']}@git.example/x.git",
    f"Authorization: Bearer {SECRETS['header']}",
    f'{{"api_key": "{SECRETS["assignment"]}"}} PASSWORD={SECRETS["assignment"]}',
    f"a {SECRETS['jwt']} b {SECRETS['provider']} {SECRETS['login']} {SECRETS['environment']}",
    f"{SECRETS['url in the environment']} {SECRETS['own agent']}",
    f"POST https://hooks.example/services/{SECRETS['address of a notifier']}",
    PEM,
]


async def unpacked(place, ref: str) -> tuple[bytes, dict[str, bytes]]:
    """A bundle as one run of bytes, and its parts by name."""
    _, file = await place.service.debug_bundle(ref)
    with file:
        packed = file.read()
    whole = gzip.decompress(packed)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        parts = {
            m.name.partition("/")[2]: tar.extractfile(m).read()  # type: ignore[union-attr]
            for m in tar.getmembers()
        }
    return packed + whole, parts


@pytest.fixture
async def place(tmp_path, monkeypatch):
    person = tmp_path / "person"
    (person / ".claude").mkdir(parents=True)
    login = {"claudeAiOauth": {"accessToken": SECRETS["login"], "expiresAt": 1}}
    (person / ".claude" / ".credentials.json").write_text(json.dumps(login))
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.setenv("DEPLOY_KEY", SECRETS["environment"])
    monkeypatch.setenv("PGURL", f"postgresql://u:{SECRETS['url in the environment']}@db/x")
    # The program writes down what it was never told as a secret, in its output and in its result.
    words = "\n".join(SAID)
    script = (
        f"cat <<'END'\n{words}\nEND\necho $MUSTER_TOKEN; cat {tmp_path}/home/token;"
        f" base64 -w0 {tmp_path}/home/agents.key;"
        " touch new.txt; printf '%s' \"$RESULT\" > $MUSTER_RESULT"
    )
    result = json.dumps({"task_id": "MU-1", "status": "done", "output": words})
    env = {"OWN_TOKEN": SECRETS["own agent"], "RESULT": result}
    async with town(tmp_path, {"leaky": shell(script, env=env)}, test_command="true") as made:
        (made.home / "token").write_text("t0ken-of-the-home-" + "x" * 30)
        (made.home / "agents.key").write_text("the-key-of-all-agents-" + "y" * 30)
        url = f"https://hooks.example/services/{SECRETS['address of a notifier']}"
        own = replace(made.settings, notify={"team": {"driver": "webhook", "url": url}})
        made.service._own = replace(made.service._own, settings=own)
        (made.home / "server.log").write_text("\n".join(SAID))
        yield made


async def test_no_secret_is_in_a_bundle_wherever_it_was_planted(place):
    task = await place.do("leaky", f"do it\n{' '.join(SAID)}", type="chore", autonomy="confirm")
    await place.service.emit_event(
        {"type": "ci.done", "task_id": task["id"], "payload": {"said": SAID}}
    )
    agent = task["agents"][0]["id"]
    with (place.home / "server.log").open("a") as log:
        log.write(place.service._own.agent_token(agent))
    data, parts = await unpacked(place, task["label"])
    hidden = {
        **SECRETS,
        "home's token": (place.home / "token").read_text(),
        "agents' key": (place.home / "agents.key").read_text(),
        "agent's token": place.service._own.agent_token(agent),
    }
    for where, secret in hidden.items():
        for spelled in needles([secret]):
            assert spelled not in data, (where, spelled)
    assert b"***" in parts[f"runs/{agent}/out"]
    assert b"***" in parts["server.log"]


async def test_a_bundle_has_what_is_known_of_the_task(place):
    task = await place.do("leaky", type="chore", autonomy="confirm")
    _, parts = await unpacked(place, task["id"])
    shown = json.loads(parts["task.json"])
    agent = shown["agents"][0]["id"]
    assert shown["verdicts"]
    assert json.loads(parts["decisions.json"])[0]["step"] == shown["decisions"][0]["step"]
    assert json.loads(parts["breakpoints.json"])[0]["kind"] == "merge"
    kinds = [json.loads(line)["type"] for line in parts["events.jsonl"].splitlines()]
    assert kinds[0] == "task.created"
    assert {"agent.ended", "verdict.reached", "breakpoint.raised"} <= set(kinds)
    assert json.loads(parts[f"runs/{agent}/spec.json"])["run_id"] == agent
    assert json.loads(parts[f"runs/{agent}/exit.json"])["why"]
    assert b"remote: https" in parts[f"runs/{agent}/out"]
    assert any(re.fullmatch(rf"runs/{agent}/checks/[^/]+/spec.json", name) for name in parts)
    assert json.loads(parts["settings.json"])["environment"]["DEPLOY_KEY"] == "***"
    notify = {"team": {"driver": "webhook", "url": "***"}}
    assert json.loads(parts["settings.json"])["notify"] == notify
    assert json.loads(parts["versions.json"])["python"] == sys.version
    assert {"git", "home"} <= {check["name"] for check in json.loads(parts["doctor.json"])}
    manifest = json.loads(parts["manifest.json"])
    assert {p["name"] for p in manifest["parts"]} == set(parts) - {"manifest.json"}
    assert manifest["left_out"] == []
    assert list((place.home / "cache").glob("tmp*")) == []


def test_a_bundle_is_never_larger_than_it_may_be_and_says_what_is_missing():
    assert tarball.MOST_BYTES < 50_000_000 - 2000 * 1024
    file = io.BytesIO()
    bundle = Tarball(file, "x", Redactor(), 0, most=1_500_000)
    for n in range(5):
        bundle.text(f"part-{n}", os.urandom(400_000))
    bundle.close({})
    assert file.tell() < 1_500_000
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        assert tar.getnames() == ["x/part-0", "x/part-1", "x/manifest.json"]
        manifest = json.load(tar.extractfile("x/manifest.json"))  # type: ignore[arg-type]
    assert [part["name"] for part in manifest["left_out"]] == ["part-2", "part-3", "part-4"]


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_cut_does_not_show_the_rest_of_a_secret(at: int):
    secret = "a-long-secret-with-many-characters-in-it"
    text = (b"x" * 200_000) + secret.encode() + b"y" * (1000 - len(secret) + at)
    file = io.BytesIO()
    bundle = Tarball(file, "x", Redactor([secret]), 0)
    bundle.end_of("log", len(text), lambda a, n: text[a : a + n], 1000)
    bundle.close({})
    shown = gzip.decompress(file.getvalue())
    assert b"-in-it" not in shown
    assert b"y" * 900 in shown


def test_words_that_are_no_secrets_stay():
    cut = b'{"a": "-----BEGIN PRIVATE KEY-----\\nMIIE", "b": 1}'
    assert without_shapes(cut) == b'{"a": "***", "b": 1}'
    text = b'{"input_tokens": 1234567, "url": "https://git.example/x.git", "text": "a key fact"}'
    assert without_shapes(text) == text


def test_the_logins_of_all_agents_are_known():
    known = {str(path) for path in login_files({"HOME": "/p"})}
    named = {
        own.replace("{person}", "/p")
        for preset in ACP_PRESETS.values()
        for own in preset.logins.values()
    }
    assert named <= known
    assert {"/p/.claude/.credentials.json", "/p/.codex/auth.json"} <= known
    moved = login_files({"HOME": "/p", "CODEX_HOME": "/q"})
    assert "/q/auth.json" in map(str, moved)


async def test_the_door_hands_out_a_bundle_whole(place):
    task = await place.submit("leaky", type="chore")
    app = make_app(place.service, "0")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://x", timeout=PATIENCE
    ) as client:
        answer = await client.get(f"/api/tasks/{task['label']}/debug-bundle")
        missing = await client.get("/api/tasks/MU-99/debug-bundle")
    assert answer.headers["content-type"] == "application/gzip"
    assert (
        f'filename="muster-debug-{task["label"]}.tar.gz"' in answer.headers["content-disposition"]
    )
    assert gzip.decompress(answer.content)
    assert missing.status_code == 404
