"""A start that was due and did not come is found, and closed by the start that covers it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runguard._monitor.expectations import Expectation, FindingType, Gap

from .facts import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    at,
    closed,
    facts,
    found,
    look,
    only_closing,
    only_finding,
    opened,
    run,
)

DAILY = Expectation(cron="0 2 * * *", grace=30 * MINUTE)
YESTERDAY = run("3 02:00")
MISSED = opened(only_finding(look(DAILY, [YESTERDAY], "4 02:30")), at("4 02:30"))


def test_nothing_is_missed_until_the_grace_is_over() -> None:
    before = look(DAILY, [YESTERDAY], at("4 02:30") - SECOND)
    after = look(DAILY, [YESTERDAY], "4 02:30")

    assert (found(before), found(after)) == ([], ["MISSED"])


def test_the_next_look_is_at_the_end_of_the_grace() -> None:
    verdict = look(DAILY, [YESTERDAY], "3 12:00")

    assert (verdict.next_due_at, verdict.look_at) == (at("4 02:00"), at("4 02:30"))


def test_a_start_that_is_due_and_within_its_grace_stays_the_next_one() -> None:
    assert look(DAILY, [YESTERDAY], "4 02:10").next_due_at == at("4 02:00")


def test_what_is_missed_says_when_it_was_due_and_when_the_job_started_last() -> None:
    finding = only_finding(look(DAILY, [YESTERDAY], "4 02:30"))

    assert finding.message == (
        "nightly_backup was due at 2026-03-04 02:00 UTC (cron 0 2 * * * (UTC)) and did not start"
        " within 30 min. Its last start was at 2026-03-03 02:00 UTC."
    )
    assert finding.detail == {
        "schedule": "cron 0 2 * * * (UTC)",
        "due": "2026-03-04T02:00:00Z",
        "first_due": "2026-03-04T02:00:00Z",
        "missed": 1,
        "grace_seconds": 1800.0,
        "last_start_at": "2026-03-03T02:00:00Z",
        "last_run_id": YESTERDAY.id,
    }


def test_each_further_start_that_is_missed_changes_the_mark_and_the_count() -> None:
    finding = only_finding(look(DAILY, [YESTERDAY], "6 05:00", found=MISSED))

    assert (finding.mark, finding.detail["missed"]) == ("2026-03-06T02:00:00Z", 3)
    assert finding.since == at("4 02:00")


def test_between_two_due_times_the_mark_stays() -> None:
    assert only_finding(look(DAILY, [YESTERDAY], "4 23:00")).mark == "2026-03-04T02:00:00Z"


@pytest.mark.parametrize("early", [60 * SECOND, 0 * SECOND, -30 * MINUTE])
def test_a_start_from_a_minute_before_to_the_end_of_the_grace_covers(early: timedelta) -> None:
    verdict = look(DAILY, [YESTERDAY, run(at("4 02:00") - early)], "4 03:00")

    assert (found(verdict), verdict.next_due_at) == ([], at("5 02:00"))


def test_a_start_more_than_a_minute_before_does_not_cover() -> None:
    early = run(at("4 02:00") - 61 * SECOND)

    assert found(look(DAILY, [YESTERDAY, early], "4 02:30")) == ["MISSED"]


def test_a_late_start_closes_it_and_says_how_late() -> None:
    closing = only_closing(look(DAILY, [YESTERDAY, run("4 02:55")], "4 03:00", found=MISSED))

    assert closing.title == "nightly_backup started 55 min late, at 2026-03-04 02:55 UTC"
    assert closing.detail["late_seconds"] == 3300.0


def test_a_start_in_time_that_is_reported_late_closes_it() -> None:
    late_row = run("4 02:05", came_late=True)
    closing = only_closing(look(DAILY, [YESTERDAY, late_row], "4 08:00", found=MISSED))

    assert closing.detail["reported_late"] is True
    assert closing.run_id == late_row.id


def test_the_start_of_the_next_due_time_closes_it_and_is_not_called_late() -> None:
    closing = only_closing(look(DAILY, [YESTERDAY, run("5 02:00")], "5 02:01", found=MISSED))

    assert closing.detail["next_due"] == "2026-03-05T02:00:00Z"
    assert "late_seconds" not in closing.detail


def test_one_start_makes_up_for_all_that_were_missed_before() -> None:
    verdict = look(DAILY, [YESTERDAY, run("7 14:00")], "7 14:01", found=MISSED)

    assert (found(verdict), closed(verdict)) == ([], ["MISSED"])
    assert verdict.next_due_at == at("8 02:00")


def test_a_run_that_goes_on_covers_what_was_due_meanwhile() -> None:
    assert found(look(DAILY, [run("3 02:00", took=None)], "5 12:00")) == []


def test_a_run_that_has_ended_covers_what_was_due_while_it_ran_and_nothing_after() -> None:
    long = run("3 02:00", took=DAY + HOUR)  # until 4 03:00

    assert look(DAILY, [long], "5 02:29").findings == ()
    assert found(look(DAILY, [long], "5 02:30")) == ["MISSED"]


def test_a_start_that_the_lock_refused_covers() -> None:
    refused = run("4 02:00", took=0 * SECOND, status="FAILED", refused=True)

    assert found(look(DAILY, [YESTERDAY, refused], "4 03:00")) == []


def test_a_start_by_hand_covers() -> None:
    assert found(look(DAILY, [YESTERDAY, run("4 02:20", trigger_type="MANUAL")], "4 03:00")) == []


@pytest.mark.parametrize(("trigger", "is_missed"), [("MANUAL", False), ("SCHEDULER", True)])
def test_a_long_run_excuses_nothing_once_the_scheduler_has_started_another_beside_it(
    trigger: str, *, is_missed: bool
) -> None:
    long, beside = run("3 02:00", took=None), run("3 12:00", trigger_type=trigger)

    assert found(look(DAILY, [long, beside], "4 12:00")) == (["MISSED"] if is_missed else [])


def test_a_run_that_nobody_ever_closed_excuses_nothing_behind_newer_ones() -> None:
    left_open = run("2 02:00", took=None, trigger_type="MANUAL")
    newer = [run(f"3 0{hour}:00", trigger_type="MANUAL") for hour in (2, 3, 4)]

    assert found(look(DAILY, [left_open, *newer], "4 02:30")) == ["MISSED"]


def test_nothing_that_was_due_before_the_declaration_is_missed() -> None:
    verdict = look(DAILY, [YESTERDAY], "9 12:00", declared=at("9 02:00"))

    assert (found(verdict), verdict.next_due_at) == ([], at("10 02:00"))


def test_what_is_missed_is_closed_where_the_schedule_changes() -> None:
    verdict = look(DAILY, [YESTERDAY], "4 10:00", declared=at("4 09:00"), found=MISSED)

    assert only_closing(verdict).detail == {"changed": True}


@pytest.mark.parametrize("expectation", [Expectation(max_runtime=HOUR), Expectation()])
def test_what_is_missed_is_closed_where_no_start_is_expected_any_more(
    expectation: Expectation,
) -> None:
    verdict = look(expectation, [YESTERDAY], "4 10:00", found=MISSED)

    assert (found(verdict), only_closing(verdict).detail) == ([], {"changed": True})


def test_what_is_missed_is_closed_where_the_job_is_retired() -> None:
    verdict = look(DAILY, [YESTERDAY], "4 10:00", found=MISSED, retired_at=at("4 09:00"))

    assert (closed(verdict), verdict.look_at) == (["MISSED"], None)


# Gaps in which nobody looked


def test_one_more_grace_follows_a_gap_in_which_nobody_looked() -> None:
    gap = Gap(began_at=at("4 01:10"), ended_at=at("4 03:40"))

    def at_time(now: str) -> list[str]:
        return found(look(DAILY, [YESTERDAY], now, gaps=[gap]))

    assert (at_time("4 04:09"), at_time("4 04:10")) == ([], ["MISSED"])


def test_the_message_says_when_nobody_looked() -> None:
    gap = Gap(began_at=at("4 01:10"), ended_at=at("4 03:40"))
    finding = only_finding(look(DAILY, [YESTERDAY], "4 04:10", gaps=[gap]))

    said = "Nobody looked between 2026-03-04 01:10 UTC and 2026-03-04 03:40 UTC."
    assert said in finding.message
    assert finding.detail["gap_ended_at"] == "2026-03-04T03:40:00Z"


@pytest.mark.parametrize(
    ("began", "ended"), [("4 00:00", "4 02:00"), ("4 02:31", "4 09:00")], ids=["before", "after"]
)
def test_a_gap_beside_the_grace_changes_nothing(began: str, ended: str) -> None:
    gap = Gap(began_at=at(began), ended_at=at(ended))

    assert found(look(DAILY, [YESTERDAY], "4 02:30", gaps=[gap])) == ["MISSED"]


def test_who_looks_every_ten_minutes_finds_what_is_missed() -> None:
    gaps = [
        Gap(began_at=at("4 00:00") + n * 10 * MINUTE, ended_at=at("4 00:10") + n * 10 * MINUTE)
        for n in range(60)
    ]

    assert found(look(DAILY, [YESTERDAY], "4 10:00", gaps=gaps)) == ["MISSED"]


def test_two_gaps_in_a_row_give_two_graces() -> None:
    gaps = [
        Gap(began_at=at("4 04:00"), ended_at=at("4 06:00")),
        Gap(began_at=at("4 02:20"), ended_at=at("4 03:40")),
    ]

    assert look(DAILY, [YESTERDAY], "4 06:01", gaps=gaps).look_at == at("4 06:30")


# `every`


HOURLY = Expectation(every=HOUR)  # its grace is ten minutes


def test_every_is_due_a_period_after_the_last_start() -> None:
    runs = [run("3 02:10")]

    assert found(look(HOURLY, runs, "3 03:19")) == []
    assert found(look(HOURLY, runs, "3 03:20")) == ["MISSED"]


@pytest.mark.parametrize(
    ("took", "due"), [(30 * MINUTE, "3 03:00"), (31 * MINUTE, "3 03:31"), (3 * HOUR, "3 06:00")]
)
def test_after_a_run_of_more_than_half_its_period_the_next_start_is_due_a_period_after_its_end(
    took: timedelta, due: str
) -> None:
    assert look(HOURLY, [run("3 02:00", took=took)], "3 05:00").next_due_at == at(due)


def test_each_period_without_a_start_is_counted() -> None:
    finding = only_finding(look(HOURLY, [run("3 02:00")], "3 06:12"))

    assert (finding.detail["first_due"], finding.detail["missed"]) == ("2026-03-03T03:00:00Z", 4)
    assert finding.mark == "2026-03-03T06:00:00Z"


def test_a_job_that_was_quiet_when_it_was_declared_gets_a_whole_period() -> None:
    verdict = look(HOURLY, [run("2 02:00")], "3 12:30", declared=at("3 12:00"))

    assert (found(verdict), verdict.next_due_at) == ([], at("3 13:00"))


def test_a_job_that_never_ran_is_missed_a_period_and_a_grace_after_its_declaration() -> None:
    assert found(look(HOURLY, [], "3 13:09", declared=at("3 12:00"))) == []
    finding = only_finding(look(HOURLY, [], "3 13:10", declared=at("3 12:00")))
    assert "No start of it is known." in finding.message


# Between rounds


def test_what_the_cooldown_may_hold_back_is_asked_again_at_once() -> None:
    assert look(DAILY, [YESTERDAY], "4 05:00").look_at == at("4 05:00")


def test_a_schedule_that_cannot_be_read_here_leaves_all_as_it_is() -> None:
    verdict = look(
        Expectation(cron="0 2 * *"), [YESTERDAY], "4 05:00", found=MISSED, next_due_at=at("5 02:00")
    )

    assert (found(verdict), closed(verdict)) == ([], [])
    assert (verdict.next_due_at, verdict.look_at) == (at("5 02:00"), at("4 06:00"))


def test_a_learned_schedule_takes_the_place_of_none() -> None:
    from dataclasses import replace

    from runguard._watch.judge import judge

    known = facts(Expectation(learn=True), [YESTERDAY])
    verdicts = [judge(one, now=at("4 02:30")) for one in (known, replace(known, learned=DAILY))]

    assert [found(one) for one in verdicts] == [[], ["MISSED"]]
    assert FindingType.MISSED not in known.open
