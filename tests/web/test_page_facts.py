"""What the pages say of lost runs, refused starts and what came after."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import runguard
from runguard import run_scope, testing
from runguard._settings import Settings
from tests.support.stores import open_store
from tests.support.stories import (
    fail,
    leave_open,
    refused_while_running,
    time_out_after_a_refused_start,
)
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.web.conftest import Client
    from tests.web.reading import Element


def reap(url: str) -> None:
    from runguard._run.reaper import reap as close_lost_runs

    store = open_store(url)
    assert len(list(close_lost_runs(store, Settings()))) == 1
    store.close()


def test_the_alert_of_a_lost_run_names_it_and_does_not_cover_it(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    leave_open(store_url)
    reap(store_url)
    fail(store_url)

    page = Page(client_of(application_at(store_url)).get("/alerts/1").text)
    facts = dict(
        zip(*([one.text for one in page.root.all(tag)] for tag in ("dt", "dd")), strict=True)
    )

    assert facts["Raised by"].startswith("run 1 ")
    assert facts["Covers"] == "1 further failure"


def test_the_first_lines_show_the_timeout_and_its_alert_after_a_refused_start(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    time_out_after_a_refused_start(store_url)

    page = Page(client_of(application_at(store_url)).get("/").text)
    first = page.text.partition("Timeline")[0]

    assert "TIMEOUT" in first
    assert "LOCK_CONFLICT" not in first
    assert "alert 2" in first


def test_a_running_job_with_a_refused_start_is_not_failing(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    with refused_while_running(store_url):
        client = client_of(application_at(store_url))
        overview, job = (Page(client.get(path).text).text for path in ("/", "/jobs/sync"))

    assert "1 start refused" in overview
    assert "1 start refused" in job
    assert "ailing" not in overview.partition("Failures")[0].replace("No job is failing", "")


def test_a_run_shows_its_reason_and_leads_to_the_others(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=store_url)
    for failure in (OSError(28, "No space left on device"), ConnectionRefusedError(111, "refused")):
        with contextlib.suppress(OSError), run_scope("sync"):
            raise failure
    testing.reset()
    client = client_of(application_at(store_url))

    page = Page(client.get("/runs/1").text)
    [link] = [one for one in page.root.all("a") if one.text == "disk full"]
    others = Page(client.get(link.attributes["href"]).text)

    assert "run-1" in {one.attributes.get("id") for one in others.root.all("tr")}
    assert "run-2" not in {one.attributes.get("id") for one in others.root.all("tr")}
    answer = client.get("/api/v1/runs?reason=refused").json()
    assert [run["error_reason"] for run in answer["runs"]] == ["refused"]


def test_a_covered_failure_of_another_kind_says_so_on_its_page_and_its_alert_s(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=store_url)
    for text in ("no such file /srv/in.csv", "no such file /srv/in.csv", "no such table orders"):
        with contextlib.suppress(RuntimeError), run_scope("sync"):
            raise RuntimeError(text)
    testing.reset()
    client = client_of(application_at(store_url))
    other = "raised for another error (RuntimeError: no such file /srv/in.csv)"

    assert other in Page(client.get("/runs/3").text).text
    assert other not in Page(client.get("/runs/2").text).text
    assert Page(client.get("/alerts/1").text).text.count(other) == 1


def test_a_silent_run_looks_so_on_its_own_page(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    leave_open(store_url)

    page = Page(client_of(application_at(store_url)).get("/runs/1").text)

    assert page.heading == "Run 1 ◌ silent"
    assert page.all("title")[0].text.startswith("◌ run 1 of sync")
    headline = page.by_id("headline").text
    assert headline.startswith("sync is running, for 7 min")
    assert ", silent for 7 min" in headline
    assert headline.endswith("; `runguard reap` would close it.")


def test_lists_show_version_and_upstream_and_where_the_version_was_new(
    sqlite_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    commit = "9fceb02d0ae598e95dc970b74767f19372d61af8"
    for version in ("1.8", commit, commit):
        runguard.configure(database_url=sqlite_url, version=version)
        with run_scope("sync"):
            pass
        testing.reset()
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "update run_log set status = 'FAILED', upstream = 'db.example:5432', trace_id = 'abc1',"
            " error_type = 'OSError', trigger_type = 'RETRY', retry_count = 2 where id = 2"
        )
        connection.commit()
    client = client_of(application_at(sqlite_url))
    runs, job, run = (Page(client.get(path).text) for path in ("/runs", "/jobs/sync", "/runs/2"))

    versions = runs.all("a", within="version")
    assert [one.text for one in versions] == ["9fceb02", "9fceb02", "1.8"]
    [new] = job.all("small", within="new-version")
    assert "run-2" in [parent.attributes.get("id") for parent in _around(new)]
    assert "Run 2 was the first on version 9fceb02" in job.text
    assert {"Trace abc1", "Version 9fceb02", "Attempt 3 2 attempts before it"} <= {
        f"{term.text} {value.text}"
        for term, value in zip(run.all("dt"), run.all("dd"), strict=True)
    }
    of_version = Page(client.get(versions[-1].attributes["href"]).text)
    assert [one.attributes["id"] for one in of_version.all("tr") if one.attributes] == ["run-1"]
    for page in (runs, job, run):
        at_upstream = Page(client.get(page.links()["db.example:5432"]).text)
        assert [one.attributes["id"] for one in at_upstream.all("tr") if one.attributes] == [
            "run-2"
        ]
        assert [
            one.attributes["value"]
            for one in at_upstream.all("input")
            if one.attributes.get("name") == "upstream"
        ] == ["db.example:5432"]


def _around(element: Element) -> Iterator[Element]:
    while element.parent is not None:
        element = element.parent
        yield element
