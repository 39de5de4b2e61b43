"""What is kept beside a run, and what changed before it failed, on the pages."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, select, update

import runguard
from runguard import run_scope, testing
from runguard._store.schema.tables import run_log, run_note
from tests.web.conftest import HOSTILE
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client

TRACEBACK = """\
Traceback (most recent call last):
  File "~/app/sync.py", line 7, in pull
    httpx.get(url)
  File "~/app/.venv/lib/python3.12/site-packages/httpx/_api.py", line 195, in get
    return request()
           ^^^^^^^^^
httpx.ConnectError: [Errno 111] Connection refused"""


def tell(url: str) -> str:
    """Two successes of one version, then two failures of another."""
    for version, fails in (("1.8", False), ("1.9", True)):
        runguard.configure(database_url=url, version=version)
        for _ in range(2):
            with run_scope("sync") as run:
                if fails:
                    run.fail("HTTP 503")
        testing.reset()
    return url


@pytest.fixture
def told(sqlite_url: str) -> str:
    return tell(sqlite_url)


def note(url: str, run_id: int, **values: Any) -> None:
    """Keep something beside a run, whatever stood there before."""
    engine = create_engine(url)
    with engine.begin() as connection:
        its = select(run_log.c.run_key).where(run_log.c.id == run_id).scalar_subquery()
        changed = connection.execute(
            update(run_note).where(run_note.c.run_key == its).values(**values)
        )
        if not changed.rowcount:
            connection.execute(insert(run_note).values(run_key=its, **values))
    engine.dispose()


@pytest.fixture
def page_of(
    application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> Callable[[str, str], Page]:
    def read(url: str, path: str) -> Page:
        page = Page(client_of(application_at(url)).get(path).text)
        assert page.faults == []
        return page

    return read


def facts_of(page: Page) -> dict[str, str]:
    return {
        term.text: value.text for term, value in zip(page.all("dt"), page.all("dd"), strict=True)
    }


def test_the_page_of_a_run_shows_what_a_reader_asks_first_in_that_order(
    told: str, page_of: Callable[[str, str], Page]
) -> None:
    note(
        told,
        4,
        traceback=TRACEBACK,
        log_tail="page 1 pulled\npage 2 refused",
        context={"term": "2026-autumn", "page": 3},
        links=[
            {"name": "report", "url": "https://reports.example/4"},
            {"name": "bad", "url": "javascript:alert(1)"},
        ],
        done=12,
        total=50,
        progress_at=datetime.now(UTC),
    )
    page = page_of(told, "/runs/4")

    headings = [one.text for one in page.all("h2")]
    assert headings[:5] == [
        "Error",
        "Traceback",
        "Last log lines",
        "Context",
        "Why, and what became of it",
    ]
    facts = facts_of(page)
    assert facts["What changed"].startswith(
        "The first failure after 2 successes in a row was run 3"
    )
    assert "on 1.8" in facts["What changed"]
    assert "the code changed in between" in facts["What changed"]
    assert facts["Version"] == "1.9"
    assert (facts["term"], facts["page"]) == ("2026-autumn", "3")
    assert facts["Progress"].startswith("12 of 50 (24 %)")
    assert page.links()["https://reports.example/4"] == "https://reports.example/4"
    assert facts["bad"] == "javascript:alert(1)"
    assert not [one for one in page.links().values() if one.startswith("javascript:")]


def test_the_frames_of_the_job_are_open_those_of_libraries_folded_and_all_can_be_copied(
    told: str, page_of: Callable[[str, str], Page]
) -> None:
    note(told, 4, traceback=TRACEBACK, log_tail="one\ntwo")
    page = page_of(told, "/runs/4")
    [trace] = page.all("div", within="traceback")
    [folded] = trace.all("details")
    [own] = trace.all("pre", within="own")

    assert folded.all("summary")[0].text == "1 frame of httpx"
    assert "_api.py" in folded.text
    assert "open" not in folded.attributes
    assert "sync.py" in own.text
    assert own.text not in folded.text
    assert trace.all("pre", within="raised")[0].text == TRACEBACK.splitlines()[-1]
    copied = {one.attributes["data-copy"] for one in page.all("button", within="copy")}
    assert copied == {"error-text", "traceback-text", "log-text"}
    assert "".join(page.by_id("traceback-text").texts) == TRACEBACK
    assert "".join(page.by_id("log-text").texts) == "one\ntwo"


def test_the_message_of_a_command_does_not_repeat_the_log_below_it(
    sqlite_url: str, page_of: Callable[[str, str], Page]
) -> None:
    runguard.configure(database_url=sqlite_url)
    for lines in ("starting\nno such file", "another log"):
        with run_scope("copy") as run:
            run.fail("exit code 3: no such file\n\nstarting\nno such file")
        note(sqlite_url, run.id or 0, log_tail=lines)
    testing.reset()

    first, second = (page_of(sqlite_url, f"/runs/{number}") for number in (1, 2))
    assert first.by_id("error-text").text == "exit code 3: no such file"
    assert second.by_id("error-text").text.endswith("starting no such file")


def test_32_kib_of_hostile_text_stay_text_in_every_place(
    told: str, page_of: Callable[[str, str], Page]
) -> None:
    hostile = f"{HOSTILE} \u202eder \x1b[31m שלום </pre></details>"
    frame = f'  File "{hostile}", line 3, in {hostile}\n    {hostile}\n'
    text = f"Traceback (most recent call last):\n{frame * 200}{hostile}"[: 32 * 1024]
    link = {"name": hostile, "url": 'https://x.example/"><script>alert(1)</script>'}
    note(told, 4, traceback=text, log_tail=text, context={hostile: hostile}, links=[link])

    page = page_of(told, "/runs/4")

    assert len(text) == 32 * 1024
    assert [one.attributes.get("src", "") for one in page.all("script")].count("") == 0
    assert not [one for one in page.all() if "onload" in one.attributes]
    assert "".join(page.by_id("log-text").texts).count(r"\u202e") == text.count("\u202e")
    shown = "".join(page.root.texts)
    assert not re.search("[\x1b\u202e]", shown)
    assert shown.count(HOSTILE) > 100


def test_a_job_that_fails_says_what_changed_and_the_overview_names_the_new_version(
    store_url: str, page_of: Callable[[str, str], Page]
) -> None:
    told = tell(store_url)
    job, overview = page_of(told, "/jobs/sync"), page_of(told, "/")

    said = facts_of(job)["What changed"]
    assert said.startswith("The first failure after 2 successes in a row was run 3")
    assert "the code changed in between" in said
    assert job.links()["run 2"].endswith("/runs/2")
    assert "new version 1.9" in overview.text.partition("Timeline")[0]


def test_programs_get_what_is_kept_and_what_changed(
    told: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    note(told, 4, traceback=TRACEBACK, log_tail="one\ntwo", context={"page": 3})
    answer = client_of(application_at(told)).get("/api/v1/runs/4").json()

    kept, changed = answer["note"], answer["changed"]
    assert (kept["traceback"], kept["log_tail"]) == (TRACEBACK, "one\ntwo")
    assert kept["context"] == {"page": 3}
    assert answer["run"]["version"] == "1.9"
    assert (changed["last_success"]["id"], changed["first_failure"]["id"]) == (2, 3)
    assert (changed["code_changed"], changed["host_changed"]) == (True, False)
    assert (changed["successes"], changed["is_all"]) == (2, True)


def test_an_open_run_shows_its_progress_wherever_it_stands(
    sqlite_url: str, page_of: Callable[[str, str], Page]
) -> None:
    runguard.configure(database_url=sqlite_url)
    with contextlib.ExitStack() as open_run:
        open_run.enter_context(run_scope("sync"))
        begun = datetime.now(UTC) - timedelta(minutes=10)
        engine = create_engine(sqlite_url)
        with engine.begin() as connection:
            connection.execute(update(run_log).values(started_at=begun))
        engine.dispose()
        note(sqlite_url, 1, done=100, total=400, progress_at=begun + timedelta(minutes=10))
        for path in ("/", "/jobs/sync", "/runs/1"):
            page = page_of(sqlite_url, path)
            [bar] = page.all("progress")
            assert json.loads(bar.attributes["value"]) == 0.25
            assert bar.attributes["aria-label"].startswith("Progress of ")
            assert re.search(r"25 %.*, about (29|30) min left", page.text), path

        note(sqlite_url, 1, done=7, total=None)
        page = page_of(sqlite_url, "/runs/1")
        assert page.all("progress") == []
        assert "7 done" in page.text
