"""A session of Gemini CLI gets the name of a bygone minute, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from muster.agents.gemini_sessions import make_older

SESSION = "1b957a29-dea1-486e-bae3-6a6ed35c6dbf"
FILE = "session-2026-11-21T21-59-1b957a29.jsonl"
OLDER = "session-2000-01-01T00-00-1b957a29.jsonl"


def chats(user: Path, *names: str) -> Path:
    folder = user / ".gemini" / "tmp" / "tree" / "chats"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
    return folder


def test_the_first_file_of_the_session_is_renamed_once(tmp_path):
    other = "session-2026-11-21T21-59-93c59482.jsonl"
    folder = chats(tmp_path, FILE, other)
    for _ in range(2):
        make_older(tmp_path, SESSION)
        assert {path.name for path in folder.iterdir()} == {OLDER, other}
        assert (folder / OLDER).read_text() == FILE
    (folder / FILE).write_text("begun by a load")
    make_older(tmp_path, SESSION)
    assert (folder / OLDER).read_text() == FILE


def test_no_link_is_followed_to_the_sessions_of_others(tmp_path):
    theirs = chats(tmp_path / "theirs", FILE)
    for below in (".gemini", ".gemini/tmp", ".gemini/tmp/tree", ".gemini/tmp/tree/chats"):
        mine = tmp_path / below.replace("/", "-")
        (mine / below).parent.mkdir(parents=True)
        (mine / below).symlink_to(tmp_path / "theirs" / below)
        make_older(mine, SESSION)
        assert [path.name for path in theirs.iterdir()] == [FILE]


def test_what_is_no_session_of_its_is_left_alone(tmp_path):
    folder = chats(tmp_path, FILE)
    for name in ("latest", "1b957a29", "../../x", "1b957a29-.*"):
        make_older(tmp_path, name)
    make_older(tmp_path / "nobody", SESSION)
    assert [path.name for path in folder.iterdir()] == [FILE]
