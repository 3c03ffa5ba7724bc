"""Merging, rebasing, mixing and comparing commits, in the mirror alone."""

from __future__ import annotations

import pytest

from muster.domain.errors import GitFailed, Invalid, NotFound, Unavailable
from muster.supervision.evidence import added_lines
from muster.workspace.compare import CUT
from muster.workspace.git import Git
from muster.workspace.workspaces import Change, Conflicted, Merged, Workspaces
from workspace.project import REPO, WHEN

TESTS = ("test_*", "*_test.*", "tests/", "conftest.py")


def merge(project, target, work, method="merge", when=WHEN):
    return project.workspaces.merge(
        REPO, target, work, method, "Merge it\n", "A Person", "a@example.org", when
    )


def parents(project, commit):
    return project.git_in_mirror("rev-parse", f"{commit}^@").split()


def test_work_and_a_moved_branch_become_one(sample):
    work = sample.work({"a": "1\n"})
    target = sample.user_commits({"user": "u\n"})
    merged = merge(sample, target, work)
    assert isinstance(merged, Merged)
    assert parents(sample, merged.commit) == [target, work]
    assert {"a", "user"} <= set(sample.files(merged.commit))


def test_a_fast_forward_is_still_a_merge_commit(sample):
    work = sample.work({"a": "1\n"})
    merged = merge(sample, sample.commit, work)
    assert parents(sample, merged.commit) == [sample.commit, work]
    assert sample.files(merged.commit) == sample.files(work)


def test_the_same_merge_at_the_same_time_is_the_same_commit(sample):
    work = sample.work({"a": "1\n"})
    target = sample.user_commits({"user": "u\n"})
    assert merge(sample, target, work) == merge(sample, target, work)


def test_what_the_target_has_already_is_the_target(sample):
    target = sample.user_commits({"user": "u\n"})
    assert merge(sample, target, sample.commit) == Merged(target)


def test_a_conflict_tells_each_version_and_makes_no_commit(sample):
    work = sample.work({"README.md": "Theirs.\n", "sums.py": None, "name with\nend": "x\n"})
    target = sample.user_commits({"README.md": "Ours.\n", "sums.py": "changed\n"})
    outcome = merge(sample, target, work)
    assert isinstance(outcome, Conflicted)
    by_path = {path.path: path for path in outcome.paths}
    assert set(by_path) == {"README.md", "sums.py"}
    readme = by_path["README.md"]
    assert (readme.base, readme.ours, readme.theirs) == ("A sample.\n", "Ours.\n", "Theirs.\n")
    assert "<<<<<<<" in readme.marked
    assert "Theirs." in readme.marked
    assert by_path["sums.py"].theirs == ""
    assert by_path["sums.py"].ours == "changed\n"


def test_conflicts_are_capped_in_number_and_size(sample):
    names = [f"c{n:02}" for n in range(60)]
    work = sample.work(dict.fromkeys(names, "theirs\n" * 20000))
    target = sample.user_commits(dict.fromkeys(names, "ours\n"))
    outcome = merge(sample, target, work)
    assert isinstance(outcome, Conflicted)
    assert (len(outcome.paths), outcome.more) == (50, 10)
    assert max(len(path.theirs) for path in outcome.paths) == 64 * 1024


def test_a_binary_conflict_has_no_text(sample):
    ws = sample.open("w")
    (ws.tree / "b").write_bytes(b"\0theirs")
    work = sample.snapshot(ws)
    (sample.folder / "b").write_bytes(b"\0ours")
    outcome = merge(sample, sample.user_commits({}), work)
    assert isinstance(outcome, Conflicted)
    assert (outcome.paths[0].ours, outcome.paths[0].theirs) == ("", "")


def test_a_repositorys_merge_drivers_do_not_take_part(sample, tmp_path):
    mark = tmp_path / "mark"
    base = sample.user_commits({".gitattributes": "* merge=evil\n", "f": "1\n2\n3\n"})
    mirror = sample.workspaces.mirror(REPO)
    assert "evil" not in (mirror.path / "config").read_text()
    sample.git(sample.folder, "config", "merge.evil.driver", f"touch {mark}")
    work = sample.work({"f": "one\n2\n3\n"}, base)
    target = sample.user_commits({"f": "1\n2\nthree\n"})
    merged = merge(sample, target, work)
    assert isinstance(merged, Merged)
    assert sample.files(merged.commit)["f"] == "100644 one\n2\nthree\n"
    assert not mark.exists()


