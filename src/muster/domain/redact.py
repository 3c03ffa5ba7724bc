"""Secrets taken out of byte streams, however the stream is cut and in whatever usual spelling.

What this cannot see: a secret that a program transforms first (reverses it, splits it with escape
sequences, prints it without its first characters). It is a net, not a wall.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator

MASK = b"***"
SHORTEST = 6
"""The shortest secret that is taken: shorter ones would blot out ordinary text."""
_SHORTEST_LINE = 8
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
_ENTITIES = (
    (b"&", b"&amp;"),
    (b"<", b"&lt;"),
    (b">", b"&gt;"),
    (b'"', b"&quot;"),
    (b"'", b"&#x27;"),
)

# --- the spellings of a secret --------------------------------------------------------------------


def _base64(raw: bytes) -> Iterator[bytes]:
    """Base64 at the three places a value can stand in a longer text, both alphabets.

    Only the characters that the value alone decides are kept, so that any neighbours match.
    """
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw)
        own = coded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
        yield own
        yield own.translate(bytes.maketrans(b"+/", b"-_"))


# The library's own quoting is not used because every shim would carry its tables.


def _url(raw: bytes, safe: bytes) -> bytes:
    kept = _UNRESERVED + safe
    return b"".join(bytes((b,)) if b in kept else b"%%%02X" % b for b in raw)


def _html(raw: bytes) -> bytes:
    for plain, spelled in _ENTITIES:
        raw = raw.replace(plain, spelled)
    return raw


def _spellings(value: str) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")
    yield from (_url(raw, b""), _url(raw, b"/"), _url(raw, b" ").replace(b" ", b"+"))
    escaped = _html(raw)
    yield from (escaped, escaped.replace(b"&#x27;", b"&#39;"))
    yield from (raw.hex().encode(), raw.hex().upper().encode())
    yield from _base64(raw)


def needles(secrets: Iterable[str]) -> list[bytes]:
    """Every byte string that gives one of `secrets` away, without repeats.

    White space around a secret is not part of it.

    Raises:
        ValueError: a secret is too short; the message does not hold it.
    """
    found: dict[bytes, None] = {}
    for secret in secrets:
        value = secret.strip()
        if len(value) < SHORTEST:
            raise ValueError(
                f"a secret must have at least {SHORTEST} characters, because a shorter one would"
                f" blot out ordinary text; this one has {len(value)}"
            )
        found.update(dict.fromkeys(_spellings(value)))
        lines = [line.strip() for line in value.splitlines()]
        if len(lines) > 1:
            kept = (line for line in lines if len(line) >= _SHORTEST_LINE)
            found.update((line.encode("utf-8", "surrogateescape"), None) for line in kept)
    return list(found)


# --- tokens of known providers, whose values nobody told us ---------------------------------------

_TOKEN = rb"[A-Za-z0-9_-]"
_TOKEN_REST = re.compile(_TOKEN + rb"*")
_PROVIDERS: tuple[tuple[tuple[bytes, ...], bytes, int], ...] = (
    ((b"s", b"k", b"-", b"a", b"n", b"t", b"-"), _TOKEN, 16),
    ((b"s", b"k", b"-", b"p", b"r", b"o", b"j", b"-"), _TOKEN, 16),
    ((b"g", b"h", b"[pousr]", b"_"), _TOKEN, 30),
    ((b"g", b"i", b"t", b"h", b"u", b"b", b"_", b"p", b"a", b"t", b"_"), _TOKEN, 20),
    ((b"A", b"[KS]", b"I", b"A"), b"[0-9A-Z]", 16),
    ((b"x", b"o", b"x", b"[abeprs]", b"-"), _TOKEN, 10),
    ((b"A", b"I", b"z", b"a"), _TOKEN, 30),
)
"""How each begins, and how many characters of which kind must follow; more may."""


def _token(start: tuple[bytes, ...], kind: bytes, least: int) -> bytes:
    return b"".join(start) + kind + b"{%d}" % least + _TOKEN + b"*"


def _beginning(start: tuple[bytes, ...], kind: bytes, least: int) -> bytes:
    """A pattern of everything that could still grow into a token."""
    pattern = kind + b"{0,%d}" % (least - 1)
    for atom in reversed(start):
        pattern = atom + b"(?:" + pattern + b")?"
    return pattern


_PROVIDER = re.compile(b"|".join(_token(*provider) for provider in _PROVIDERS))
_PROVIDER_BEGINS = re.compile(
    b"(?:" + b"|".join(_beginning(*provider) for provider in _PROVIDERS) + rb")\Z"
)
_LONGEST_BEGINNING = max(len(start) + least for start, _, least in _PROVIDERS)
_PROVIDER_HINTS = (
    rb"g(?:h[pousr]_|ithub_pat_)|k-(?:ant|proj)-|KIA[0-9A-Z]|SIA[0-9A-Z]|xox[a-z]-|za[\w-]{9}"
)
"""What no token is without, each beginning with a byte that is rare in ordinary text."""

# --- finding them fast ----------------------------------------------------------------------------

_WINDOW = 6
_RARE_FIRST = (
    b"QZXJKVWYqjzUHGFBOMPLNDRTSCIAExkvwb7986543gyfp_-2cmudhl01irsnoate"
    b"%&;+#~$@!?^|<>[]{}()'\"=*/\\:,. \t\r\n"
)
_WEIGHT = {byte: place * place for place, byte in enumerate(_RARE_FIRST)}


def _grouped(windows: Iterable[bytes]) -> bytes:
    """A pattern of these byte strings, with those that begin alike on one branch."""
    groups: dict[bytes, list[bytes]] = {}
    for window in windows:
        groups.setdefault(re.escape(window[:1]), []).append(re.escape(window[1:]))
    return b"|".join(
        first + b"(?:" + b"|".join(rests) + b")" for first, rests in sorted(groups.items())
    )


class _Patterns:
    """The compiled search for one set of secrets; shared by the streams of a run.

    Every needle is found by a window of six of its bytes that begins with a byte which is rare in
    ordinary text, so that one pass over the data touches few places. Only where a window is found
    are whole needles compared.
    """

    def __init__(self, found: list[bytes]) -> None:
        self.by_window: dict[bytes, list[tuple[bytes, int]]] = {}
        self.by_start: dict[bytes, list[bytes]] = {}
        self.longest = max(map(len, found), default=0)
        anchors: set[int] = set()
        for needle in found:
            at = min(
                range(len(needle) - _WINDOW + 1),
                key=lambda i, n=needle: 0 if n[i] in anchors else _WEIGHT.get(n[i], 1),  # type: ignore[misc]
            )
            anchors.add(needle[at])
            self.by_window.setdefault(needle[at : at + _WINDOW], []).append((needle, at))
            self.by_start.setdefault(needle[:1], []).append(needle)
        windows = _grouped(self.by_window)
        self.windows = re.compile(windows) if windows else None
        self.anything = re.compile(b"|".join(filter(None, (_PROVIDER_HINTS, windows))))
        firsts = b"".join(map(re.escape, self.by_start))
        self.firsts = re.compile(b"[" + firsts + b"]") if firsts else None

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Where needles stand, overlapping ones too."""
        spans: list[tuple[int, int]] = []
        if self.windows is None:
            return spans
        hit = self.windows.search(data)
        while hit:
            for needle, at in self.by_window[hit.group()]:
                start = hit.start() - at
                if start >= 0 and data.startswith(needle, start):
                    spans.append((start, start + len(needle)))
            hit = self.windows.search(data, hit.start() + 1)
        return spans

    def unfinished(self, data: bytes) -> int:
        """Where the suffix starts that could still grow into something to hide."""
        begins = _PROVIDER_BEGINS.search(data, max(0, len(data) - _LONGEST_BEGINNING))
        first = begins.start() if begins else len(data)
        if self.firsts is None:
            return first
        for hit in self.firsts.finditer(data, max(0, len(data) - self.longest + 1), first):
            suffix = data[hit.start() :]
            for needle in self.by_start[hit.group()]:
                if len(suffix) < len(needle) and needle.startswith(suffix):
                    return hit.start()
        return first


