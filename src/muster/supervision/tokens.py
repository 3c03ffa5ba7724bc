"""The words, texts and brackets of JavaScript, TypeScript, Go and Rust, or nothing if unsure.

No parser: enough to tell code from comments and strings, and which bracket closes which. Each byte
is looked at a bounded number of times. What cannot be told apart for certain is not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

WORD, NUMBER, TEXT, SIGN = "word", "number", "text", "sign"
LARGEST = 200_000
"""How many characters of a file are read; one with more is not."""

JAVASCRIPT, TYPESCRIPT, GO, RUST = "javascript", "typescript", "go", "rust"

_CLOSES = {"(": ")", "[": "]", "{": "}", "${": "}"}
_BLANK = re.compile(r"(?:\s+|//[^\n]*)+")
_WORD = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_NUMBER = re.compile(r"\d(?:[\w]|\.(?=\d))*")
_QUOTED = {
    quote: re.compile(rf"{quote}(?:[^{quote}\\\n]|\\.)*{quote}", re.DOTALL) for quote in "'\""
}
_LINES = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+/[A-Za-z]*")
_RAW = re.compile(r'[bc]?r(#*)"')
_NESTED = re.compile(r"/\*|\*/")
_LETTER = re.compile(r"b?'(?:\\[^\n]|[^\\'\n])[^'\n]{0,8}?'")
_LIFETIME = re.compile(r"'\w+(?!')")
_TAG = re.compile(r"<(?:[^\W\d]|>)")
_BEFORE_VALUE = re.compile(
    "return|typeof|case|in|of|delete|void|throw|new|instanceof|await|yield|else|do"
)
_HEADS = frozenset({"if", "while", "for", "with"})


class Token(NamedTuple):
    """A piece of code: its kind, and how it is written."""

    kind: str
    text: str


@dataclass(slots=True)
class Code:
    """A file's tokens in their order; `ends` says for each opening bracket where it is closed."""

    tokens: list[Token] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)

    def is_sign(self, at: int, sign: str) -> bool:
        """Whether that sign stands there."""
        return at < len(self.tokens) and self.tokens[at] == (SIGN, sign)

    def word(self, at: int) -> str:
        """The word that stands there; empty where none does."""
        here = self.tokens[at] if 0 <= at < len(self.tokens) else None
        return here.text if here and here.kind == WORD else ""


class _Unsure(Exception):
    """The text can be read in two ways, or in none."""


def code_of(text: str, language: str) -> Code | None:
    """A file's code; None for one that is too large, or that cannot be told for certain."""
    if len(text) > LARGEST:
        return None
    reader = _Reader(text, language)
    try:
        reader.read()
    except _Unsure:
        return None
    return reader.code


