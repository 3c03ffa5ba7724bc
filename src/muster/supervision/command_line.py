"""Which commands a line of shell runs, and whether one of them is what a pattern means.

A net for what agents usually write, not a parser: who hides a command can hide it from this.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

LONGEST = 20_000
_MOST = 200
_BREAKS = re.compile(r"&&|\|\||[;|&\n]|\$\(|[()`]")
_SET = re.compile(r"[A-Za-z_]\w*=")
_BEFORE = frozenset(
    {
        *("sudo", "doas", "nohup", "env", "time", "exec", "command", "nice", "setsid", "xargs"),
        *("{", "!", "if", "then", "else", "while", "do"),
    }
)
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Words:
    """A command as compared: its program and arguments, and its options, all in small letters."""

    words: tuple[str, ...]
    options: frozenset[str]


def pattern_of(text: str) -> Words | None:
    """What a pattern asks; None when it names no program."""
    found = _words(_split(text))
    return found if found.words else None


def matching(patterns: list[tuple[str, Words]], line: str) -> tuple[str, str] | None:
    """The first pattern that means a command in `line`, with that command."""
    for text, words in commands(line):
        for pattern, wanted in patterns:
            if _means(wanted, words):
                return pattern, text
    return None


def commands(line: str, depth: int = 1) -> Iterator[tuple[str, Words]]:
    """Every command in a line of shell, also those that a shell is given by -c."""
    for count, part in enumerate(_parts(line[:LONGEST])):
        if count >= _MOST:
            return
        tokens = _without_prefix(_split(part))
        if not tokens:
            continue
        yield " ".join(tokens), _words(tokens)
        inner = _inner(tokens)
        if inner and depth < _DEEPEST:
            yield from commands(inner, depth + 1)


def _means(wanted: Words, words: Words) -> bool:
    """The same program, every option that is asked, and the arguments in their order."""
    if not words.words or not fnmatchcase(words.words[0], wanted.words[0]):
        return False
    if not all(any(fnmatchcase(o, asked) for o in words.options) for asked in wanted.options):
        return False
    rest = iter(words.words[1:])
    return all(any(fnmatchcase(word, asked) for word in rest) for asked in wanted.words[1:])


def _parts(line: str) -> Iterator[str]:
    """The pieces between operators that stand outside of quotes."""
    start, quote, at = 0, "", 0
    while at < len(line):
        char = line[at]
        if char == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif found := _BREAKS.match(line, at):
            yield line[start:at]
            at = start = found.end()
            continue
        at += 1
    yield line[start:]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=False)
    except ValueError:  # a quote that does not end, as where the line was cut
        return text.split()


def _without_prefix(tokens: list[str]) -> list[str]:
    """Without what only prepares the command: variables that are set, sudo, `nice -n 5`."""
    at = 0
    while at < len(tokens):
        name = tokens[at].rpartition("/")[2]
        prepares = _SET.match(tokens[at]) or name in _BEFORE
        belongs = at and (tokens[at].startswith("-") or tokens[at].isdigit())
        if not prepares and not belongs:
            break
        at += 1
    return tokens[at:]


def _inner(tokens: list[str]) -> str:
    """What a shell is told to run."""
    if tokens[0].rpartition("/")[2] not in _SHELLS:
        return ""
    for at, token in enumerate(tokens[1:-1], start=1):
        if re.fullmatch(r"-[a-z]*c", token):
            return tokens[at + 1]
    return ""


def _words(tokens: list[str]) -> Words:
    words: list[str] = []
    options: set[str] = set()
    for at, token in enumerate(tokens):
        small = token.lower()
        if at == 0:
            words.append(small.rpartition("/")[2])
        elif small.startswith("--") and len(small) > 2:
            options.add(small)
        elif re.fullmatch(r"-[a-z]+", small):
            options |= {f"-{letter}" for letter in small[1:]}
        elif small not in {"-", "--"}:
            words.append(small)
    return Words(tuple(words), frozenset(options))
