"""What every notifier must keep: it delivers whole or says why not, and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from house.patience import PATIENCE
from muster.domain.errors import Invalid
from muster.notify.base import Notice, Notifier, Undelivered

NOTICE = Notice(
    id="12-1", kind="rule.held", time="2026-01-01T00:00:00.000Z", title="MU-1: budget",
    text="The rule 'budget' holds.", project="repo", task="MU-1", payload={"rule": "budget"},
)  # fmt: skip
HOSTILE = Notice(
    id="13-1", kind="breakpoint.raised", time="", title="--help; $(touch owned) `id`",
    text="<b>bold</b> \x1b[2J'; rm -rf / #\n" + "long " * 2000, payload={"text": "\ud7ff\u202e"},
)  # fmt: skip


class NotifierContract:
    """Give `make`, `options`, and `arrived`: the texts of what the other end took, oldest first.

    `refusing` makes the other end refuse from then on, `hanging` never answer.
    """

    @pytest.fixture
    def make(self) -> Callable[..., Notifier]:
        raise NotImplementedError

    @pytest.fixture
    def options(self) -> dict[str, object]:
        raise NotImplementedError

    @pytest.fixture
    def arrived(self) -> Callable[[], list[str]]:
        raise NotImplementedError

    @pytest.fixture
    def refusing(self) -> Callable[[], None]:
        raise NotImplementedError

    @pytest.fixture
    def hanging(self) -> Callable[[], Awaitable[None] | None]:
        raise NotImplementedError

    @pytest.fixture
    def notifier(self, make, options) -> Notifier:
        made = make(options)
        assert isinstance(made, Notifier)
        return made

    async def test_what_is_sent_has_arrived_whatever_is_in_it(self, notifier, arrived):
        for notice in (NOTICE, HOSTILE):
            await notifier.send(notice)
        first, second = arrived()
        assert NOTICE.text in first
        assert "touch owned" in second
        assert "long long" in second

    async def test_who_does_not_take_it_is_told_with_whether_to_try_again(self, notifier, refusing):
        refusing()
        with pytest.raises(Undelivered) as told:
            await notifier.send(NOTICE)
        assert str(told.value).strip()
        assert isinstance(told.value.again, bool)

    async def test_nobody_waits_for_one_that_hangs_and_it_can_be_let_go(self, notifier, hanging):
        hanging()
        sending = asyncio.ensure_future(notifier.send(NOTICE))
        for _ in range(5):  # the loop goes round meanwhile
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait({sending}, timeout=PATIENCE)
        assert sending.cancelled()

    def test_an_option_that_nothing_reads_is_told(self, make, options):
        with pytest.raises(Invalid) as told:
            make({**options, "colour": "red"})
        assert told.value.hint
