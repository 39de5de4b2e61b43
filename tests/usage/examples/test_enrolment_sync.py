"""The scheduled job: what each of its endings leaves in the tables."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from examples.enrolment_sync import enrolment_sync
from examples.upstream import Upstream
from runguard import JobLockActive, run_scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    Ask = Callable[[str], list[tuple[Any, ...]]]
    RunExample = Callable[..., CompletedProcess[str]]

COUNTERS = "select status, total_records, changed_records from run_log order by id"
FAILURES = "select status, error_group, http_status_code from run_log order by id"
ALERTS = """
    select source_type, source_id, alert_type, severity, detail->>'error_group',
           cast(detail->>'http_status_code' as integer)
    from alert order by id
"""
ALERT_BESIDE_ITS_RUN = """
    select run_log.error_message, alert.detail->>'error_message', alert.detail->>'job_name'
    from alert join run_log on alert.detail->>'run_id' = cast(run_log.id as text)
"""


def test_a_good_run_copies_everything_and_counts_it(
    upstream: Upstream, sql: Ask, job_sql: Ask, url: str
) -> None:
    enrolment_sync()

    assert sql("select job_name, trigger_type, status, created_alerts from run_log") == [
        ("enrolment_sync", "SCHEDULER", "SUCCESS", 0)
    ]
    assert sql(COUNTERS) == [("SUCCESS", 120, 120)]
    assert job_sql("select id, student, course, status from enrolment order by id") == [
        tuple(enrolment.values()) for enrolment in upstream.enrolments
    ]
    assert sql(ALERTS) == []


def test_a_second_run_changes_only_what_is_new(
    upstream: Upstream, sql: Ask, job_sql: Ask, url: str
) -> None:
    enrolment_sync()
    upstream.enrolments[7]["status"] = "withdrawn"

    enrolment_sync()

    assert sql(COUNTERS) == [("SUCCESS", 120, 120), ("SUCCESS", 120, 1)]
    assert job_sql("select id from enrolment where status = 'withdrawn'") == [(8,)]


@pytest.mark.parametrize(
    ("mode", "group", "severity"),
    [("401", "HTTP_4XX", "medium"), ("409", "HTTP_409", "medium"), ("503", "HTTP_5XX", "high")],
)
def test_an_upstream_error_fails_the_run_and_alerts(
    upstream: Upstream, sql: Ask, url: str, *, mode: str, group: str, severity: str
) -> None:
    upstream.answer(mode)

    with pytest.raises(httpx.HTTPStatusError) as raised:
        enrolment_sync()

    assert sql(FAILURES) == [("FAILED", group, int(mode))]
    assert sql(ALERTS) == [
        ("run_log", f"enrolment_sync:{group}", "FAILED", severity, group, int(mode))
    ]
    message = str(raised.value)
    assert sql(ALERT_BESIDE_ITS_RUN) == [(message, message, "enrolment_sync")]


@pytest.mark.usefixtures("impatient")
def test_a_slow_upstream_is_a_timeout(upstream: Upstream, sql: Ask, url: str) -> None:
    upstream.answer("slow")

    with pytest.raises(httpx.TimeoutException):
        enrolment_sync()

    assert sql(FAILURES) == [("FAILED", "TIMEOUT", None)]
    assert sql(ALERTS) == [("run_log", "enrolment_sync:TIMEOUT", "FAILED", "high", "TIMEOUT", None)]


def test_a_run_beside_another_is_refused(upstream: Upstream, sql: Ask, url: str) -> None:
    upstream.answer("slow")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(enrolment_sync)
        upstream.wait_until_held()

        with pytest.raises(JobLockActive):
            enrolment_sync()

        upstream.answer("ok")
        first.result()

    assert sql(FAILURES) == [("SUCCESS", None, None), ("FAILED", "LOCK_CONFLICT", 409)]
    assert sql(COUNTERS) == [("SUCCESS", 120, 120), ("FAILED", 0, 0)]
    assert sql(ALERTS) == [
        ("run_log", "enrolment_sync:LOCK_CONFLICT", "FAILED", "low", "LOCK_CONFLICT", 409)
    ]


def test_an_outage_of_several_runs_raises_one_alert(upstream: Upstream, sql: Ask, url: str) -> None:
    upstream.answer("503")

    for _ in range(3):
        with pytest.raises(httpx.HTTPStatusError):
            enrolment_sync()

    assert sql("select alert_outcome, created_alerts from run_log order by id") == [
        ("raised", 1),
        ("suppressed", 0),
        ("suppressed", 0),
    ]
    assert len(sql(ALERTS)) == 1


class BreaksAfterOnePage(Upstream):
    def current_answer(self) -> str:
        answer = super().current_answer()
        self.answer("503")
        return answer


def test_a_run_that_fails_midway_keeps_and_counts_what_it_got(
    monkeypatch: pytest.MonkeyPatch, sql: Ask, job_sql: Ask, url: str
) -> None:
    with BreaksAfterOnePage() as upstream, pytest.raises(httpx.HTTPStatusError):
        monkeypatch.setenv("ENROLMENT_UPSTREAM_URL", upstream.url)
        enrolment_sync()

    assert sql(COUNTERS) == [("FAILED", 40, 40)]
    assert job_sql("select count(*) from enrolment") == [(40,)]


def test_the_table_is_in_a_file_of_the_current_folder_by_default(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, tmp_path: Path
) -> None:
    monkeypatch.delenv("ENROLMENT_DATABASE_URL")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    enrolment_sync()

    with closing(sqlite3.connect("enrolments.db")) as database:
        assert database.execute("select count(*) from enrolment").fetchall() == [(120,)]


def test_a_forgotten_setting_is_a_failure_that_names_it(sqlite_url: str, sql: Ask) -> None:
    with pytest.raises(KeyError):
        enrolment_sync()

    assert sql("select error_group, error_message from run_log") == [
        ("UNKNOWN", "KeyError: 'ENROLMENT_UPSTREAM_URL'")
    ]


def test_as_a_script_it_says_what_it_did(
    upstream: Upstream, run_example: RunExample, sql: Ask, url: str
) -> None:
    done = run_example("enrolment_sync")

    assert (done.returncode, done.stderr) == (0, "")
    [(run_id,)] = sql("select id from run_log where status = 'SUCCESS'")
    assert done.stdout == f"run {run_id}: 120 enrolments read, 120 changed\n"


def test_as_a_script_it_fails_with_its_own_traceback(
    upstream: Upstream, run_example: RunExample, sqlite_url: str, sql: Ask
) -> None:
    upstream.answer("503")

    done = run_example("enrolment_sync")

    assert (done.returncode, done.stdout) == (1, "")
    assert "httpx.HTTPStatusError: Server error '503 Service Unavailable'" in done.stderr
    assert done.stderr.startswith("runguard.alert_created ")
    assert sql(FAILURES) == [("FAILED", "HTTP_5XX", 503)]


def test_as_a_script_it_tells_a_held_lock_from_a_failure(
    upstream: Upstream, run_example: RunExample, sqlite_url: str, sql: Ask
) -> None:
    with run_scope("enrolment_sync", lock=True) as holder:
        done = run_example("enrolment_sync")

    assert (done.returncode, done.stdout) == (75, "")
    assert "nothing done, job_lock active" in done.stderr
    assert str(holder.key) in done.stderr
    assert sql("select error_group from run_log where status = 'FAILED'") == [("LOCK_CONFLICT",)]
