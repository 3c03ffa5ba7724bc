"""Landing: the user's branch moves, their clean checkout follows, and nothing else is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from muster.domain.errors import Conflict, GitFailed, Invalid, Refused
from workspace.project import REPO

ZEROS = "0" * 40


def everything(folder: Path) -> dict[str, object]:
    """Each file of a checkout and of its git folder: bytes, mode, time of change."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        kept = path.lstat()
        name = str(path.relative_to(folder))
        if stat.S_ISLNK(kept.st_mode):
            found[name] = path.readlink()
        elif stat.S_ISREG(kept.st_mode):
            found[name] = (path.read_bytes(), kept.st_mode, kept.st_mtime_ns)
    return found


def checkout_files(folder: Path) -> dict[str, object]:
    return {k: v for k, v in everything(folder).items() if not k.startswith(".git/")}


def git_files(folder: Path) -> dict[str, object]:
    """The git folder without objects, which may gain what was brought."""
    return {k: v for k, v in everything(folder / ".git").items() if not k.startswith("objects/")}


def test_the_branch_and_the_clean_checkout_on_it_move_together(sample, git):
    new = sample.work({"a": "1\n", "sums.py": None, "README.md": "Changed.\n"})
    landed = sample.land(sample.commit, new)
    assert landed.commit == new
    assert landed.checkouts == (sample.folder,)
    assert git(sample.folder, "rev-parse", "main") == new
    assert git(sample.folder, "status", "--porcelain") == ""
    assert (sample.folder / "a").read_text() == "1\n"
    assert not (sample.folder / "sums.py").exists()
    assert not list(sample.git_dir.glob("muster-*"))
    assert not (sample.git_dir / "index.lock").exists()
    assert "muster: merge" in git(sample.folder, "reflog", "-1", "main")


def test_landing_again_finds_it_landed(sample):
    new = sample.work({"a": "1\n"})
    sample.land(sample.commit, new)
    before = everything(sample.folder)
    again = sample.land(sample.commit, new)
    assert again.commit == new
    assert everything(sample.folder) == before


def test_a_branch_that_moved_is_left_alone(sample, git):
    new = sample.work({"a": "1\n"})
    git(sample.folder, "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")
    before = everything(sample.folder)
    assert sample.land(sample.commit, new) is None
    assert everything(sample.folder) == before


def test_work_that_does_not_stand_on_the_branch_is_refused(sample):
    other = sample.user_commits({"user": "u\n"})
    new = sample.work({"a": "1\n"})
    with pytest.raises(Refused, match="does not stand on"):
        sample.land(other, new)


@pytest.mark.parametrize(
    "dirty",
    [
        lambda f, git: (f / "sums.py").write_text("mine\n"),
        lambda f, git: (f / "README.md").write_text("mine\n"),
        lambda f, git: (f / "sums.py").unlink(),
        lambda f, git: (f / "sums.py").chmod(0o755),
        lambda f, git: ((f / "staged").write_text("s\n"), git(f, "add", "staged")),
        lambda f, git: git(f, "rm", "--quiet", "--cached", "sums.py"),
        lambda f, git: (f / "a").write_text("untracked, in the way\n"),
        lambda f, git: ((f / "a").mkdir(), (f / "a/inside").write_text("in the way\n")),
        lambda f, git: (f / "a").symlink_to("/nowhere"),
        lambda f, git: (f / "new").write_text("a file where a folder will be\n"),
        lambda f, git: (
            (f / ".git/info").mkdir(exist_ok=True),
            (f / ".git/info/exclude").write_text("a\n"),
            (f / "a").write_text("ignored and mine\n"),
        ),
    ],
)
def test_a_dirty_checkout_is_untouched_byte_for_byte(sample, git, dirty):
    new = sample.work({"a": "1\n", "README.md": "Changed.\n", "new/er": "n\n"})
    dirty(sample.folder, git)
    files, refs = checkout_files(sample.folder), git_files(sample.folder)
    with pytest.raises(Conflict) as caught:
        sample.land(sample.commit, new)
    assert "stash" in caught.value.hint
    assert caught.value.extra["paths"]
    assert checkout_files(sample.folder) == files
    assert git_files(sample.folder) == refs


def test_untracked_files_that_are_not_in_the_way_stay(sample, git):
    (sample.folder / "notes").write_text("mine\n")
    new = sample.work({"a": "1\n"})
    assert sample.land(sample.commit, new)
    assert (sample.folder / "notes").read_text() == "mine\n"
    assert git(sample.folder, "status", "--porcelain") == "?? notes"


