"""Most rules are not tried on most texts: what is skipped could not have matched."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard._failure import command_lines, vendor_rules
from runguard._failure.decoded_text import ESCAPES, has_escapes
from runguard._failure.odd_characters import ODD
from runguard._failure.redaction import Redactor
from runguard._failure.redaction_rules import built_in_rules, find_secrets, is_bare
from runguard._failure.scanned_text import WORD, HintIndex, ScannedText, lowered
from runguard._failure.secret_names import (
    ENGLISH,
    OTHER_LANGUAGES,
    english_hints,
    english_names_in,
    names_in,
    other_hints,
)
from runguard._failure.secret_options import TOOLS
from runguard._failure.secret_values import Rule
from runguard._failure.vendor_tokens import SECRET_ADDRESSES, VENDOR_TOKENS
from tests.support.literal_skeletons import skeletons

CASES = Path(__file__).with_name("cases")
RULES = {rule.name: rule for rule in built_in_rules()}
# Rules of one expression; the others decide for themselves, and are compared below. What the
# members of a JSON web key are called is a secret's name only beside its `kty`.
OF_ONE_PATTERN = [
    rule for rule in RULES.values() if len(rule.patterns) == 1 and rule.name != "JSON web key"
]
# Characters that Python lower-cases, folds, or takes for white space in ways of its own.
ODD_PIECES: list[str] = [
    *"Kſıİßẞµ\u00a0\u2003\u2028\u2029\x85\x1c\x0b\x0c\r\n\t\0\x1b\u200b\u0307\ud800가éﬁ",
    *("\r\n", "\\n", "\\\\n", "%20", "%3D", "%3d", "%26", "%ff", "%e2%84%aa", "&quot;", "&#61;"),
    *("&amp;", "\\u0026", "\\x3d", '\\"', "\\'", "b'\\xe2\\x84\\xaa'", "=", ":", " ", "  ", ", "),
    *("'", '"', "//", "://", "@", "|", "~", ".exe", "[", "](", ")=(", " -p ", " on ", " >x"),
    *("hunter2", "Hx7Hx7Hx7Hx7Hx7Hx7", "12345678"),
]


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.replace("«", "").replace("»", "")
    elif isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings_in(one)


EXAMPLES = [
    *(
        text
        for file in CASES.glob("secret*.json")
        for text in strings_in(json.loads(file.read_text()))
    ),
    *(token.example for token in VENDOR_TOKENS),
    *(address.example for address in SECRET_ADDRESSES),
]
LITERALS = [
    found
    for rule in built_in_rules()
    for pattern in rule.patterns
    for found in re.findall(r"[A-Za-z][A-Za-z_ -]{1,20}", pattern)
]
POOLS: list[list[str]] = [
    [piece for text in EXAMPLES for piece in re.findall(r"\w+|\W+", text)],
    [hint for rule in built_in_rules() for hint in rule.hints],
    [hint for address in SECRET_ADDRESSES for hint in address.hints.split()],
    [piece for names in (ENGLISH, *OTHER_LANGUAGES) for piece in names.hints.split("|")],
    [word for tool in TOOLS for word in f"{tool.names} {tool.value} {tool.after}".split()],
    LITERALS,
    ODD_PIECES,
    ODD_PIECES,
]


def texts(seed: int, count: int) -> list[str]:
    """Texts of fragments of every rule's alphabet, the same for each seed."""
    rng = random.Random(seed)

    def piece() -> str:
        return rng.choice(rng.choice(POOLS))

    def text() -> str:
        if rng.random() < 0.4:
            begun = rng.choice(EXAMPLES)
            at = rng.randrange(len(begun) + 1)
            return begun[:at] + piece() + begun[at + rng.randint(0, 2) :]
        made = "".join(
            piece() + rng.choice(("", "", " ", "=", "\n")) for _ in range(rng.randint(1, 20))
        )
        return rng.choice((made, made, made.upper(), made.swapcase()))

    return [text() for _ in range(count)]


