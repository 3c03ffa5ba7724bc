"""The two-way session of the stream-json dialect: what Claude Code is told, and what it asks.

What goes back and forth, one JSON object per line:
    → control_request {request_id, request: {subtype: initialize | interrupt}}
    ← control_response {response: {subtype: success | error, request_id}}
    → user {message, uuid}, ← user {uuid, isReplay} once the message has reached the model
    ← control_request {request_id, request: {subtype: can_use_tool, tool_name, input,
      permission_suggestions}}, → control_response {response: {request_id, response: {behavior}}}
    ← control_cancel_request {request_id}
    ← result, once a turn is over
A message in the middle of a turn is heard with the next result of a tool, or begins the next turn;
only the replay tells which.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from muster.agents.asking import LONGEST_ID, Asking, Message
from muster.agents.base import Answer, Ending, Fact
from muster.agents.endings import by_why, status_words
from muster.agents.outbox import line
from muster.agents.said import one_line, readable, small, subject
from muster.agents.stream_json import REMEMBERED, StreamJsonReader
from muster.agents.stream_json_values import deep, entries, mapping, word
from muster.domain.agent import Outcome, Usage
from muster.domain.errors import Conflict

_NAMESPACE = uuid.UUID("5f0c1d0a-6c1b-4c0e-9d8e-1b1f0f6f7a11")


class StreamJsonSession(StreamJsonReader, Asking):
    """A conversation with one Claude Code."""

    def __init__(
        self, run_id: str, prompt: str, workspace: str = "", resumed: Usage | None = None
    ) -> None:
        """Converse for a run in `workspace`; `resumed` is what the session had used before it."""
        StreamJsonReader.__init__(self, workspace, resumed)
        Asking.__init__(self)
        self._run_id = run_id
        self._prompt = prompt
        self._said = 1
        self._heard: set[str] = set()
        self._over = False
        self._broken = ""
        self._interrupted = False

    # --- the seam ---------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """The handshake."""
        return line(_control("initialize", {"subtype": "initialize"}))

    @property
    def finished(self) -> bool:
        """Whether its last turn is over and it has heard all that was said."""
        heard = all(self._uuid(n) in self._heard for n in range(1, self._said + 1))
        return bool(self._broken) or (self._over and heard)

    def answer(self, request_id: str, answer: Answer) -> bytes:
        """Allow a use of a tool, as asked or with inputs changed, or deny it."""
        asked = self._unanswered(request_id)
        if not answer.allow:
            message = answer.message or "A person said no to this."
            return self._write_answer(request_id, {"behavior": "deny", "message": message})
        said: dict[str, Any] = {"behavior": "allow"}
        if answer.edited:
            # Only then: what we heard of the input may have lost its secrets on the way.
            said["updatedInput"] = {**mapping(asked.get("input")), **answer.edited}
        if answer.for_session:
            # For this session alone: nothing is written into anybody's settings.
            rules = entries(asked.get("permission_suggestions"))
            said["updatedPermissions"] = [{**rule, "destination": "session"} for rule in rules]
        return self._write_answer(request_id, said)

    @property
    def words(self) -> int:
        """How many words it was told after its prompt."""
        return self._said - 1

    def say(self, text: str) -> bytes:
        """A word into the running turn, or the next turn."""
        if not self._out.was_sent(f"say {self._uuid(1)}"):
            raise Conflict("Claude Code has not begun yet", hint="say it again in a moment")
        self._said += 1
        number = self._uuid(self._said)
        return self._out.write(f"say {number}", _user(number, text))

    def interrupt(self) -> bytes:
        """End the running turn."""
        if self.finished or not self._out.was_sent(f"say {self._uuid(1)}"):
            return b""
        self._interrupted = True
        number = f"interrupt-{self._said}"
        return self._out.write(f"ask {number}", _control(number, {"subtype": "interrupt"}))

    @override
    def end(self, code: int | None, why: str) -> Ending:
        """The outcome of the last turn; success needs the program's own `result`, and status 0."""
        ending = super().end(0 if why == "closed" and self.finished else code, why)
        if by_why(why) or ending.outcome is Outcome.LOST:
            return ending
        if self._broken:
            return Ending(Outcome.FAILED, self._broken)
        if not self.finished:
            return Ending(Outcome.CRASHED, f"{status_words(code)} in the middle of its work")
        if self._interrupted and ending.outcome is Outcome.CRASHED:
            return Ending(Outcome.CANCELLED, "its turn was interrupted")
        return ending

    # --- what comes in ----------------------------------------------------------------------------

    @override
    def _event(self, event: Message) -> Iterator[Fact]:
        match event.get("type"):
            case "control_request":
                yield from self._requested(event)
            case "control_response":
                yield from self._answered(mapping(event.get("response")))
            case "control_cancel_request":
                self._asked.pop(word(event.get("request_id")), None)
            case "user" if event.get("isReplay") is True:
                self._has_heard(word(event.get("uuid")))
            case "command_lifecycle":
                pass
            case "result":
                yield from super()._event(event)
                self._over = True
            case _:
                yield from super()._event(event)

    def _answered(self, response: Message) -> Iterator[Fact]:
        number, fine = word(response.get("request_id")), response.get("subtype") == "success"
        if number == "initialize" and fine:
            first = self._uuid(1)
            self._out.owe(f"say {first}", _user(first, self._prompt))
        elif not fine:
            said = readable(word(response.get("error"))) or "it refused what it was asked"
            yield Fact("error", {"text": said})
            if number == "initialize":
                self._broken = one_line(said)

    def _requested(self, event: Message) -> Iterator[Fact]:
        number, request = word(event.get("request_id")), mapping(event.get("request"))
        subtype = one_line(word(request.get("subtype")))
        if not number or len(number) > LONGEST_ID:
            yield Fact("raw", {"type": "control_request", "text": subtype})
        elif subtype != "can_use_tool":
            self._refuse(number, f"muster does not answer {subtype}")
            yield Fact("raw", {"type": f"control_request/{subtype}", "text": "refused"})
        elif not self._keep(number, request):
            self._refuse(number, "too many requests wait for an answer")
        else:
            tool, given = one_line(word(request.get("tool_name"))), mapping(request.get("input"))
            options = ["allow", "allow_session", "edit", "deny"]
            if not entries(request.get("permission_suggestions")):
                options.remove("allow_session")
            data = {"id": number, "tool": tool, "summary": self._summary(tool, given)}
            whole = {"input": small(given), "subject": subject(given, self._root)}
            yield Fact("permission", {**data, **whole, "options": options})

    # --- parts ------------------------------------------------------------------------------------

    def _uuid(self, number: int) -> str:
        """The same for the same message of the same run, and no other's.

        A resumed session ignores a message whose id it has seen: each run must have its own.
        """
        return str(uuid.uuid5(_NAMESPACE, f"{self._run_id}/{number}"))

    def _has_heard(self, number: str) -> None:
        ours = len(number) <= LONGEST_ID  # they are what we said, but for a stranger's
        if ours and len(self._heard) < REMEMBERED and number not in self._heard:
            self._heard.add(number)
            self._over = False

    @override
    def _key(self, message: Message) -> str:
        match message.get("type"):
            case "user":
                return f"say {word(message.get('uuid'))}"
            case "control_response":
                return f"answer {word(deep(message, 'response', 'request_id'))}"
            case _:
                return f"ask {word(message.get('request_id'))}"

    @override
    def _was_sent(self, message: Message) -> None:
        """Count what was said before a restart."""
        if message.get("type") == "user" and word(message.get("uuid")) == self._uuid(
            self._said + 1
        ):
            self._said += 1

    def _refuse(self, number: str, error: str) -> None:
        response = {"subtype": "error", "request_id": number, "error": error}
        self._out.owe(f"answer {number}", {"type": "control_response", "response": response})

    def _write_answer(self, number: str, said: Message) -> bytes:
        response = {"subtype": "success", "request_id": number, "response": said}
        message = {"type": "control_response", "response": response}
        return self._out.write(f"answer {number}", message)


def _control(number: str, request: Message) -> Message:
    return {"type": "control_request", "request_id": number, "request": request}


def _user(number: str, text: str) -> Message:
    message = {"role": "user", "content": text}
    head = {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
    return {**head, "uuid": number}
