"""Every notifier keeps the contract; notices are signed, tried again, told and never in the way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from muster_journal import JournalNotifier

from contracts.notifier import NOTICE, NotifierContract
from engine.houses import shell, town
from engine.test_breakpoints import with_rules
from house.patience import PATIENCE
from muster.domain.errors import Invalid
from muster.notify.base import Undelivered
from muster.notify.command import CommandNotifier
from muster.notify.desktop import DesktopNotifier
from muster.notify.webhook import WebhookNotifier
from muster.settings import Settings
from muster.wiring.notices import Notices, made

SECRET = "a secret of the person's"
ENVIRON = {"PATH": os.environ["PATH"], "HOOK": SECRET, "TOKEN": "not for programs"}


class Hook(ThreadingHTTPServer):
    """Somebody who takes notices on loopback, and refuses or hangs when told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.let_go = threading.Event()
        self.let_go.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class Taker(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.let_go.wait(PATIENCE)
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status < 300:
            self.server.taken.append((dict(self.headers), body))
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        yield found
        found.let_go.set()
        found.shutdown()
        thread.join()


class TestAWebhookKeepsTheContract(NotifierContract):
    @pytest.fixture
    def make(self):
        return lambda options: WebhookNotifier(options, ENVIRON)

    @pytest.fixture
    def options(self, hook):
        return {"url": hook.url, "secret_env": "HOOK"}

    @pytest.fixture
    def arrived(self, hook):
        return lambda: [json.loads(body)["title"] + json.loads(body)["text"]
                        for _, body in hook.taken]  # fmt: skip

    @pytest.fixture
    def refusing(self, hook):
        return lambda: hook.answers.append(500)

    @pytest.fixture
    def hanging(self, hook):
        return hook.let_go.clear

    async def test_it_is_signed_so_that_the_receiver_can_tell(self, notifier, hook):
        await notifier.send(NOTICE)
        ((headers, body),) = hook.taken
        at, signed = (part[2:].lstrip("=") for part in headers["X-Muster-Signature"].split(","))
        real = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert signed == real
        assert abs(time.time() - int(at)) < PATIENCE
        assert headers["Idempotency-Key"] == NOTICE.id
        assert SECRET.encode() not in body

    async def test_what_the_receiver_says_decides_whether_to_try_again(self, notifier, hook):
        hook.answers += [503, 429, 400, 302]
        told = []
        for _ in range(4):
            with pytest.raises(Undelivered) as fault:
                await notifier.send(NOTICE)
            told.append((str(fault.value), fault.value.again))
        assert told == [("it answered 503", True), ("it answered 429", True),
                        ("it answered 400", False), ("it answered 302", False)]  # fmt: skip
        assert hook.taken == []

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://example.org/hook", "in the open"),
            ("https://me:secret@example.org/", "name or password"),
            ("file:///etc/passwd", "must be an address"),
            ("", "must be an address"),
        ],
    )
    def test_an_address_that_cannot_be_is_told(self, url, said):
        with pytest.raises(Invalid, match=said):
            WebhookNotifier({"url": url, "secret_env": "HOOK"}, ENVIRON)

    def test_a_secret_that_is_not_there_is_told(self):
        with pytest.raises(Invalid, match="NOWHERE is not set"):
            WebhookNotifier({"url": "https://example.org", "secret_env": "NOWHERE"}, ENVIRON)


class OfPrograms(NotifierContract):
    """Programs that keep what they are given in a file, as `Given` says."""

    script = ""

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "bin" / "notify-send"
        path.parent.mkdir()
        hangs = f"sleep 1000 & echo $! > '{tmp_path}/pid'; wait"
        path.write_text(f"#!/bin/sh\n[ -e '{tmp_path}/hang' ] && {{ {hangs}; }}\n"
                        f"[ -e '{tmp_path}/refuse' ] && echo no room >&2 && exit 3\n"
                        f"{self.script.format(tmp_path)}\n")  # fmt: skip
        path.chmod(0o755)
        return path

    @pytest.fixture
    def environ(self, program: Path) -> dict[str, str]:
        return {**ENVIRON, "PATH": f"{program.parent}:{ENVIRON['PATH']}"}

    @pytest.fixture
    def arrived(self, tmp_path: Path):
        return lambda: [
            (tmp_path / name).read_text() for name in ("1", "2") if (tmp_path / name).exists()
        ]

    @pytest.fixture
    def refusing(self, tmp_path: Path):
        return (tmp_path / "refuse").touch

    @pytest.fixture
    def hanging(self, tmp_path: Path):
        return (tmp_path / "hang").touch

    async def test_nothing_of_a_program_that_was_let_go_is_left(self, notifier, hanging, tmp_path):
        hanging()
        sending = asyncio.ensure_future(notifier.send(NOTICE))
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        sending.cancel()
        await asyncio.wait({sending}, timeout=PATIENCE)
        child = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")

        def gone() -> bool:
            try:
                return ") Z " in child.read_text()
            except OSError:
                return True

        await until(gone)

    async def test_why_it_was_not_taken_is_what_the_program_says(self, notifier, refusing):
        refusing()
        with pytest.raises(Undelivered, match="ended with status 3: no room"):
            await notifier.send(NOTICE)


