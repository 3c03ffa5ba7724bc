"""Kill -9 at every step: the same call again completes it, and nothing is lost or left."""

from __future__ import annotations

import os
from itertools import count

import pytest

from muster.domain.errors import Conflict, Refused
from muster.workspace.commits import Author, write_commit
from muster.workspace.mount import mounts_below, unmount
from muster.workspace.remove import Identity
from muster.workspace.workspaces import Workspaces
from workspace.dying import die
from workspace.project import REPO
from workspace.test_land import checkout_files

pytestmark = pytest.mark.usefixtures("mortal")

OPENING = ("workspace.opening", "workspace.checked_out", "workspace.made")
CLOSING = ("workspace.closing", "workspace.emptied")
LANDING = ("land.journal", "land.files", "land.ref", "land.index")


def every_git(**more):
    """Deaths before the first, second … git, as long as a call gets there."""
    return ({"git": number, **more} for number in count(1))


def steps(points):
    """Each named point, then each git."""
    yield from ({"point": point} for point in points)
    yield from every_git()


def test_opening_is_completed_after_any_death(project, home, backend):
    near = project.commit
    commit = project.work({"a": "1\n"})
    for number, at in enumerate(steps(OPENING)):
        id = f"coding-{number}"
        died = die(home, backend, "open", id, commit, near, **at)
        ws = project.open(id, commit, near=near, ports=5)
        assert (ws.tree / "a").read_text() == "1\n"
        assert project.snapshot(ws, commit) is None
        assert project.git(ws.tree, "status", "--porcelain") == ""
        assert project.workspaces.close(ws) is None
        if "git" in at and not died:
            break
    assert number >= len(OPENING)
    assert mounts_below(home) == []
    assert list((home / "spaces").iterdir()) == []


def test_opening_in_anothers_folder_is_completed_after_any_death(project, home, backend):
    for number, point in enumerate(OPENING):
        id, at = f"coding-{number}", f"gone-{number}"
        assert die(home, backend, "open", id, project.commit, None, at=at, point=point)
        ws = project.open(id, ports=5, at=at)
        assert ws.root.name == at
        assert project.workspaces.get(id) == ws
        assert die(home, backend, "close", id, point=CLOSING[0])
        assert project.open(id, ports=5, at=at).root.name == at
        assert project.workspaces.close(ws) is None
        assert not ws.root.exists()


@pytest.mark.needs_overlay
def test_a_base_is_completed_after_any_death(make_project, make_workspaces, home):
    """Each round is at a new commit, so that its base has to be made."""
    project = make_project(make_workspaces("overlay"))
    for number in count(1):
        commit = project.user_commits({"n": f"{number}\n"})
        died = die(home, "overlay", "open", f"w{number}", commit, None, git=number)
        ws = project.open(f"w{number}", commit)
        assert (ws.tree / "n").read_text() == f"{number}\n"
        project.workspaces.close(ws)
        if not died:
            break
    assert number > 2


@pytest.mark.parametrize(("what", "least"), [("git", 4), ("write", 5)])
def test_a_snapshot_is_completed_after_any_death(project, home, backend, what, least):
    for number in count(1):
        ws = project.open(f"w{number}")
        (ws.tree / "a").write_text(f"{number}\n")
        (ws.tree / "README.md").unlink()
        if what == "git":
            (ws.tree / ".gitattributes").write_text("*.x -text\n")
        died = die(home, backend, "snapshot", ws.id, project.commit, **{what: number})
        files = project.files(project.snapshot(ws))
        assert files["a"] == f"100644 {number}\n"
        assert "README.md" not in files
        project.workspaces.close(ws)
        if not died:
            break
    assert number > least


def test_a_fetch_is_completed_after_any_death(git_repo, home):
    repo = git_repo()
    for number in count(1):
        died = die(home / str(number), "clone", "fetch", str(repo / ".git"), git=number)
        (home / str(number)).mkdir(exist_ok=True)
        workspaces = Workspaces(home / str(number), {})
        commit = workspaces.mirror(REPO).fetch(repo / ".git", "main")
        mirror = workspaces.mirror(REPO)
        mirror.git.run(mirror.place, "rev-list", "--objects", commit)
        if not died:
            break
    assert number > 4


def test_closing_loses_nothing_and_is_completed_after_any_death(project, home, backend):
    for number, at in enumerate(steps(CLOSING)):
        ws = project.open(f"w{number}")
        (ws.tree / "work").write_text(f"{number}\n")
        died = die(home, backend, "close", ws.id, **at)
        if project.workspaces.exists(ws.id):
            project.workspaces.close(project.workspaces.get(ws.id))
        else:
            project.workspaces.close(ws)
        rescued = project.git_in_mirror("rev-parse", f"refs/muster/rescue/{ws.id}")
        assert project.files(rescued)["work"] == f"100644 {number}\n"
        assert not ws.root.exists()
        if "git" in at and not died:
            break
    assert number > len(CLOSING)
    assert mounts_below(home) == []


