"""Tokens: random, recognizable by their form, and stored as digests."""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from itertools import permutations

import pytest

from service.credentials.tokens import PATTERN, TokenKind, digest, kind_of, new_token, visible_prefix

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

# Fixed: with another alphabet, order of digits, or checksum no token in use would be valid.
API_KEY = "rst_" + "0" * 42 + "1" + "3EiraW"


def value(text: str) -> int:
    """Return the number that base62 digits represent."""
    number = 0
    for digit in text:
        number = number * 62 + BASE62.index(digit)
    return number


@pytest.mark.parametrize("kind", TokenKind)
def test_a_new_token_has_its_kind(kind: TokenKind) -> None:
    token = new_token(kind)
    assert kind_of(token) is kind
    assert re.fullmatch(rf"{kind.value}[0-9A-Za-z]{{49}}", token)


@pytest.mark.parametrize("kind", TokenKind)
def test_the_last_six_characters_are_the_crc_32_of_the_rest(kind: TokenKind) -> None:
    token = new_token(kind)
    assert value(token[-6:]) == zlib.crc32(token[:-6].encode())


def test_a_token_of_an_earlier_release_is_well_formed() -> None:
    assert value(API_KEY[-6:]) == zlib.crc32(API_KEY[:-6].encode())
    assert kind_of(API_KEY) is TokenKind.API_KEY


def test_a_token_has_256_random_bits() -> None:
    numbers = [value(new_token(TokenKind.SESSION)[5:-6]) for _ in range(400)]
    assert max(numbers) < 2**256
    # Each bit is set in about half of the tokens; 400 random bits miss the range once in 10^20 cases.
    for bit in range(256):
        assert 100 < sum(number >> bit & 1 for number in numbers) < 300


def test_no_prefix_is_the_start_of_another() -> None:
    assert not [pair for pair in permutations([kind.value for kind in TokenKind], 2) if pair[0].startswith(pair[1])]


@pytest.mark.parametrize("position", range(len(API_KEY)))
def test_a_token_with_one_wrong_character_is_not_well_formed(position: int) -> None:
    wrong = "1" if API_KEY[position] != "1" else "2"
    assert kind_of(API_KEY[:position] + wrong + API_KEY[position + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rst_",
        "rst_" + "0" * 49,
        API_KEY[:-1],
        API_KEY + "0",
        API_KEY + "\n",
        " " + API_KEY,
        API_KEY.upper(),
        API_KEY.replace("rst_", "rsts_"),
        API_KEY.replace("rst_", "ghp_"),
        API_KEY[:-1] + "\uff37",  # a full-width W
        "rst_" + "\u0660" * 49,  # Arabic-Indic digits
        API_KEY[:-1] + "\ud800",
        API_KEY[:-1] + "\x00",
        "\ud800" * 53,
        "🔑" * 53,
        "rst_" + "é" * 49,
    ],
)
def test_any_other_text_is_not_a_token(text: str) -> None:
    assert kind_of(text) is None


def test_a_megabyte_of_text_is_not_a_token() -> None:
    assert kind_of(API_KEY * 2**14) is None


def test_the_digest_is_sha_256_of_the_whole_token() -> None:
    assert digest(API_KEY) == hashlib.sha256(API_KEY.encode()).digest()
    assert digest("\ud800") != digest("\ud801")


def test_eight_characters_of_a_token_are_shown() -> None:
    token = new_token(TokenKind.SESSION)
    assert visible_prefix(token) == token[:13]


def test_another_text_has_no_visible_prefix() -> None:
    with pytest.raises(ValueError, match="not a token"):
        visible_prefix("hunter2 hunter2 hunter2")


def test_the_published_pattern_finds_tokens_in_text() -> None:
    tokens = [new_token(kind) for kind in TokenKind]
    assert re.findall(PATTERN, f"key={tokens[0]}; link=/#{tokens[1]} Cookie: sid={tokens[2]}\n") == tokens


@pytest.mark.parametrize("text", [API_KEY[:-1], API_KEY + "0", "x" + API_KEY, "rstx_" + API_KEY[4:]])
def test_the_published_pattern_does_not_match_other_text(text: str) -> None:
    assert re.search(PATTERN, text) is None