def unfiltered(text: str) -> set[tuple[int, int]]:
    """What all rules find, each tried without a look at its hints."""
    scanned = ScannedText(text)
    return {
        span
        for rule in built_in_rules()
        if rule.name != "JSON web key" or '"kty"' in scanned.low
        for span in rule.find(scanned)
        if 0 <= span[0] < span[1]
    }


@pytest.mark.parametrize("seed", range(4))
def test_rules_that_are_skipped_would_have_found_nothing(seed: int) -> None:
    for text in texts(seed, 150):
        if not has_escapes(text):
            assert set(find_secrets(text)) == unfiltered(text), text


def test_of_a_bare_text_no_rule_finds_anything() -> None:
    rng, bare = random.Random(16), 0
    words = [word for text in EXAMPLES for word in text.split()] + LITERALS
    for _ in range(6000):
        text = rng.choice((" ", "\n", ": ", "")).join(rng.choices(words, k=rng.randint(1, 4)))
        if is_bare(text):
            bare += 1
            assert unfiltered(text) == set(), text
            assert not has_escapes(text), text

    assert bare > 200


@pytest.mark.parametrize("text", ["bad input 17", "decorated-17:UNKNOWN", "row 7: no date", ""])
def test_a_common_text_is_bare(text: str) -> None:
    assert is_bare(text)


@pytest.mark.parametrize("rule", OF_ONE_PATTERN, ids=lambda rule: rule.name)
def test_whatever_a_pattern_matches_holds_one_of_its_hints(rule: Rule) -> None:
    def holds_a_hint(match: str) -> bool:
        return any(hint in match for hint in rule.hints)

    assert rule.hints
    assert skeletons(rule.patterns[0], holds_a_hint) == set()


@pytest.mark.parametrize(
    ("rule", "piece"),
    [(rule, piece) for rule in OF_ONE_PATTERN for piece in rule.needs],
    ids=lambda value: value.name if isinstance(value, Rule) else value,
)
def test_whatever_a_pattern_matches_holds_all_that_it_needs(rule: Rule, piece: str) -> None:
    assert skeletons(rule.patterns[0], lambda match: piece in match) == set()


@pytest.mark.parametrize("address", SECRET_ADDRESSES, ids=lambda address: address.name)
def test_whatever_an_address_matches_holds_one_of_its_hints(address: Any) -> None:
    hints = address.hints.split()

    assert skeletons(address.pattern, lambda match: any(hint in match for hint in hints)) == set()


@pytest.mark.parametrize("name", [*ENGLISH.strong, *ENGLISH.weak])
def test_an_english_name_begins_as_the_list_says(name: str) -> None:
    begins = tuple(ENGLISH.begins.split("|"))

    assert skeletons(name, lambda match: match.startswith(begins)) == set()
    assert skeletons(name, lambda match: any(h in match for h in english_hints())) == set()


@pytest.mark.parametrize(
    "name", [name for one in OTHER_LANGUAGES for name in (*one.strong, *one.weak)]
)
def test_a_name_of_another_language_holds_one_of_the_hints(name: str) -> None:
    assert skeletons(name, lambda match: any(hint in match for hint in other_hints())) == set()


def test_a_search_where_names_begin_finds_what_a_search_everywhere_finds() -> None:
    for text in texts(11, 300):
        scanned = ScannedText(text)
        everywhere = list(names_in(scanned.low, english_only=True))
        assert list(english_names_in(scanned)) == everywhere, text


def test_the_tools_of_a_text_are_found_as_by_a_search_everywhere() -> None:
    commands = command_lines._commands()
    for text in texts(12, 300):
        scanned = ScannedText(text)
        everywhere = command_lines._TOOL_WORD.finditer(scanned.low)
        expected = [found.span() for found in everywhere if found[0] in commands]
        assert [found.span() for found in command_lines._tools_in(scanned)] == expected, text


