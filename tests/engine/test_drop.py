"""Files in the folder of events: good ones are events once, others are laid aside with a reason."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contracts.store import add_project, add_task
from engine.houses import town
from house.databases import put_database
from muster.domain.errors import Invalid, MusterError, Unavailable
from muster.domain.event import Event
from muster.engine.drop import Drop
from muster.engine.drop_folder import DropFolder
from muster.runtimes.hints import Hints
from muster.store import events
from muster.store.sqlite import SqliteStore

OWN = {"type": "ci.finished"}
AN_HOUR, A_SECOND = 3601, 2
KEPT = 50


@dataclass
class Place:
    """A folder of event files, and a store that takes them in."""

    folder: Path
    store: SqliteStore
    drop: Drop = field(init=False)

    def __post_init__(self) -> None:
        self.drop = Drop(DropFolder(self.folder, KEPT), self.store, Hints())

    def put(self, name: str, said: Any) -> Path:
        """A file, renamed into the folder."""
        text = said if isinstance(said, str) else json.dumps(said)
        draft = self.folder.parent / "draft"
        draft.write_text(text)
        return draft.rename(self.folder / name)

    async def events(self) -> list[Event]:
        found = await self.store.read(events.events_after, 0, limit=1000)
        return [event for event in found if event.type != "project.added"]

    def left(self) -> list[str]:
        """What lies there still, claimed or not."""
        own = {"taken", "rejected"}
        there = [path.name for path in self.folder.iterdir() if path.name not in own]
        return [*there, *(path.name for path in (self.folder / "taken").iterdir())]

    def rejected(self) -> dict[str, str]:
        """The reasons, by the names of the files that they are beside."""
        aside = self.folder / "rejected"
        names = [path.name for path in aside.iterdir() if not path.name.endswith(".reason.txt")]
        return {name: (aside / f"{name}.reason.txt").read_text() for name in names}


@asynccontextmanager
async def place_at(root: Path) -> AsyncIterator[Place]:
    await put_database(root)
    store = SqliteStore(root / "muster.db")
    place = Place(root / "events", store)
    await place.drop.look()
    try:
        yield place
    finally:
        await store.close()


def older(path: Path, seconds: float) -> None:
    """As if it had been written so long ago."""
    found = path.lstat()
    then = found.st_mtime - seconds
    os.utime(path, (then, then), follow_symlinks=False)


async def test_a_file_is_one_event_about_what_it_names_and_is_gone(tmp_path):
    async with place_at(tmp_path) as place:
        project = await add_project(place.store)
        task = await add_task(place.store, project)
        about = {**OWN, "subject": "build 7", "payload": {"ok": True}, "task": task.label}
        place.put("1.json", about)
        place.put("2.json", {**OWN, "project": "shop"})
        place.put("3.json", OWN)
        for _ in range(2):
            await place.drop.look()
        first, second, third = (await place.events())[-3:]
        assert (first.type, first.subject, first.payload) == (
            "ci.finished",
            "build 7",
            {"ok": True},
        )
        assert (first.task_id, first.project_id) == (task.id, task.project_id)
        assert (second.project_id, second.task_id) == (project, None)
        assert (third.subject, third.payload, third.project_id) == ("outside", {}, None)
        assert (place.left(), place.rejected()) == ([], {})


async def test_the_engine_looks_when_a_file_may_lead_a_task_on(tmp_path):
    async with place_at(tmp_path) as place:
        before = place.store.feed.moved
        place.put("1.json", {"type": "deploy.requested"})
        await place.drop.look()
        assert place.store.feed.moved == place.store.feed.rev > before


NOT_GOOD: dict[str, tuple[Callable[[Place, str], Any], str]] = {
    "array.json": (lambda p, n: p.put(n, [1]), "no JSON object"),
    "cut.json": (lambda p, n: p.put(n, '{"type": "ci.fin'), "no JSON in UTF-8"),
    "empty.json": (lambda p, n: p.put(n, ""), "no JSON in UTF-8"),
    "bytes.json": (lambda p, n: (p.folder / n).write_bytes(b"\xff{}"), "no JSON in UTF-8"),
    "deep.json": (lambda p, n: p.put(n, "[" * 200_000), "no JSON in UTF-8"),
    "nested.json": (
        lambda p, n: p.put(n, '{"type":"a.b","payload":{"a":' + "[" * 30 + "]" * 30 + "}}"),
        "more than 20 deep",
    ),
    "huge.json": (lambda p, n: sparse(p.folder / n, 3 * 10**9), "more than 300000 bytes"),
    "endless.json": (lambda p, n: p.put(n, '{"type":"a.b","payload":{"n":1e999}}'), "not finite"),
    "half.json": (lambda p, n: p.put(n, '{"type":"a.b","payload":{"n":"\\ud800"}}'), "Unicode"),
    "half-subject.json": (lambda p, n: p.put(n, '{"type":"a.b","subject":"\\udc00"}'), "Unicode"),
    "no-type.json": (lambda p, n: p.put(n, {"payload": {}}), "'type' is missing"),
    "type.json": (lambda p, n: p.put(n, {"type": 7}), "'type' is missing"),
    "subject.json": (lambda p, n: p.put(n, {**OWN, "subject": ["x"]}), "'subject' is missing"),
    "payload.json": (lambda p, n: p.put(n, {**OWN, "payload": [1]}), "'payload' must be an object"),
    "unknown.json": (lambda p, n: p.put(n, {**OWN, "cause": 1}), "an event has no 'cause'"),
    "both.json": (lambda p, n: p.put(n, {**OWN, "task": "1", "task_id": "1"}), "send one of them"),
    "nobody.json": (lambda p, n: p.put(n, {**OWN, "task": "MU-99"}), "no task 'MU-99'"),
    "nowhere.json": (lambda p, n: p.put(n, {**OWN, "project": "no"}), "no project 'no'"),
    "others.json": (lambda p, n: p.put(n, {**OWN, "task": "1", "project": "hut"}), "no task of"),
    "ours.json": (lambda p, n: p.put(n, {"type": "task.completed"}), "only muster itself says"),
    "ours-too.json": (lambda p, n: p.put(n, {"type": "agent.x"}), "only muster itself says"),
    "alone.json": (lambda p, n: p.put(n, {"type": "pr.approved"}), "is about a task"),
    "pipe.json": (lambda p, n: os.mkfifo(p.folder / n), "no ordinary file"),
    "link.json": (lambda p, n: (p.folder / n).symlink_to("/etc/passwd"), "no ordinary file"),
    "loop.json": (lambda p, n: (p.folder / n).symlink_to(n), "no ordinary file"),
    "folder.json": (lambda p, n: (p.folder / n / "in").mkdir(parents=True), "no ordinary file"),
    "notes.txt": (lambda p, n: p.put(n, OWN), "does not end in .json"),
    "upper.JSON": (lambda p, n: p.put(n, OWN), "does not end in .json"),
    "x" * 250 + ".json": (lambda p, n: p.put(n, {}), "'type' is missing"),
    os.fsdecode(b"\xff\n.json"): (lambda p, n: p.put(n, {}), "'type' is missing"),
    ".draft.json": (lambda p, n: older(p.put(n, OWN), AN_HOUR), "a draft that nobody has finished"),
}


def sparse(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


async def test_what_is_no_good_is_laid_aside_with_its_reason_and_the_good_is_kept(tmp_path):
    async with place_at(tmp_path) as place:
        await add_task(place.store, await add_project(place.store))
        await add_project(place.store, "hut")
        begun = len(await place.events())
        for name, (make, _) in NOT_GOOD.items():
            make(place, name)
            if (place.folder / name).is_file() and not name.startswith("."):
                older(place.folder / name, A_SECOND)
        place.put("good.json", OWN)
        outside = Path("/etc/passwd").read_bytes()
        await place.drop.look()
        assert [event.type for event in (await place.events())[begun:]] == ["ci.finished"]
        reasons = place.rejected()
        for name, (_, why) in NOT_GOOD.items():
            shown = name if len(name) < 200 else name[:200]
            assert why in reasons[shown], name
        assert len(reasons) == len(NOT_GOOD)
        assert place.left() == []
        assert (place.folder / "rejected/link.json").is_symlink()
        assert Path("/etc/passwd").read_bytes() == outside


async def test_a_file_that_is_written_in_place_counts_once_it_is_whole(tmp_path):
    async with place_at(tmp_path) as place:
        with (place.folder / "1.json").open("w") as file:
            file.write('{"type": ')
            file.flush()
            for _ in range(2):
                assert await place.drop.look() < 1
                assert (await place.events(), place.rejected()) == ([], {})
            file.write('"own.kind"}')
        await place.drop.look()
        assert [event.type for event in await place.events()] == ["own.kind"]
        assert (place.left(), place.rejected()) == ([], {})


async def test_a_torn_file_that_rests_is_laid_aside(tmp_path):
    async with place_at(tmp_path) as place:
        place.put("1.json", '{"type": ')
        await place.drop.look()
        assert place.rejected() == {}
        (claimed,) = (place.folder / "taken").iterdir()
        older(claimed, A_SECOND)
        await place.drop.look()
        assert place.rejected() == {"1.json": "it is no JSON in UTF-8\n"}
        assert place.left() == []


async def test_drafts_are_let_be(tmp_path):
    async with place_at(tmp_path) as place:
        drafts = {".1.json", "1.json.part", "2.tmp"}
        for name in drafts:
            place.put(name, OWN)
        (place.folder / ".git").mkdir()
        older(place.folder / ".git", 2 * AN_HOUR)
        await place.drop.look()
        assert set(place.left()) == {*drafts, ".git"}
        assert await place.events() == []


async def test_files_of_one_name_are_each_kept_or_laid_aside(tmp_path):
    async with place_at(tmp_path) as place:
        for n in range(3):
            place.put("same.json", {**OWN, "payload": {"n": n}})
            await place.drop.look()
            place.put("same.json", {"n": n})
            await place.drop.look()
        assert [event.payload["n"] for event in await place.events()] == [0, 1, 2]
        kept = (place.folder / "rejected").glob("*same.json")
        assert sorted(json.loads(path.read_text())["n"] for path in kept) == [0, 1, 2]
        assert len(place.rejected()) == 3


async def test_a_file_called_like_a_reason_takes_the_place_of_none(tmp_path):
    async with place_at(tmp_path) as place:
        for name in ("a.json", "a.json.reason.txt", "b.json.reason.txt", "b.json"):
            place.put(name, [name])
            older(place.folder / name, A_SECOND)
            await place.drop.look()
        aside = place.folder / "rejected"
        said = [path.read_text() for path in aside.iterdir()]
        assert (
            sum(text.startswith('["') for text in said) == sum("it" in text for text in said) == 4
        )


async def test_of_what_was_laid_aside_the_newest_are_kept(tmp_path):
    async with place_at(tmp_path) as place:
        (place.folder / "rejected").rmdir()
        await place.drop.look()
        for start in range(0, 2 * KEPT, KEPT - 1):
            for n in range(start, start + KEPT - 1):
                (place.folder / f"{n:03}.txt").touch()
            (place.folder / f"{start}.d" / "in").mkdir(parents=True)
            await place.drop.look()
        assert len(place.rejected()) == KEPT
        assert f"{start}.d" in place.rejected()
        assert {"000.txt", "0.d"}.isdisjoint(place.rejected())


async def test_nothing_is_taken_or_laid_aside_through_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with place_at(tmp_path) as place:
        for name in ("taken", "rejected"):
            (place.folder / name).rmdir()
            (place.folder / name).symlink_to(elsewhere)
            place.put("1.json", OWN)
            place.put("bad.json", [])
            with pytest.raises(Unavailable, match="is no folder with"):
                await place.drop.look()
            (place.folder / name).unlink()
        assert list(elsewhere.iterdir()) == []
        await place.drop.look()
        assert len(await place.events()) == 1


async def test_two_servers_do_not_share_a_folder(tmp_path):
    async with place_at(tmp_path) as place:
        other = Drop(DropFolder(place.folder), place.store, Hints())
        place.put("1.json", OWN)
        with pytest.raises(Unavailable, match="another muster"):
            await other.look()
        place.drop.close()
        await other.look()
        assert len(await place.events()) == 1


@pytest.mark.parametrize("holds", [["Documents"], [f"{n}.txt" for n in range(21)]])
async def test_a_folder_that_is_used_for_something_else_is_let_be(tmp_path, holds):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in holds:
        (folder / name).touch() if name.endswith(".txt") else (folder / name).mkdir()
    before = sorted(folder.rglob("*"))
    with pytest.raises(Invalid, match="holds other things"):
        DropFolder(folder).look()
    assert sorted(folder.rglob("*")) == before


async def test_what_goes_wrong_is_said_once_and_tried_again(tmp_path, caplog):
    async with place_at(tmp_path) as place:
        blocked = tmp_path / "blocked"
        blocked.touch()
        drop = Drop(DropFolder(blocked), place.store, Hints())
        waits = [await drop.look_safely() for _ in range(3)]
        told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(told) == 1
        assert "blocked cannot be used" in told[0]
        blocked.unlink()
        assert waits == [await drop.look_safely()] * 3
        assert (blocked / "taken").is_dir()
        drop.close()


async def test_a_server_takes_in_what_is_dropped_in_its_home(tmp_path):
    async with town(tmp_path, {}) as place:
        folder = place.home / "events"
        while not (folder / "taken").is_dir():
            await asyncio.sleep(0.01)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / ".1").write_text('{"type": "own.kind"}')
        (folder / ".1").rename(folder / "1.json")
        seen = place.service.current_rev()
        while not (await place.service.list_events(0, type="own.kind"))["items"]:
            seen = await place.service.wait_change(seen, 30)


REFUSED = [
    ({"type": "task.completed"}, "only muster itself"),
    ({"type": "verify.passed"}, "is about a task"),
    ({"type": "a.b", "payload": {"n": float("nan")}}, "not finite"),
    ({"type": "a.b", "task_id": "MU-7"}, "no task 'MU-7'"),
]


async def test_a_request_is_refused_what_a_file_is(tmp_path):
    async with town(tmp_path, {}) as place:
        for body, why in REFUSED:
            with pytest.raises(MusterError, match=why):
                await place.service.emit_event(body)
        assert (await place.service.emit_event({"type": "audit.requested"}))["task_id"] is None