def test_a_rebase_sets_each_commit_upon_the_target(sample):
    first = sample.work({"a": "1\n"})
    ws = sample.open("second", first)
    (ws.tree / "b").write_text("2\n")
    second = sample.workspaces.snapshot(ws, first, "Second\n", "B", "b@example.org", WHEN).commit
    target = sample.user_commits({"user": "u\n"})
    done = merge(sample, target, second, "rebase")
    assert isinstance(done, Merged)
    shown = sample.git_in_mirror("log", "--format=%an|%ae|%at|%cn|%s", f"{target}..{done.commit}")
    assert shown.splitlines() == [
        "B|b@example.org|1767323045|A Person|Second",
        "A Person|p@example.org|1767323045|A Person|Work",
    ]
    assert sample.git_in_mirror("rev-list", "--merges", done.commit) == ""
    assert {"a", "b", "user"} <= set(sample.files(done.commit))


def test_a_rebase_that_is_ahead_already_stays_as_it_is(sample):
    work = sample.work({"a": "1\n"})
    assert merge(sample, sample.commit, work, "rebase") == Merged(work)


def test_a_rebase_drops_what_the_target_has_by_now(sample):
    work = sample.work({"a": "1\n"})
    target = sample.user_commits({"a": "1\n"})
    assert merge(sample, target, work, "rebase") == Merged(target)


def test_a_rebase_flattens_merges(sample):
    work = sample.work({"a": "1\n"})
    other = sample.work({"b": "2\n"}, id="o")
    joined = merge(sample, work, other)
    done = merge(sample, sample.commit, joined.commit, "rebase")
    assert sample.git_in_mirror("rev-list", "--merges", done.commit) == ""
    assert {"a", "b"} <= set(sample.files(done.commit))


def test_a_rebase_stops_at_a_conflict(sample):
    work = sample.work({"README.md": "Theirs.\n"})
    target = sample.user_commits({"README.md": "Ours.\n"})
    outcome = merge(sample, target, work, "rebase")
    assert isinstance(outcome, Conflicted)
    assert outcome.paths[0].ours == "Ours.\n"


def test_an_unknown_method_is_named(sample):
    with pytest.raises(Invalid, match="'squash'"):
        merge(sample, sample.commit, sample.commit, "squash")


def test_an_old_git_is_told_apart(home, tmp_path):
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.37.1\n")
    old.chmod(0o755)
    workspaces = Workspaces(home, {}, Git(str(old)))
    with pytest.raises(Unavailable, match=r"2\.37\.1") as caught:
        workspaces.merge(REPO, "0" * 40, "1" * 40, "merge", "m", "a", "b")
    assert "2.38" in caught.value.hint


def test_histories_with_nothing_in_common_are_refused(sample, git):
    git(sample.folder, "checkout", "--quiet", "--orphan", "apart")
    apart = sample.user_commits({"x": "x\n"})
    with pytest.raises(GitFailed, match="unrelated"):
        merge(sample, sample.commit, apart)


# --- comparing ---


def test_changes_tell_path_status_and_lines(sample):
    ws = sample.open("w")
    (ws.tree / "README.md").write_text("A sample.\nMore.\n")
    (ws.tree / "sums.py").rename(ws.tree / "add\ted\n.py")
    (ws.tree / "test_sums.py").unlink()
    (ws.tree / "bin").write_bytes(b"\0\1")
    (ws.tree / "new").write_text("1\n2\n")
    found = sample.workspaces.changes(REPO, sample.commit, sample.snapshot(ws))
    assert {c.path: c for c in found} == {
        "README.md": Change("README.md", None, "modified", 1, 0, False),
        "add\ted\n.py": Change("add\ted\n.py", "sums.py", "renamed", 0, 0, False),
        "test_sums.py": Change("test_sums.py", None, "deleted", 0, 5, False),
        "bin": Change("bin", None, "added", 0, 0, True, 2),
        "new": Change("new", None, "added", 2, 0, False),
    }
    assert sample.workspaces.changes(REPO, sample.commit, sample.commit) == ()


