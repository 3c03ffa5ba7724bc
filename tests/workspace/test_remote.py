"""Work goes to a real server of git, onto muster's own branches only, and leaves no credential."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge.hub_git import Bare
from forge.loopback_github import TOKEN, Hub, running_hub
from muster.domain.errors import Conflict, GitFailed, Invalid, MusterError, NotAllowed, NotFound
from muster.workspace.git import Git, Place
from muster.workspace.mirror import Mirror
from muster.workspace.remote import Server, fetch, push
from muster.workspace.remotes import add_remote, remotes

BRANCH = "muster/mu-1"
WORD = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
HEADERS = {"Authorization": f"Basic {WORD}"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(tmp_path / "hub") as made:
        made.create("team/app", {"a.txt": "a\n"})
        yield made


@pytest.fixture
def bare(hub: Hub) -> Bare:
    return hub.rest.repos["team/app"].bare


@pytest.fixture
def own(tmp_path: Path, bare: Bare) -> Bare:
    """The user's repository: a copy of the one there."""
    made = Bare(tmp_path / "own.git")
    made.git("clone", "-q", "--bare", str(bare.path), str(made.path), at=None)
    return made


@pytest.fixture
def mirror(tmp_path: Path, own: Bare) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "home" / "mirror.git", Git())
    made.fetch(own.path, "main")
    yield made
    made.rest()


@pytest.fixture
def server(hub: Hub) -> Server:
    return Server(f"{hub.site}/team/app.git", HEADERS, {"http_proxy": "", "no_proxy": "*"})


def worked(own: Bare, mirror: Mirror, text: str, branch: str = "work") -> str:
    commit = own.commit(branch, {"a.txt": text}, f"say {text}")
    mirror.fetch(own.path, branch)
    return commit


def test_work_arrives_on_its_branch_and_may_be_sent_again_and_replaced(own, mirror, server, bare):
    first = worked(own, mirror, "one\n")
    for _ in range(2):
        push(mirror, server, first, BRANCH)
    assert bare.tip(BRANCH) == first
    other = worked(own, mirror, "two\n", "rebased")
    push(mirror, server, other, BRANCH)
    assert bare.tip(BRANCH) == other
    assert bare.ahead("main", BRANCH) == bare.ahead("main", other)


@pytest.mark.parametrize("branch", ["main", "muster", "feature/x", "refs/tags/x", "muster/../main"])
def test_no_branch_of_anybody_else_is_written(own, mirror, server, bare, branch):
    before = bare.git("for-each-ref")
    with pytest.raises(Invalid):
        push(mirror, server, worked(own, mirror, "one\n"), branch)
    assert bare.git("for-each-ref") == before


def test_what_another_put_there_is_not_overwritten_but_can_be_built_on(own, mirror, server, bare):
    first = worked(own, mirror, "one\n")
    push(mirror, server, first, BRANCH)
    theirs = bare.commit(BRANCH, {"b.txt": "theirs\n"})
    mine = worked(own, mirror, "two\n")
    for _ in range(2):
        with pytest.raises(Conflict) as told:
            push(mirror, server, mine, BRANCH)
        assert BRANCH in told.value.detail
    assert fetch(mirror, server, BRANCH) == theirs
    with pytest.raises(Conflict):  # to know of it is not to stand on it
        push(mirror, server, mine, BRANCH)
    assert bare.tip(BRANCH) == theirs
    own.git("fetch", "-q", str(bare.path), f"{BRANCH}:theirs")
    joined = worked(own, mirror, "three\n", "theirs")
    push(mirror, server, joined, BRANCH)
    assert bare.tip(BRANCH) == joined


def test_a_push_that_was_heard_and_not_known_of_goes_on_from_there(own, mirror, server, hub, bare):
    for text in ("one\n", "two\n"):
        work = worked(own, mirror, text, f"try-{text[0]}")
        hub.order("POST /team/app.git/git-receive-pack", cut=0, heard=True)
        with pytest.raises(GitFailed):
            push(mirror, server, work, BRANCH)
        assert bare.tip(BRANCH) == work
    other = worked(own, mirror, "three\n", "rebased")
    push(mirror, server, other, BRANCH)
    assert bare.tip(BRANCH) == other


def test_a_branch_there_comes_into_the_mirror_and_nowhere_else(own, mirror, server, bare):
    tip = bare.commit("main", {"a.txt": "new\n"})
    assert fetch(mirror, server, "main") == tip
    assert mirror.tree_of(tip) == bare.git("rev-parse", f"{tip}^{{tree}}")
    bare.git("update-ref", "refs/heads/main", bare.git("rev-parse", "main~1"))
    assert fetch(mirror, server, "main") == bare.tip("main")
    refs = mirror.git.run(mirror.place, "for-each-ref", "--format=%(refname)").decode().split()
    assert all(name.startswith("refs/muster/") for name in refs)
    with pytest.raises(NotFound, match="no branch 'gone'"):
        fetch(mirror, server, "gone")