class TestACommandKeepsTheContract(OfPrograms):
    script = "cat > {0}/got; env >> {0}/got; [ -e {0}/1 ] && mv {0}/got {0}/2 || mv {0}/got {0}/1"

    @pytest.fixture
    def make(self, environ):
        return lambda options: CommandNotifier(options, environ)

    @pytest.fixture
    def options(self, program):
        return {"command": [str(program)]}

    async def test_it_is_given_json_and_no_key_of_the_server(self, notifier, arrived):
        await notifier.send(NOTICE)
        (text,) = arrived()
        assert json.loads(text.splitlines()[0]) == NOTICE.as_json()
        assert ENVIRON["TOKEN"] not in text

    async def test_a_program_that_is_not_there_is_not_tried_again(self):
        with pytest.raises(Undelivered, match="cannot be run") as told:
            await CommandNotifier({"command": ["no-such-program"]}, ENVIRON).send(NOTICE)
        assert not told.value.again


class TestTheDesktopKeepsTheContract(OfPrograms):
    script = 'n=1; [ -e {0}/1 ] && n=2; printf "%s\\n" "$@" > {0}/$n'

    @pytest.fixture
    def make(self, environ):
        return lambda options: DesktopNotifier(options, environ)

    @pytest.fixture
    def options(self):
        return {}

    async def test_what_a_desktop_would_take_for_markup_or_options_is_text(self, notifier, arrived):
        await notifier.send(replace(NOTICE, text="<b>bold</b>"))
        (text,) = arrived()
        assert text.splitlines()[:2] == ["--app-name=muster", "--"]
        assert "&lt;b&gt;bold" in text


class TestTheExampleKeepsTheContract(NotifierContract):
    @pytest.fixture
    def make(self):
        return lambda options: JournalNotifier(options, ENVIRON)

    @pytest.fixture
    def options(self, tmp_path):
        return {"path": str(tmp_path / "journal")}

    @pytest.fixture
    def arrived(self, tmp_path):
        def read() -> list[str]:
            lines = (tmp_path / "journal").read_text().splitlines()
            return [json.loads(line)["title"] + json.loads(line)["text"] for line in lines]

        return read

    @pytest.fixture
    def refusing(self, tmp_path):
        return (tmp_path / "journal").mkdir

    @pytest.fixture
    def hanging(self, tmp_path):
        return lambda: None  # a file takes it at once

    async def test_nobody_waits_for_one_that_hangs_and_it_can_be_let_go(self, notifier):
        await notifier.send(NOTICE)


# --- who is told, and of what ---------------------------------------------------------------------

RULES = with_rules(
    "rules:\n- {name: told, when: {type: chore}, do: notify}\n"
    "- {name: asked, when: {decision: accept}, do: pause}\n"
)


async def until(is_so) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.02)


def noticing(place, notify: dict[str, Any]) -> Notices:
    """Who follows a house for these notifiers, and tries again at once."""
    settings = replace(place.settings, notify=notify, environ=ENVIRON)
    return Notices(settings, place.house.store, lambda: "http://here", pauses=(0, 0))


async def test_a_rule_that_notifies_and_a_question_are_told_once_though_the_first_tries_fail(
    tmp_path: Path, hook: Hook
):
    work = {"work": shell("echo more > more.txt")}
    async with town(tmp_path, work, RULES, test_command="true") as place:
        hook.answers += [503, 503]
        notices = noticing(place, {"hook": {"driver": "webhook", "url": hook.url,
                                            "secret_env": "HOOK"}})  # fmt: skip
        notices.start()
        task = await place.do("work", type="chore")
        assert task["status"] == "waiting"
        await until(lambda: len(hook.taken) == 2)
        told = [json.loads(body) for _, body in hook.taken]
        assert [(one["kind"], one["title"]) for one in told] == [
            ("rule.held", "MU-1: told"), ("breakpoint.raised", "MU-1 waits for you"),
        ]  # fmt: skip
        assert "The rule 'told' holds" in told[0]["text"]
        assert told[1]["text"] == task["breakpoint"]["question"]
        assert told[1]["url"] == f"http://here/tasks/{task['id']}"
        # Who is let go in the middle of a notice delivers it by the next one, and no other again.
        hook.let_go.clear()
        await place.service.retry_task(task["id"])
        await place.until(task["id"], "waiting")
        await notices.stop()
        hook.let_go.set()
        again = noticing(place, {"hook": {"driver": "webhook", "url": hook.url,
                                          "secret_env": "HOOK"}})  # fmt: skip
        again.start()
        await until(lambda: len({headers["Idempotency-Key"] for headers, _ in hook.taken}) == 3)
        await again.stop()
        kinds = {json.loads(body)["id"]: json.loads(body)["kind"] for _, body in hook.taken}
        ids = [headers["Idempotency-Key"] for headers, _ in hook.taken]
        assert [ids.count(one["id"]) for one in told] == [1, 1]
        assert sorted(kinds.values()) == ["breakpoint.raised", "breakpoint.raised", "rule.held"]
        assert (await place.service.list_events(type="notice.failed"))["items"] == []