def test_a_file_that_becomes_a_link_is_modified(sample):
    ws = sample.open("w")
    (ws.tree / "README.md").unlink()
    (ws.tree / "README.md").symlink_to("sums.py")
    (change,) = sample.workspaces.changes(REPO, sample.commit, sample.snapshot(ws))
    assert (change.path, change.status) == ("README.md", "modified")


def test_a_patch_is_shown_cut_at_its_limit(sample):
    work = sample.work({"a": "line\n" * 1000, "sums.py": "s = 1\n"})
    workspaces = sample.workspaces
    whole = workspaces.patch(REPO, sample.commit, work, "sums.py")
    assert whole.startswith("diff --git a/sums.py b/sums.py\n")
    assert "+s = 1\n" in whole
    assert CUT not in whole
    cut = workspaces.patch(REPO, sample.commit, work, "a", limit=200)
    assert cut.endswith("+line\n" + CUT)
    assert len(cut) <= 200 + len(CUT)


def test_a_rename_is_shown_when_both_names_are_given(sample):
    ws = sample.open("w")
    (ws.tree / "sums.py").rename(ws.tree / "totals.py")
    commit = sample.snapshot(ws)
    text = sample.workspaces.patch(REPO, sample.commit, commit, "totals.py", old_path="sums.py")
    assert "rename from sums.py" in text


def test_a_path_with_magic_is_taken_literally(sample):
    work = sample.work({"*": "star\n", ":(top)x": "magic\n", "other": "o\n"})
    text = sample.workspaces.patch(REPO, sample.commit, work, "*")
    assert "+star" in text
    assert "other" not in text
    assert sample.workspaces.read_file(REPO, work, ":(top)x") == b"magic\n"


def test_between_equal_files_there_is_no_patch(sample):
    assert sample.workspaces.patches(REPO, sample.commit, sample.commit) == {}
    assert sample.workspaces.added_lines(REPO, sample.commit, sample.commit) == {}


def test_all_patches_come_at_once_by_path(sample):
    files = {"a": "diff --git a/x b/x\n--- a/x\n", "b\n": "2\n", "sums.py": None}
    work = sample.work(files)
    found = sample.workspaces.patches(REPO, sample.commit, work, limit=10_000)
    assert set(found) == set(files)
    assert "+diff --git a/x b/x\n" in found["a"]
    assert found["sums.py"].startswith("diff --git a/sums.py b/sums.py\ndeleted file")
    short = sample.workspaces.patches(REPO, sample.commit, work, limit=60)
    assert all(text.endswith(CUT) for text in short.values())


def test_a_file_that_becomes_a_link_has_one_patch_in_two_parts(sample):
    ws = sample.open("w")
    (ws.tree / "README.md").unlink()
    (ws.tree / "README.md").symlink_to("sums.py")
    (ws.tree / "sums.py").write_text("after\n")
    found = sample.workspaces.patches(REPO, sample.commit, sample.snapshot(ws))
    assert list(found) == ["README.md", "sums.py"]
    assert "+sums.py" in found["README.md"]
    assert "+after" in found["sums.py"]


def test_added_lines_agree_with_what_supervision_reads_from_a_patch(sample):
    work = sample.work({"a": "1\n++ 2\n", "README.md": "A sample.\nMore\n", "sums.py": None})
    found = sample.workspaces.added_lines(REPO, sample.commit, work)
    assert found == {"a": "1\n++ 2", "README.md": "More"}
    joined = "".join(sample.workspaces.patches(REPO, sample.commit, work).values())
    assert found == added_lines(joined)


