"""Snapshots: what is in a tree, as one commit, whatever the agent did to it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from muster.domain.errors import GitFailed, Invalid
from muster.workspace import look
from muster.workspace.checkout import copy_index
from workspace.project import REPO


def test_an_untouched_workspace_has_no_snapshot(project):
    assert project.snapshot(project.open()) is None


def test_a_snapshot_is_one_commit_on_its_parent_by_its_author(project):
    ws = project.open()
    (ws.tree / "new.py").write_text("n = 1\n")
    commit = project.snapshot(ws)
    shown = project.git_in_mirror("log", "-1", "--format=%P|%an|%ae|%cn|%at|%B", commit)
    assert shown == f"{project.commit}|A Person|p@example.org|A Person|1767323045|Work"
    assert project.files(commit) == project.files(project.commit) | {"new.py": "100644 n = 1\n"}


def test_every_kind_of_change_is_in_it(make_project, workspaces):
    names = ("kept", "edited", "gone", "moved", "to_link", "to_folder", "mode", "folder/x")
    project = make_project(workspaces, files={name: f"{name}\n" for name in names})
    ws = project.open()
    tree = ws.tree
    (tree / "edited").write_text("other\n")
    (tree / "gone").unlink()
    (tree / "moved").rename(tree / "renamed")
    (tree / "to_link").unlink()
    (tree / "to_link").symlink_to("/etc/passwd")
    (tree / "to_folder").unlink()
    (tree / "to_folder").mkdir()
    (tree / "to_folder/in").write_text("in\n")
    (tree / "mode").chmod(0o755)
    (tree / "folder/x").unlink()
    (tree / "folder").rmdir()
    (tree / "folder").write_text("a file now\n")
    (tree / "empty/er").mkdir(parents=True)
    for name in ("sp ace", "ünïcode", "line\nend", "-x", '"quoted"', "tab\t", "*?[a]", "\\back"):
        (tree / name).write_text("odd\n")
    found = project.files(project.snapshot(ws))
    odd = {"sp ace", "ünïcode", "line\nend", "-x", '"quoted"', "tab\t", "*?[a]", "\\back"}
    assert found == dict.fromkeys(odd, "100644 odd\n") | {
        "kept": "100644 kept\n",
        "edited": "100644 other\n",
        "renamed": "100644 moved\n",
        "to_link": "120000 /etc/passwd",
        "to_folder/in": "100644 in\n",
        "mode": "100755 mode\n",
        "folder": "100644 a file now\n",
    }


def test_it_goes_on_from_the_last_one(project):
    ws = project.open()
    (ws.tree / "a").write_text("1\n")
    first = project.snapshot(ws)
    (ws.tree / "b").write_text("2\n")
    (ws.tree / "a").unlink()
    second = project.snapshot(ws, first)
    assert set(project.files(second)) - set(project.files(project.commit)) == {"b"}
    assert project.git_in_mirror("rev-parse", f"{second}^") == first


def test_the_same_tree_on_the_same_parent_is_the_same_commit(project):
    ws = project.open()
    (ws.tree / "a").write_text("1\n")
    first = project.snapshot(ws)
    again = project.workspaces.snapshot(ws, project.commit, "Later", "Else", "e@example.org").commit
    assert again == first


def test_work_that_was_taken_back_is_no_change(project):
    ws = project.open()
    (ws.tree / "a").write_text("1\n")
    project.snapshot(ws)
    (ws.tree / "a").unlink()
    assert project.snapshot(ws) is None


def test_a_workspace_on_earlier_work_gives_it_all_as_one_commit_on_the_base(project):
    first = project.work({"a": "1\n"})
    ws = project.open("again", first, near=project.commit)
    unchanged = project.snapshot(ws)
    assert project.files(unchanged) == project.files(first)
    (ws.tree / "b").write_text("2\n")
    both = project.snapshot(ws)
    assert {"a", "b"} <= set(project.files(both))
    assert project.git_in_mirror("rev-parse", f"{both}^") == project.commit


def test_ignored_files_and_droppings_stay_out(make_project, workspaces):
    project = make_project(workspaces, files={".gitignore": "build/\n*.log\n", "a": "a\n"})
    ws = project.open()
    (ws.tree / "build").mkdir()
    (ws.tree / "build/out").write_text("o\n")
    (ws.tree / "x.log").write_text("l\n")
    (ws.tree / ".aider.chat.history.md").write_text("chat\n")
    (ws.tree / ".aider.tags").mkdir()
    (ws.tree / ".aider.tags/x").write_text("t\n")
    (ws.tree / ".bashrc").write_text("")
    (ws.tree / ".mcp.json").write_text("")
    assert project.snapshot(ws) is None
    (ws.tree / ".bashrc").write_text("real content\n")
    assert ".bashrc" in project.files(project.snapshot(ws))


def test_a_gitignore_that_the_agent_wrote_counts_and_cannot_let_droppings_in(project):
    ws = project.open()
    (ws.tree / ".gitignore").write_text("*.tmp\n!.aider*\n")
    (ws.tree / "x.tmp").write_text("t\n")
    (ws.tree / ".aider.x").write_text("t\n")
    added = set(project.files(project.snapshot(ws))) - set(project.files(project.commit))
    assert added == {".gitignore"}


def test_what_the_caller_excludes_stays_as_it_was(project):
    ws = project.open()
    (ws.tree / "README.md").write_text("changed\n")
    (ws.tree / "results").mkdir()
    (ws.tree / "results/1.json").write_text("{}\n")
    (ws.tree / "kept.py").write_text("k\n")
    commit = project.snapshot(ws, exclude=("README.md", "results/"))
    files = project.files(commit)
    assert files["README.md"] == "100644 A sample.\n"
    assert "results/1.json" not in files
    assert "kept.py" in files


def test_pipes_sockets_and_devices_are_passed_over(project):
    ws = project.open()
    os.mkfifo(ws.tree / "pipe")
    (ws.tree / "README.md").unlink()
    os.mkfifo(ws.tree / "README.md")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(ws.tree, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
        (ws.tree / "file").write_text("f\n")
        files = project.files(project.snapshot(ws))
    assert files == project.files(project.commit) | {"file": "100644 f\n"}


def test_nothing_behind_a_link_is_read(project, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("SECRET\n")
    ws = project.open()
    (ws.tree / "lib").mkdir()
    (ws.tree / "lib/key").write_text("mine\n")
    first = project.snapshot(ws)
    (ws.tree / "lib/key").unlink()
    (ws.tree / "lib").rmdir()
    (ws.tree / "lib").symlink_to(secret)
    files = project.files(project.snapshot(ws, first))
    assert files["lib"] == f"120000 {secret}"
    assert "lib/key" not in files


def test_a_file_behind_an_ignored_link_is_gone_not_read(project, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("SECRET\n")
    ws = project.open()
    (ws.tree / "lib").mkdir()
    (ws.tree / "lib/key").write_text("mine\n")
    first = project.snapshot(ws)
    (ws.tree / "lib/key").unlink()
    (ws.tree / "lib").rmdir()
    (ws.tree / "lib").symlink_to(secret)
    (ws.tree / ".gitignore").write_text("lib\n")
    files = project.files(project.snapshot(ws, first))
    assert not {"lib", "lib/key"} & set(files)


def test_planted_repositories_are_reported_and_left_out(project, git):
    ws = project.open()
    planted = ws.tree / "vendor" / "planted"
    planted.mkdir(parents=True)
    git(planted, "init", "--quiet")
    (planted / "f").write_text("f\n")
    git(planted, "add", "f")
    git(planted, "commit", "--quiet", "--message", "Planted")
    (ws.tree / "vendor" / "own").write_text("own\n")
    assert project.taken(ws).nested == ("vendor/planted",)
    files = project.files(project.snapshot(ws))
    assert set(files) - set(project.files(project.commit)) == {"vendor/own"}


def test_a_git_folder_planted_over_tracked_files_hides_nothing(make_project, workspaces, git):
    project = make_project(workspaces, files={"src/a.py": "a\n"})
    ws = project.open()
    git(ws.tree / "src", "init", "--quiet")
    (ws.tree / "src/a.py").write_text("changed\n")
    (ws.tree / "src/new.py").write_text("new\n")
    files = project.files(project.snapshot(ws))
    assert files == {"src/a.py": "100644 changed\n", "src/new.py": "100644 new\n"}


def test_submodules_of_the_commit_stay_as_they_are(make_project, workspaces, git, git_repo):
    inner = git_repo("inner")
    project = make_project(workspaces)
    git(project.folder, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "sub")
    commit = project.user_commits({})
    link = git(project.folder, "ls-tree", "HEAD", "sub")
    ws = project.open("with-sub", commit)
    assert project.snapshot(ws, commit) is None
    (ws.tree / "sub").rmdir()
    (ws.tree / "sub").write_text("no more\n")
    assert project.snapshot(ws, commit) is None
    (ws.tree / "sub").unlink()
    (ws.tree / "sub").mkdir()
    git(ws.tree / "sub", "init", "--quiet")
    (ws.tree / "sub/x").write_text("x\n")
    (ws.tree / "a").write_text("a\n")
    made = project.snapshot(ws, commit)
    assert project.git_in_mirror("ls-tree", made, "sub") == link
    assert project.taken(ws).nested == ()


def test_a_file_rewritten_at_once_with_the_same_size_is_seen(project):
    ws = project.open()
    for text in ("A sAmple.\n", "A sample!\n", "A Sample.\n"):
        (ws.tree / "README.md").write_text(text)
        assert project.files(project.snapshot(ws))["README.md"] == f"100644 {text}"


def test_a_copied_index_keeps_the_time_by_which_git_judges_it(tmp_path):
    """A fresh time would make git trust entries that were written in the same second."""
    (tmp_path / "index").write_bytes(b"index")
    os.utime(tmp_path / "index", (1, 1))
    copy_index(tmp_path / "index", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mtime == 1


def test_line_ends_are_kept_as_the_repository_says(make_project, workspaces):
    files = {".gitattributes": "*.txt text eol=crlf\n", "a.txt": "a\n"}
    project = make_project(workspaces, files=files)
    ws = project.open()
    assert (ws.tree / "a.txt").read_bytes() == b"a\r\n"
    assert project.snapshot(ws) is None
    (ws.tree / "b.txt").write_bytes(b"b\r\n")
    assert project.files(project.snapshot(ws))["b.txt"] == "100644 b\n"


@pytest.mark.parametrize(("file", "most"), [("a", 1), (".gitattributes", 3)])
def test_it_takes_one_git_process_and_three_when_only_git_can_tell(project, file, most):
    ws = project.open()
    project.workspaces.mirror(REPO).has(project.commit)
    git = project.workspaces.git
    (ws.tree / file).write_text("1\n")
    (ws.tree / "README.md").unlink()
    before = git.started
    project.snapshot(ws)
    assert git.started - before == most
    project.snapshot(ws)
    assert git.started - before == most + 1


def test_what_is_excluded_stays_as_the_last_snapshot_has_it(project):
    ws = project.open()
    (ws.tree / "README.md").write_text("once\n")
    project.snapshot(ws)
    (ws.tree / "README.md").write_text("twice\n")
    (ws.tree / "more").write_text("m\n")
    files = project.files(project.snapshot(ws, exclude=("README.md",)))
    assert files["README.md"] == "100644 once\n"
    assert files["more"] == "100644 m\n"


def test_a_large_tree_is_asked_about_only_where_it_was_touched(make_project, workspaces, git):
    # Long names make git's index large with few files.
    many = {f"d{n % 97}/{'long' * 45}{n}": f"{n}\n" for n in range(2_500)}
    project = make_project(workspaces, files=many)
    ws = project.open()
    index = (ws.root / "control" / "index").stat().st_size
    assert index > look._SMALL_INDEX
    assert project.snapshot(ws) is None
    (ws.tree / f"d1/{'long' * 45}1").write_text("changed\n")
    (ws.tree / f"d2/{'long' * 45}2").unlink()
    shutil.move(ws.tree / "d3", ws.tree / "moved")
    for path in (ws.tree / "d4").iterdir():
        path.unlink()
    (ws.tree / "d4").rmdir()
    (ws.tree / "d4").mkdir()
    (ws.tree / "d4/only").write_text("only\n")
    (ws.tree / "new/er").mkdir(parents=True)
    (ws.tree / "new/er/x").write_text("x\n")
    (ws.tree / ".aider.x").write_text("x\n")
    git(ws.tree / "new", "init", "--quiet", "nested")
    changes = project.workspaces.changes(REPO, project.commit, project.snapshot(ws))
    by_status: dict[str, set[str]] = {}
    for change in changes:
        by_status.setdefault(change.status, set()).add(change.path)
    third = {n for n in many if n.startswith("d3/")}
    fourth = {n for n in many if n.startswith("d4/")}
    assert by_status["modified"] == {f"d1/{'long' * 45}1"}
    assert by_status["added"] == {"d4/only", "new/er/x"}
    assert by_status["deleted"] == {f"d2/{'long' * 45}2"} | fourth
    assert by_status["renamed"] == {f"moved/{n.split('/')[1]}" for n in third}
    assert project.taken(ws).nested == ("new/nested",)


def test_more_changes_than_can_be_asked_about_are_all_found(make_project, workspaces):
    project = make_project(workspaces, files={f"d/f{n}": f"{n}\n" for n in range(300)})
    ws = project.open()
    for n in range(300):
        (ws.tree / f"d/f{n}").write_text("changed\n")
    changes = project.workspaces.changes(REPO, project.commit, project.snapshot(ws))
    assert len(changes) == 300


def test_an_author_without_a_name_is_refused(project):
    ws = project.open()
    (ws.tree / "a").write_text("1\n")
    with pytest.raises(Invalid, match="cannot be the author"):
        project.workspaces.snapshot(ws, project.commit, "m", " <> ", "e@example.org")


def test_a_parent_that_is_not_known_is_said(project):
    ws = project.open()
    (ws.tree / "a").write_text("1\n")
    with pytest.raises(GitFailed):
        project.snapshot(ws, "0" * 40)


def test_a_workspace_without_its_record_is_refused(project):
    ws = project.open()
    Path(ws.root / "control" / "state.json").unlink()
    with pytest.raises(Invalid, match="never finished"):
        project.snapshot(ws)
