"""The feed: wakes who waits, and never holds who is cancelled."""

from __future__ import annotations

import asyncio

from house.patience import PATIENCE
from muster.store.feed import Feed


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
