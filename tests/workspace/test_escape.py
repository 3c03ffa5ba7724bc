"""The ways out: whatever an agent plants, no call of the control plane runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from muster.domain.errors import GitFailed, Invalid, Refused
from muster.workspace.mirror import Mirror
from muster.workspace.survey import inspect
from muster.workspace.workspaces import Merged
from workspace.project import REPO

ATTRIBUTES = "* filter=evil diff=evil merge=evil\n"


class Canary:
    """A program that leaves a mark when anything runs it, and configuration that names it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.mark = folder / "sang"
        self.program = folder / "program"
        self.program.write_text(f"#!/bin/sh\ntouch {self.mark}\ncat 2>/dev/null\n")
        self.program.chmod(0o755)
        self.hooks = folder / "hooks"
        self.hooks.mkdir()
        for name in (
            *("pre-commit", "post-checkout", "post-commit", "post-index-change", "pre-push"),
            *("reference-transaction", "post-update", "update", "pre-receive", "post-receive"),
            *("post-rewrite", "pre-auto-gc", "proc-receive", "push-to-checkout", "post-merge"),
        ):
            (self.hooks / name).symlink_to(self.program)

    @property
    def sang(self) -> bool:
        return self.mark.exists()

    def config(self) -> str:
        p = self.program
        return f"""[core]
\trepositoryformatversion = 0
\tbare = false
\tfsmonitor = {p}
\thooksPath = {self.hooks}
\tsshCommand = {p}
\tpager = {p}
\teditor = {p}
\taskPass = {p}
\tgitProxy = {p}
\talternateRefsCommand = {p}
[filter "evil"]
\tclean = {p}
\tsmudge = {p}
\tprocess = {p}
\trequired = true
[diff]
\texternal = {p}
[diff "evil"]
\ttextconv = {p}
\tcommand = {p}
[merge "evil"]
\tdriver = {p} %A %O %B
[uploadpack]
\tpackObjectsHook = {p}
[protocol "ext"]
\tallow = always
[remote "origin"]
\turl = ext::{p}
\tuploadpack = {p}
\tpromisor = true
[gpg]
\tprogram = {p}
[commit]
\tgpgSign = true
[credential]
\thelper = {p}
[alias]
\tstatus = !{p}
\tadd = !{p}
"""

    def arm(self, git_dir: Path) -> None:
        """Let a git folder name the program in every way known."""
        (git_dir / "config").write_text(self.config())
        (git_dir / "info").mkdir(exist_ok=True)
        (git_dir / "info" / "attributes").write_text(ATTRIBUTES)
        hooks = git_dir / "hooks"
        hooks.mkdir(exist_ok=True)
        for hook in self.hooks.iterdir():
            link = hooks / hook.name
            link.unlink(missing_ok=True)
            link.symlink_to(self.program)

    def nest(self, git, folder: Path) -> None:
        """An armed repository with a commit and a changed file."""
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet")
        (folder / ".gitattributes").write_text(ATTRIBUTES)
        (folder / "f").write_text("f\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "Nested")
        (folder / "f").write_text("changed\n")
        self.arm(folder / ".git")


@pytest.fixture
def canary(tmp_path) -> Canary:
    return Canary(tmp_path / "canary")


def rewritten_pointer(canary, git, ws) -> None:
    elsewhere = ws.tree / ".hidden"
    subprocess.run(["git", "init", "--quiet", "--bare", elsewhere], check=True)
    canary.arm(elsewhere)
    (ws.tree / ".git").write_text(f"gitdir: {elsewhere}\n")


def own_repository(canary, git, ws) -> None:
    (ws.tree / ".git").unlink()
    git(ws.tree, "init", "--quiet")
    canary.arm(ws.tree / ".git")


def pointer_as_link(canary, git, ws) -> None:
    rewritten_pointer(canary, git, ws)
    (ws.tree / ".git").unlink()
    (ws.tree / ".git").symlink_to(ws.tree / ".hidden")


def armed_agent_git(canary, git, ws) -> None:
    canary.arm(ws.root / "agent.git")


def attributes_of_the_tree(canary, git, ws) -> None:
    (ws.tree / ".gitattributes").write_text(ATTRIBUTES)
    canary.arm(ws.root / "agent.git")


def nested_repository(canary, git, ws) -> None:
    canary.nest(git, ws.tree / "nested")


def nested_in_a_tracked_folder(canary, git, ws) -> None:
    canary.nest(git, ws.tree / "src")


def repository_in_a_submodule(canary, git, ws) -> None:
    canary.nest(git, ws.tree / "sub")


def embedded_bare_repository(canary, git, ws) -> None:
    bare = ws.tree / "bare"
    subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
    canary.arm(bare)


def the_tree_itself_as_bare_repository(canary, git, ws) -> None:
    bare = ws.tree
    for folder in ("objects", "refs"):
        (bare / folder).mkdir()
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    canary.arm(bare)


def gitmodules(canary, git, ws) -> None:
    (ws.tree / ".gitmodules").write_text(
        f'[submodule "sub"]\n\tpath = sub\n\turl = ext::{canary.program}\n'
        f"\tupdate = !{canary.program}\n"
    )


def programs_named_like_ours(canary, git, ws) -> None:
    for name in ("git", "git-upload-pack", "sh", "git-read-tree"):
        (ws.tree / name).symlink_to(canary.program)


def alternates_and_commondir(canary, git, ws) -> None:
    elsewhere = ws.tree / ".common"
    subprocess.run(["git", "init", "--quiet", "--bare", elsewhere], check=True)
    canary.arm(elsewhere)
    (ws.root / "agent.git" / "commondir").write_text(f"{elsewhere}\n")


VECTORS = [
    rewritten_pointer,
    own_repository,
    pointer_as_link,
    armed_agent_git,
    attributes_of_the_tree,
    nested_repository,
    nested_in_a_tracked_folder,
    repository_in_a_submodule,
    embedded_bare_repository,
    the_tree_itself_as_bare_repository,
    gitmodules,
    programs_named_like_ours,
    alternates_and_commondir,
]


@pytest.fixture
def armed_project(make_project, workspaces, git, git_repo):
    inner = git_repo("inner")
    project = make_project(workspaces, files={"src/a.py": "a\n", "b.txt": "b\n"})
    git(project.folder, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "sub")
    project.commit = project.user_commits({})
    return project


@pytest.mark.parametrize("plant", VECTORS, ids=lambda f: f.__name__)
def test_no_call_runs_what_an_agent_planted(armed_project, canary, git, plant):
    project, workspaces = armed_project, armed_project.workspaces
    ws = project.open("coding-1", branch="muster/mu-1", ports=2)
    (ws.tree / "b.txt").write_text("work\n")
    git(ws.tree, "commit", "--quiet", "--all", "--message", "The agent's own")
    plant(canary, git, ws)
    assert not canary.sang

    commit = project.snapshot(ws)
    (ws.tree / "c.txt").write_text("more\n")
    commit = project.snapshot(ws, commit)
    workspaces.reopen(ws.id)
    project.open("coding-1", branch="muster/mu-1", ports=2)
    workspaces.changes(REPO, project.commit, commit)
    workspaces.patches(REPO, project.commit, commit)
    workspaces.patch(REPO, project.commit, commit, "b.txt")
    workspaces.added_lines(REPO, project.commit, commit)
    workspaces.read_file(REPO, commit, "b.txt")
    workspaces.is_ancestor(REPO, project.commit, commit)
    workspaces.layer_key(REPO, commit, "make")
    mixed = workspaces.mixed(REPO, commit, project.commit, ("b.txt",))
    check = project.open("check-1", mixed, near=project.commit)
    workspaces.save_layer(check, "layer")
    workspaces.discard(check)
    target = project.user_commits({"user.txt": "user\n"})
    merged = workspaces.merge(REPO, target, commit, "merge", "Merge", "A", "a@example.org")
    assert isinstance(merged, Merged)
    rebased = workspaces.merge(REPO, target, commit, "rebase", "", "A", "a@example.org")
    assert isinstance(rebased, Merged)
    workspaces.publish(REPO, project.git_dir, "muster/mu-1", commit)
    (ws.tree / "d.txt").write_text("unsaved\n")
    rescued = workspaces.close(ws)
    assert rescued is not None
    assert project.land(target, merged.commit)
    after = project.open("after", merged.commit)
    workspaces.close(after)
    assert not canary.sang


def test_the_canary_sings_where_git_is_left_to_find_its_way(armed_project, canary, git):
    """Without it the tests above would prove nothing."""
    project = armed_project
    ws = project.open()
    rewritten_pointer(canary, git, ws)
    env = {"PATH": os.environ["PATH"], "HOME": "/dev/null"}
    subprocess.run(["git", "-C", ws.tree, "status"], env=env, check=False, capture_output=True)
    assert canary.sang


def test_the_canary_sings_when_a_nested_repository_is_entered(armed_project, canary, git):
    project = armed_project
    ws = project.open()
    repository_in_a_submodule(canary, git, ws)
    mirror = project.workspaces.mirror(REPO)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/dev/null",
        "GIT_DIR": str(mirror.path),
        "GIT_WORK_TREE": str(ws.tree),
        "GIT_INDEX_FILE": str(ws.root / "control" / "index"),
    }
    subprocess.run(["git", "status"], env=env, cwd=ws.tree, check=False, capture_output=True)
    assert canary.sang