def test_a_half_removed_workspace_is_opened_afresh(project, home, backend):
    ws = project.open("w")
    (ws.tree / "work").write_text("w\n")
    assert die(home, backend, "close", "w", point="workspace.emptied")
    assert not project.workspaces.exists("w")
    again = project.open("w")
    assert not (again.tree / "work").exists()
    assert project.snapshot(again) is None


@pytest.mark.needs_overlay
def test_what_a_boot_took_out_of_view_is_still_rescued(make_project, make_workspaces):
    workspaces = make_workspaces("overlay")
    project = make_project(workspaces)
    ws = project.open()
    (ws.tree / "work").write_text("w\n")
    unmount(ws.tree)
    restarted = make_workspaces("overlay")
    assert restarted.close(restarted.get(ws.id)) is not None
    assert project.git_in_mirror("show", f"refs/muster/rescue/{ws.id}:work") == "w"


def test_publishing_is_completed_after_any_death(sample, home):
    new = sample.work({"a": "1\n"})
    for number in count(1):
        branch = f"muster/mu-{number}"
        died = die(home, "clone", "publish", str(sample.git_dir), branch, new, git=number)
        assert sample.workspaces.publish(REPO, sample.git_dir, branch, new)
        assert sample.git(sample.folder, "rev-parse", branch) == new
        if not died:
            break
    assert number > 3


def all_kinds(project, number: int, base: str) -> str:
    """Work that changes, adds, removes, swaps and re-modes files."""
    ws = project.open(f"kinds-{number}", base)
    tree = ws.tree
    (tree / "README.md").write_text(f"round {number}\n" * 2000)
    (tree / f"new-{number}").mkdir()
    (tree / f"new-{number}/x").write_text("x\n")
    if (tree / "sums.py").exists():
        (tree / "sums.py").rename(tree / "totals.py")
    else:
        (tree / "totals.py").rename(tree / "sums.py")
    (tree / "test_sums.py").chmod(0o755 if number % 2 else 0o644)
    (tree / "line\nend").write_text(f"{number}\n")
    commit = project.snapshot(ws, base)
    project.workspaces.discard(ws)
    return commit


@pytest.mark.parametrize("again", ["the same", "another"])
def test_landing_is_completed_after_any_death(sample, home, git, again):
    base = sample.commit
    for number, at in enumerate(steps(LANDING)):
        new = all_kinds(sample, number, base)
        call = ("land", str(sample.git_dir), str(sample.folder), base, new)
        died = die(home, "clone", *call, **at)
        now = sample.workspaces.head(sample.git_dir, "main")
        if again == "another" and now == base:
            # The engine merges anew after a restart: the commit differs from the one before.
            mirror = sample.workspaces.mirror(REPO)
            author = Author("A", "a@example.org")
            tree = mirror.tree_of(new)
            new = write_commit(mirror, tree, [base], "Anew", author)
        assert sample.land(base, new)
        assert git(sample.folder, "rev-parse", "main") == new
        assert git(sample.folder, "status", "--porcelain") == ""
        assert not list(sample.git_dir.glob("muster-*"))
        assert not (sample.git_dir / "index.lock").exists()
        base = new
        if "git" in at and not died:
            break
    assert number > len(LANDING) + 7


@pytest.mark.parametrize("nth", [1, 3, 5])
def test_a_death_amid_the_writing_of_files_is_completed(sample, home, git, tmp_path, nth):
    """The user's own smudge filter kills git and the control plane while files are written."""
    trap = tmp_path / "trap"
    armed = tmp_path / "armed"
    trap.write_text(
        f"#!/bin/sh\nif [ -e {armed} ]; then echo x >> {armed}\n"
        f"if [ $(wc -l < {armed}) -gt {nth} ]; then pid=$(head -n 1 {armed}); rm {armed}\n"
        "kill -9 $pid; kill -9 0; fi; fi\ncat\n"
    )
    trap.chmod(0o755)
    git(sample.folder, "config", "filter.trap.smudge", str(trap))
    files = {f"f{n}": f"{n}\n" * 500 for n in range(6)}
    base = sample.work({".gitattributes": "f* filter=trap\n", **files})
    assert sample.land(sample.commit, base)
    new = sample.work({name: "new " + text for name, text in files.items()}, base, id="w2")
    call = ("land", str(sample.git_dir), str(sample.folder), base, new)
    assert die(home, "clone", *call, pid=str(armed))
    assert not armed.exists()
    assert (sample.git_dir / "index.lock").exists()
    assert sample.land(base, new)
    assert git(sample.folder, "status", "--porcelain") == ""
    assert git(sample.folder, "rev-parse", "main") == new
    assert (sample.folder / "f0").read_text() == "new " + files["f0"]


