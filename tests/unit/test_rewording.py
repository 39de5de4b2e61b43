"""A failure that differs in its text alone is judged as one that was never seen."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runguard._failure import (
    exception_evidence,
    known_types,
    reason_words,
    repeated,
    upstream,
)
from runguard._failure.classify import classify
from runguard._failure.introspection import location_of
from runguard._failure.pieces import LONGEST, PieceIndex
from runguard._failure.reason import reason_in, timeout_reason_in
from runguard._failure.redaction import Redactor
from runguard._failure.redaction_rules import WITHIN_A_LINE, built_in_rules, find_secrets, is_inert
from runguard._failure.repeated import Judged, mark_of, recall, remember
from runguard._failure.text_evidence import holds_job_lock, status_in
from runguard._failure.text_timeouts import timeout_in
from runguard._failure.throughout import Throughout
from runguard._failure.tiers import is_silent
from runguard._failure.traceback import traceback_text
from runguard._settings import Settings

CASES = Path(__file__).with_name("cases")
HOME = "/home/worker"
USUAL = Settings()
BUILT_IN = [ValueError, KeyError, RuntimeError, LookupError, TypeError, IndexError, Exception]


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.replace("«", "").replace("»", "")
    elif isinstance(value, dict | list | tuple | set | frozenset):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings_in(one)


TEXTS = [
    text[:900]
    for file in sorted(CASES.glob("*.json"))
    for text in strings_in(json.loads(file.read_text()))
    if " " in text
]
PLAIN_TEXTS = [
    *("bad input 17", "row 7: no date", "x", "the file\nhas no header", "17 rows", "(404) rows"),
    *("order=17 is late", "at ~/in", f"no {HOME}/in/17.csv", "한글 텍스트", "Größe 17 ist falsch"),
    *(
        "[runguard cut this]",
        "x … [cut: 17 more characters]",
        "a\tb",
        "e\u0301",
        "\\",
        "100%",
        "%41",
    ),
    *("job_lock active", "timed out", "HTTP 503", "HTTP 404", "no such file", "refused", " ", "a "),
    *("password=hunter2", "redis-cli -a hunter2", "x:5432:db:app:hunter2", "[redacted]", "İ", "ſ"),
    *("Error 111 connecting to db.example:6379. Connection refused.", "08001", "40P01"),
]
NAMES = sorted(
    {
        name
        for module in (known_types, reason_words, upstream)
        for value in list(vars(module).values())
        for name in strings_in(value)
        if re.fullmatch(r"[a-z_0-9.]+\.[A-Z]\w+", name)
    }
)


def of_type(name: str) -> type[Exception]:
    """A type without anything of its own, by the name of a library's."""
    module, _, rest = name.rpartition(".")
    return type(rest, (Exception,), {"__module__": module})


TYPES: list[type[BaseException]] = [*BUILT_IN, *map(of_type, NAMES)]


def failed_with(cls: type[BaseException], text: str) -> BaseException:
    """The exception as it comes out of one and the same line."""
    try:
        raise cls(text)
    except BaseException as error:
        return error


def judged(exc: BaseException) -> Judged:
    """What is found out of a failure that comes for the first time."""
    clean = USUAL.redactor.clean
    printed = traceback_text(exc, Throughout(USUAL.redactor).clean, HOME)
    return Judged(classify(exc, clean=clean), location_of(exc), printed)


def chained(
    classes: tuple[type[BaseException], ...], texts: tuple[str, ...], *, is_cause: bool
) -> BaseException:
    """An exception with others behind it, each out of one and the same line."""
    if len(texts) == 1:
        return failed_with(classes[0], texts[0])
    try:
        try:
            raise chained(classes[1:], texts[1:], is_cause=is_cause)
        except BaseException as behind:
            if is_cause:
                raise classes[0](texts[0]) from behind
            raise classes[0](texts[0])  # noqa: B904 - the other one is its context
    except BaseException as error:
        return error


def recalled(
    cls: type[BaseException], first: str, second: str, settings: Settings = USUAL
) -> Judged | None:
    """What is found out of the second failure where the first one was judged before."""
    return recalled_of(failed_with(cls, first), failed_with(cls, second), settings)


def recalled_of(
    known: BaseException, exc: BaseException, settings: Settings = USUAL
) -> Judged | None:
    """The same of exceptions that have others behind them."""
    repeated._known.clear()
    before, mark = mark_of(known, HOME), mark_of(exc, HOME)
    assert before is not None
    assert mark is not None
    remember(before, settings, judged(known))
    return recall(mark, settings)


