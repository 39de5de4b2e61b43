"""What is typed as a filter: one meaning for the command line, the pages and the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from runguard._models import RunStatus
from runguard._monitor.filters import (
    LONGEST,
    UnreadableFilter,
    instant_of,
    is_pattern,
    read_duration,
    read_when,
    read_word,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        (" 24H ", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("1w2D3h", timedelta(days=9, hours=3)),
        ("9999999w", LONGEST),
    ],
)
def test_a_duration_is_numbers_with_their_units(text: str, length: timedelta) -> None:
    assert read_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "0h", "h", "-1h", "1.5h", "1y", "99999999s", "١h", "30m1h", "1h1h", "1h 30m"]
)
def test_what_is_no_duration_is_answered_with_examples(text: str) -> None:
    with pytest.raises(
        UnreadableFilter, match="expected a duration such as 90s, 15m, 24h or 7d, found"
    ):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("24h", timedelta(hours=24)),
        ("2026-03-01T12:00Z", NOON),
        ("2026-03-01T13:00+01:00", NOON),
        ("0001-01-01T00:00+10:00", datetime(1900, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59-10:00", datetime(2200, 1, 1, tzinfo=UTC)),
    ],
)
def test_when_is_so_long_ago_or_a_time_that_a_database_takes(
    text: str, meant: timedelta | datetime
) -> None:
    assert read_when(text) == meant


def test_a_time_without_a_zone_gets_the_readers_or_is_refused() -> None:
    seoul = timezone(timedelta(hours=9))

    here = read_when("2026-03-01T21:00", localize=lambda time: time.replace(tzinfo=seoul))

    assert here == NOON
    with pytest.raises(UnreadableFilter, match="with its zone"):
        read_when("2026-03-01T21:00")


def test_so_long_ago_is_counted_back_from_the_databases_clock() -> None:
    assert instant_of(timedelta(hours=2), now=NOON) == NOON - timedelta(hours=2)
    assert instant_of(NOON, now=NOON + timedelta(days=1)) == NOON
    assert instant_of(None, now=NOON) is None


def test_more_than_a_century_ago_is_still_a_time() -> None:
    early = datetime(1950, 1, 1, tzinfo=UTC)

    assert instant_of(LONGEST, now=early) == datetime(1900, 1, 1, tzinfo=UTC)


def test_a_word_is_read_in_any_case() -> None:
    assert {read_word(text, RunStatus) for text in ("failed", " FAILED", "Failed")} == {"FAILED"}


def test_a_word_that_is_unknown_is_answered_with_the_known_and_the_nearest() -> None:
    with pytest.raises(UnreadableFilter) as refused:
        read_word("fialed", RunStatus)

    assert str(refused.value) == (
        "expected one of RUNNING, SUCCESS, FAILED, found 'fialed' (did you mean 'FAILED'?)"
    )
    assert refused.value.expected == "one of RUNNING, SUCCESS, FAILED"


@pytest.mark.parametrize(
    ("job", "is_one"), [("billing.*", True), ("sync_?", True), ("sync[eu]", False), ("a%_", False)]
)
def test_only_two_signs_make_a_name_stand_for_several(job: str, is_one: bool) -> None:
    assert is_pattern(job) is is_one