def test_a_file_cut_in_the_middle_is_written_anew(sample, home, git):
    new = all_kinds(sample, 1, sample.commit)
    call = ("land", str(sample.git_dir), str(sample.folder), sample.commit, new)
    assert die(home, "clone", *call, point="land.files")
    os.truncate(sample.folder / "README.md", 100)
    (sample.folder / "totals.py").unlink()
    assert sample.land(sample.commit, new)
    assert git(sample.folder, "status", "--porcelain") == ""


def test_what_the_user_wrote_after_a_death_is_kept(sample, home):
    new = all_kinds(sample, 1, sample.commit)
    call = ("land", str(sample.git_dir), str(sample.folder), sample.commit, new)
    assert die(home, "clone", *call, point="land.files")
    (sample.folder / "README.md").write_text("what the user wrote\n")
    with pytest.raises(Conflict, match=r"README\.md"):
        sample.land(sample.commit, new)
    assert (sample.folder / "README.md").read_text() == "what the user wrote\n"
    assert not (sample.git_dir / "index.lock").exists()


def test_a_user_who_went_on_after_a_death_is_not_set_back(sample, home, git):
    new = all_kinds(sample, 1, sample.commit)
    call = ("land", str(sample.git_dir), str(sample.folder), sample.commit, new)
    assert die(home, "clone", *call, point="land.files")
    (sample.git_dir / "index.lock").unlink()
    git(sample.folder, "add", "--all")
    git(sample.folder, "commit", "--quiet", "--message", "Took it myself")
    before = checkout_files(sample.folder)
    assert sample.land(sample.commit, new) is None
    assert checkout_files(sample.folder) == before
    assert git(sample.folder, "status", "--porcelain") == ""


def test_a_folder_without_a_record_is_set_aside_not_removed(sample, home):
    strange = home / "spaces" / "coding-1"
    strange.mkdir(parents=True)
    (strange / "work").write_text("somebody's\n")
    ws = sample.open("coding-1")
    assert sample.snapshot(ws) is None
    (kept,) = (home / "spaces" / ".lost").iterdir()
    assert (kept / "work").read_text() == "somebody's\n"


@pytest.mark.parametrize("call", ["open", "close"])
def test_a_workspace_whose_record_the_machines_end_has_torn_is_set_aside(project, home, call):
    ws = project.open("coding-1")
    (ws.tree / "work").write_text("w\n")
    (ws.root / "control" / "state.json").write_bytes(b"")
    if call == "open":
        assert not (project.open("coding-1").tree / "work").exists()
    else:
        project.workspaces.close(ws)
        assert not project.workspaces.exists("coding-1")
    (kept,) = (home / "spaces" / ".lost").iterdir()
    assert (kept / "tree" / "work").read_text() == "w\n"


def test_a_folder_that_was_swapped_is_neither_used_nor_removed(project):
    ws = project.open("w")
    aside = project.workspaces.home / "aside"
    record = (ws.root / "record.json").read_bytes()
    if ws.backend.endswith("overlay"):
        unmount(ws.tree)
    ws.root.rename(aside)
    ws.root.mkdir()
    (ws.root / "record.json").write_bytes(record)
    (ws.root / "precious").write_text("p\n")
    for call in (
        lambda: project.workspaces.close(ws),
        lambda: project.workspaces.discard(ws),
        lambda: project.open("w"),
    ):
        with pytest.raises(Refused, match="not the folder that muster made"):
            call()
    assert (ws.root / "precious").exists()


def test_a_link_in_the_place_of_a_workspace_is_not_followed(project):
    ws = project.open("w")
    aside = project.workspaces.home / "aside"
    if ws.backend.endswith("overlay"):
        unmount(ws.tree)
    ws.root.rename(aside)
    before = Identity.of(aside)
    ws.root.symlink_to(aside)
    with pytest.raises(Refused):
        project.workspaces.close(ws)
    assert Identity.of(aside) == before
    assert (aside / "record.json").exists()


def test_work_that_cannot_be_kept_keeps_its_workspace(project):
    ws = project.open("w")
    (ws.tree / "work").write_text("w\n")
    mirror = project.workspaces.mirror(REPO)
    away = mirror.path.with_name("away")
    mirror.path.rename(away)
    with pytest.raises(Conflict, match="stays: its work could not be kept"):
        project.workspaces.close(ws)
    assert (ws.tree / "work").read_text() == "w\n"
    away.rename(mirror.path)
    assert project.workspaces.close(ws) is not None
