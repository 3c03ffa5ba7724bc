"""The feed: wakes who waits, and never holds who is cancelled."""

from __future__ import annotations

import asyncio

from house.patience import PATIENCE
from muster.domain.event import Event
from muster.store.feed import Feed


def events(*revs: int) -> list[Event]:
    return [Event(rev, 0, "task.queued", "tsk", {}) for rev in revs]


async def test_who_is_cancelled_in_the_moment_of_a_wake_up_stops_waiting():
    feed = Feed()
    feed.bind(asyncio.get_running_loop())
    waiting = asyncio.create_task(feed.wait_moved(0, 10 * PATIENCE))
    await asyncio.sleep(0)
    feed.advance(1)
    feed._wake()
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
    assert done


async def test_only_what_moves_something_wakes_the_engine():
    feed = Feed()
    feed.bind(asyncio.get_running_loop())
    engine = asyncio.create_task(feed.wait_moved(0, 10 * PATIENCE))
    follower = asyncio.create_task(feed.wait(0, 10 * PATIENCE))
    await asyncio.sleep(0)
    feed.advance(1)
    assert await follower == 1
    assert not engine.done()
    feed.advance(2, 2)
    assert await engine == 2


async def test_waiting_ends_when_its_time_is_up():
    assert await Feed().wait(0, 0.01) == 0


def test_the_newest_events_are_at_hand_and_older_ones_only_in_the_store():
    feed = Feed()
    feed.advance(10)
    assert feed.since(10, 5) == ()
    assert feed.since(9, 5) is None
    feed.advance(12, 12, events(11, 12))
    feed.advance(0)  # a write without an event
    feed.advance(13, 13, events(13))
    assert [e.rev for e in feed.since(10, 5)] == [11, 12, 13]
    assert [e.rev for e in feed.since(10, 2)] == [11, 12]
    assert [e.rev for e in feed.since(12, 5)] == [13]
    assert feed.since(13, 5) == ()
    assert feed.since(9, 5) is None


def test_after_a_gap_only_what_follows_it_is_at_hand():
    feed = Feed()
    feed.advance(1, 1, events(1))
    feed.advance(5)
    feed.advance(6, 6, events(6))
    assert feed.since(4, 9) is None
    assert [e.rev for e in feed.since(5, 9)] == [6]
    feed.forget()
    assert feed.since(5, 9) is None
    assert feed.since(6, 9) == ()


def test_only_so_many_are_kept():
    feed = Feed(kept=3)
    for rev in range(1, 6):
        feed.advance(rev, rev, events(rev))
    assert feed.since(1, 9) is None
    assert [e.rev for e in feed.since(2, 9)] == [3, 4, 5]
