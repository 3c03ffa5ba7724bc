"""Whether an error says that a limit of the service was met, and when it can be tried again.

Only what a program reports as an error in its structured stream is read here, never what a model
says. The wordings are those of Claude Code, Codex, Gemini CLI, Qwen Code, OpenCode and of the
services behind them; new ones appear, so that a known status or kind of error always counts more.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

FARTHEST = timedelta(days=35)
"""A limit that is said to last longer is believed to be a limit, and its end is not."""

_MET = re.compile(
    r"\b(?:hit|reached|exceeded|over|out of)\s+(?:(?:your|the|its|a)\s+)?(?:[\w.-]+\s+){0,4}?"
    r"(?:limits?|quota|usage)\b"
    r"|\b(?:limits?|quota)\s+(?:(?:has|have)\s+been\s+|is\s+|was\s+)?"
    r"(?:reached|exceeded|hit|exhausted|met)\b"
    r"|\bresource(?:_|\s+has\s+been\s+)exhausted\b|\bexhausted\s+your\s+(?:\w+\s+){0,2}(?:capacity|quota)"
    r"|\brate[\s_-]?limit(?:ed|_error|_exceeded)?\b|\btoo\s+many\s+requests\b"
    r"|\boverloaded(?:_error)?\b|\bover\s+capacity\b|\bthrottl(?:ed|ing)\b",
    re.IGNORECASE,
)
_OF_THE_WORK = re.compile(
    r"\bcontext\b|\bmax(?:imum)?[\s_-](?:turns|tokens)|\btoo\s+long\b|\bbudget\b", re.IGNORECASE
)
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient\s+(?:credits?|balance|funds)|credit\s+balance\s+is\s+too\s+low"
    r"|billing\s+hard\s+limit|payment\s+required",
    re.IGNORECASE,
)
_SIGN_IN = re.compile(
    r"\bunauthori[sz]ed\b|\b(?:invalid|incorrect|missing|no)\s+(?:x-)?api[\s_-]?key\b"
    r"|\bapi[\s_-]?key\s+(?:not\s+valid|is\s+(?:invalid|missing))"
    r"|\bauthentication[\s_](?:failed|error|required)|\bnot\s+(?:logged|signed)\s+in\b"
    r"|\bplease\s+(?:log|sign)\s*in\b|\bpermission_denied\b|\btoken\s+(?:has\s+)?expired\b",
    re.IGNORECASE,
)
_BROKE = re.compile(
    r"\bserver[\s_](?:had\s+an\s+)?error\b|\bbad\s+gateway\b|\bgateway\s+time-?out\b"
    r"|\b(?:service|temporarily|currently)[\s_]unavailable\b",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"\|\s*(\d{10}|\d{13})\b")
_ISO = re.compile(r"\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)")
_IN = re.compile(
    r"\b(?:retry|again|resets?|available|wait|back)\b[^.|\d]{0,20}?\b(?:in|after|for)\s+"
    r"(?:about\s+)?(\d[\w.,\s]{0,80})",
    re.IGNORECASE,
)
_PIECE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?"
    r"|ms|milliseconds?)(?![a-z])",
    re.IGNORECASE,
)
_AT = re.compile(
    r"\b(?:resets?|reset|again|available|until|retry)\b\s*(?:at|on)?\s*"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})"
    r"(?:st|nd|rd|th)?,?\s*(?P<year>\d{4})?,?\s*(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap]\.?m\.?)?"
    r"\s*(?:\((?P<zone>[A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)\)|(?P<utc>UTC|GMT)\b)?",
    re.IGNORECASE,
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST = 2000
_ROUNDED = 60.0
"""Seconds that a time of day may have been rounded down by."""


def is_limit(error: str) -> bool:
    """Whether an error says that the service will answer again later."""
    text = error[:_LONGEST]
    return bool(_MET.search(text)) and not (_OF_THE_WORK.search(text) or wants_person(text))


def is_trouble(error: str) -> bool:
    """Whether an error of a service says that the service itself broke."""
    return bool(_BROKE.search(error[:_LONGEST]))


def wants_person(error: str) -> bool:
    """Whether an error says that somebody has to sign in or to pay first."""
    return bool(_NO_CREDIT.search(error[:_LONGEST]) or _SIGN_IN.search(error[:_LONGEST]))


def retry_at(error: str, now: float) -> float | None:
    """When an error says that it can be tried again, in epoch seconds, if it says it.

    A time of day without a zone is taken in the machine's own, where the program ran too.
    """
    text = error[:_LONGEST]
    moment = _epoch(text) or _iso(text) or _in(text, now) or _at(text, now)
    far = now + FARTHEST.total_seconds()
    return moment if moment is not None and now - 60 <= moment <= far else None


def _epoch(text: str) -> float | None:
    found = _EPOCH.search(text)
    if not found:
        return None
    return int(found[1]) / (1000 if len(found[1]) == 13 else 1)


def _iso(text: str) -> float | None:
    found = _ISO.search(text)
    try:
        return datetime.fromisoformat(found[1]).astimezone().timestamp() if found else None
    except (ValueError, OverflowError):
        return None


def _in(text: str, now: float) -> float | None:
    found = _IN.search(text)
    pieces = _PIECE.findall(found[1]) if found else []
    if not pieces:
        return None
    seconds = 0.0
    for number, unit in pieces:
        small = unit.lower().startswith(("ms", "milli"))
        seconds += float(number) * (0.001 if small else _SECONDS[unit[0].lower()])
    return now + seconds


def _at(text: str, now: float) -> float | None:
    """The next moment at which a clock shows what the text says."""
    found = next((m for m in _AT.finditer(text) if _says_a_time(m)), None)
    if found is None:
        return None
    zone = _zone(found["zone"] or found["utc"])
    start = datetime.fromtimestamp(now, zone) if zone else datetime.fromtimestamp(now).astimezone()
    hour = int(found["hour"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"][0].lower() == "p" else 0)
    try:
        moment = start.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
        if found["month"]:
            month = _MONTHS.index(found["month"].lower()) + 1
            year = int(found["year"] or start.year)
            moment = moment.replace(year=year, month=month, day=int(found["day"]))
        elif moment <= start:
            moment += timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return moment.timestamp() + _ROUNDED


def _says_a_time(found: re.Match[str]) -> bool:
    """A bare number after such a word is a time only with minutes, a half of the day or a date."""
    return bool(found["minute"] or found["half"] or found["month"])


def _zone(name: str | None) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo("UTC" if name.upper() in {"UTC", "GMT"} else name)
    except (ValueError, OSError, KeyError):
        return None
