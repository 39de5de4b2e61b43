"""The async job: runs inside a run, side by side."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from examples.async_sync import course_count
from examples.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    Ask = Callable[[str], list[tuple[Any, ...]]]

PAGES = "from run_log where job_name = 'course_count.page'"


class AnswersPagesTogether(Upstream):
    """Answers the pages after the first only when both have been asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)
        self.asked = 0

    def current_answer(self) -> str:
        self.asked += 1
        if self.asked > 1:
            self.both.wait(timeout=10)
        return super().current_answer()


class FailsOnePageOfTwo(Upstream):
    """Answers the first request, fails the second, and lets the third wait."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = iter(["ok", "503"])

    def current_answer(self) -> str:
        if answer := next(self.answers, None):
            return answer
        self.answer("slow")
        return super().current_answer()


async def test_pages_are_fetched_side_by_side_each_as_its_own_run(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, sql: Ask
) -> None:
    with AnswersPagesTogether() as upstream:
        monkeypatch.setenv("ENROLMENT_UPSTREAM_URL", upstream.url)
        courses = await course_count()

    assert courses == {"algebra": 40, "biology": 40, "chemistry": 40}
    assert sql("select job_name, status, total_records from run_log order by id") == [
        ("course_count", "SUCCESS", 120),
        *[("course_count.page", "SUCCESS", 40)] * 3,
    ]


async def test_a_page_that_fails_fails_the_job_and_cancels_the_other(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, sql: Ask
) -> None:
    with FailsOnePageOfTwo() as upstream, pytest.raises(ExceptionGroup):
        monkeypatch.setenv("ENROLMENT_UPSTREAM_URL", upstream.url)
        await course_count()

    assert sql(
        "select error_group, http_status_code, error_type, alert_outcome from run_log"
        " where job_name = 'course_count'"
    ) == [("HTTP_5XX", 503, "ExceptionGroup", "raised")]
    assert sorted(sql(f"select status, error_group, alert_outcome {PAGES} and id > 2")) == [
        ("FAILED", "HTTP_5XX", "raised"),
        ("FAILED", "UNKNOWN", "excluded"),
    ]
    assert sorted(sql("select source_id from alert")) == [
        ("course_count.page:HTTP_5XX",),
        ("course_count:HTTP_5XX",),
    ]


@pytest.mark.parametrize(("mode", "group"), [("401", "HTTP_4XX"), ("409", "HTTP_409")])
async def test_an_upstream_that_refuses_fails_page_and_job_alike(
    upstream: Upstream, sqlite_url: str, sql: Ask, mode: str, group: str
) -> None:
    upstream.answer(mode)

    with pytest.raises(httpx.HTTPStatusError):
        await course_count()

    assert sql("select job_name, error_group, http_status_code from run_log order by id") == [
        ("course_count", group, int(mode)),
        ("course_count.page", group, int(mode)),
    ]


@pytest.mark.usefixtures("impatient")
async def test_the_deadline_is_a_timeout_of_the_job_alone(
    upstream: Upstream, sqlite_url: str, sql: Ask
) -> None:
    upstream.answer("slow")

    with pytest.raises(TimeoutError):
        await course_count()

    assert sql("select job_name, status, error_group, alert_outcome from run_log order by id") == [
        ("course_count", "FAILED", "TIMEOUT", "raised"),
        ("course_count.page", "FAILED", "UNKNOWN", "excluded"),
    ]
    assert sql("select source_id, severity from alert") == [("course_count:TIMEOUT", "high")]


def test_as_a_script_it_prints_the_counts(
    upstream: Upstream,
    run_example: Callable[..., CompletedProcess[str]],
    sqlite_url: str,
    sql: Ask,
) -> None:
    done = run_example("async_sync")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "algebra 40\nbiology 40\nchemistry 40\n"
    assert sql("select count(*) from run_log where status = 'SUCCESS'") == [(4,)]
