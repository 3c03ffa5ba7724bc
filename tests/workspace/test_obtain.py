"""A repository from elsewhere: got with credentials that are left nowhere."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.ssh_place import Sshd
from engine.houses import commit, git, make_repo
from muster.domain.errors import GitFailed, Invalid
from muster.workspace.obtain import Credentials, is_url, obtain

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
NONE = Credentials()


class Forge(http.server.ThreadingHTTPServer):
    """A host of repositories that lets in only who has the token."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.root = root
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Door(http.server.BaseHTTPRequestHandler):
    server: Forge

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.asked.append((self.path, given))
        wanted = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        file = self.server.root / self.path.split("?")[0].lstrip("/")
        if given != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.end_headers()
        elif file.is_file():
            self.send_response(200)
            self.end_headers()
            self.wfile.write(file.read_bytes())
        else:
            self.send_response(404)
            self.end_headers()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "origin", {"a.txt": "a\n"})


@pytest.fixture
def forge(origin: Path, tmp_path: Path) -> Iterator[Forge]:
    bare = tmp_path / "forge" / "team.git"
    git(origin, "clone", "-q", "--bare", str(origin), str(bare))
    git(bare, "update-server-info")
    server = Forge(tmp_path / "forge")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def kept(folder: Path) -> bytes:
    """All that lies in a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_token_opens_its_host_and_is_left_nowhere(forge: Forge, tmp_path: Path) -> None:
    file = tmp_path / "it's a token"
    file.write_text(f"{TOKEN}\n")
    folder, why_not = obtain(
        tmp_path / "projects", f"{forge.url}/team.git", "main", Credentials(file), os.environ
    )
    assert why_not == ""
    assert (folder / "a.txt").read_text() == "a\n"
    assert any(given for _, given in forge.asked)
    assert TOKEN.encode() not in kept(tmp_path / "projects")
    assert "credential" not in git(folder, "config", "--local", "--list")
    again, why_not = obtain(
        tmp_path / "projects", f"{forge.url}/team.git", None, Credentials(file), os.environ
    )
    assert (again, why_not) == (folder, "")


def test_another_token_or_none_gets_nothing_and_leaves_nothing(
    forge: Forge, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("another")
    for own in (Credentials(file), NONE):
        with pytest.raises(GitFailed) as no:
            obtain(tmp_path / "projects", f"{forge.url}/team.git", None, own, os.environ)
        assert "--token" in no.value.hint
        assert "another" not in no.value.detail
    assert list((tmp_path / "projects").iterdir()) == []


def test_a_key_is_named_to_ssh_alone_and_no_other_is_tried(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(
        subprocess.run(["which", "git"], capture_output=True, text=True).stdout.strip()
    )
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "$SSH_AUTH_SOCK" > {tmp_path}/said\n'
                   f'exec git-upload-pack "{origin}"\n')  # fmt: skip
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    key = tmp_path / "key"
    key.write_text("KEY")
    given = {**os.environ, "SSH_AUTH_SOCK": "/agent"}
    folder, _ = obtain(
        tmp_path / "projects", "ssh://git@host/team.git", "main", Credentials(key=key), given
    )
    said = (tmp_path / "said").read_text().splitlines()
    assert said[said.index("-i") + 1] == str(key)
    assert {"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes"} < set(said)
    assert "/agent" not in said
    assert (folder / "a.txt").exists()
    assert str(key) not in git(folder, "config", "--local", "--list")


@pytest.mark.needs_sshd
def test_a_key_opens_a_real_server_and_another_key_does_not(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Sshd(Path(tempfile.mkdtemp(prefix="mu-")))
    box.start()
    try:
        known, ssh = tmp_path / "known_hosts", tmp_path / "bin" / "ssh"
        known.write_text(f"[127.0.0.1]:{box.port} {box.host_key}\n")
        ssh.parent.mkdir()
        (ssh.parent / "git").symlink_to(str(shutil.which("git")))
        # The person's own file of known hosts is found by the user, not by HOME.
        real = f"{shutil.which('ssh')} -F none -o UserKnownHostsFile={known}"
        ssh.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
        url = f"ssh://{box.host.user}@127.0.0.1:{box.port}{origin}"
        no_key = box.folder / "host"
        with pytest.raises(GitFailed) as no:
            obtain(tmp_path / "projects", url, "main", Credentials(key=no_key), os.environ)
        assert "--ssh-key" in no.value.hint
        key = box.folder / "own"
        folder, _ = obtain(tmp_path / "projects", url, "main", Credentials(key=key), os.environ)
        assert (folder / "a.txt").read_text() == "a\n"
        new = commit(origin, {"b.txt": "b\n"})
        obtain(tmp_path / "projects", url, "main", Credentials(key=key), os.environ)
        assert git(folder, "rev-parse", "main") == new
    finally:
        box.stop()
        shutil.rmtree(box.folder)


def test_naming_it_again_brings_what_is_new_and_leaves_what_is_ones_own(
    origin: Path, tmp_path: Path
) -> None:
    url = f"file://{origin}"
    folder, _ = obtain(tmp_path / "projects", url, None, NONE, os.environ)
    new = commit(origin, {"b.txt": "b\n"})
    assert obtain(tmp_path / "projects", url, None, NONE, os.environ) == (folder, "")
    assert git(folder, "rev-parse", "main") == new
    own = commit(folder, {"c.txt": "c\n"})
    commit(origin, {"d.txt": "d\n"})
    _, why_not = obtain(tmp_path / "projects", url, None, NONE, os.environ)
    assert why_not
    assert git(folder, "rev-parse", "main") == own


def test_hooks_and_submodules_of_a_stranger_are_not_run(origin: Path, tmp_path: Path) -> None:
    other = make_repo(tmp_path / "other", {"x": "x"})
    git(origin, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    git(origin, "commit", "-qm", "a submodule")
    folder, _ = obtain(tmp_path / "projects", f"file://{origin}", None, NONE, os.environ)
    assert list((folder / "sub").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c date", "ftp://host/x", "https://u:p@host/x", "https://tok@host/x", "-x", "a\nb:c"],
)
def test_what_is_no_address_of_a_repository_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises((Invalid, GitFailed)):
        obtain(tmp_path / "projects", url, None, NONE, os.environ)
    assert not list(tmp_path.glob("projects/*"))


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 5000])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(Invalid, match="holds no token"):
        obtain(tmp_path / "projects", "https://host/x", None, Credentials(tmp_path / "token"), {})


def test_a_path_is_no_url_though_it_has_a_colon(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert is_url("git@host:team/repo.git")
    assert is_url("https://host/repo")
    assert not is_url(str(tmp_path / "a:b"))
    assert not is_url(".")