def test_after_a_stash_it_lands(sample, git):
    new = sample.work({"README.md": "Changed.\n"})
    (sample.folder / "sums.py").write_text("mine\n")
    with pytest.raises(Conflict, match=r"not committed: sums\.py"):
        sample.land(sample.commit, new)
    git(sample.folder, "stash", "--quiet")
    assert sample.land(sample.commit, new)
    git(sample.folder, "stash", "pop", "--quiet")
    assert (sample.folder / "sums.py").read_text() == "mine\n"


def test_a_file_that_was_only_touched_is_clean(sample):
    new = sample.work({"README.md": "Changed.\n"})
    os.utime(sample.folder / "README.md")
    assert sample.land(sample.commit, new)


def test_a_branch_that_nobody_stands_on_moves_alone(sample, git):
    new = sample.work({"a": "1\n"})
    git(sample.folder, "checkout", "--quiet", "-b", "other")
    (sample.folder / "sums.py").write_text("mine, on another branch\n")
    before = checkout_files(sample.folder)
    landed = sample.land(sample.commit, new)
    assert landed.checkouts == ()
    assert git(sample.folder, "rev-parse", "main") == new
    assert checkout_files(sample.folder) == before


def test_a_detached_checkout_is_left_alone(sample, git):
    new = sample.work({"a": "1\n"})
    git(sample.folder, "checkout", "--quiet", "--detach")
    assert sample.land(sample.commit, new).checkouts == ()
    assert not (sample.folder / "a").exists()


def test_a_linked_work_tree_on_the_branch_follows(sample, git, tmp_path):
    new = sample.work({"a": "1\n"})
    git(sample.folder, "checkout", "--quiet", "-b", "other")
    linked = tmp_path / "linked tree"
    git(sample.folder, "worktree", "add", "--quiet", str(linked), "main")
    assert sample.land(sample.commit, new).checkouts == (linked,)
    assert (linked / "a").read_text() == "1\n"
    assert git(linked, "status", "--porcelain") == ""
    assert not (sample.folder / "a").exists()


def test_a_project_registered_by_its_linked_work_tree_lands_in_both(sample, git, tmp_path):
    linked = tmp_path / "linked"
    git(sample.folder, "worktree", "add", "--quiet", "--force", str(linked), "main")
    new = sample.work({"a": "1\n"})
    landed = sample.workspaces.land(REPO, sample.git_dir, linked, "main", sample.commit, new)
    assert set(landed.checkouts) == {linked, sample.folder}
    for folder in landed.checkouts:
        assert git(folder, "status", "--porcelain") == ""


def test_a_dirty_linked_work_tree_keeps_the_clean_one_from_moving(sample, git, tmp_path):
    linked = tmp_path / "linked"
    git(sample.folder, "worktree", "add", "--quiet", "--force", str(linked), "main")
    new = sample.work({"a": "1\n"})
    (linked / "sums.py").write_text("mine\n")
    before = checkout_files(sample.folder), git_files(sample.folder)
    with pytest.raises(Conflict, match="linked"):
        sample.land(sample.commit, new)
    assert (checkout_files(sample.folder), git_files(sample.folder)) == before


def test_a_bare_repository_has_only_its_branch_moved(sample, git, tmp_path):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(sample.folder), str(bare))
    new = sample.work({"a": "1\n"})
    landed = sample.workspaces.land(REPO, bare, None, "main", sample.commit, new)
    assert landed.checkouts == ()
    assert git(bare, "rev-parse", "main") == new


@pytest.mark.parametrize(
    ("name", "what"),
    [("MERGE_HEAD", "a merge"), ("CHERRY_PICK_HEAD", "a cherry-pick"), ("REVERT_HEAD", "a revert")],
)
def test_something_under_way_in_the_checkout_stops_it(sample, name, what):
    new = sample.work({"a": "1\n"})
    (sample.git_dir / name).write_text(f"{sample.commit}\n")
    with pytest.raises(Conflict, match=f"{what} is under way"):
        sample.land(sample.commit, new)


def test_a_rebase_of_the_branch_stops_it(sample, git):
    new = sample.work({"a": "1\n"})
    git(sample.folder, "checkout", "--quiet", "--detach")
    (sample.git_dir / "rebase-merge").mkdir()
    (sample.git_dir / "rebase-merge" / "head-name").write_text("refs/heads/main\n")
    with pytest.raises(Conflict, match="being rebased"):
        sample.land(sample.commit, new)


def test_another_git_command_at_work_is_waited_for_not_pushed_aside(sample):
    new = sample.work({"a": "1\n"})
    lock = sample.git_dir / "index.lock"
    lock.write_text("")
    with pytest.raises(Conflict, match="another git command"):
        sample.land(sample.commit, new)
    assert lock.exists()
    lock.unlink()
    assert sample.land(sample.commit, new)


