"""What holds for any text at all."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard._failure.decoded_text import ESCAPES
from runguard._failure.redaction import Redactor
from runguard._failure.redaction_rules import built_in_rules
from runguard._failure.vendor_tokens import SECRET_ADDRESSES, VENDOR_TOKENS

redactor = Redactor()

# Pieces that patterns look for, in any order: this finds what fixed examples do not.
WORDS = """
    password token api_key secret pwd pass key = : == => " ' \\" \\' , ; & ? # @ / // :// https:
    postgresql://u: [ ] ( ) { } < > [redacted] [redact ed] Authorization: Cookie: Bearer Basic
    Digest eyJhbGciOi . --password -p mysql [parameters: -----BEGIN -----END PRIVATE KEY-----
    Key (token)=( ) already exists SG. AKIAABCDEFGHIJKLMNOP sk_live_abcdefgh %3D %26token hunter2
    missing "=" after Failing row contains ( host port cut: … 가 🚀 \\ \\n
"""
ODD = [" ", "\n", "\t", "\0", "\x1b[", "\x1b]", "\u202e", "\ud800", "\r"]
PHRASES = [
    " … [cut: 12 more characters]",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "Failing row contains (",
    'missing "=" after "',
]
redactor.clean(WORDS)  # compiles what the first text needs, before a deadline counts
PIECES = st.sampled_from([*WORDS.split(), *ODD, *PHRASES])
TEXTS = st.one_of(
    st.text(st.characters(), max_size=200),
    st.lists(st.one_of(PIECES, st.text(st.characters(), max_size=5)), max_size=40).map("".join),
)
LIMITS = st.one_of(st.integers(0, 300), st.just(16 * 1024))
BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(TEXTS, LIMITS)
def test_a_cleaned_text_stays_within_its_limit(text: str, limit: int) -> None:
    assert len(redactor.clean(text, limit=limit).encode()) <= limit


@given(TEXTS, LIMITS)
def test_cleaning_twice_is_cleaning_once(text: str, limit: int) -> None:
    once = redactor.clean(text, limit=limit)

    assert redactor.clean(once, limit=limit) == once


@given(TEXTS)
def test_a_cleaned_text_breaks_no_terminal_and_no_database(text: str) -> None:
    for character in redactor.clean(text):
        assert unicodedata.category(character) not in {"Cc", "Cs"} or character in "\n\t"
        assert unicodedata.bidirectional(character) not in BIDIRECTIONAL


@given(TEXTS)
def test_no_text_makes_redaction_fail(text: str) -> None:
    assert "could not redact" not in redactor.clean(text)


PASSWORDS = st.text("abcXYZ019@:/#%$!&,;=()[]+~^*.", min_size=6, max_size=24).map(
    lambda text: f"Q{text}Q"
)


@given(PASSWORDS)
def test_no_password_of_a_url_is_shown(password: str) -> None:
    cleaned = redactor.clean(f"cannot reach postgresql://app:{password}@db.example/x now")

    assert cleaned == "cannot reach postgresql://app:[redacted]@db.example/x now"


@given(PASSWORDS)
def test_no_quoted_password_is_shown(password: str) -> None:
    cleaned = redactor.clean(f"connect(password={password!r}, host='db')")

    assert cleaned == "connect(password='[redacted]', host='db')"


@given(st.text("abcXYZ019@/?#%$!+~^*.'\"&;", min_size=6, max_size=24).map(lambda t: f"Q{t}Q"))
def test_no_bare_password_of_a_dsn_is_shown(password: str) -> None:
    cleaned = redactor.clean(f"host=db password={password} dbname=sales")

    assert cleaned == "host=db password=[redacted] dbname=sales"


SECRET = "Hx7" * 20


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{SECRET}@db.example/sales",
        f"password='{SECRET}'",
        f"Authorization: Bearer {SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{SECRET}",
        f"sk_live_{SECRET}",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"[parameters: ('{SECRET}',)]",
    ],
    ids=lambda text: text[:16],
)
@pytest.mark.parametrize("limit", [200, 2048])
def test_no_offset_of_a_secret_leaks_a_part_of_it(text: str, limit: int) -> None:
    # Around the limit, around the bound on the input, and around the part that is dropped.
    edges = [limit, limit + 8 * 1024, 4 * (limit + 8 * 1024)]
    for edge in edges:
        for offset in range(max(0, edge - 150), edge + 30, 3):
            cleaned = redactor.clean("x " * (offset // 2) + text + " y" * 50_000, limit=limit)
            assert "Hx7" not in cleaned, (edge, offset)


PATTERNS = [
    *((rule.name, pattern) for rule in built_in_rules() for pattern in rule.patterns),
    *((token.name, token.pattern) for token in VENDOR_TOKENS),
    *((address.name, address.pattern) for address in SECRET_ADDRESSES),
    ("escapes", ESCAPES),
]


@pytest.mark.parametrize(("name", "pattern"), PATTERNS)
def test_no_rule_can_scan_without_end_and_then_come_back(name: str, pattern: str) -> None:
    """A quantifier without a bound is possessive: what it took, it never gives back."""
    no_classes = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern)
    no_possessives = re.sub(r"(?:[*+?]|\{[\d,]+\})\+", "", no_classes)

    assert re.findall(r".{0,20}(?:[*+]|\{\d+,\})", no_possessives) == []


HOSTILE = [
    *("password=", "password='", "token ", "key=", "'password', '", '("token", "', "--token "),
    *(
        "<token>",
        "token: |\n ",
        "auth=(",
        "mysql -p",
        "redis-cli -a 'x",
        '"a ',
        "\\",
        "%25",
        "&amp;",
    ),
    *("://u:p@", "A1-", "Ab3dEf6h", "eyJa.", "/hooks/", "비밀번호: ", "sqlplus a/", "PWD={", "x"),
    *(":5432:a:b:", "echo x|", "machine a ", "secret_", "seed phrase: ", "ssh 'mysql "),
]


def cpu_seconds(text: str) -> float:
    began = time.process_time()
    redactor.clean(text, limit=64 * 1024)
    return time.process_time() - began


@pytest.mark.parametrize("piece", HOSTILE)
def test_four_times_the_text_costs_about_four_times_as_much(piece: str) -> None:
    """Quadratic patterns cost sixteen times as much."""
    short, long = ((piece * 16_384)[:length] for length in (4_096, 16_384))
    costs = [(cpu_seconds(short), cpu_seconds(long)) for _ in range(3)]

    assert min(long for _, long in costs) < 9 * min(short for short, _ in costs) + 0.02


class Meter(str):
    """A text that counts how much of it is looked at."""

    __slots__ = ("taken",)
    taken: int

    def __getitem__(self, index: Any) -> str:
        piece = super().__getitem__(index)
        self.taken = getattr(self, "taken", 0) + len(piece)
        return piece


def test_of_a_huge_text_only_a_bounded_part_is_looked_at() -> None:
    text = Meter("x" * 100_000_000)

    redactor.clean(text)

    assert text.taken <= 200_000


JSON_LIKE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(TEXTS, st.integers(), st.none()), inner, max_size=4),
        st.tuples(inner, inner),
    ),
    max_leaves=12,
)


@given(JSON_LIKE)
def test_any_value_becomes_json_that_postgresql_takes(value: object) -> None:
    written = json.dumps(redactor.clean_json(value), allow_nan=False, ensure_ascii=False)

    written.encode()
    assert "\\u0000" not in written.replace("\\\\", "")
