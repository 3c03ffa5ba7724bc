"""The facade: opening, finding again, closing, ports, and what a repository tells of itself."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from muster.domain.errors import (
    Conflict,
    GitFailed,
    Invalid,
    NoRoom,
    NotFound,
    Refused,
    Unavailable,
)
from muster.workspace.choice import Choice
from muster.workspace.git import Git
from muster.workspace.kept import Kept
from muster.workspace.ports import FIRST, LAST, Ports
from muster.workspace.remove import Identity, remove_folder
from muster.workspace.survey import config_digest, inspect
from muster.workspace.workspaces import Workspaces
from workspace.project import REPO


def test_the_same_id_is_the_same_workspace(project, make_workspaces, backend):
    ws = project.open("coding-1", ports=3)
    (ws.tree / "work").write_text("w\n")
    assert project.open("coding-1", ports=3) == ws
    restarted = make_workspaces(backend)
    assert restarted.open("coding-1", REPO, project.commit, ports=3) == ws
    assert restarted.get("coding-1") == ws
    assert restarted.reopen("coding-1") == ws
    assert restarted.list() == [ws]
    assert (ws.tree / "work").read_text() == "w\n"


def test_the_same_id_at_another_commit_is_a_conflict(project):
    project.open("coding-1")
    other = project.user_commits({"x": "x\n"})
    with pytest.raises(Conflict, match="stands at"):
        project.open("coding-1", other)


def test_one_may_take_the_folder_of_another_that_is_closed(project, make_workspaces, backend, home):
    old = project.open("coding-1", ports=3)
    with pytest.raises(Conflict, match="holds workspace coding-1"):
        project.open("coding-2", at="coding-1")
    project.workspaces.close(old)
    new = project.open("coding-2", ports=3, at="coding-1")
    (new.tree / "work").write_text("w\n")
    assert new.tree == old.tree
    assert not project.workspaces.exists("coding-1")
    restarted = make_workspaces(backend)
    assert restarted.open("coding-2", REPO, project.commit, ports=3, at="coding-1") == new
    assert restarted.reopen("coding-2") == new
    assert restarted.list() == [new]
    # A late word to close the old one does not reach who is there now.
    restarted.close(old)
    assert (new.tree / "work").read_text() == "w\n"
    assert restarted.close(new) is not None
    assert not new.root.exists()
    assert project.open("coding-2").root == home / "spaces" / "coding-2"


def test_an_id_that_is_not_open_is_not_found(sample):
    for call in (sample.workspaces.get, sample.workspaces.reopen):
        with pytest.raises(NotFound, match="'nobody'"):
            call("nobody")
    assert not sample.workspaces.exists("nobody")
    assert sample.workspaces.list() == []


def test_closing_without_work_keeps_nothing_and_leaves_nothing(project):
    ws = project.open(ports=2)
    assert project.workspaces.close(ws) is None
    assert not ws.root.exists()
    assert project.workspaces.close(ws) is None
    assert project.workspaces.mirror(REPO).ref(f"refs/muster/rescue/{ws.id}") is None


def test_closing_keeps_what_no_snapshot_has(project):
    ws = project.open()
    (ws.tree / "done").write_text("1\n")
    taken = project.snapshot(ws)
    (ws.tree / "unsaved").write_text("2\n")
    rescued = project.workspaces.close(ws)
    assert project.git_in_mirror("rev-parse", f"refs/muster/rescue/{ws.id}") == rescued
    assert project.git_in_mirror("rev-parse", f"{rescued}^") == taken
    assert project.files(rescued)["unsaved"] == "100644 2\n"


def test_closing_after_a_snapshot_keeps_no_second_copy(project):
    ws = project.open()
    (ws.tree / "done").write_text("1\n")
    project.snapshot(ws)
    assert project.workspaces.close(ws) is None


def test_commits_of_the_agents_own_are_kept_when_its_workspace_goes(project, git):
    ws = project.open(branch="muster/mu-1")
    git(ws.tree, "checkout", "--quiet", "-b", "idea")
    (ws.tree / "idea").write_text("i\n")
    git(ws.tree, "add", "idea")
    git(ws.tree, "commit", "--quiet", "--message", "An idea")
    idea = git(ws.tree, "rev-parse", "HEAD")
    git(ws.tree, "checkout", "--quiet", "muster/mu-1")
    (ws.tree / "stashed").write_text("s\n")
    git(ws.tree, "stash", "--quiet", "--include-untracked")
    stash = git(ws.tree, "rev-parse", "refs/stash")
    assert project.workspaces.close(ws) is None
    mirror = project.workspaces.mirror(REPO)
    assert mirror.has(idea)
    assert mirror.has(stash)
    kept = project.git_in_mirror("for-each-ref", "--format=%(objectname)", "refs/muster/commits")
    assert set(kept.split()) == {idea, stash}


def test_an_agents_broken_git_folder_does_not_hold_its_workspace(project, git):
    ws = project.open()
    agent_git = project.workspaces.agent_git(ws)
    (agent_git / "refs/heads").mkdir()
    (agent_git / "refs/heads/broken").write_text("1" * 40 + "\n")
    (agent_git / "refs/heads/text").write_text("not an id\n")
    (agent_git / "refs/heads/loop").symlink_to("loop")
    os.mkfifo(agent_git / "refs/heads/pipe")
    (ws.tree / "x").write_text("x\n")
    git(ws.tree, "add", "x")
    git(ws.tree, "commit", "--quiet", "--message", "Whose blob will be gone")
    for loose in (agent_git / "objects").glob("??/*"):
        if b"blob" in _inflated(loose):
            loose.unlink()
    assert project.workspaces.close(ws) is not None


def _inflated(path):
    return zlib.decompress(path.read_bytes())[:8]


def test_the_agent_works_with_git_as_it_is_used_to(project, git):
    ws = project.open(branch="muster/mu-1")
    assert git(ws.tree, "branch", "--show-current") == "muster/mu-1"
    assert git(ws.tree, "status", "--porcelain") == ""
    assert git(ws.tree, "log", "--format=%H") == project.commit
    (ws.tree / "sums.py").write_text("changed\n")
    assert "changed" in git(ws.tree, "diff")
    git(ws.tree, "commit", "--quiet", "--all", "--message", "Mine")
    git(ws.tree, "checkout", "--quiet", "-b", "other", project.commit)
    assert "changed" not in (ws.tree / "sums.py").read_text()
    assert project.snapshot(ws) is None


def test_discarding_keeps_nothing(project):
    ws = project.open()
    (ws.tree / "x").write_text("x\n")
    project.workspaces.discard(ws)
    assert not ws.root.exists()
    assert project.workspaces.mirror(REPO).ref(f"refs/muster/rescue/{ws.id}") is None


def test_a_commit_that_is_not_there_makes_no_workspace_and_no_obstacle(project):
    with pytest.raises(GitFailed):
        project.open("w", "1" * 40)
    assert not project.workspaces.exists("w")
    assert project.open("w").commit == project.commit


def test_many_threads_open_and_close_at_once(project):
    def cycle(number: int) -> str | None:
        ws = project.open(f"w{number}", ports=3)
        (ws.tree / "n").write_text(f"{number}\n")
        commit = project.snapshot(ws)
        project.workspaces.close(ws)
        return commit

    with ThreadPoolExecutor(8) as pool:
        commits = list(pool.map(cycle, range(16)))
    texts = [project.files(commit)["n"] for commit in commits]
    assert texts == [f"100644 {number}\n" for number in range(16)]
    assert project.workspaces.list() == []


def test_the_first_backend_that_can_is_taken_and_others_by_name(home, make_project):
    class Never:
        name = "overlay"

        def available(self, where):
            return "not here"

    class Good(Never):
        name = "clone"

        def available(self, where):
            return ""

    good = Good()
    workspaces = Workspaces(home, {"overlay": Never(), "clone": good})
    assert workspaces.choose() == "clone"
    with pytest.raises(Invalid, match="'other'") as caught:
        workspaces.open("x", REPO, "0" * 40, backend="other")
    assert "clone, overlay" in caught.value.hint
    with pytest.raises(Unavailable, match="overlay: not here"):
        Workspaces(home, {"overlay": Never()}).choose()

    class Private(Good):
        name = "userns-overlay"

    backends = {"userns-overlay": Private(), "clone": good}
    for wanted in (None, "userns-overlay"):
        choice = Choice(home, backends, wanted)
        assert choice.get(None).name == "userns-overlay"
        assert choice.get(None, for_all=True) is good
    with pytest.raises(Unavailable, match="overlay: not here"):
        Workspaces(home, {"overlay": Never(), "clone": good}, wanted="overlay").choose()
    with pytest.raises(Invalid, match="'other'"):
        Workspaces(home, {"clone": good}, wanted="other").choose()


def test_what_was_found_to_work_before_is_not_tried_again(home):
    class Counted:
        name = "overlay"
        tries = 0

        def available(self, where):
            self.tries += 1
            return ""

    counted = Counted()
    backends = {"overlay": counted}
    workspaces = Workspaces(home, backends, works="overlay")
    assert [workspaces.choose(), workspaces.choose()] == ["overlay"] * 2
    assert Choice(home, backends, None, "overlay").get(None, for_all=True) is counted
    assert counted.tries == 0
    assert Workspaces(home, backends).choose() == "overlay"
    assert counted.tries == 1


# --- ports ---


def test_ranges_never_overlap_and_come_back(home):
    ports = Ports(home / "ports")
    leases = [ports.lease(f"w{n}", 10) for n in range(40)]
    taken = [port for first, count in leases for port in range(first, first + count)]
    assert len(set(taken)) == 400
    assert min(taken) >= FIRST
    assert max(taken) <= LAST
    assert Ports(home / "ports").lease("w7", 10) == leases[7]
    ports.release("w7")
    assert ports.lease("new", 10) == leases[7]


def test_a_port_on_which_a_stranger_listens_is_not_given(home, tmp_path):
    ports = Ports(home / "ports")
    first, _ = ports.lease("probe", 5)
    ports.release("probe")
    with socket.create_server(("127.0.0.1", first + 2)):
        again, _ = ports.lease("w", 5)
    assert again >= first + 5 or again + 5 <= first


def test_no_ports_are_an_empty_range_and_too_many_an_error(home):
    ports = Ports(home / "ports")
    assert ports.lease("w", 0) == (0, 0)
    with pytest.raises(Invalid):
        ports.lease("w", 100_000)
    with pytest.raises(NoRoom, match="1000 ports"):  # noqa: PT012
        for number in range(100):
            ports.lease(f"big{number}", 1000)


def test_another_number_of_ports_is_another_lease(home):
    ports = Ports(home / "ports")
    ports.lease("w", 5)
    assert ports.lease("w", 8)[1] == 8


def test_closing_gives_the_ports_back(project):
    first = project.open("w", ports=4)
    project.workspaces.close(first)
    assert project.open("v", ports=4).ports == first.ports


# --- removing ---


def test_a_folder_is_removed_only_by_its_identity(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (folder / "x").write_text("x\n")
    with pytest.raises(Refused, match="not the folder that muster made"):
        remove_folder(folder, Identity.of(other))
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(Refused, match="no folder any more"):
        remove_folder(tmp_path / "link", Identity.of(folder))
    assert (folder / "x").exists()
    identity = Identity.of(folder)
    remove_folder(folder, identity)
    remove_folder(folder, identity)
    remove_folder(tmp_path / "gone" / "deeper", identity)
    assert not folder.exists()


def test_folders_deeper_than_descriptors_last_are_removed(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    remove_folder(top, Identity.of(top))
    assert not top.exists()


@pytest.mark.needs_root
def test_what_is_mounted_below_a_folder_is_never_entered(tmp_path):
    top, precious = tmp_path / "top", tmp_path / "precious"
    (top / "mnt").mkdir(parents=True)
    precious.mkdir()
    (precious / "file").write_text("keep\n")
    subprocess.run(["mount", "--bind", precious, top / "mnt"], check=True)
    try:
        with pytest.raises(Conflict, match="something is mounted"):
            remove_folder(top, Identity.of(top))
    finally:
        subprocess.run(["umount", top / "mnt"], check=True)
    assert (precious / "file").read_text() == "keep\n"
    remove_folder(top, Identity.of(top))


# --- a repository as found ---


def test_a_repository_is_found_from_any_folder_in_it(git_repo):
    repo = git_repo("my project", files={"deep/er/x": "x\n"})
    found = inspect(repo / "deep" / "er")
    assert (found.name, found.work_tree, found.git_dir) == ("my project", repo, repo / ".git")
    assert (found.branch, found.default_branch, found.has_commits) == ("main", "main", True)


def test_a_linked_work_tree_belongs_to_its_repository(git_repo, git, tmp_path):
    repo = git_repo()
    git(repo, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    found = inspect(tmp_path / "linked")
    assert (found.git_dir, found.work_tree) == (repo / ".git", tmp_path / "linked")
    assert found.branch == "side"


def test_the_default_branch_is_the_remotes_else_the_one_stood_on(git_repo, git, tmp_path):
    far = git_repo("far", branch="trunk")
    near = tmp_path / "near"
    git(tmp_path, "clone", "--quiet", str(far), str(near))
    git(near, "checkout", "--quiet", "-b", "feature")
    assert inspect(near).default_branch == "trunk"
    git(near, "remote", "remove", "origin")
    assert inspect(near).default_branch == "feature"
    git(near, "checkout", "--quiet", "--detach")
    git(near, "branch", "--quiet", "-D", "feature")
    found = inspect(near)
    assert (found.branch, found.default_branch) == ("", "trunk")


def test_a_repository_without_commits_is_told(tmp_path, git):
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    found = inspect(tmp_path)
    assert (found.has_commits, found.branch, found.default_branch) == (False, "main", "main")


def test_a_bare_repository_has_no_work_tree(git_repo, git, tmp_path):
    repo = git_repo()
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "shop.git")
    found = inspect(tmp_path / "shop.git")
    assert (found.name, found.work_tree, found.git_dir) == ("shop", None, tmp_path / "shop.git")


def test_what_is_no_repository_is_refused_with_a_hint(tmp_path):
    with pytest.raises(Invalid, match="not in a git repository") as caught:
        inspect(tmp_path)
    assert "git init" in caught.value.hint
    with pytest.raises(Invalid, match="there is no folder"):
        inspect(tmp_path / "nope")


def test_a_partial_clone_is_refused_with_a_hint(git_repo, git):
    repo = git_repo()
    git(repo, "config", "remote.origin.promisor", "true")
    with pytest.raises(Invalid, match="partial clone") as caught:
        inspect(repo)
    assert "--refetch" in caught.value.hint


@pytest.mark.parametrize(
    "key",
    [
        *("filter.x.clean", "filter.x.process", "core.fsmonitor", "core.hooksPath"),
        *("core.sshCommand", "core.pager", "diff.x.textconv", "diff.external", "merge.x.driver"),
        *("alias.st", "include.path", "includeIf.gitdir:/x.path", "credential.helper"),
        *("remote.origin.uploadpack", "url.x.insteadOf", "gpg.program", "hook.x.command"),
    ],
)
def test_configuration_that_can_run_something_changes_the_digest(git_repo, git, key):
    repo = git_repo()
    before = inspect(repo).trusted_config
    git(repo, "config", key, "anything")
    assert inspect(repo).trusted_config != before
    git(repo, "config", "--unset", key)
    assert inspect(repo).trusted_config == before


def test_configuration_that_runs_nothing_does_not(git_repo, git):
    repo = git_repo()
    before = inspect(repo).trusted_config
    git(repo, "config", "user.name", "Somebody")
    git(repo, "config", "remote.origin.url", "https://example.org/x")
    git(repo, "config", "branch.main.remote", "origin")
    (repo / ".git/hooks").mkdir(exist_ok=True)
    (repo / ".git/hooks/pre-commit.sample").write_text("sample\n")
    assert inspect(repo).trusted_config == before


def test_included_files_hooks_and_attributes_count(git_repo, git, tmp_path):
    repo = git_repo()
    included = tmp_path / "included"
    included.write_text("")
    git(repo, "config", "include.path", str(included))
    digests = [config_digest(Git(), repo / ".git")]
    included.write_text("[core]\n\tpager = evil\n")
    digests.append(config_digest(Git(), repo / ".git"))
    (repo / ".git/hooks").mkdir(exist_ok=True)
    (repo / ".git/hooks/post-checkout").write_text("#!/bin/sh\n")
    digests.append(config_digest(Git(), repo / ".git"))
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_text("* filter=lfs\n")
    digests.append(config_digest(Git(), repo / ".git"))
    assert len(set(digests)) == 4


def test_a_digest_by_what_is_kept_is_the_same_and_sees_every_change(git_repo, git, tmp_path):
    repo, kept = git_repo(), Kept(1_000_000)
    (repo / ".git/hooks").mkdir(exist_ok=True)
    included = tmp_path / "included"
    changes = [
        lambda: None,
        lambda: git(repo, "config", "core.pager", "evil"),
        lambda: (repo / ".git/hooks/post-checkout").write_text("#!/bin/sh\n"),
        lambda: git(repo, "config", "--unset", "core.pager"),
        lambda: git(repo, "config", "include.path", str(included)),
        lambda: included.write_text("[core]\n\tpager = evil\n"),
        lambda: git(repo, "config", "--unset", "include.path"),
        lambda: git(repo, "config", "extensions.worktreeConfig", "true"),
        lambda: git(repo, "config", "--worktree", "core.editor", "evil"),
    ]
    counter = Git()
    for change in changes:
        change()
        digest = config_digest(Git(), repo / ".git")
        assert config_digest(counter, repo / ".git", kept) == digest
        started = counter.started
        assert config_digest(counter, repo / ".git", kept) == digest
        text = (repo / ".git/config").read_text()
        asks = "include" in text or (repo / ".git/config.worktree").exists()
        assert counter.started - started == asks


def test_no_process_of_git_is_left(project):
    ws = project.open()
    (ws.tree / "x").write_text("x\n")
    project.snapshot(ws)
    project.workspaces.close(ws)
    reader = project.workspaces.mirror(REPO).objects
    assert reader.rest(idle=60.0) is False
    project.workspaces.rest()
    gc.collect()
    children = psutil.Process().children(recursive=True)
    assert [p.name() for p in children if p.name() == "git"] == []
    assert project.workspaces.mirror(REPO).has(project.commit)