def test_folders_and_files_change_places(sample, git):
    first = sample.work({"x/y": "folder\n", "z": "file\n"})
    assert sample.land(sample.commit, first)
    ws = sample.open("swap", first)
    (ws.tree / "x/y").unlink()
    (ws.tree / "x").rmdir()
    (ws.tree / "x").write_text("file now\n")
    (ws.tree / "z").unlink()
    (ws.tree / "z").mkdir()
    (ws.tree / "z/in").write_text("folder now\n")
    (ws.tree / "link").symlink_to("z")
    second = sample.snapshot(ws, first)
    assert sample.land(first, second)
    assert git(sample.folder, "status", "--porcelain") == ""
    assert (sample.folder / "x").read_text() == "file now\n"
    assert (sample.folder / "link" / "in").read_text() == "folder now\n"


def test_an_ignored_file_in_a_folder_that_becomes_a_file_is_not_lost(sample):
    first = sample.work({"x/y": "folder\n"})
    assert sample.land(sample.commit, first)
    (sample.git_dir / "info").mkdir(exist_ok=True)
    (sample.git_dir / "info/exclude").write_text("secret\n")
    (sample.folder / "x/secret").write_text("mine\n")
    ws = sample.open("swap", first)
    (ws.tree / "x/y").unlink()
    (ws.tree / "x").rmdir()
    (ws.tree / "x").write_text("file now\n")
    with pytest.raises(Conflict, match="x/secret"):
        sample.land(first, sample.snapshot(ws, first))
    assert (sample.folder / "x/secret").read_text() == "mine\n"


def test_the_users_own_filters_stay_in_force(sample, git):
    git(sample.folder, "config", "filter.up.smudge", "tr a-z A-Z")
    git(sample.folder, "config", "filter.up.clean", "tr A-Z a-z")
    new = sample.work({".gitattributes": "*.up filter=up\n", "x.up": "loud\n"})
    assert sample.land(sample.commit, new)
    assert (sample.folder / "x.up").read_text() == "LOUD\n"
    assert git(sample.folder, "status", "--porcelain") == ""


def test_a_branch_that_moves_while_files_are_written_wins_the_race(sample, git, tmp_path):
    """The user's own smudge filter moves the branch in the middle of the landing."""
    base = sample.work({".gitattributes": "f* filter=race\n", "f1": "1\n", "f2": "2\n"})
    assert sample.land(sample.commit, base)
    other = git(sample.folder, "commit-tree", f"{base}^{{tree}}", "-p", base, "-m", "Other")
    racing = tmp_path / "racing"
    racing.write_text(f"#!/bin/sh\ngit update-ref refs/heads/main {other}\ncat\n")
    racing.chmod(0o755)
    git(sample.folder, "config", "filter.race.smudge", str(racing))
    new = sample.work({"f1": "one\n", "f2": None, "f3": "three\n"}, base, id="w2")
    before = {k: v[0] for k, v in checkout_files(sample.folder).items()}
    assert sample.land(base, new) is None
    assert {k: v[0] for k, v in checkout_files(sample.folder).items()} == before
    assert git(sample.folder, "rev-parse", "main") == other
    assert not (sample.git_dir / "index.lock").exists()
    assert git(sample.folder, "status", "--porcelain") == ""


def test_files_that_cannot_all_be_written_are_put_back(sample, git, tmp_path):
    """As on a full disk: git stops in the middle."""
    base, new = failing_work(sample, git, tmp_path, "! grep two")
    with pytest.raises(Conflict, match="cannot take the new files"):
        sample.land(base, new)
    assert (sample.folder / "f2").read_text() == "2\n"
    assert (sample.folder / "README.md").read_text() == "A sample.\n"
    assert git(sample.folder, "rev-parse", "main") == base
    assert not (sample.git_dir / "index.lock").exists()


def test_files_that_cannot_be_put_back_now_are_put_back_by_the_next_call(sample, git, tmp_path):
    base, new = failing_work(sample, git, tmp_path, "false")
    with pytest.raises(Conflict, match="could not be put back"):
        sample.land(base, new)
    assert not (sample.git_dir / "index.lock").exists()
    with pytest.raises(Conflict, match="could not be put back"):
        sample.land(base, new)
    (tmp_path / "failing").write_text("#!/bin/sh\ncat\n")
    assert sample.land(base, new)
    assert (sample.folder / "f2").read_text() == "two\n"
    assert git(sample.folder, "status", "--porcelain") == ""


def failing_work(sample, git, tmp_path, condition):
    """A checkout whose own required filter fails for f2 unless the condition holds for it."""
    base = sample.work({".gitattributes": "f* filter=once\n", "f1": "1\n", "f2": "2\n"})
    assert sample.land(sample.commit, base)
    failing = tmp_path / "failing"
    failing.write_text(
        f'#!/bin/sh\ntext=$(cat)\nif [ "$1" = f2 ]; then\n'
        f'echo "$text" | ({condition}) >&2 || exit 1\nfi\necho "$text"\n'
    )
    failing.chmod(0o755)
    git(sample.folder, "config", "filter.once.smudge", f"{failing} %f")
    git(sample.folder, "config", "filter.once.required", "true")
    git(sample.folder, "config", "filter.once.clean", "cat")
    return base, sample.work({"README.md": "Changed.\n", "f2": "two\n"}, base, id="w2")