async def test_a_list_that_a_failure_stops_is_told_once(tmp_path: Path, hook: Hook):
    async with town(tmp_path, {"fails": shell("exit 3")}, max_attempts=1) as place:
        hook.answers += [503]
        notices = noticing(place, {"hook": {"driver": "webhook", "url": hook.url,
                                            "secret_env": "HOOK"}})  # fmt: skip
        notices.start()
        for n in (1, 2):
            await place.service.set_queue({"paused": True})
            task = await place.submit("fails", type="chore")
            await place.service.queue_add(task["id"])
            await place.service.set_queue({"paused": False})
            await place.until(task["id"], "failed")
            await until(lambda n=n: len(hook.taken) == n)
            await place.service.set_queue({"stop_on_failure": True})
        await notices.stop()
        told = [json.loads(body) for _, body in hook.taken]
        failed = "failed, so that nothing more of the list starts"
        assert [(one["kind"], one["task"]) for one in told] == [
            ("queue.stopped", "MU-1"), ("queue.stopped", "MU-2"),
        ]  # fmt: skip
        assert [one["text"].partition(":")[0] for one in told] == [
            f"MU-1 {failed}", f"MU-2 {failed}",
        ]  # fmt: skip


async def test_one_that_cannot_deliver_is_told_of_and_is_in_nobodys_way(tmp_path: Path, hook: Hook):
    async with town(
        tmp_path, {"work": shell("echo more > more.txt")}, test_command="true"
    ) as place:
        hook.answers += [400]
        on = ["task.completed"]
        notices = noticing(place, {
            "hook": {"driver": "webhook", "url": hook.url, "secret_env": "HOOK", "on": on},
            "gone": {"driver": "command", "command": ["no-such-program"], "on": on},
            "fine": {"driver": "command", "command": ["/bin/sh", "-c", f"cat > {tmp_path}/told"],
                     "on": on},
            "sour": {"driver": "command", "command": ["false"], "on": on},
        })  # fmt: skip
        notices.start()
        task = await place.do("work", type="chore")
        assert task["status"] == "completed"
        failed: list[dict[str, Any]] = []

        async def look() -> bool:
            failed[:] = (await place.service.list_events(type="notice.failed"))["items"]
            return len(failed) == 3 and (tmp_path / "told").exists()

        async with asyncio.timeout(PATIENCE):
            while not await look():
                await asyncio.sleep(0.02)
        await notices.stop()
        why = {one["subject"]: (one["payload"]["why"], one["payload"]["again"]) for one in failed}
        assert why == {
            "hook": ("it answered 400", False),
            "gone": ("'no-such-program' cannot be run: No such file or directory", False),
            "sour": ("'false' ended with status 1", True),
        }
        assert {one["task_id"] for one in failed} == {task["id"]}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"driver": "pigeon"}, "there is no notifier 'pigeon'"),
    "nothing": ({}, "driver is missing"),
    "no kind": ({"driver": "desktop", "on": ["task.complete"]}, "'task.complete' is none"),
    "no list": ({"driver": "desktop", "on": "task.completed"}, "on must be a list"),
    "itself": ({"driver": "desktop", "on": ["notice.failed"]}, "nobody can be told"),
    "no words": ({"driver": "command", "command": "my-notify"}, "must be a list of words"),
    "surplus": ({"driver": "desktop", "sound": True}, "there is no option 'sound'"),
}


def test_what_settings_say_wrongly_is_told_with_the_notifiers_name(tmp_path: Path):
    for options, said in FAULTS.values():
        ((_, fault),) = made(Settings(home=tmp_path, notify={"mine": options}))
        assert isinstance(fault, Invalid)
        assert fault.detail.startswith("[notify.mine]: ")
        assert said in fault.detail
        assert fault.hint