def test_who_has_no_token_or_may_not_write_is_told_so(own, mirror, server, hub, bare):
    work = worked(own, mirror, "one\n")
    reads = hub.person("reader", "team/app", writes=False)
    word = base64.b64encode(f"x-access-token:{reads}".encode()).decode()
    for headers, kind in (
        ({}, NotAllowed), ({"Authorization": f"Basic {word}"}, NotAllowed),
    ):  # fmt: skip
        with pytest.raises(kind) as told:
            push(mirror, Server(server.url, headers), work, BRANCH)
        assert told.value.hint
        assert word not in str(told.value.problem())
    with pytest.raises(NotFound):
        fetch(mirror, Server(f"{hub.site}/team/other.git", HEADERS), "main")
    assert bare.tip(BRANCH) is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/a.git", "https://me:pw@example.org/a.git", "file:///tmp/a.git"),
        *(
            "ssh://git@example.org/a.git",
            "ext::sh -c id",
            "/tmp/a.git",
            "https://",
            "--upload-pack",
        ),
        "https://[::1",
    ],
)
def test_nothing_but_https_without_a_name_in_it_is_spoken(own, mirror, url):
    work = worked(own, mirror, "one\n")
    for act in (lambda s: push(mirror, s, work, BRANCH), lambda s: fetch(mirror, s, "main")):
        with pytest.raises(Invalid):
            act(Server(url, HEADERS))


def test_a_header_that_would_be_two_is_refused(mirror, server):
    with pytest.raises(Invalid, match="header"):
        fetch(mirror, Server(server.url, {"X": "a\nAuthorization: b"}), "main")


def test_the_credential_is_in_no_argument_and_no_file(own, mirror, server, hub, tmp_path):
    """It is looked for while git waits for an answer."""
    work = worked(own, mirror, "one\n")
    hub.order("GET /team/app.git/info/refs", hold=True, times=1)
    sending = threading.Thread(target=push, args=(mirror, server, work, BRANCH))
    sending.start()
    while not hub.requests:
        hub.let_go.wait(0.01)
    lines = b"".join(_command_lines())
    hub.let_go.set()
    sending.join()
    assert b"git-remote-http" in lines or b"remote-http" in lines
    for word in (WORD.encode(), TOKEN.encode()):
        assert word not in lines
        kept = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
        assert not any(word in path.read_bytes() for path in kept)


def _command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue


def test_a_server_that_sends_us_on_is_not_followed(mirror, server, hub):
    elsewhere = f"{hub.site}/team/app.git/info/refs?service=git-upload-pack"
    hub.order("GET /team/moved.git/info/refs", status=302, headers={"Location": elsewhere}, body="")
    with pytest.raises(MusterError):
        fetch(mirror, Server(f"{hub.site}/team/moved.git", HEADERS), "main")
    assert [request.path for request in hub.requests] == ["/team/moved.git/info/refs"]


def test_a_server_that_talks_without_end_is_heard_to_a_bound(mirror, server, hub):
    said = b"".join(
        b"%04x\x02%s" % (len(words) + 5, words) for words in [b"blah\x1b[2J " * 90] * 300
    )
    head = b"001e# service=git-upload-pack\n0000000eversion 2\n0015ls-refs=unborn\n0000"
    hub.order("GET /team/app.git/info/refs", status=200, raw=head,
              headers={"Content-Type": "application/x-git-upload-pack-advertisement"})  # fmt: skip
    hub.order("POST /team/app.git/git-upload-pack", status=200, raw=said * 20, times=9,
              headers={"Content-Type": "application/x-git-upload-pack-result"})  # fmt: skip
    with pytest.raises(MusterError) as told:
        fetch(mirror, server, "main")
    assert len(told.value.detail) < 1000
    assert "\x1b" not in told.value.detail


def test_of_what_a_command_says_only_the_end_is_kept(tmp_path):
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\necho the end >&2\n")
    program.chmod(0o755)
    said = Git(str(program)).ask(Place(tmp_path), "status", limit=10).err
    assert said.endswith("the end\n")
    assert len(said) <= 64 * 1024


def test_one_that_never_answers_is_given_up(mirror, server, hub):
    hub.order("GET /team/app.git/info/refs", hold=True)
    hasty = Server(server.url, HEADERS, seconds=0.5)
    with pytest.raises(GitFailed, match="stopped after"):
        fetch(mirror, hasty, "main")


def test_a_remote_is_named_once_and_never_with_a_credential(own, tmp_path):
    git = Git()
    assert remotes(git, own.path).keys() == {"origin"}
    url = "https://github.com/team/app.git"
    for _ in range(2):
        add_remote(git, own.path, "github", url)
    assert remotes(git, own.path)["github"] == url
    with pytest.raises(Conflict):
        add_remote(git, own.path, "github", "https://github.com/team/other.git")
    for name, wrong in (("x", "https://me:pw@github.com/a/b"), ("-x", url), ("x", "-u\nid")):
        with pytest.raises(Invalid):
            add_remote(git, own.path, name, wrong)
    assert (own.path / "config").read_text().count("github.com") == 1
    assert os.fspath(own.path) in own.git("rev-parse", "--absolute-git-dir")
