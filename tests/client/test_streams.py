"""Live streams: nothing twice, nothing missed, an end, and patience that is not endless."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client import canned
from tests.client.loopback import TOKEN, Answer, Asked, Loopback, frame, problem

from muster.client import Clock, Muster
from muster.client.sse import Message, read_messages
from muster.domain import errors

STREAM = ("GET", "/api/events/stream")
AGENT = "coding-1f3a9c02"
LOGS = ("GET", f"/api/agents/{AGENT}/logs")


def _numbered(first: int, last: int) -> list[bytes]:
    return [frame("task.queued", canned.event(n), n) for n in range(first, last + 1)]


def _from_last_id(breaks: list[int], *, chunked: bool = False) -> Any:
    """A stream of the events up to 9 that breaks off behind each number in `breaks`."""

    def answer(asked: Asked) -> Answer:
        first = int(asked.headers.get("last-event-id") or 0) + 1
        last = next((n for n in breaks if n >= first), 9)
        return Answer(frames=[b": hello\n\n", *_numbered(first, last)], chunked=chunked)

    return answer


@pytest.mark.parametrize("chunked", [False, True], ids=["closed", "chunked"])
def test_a_stream_goes_on_behind_the_last_event_it_had(
    chunked: bool, muster: Muster, server: Loopback
) -> None:
    server.routes[STREAM] = _from_last_id([2, 3, 7], chunked=chunked)
    stream = muster.events(after=0)
    assert [next(stream)["rev"] for _ in range(9)] == list(range(1, 10))
    stream.close()
    assert [a.headers.get("last-event-id") for a in server.asked] == ["0", "2", "3", "7"]


def test_a_stream_without_a_number_starts_now(muster: Muster, server: Loopback) -> None:
    server.routes[STREAM] = Answer(frames=_numbered(4, 4))
    stream = muster.events()
    assert next(stream)["rev"] == 4
    stream.close()
    assert "last-event-id" not in server.asked[0].headers


def test_a_stream_that_lost_its_place_says_so_once_it_is_open_again(
    muster: Muster, server: Loopback
) -> None:
    answers = [
        Answer(frames=[frame("resync", {"code": "gone"})]),
        Answer(frames=_numbered(100, 100)),
    ]
    server.routes[STREAM] = lambda _: answers.pop(0)
    stream = muster.events(after=3)
    assert next(stream)["type"] == "resync"
    assert len(server.asked) == 2, "the new stream was open before the reader was told"
    assert next(stream)["rev"] == 100
    stream.close()
    assert "last-event-id" not in server.asked[1].headers


def test_a_stream_from_now_that_breaks_before_its_first_event_says_so(
    muster: Muster, server: Loopback
) -> None:
    answers = [Answer(frames=[b": hello\n\n"]), Answer(frames=_numbered(5, 5))]
    server.routes[STREAM] = lambda _: answers.pop(0)
    stream = muster.events()
    assert next(stream)["type"] == "resync"
    assert next(stream)["rev"] == 5
    stream.close()


def test_a_log_ends_with_its_end_and_is_not_asked_for_again(
    muster: Muster, server: Loopback
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.headers["last-event-id"] == "0":
            return Answer(frames=[frame("log", {"offset": 0, "text": "he"}, 2)])
        gap = frame("truncated", {"from": 2, "to": 9}, 9)
        return Answer(frames=[gap, frame("log", {"offset": 9, "text": "lo"}, 11), frame("end", {})])

    server.routes[LOGS] = answer
    messages = list(muster.logs(AGENT))
    assert [m["event"] for m in messages] == ["log", "truncated", "log", "end"]
    assert messages[1]["data"] == {"from": 2, "to": 9}
    assert [a.headers["last-event-id"] for a in server.asked] == ["0", "2"]


def test_a_message_that_was_cut_in_the_middle_comes_whole_the_next_time(
    muster: Muster, server: Loopback
) -> None:
    whole = frame("log", {"text": "häuser"}, 7)
    answers = [Answer(frames=[whole[:-9]]), Answer(frames=[whole, frame("end", {}, 7)])]
    server.routes[LOGS] = lambda _: answers.pop(0)
    assert [m["event"] for m in muster.logs(AGENT)] == ["log", "end"]


def test_the_wait_a_stream_asks_for_is_kept(muster: Muster, server: Loopback, time: Any) -> None:
    answers = [Answer(frames=[b"retry: 2500\n", *_numbered(1, 1)]), Answer(frames=_numbered(2, 2))]
    server.routes[STREAM] = lambda _: answers.pop(0)
    stream = muster.events(after=0)
    assert [next(stream)["rev"], next(stream)["rev"]] == [1, 2]
    stream.close()
    assert time.slept == [2.5]


def test_a_stream_waits_out_a_restart(muster: Muster, server: Loopback) -> None:
    server.faults.extend(["drop", problem(503, "unreachable"), "drop"])
    server.routes[STREAM] = Answer(frames=_numbered(1, 1))
    stream = muster.events(after=0)
    assert next(stream)["rev"] == 1
    stream.close()


def test_a_stream_gives_up_when_the_server_stays_away(time: Any) -> None:
    with Loopback() as gone:
        url = gone.url
    clock = Clock(now=lambda: time.now, sleep=time.sleep)
    with Muster(url, TOKEN, clock=clock) as muster, pytest.raises(errors.Unreachable):
        next(muster.events(after=0))
    assert 20 < sum(time.slept) <= 30


def test_hours_of_silence_do_not_use_up_the_patience(
    muster: Muster, server: Loopback, time: Any
) -> None:
    def quiet(_asked: Asked) -> Answer:
        time.now += 3600
        return Answer(frames=[b": still here\n\n", b": still here\n\n"])

    answers = [quiet, quiet, lambda _: Answer(frames=_numbered(1, 1))]
    server.routes[STREAM] = lambda asked: answers.pop(0)(asked)
    stream = muster.events(after=0)
    assert next(stream)["rev"] == 1
    stream.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(404, "not-found"), errors.NotFound),
        (problem(410, "gone"), errors.Gone),
        (problem(401, "not-signed-in"), errors.NotSignedIn),
        (Answer(200, {"no": "stream"}), errors.Unreachable),
    ],
)
def test_a_refused_stream_is_not_tried_again(
    answer: Answer, kind: type[Exception], muster: Muster, server: Loopback
) -> None:
    server.routes[STREAM] = answer
    with pytest.raises(kind):
        next(muster.events(after=0))
    assert len(server.asked) == 1


def test_waiting_ends_at_its_time(server: Loopback) -> None:
    hold = threading.Event()
    server.routes[STREAM] = Answer(frames=[b": hello\n\n"], hold=hold)
    with Muster(server.url, TOKEN) as muster:
        now = Clock().now()
        with pytest.raises(TimeoutError):
            next(muster.events(after=0, until=now + 0.2))
        with pytest.raises(TimeoutError):
            next(muster.events(after=0, until=now))
    hold.set()


def test_a_server_that_is_away_until_the_time_is_up_is_a_timeout(time: Any) -> None:
    with Loopback() as gone:
        url = gone.url
    clock = Clock(now=lambda: time.now, sleep=time.sleep)
    with Muster(url, TOKEN, clock=clock) as muster, pytest.raises(TimeoutError):
        next(muster.events(after=0, until=time.now + 3))
    assert time.now <= 1003.01


def test_data_that_is_no_object_is_kept_as_text(muster: Muster, server: Loopback) -> None:
    pieces = [b"event: log\ndata: not json\n\n", b"event: log\ndata: [1]\n\n", b"event: end\n\n"]
    server.routes[LOGS] = Answer(frames=pieces)
    assert [m["data"] for m in muster.logs(AGENT)] == [{"text": "not json"}, {"text": [1]}, {}]


# --- the format -----------------------------------------------------------------------------------


def _read(data: bytes) -> list[Message]:
    lines = iter(data.splitlines(keepends=True))
    return list(read_messages(lambda _limit: next(lines, b"")))


def test_the_format_is_read_as_written_down() -> None:
    data = (
        b"\xef\xbb\xbf: note\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:  y\r\n\r\ndata\n\nid: b\0\n"
    )
    data += b"data: z\nid\nother: 1\nretry: soon\n\nevent: last\ndata: cut off\n"
    assert _read(data) == [
        Message("a", "1", "x\n y"),
        Message("message", "1", ""),
        Message("message", "", "z"),
    ]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for message in _read(data):
        assert message.event
