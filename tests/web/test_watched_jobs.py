"""What is expected of jobs on the pages and in the API, and how the list of jobs is searched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard._monitor.expectations import Expectation, FindingType
from tests.support.findings import expect, find
from tests.support.stores import open_store
from tests.web.test_pages import client_at, jobs_on, read, told  # the fixtures too

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client
    from tests.web.reading import Page

__all__ = ["client_at", "told"]

HOUR = timedelta(hours=1)
NIGHTLY = Expectation(
    cron="0 2 * * *", tz="Asia/Seoul", max_runtime=timedelta(hours=2), min_records=1
)
TEXTS = {
    "owner": "platform <team>",
    "runbook": "https://wiki.example.org/backup?a=1&b=2",
    "description": "Copies the database.",
}
QUIET_SINCE = 19 * 24 * 60


@pytest.fixture
def client(sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]) -> Client:
    """A job that missed its start, one that is late, one that never ran, one that went quiet."""
    told(("backup", "SUCCESS", None, 60, 5), ("late", "SUCCESS", None, 90, 5))
    told(("broken", "SUCCESS", None, 30, 5), ("broken", "FAILED", "TIMEOUT", 20, 5))
    told(*[("quiet", "SUCCESS", None, QUIET_SINCE + 10 * n, 5) for n in range(6)])
    store = open_store(sqlite_url)
    expect(store, "backup", expectation=NIGHTLY, due=10 * HOUR, **TEXTS)
    expect(store, "late", due=timedelta(minutes=-3), owner="ana")
    expect(store, "never", due=HOUR, runbook="javascript:alert(1)")
    find(store, "backup")
    store.close()
    return client_at(sqlite_url)


def facts_of(page: Page) -> dict[str, str]:
    """What a page lists, by its labels."""
    terms, texts = page.all("dt"), page.all("dd")
    return {term.text: text.text for term, text in zip(terms, texts, strict=True)}


def test_the_first_lines_tell_what_did_not_start(client: Client) -> None:
    page = read(client, "/")

    assert page.heading == "1 job failing, 1 did not start"
    assert page.all("title")[0].text.startswith("(1) failing")
    assert jobs_on(page) == ["broken", "backup", "late", "quiet", "never"]
    assert "alert 1 open" in page.links()
    assert page.links()["1 late"] == "/?state=late#jobs"
    assert page.links()["1 quiet"] == "/?state=quiet#jobs"


def test_a_row_tells_when_a_job_is_due_whose_it_is_and_when_it_usually_starts(
    client: Client,
) -> None:
    text = read(client, "/").by_id("jobs").text

    assert "○ missed · platform <team>" in text or "missed platform <team>" in text
    assert "did not start when it was due" in text
    assert "in 9 h" in text
    assert "3 min ago late" in text
    assert "usually every 10 minutes" in text
    assert "never ran" in text


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("find=PLATFORM", ["backup"]),
        ("find=copies", ["backup"]),
        ("state=late", ["late"]),
        ("state=never_ran", ["never"]),
        ("sort=due", ["late", "never", "backup", "broken", "quiet"]),
        ("sort=started", ["broken", "backup", "late", "quiet", "never"]),
        ("sort=started&reverse=true", ["quiet", "late", "backup", "broken", "never"]),
        ("sort=failures", ["broken", "backup", "late", "quiet", "never"]),
    ],
)
def test_the_list_of_jobs_is_searched_and_sorted(
    client: Client, asked: str, names: list[str]
) -> None:
    assert jobs_on(read(client, f"/?{asked}")) == names


def test_the_search_stays_in_the_address_and_in_its_form(client: Client) -> None:
    page = read(client, "/?state=late&find=a&sort=due&span=7d")

    assert "state=late" in page.links()["Job"]
    assert "find=a" in page.links()["Job"]
    assert "Show all" in page.links()
    assert "No job fits what you look for" in read(client, "/?state=missed&find=late").text
    assert client.get("/?state=lost").status_code == 422


def test_the_page_of_a_job_tells_what_is_expected_of_it(client: Client) -> None:
    page = read(client, "/jobs/backup")
    told = facts_of(page)

    assert "It did not start when it was due" in page.text
    assert "Copies the database." in page.text
    assert "declared by a person, ana" in page.text
    assert told["Starts"].startswith("cron 0 2 * * * (Asia/Seoul)")
    assert (told["May take"], told["Records"]) == ("2 h", "at least 1")
    assert told["Owner"] == TEXTS["owner"]
    assert page.links()[TEXTS["runbook"]] == TEXTS["runbook"]


def test_a_job_that_never_ran_has_a_page_and_only_addresses_of_the_web_are_links(
    client: Client,
) -> None:
    page = read(client, "/jobs/never")

    assert "It never ran" in page.text
    assert "No run of this job has been recorded yet." in page.text
    assert "No run matches these filters." in read(client, "/jobs/never?status=FAILED").text
    assert "javascript:alert(1)" in page.text
    assert not any("javascript" in address for address in page.links().values())


def test_a_job_without_a_cadence_starts_irregularly(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]
) -> None:
    told(*[("odd", "SUCCESS", None, minutes, 5) for minutes in (3000, 1700, 1690, 1100, 100, 20)])
    text = read(client_at(sqlite_url), "/").by_id("jobs").text

    assert "starts irregularly" in text
    assert "usually" not in text


def test_the_usual_cadence_stands_on_the_page_of_a_job(client: Client) -> None:
    text = read(client, "/jobs/quiet").text

    assert "nobody declared when" in text
    assert "every 10 minutes; last 19 d ago" in text


def test_a_run_and_the_alert_of_a_finding_tell_whose_job_it_is(client: Client) -> None:
    run = read(client, "/runs/1")

    assert facts_of(run)["Owner"] == TEXTS["owner"]
    assert run.links()[TEXTS["runbook"]] == TEXTS["runbook"]
    assert read(client, "/alerts/1").links()["backup"] == "/jobs/backup"
    assert "no failure of its group followed" not in read(client, "/alerts/1").text
    problems = read(client, "/alerts").by_id("live")
    assert "backup MISSED" in problems.text
    problem, *_ = (one for one in problems.all("th") if "MISSED" in one.text)
    assert [one.attributes["href"] for one in problem.all("a")] == ["/jobs/backup"]


def test_the_api_tells_the_same(client: Client) -> None:
    jobs: dict[str, Any] = {
        one["job"]["job_name"]: one for one in client.get("/api/v1/overview").json()["jobs"]
    }
    backup = client.get("/api/v1/jobs/backup").json()

    assert {name: one["state"] for name, one in jobs.items()} == {
        **{"broken": "failing", "backup": "missed", "late": "late"},
        **{"quiet": "quiet", "never": "never_ran"},
    }
    assert {name: one["expected_state"] for name, one in jobs.items()} == {
        **{"broken": None, "backup": "MISSED", "late": "LATE", "quiet": None, "never": "ON_TIME"}
    }
    assert jobs["quiet"]["cadence"]["words"] == "every 10 minutes"
    assert backup["expected_state"] == "MISSED"
    assert {name: backup["job"]["expected"][name] for name in TEXTS} == TEXTS
    assert [one["type"] for one in backup["job"]["expected"]["findings"]] == [FindingType.MISSED]
    assert client.get("/api/v1/runs/1").json()["expected"]["owner"] == TEXTS["owner"]