def test_a_text_whose_words_are_short_holds_no_token() -> None:
    rng = random.Random(13)
    for _ in range(2000):
        text = "".join(rng.choices("aAzZ09_~+-. /K가", k=rng.randint(0, 60)))
        words = vendor_rules._gate().findall(text)
        if any(vendor_rules._RICH.search(word) for word in words):
            assert vendor_rules.has_rich_words(text, ScannedText(text).words), text


def test_a_text_has_escapes_where_the_whole_expression_finds_one() -> None:
    rng = random.Random(14)
    for text in texts(14, 200):
        assert has_escapes(text) == bool(re.search(ESCAPES, text)), text
    for _ in range(3000):
        text = "".join(rng.choices("%&\\uxnt\"'/=:;#09afAFquotamp1", k=rng.randint(0, 12)))
        assert has_escapes(text) == bool(re.search(ESCAPES, text)), text


def test_a_printable_text_holds_no_odd_character() -> None:
    odd = re.compile(f"[{ODD}]")

    assert [c for c in map(chr, range(0x110000)) if odd.search(c) and c.isprintable()] == []


def test_a_piece_of_a_word_stands_in_the_gist_where_it_stands_in_the_text() -> None:
    rng = random.Random(15)
    for text in texts(15, 200):
        scanned = ScannedText(text)
        for _ in range(20):
            at = rng.randrange(len(text) + 1)
            piece = scanned.low[at : at + rng.randint(1, 6)]
            if set(piece) <= set(WORD):
                assert piece in scanned.gist, (text, piece)
        for word in scanned.words:
            assert word in scanned.low


def test_a_lower_cased_text_keeps_every_character_where_it_stands() -> None:
    for character in map(chr, range(0x110000)):
        assert len(lowered(f"A{character}Z")) == 3


def test_an_index_finds_the_rules_whose_hints_stand_in_a_text() -> None:
    hints = [("pass", "@"), (), ("password",), ('port "', "port: '"), ("비밀",), ("compass x",)]
    index = HintIndex(hints)
    for text in (
        "",
        "compass",
        'port  "',
        'port "x',
        "비밀 @",
        "PASSWORD",
        "port: 'x",
        "compass x",
    ):
        low = text.lower()
        expected = {
            number
            for number, one in enumerate(hints)
            if not one or any(hint in low for hint in one)
        }
        assert index.found_in(ScannedText(text)) == expected, text


@pytest.mark.parametrize(
    "text",
    [
        "Invalid value for paſsword=hunter2 and password=hunter2",
        "PASSWORD=hunter2\u2028password\u00a0=\u00a0hunter2",
        "%70assword=hunter2&pass%77ord=hunter2",
        'b"password=hunter2\\n\\x70assword=hunter2"',
        "mysql~x -phunter2\nMYSQL.EXE -phunter2",
        "가mysql -phunter2",
        "İmysql -phunter2 KEY=AKIAABCDEFGHIJKLMNOP",
        "password:\n  |\n",
    ],
)
def test_odd_characters_hide_no_secret_from_a_rule(text: str) -> None:
    scanned = ScannedText(text)

    spans = {span for rule in built_in_rules() for span in rule.find(scanned)}

    assert spans <= set(find_secrets(text))


@pytest.mark.parametrize(
    "text",
    [
        "('api-token', 'hunter2')",
        "C: AUTH XOAUTH2 dXNlcj1odW50ZXIy",
        "https://acme.teamwork.com/launchpad/hunter2hunter2",
        "phrase secrète: hunter2",
        "cle api: hunter2",
    ],
)
def test_a_secret_is_hidden_where_it_stands_alone(text: str) -> None:
    cleaned = Redactor().clean(text)

    assert "[redacted]" in cleaned
    assert "hunter2" not in cleaned
    assert "dXNl" not in cleaned


@pytest.mark.parametrize("text", ["beeline'org' -p '", "sqlcmd'\u0131' -P 'x' -P '"])
def test_an_unclosed_quote_behind_a_tools_name_is_read_once(text: str) -> None:
    assert Redactor().clean(text).startswith(text.partition("'")[0])
