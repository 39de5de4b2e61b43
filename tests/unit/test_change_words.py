"""What changed since a job last worked, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runguard._monitor.change_words import short_versions, verdict, what_changed
from runguard._monitor.changes import Changed, RanAs
from runguard._monitor.sentences import Mention

ONE_O_CLOCK = datetime(2026, 3, 1, 1, tzinfo=UTC)
TWO_O_CLOCK = datetime(2026, 3, 1, 2, tzinfo=UTC)


def changed(
    before: tuple[str | None, str | None] | None = ("a1b2c3", "w1"),
    after: tuple[str | None, str | None] = ("d4e5f6", "w2"),
    **facts: Any,
) -> Changed:
    """A success, if any, and the first failure after it, each with its version and host."""
    success = before and RanAs(100, ONE_O_CLOCK, None, *before)
    return Changed(RanAs(101, TWO_O_CLOCK, None, *after), success, **{"successes": 42, **facts})


def said(facts: Changed, **given: Any) -> list[str]:
    return [one.text(lambda at: f"{at:%H:%M}") for one in what_changed(facts, **given)]


def test_the_first_failure_is_compared_with_the_last_success() -> None:
    assert said(changed(), run_id=101) == [
        "First failure after 42 successes in a row.",
        "Last success: run 100 of 01:00 on a1b2c3 (host w1); now d4e5f6 (host w2): the code and the"
        " host changed in between.",
    ]


def test_a_later_failure_of_the_row_names_the_first_one() -> None:
    assert said(changed(), run_id=107, version="d4e5f6") == [
        "The first failure after 42 successes in a row was run 101 of 02:00.",
        "Last success: run 100 of 01:00 on a1b2c3 (host w1); the first failure on d4e5f6"
        " (host w2): the code and the host changed in between.",
    ]


def test_a_later_version_that_fails_too_is_told() -> None:
    *_, last = said(changed(), run_id=107, version="e7f8a9")

    assert last == "This run was on e7f8a9: another version than d4e5f6, and it still failed."


def test_without_a_success_there_is_nothing_to_compare_with() -> None:
    assert said(changed(before=None, successes=0), run_id=101) == [
        "No success is known before it, so there is nothing to compare with."
    ]


@pytest.mark.parametrize(
    ("facts", "beginning"),
    [
        ({"successes": 1}, "First failure after 1 success."),
        ({"successes": 0}, "First failure after 1 success."),
        (
            {"successes": 1000, "is_all": False},
            "First failure after at least 1,000 successes in a row.",
        ),
    ],
)
def test_successes_are_counted_as_far_as_they_were(facts: dict[str, Any], beginning: str) -> None:
    assert said(changed(**facts), run_id=101)[0] == beginning


NOT_KNOWN = "whether the code changed is not known"
SET_IT = f"{NOT_KNOWN} (`configure(version=…)` or RUNGUARD_VERSION names it)"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (("a", "w"), ("b", "w"), "the code changed in between"),
        (("a", "w"), ("b", None), "the code changed in between"),
        (("a", "v"), ("a", "w"), "same code, but another host"),
        (("a", "w"), ("a", "w"), "same code, same host: look upstream, or at the data"),
        (("a", None), ("a", "w"), "same code: look upstream, or at the data"),
        ((None, "v"), (None, "w"), f"the host changed; {SET_IT}"),
        ((None, "w"), (None, "w"), f"same host; {SET_IT}"),
        ((None, None), (None, None), SET_IT),
        ((None, "w"), ("b", "w"), f"same host; {NOT_KNOWN}, because the last success names no"),
        (("a", "w"), (None, "w"), f"same host; {NOT_KNOWN}, because the failure names no version"),
    ],
)
def test_what_is_not_known_is_not_compared(
    before: tuple[str | None, str | None], after: tuple[str | None, str | None], words: str
) -> None:
    assert verdict(changed(before, after)).startswith(words)


def test_same_code_on_the_same_host_points_at_what_failed() -> None:
    same = changed(("a", "w"), ("a", "w"))

    assert verdict(same, upstream="api.example.org:443").endswith(
        "upstream, at api.example.org:443"
    )


def test_what_is_the_same_is_said_once() -> None:
    [_, compared] = said(changed(("1.4", "w"), ("1.4", "w")), run_id=101, upstream="db-1:5432")

    assert compared == (
        "Last success: run 100 of 01:00 on 1.4 (host w). Same code, same host: look upstream, at"
        " db-1:5432."
    )


def test_runs_and_times_are_parts_which_a_page_may_link() -> None:
    [_, compared] = what_changed(changed(), run_id=101)

    assert Mention("run", 100) in compared.parts
    assert ONE_O_CLOCK in compared.parts


def test_whole_commits_are_shortened_unless_they_would_look_alike() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    other = f"{commit[:-1]}8"

    assert short_versions(commit, "1.4.2") == ("0123456", "1.4.2")
    assert short_versions(commit, commit) == ("0123456", "0123456")
    assert short_versions(commit, other) == (commit, other)
    assert short_versions(None, commit) == (None, "0123456")
