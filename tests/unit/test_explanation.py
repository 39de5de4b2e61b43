"""Why a run ended as it did, in sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runguard._models import NO_RULE_MATCHED, lock_owner
from runguard._monitor.changes import Changed, RanAs
from runguard._monitor.explanation import (
    LOST_AFTER,
    LOST_TYPE,
    Standing,
    explain,
    plain,
    standing_of,
)
from runguard._monitor.records import (
    AlertRecord,
    CooldownState,
    NoteRecord,
    RunCell,
    RunDetails,
    RunRecord,
)
from runguard._monitor.sentences import Mention, Topic
from runguard._run import reaper as _reaping
from runguard._settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = UUID("0195533f-6c00-7000-8000-000000000001")
ALERT = AlertRecord(
    id=812,
    source_type="run_log",
    source_id="sync:TIMEOUT",
    alert_type="FAILED",
    severity="high",
    title="sync failed: timed out",
    message="timed out",
    detail={},
    review_status="AUTO",
    resolved=False,
    created_at=NOON - timedelta(minutes=10),
)
RUN = RunRecord(
    id=7,
    run_key=KEY,
    job_name="sync",
    trigger_type="SCHEDULER",
    status="FAILED",
    started_at=NOON - timedelta(minutes=5),
    finished_at=NOON - timedelta(minutes=4),
    total_records=0,
    changed_records=0,
    created_alerts=0,
    retry_count=0,
    error_group="TIMEOUT",
    http_status_code=None,
    error_type="TimeoutError",
    error_message="timed out",
    error_location="job.py:7 in pull",
    matched_by="text: 'timed out'",
    alert_outcome="suppressed",
    covered_by=812,
    cooldown_seconds=1800,
    host="host-1",
    pid=4711,
)
DETAILS = RunDetails(
    run=RUN,
    updated_at=NOON - timedelta(minutes=4),
    heartbeat_at=None,
    lost_at=None,
    clock=None,
    alert=ALERT,
    cooldown=CooldownState("TIMEOUT", 812, ALERT.created_at, NOON + timedelta(minutes=20), 14),
    previous_success=None,
    recovered=None,
    before=None,
    after=None,
    around=(),
)


def details(*, run: dict[str, Any] | None = None, **facts: Any) -> RunDetails:
    return replace(DETAILS, run=replace(RUN, **(run or {})), **facts)


def cell(minutes: float, status: str = "SUCCESS", number: int = 9) -> RunCell:
    started_at = NOON + timedelta(minutes=minutes)
    group = "TIMEOUT" if status == "FAILED" else None
    ended_at = None if status == "RUNNING" else started_at + timedelta(seconds=1)
    return RunCell(number, status, group, started_at, ended_at)


def said(topic: Topic, told: RunDetails) -> str:
    return " ".join(sentence.text() for sentence in explain(told, now=NOON).about(topic))


def headline(told: RunDetails) -> str:
    return explain(told, now=NOON).headline.text()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"matched_by": "text: 'timed out'"}, "TIMEOUT, from text: 'timed out'."),
        (
            {"matched_by": NO_RULE_MATCHED, "error_group": "UNKNOWN", "matched_depth": None},
            "UNKNOWN: no rule matched the error, its causes or its text.",
        ),
        (
            {"matched_by": "own rule 2", "matched_rule": 2, "matched_depth": 0},
            "TIMEOUT, because your own rule 2 in configure(rules=…) matched.",
        ),
        (
            {"matched_by": "own rule 1", "matched_rule": 1, "matched_depth": 1},
            "matched, 1 step behind the exception (its cause or context).",
        ),
        (
            {"matched_by": "status_code = 503 of httpx.HTTPStatusError", "matched_depth": 2},
            "from status_code = 503 of httpx.HTTPStatusError, 2 steps behind the exception",
        ),
        ({"matched_by": None}, "TIMEOUT; which rule decided was not recorded."),
        ({"error_reason": "read_timeout"}, "The reason: read timeout."),
    ],
)
def test_the_group_has_a_reason(facts: dict[str, Any], words: str) -> None:
    assert words in said(Topic.GROUP, details(run=facts))


def test_the_headline_names_the_reason() -> None:
    assert "TIMEOUT (rate limited); " in headline(details(run={"error_reason": "rate_limited"}))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            300,
            "UNKNOWN: nothing was heard of it for 7 min, longer than its limit of 5 min, and no"
            " one was left to say why.",
        ),
        (None, "UNKNOWN: nothing was heard of it for 7 min, and no one was left to say why."),
    ],
)
def test_the_group_of_a_lost_run_is_its_silence(limit: int | None, words: str) -> None:
    told = details(
        run={"error_type": LOST_TYPE, "error_group": "UNKNOWN", "error_reason": "lost"},
        heartbeat_at=NOON - timedelta(minutes=11),
        lost_at=NOON - timedelta(minutes=4),
        lost_after_seconds=limit,
    )

    assert said(Topic.GROUP, told) == words


def test_a_suppressed_failure_names_the_alert_that_covers_it() -> None:
    text = said(Topic.ALERT, DETAILS)

    assert "It raised no alert: alert 812 of 2026-03-01 11:50:00 UTC already covers it" in text
    assert "within the cooldown of 30 min" in text
    assert "It is not resolved" in text


def test_a_covering_alert_that_was_deleted_is_told_as_such() -> None:
    assert "alert 812 covered it already, and has been deleted since" in said(
        Topic.ALERT, details(alert=None)
    )


def test_a_covering_alert_that_nobody_saw_is_told_as_such() -> None:
    told = details(alert=None, run={"covered_by": None})

    assert "TIMEOUT of sync had alerted already, within the cooldown" in said(Topic.ALERT, told)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"alert_outcome": "raised"}, "It raised alert 812: there was none for TIMEOUT of sync"),
        ({"alert_outcome": "raised", "cooldown_seconds": 0}, "the cooldown is switched off"),
        ({"alert_outcome": "raised", "cooldown_seconds": None}, "It raised alert 812."),
        ({"alert_outcome": "excluded"}, "on purpose"),
        ({"alert_outcome": "waiting"}, "waits for more failures of TIMEOUT of sync in a row."),
        ({"alert_outcome": "none"}, "alert 812 reports it."),
    ],
)
def test_every_outcome_has_its_reason(run: dict[str, Any], words: str) -> None:
    assert words in said(Topic.ALERT, details(run=run))


def test_a_failure_without_any_alert_says_so() -> None:
    told = details(alert=None, run={"alert_outcome": "none", "covered_by": None})

    assert said(Topic.ALERT, told) == "It raised no alert."


def test_who_resolved_the_alert_is_told() -> None:
    resolved = replace(ALERT, resolved=True, resolved_by="Kim", resolved_at=NOON)

    assert "resolved by Kim at 2026-03-01 12:00:00 UTC." in said(
        Topic.ALERT, details(alert=resolved)
    )


def test_the_cooldown_says_until_when_and_for_how_many() -> None:
    text = said(Topic.COOLDOWN, DETAILS)

    assert "TIMEOUT of sync is quiet until 2026-03-01 12:20:00 UTC (for 20 min)" in text
    assert "alert 812 covers 14 failures besides the one that raised it" in text


def test_a_cooldown_that_is_over_says_that_the_next_one_alerts() -> None:
    over = replace(DETAILS.cooldown, quiet_until=None, covered=0)  # type: ignore[type-var]
    text = said(Topic.COOLDOWN, details(cooldown=over))

    assert "the next TIMEOUT of sync alerts" in text
    assert "covers no other failure" in text


def test_the_cooldown_of_a_later_alert_is_told_apart() -> None:
    later = replace(DETAILS.cooldown, alert_id=900)  # type: ignore[type-var]

    assert "alert 900, the newest of this group, covers" in said(
        Topic.COOLDOWN, details(cooldown=later)
    )


def test_the_cooldown_names_the_run_that_raised_the_alert() -> None:
    by_another = replace(DETAILS.cooldown, raised_by=3)  # type: ignore[type-var]

    assert "So far alert 812, raised by run 3, covers" in said(
        Topic.COOLDOWN, details(cooldown=by_another)
    )


@pytest.mark.parametrize(
    ("facts", "standing", "words"),
    [
        ({}, Standing.STILL_FAILING, "it has not run again since"),
        ({"after": cell(1, "FAILED")}, Standing.STILL_FAILING, "it is still failing"),
        ({"after": cell(1, "RUNNING")}, Standing.STILL_FAILING, "a later run is under way"),
        (
            {"after": cell(1, "FAILED"), "recovered": cell(2)},
            Standing.RECOVERED,
            "it has succeeded since",
        ),
    ],
)
def test_the_headline_says_whether_it_is_still_broken(
    facts: dict[str, Any], standing: Standing, words: str
) -> None:
    told = details(**facts)

    assert standing_of(told, now=NOON) is standing
    assert headline(told).startswith(
        "sync failed at 2026-03-01 11:56:00 UTC, after 1 min: TIMEOUT; "
    )
    assert words in headline(told)


def test_the_previous_success_and_the_recovery_are_mentioned_with_their_times() -> None:
    told = details(previous_success=cell(-65), recovered=cell(55, number=11))
    text = said(Topic.HISTORY, told)

    assert "The last success before it was run 9 of 2026-03-01 10:55:00 UTC, 1 h earlier" in text
    assert "It succeeded again with run 11 of 2026-03-01 12:55:00 UTC, 1 h later" in text


def test_a_job_that_never_succeeded_is_told_as_such() -> None:
    assert "first run of its job" in said(Topic.HISTORY, DETAILS)
    assert "No success is known before it" in said(
        Topic.HISTORY, details(before=cell(-9, "FAILED"))
    )


def test_a_further_attempt_of_a_queue_is_numbered() -> None:
    third = details(run={"trigger_type": "RETRY", "retry_count": 2})
    own_retries = details(run={"retry_count": 2})

    assert "It was attempt 3 at its task." in said(Topic.HISTORY, third)
    assert "attempt" not in said(Topic.HISTORY, own_retries)


REFUSED: dict[str, Any] = {"error_group": "LOCK_CONFLICT", "refused": True}


def test_a_refused_start_names_the_holder_and_the_lease() -> None:
    told = details(
        run=REFUSED,
        lock_holder=lock_owner("worker-3", 99, KEY),
        lock_held_until=NOON + timedelta(minutes=15),
        holder_run_id=3,
    )

    assert standing_of(told, now=NOON) is Standing.REFUSED
    assert headline(told) == (
        "sync did not start at 2026-03-01 11:55:00 UTC: the job's lock was held by run 3 (host"
        " worker-3, pid 99) until 2026-03-01 12:15:00 UTC unless renewed."
    )
    assert said(Topic.LOCK, told).startswith("The body did not run: the job's lock was held by")


@pytest.mark.parametrize(
    ("holder", "words"), [(None, "was held by another run."), ("a-cron-job", "held by a-cron-job.")]
)
def test_a_refused_start_without_a_known_run_is_told_all_the_same(
    holder: str | None, words: str
) -> None:
    assert words in said(Topic.LOCK, details(run=REFUSED, lock_holder=holder))


def test_a_start_that_the_store_kept_from_running_says_so() -> None:
    told = details(run={"error_group": "UNKNOWN", "refused": True})

    assert headline(told).endswith(": the store could not be reached.")


def test_a_refusal_that_the_body_met_itself_says_that_the_body_ran() -> None:
    told = details(run={"error_group": "LOCK_CONFLICT"}, lost_after_seconds=300)

    assert said(Topic.LOCK, told) == "The body did run: the refusal came from inside it."
    assert headline(told).startswith("sync failed at")


def test_nothing_is_said_of_the_body_where_the_row_does_not_tell() -> None:
    assert said(Topic.LOCK, details(run={"error_group": "LOCK_CONFLICT"})) == ""


def test_a_lost_run_is_told_with_its_process_and_its_silence() -> None:
    told = details(
        run={"error_type": LOST_TYPE, "error_group": "UNKNOWN"},
        heartbeat_at=NOON - timedelta(minutes=9),
        lost_at=NOON - timedelta(minutes=4),
    )

    assert said(Topic.LOST, told) == (
        "It is lost: its process on host-1, pid 4711, died, or hangs, silent since"
        " 2026-03-01 11:51:00 UTC. It was declared lost at 2026-03-01 11:56:00 UTC."
    )


def test_a_run_that_came_back_is_told_apart_from_a_lost_one() -> None:
    told = details(run={"status": "SUCCESS", "error_type": None}, lost_at=NOON)

    assert "its process came back" in said(Topic.LOST, told)
    assert "The open alert 812 reports it." in said(Topic.ALERT, told)


def test_a_lost_run_has_the_type_that_the_reaper_gives_it() -> None:
    assert LOST_TYPE == _reaping.LOST


def test_a_running_run_says_since_when_and_whether_it_lives() -> None:
    told = details(
        run={"status": "RUNNING", "finished_at": None, "error_group": None},
        heartbeat_at=NOON - timedelta(seconds=12),
        alert=None,
    )

    assert headline(told) == "sync is running, for 5 min now."
    assert "11:59:48 UTC, 12 s ago" in said(Topic.RECORD, told)
    assert explain(told, now=NOON).about(Topic.GROUP) == ()


RUNNING: dict[str, Any] = {"status": "RUNNING", "finished_at": None, "error_group": None}


@pytest.mark.parametrize(
    ("facts", "standing", "words"),
    [
        (
            {"usual_seconds": 116.0},
            Standing.RUNNING,
            "sync is running, for 5 min now.",
        ),
        (
            {"usual_seconds": 90.0},
            Standing.STUCK,
            "sync is running, for 5 min now (usually at most 1 min 30 s).",
        ),
        (
            {"heartbeat_at": NOON - timedelta(minutes=4), "lost_after_seconds": 180},
            Standing.SILENT,
            "sync is running, for 5 min now, silent for 4 min; `runguard reap` would close it.",
        ),
        (
            {"usual_seconds": 90.0, "heartbeat_at": NOON - timedelta(minutes=14)},
            Standing.SILENT,
            "sync is running, for 5 min now (usually at most 1 min 30 s), silent for 14 min;"
            " `runguard reap` would close it.",
        ),
    ],
)
def test_a_stuck_or_silent_run_looks_so(
    facts: dict[str, Any], standing: Standing, words: str
) -> None:
    beating = {"heartbeat_at": NOON - timedelta(seconds=9)}
    told = details(run=RUNNING, alert=None, **{**beating, **facts})

    assert (standing_of(told, now=NOON), headline(told)) == (standing, words)


def test_a_silent_run_says_what_reaping_does_to_it() -> None:
    told = details(run=RUNNING, alert=None, heartbeat_at=NOON - timedelta(hours=3))

    assert said(Topic.RECORD, told) == (
        "Its last heartbeat was at 2026-03-01 09:00:00 UTC, 3 h ago. Its limit of silence is 5 min:"
        " its process on host-1, pid 4711, died, or hangs. `runguard reap` would record it as"
        " FAILED, UNKNOWN (lost), and raise an alert if none covers it."
    )


def test_the_limit_of_a_run_that_notes_none_is_the_default() -> None:
    assert Settings().lost_after == LOST_AFTER


def test_another_programs_open_run_is_never_silent_for_reaping_leaves_it() -> None:
    told = details(run={**RUNNING, "run_key": None}, heartbeat_at=NOON - timedelta(hours=3))

    assert standing_of(told, now=NOON) is Standing.RUNNING
    assert "reap" not in said(Topic.RECORD, told)


def test_what_went_wrong_comes_first_with_its_type_its_place_and_how_often() -> None:
    told = details(
        run={"error_type": "app.errors.CommandError", "error_message": "no such file\nat 7"},
        failures_in_row=3,
        failing_since=cell(-65, "FAILED"),
    )

    first, second, *_ = explain(told, now=NOON).reasons
    assert first.text() == "CommandError: no such file, at job.py:7 in pull."
    assert second.text() == (
        "It is the third failure in a row, since run 9 of 2026-03-01 10:55:00 UTC."
    )


def test_a_first_failure_is_not_counted() -> None:
    told = details(failures_in_row=1, failing_since=cell(-5, "FAILED"))

    assert said(Topic.ERROR, told) == "TimeoutError: timed out, at job.py:7 in pull."


def test_a_failure_that_the_alert_of_another_error_covers_says_so() -> None:
    other = replace(ALERT, detail={"error_type": "CommandError", "error_message": "no such file"})

    assert said(Topic.ALERT, details(alert=other)) == (
        "It raised no alert: alert 812 of 2026-03-01 11:50:00 UTC already covers it, within the"
        " cooldown of 30 min, but it was raised for another error (CommandError: no such file)."
        " It is not resolved."
    )


def test_a_row_of_another_program_is_explained_as_far_as_it_goes() -> None:
    nothing = dict.fromkeys(
        (
            *("run_key", "error_group", "matched_by", "alert_outcome", "covered_by", "host", "pid"),
            *("cooldown_seconds", "error_type", "error_location", "started_at", "finished_at"),
        )
    )
    told = details(run=nothing, alert=None, cooldown=None)

    assert headline(told) == "sync failed: of no known group; it has not run again since."
    assert "another program wrote this row" in said(Topic.GROUP, told)
    assert "Another program wrote this row" in said(Topic.RECORD, told)
    assert "It has no start" in said(Topic.HISTORY, told)


def test_a_status_of_another_program_is_not_judged() -> None:
    told = details(run={"status": "CANCELLED", "run_key": None})

    assert standing_of(told, now=NOON) is Standing.UNKNOWN
    assert headline(told) == "sync is CANCELLED, a status of another program."


def test_a_replayed_run_says_whose_times_it_has() -> None:
    assert "with its host's own times" in said(Topic.RECORD, details(clock="host"))


def test_times_and_mentions_are_parts_that_an_edge_may_show_in_its_own_manner() -> None:
    [alert] = explain(DETAILS, now=NOON).about(Topic.ALERT)

    assert Mention("alert", 812) in alert.parts
    assert ALERT.created_at in alert.parts
    assert "alert 812 of 11:50 already covers" in alert.text(lambda instant: f"{instant:%H:%M}")


def test_as_json_it_is_plain_text_in_utc() -> None:
    told = plain(explain(DETAILS, now=NOON))

    assert (told["run_id"], told["standing"]) == (7, "still failing")
    assert told["reasons"][:2] == [
        {"topic": "error", "text": "TimeoutError: timed out, at job.py:7 in pull."},
        {"topic": "group", "text": "TIMEOUT, from text: 'timed out'."},
    ]


_TEXTS = st.none() | st.text(max_size=20) | st.sampled_from(["FAILED", "RUNNING", "SUCCESS"])
_TIMES = st.none() | st.just(NOON)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine that is busy otherwise
@given(
    run=st.fixed_dictionaries(
        {
            "status": st.sampled_from(["FAILED", "RUNNING", "SUCCESS", "x"]),
            "run_key": st.none() | st.just(KEY),
            "error_group": st.none() | st.sampled_from(["TIMEOUT", "LOCK_CONFLICT", "x"]),
            "matched_by": _TEXTS,
            "error_message": _TEXTS,
            "error_type": st.none() | st.just(LOST_TYPE),
            "alert_outcome": st.none() | st.sampled_from(["raised", "suppressed", "none", "x"]),
            "covered_by": st.none() | st.just(1),
            "cooldown_seconds": st.none() | st.integers(0, 9999),
            "started_at": _TIMES,
            "finished_at": _TIMES,
            "error_reason": st.none() | st.sampled_from(["refused", "x"]),
            "matched_rule": st.none() | st.just(1),
            "matched_depth": st.none() | st.just(1),
            "refused": st.none() | st.booleans(),
        }
    ),
    facts=st.fixed_dictionaries(
        {
            "heartbeat_at": _TIMES,
            "lost_at": _TIMES,
            "lock_holder": st.none() | st.sampled_from(["w1:7:x", lock_owner("w1", 7, KEY)]),
            "lost_after_seconds": st.none() | st.just(300),
            "alert": st.none() | st.just(ALERT),
            "cooldown": st.none() | st.just(DETAILS.cooldown),
            "recovered": st.none() | st.just(cell(1)),
            "after": st.none() | st.just(cell(1, "FAILED")),
            "failures_in_row": st.integers(0, 30),
            "failing_since": st.none() | st.just(cell(-9, "FAILED")),
            "usual_seconds": st.none() | st.just(1.0),
        }
    ),
)
def test_whatever_a_row_holds_every_sentence_is_whole(
    run: dict[str, Any], facts: dict[str, Any]
) -> None:
    explanation = explain(details(run=run, **facts), now=NOON)

    assert explanation.headline.text().endswith(".")
    assert [s.text() for s in explanation.reasons if not s.text().endswith(".")] == []


FAILED_ON = RanAs(7, NOON - timedelta(minutes=5), version="1.5", host="w1")
WORKED_ON = RanAs(3, NOON - timedelta(hours=1), version="1.4", host="w1")


def test_what_changed_names_the_last_success_once() -> None:
    changed = Changed(FAILED_ON, WORKED_ON, successes=4)
    told = details(changed=changed, previous_success=cell(-60, number=3))

    assert said(Topic.CHANGES, told) == (
        "First failure after 4 successes in a row. Last success: run 3 of 2026-03-01 11:00:00 UTC"
        " on 1.4 (host w1); now 1.5 (host w1): the code changed in between."
    )
    assert "run 3" not in said(Topic.HISTORY, told)


def test_without_a_success_the_history_says_that_there_is_none() -> None:
    told = details(changed=Changed(FAILED_ON), before=cell(-60, "FAILED"))

    assert said(Topic.CHANGES, told) == ""
    assert "No success is known before it." in said(Topic.HISTORY, told)


def test_what_failed_upstream_stands_beside_the_error() -> None:
    told = details(
        run={"upstream": "db-1:5432", "version": "1.4"}, changed=Changed(WORKED_ON, WORKED_ON)
    )

    assert said(Topic.ERROR, told).endswith("job.py:7 in pull. The call went to db-1:5432.")
    assert said(Topic.CHANGES, told).endswith("look upstream, at db-1:5432.")


def test_what_a_run_noted_is_one_sentence() -> None:
    few = NoteRecord(context={"term": "2026-1", "pages": [1, 2], "why": "a\nb"})
    many = NoteRecord(context={f"name{number}": "x" * 200 for number in range(12)})

    assert said(Topic.NOTED, DETAILS) == ""
    assert said(Topic.NOTED, details(note=few)) == "term: 2026-1; pages: [1, 2]; why: a b."
    text = said(Topic.NOTED, details(note=many))
    assert text.count("…; ") == 10
    assert text.endswith(f"; and 2 more, in `runguard show {RUN.id}`.")


def test_an_open_run_tells_how_far_it_is_and_a_failed_one_how_far_it_came() -> None:
    note = NoteRecord(done=60, total=240, progress_at=NOON - timedelta(minutes=4))
    still = {"status": "RUNNING", "finished_at": None}

    assert said(Topic.PROGRESS, details(note=note)) == ("When it ended: 60 of 240 (25 %), 1/s.")
    assert said(Topic.PROGRESS, details(run=still, note=note)) == (
        "So far: 60 of 240 (25 %), 1/s, as of 4 min ago."
    )
