"""Expressions are skipped where no stem of theirs stands in a text: none of them would match."""

from __future__ import annotations

import re
import sys

import pytest

from runguard._failure import reason_words, timeout_words, word_stems
from runguard._failure.reason import reason_in, timeout_reason_in
from runguard._failure.word_stems import folded, holds_any
from tests.support.literal_skeletons import skeletons

PAIRS = [
    *zip(
        (said for _, said in reason_words.REASON_OF_WORDS), word_stems.OF_REASONS.rows, strict=True
    ),
    *zip(
        (said for _, said in reason_words.TIMEOUT_OF_WORDS),
        word_stems.OF_TIMEOUTS.rows,
        strict=True,
    ),
    *zip(timeout_words.SAID_OTHERWISE, word_stems.SAID_OTHERWISE.rows, strict=True),
]


@pytest.mark.parametrize(("expression", "stems"), PAIRS, ids=lambda value: str(value)[:40])
def test_whatever_an_expression_matches_holds_one_of_its_stems(
    expression: str, stems: tuple[str, ...]
) -> None:
    left = skeletons(expression, lambda match: holds_any(stems, folded(match)))

    assert left == set()


def test_stems_are_folded_themselves() -> None:
    stems = [stem for _, of_one in PAIRS for stem in of_one]

    assert [stem for stem in stems if folded(stem) != stem or not stem] == []


def test_a_plain_word_of_a_timeout_holds_time() -> None:
    assert skeletons(timeout_words.PLAIN, lambda match: "time" in match) == set()


def test_characters_that_match_in_any_case_are_folded_to_one() -> None:
    """Unicode has more of them than `str.lower()`: the long s, the dotted capital I, …"""
    cased = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if folded(character) != character or character.upper() != character
    ]
    everything = "\n".join(cased)
    for character in {character for _, stems in PAIRS for stem in stems for character in stem}:
        found = re.compile(re.escape(character), re.IGNORECASE).findall(everything)
        assert {folded(one) for one in found} <= {character}, character


@pytest.mark.parametrize(
    "text",
    ["DİSK FULL", "diſk full", "TOO MANY OPEN FILES", "out of memorY", "메모리 부족", "ПАРОЛЬ"],
)
def test_a_text_in_any_case_tells_what_all_expressions_tell(text: str) -> None:
    for table, said_by in (
        (reason_words.REASON_OF_WORDS, reason_in),
        (reason_words.TIMEOUT_OF_WORDS, timeout_reason_in),
    ):
        told = (one for one, said in table if re.search(said, text, re.IGNORECASE))
        assert said_by(text) == next(told, None)