class Redactor:
    """One stream of bytes in, the same stream with every secret as `***` out.

    Held back between calls is only a suffix that could be the beginning of a secret, so that the
    result does not depend on how the stream was cut.

    Raises:
        ValueError: a secret is too short to be hidden; the message does not hold it.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._patterns = _Patterns(needles(secrets))
        self._held = b""
        self._masked = 0  # so many bytes of `_held` are part of a mask that was given out already
        self._in_token = False  # the stream so far ends within a provider's token

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Redactor:
        """One for those that are long enough to be hidden."""
        return cls(secret for secret in secrets if len(secret.strip()) >= SHORTEST)

    def twin(self) -> Redactor:
        """A redactor of another stream for the same secrets."""
        other = Redactor()
        other._patterns = self._patterns
        return other

    def whole(self, data: bytes) -> bytes:
        """A complete text without its secrets."""
        stream = self.twin()
        return stream.feed(data) + stream.flush()

    def feed(self, data: bytes) -> bytes:
        """What can be given out of the stream by now."""
        if not data:
            return b""
        data = self._held + data if self._held else data
        return self._give(data, self._patterns.unfinished(data))

    def flush(self) -> bytes:
        """The rest of the stream, which has ended."""
        rest = self._give(self._held, len(self._held)) if self._held else b""
        self._in_token = False
        return rest

    def _give(self, data: bytes, cut: int) -> bytes:
        spans, goes_on = self._spans(data)
        self._held, self._masked = data[cut:], 0
        if not spans:
            return data[:cut] if cut < len(data) else data
        pieces: list[bytes] = []
        at = 0
        for start, end in spans:
            masked = goes_on and start == 0
            if start >= cut and not masked:
                break
            pieces.append(data[at:start])
            if not masked:
                pieces.append(MASK)
            at = end
        pieces.append(data[at:cut])
        self._masked = max(0, at - cut)
        return b"".join(pieces)

    def _spans(self, data: bytes) -> tuple[list[tuple[int, int]], bool]:
        """What is to be hidden, in order, overlaps joined; and whether its mask was given out."""
        known = self._masked
        if self._in_token and (rest := _TOKEN_REST.match(data, known)):
            known = rest.end()
        if not known and not self._patterns.anything.search(data):
            self._in_token = False
            return [], False
        tokens = [hit.span() for hit in _PROVIDER.finditer(data)]
        in_token = self._in_token and known == len(data)
        self._in_token = in_token or any(end == len(data) for _, end in tokens)
        if known:
            tokens.append((0, known))
        joined: list[tuple[int, int]] = []
        for start, end in sorted(tokens + self._patterns.find(data)):
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined, bool(known)
