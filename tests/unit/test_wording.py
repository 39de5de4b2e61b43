"""One form for durations, ages and labels; what other programs wrote stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard._models import RunStatus, Severity
from runguard._monitor import wording
from runguard._monitor.health import JobState
from runguard._monitor.records import ReviewStatus
from runguard._monitor.sentences import Topic
from runguard._monitor.wording import Tone

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 ms"),
        (0.2, "200 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (86_400 * 2 + 5, "2 d"),
        (86_400 * 2 + 7200 + 60, "2 d 2 h"),
        (None, "–"),
    ],
)
def test_a_duration_is_said_in_at_most_two_units(seconds: float | None, said: str) -> None:
    assert wording.duration(seconds) == said


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_duration_is_never_said_as_a_shorter_one(one: float, other: float) -> None:
    sizes = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}

    def read(said: str) -> float:
        words = said.split()
        counts = zip(words[::2], words[1::2], strict=True)
        return sum(float(count) * sizes[unit] for count, unit in counts)

    shorter, longer = sorted((one, other))
    assert read(wording.duration(shorter)) <= read(wording.duration(longer))


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=9), "just now"),
        (timedelta(seconds=10), "10 s ago"),
        (timedelta(seconds=119), "1 min ago"),
        (timedelta(hours=47), "1 d ago"),
        (timedelta(minutes=-12), "in 12 min"),
    ],
)
def test_an_age_is_said_in_one_unit(ago: timedelta, said: str) -> None:
    assert wording.age(NOON - ago, NOON) == said


def test_a_time_of_another_zone_is_spelled_in_utc() -> None:
    seoul = datetime.fromisoformat("2026-03-01T21:00:00.5+09:00")

    assert wording.utc(seoul) == "2026-03-01 12:00 UTC"
    assert wording.utc(seoul, exactly=True) == "2026-03-01 12:00:00 UTC"
    assert wording.iso(seoul) == "2026-03-01T12:00:00.500000Z"


def test_everything_that_runguard_writes_has_a_label_of_its_own() -> None:
    for words in (
        [wording.run_status(one).word for one in RunStatus],
        [wording.job_state(one).word for one in JobState],
        [wording.severity(one).word for one in Severity],
        [wording.review_status(one).word for one in ReviewStatus],
        [wording.topic(one) for one in Topic],
    ):
        assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    "label",
    [wording.run_status, wording.review_status],
    ids=lambda one: one.__name__,
)
def test_the_word_of_another_program_stays_as_it_is_and_has_no_tone(label: object) -> None:
    found = label("erledigt")  # type: ignore[operator]

    assert (found.word, found.tone) == ("erledigt", Tone.NEUTRAL)


@pytest.mark.parametrize(
    ("resolved", "word"), [(True, "resolved"), (False, "open"), (None, "open")]
)
def test_an_alert_that_nobody_resolved_is_open(resolved: bool | None, word: str) -> None:
    assert wording.alert_state(resolved=resolved).word == word


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("exit code 3: gone\n\nfirst\ngone", "exit code 3: gone\nfirst"),
        ("exit code 3: gone\n\ngone", "exit code 3: gone"),
        (f"exit code 1: {'z' * 200}\n\n{'z' * 5000}", f"exit code 1: {'z' * 200}"),
        ("exit code 3", "exit code 3"),
        ("relation missing\n\nLINE 1: select", "relation missing\nLINE 1: select"),
        (None, ""),
    ],
)
def test_a_list_shows_the_line_that_a_message_quotes_once(message: str | None, shown: str) -> None:
    assert wording.in_a_list(message) == shown


def test_a_severity_of_another_program_is_no_quieter_than_medium() -> None:
    assert wording.severity("critical").tone is wording.severity(Severity.MEDIUM).tone
    assert wording.severity("critical").word == "critical"
    assert wording.severity(None).tone is Tone.NEUTRAL