class _Reader:
    """Goes through a text once."""

    def __init__(self, text: str, language: str) -> None:
        self.text, self.language = text, language
        self.code = Code()
        self.at = 0
        self._open: list[int] = []
        self._after: dict[int, int] = {}

    def read(self) -> None:
        """Take all tokens.

        Raises:
            _Unsure: it cannot be told for certain.
        """
        if self.text.startswith("#!") and not self.text.startswith("#!["):
            self.at = (self.text + "\n").index("\n")
        while self.at < len(self.text):
            if found := _BLANK.match(self.text, self.at):
                self.at = found.end()
            elif self.text.startswith("/*", self.at):
                self._skip_comment()
            else:
                self._take()
        if self._open:
            raise _Unsure

    def _take(self) -> None:
        if self.language == RUST and self._take_rust():
            return
        here = self.text[self.at]
        if here in "'\"":
            self._take_match(_LINES if self.language == RUST else _QUOTED[here], TEXT)
        elif here == "`" and self.language == GO:
            self._take_until("`", self.at + 1)
        elif here == "`":
            self.at += 1
            self._template()
        elif found := _WORD.match(self.text, self.at):
            self._add(WORD, found.group())
        elif found := _NUMBER.match(self.text, self.at):
            self._add(NUMBER, found.group())
        elif here == "/" and self._begins_pattern():
            self._take_match(_PATTERN, TEXT)
        else:
            self._sign(here)

    def _add(self, kind: str, text: str) -> None:
        self.code.tokens.append(Token(kind, text))
        self.at += len(text)

    def _take_match(self, what: re.Pattern[str], kind: str) -> None:
        found = what.match(self.text, self.at)
        if found is None:
            raise _Unsure
        self._add(kind, found.group())

    def _take_until(self, end: str, start: int) -> None:
        found = self.text.find(end, start)
        if found < 0:
            raise _Unsure
        self._add(TEXT, self.text[self.at : found + len(end)])

    def _skip_comment(self) -> None:
        depth = 0
        for found in _NESTED.finditer(self.text, self.at):
            opens = found.group() == "/*"
            depth += (1 if opens else -1) if self.language == RUST or not opens or not depth else 0
            if depth == 0:
                self.at = found.end()
                return
        raise _Unsure

    def _take_rust(self) -> bool:
        """Texts and letters as Rust writes them; a lifetime is a word."""
        if found := _RAW.match(self.text, self.at):
            self._take_until(f'"{found.group(1)}', found.end())
        elif self.text.startswith(('b"', 'c"'), self.at):
            self.at += 1
            self._take_match(_LINES, TEXT)
        elif found := _LETTER.match(self.text, self.at):
            letter = found.group().removeprefix("b")
            if len(letter) > 3 and letter[1] != "\\":  # two lifetimes on one line
                self._take_match(_LIFETIME, WORD)
            else:
                self._add(TEXT, found.group())
        elif self.text[self.at] == "'":
            self._take_match(_LIFETIME, WORD)
        else:
            return False
        return True

    def _template(self) -> None:
        """A piece of a template, up to its end or to what is put into it."""
        found = _TEMPLATE.match(self.text, self.at)
        piece = found.group() if found else ""
        self._add(TEXT, piece)
        if self.text.startswith("${", self.at):
            self._open.append(len(self.code.tokens))
            self._add(SIGN, "${")
        elif self.text.startswith("`", self.at):
            self.at += 1
        else:
            raise _Unsure

    def _sign(self, here: str) -> None:
        two = self.text[self.at : self.at + 2]
        if here in "([{":
            self._open.append(len(self.code.tokens))
        if here in ")]}":
            self._close(here)
            return
        is_markup = here == "<" and self.language == JAVASCRIPT and not self._after_value()
        if is_markup and _TAG.match(self.text, self.at):
            raise _Unsure
        self._add(SIGN, two if two in {"++", "--", "=>", ":=", "::"} else here)

    def _close(self, here: str) -> None:
        if not self._open:
            raise _Unsure
        opened = self._open.pop()
        opener = self.code.tokens[opened].text
        if _CLOSES[opener] != here:
            raise _Unsure
        self.code.ends[opened] = len(self.code.tokens)
        self._after[len(self.code.tokens)] = opened
        self._add(SIGN, here)
        if opener == "${":
            self._template()

    def _begins_pattern(self) -> bool:
        """Whether a slash begins a regular expression, and does not divide."""
        return self.language in {JAVASCRIPT, TYPESCRIPT} and not self._after_value()

    def _after_value(self) -> bool:
        """Whether what was read last is a value, so that a sign goes on with it."""
        last = len(self.code.tokens) - 1
        if last < 0:
            return False
        kind, text = self.code.tokens[last]
        if kind == SIGN and text == "}":
            raise _Unsure  # the end of a block, or of a value
        if kind == SIGN and text == ")":
            return self.code.word(self._after[last] - 1) not in _HEADS
        if kind == WORD:
            return _BEFORE_VALUE.fullmatch(text) is None
        return kind != SIGN or text in {"]", "++", "--"}