def test_publishing_shows_the_work_and_again_changes_nothing(sample, git):
    new = sample.work({"a": "1\n"})
    workspaces = sample.workspaces
    assert workspaces.publish(REPO, sample.git_dir, "muster/mu-1", new)
    assert git(sample.folder, "rev-parse", "muster/mu-1") == new
    assert git(sample.folder, "show", "muster/mu-1:a") == "1"
    before = everything(sample.folder)
    assert workspaces.publish(REPO, sample.git_dir, "refs/heads/muster/mu-1", new)
    assert everything(sample.folder) == before
    newer = sample.work({"b": "2\n"}, id="w2")
    assert workspaces.publish(REPO, sample.git_dir, "muster/mu-1", newer)
    assert git(sample.folder, "rev-parse", "muster/mu-1") == newer
    assert git(sample.folder, "status", "--porcelain") == ""


def test_a_published_branch_that_the_user_is_on_or_built_upon_is_left(sample, git):
    new, newer = sample.work({"a": "1\n"}), sample.work({"b": "2\n"}, id="w2")
    workspaces = sample.workspaces
    workspaces.publish(REPO, sample.git_dir, "muster/mu-1", new)
    git(sample.folder, "checkout", "--quiet", "muster/mu-1")
    assert not workspaces.publish(REPO, sample.git_dir, "muster/mu-1", newer)
    git(sample.folder, "commit", "--quiet", "--allow-empty", "--message", "Mine")
    mine = git(sample.folder, "rev-parse", "HEAD")
    git(sample.folder, "checkout", "--quiet", "main")
    assert not workspaces.publish(REPO, sample.git_dir, "muster/mu-1", newer)
    assert git(sample.folder, "rev-parse", "muster/mu-1") == mine


def test_a_tasks_branch_goes_along_with_the_merge(sample, git):
    new = sample.work({"a": "1\n"})
    assert sample.land(sample.commit, new, show=("muster/mu-1", new))
    assert git(sample.folder, "rev-parse", "main", "muster/mu-1").split() == [new, new]
    newer = sample.work({"b": "1\n"}, new, id="w2")
    merged = sample.workspaces.merge(REPO, new, newer, "merge", "M", "A", "a@b").commit
    before = sample.workspaces.git.started
    assert sample.land(new, merged, show=("muster/mu-1", newer))
    assert sample.workspaces.git.started - before == 7
    assert git(sample.folder, "rev-parse", "main", "muster/mu-1").split() == [merged, newer]
    assert git(sample.folder, "fsck", "--strict") == ""


def test_after_a_landing_there_is_nothing_to_fetch(sample):
    new = sample.work({"a": "1\n"})
    assert sample.land(sample.commit, new)
    before = sample.workspaces.git.started
    assert sample.workspaces.mirror(REPO).fetch(sample.git_dir, "main") == new
    assert sample.workspaces.git.started == before


def test_a_tasks_branch_that_cannot_go_along_does_not_stand_in_the_way(sample, git):
    new = sample.work({"a": "1\n"})
    sample.workspaces.publish(REPO, sample.git_dir, "muster/mu-1", new)
    git(sample.folder, "checkout", "--quiet", "muster/mu-1")
    git(sample.folder, "commit", "--quiet", "--allow-empty", "--message", "Mine")
    mine = git(sample.folder, "rev-parse", "HEAD")
    git(sample.folder, "checkout", "--quiet", "main")
    other = sample.work({"b": "1\n"}, id="w2")
    assert sample.land(sample.commit, other, show=("muster/mu-1", other))
    assert git(sample.folder, "rev-parse", "main", "muster/mu-1").split() == [other, mine]
    # A folder of refs where the branch should be: git refuses it together with the merge.
    git(sample.folder, "update-ref", "refs/heads/muster/mu-2/x", other)
    last = sample.work({"c": "1\n"}, other, id="w3")
    with pytest.raises(GitFailed):
        sample.land(other, last, show=("muster/mu-2", last))
    assert git(sample.folder, "rev-parse", "main") == last
    assert git(sample.folder, "status", "--porcelain") == ""


def test_the_head_of_a_branch_is_read(sample):
    assert sample.workspaces.head(sample.git_dir, "main") == sample.commit
    assert sample.workspaces.head(sample.git_dir, "nope") is None
    with pytest.raises(Invalid):
        sample.workspaces.head(sample.git_dir, "--help")