def reworded(rng: random.Random, text: str) -> str:
    """A text of the same kind: with other numbers, cut, or with a piece of another one."""
    match rng.randrange(4):
        case 0:
            return re.sub(r"\d", lambda _: rng.choice("0123456789"), text)
        case 1:
            return text[: rng.randint(1, len(text))]
        case 2:
            return f"{text} {rng.choice(PLAIN_TEXTS)}"
        case _:
            return rng.choice(TEXTS)


@pytest.mark.parametrize("seed", range(3))
def test_a_failure_in_other_words_is_judged_as_for_the_first_time(seed: int) -> None:
    rng, reused = random.Random(seed), 0
    for _ in range(120):
        cls = rng.choice(rng.choice((TYPES, BUILT_IN)))
        first = rng.choice(rng.choice((TEXTS, PLAIN_TEXTS)))
        second = reworded(rng, first)
        if (again := recalled(cls, first, second)) is not None:
            reused += 1
            assert again == judged(failed_with(cls, second)), (cls, first, second)

    assert reused > 10


@pytest.mark.parametrize("is_cause", [True, False])
def test_a_chain_in_other_words_is_judged_as_for_the_first_time(is_cause: bool) -> None:
    rng, reused = random.Random(is_cause), 0
    for _ in range(60):
        classes = tuple(rng.choices(rng.choice((TYPES, BUILT_IN)), k=rng.randint(2, 4)))
        first = tuple(rng.choice(rng.choice((TEXTS, PLAIN_TEXTS, PLAIN_TEXTS))) for _ in classes)
        second = tuple(reworded(rng, one) if rng.random() < 0.5 else one for one in first)
        known, exc = (chained(classes, texts, is_cause=is_cause) for texts in (first, second))
        if (again := recalled_of(known, exc)) is not None:
            reused += first != second
            assert again == judged(exc), (classes, first, second)

    assert reused > 0


@pytest.mark.parametrize("is_cause", [True, False])
def test_a_chain_whose_texts_tell_the_same_is_judged_once(is_cause: bool) -> None:
    classes = RuntimeError, of_type("billing.errors.Declined"), ValueError
    known, exc = (
        chained(
            classes,
            (f"row {n}", f"{n} is bad\n\nhere", f"invalid literal: 'x{n}'"),
            is_cause=is_cause,
        )
        for n in (17, 18)
    )

    again = recalled_of(known, exc)

    assert again == judged(exc)
    assert again is not None
    assert again.failure.error_message == "row 18"
    assert again.traceback is not None
    shown = [line for line in again.traceback.split("\n") if ": " in line and "18" in line]
    assert [line for line in shown if not line.startswith(" ")] == [
        "ValueError: invalid literal: 'x18'",
        "billing.errors.Declined: 18 is bad",
        "RuntimeError: row 18",
    ]


@pytest.mark.parametrize("cls", [OSError, type("FileError", (OSError,), {})])
def test_a_file_that_is_missing_is_judged_as_for_the_first_time(cls: type[Exception]) -> None:
    def failed(*arguments: object) -> BaseException:
        try:
            raise cls(*arguments)
        except Exception as error:
            return error

    words = "No such file or directory"
    known = failed(2, words, "/in/17.csv")
    for name in ("/in/18.csv", "/in/HTTP 503", "timed out", "password=hunter2", "a\tb", "token"):
        exc = failed(2, words, name)
        assert recalled_of(known, exc) in (None, judged(exc)), name
    assert recalled_of(known, failed(2, words, "/in/18.csv")) is not None
    assert recalled_of(known, failed(13, "Permission denied", "/in/18.csv")) is None
    assert recalled_of(known, failed(2, words, "/in/18.csv", None, "/out")) is None


def test_a_cause_that_tells_something_else_is_judged_anew() -> None:
    known, exc = (
        chained((RuntimeError, ValueError), ("row 17", text), is_cause=True)
        for text in ("no date", "HTTP 503")
    )

    assert recalled_of(known, exc) is None
    assert judged(exc).failure.http_status_code == 503


@pytest.mark.parametrize("cls", [ValueError, KeyError, of_type("billing.errors.Declined")])
def test_each_pair_of_plain_texts_is_judged_as_for_the_first_time(cls: type[Exception]) -> None:
    apart = {text: judged(failed_with(cls, text)) for text in PLAIN_TEXTS}

    for first in PLAIN_TEXTS[::3]:
        for second in PLAIN_TEXTS:
            assert recalled(cls, first, second) in (None, apart[second]), (first, second)


