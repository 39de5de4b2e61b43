"""What a person reads of a job that did not begin, runs too long, or is not as usual."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runguard._monitor.expectations import FindingType
from runguard._monitor.notices import NoticeFacts, RunFacts
from runguard._notify.config import NotifyConfig
from runguard._notify.message import Message, build_message

from .facts import BEGAN, NOW, covered, finding, notice
from .test_message import CONFIG, SILENCE

DUE = {"due": "2026-03-01T02:00:00+00:00"}
GAP = {"gap_began_at": "2026-03-01T01:10:00Z", "gap_ended_at": "2026-03-01T03:40:00Z"}
STUCK = {"started_at": "2026-03-01T02:10:00Z", "allowed_seconds": 7200}
MISSED_THREE = {**DUE, "missed": 3, "first_due": "2026-02-27T02:00:00Z"}


def message_of(facts: NoticeFacts, config: NotifyConfig = CONFIG) -> Message:
    return build_message(facts, config, now=NOW)


@pytest.mark.parametrize(
    ("facts", "subject"),
    [
        (finding(detail=DUE), "MISSED nightly_backup: due 02:00, not started"),
        (
            finding(detail={**DUE, "missed": 3}),
            "MISSED nightly_backup: due 02:00, not started, third in a row",
        ),
        (finding("STUCK", detail=STUCK), "STUCK nightly_backup: running 3 h, allowed 2 h"),
        (
            finding("SLOW", detail={"seconds": 7200, "usual_seconds": 1800}),
            "SLOW nightly_backup: took 2 h, usually 30 min",
        ),
        (
            finding("SLOW", detail={"seconds": 7200, "allowed_seconds": 1800}),
            "SLOW nightly_backup: took 2 h, allowed 30 min",
        ),
        (
            finding("FAST", detail={"seconds": 2, "usual_seconds": 1800.5}),
            "FAST nightly_backup: took 2 s, usually 30 min 1 s",
        ),
        (
            finding("EMPTY", detail={"records": 0, "least_records": 1}),
            "EMPTY nightly_backup: 0 records, expected at least 1",
        ),
        (
            finding("EMPTY", detail={"records": 0, "usual_records": 1200}),
            "EMPTY nightly_backup: 0 records, usually 1,200",
        ),
        (
            finding(
                "FREQUENT",
                detail={"starts": 13, "within_seconds": 3600, "declared_seconds": 3600},
            ),
            "FREQUENT nightly_backup: 13 starts in 1 h, expected every 1 h",
        ),
        (
            finding("WRONG_ZONE", detail={"fits_zone": "Asia/Seoul", "declared_zone": "UTC"}),
            "WRONG_ZONE nightly_backup: starts fit Asia/Seoul, declared UTC",
        ),
        (
            finding(
                "UNWATCHED",
                source_id="runguard",
                job_name=None,
                detail={"jobs": 12, "last_round_at": "2026-03-01T01:10:00Z"},
            ),
            "UNWATCHED 12 expected jobs: no monitor has looked since 01:10",
        ),
        (
            finding("UNWATCHED", source_id="runguard", job_name=None, detail={"jobs": 1}),
            "UNWATCHED 1 expected job: no monitor has ever looked",
        ),
        (finding(), "MISSED nightly_backup: as its title says"),
        (
            finding(notice="reminder", detail=MISSED_THREE),
            "STILL MISSED nightly_backup: third, since 2026-02-27 02:00",
        ),
        (
            finding("STUCK", notice="reminder", detail=STUCK),
            "STILL STUCK nightly_backup: running 3 h, allowed 2 h, since 02:00",
        ),
        (
            finding(silences_ended=(SILENCE,), detail=DUE),
            "STILL MISSED nightly_backup: silence ended, due 02:00, not started, since 02:00",
        ),
        (
            finding(over=True, detail={"late_seconds": 1500}),
            "OK nightly_backup: ran 25 min late",
        ),
        (
            finding(over=True, detail={"reported_late": True}),
            "OK nightly_backup: ran on time, reported late",
        ),
        (
            finding(over=True, detail={"next_due": "2026-03-01T04:00:00Z"}),
            "OK nightly_backup: starts again, at 04:00",
        ),
        (
            finding(over=True, detail={"changed": True, "late_seconds": 9}),
            "OK nightly_backup: as its title says",
        ),
        (
            finding(over=True, was_told=False, detail={"late_seconds": 1500}),
            "OK nightly_backup: MISSED at 02:00, ran 25 min late",
        ),
        (
            finding("STUCK", over=True, detail={"seconds": 10800}),
            "OK nightly_backup: ended after 3 h",
        ),
        (
            finding("STUCK", over=True, detail={"seconds": 10800, "status": "FAILED"}),
            "OK nightly_backup: ended after 3 h and failed",
        ),
        (
            finding("SLOW", over=True, title="nightly_backup took as long as usual"),
            "OK nightly_backup: took as long as usual",
        ),
        (finding("SLOW", over=True, title="nightly_backup"), "OK nightly_backup: no longer SLOW"),
        (
            finding("UNWATCHED", over=True, source_id="runguard", job_name=None),
            "OK runguard: a monitor looks again",
        ),
        (
            notice(
                "digest",
                covered=tuple(covered(one, word="MISSED", title=f"{one}: due") for one in "abcd"),
            ),
            "MISSED 4 jobs (high): a, b, c and 1 more",
        ),
    ],
)
def test_the_subject_says_what_was_found(facts: NoticeFacts, subject: str) -> None:
    assert message_of(facts).subject == subject


def test_a_missed_start_of_which_little_is_known_is_told_in_the_words_of_its_alert() -> None:
    never, foreign = (message_of(finding(detail=detail)).text for detail in (DUE, {}))

    assert "Last start:  none known\n" in never
    assert "Sentences of the judge." not in never
    assert "Sentences of the judge." in foreign


def test_the_text_of_a_missed_start_says_all_that_helps_in_the_zone_of_the_reader() -> None:
    detail = {**DUE, **GAP, "schedule": "0 2 * * * Asia/Seoul", "grace_seconds": 600}
    detail["last_start_at"] = BEGAN.isoformat()
    text = message_of(finding(detail=detail)).text

    assert text == (
        "nightly_backup: due 02:00, not started\n"
        "\n"
        "Job:           nightly_backup\n"
        "Description:   Copies the warehouse.\n"
        "Owner:         data\n"
        "Severity:      high\n"
        "Since:         02:00 UTC, 3 h 10 min ago\n"
        "Schedule:      0 2 * * * Asia/Seoul\n"
        "Due:           02:00 UTC\n"
        "Grace:         10 min\n"
        "Last start:    02:00 UTC\n"
        "Nobody looked: between 01:10 and 03:40 UTC\n"
        "\n"
        "This covers further missed starts of nightly_backup, until one comes.\n"
        "If it is not over after 09:10 UTC, you are told again; when it is over, at once.\n"
        "\n"
        'Acknowledge: runguard ack 17 --reason "…"\n'
        "Explain: runguard explain alert:17\n"
        "\n"
        "Job: https://ops.example/runguard/jobs/nightly_backup\n"
        "Alert: https://ops.example/runguard/alerts/17\n"
        "Runbook: https://wiki.example/backup\n"
    )


def test_times_are_those_of_the_configured_zone() -> None:
    message = message_of(
        finding(detail={**DUE, **GAP}), replace(CONFIG, timezone=ZoneInfo("Asia/Seoul"))
    )

    assert message.subject == "MISSED nightly_backup: due 11:00, not started"
    assert "between 10:10 and 12:40 KST" in message.text
    assert "due 11:00, not started" in (message.html or "")


def test_a_stuck_run_is_named_and_its_length_is_that_of_the_moment_of_sending() -> None:
    run = RunFacts(id=991, started_at=NOW - timedelta(hours=5), host="etl-3")
    detail = {"started_at": (NOW - timedelta(hours=5)).isoformat(), "running_seconds": 7300}
    message = message_of(finding("STUCK", failed_run=run, detail=detail))

    assert message.subject == "STUCK nightly_backup: running 5 h"
    assert "This covers this run of nightly_backup, which goes on, until it ends." in message.text
    assert "https://ops.example/runguard/runs/991" in message.text
    assert "Explain: runguard explain 991" in message.text


def test_the_end_of_a_finding_says_how_long_it_lasted_and_what_ended_it() -> None:
    run = RunFacts(id=1000, started_at=NOW, host="etl-3")
    late = finding(over=True, recovered_by=run, detail={"late_seconds": 1500, "down_seconds": 600})
    text = message_of(late).text

    assert text.startswith("nightly_backup: ran 25 min late.\n")
    assert "MISSED since: 02:00 UTC, for 10 min" in text
    assert "Ended by:     05:10 UTC on etl-3" in text
    assert "Failures" not in text


def test_the_end_of_a_stuck_run_is_told_by_when_it_ended() -> None:
    run = RunFacts(id=1000, started_at=NOW - timedelta(hours=3), finished_at=NOW, host="etl-3")
    text = message_of(finding("STUCK", over=True, recovered_by=run)).text

    assert re.search("^Ended: +05:10 UTC on etl-3$", text, re.MULTILINE)


def test_a_digest_says_how_each_finding_ended() -> None:
    ended = covered("a", word="RECOVERED", kind="recovered", title="a: ran 9 min late")
    text = message_of(notice("digest", covered=(ended, covered("b")))).text

    assert "OK: a ran 9 min late (alert 30)" in text


def test_the_json_names_the_finding_its_owner_and_its_incident() -> None:
    data = message_of(finding(over=True, detail={"late_seconds": 60})).data

    assert data["finding"] == "MISSED"
    assert data["owner"] == "data"
    assert data["incident"]["id"] == 17
    assert message_of(notice()).data["finding"] is None


@pytest.mark.parametrize(
    ("kind", "covered"),
    [
        ("EMPTY", "later runs of nightly_{x} with EMPTY, until one is as expected"),
        ("FREQUENT", "further starts of nightly_{x}, until there is a quiet gap"),
        ("WRONG_ZONE", "all starts of nightly_{x}, until they fit the declared zone"),
    ],
)
def test_the_text_says_what_is_covered(kind: str, covered: str) -> None:
    assert f"This covers {covered}.\n" in message_of(finding(kind, job_name="nightly_{x}")).text


def test_another_programs_alert_of_such_a_type_is_no_finding() -> None:
    message = message_of(finding(source_type="cron"))

    assert message.data["finding"] is None
    assert "Resolve: runguard resolve 17" in message.text


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.datetimes().map(lambda one: one.isoformat() + "+14:00"),
    st.lists(st.integers(), max_size=2),
)
KEYS = (
    *("due", "first_due", "missed", "last_start_at", "gap_began_at", "gap_ended_at", "owner"),
    *("started_at", "running_seconds", "allowed_seconds", "seconds", "usual_seconds", "records"),
    *("least_records", "usual_records", "starts", "within_seconds", "declared_seconds", "jobs"),
    *("fits_zone", "declared_zone", "last_round_at", "late_seconds", "reported_late", "since"),
    *("finding", "schedule", "description", "down_seconds"),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine that is busy otherwise
@given(
    st.sampled_from(FindingType),
    st.booleans(),
    st.sampled_from(("opened", "reminder", "raised", "recovered", "digest")),
    st.dictionaries(st.sampled_from(KEYS), VALUES),
)
def test_a_detail_that_another_program_wrote_never_stops_a_message(
    kind: str, over: bool, told: str, detail: dict[str, Any]
) -> None:
    subject = message_of(finding(kind, over, notice=told, detail=detail)).subject

    assert subject
    assert "\n" not in subject
