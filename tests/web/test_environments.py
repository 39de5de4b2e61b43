"""Several environments in one store: the pages and the API keep them apart, and can show one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import testing
from tests.web.test_pages import client_at, read  # the fixture too

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client
    from tests.web.reading import Page

__all__ = ["client_at"]


@pytest.fixture
def client(sqlite_url: str, client_at: Callable[..., Client]) -> Client:
    """A job that fails in staging, is well in production, and once ran without a name."""
    for environment, fails in (("production", False), ("staging", True), (None, False)):
        runguard.configure(database_url=sqlite_url, environment=environment)
        with suppress(TimeoutError), runguard.run_scope("sync"):
            if fails:
                raise TimeoutError("no answer")
        testing.reset()
    return client_at(sqlite_url)


def jobs_on(page: Page) -> list[str]:
    [body] = page.by_id("jobs").all("tbody")
    return [" ".join(row.all("th")[0].text.split()) for row in body.all("tr")]


def test_the_overview_has_a_row_for_each_environment(client: Client) -> None:
    page = read(client, "/")

    assert page.heading == "1 job failing"
    assert [row.split(" ✕")[0].split(" ✓")[0] for row in jobs_on(page)] == [
        *("sync in staging", "sync", "sync in production"),
    ]
    assert 'href="/jobs/sync?environment=staging"' in client.get("/").text
    names = [one.text for one in page.all("span") if "strong" in one.classes]
    assert names == ["sync in staging"]  # in one cell, so that those of all jobs stand in a row
    lanes = page.by_id("timeline").text
    assert lanes.count("in staging") == lanes.count("in production") > 0


def test_the_overview_shows_one_environment_and_keeps_it_in_the_address(client: Client) -> None:
    page = read(client, "/?environment=production")

    assert page.heading == "Every job's last run succeeded"
    assert len(jobs_on(page)) == 1
    assert "1 job in production" in page.text
    assert "0 failures" in page.text
    assert any("environment=production" in link for link in page.links().values())
    assert read(client, "/?environment=test").heading == "No job has run in test"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/runs?environment=staging", 1),
        ("/runs?environment=none&job=sync", 1),
        ("/alerts?environment=staging", 2),  # the problem, and its alert
        ("/alerts?environment=production", 0),
    ],
)
def test_lists_show_one_environment(client: Client, path: str, found: int) -> None:
    page = read(client, path)

    rows = [row for body in page.by_id("live").all("tbody") for row in body.all("tr")]
    assert len(rows) == found
    offered = [option.text for option in page.all("option")]
    assert {"production", "staging", "none"} <= set(offered)


def test_the_page_of_a_job_says_which_environment_it_shows(client: Client) -> None:
    staging = read(client, "/jobs/sync?environment=staging")

    assert staging.heading.startswith("sync in staging")
    assert "Failing since" in staging.text
    others = staging.links(staging.by_id("others"))
    assert others == {
        "none": "/jobs/sync?environment=none",
        "production": "/jobs/sync?environment=production",
    }
    [body] = staging.by_id("runs").all("tbody")
    assert len(body.all("tr")) == 1
    plain = read(client, "/jobs/sync")
    assert "Runs without an environment only." in plain.by_id("others").text
    assert "The last run that ended was a success" in plain.text
    assert client.get("/jobs/sync?environment=test").status_code == 404


def test_programs_read_one_environment_or_all(client: Client) -> None:
    def get(path: str) -> Any:
        return client.get(f"/api/v1{path}").json()

    jobs = [one["job"] for one in get("/overview")["jobs"]]
    assert [one["environment"] for one in jobs] == ["staging", None, "production"]
    assert len(get("/overview?environment=staging")["jobs"]) == 1
    assert get("/jobs/sync?environment=staging")["state"] == "failing"
    assert get("/jobs/sync")["job"]["environment"] is None
    [run] = get("/runs?environment=production")["runs"]
    assert run["environment"] == "production"
    [alert] = get("/alerts?environment=staging")["alerts"]
    assert (alert["environment"], alert["source_id"]) == ("staging", "sync:TIMEOUT@staging")
    assert [one["problem"]["environment"] for one in get("/problems")["problems"]] == ["staging"]
    assert sum(one["failures"] for one in get("/failures?environment=production")["buckets"]) == 0
    lanes = get("/timeline")["lanes"]
    assert [(one["environment"], one["runs"], one["failures"]) for one in lanes] == [
        *(("staging", 1, 1), (None, 1, 0), ("production", 1, 0)),
    ]
    days = get("/jobs/sync/calendar?environment=staging")["days"]
    assert sum(day["runs"] for day in days) == 1
    assert client.get("/api/v1/runs?environment=Pre%20Prod").status_code == 422


def test_without_any_environment_nothing_is_offered(
    sqlite_url: str, client_at: Callable[..., Client]
) -> None:
    runguard.configure(database_url=sqlite_url)
    with runguard.run_scope("sync"):
        pass
    testing.reset()
    client = client_at(sqlite_url)

    for path in ("/", "/runs", "/alerts", "/jobs/sync"):
        assert "nvironment" not in read(client, path).text