@pytest.mark.parametrize("cls", [ValueError, KeyError, of_type("billing.errors.Declined")])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("bad input 17", "bad input 18"), ("no date", "order=7: no\ntime")),
        *(("17 rows", "18 rows"), ("https://a.example/17", "https://a.example/18")),
    ],
)
def test_a_failure_whose_text_tells_nothing_is_judged_once(
    cls: type[Exception], first: str, second: str
) -> None:
    assert recalled(cls, first, second) == judged(failed_with(cls, second))


@pytest.mark.parametrize(
    "second",
    [
        *("HTTP 503", "timed out", "job_lock active", "connection refused", "password=hunter2"),
        *(f"no {HOME}/in/17.csv", "a\tb", "[runguard cut this]", "x … [cut: 17 more characters]"),
        *("AKIAIOSFODNN7EXAMPLE", "%70assword=x", "x:5432:db:app:hunter2", "redis-cli -a hunter2"),
        "smtp.example:587 app:hunter2",  # as a line of a password map begins
    ],
)
def test_a_text_that_tells_something_is_judged_anew(second: str) -> None:
    assert recalled(ValueError, "bad input 17", second) is None


def test_a_silent_text_tells_nothing() -> None:
    rng, silent = random.Random(9), 0
    for text in (lines_of(rng) for _ in range(4000)):
        if is_silent(text):
            silent += 1
            assert not holds_job_lock(text), text
            said = status_in(text), timeout_in(text), reason_in(text), timeout_reason_in(text)
            assert said == (None, None, None, None), text

    assert silent > 400
    assert is_silent("bad input 17")


def test_a_pattern_of_the_users_is_asked_about_each_text() -> None:
    own = Settings(redactor=Redactor(["north"]))

    assert recalled(ValueError, "bad input 17", "bad input north", own) is None


def test_a_failure_after_another_one_that_was_reworded_finds_the_last_text() -> None:
    recalled(ValueError, "bad input 17", "bad input 18")
    [known] = repeated._known.values()

    texts, found = known.latest

    assert texts == ("bad input 18",)
    assert found.failure.error_message == "bad input 18"


def test_types_whose_arguments_are_evidence_are_known_by_them() -> None:
    assert upstream._TEXTS.keys() <= repeated.TOLD_BY_ARGUMENTS
    assert mark_of(failed_with(OSError, "x"), HOME).texts == ()  # type: ignore[union-attr]
    error = failed_with(of_type("pyodbc.Error"), "08001")
    assert exception_evidence.sqlstate(error) == "08001"
    for name in repeated.TOLD_BY_ARGUMENTS - {"OSError"}:
        mark = mark_of(failed_with(of_type(name), "x"), HOME)
        assert mark is not None
        assert mark.texts == ()


PIECES = [
    *TEXTS,
    *PLAIN_TEXTS,
    *(hint for rule in built_in_rules() for hint in rule.hints),
    *(
        "curl -u",
        "redis-cli",
        "-a",
        "mysql",
        "://",
        "\\",
        '"',
        "'",
        "\\\\",
        "x" * 20,
        "?key",
        ":5432",
    ),
]


def lines_of(rng: random.Random) -> str:
    """Some text of a few words."""
    words = [w for _ in range(3) for w in rng.choice(PIECES).split(" ")]
    start = rng.randrange(len(words))
    return rng.choice((" ", "\n", "")).join(words[start : start + rng.randint(1, 6)])


@pytest.mark.parametrize("seed", range(3))
def test_texts_that_are_inert_hold_no_secret_together_either(seed: int) -> None:
    rng = random.Random(seed)
    found = [text for text in (lines_of(rng) for _ in range(1500)) if is_inert(text)]
    assert len(found) > 300

    for text in found:
        together = f"{text}\n{rng.choice(found)}"
        assert find_secrets(text) == []
        assert find_secrets(together) == [], together
        assert is_inert(together), together


def test_no_hint_goes_over_the_end_of_a_line() -> None:
    assert [hint for rule in built_in_rules() for hint in rule.hints if "\n" in hint] == []


def test_rules_that_stay_within_a_line_are_there() -> None:
    assert {rule.name for rule in built_in_rules()} >= WITHIN_A_LINE


def test_an_index_finds_the_pieces_that_a_search_for_each_finds() -> None:
    rng = random.Random(7)
    pieces = [["".join(rng.choices("ab가c", k=rng.randint(1, 5))) for _ in "12"] for _ in range(60)]
    index = PieceIndex(pieces)

    for _ in range(300):
        text = "".join(rng.choices("abcd가", k=rng.randint(0, LONGEST // 8)))
        expected = {n for n, its in enumerate(pieces) if any(piece in text for piece in its)}
        assert index.found_in(text) == expected