def test_a_file_is_read_at_a_commit(sample):
    work = sample.work({"README.md": "Changed.\n"})
    workspaces = sample.workspaces
    assert workspaces.read_file(REPO, sample.commit, "README.md") == b"A sample.\n"
    assert workspaces.read_file(REPO, work, "README.md") == b"Changed.\n"
    assert workspaces.read_file(REPO, work, "README.md", limit=3) == b"Cha"
    with pytest.raises(NotFound, match=r"nope\.txt"):
        workspaces.read_file(REPO, work, "nope.txt")
    for path in ("../x", "/etc/passwd", "a/../../b", "", ".git/config", "a//b"):
        with pytest.raises(Invalid):
            workspaces.read_file(REPO, work, path)
    with pytest.raises(GitFailed):
        workspaces.read_file(REPO, "0" * 40, "README.md")


def test_ancestry(sample):
    work = sample.work({"a": "1\n"})
    is_ancestor = sample.workspaces.is_ancestor
    assert is_ancestor(REPO, sample.commit, work)
    assert is_ancestor(REPO, work, work)
    assert not is_ancestor(REPO, work, sample.commit)
    with pytest.raises(GitFailed):
        is_ancestor(REPO, "0" * 40, work)


# --- mixing ---


def test_a_mix_takes_tests_from_one_and_the_rest_from_the_other(sample):
    base = sample.user_commits({"tests/old.py": "old\n", "src/x_test.go": "go\n", "keep": "k\n"})
    work = sample.work(
        {
            "test_sums.py": "changed test\n",
            "tests/old.py": None,
            "tests/data/new.json": "{}\n",
            "pkg/tests/deep.py": "deep\n",
            "src/x_test.go": "go 2\n",
            "sums.py": "changed code\n",
            "keep": None,
        },
        base,
    )
    mix = sample.workspaces.mixed
    result_with_base_tests = sample.files(mix(REPO, work, base, TESTS))
    base_files, work_files = sample.files(base), sample.files(work)
    tests = {"test_sums.py", "tests/old.py", "src/x_test.go"}
    code = {path: text for path, text in work_files.items() if path in {"sums.py", "README.md"}}
    assert result_with_base_tests == code | {path: base_files[path] for path in tests}
    base_with_result_tests = sample.files(mix(REPO, base, work, TESTS))
    expected = {p: base_files[p] for p in ("sums.py", "README.md", "keep")}
    more = ("test_sums.py", "tests/data/new.json", "pkg/tests/deep.py", "src/x_test.go")
    assert base_with_result_tests == expected | {p: work_files[p] for p in more}


def test_a_mix_that_is_one_of_both_is_that_commit(sample):
    code = sample.work({"sums.py": "changed\n"})
    tests = sample.work({"test_new.py": "new\n"}, id="t")
    mix = sample.workspaces.mixed
    assert mix(REPO, code, sample.commit, TESTS) == code
    assert mix(REPO, sample.commit, tests, TESTS) == tests
    assert mix(REPO, tests, sample.commit, TESTS) == sample.commit


def test_the_same_mix_is_the_same_commit(sample):
    work = sample.work({"sums.py": "changed\n", "test_new.py": "new\n"})
    mix = sample.workspaces.mixed
    assert mix(REPO, work, sample.commit, TESTS) == mix(REPO, work, sample.commit, TESTS)


def test_a_mix_lets_files_and_folders_change_places(sample):
    base = sample.user_commits({"tests": "a file\n", "x": "x\n"})
    ws = sample.open("w", base)
    (ws.tree / "tests").unlink()
    (ws.tree / "tests").mkdir()
    (ws.tree / "tests/a.py").write_text("a\n")
    (ws.tree / "x").write_text("y\n")
    work = sample.snapshot(ws, base)
    made = sample.workspaces.mixed(REPO, base, work, ("tests/", "tests"))
    assert sample.files(made)["tests/a.py"] == "100644 a\n"
    assert sample.files(made)["x"] == "100644 x\n"


def test_what_keeps_two_commits_apart_is_told_by_its_paths(sample):
    one, other = sample.work({"a b": "1\n", "c": "c\n"}), sample.user_commits({"a b": "2\n"})
    assert sample.workspaces.conflicting(REPO, one, other) == ("a b",)
    assert sample.workspaces.conflicting(REPO, one, sample.commit) == ()
