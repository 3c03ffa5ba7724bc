"""Setup layers: made once, under every workspace that they fit, and in no snapshot."""

from __future__ import annotations

import os

import pytest

from muster.domain.errors import Conflict, Invalid
from workspace.project import REPO

FILES = {"package.json": "{}\n", "src/a.js": "a\n", ".gitignore": "*.log\n"}


@pytest.fixture
def project(make_project, workspaces):
    return make_project(workspaces, files=FILES)


def set_up(project, key="key-1"):
    """What a setup command leaves: ignored and other files, links, programs, a changed file."""
    ws = project.open("setup")
    modules = ws.tree / "node_modules"
    (modules / "dep").mkdir(parents=True)
    (modules / "dep/index.js").write_text("dep\n")
    (modules / "dep/run").write_text("#!/bin/sh\n")
    (modules / "dep/run").chmod(0o755)
    (modules / "bin").symlink_to("dep/run")
    (ws.tree / "setup.log").write_text("log\n")
    (ws.tree / "src/gen.js").write_text("generated\n")
    (ws.tree / "package.json").write_text("rewritten by the setup\n")
    os.mkfifo(modules / "pipe")
    project.workspaces.save_layer(ws, key)
    project.workspaces.discard(ws)
    return key


def test_a_layer_lies_under_a_fresh_workspace(project):
    key = set_up(project)
    assert project.workspaces.has_layer(key)
    ws = project.open("coding-1", layer=key)
    assert project.workspaces.layer_of(ws) == key
    assert (ws.tree / "node_modules/bin").read_text() == "#!/bin/sh\n"
    assert os.access(ws.tree / "node_modules/dep/run", os.X_OK)
    assert (ws.tree / "setup.log").exists()
    assert (ws.tree / "src/gen.js").exists()
    assert not (ws.tree / "node_modules/pipe").exists()


def test_what_a_setup_changed_is_as_the_commit_has_it(project):
    ws = project.open("coding-1", layer=set_up(project))
    assert (ws.tree / "package.json").read_text() == "{}\n"
    assert (ws.tree / "src/a.js").read_text() == "a\n"


def test_nothing_of_a_layer_enters_a_snapshot(project):
    ws = project.open("coding-1", layer=set_up(project))
    assert project.snapshot(ws) is None
    (ws.tree / "node_modules/dep/index.js").write_text("patched\n")
    (ws.tree / "node_modules/new.js").write_text("new\n")
    (ws.tree / "src/gen.js").write_text("regenerated\n")
    (ws.tree / "src/b.js").write_text("b\n")
    changes = project.workspaces.changes(REPO, project.commit, project.snapshot(ws))
    assert [change.path for change in changes] == ["src/b.js"]
    assert project.workspaces.close(ws) is None


def test_the_agent_does_not_see_a_layer_as_its_own_work(project):
    ws = project.open("coding-1", layer=set_up(project))
    assert project.git(ws.tree, "status", "--porcelain") == ""


def test_one_workspace_does_not_alter_it_for_another(project):
    key = set_up(project)
    first = project.open("first", layer=key)
    with (first.tree / "node_modules/dep/index.js").open("a") as file:
        file.write("appended in place\n")
    (first.tree / "setup.log").unlink()
    second = project.open("second", layer=key)
    assert (second.tree / "node_modules/dep/index.js").read_text() == "dep\n"
    assert (second.tree / "setup.log").exists()


def test_it_is_there_again_after_a_restart(project, make_workspaces, backend):
    ws = project.open("coding-1", layer=set_up(project))
    restarted = make_workspaces(backend)
    again = restarted.reopen(ws.id)
    assert (again.tree / "node_modules/dep/index.js").read_text() == "dep\n"
    assert restarted.layer_of(again) is not None


