"""Secrets never come out of a redactor, in whatever spelling and however the stream is cut."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.redact import MASK, Redactor, needles

SECRET = 'pa&ss/w"örd<7>+x=Q!'
PLAIN = "hunter2-correct-horse"
KEY = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\nc2Vjb25kbGluZQ==\nshort\n-----END KEY-----\n"
GIVEN = "sk-" + "ant-api03-" + "aB3dE5gH7jK9mN1pQ3sT5vX7"
TOKENS = [
    GIVEN,
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "github_" + "pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "xox" + "b-123456789012-abcdefABCDEF",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
]


def through(secrets: list[str], *pieces: bytes) -> bytes:
    """The whole output for a stream that comes in these pieces."""
    stream = Redactor(secrets)
    return b"".join(map(stream.feed, pieces)) + stream.flush()


def spellings(secret: str) -> list[bytes]:
    """The ways in which a program may print a secret, made here with the usual libraries."""
    raw = secret.encode()
    return [
        raw,
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        html.escape(secret).encode(),
        raw.hex().encode(),
        raw.hex().upper().encode(),
    ]


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_every_usual_spelling_is_masked_at_every_cut(secret: str) -> None:
    for spelling in spellings(secret):
        text = b"before " + spelling + b" after"
        for cut in range(len(text) + 1):
            assert through([secret], text[:cut], text[cut:]) == b"before *** after"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"u", b"us", b"use", b"user:"])
@pytest.mark.parametrize("after", [b"", b"\n", b"@h", b"@host/"])
def test_a_secret_within_a_longer_base64_text_is_masked(encode, before, after) -> None:
    for secret in (SECRET, PLAIN, "sixsix"):
        coded = encode(before + secret.encode() + after)
        left = through([secret], coded).split(MASK)
        assert len(left) == 2
        # Only the characters that are shared with a neighbour stay: at most one on each side.
        assert len(left[0]) <= len(before) * 8 // 6 + 1
        assert len(left[1].rstrip(b"=")) <= len(after) * 8 // 6 + 2


def test_bytewise_output_is_masked() -> None:
    text = b"x" + PLAIN.encode() + b"y" + SECRET.encode() + b"z"
    assert through([PLAIN, SECRET], *(bytes([b]) for b in text)) == b"x***y***z"


def test_only_a_possible_beginning_is_held_back() -> None:
    stream = Redactor([PLAIN])
    assert stream.feed(b"Password: ") == b"Password: "
    assert stream.feed(b"go hunt") == b"go "
    assert stream.feed(b"ers\n") == b"hunters\n"
    assert stream.flush() == b""


def test_the_rest_comes_out_at_the_end() -> None:
    stream = Redactor([PLAIN])
    assert stream.feed(b"hunter2-correct-hors") == b""
    assert stream.flush() == b"hunter2-correct-hors"


@pytest.mark.parametrize("short", ["", "abc", "12345", "   abc   \n"])
def test_a_short_secret_is_refused_without_being_shown(short: str) -> None:
    with pytest.raises(ValueError, match="at least 6 characters") as caught:
        Redactor([PLAIN, short])
    assert not short.strip() or short.strip() not in str(caught.value)


def test_each_long_line_of_a_secret_of_many_lines_is_masked() -> None:
    shown = through([KEY], b"a MIIEpAIBAAKCAQEA7 b\nc2Vjb25kbGluZQ== c\nshort\n" + KEY.encode())
    assert shown == b"a *** b\n*** c\nshort\n***\n"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert through(["abcdefgh", "efghijkl"], b"<abcdefghijkl>") == b"<***>"
    assert through(["abcdefgh", "abcdefghijkl"], b"<abcdefghijkl>") == b"<***>"
    assert through(["secret1"], b"secret1secret1") == b"******"


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_known_providers_are_masked_at_every_cut(token: str) -> None:
    text = f'{{"key": "{token}"}}\n'.encode()
    for cut in range(len(text) + 1):
        assert through([], text[:cut], text[cut:]) == b'{"key": "***"}\n'
    assert through([], *(bytes([b]) for b in text)) == b'{"key": "***"}\n'


def test_a_token_that_goes_on_over_many_pieces_is_one_mask() -> None:
    stream = Redactor()
    shown = stream.feed(b"ghp_" + b"a" * 40)
    for _ in range(5):
        shown += stream.feed(b"b" * 1000) + stream.feed(b"")
    shown += stream.feed(b" end ") + stream.flush()
    assert shown == b"*** end "


def test_what_only_looks_like_a_token_stays() -> None:
    text = b"task-anticipation sk-ant- ghp_ AKIA xoxo- AIza github_pat_ pizza-margherita-1 AKIAIO"
    assert through([], text) == text


def test_a_secret_that_begins_inside_a_token_is_wholly_hidden() -> None:
    text = f"<{GIVEN}tail.of.secret>".encode()
    secret = GIVEN[-6:] + "tail.of.secret"
    for cut in range(len(text) + 1):
        assert through([secret], text[:cut], text[cut:]) == b"<***>"


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    data = bytes(range(256)) * 3
    assert through([PLAIN], data) == data


def test_a_twin_hides_the_same_and_shares_no_state() -> None:
    one = Redactor([PLAIN])
    two = one.twin()
    assert one.feed(b"hunter2-cor") == b""
    assert two.feed(b"rect-horse") == b"rect-horse"
    assert one.feed(b"rect-horse") + one.flush() == MASK
    assert two.whole(b"a hunter2-correct-horse") == b"a ***"


def slowly(secrets: list[str], data: bytes) -> bytes:
    """The same by definition: mark every byte of every hit, then show each marked run once."""
    hits = [
        (at, at + len(needle))
        for needle in needles(secrets)
        for at in range(len(data))
        if data.startswith(needle, at)
    ]
    token = rb"gh[pousr]_[\w-]{30,}"
    hits += [hit.span() for hit in re.finditer(token, data, re.ASCII)]
    shown, at = b"", 0
    merged: list[list[int]] = []
    for start, end in sorted(hits):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end])
    for start, end in merged:
        shown, at = shown + data[at:start] + MASK, end
    return shown + data[at:]


def test_a_mask_goes_on_over_a_piece_of_which_nothing_can_be_given_out_yet() -> None:
    assert through(["abcabd", "dabcab", "cabdab"], b"abcabdab", b"c", b"abd") == b"***"


PARTS = st.sampled_from(
    [b"abcabd", b"abc", b"ab", b"a", b"dabcab", b"cab", b"ghp_", b"gh", b"x" * 29, b"x", b"-", b" "]
)


@given(st.lists(PARTS, max_size=30), st.lists(st.integers(0, 200), max_size=6))
def test_the_result_does_not_depend_on_the_cuts(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    secrets = ["abcabd", "dabcab", "cabdab"]
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert through(secrets, *pieces) == slowly(secrets, data)