def test_the_users_hooks_never_run_and_their_files_stay_theirs(sample, canary, git):
    hooks = sample.git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in canary.hooks.iterdir():
        (hooks / hook.name).symlink_to(canary.program)
    commit = sample.work({"a": "1\n"})
    assert sample.workspaces.publish(REPO, sample.git_dir, "muster/mu-1", commit)
    assert sample.land(sample.commit, commit)
    assert not canary.sang
    assert (sample.folder / "a").read_text() == "1\n"


def test_a_missing_object_is_not_fetched_by_a_program_that_the_repository_names(
    sample, canary, git, home
):
    """A promisor remote would let git run its `uploadpack` to get what is missing."""
    far = git(sample.folder, "rev-parse", "--absolute-git-dir")
    for key, value in {
        "extensions.partialClone": "far",
        "core.repositoryFormatVersion": "1",
        "remote.far.promisor": "true",
        "remote.far.url": f"file://{far}",
        "remote.far.uploadpack": str(canary.program),
    }.items():
        git(sample.folder, "config", key, value)
    blob = git(sample.folder, "rev-parse", "HEAD:sums.py")
    (sample.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitFailed):
        Mirror(home / "other.git").fetch(sample.git_dir, "main")
    assert not canary.sang


def test_names_that_git_would_take_for_options_are_refused(sample):
    workspaces = sample.workspaces
    mirror = workspaces.mirror(REPO)
    for name in ("-x", "--upload-pack=touch x", "a..b", "a@{1}", "a b", "a;touch${IFS}x", ""):
        for call in (
            lambda name=name: mirror.fetch(sample.git_dir, name),
            lambda name=name: workspaces.head(sample.git_dir, name),
            lambda name=name: workspaces.publish(REPO, sample.git_dir, name, sample.commit),
            lambda name=name: sample.open("x", branch=name),
            lambda name=name: workspaces.changes(REPO, name, sample.commit),
            lambda name=name: workspaces.patch(REPO, sample.commit, name, "a"),
            lambda name=name: workspaces.merge(REPO, sample.commit, name, "merge", "", "a", "b"),
            lambda name=name: workspaces.mixed(REPO, name, sample.commit, ()),
            lambda name=name: sample.open(name),
        ):
            with pytest.raises(Invalid):
                call()


def test_a_publish_outside_muster_is_refused(sample):
    for name in ("main", "refs/heads/main", "musterx/a", "muster", "muster/../main"):
        with pytest.raises(Invalid):
            sample.workspaces.publish(REPO, sample.git_dir, name, sample.commit)


def test_changed_executable_configuration_stops_landing(sample, canary, git):
    trusted = inspect(sample.folder).trusted_config
    commit = sample.work({"a": "1\n"})
    git(sample.folder, "config", "filter.evil.smudge", str(canary.program))
    with pytest.raises(Refused, match="can run other programs"):
        sample.land(sample.commit, commit, trusted_config=trusted)
    assert not (sample.folder / "a").exists()
    git(sample.folder, "config", "--unset", "filter.evil.smudge")
    git(sample.folder, "config", "color.ui", "never")
    assert sample.land(sample.commit, commit, trusted_config=trusted)