@pytest.mark.parametrize(
    "files",
    [
        {"node_modules/own.js": "tracked\n"},
        {"setup.log": "tracked after all\n"},
        {"src/gen.js": "tracked\n"},
        {"node_modules": "a file\n"},
    ],
)
def test_a_layer_that_would_hide_files_of_the_commit_is_not_used(project, files):
    key = set_up(project)
    ((name, text),) = files.items()
    commit = _commit(project, name, text)
    ws = project.open("coding-1", commit, layer=key)
    assert project.workspaces.layer_of(ws) is None
    assert project.snapshot(ws, commit) is None
    assert (ws.tree / name).read_text() == text


def _commit(project, name, text):
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    project.git(project.folder, "add", "--force", name)
    project.git(project.folder, "commit", "--quiet", "--message", "In the way")
    return project.workspaces.mirror(REPO).fetch(project.git_dir, "main")


def test_a_layer_is_not_written_through_a_link_of_the_commit(project, tmp_path):
    key = set_up(project)
    outside = tmp_path / "outside"
    outside.mkdir()
    project.git(project.folder, "rm", "--quiet", "-r", "src")
    (project.folder / "src").symlink_to(outside)
    commit = project.user_commits({})
    ws = project.open("coding-1", commit, layer=key)
    assert project.workspaces.layer_of(ws) is None
    assert list(outside.iterdir()) == []


def test_a_layer_fits_a_commit_without_its_folder(project):
    key = set_up(project)
    project.git(project.folder, "rm", "--quiet", "-r", "src")
    commit = project.user_commits({"b": "b\n"})
    ws = project.open("coding-1", commit, layer=key)
    assert (ws.tree / "src/gen.js").read_text() == "generated\n"
    assert project.snapshot(ws, commit) is None


def test_a_layer_that_is_not_kept_is_no_hindrance(project):
    ws = project.open("coding-1", layer="nothing-yet")
    assert project.workspaces.layer_of(ws) is None
    assert not project.workspaces.has_layer("nothing-yet")


def test_a_layer_of_nothing_is_kept_too(project):
    ws = project.open("setup")
    project.workspaces.save_layer(ws, "empty")
    project.workspaces.save_layer(ws, "empty")
    again = project.open("coding-1", layer="empty")
    assert project.workspaces.layer_of(again) == "empty"


def test_a_setup_that_planted_a_link_takes_nothing_from_behind_it(project, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("SECRET\n")
    ws = project.open("setup")
    (ws.tree / "out").symlink_to(secret)
    project.workspaces.save_layer(ws, "key-1")
    again = project.open("coding-1", layer="key-1")
    assert (again.tree / "out").is_symlink()
    kept = project.workspaces.home / "layers" / "key-1" / "files"
    assert [path.name for path in kept.iterdir()] == ["out"]


def test_only_a_workspace_that_no_agent_used_gives_a_layer(project):
    ws = project.open("coding-1")
    (ws.tree / "a").write_text("1\n")
    project.snapshot(ws)
    with pytest.raises(Conflict, match="only a setup command"):
        project.workspaces.save_layer(ws, "key-1")


def test_a_layer_half_saved_is_never_seen(project):
    ws = project.open("setup")
    (ws.tree / "deep").mkdir()
    for number in range(50):
        (ws.tree / f"deep/{number}").write_text("x\n")
    folder = project.workspaces.home / "layers"
    folder.mkdir()
    (folder / ".new-left-by-a-crash" / "files").mkdir(parents=True)
    assert not project.workspaces.has_layer("key-1")
    project.workspaces.save_layer(ws, "key-1")
    assert project.workspaces.has_layer("key-1")


def test_a_key_follows_the_command_and_what_the_project_depends_on(sample):
    key = sample.workspaces.layer_key
    at = {"base": sample.commit}
    at["code"] = sample.user_commits({"more.py": "x\n"})
    at["manifest"] = sample.user_commits({"web/package-lock.json": "{}\n"})
    at["moved"] = sample.user_commits({"requirements-dev.txt": "pytest\n"})
    keys = {name: key(REPO, commit, "make deps") for name, commit in at.items()}
    assert keys["base"] == keys["code"]
    assert len(set(keys.values())) == 3
    assert key(REPO, at["base"], "make other") != keys["base"]
    with pytest.raises(Invalid):
        sample.workspaces.has_layer("../x")
