"""The pages as they come from the server: what they say, link to, and never let through."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, insert

import runguard
from runguard import testing
from runguard._store.schema.tables import run_log
from runguard._web import charts
from runguard._web.pages import overview
from runguard._web.rendering import HERE
from tests.web.conftest import HOSTILE, fail
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette

    from runguard._store.operator import OperatorStore
    from tests.web.conftest import Client

PAGES = {
    "overview": "/",
    "sorted jobs": "/?sort=p95&find=a&span=30d",
    "job": "/jobs/payments",
    "job with a slash": "/jobs/invoices/monthly",
    "job in Korean": "/jobs/주문 동기화",
    "job of one group": "/jobs/payments?group=HTTP_5XX&status=FAILED&since=7d",
    "runs": "/runs",
    "runs of one job": "/runs?job=payments",
    "failed run": "/runs/2",
    "good run": "/runs/1",
    "alerts": "/alerts",
    "open alerts": "/alerts?resolved=false&order=oldest",
    "alert": "/alerts/1",
    "no such job": "/jobs/paymets",
    "no such run": "/runs/999",
    "no such alert": "/alerts/999",
    "unreadable filter": "/runs?status=DONE",
    "nothing there": "/nothing",
}
# Tables that were there before us have neither CHECK nor NOT NULL on what is not ours.
UNGUARD = """
do $$
declare one record;
begin
    for one in
        select conrelid::regclass as place, conname from pg_constraint
        where contype = 'c' and conrelid in ('run_log'::regclass, 'alert'::regclass)
    loop
        execute 'alter table ' || one.place || ' drop constraint ' || quote_ident(one.conname);
    end loop;
end $$;
alter table run_log alter started_at drop not null, alter total_records drop not null;
alter table alert alter resolved drop not null, alter review_status drop not null;
"""
every_page = pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())


def read(client: Client, path: str, **options: Any) -> Page:
    return Page(client.get(path, **options).text)


@pytest.fixture
def client_at(
    application_at: Callable[..., Starlette], client_of: Callable[..., Client]
) -> Callable[..., Client]:
    def make(url: str, **options: Any) -> Client:
        return client_of(application_at(url, **options))

    return make


@pytest.fixture
def told(sqlite_url: str, open_store_at: Callable[[str], OperatorStore]) -> Callable[..., None]:
    """Records runs as (job, status, group, minutes ago, seconds)."""
    open_store_at(sqlite_url).job_names()  # makes the file

    def tell(*stories: tuple[str, str, str | None, float, float | None]) -> None:
        now = datetime.now(UTC)
        rows = []
        for job_name, status, group, minutes, seconds in stories:
            started_at = now - timedelta(minutes=minutes)
            ended = None if seconds is None else started_at + timedelta(seconds=seconds)
            rows.append(
                {
                    "job_name": job_name,
                    "status": status,
                    "error_group": group,
                    "started_at": started_at,
                    "finished_at": ended,
                    "updated_at": ended or started_at,
                    "run_key": uuid4(),
                }
            )
        engine = create_engine(sqlite_url)
        with engine.begin() as connection:
            connection.execute(insert(run_log), rows)
        engine.dispose()

    return tell


@every_page
def test_every_element_is_closed_and_every_name_there_once(file_client: Client, path: str) -> None:
    page = read(file_client, path)
    names = [one.attributes["id"] for one in page.all() if "id" in one.attributes]

    assert page.faults == []
    assert sorted(names) == sorted(set(names))


@every_page
def test_nothing_stands_inline_that_the_policy_forbids(file_client: Client, path: str) -> None:
    for element in read(file_client, path).all():
        assert element.tag != "style"
        assert element.tag != "script" or element.attributes.get("src"), element.text
        forbidden = [name for name in element.attributes if name == "style" or name[:2] == "on"]
        assert forbidden == [], element.tag


@every_page
def test_no_address_leads_to_another_host(file_client: Client, path: str) -> None:
    addresses = [
        value
        for element in read(file_client, path).all()
        for name, value in element.attributes.items()
        if name in ("href", "src", "action", "formaction", "hx-get")
    ]

    assert addresses
    assert [one for one in addresses if not re.match(r"/(?!/)|[#?]", one)] == []


@every_page
def test_who_does_not_see_the_page_finds_the_way(file_client: Client, path: str) -> None:
    page = read(file_client, path)

    assert page.heading
    assert page.all("title")[0].text
    assert page.by_id(page.all("a")[0].attributes["href"].removeprefix("#")).tag == "main"
    for table in page.all("table"):
        assert table.all("caption")
        assert all("scope" in head.attributes for head in table.all("th"))
    for svg in page.all("svg"):
        is_inner = svg.parent is not None and svg.parent.tag == "svg"
        assert is_inner or svg.attributes["aria-hidden"] == "true"
        assert all(link.attributes["tabindex"] == "-1" for link in svg.all("a"))
    for entry in page.all("input", "select"):
        if entry.attributes.get("type") != "hidden":
            parent = entry.parent
            assert "aria-label" in entry.attributes or (parent and parent.tag == "label")


@every_page
def test_what_a_job_said_stays_text(file_client: Client, path: str) -> None:
    answer = file_client.get(path)

    assert "<script>alert" not in answer.text
    assert " onload='" not in answer.text
    assert all(element.attributes.get("onload") is None for element in Page(answer.text).all())


@pytest.mark.parametrize("asked", ["path=/x", "self=1&a=%26b%3D<", "%FF=%00", "span=", "&&=&"])
@pytest.mark.parametrize("path", ["/", "/runs", "/alerts"])
def test_what_else_stands_in_an_address_is_passed_over(
    file_client: Client, path: str, asked: str
) -> None:
    answer = file_client.get(f"{path}?{asked}")

    assert answer.status_code == 200
    assert Page(answer.text).faults == []


@pytest.mark.parametrize("path", ["/runs", "/jobs/주문 동기화", "/alerts/4", "/runs/6"])
def test_what_a_job_said_is_there_as_it_was(file_client: Client, path: str) -> None:
    page = read(file_client, path)

    assert HOSTILE in page.text


def test_times_are_for_programs_too_and_in_utc_without_a_script(file_client: Client) -> None:
    times = read(file_client, "/runs").all("time")

    assert times
    for one in times:
        instant = datetime.fromisoformat(one.attributes["datetime"])
        assert instant.tzinfo == UTC
        assert one.attributes["title"] == f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def test_the_first_line_says_what_is_broken_since_when_and_which_alert(client: Client) -> None:
    page = read(client, "/")
    [payments] = [one for one in page.all("li") if one.text.startswith("payments")]

    assert page.heading == "3 jobs failing"
    assert page.all("title")[0].text.startswith("(3) ")
    assert "since" in payments.text
    assert "HTTP_5XX" in payments.text
    assert "alert 1 open" in page.links(payments)


def test_jobs_stand_worst_first(client: Client) -> None:
    rows = read(client, "/").by_id("jobs").all("tr")[1:]
    names = [row.all("a")[0].text for row in rows]

    assert names == ["invoices/monthly", "payments", "주문 동기화", "nightly"]


def jobs_on(page: Page) -> list[str]:
    return [row.all("a")[0].text for row in page.by_id("jobs").all("tbody")[0].all("tr")]


def test_many_jobs_are_shown_page_by_page_the_worst_first(
    sqlite_url: str,
    told: Callable[..., None],
    client_at: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overview, "MANY_JOBS", 60)
    told(*[(f"fine {one}", "SUCCESS", None, one, 1) for one in range(60)])
    told(("the last in the alphabet: z", "FAILED", "UNKNOWN", 5, 1))
    client = client_at(sqlite_url)
    page = read(client, "/?span=7d")
    second = read(client, page.links()["next ›"])

    assert jobs_on(page)[0].startswith("the last in the alphabet")
    assert "1–50 of 61" in page.by_id("jobs").text
    assert "51–61 of 61" in second.by_id("jobs").text
    assert len({*jobs_on(page), *jobs_on(second)}) == 61
    assert second.links()["‹ previous"] == "/?page=1&span=7d#jobs"
    assert page.by_id("watch").attributes["data-seconds"] == "20"


def test_jobs_are_found_by_a_part_of_their_name_and_sorted_by_a_column(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]
) -> None:
    told(*[(f"Sync {name}", "SUCCESS", None, 5, took) for name, took in {"b": 3, "a": 9}.items()])
    told(("other", "SUCCESS", None, 5, 60), ("sync c", "RUNNING", None, 1, None))
    client = client_at(sqlite_url)
    page = read(client, "/?find=sYNC&sort=p95&span=30d")
    reversed_ = read(client, page.links()["p95 ▾"])
    by_name = read(client, page.links()["Job"])

    assert jobs_on(page) == ["Sync a", "Sync b", "sync c"]
    assert jobs_on(reversed_) == ["Sync b", "Sync a", "sync c"]
    assert jobs_on(by_name) == ["Sync a", "Sync b", "sync c"]
    assert "span=30d" in page.links()["Sync a"]
    assert "No job has “nothing” in its name" in read(client, "/?find=nothing").text


def test_when_all_is_well_the_first_line_says_so(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]
) -> None:
    told(("sync", "FAILED", "TIMEOUT", 30, 2), ("sync", "SUCCESS", None, 10, 2))
    page = read(client_at(sqlite_url), "/")

    assert page.heading == "Every job's last run succeeded"


def test_a_run_that_takes_too_long_is_named_in_the_first_lines(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]
) -> None:
    told(*[("sync", "SUCCESS", None, 90 + one, 2) for one in range(9)])
    told(("sync", "RUNNING", None, 30, None))
    page = read(client_at(sqlite_url), "/")

    assert page.heading == "1 job running too long"
    assert "usually at most 2 s" in page.text


def test_a_strip_holds_what_each_of_its_cells_is_and_where_it_leads(client: Client) -> None:
    page = read(client, "/")
    [payments] = [one for one in page.by_id("jobs").all("tr") if "payments" in one.text]
    [strip] = payments.all("svg", within="strip")
    cells = strip.attributes["data-cells"].split("\n")

    assert strip.attributes["data-to"] == "/runs/{}"
    assert [one.split(" · ")[0] for one in cells] == ["run 4", "run 3", "run 2", "run 1"]
    assert cells[0].startswith("run 4 · failed · HTTP_5XX")
    assert "Last 4 runs: 3 failed (3 HTTP_5XX)." in payments.text


def test_a_failure_is_told_from_a_success_without_its_colour(client: Client) -> None:
    [payments] = [
        one for one in read(client, "/").by_id("jobs").all("tr") if "payments" in one.text
    ]
    [strip] = payments.all("svg", within="strip")
    mark = f"33{charts.MARKS['HTTP_5XX']}"
    marks = {one.attributes["class"]: one.attributes["d"].count(mark) for one in strip.all("path")}

    assert marks == {"line": 0, "g-HTTP_5XX": 3, "c-ok": 0}


def test_each_group_of_the_chart_leads_to_its_runs(client: Client) -> None:
    page = read(client, "/")
    [legend] = page.all("ul", within="legend")
    assert legend.text == "HTTP_5XX 3 TIMEOUT 1 UNKNOWN 1"

    for said, address in page.links(legend).items():
        group, count = said.split()
        listed = read(client, address).all("tbody")[0].all("tr")
        assert len(listed) == int(count)
        assert all(group in row.text for row in listed)


def test_each_bar_of_the_chart_leads_to_its_runs(client: Client) -> None:
    [chart] = read(client, "/").all("svg", within="failures")
    bars = chart.all("a")

    assert {re.findall(r"^\d+ × \w+", bar.text)[0] for bar in bars} == {
        "3 × HTTP_5XX",
        "1 × TIMEOUT",
        "1 × UNKNOWN",
    }
    for bar in bars:
        count = int(bar.text.split()[0])
        listed = read(client, bar.attributes["href"]).all("tbody")[0].all("tr")
        assert len(listed) == count


@pytest.mark.parametrize(("span", "words"), [("24h", "24 hours"), ("7d", "7 days")])
def test_the_time_of_the_chart_stands_in_the_address(
    file_client: Client, span: str, words: str
) -> None:
    choice = read(file_client, f"/?span={span}").all("nav", within="choice")[-1]
    [chosen] = [one for one in choice.all("a") if "aria-current" in one.attributes]

    assert chosen.text == words


def test_a_job_shows_its_cooldowns(client: Client) -> None:
    page = read(client, "/jobs/payments")
    [line] = page.all("ul", within="lines")[0].all("li")

    assert re.fullmatch(
        r"HTTP_5XX quiet until .* \(in \d+ min\), 2 failures covered by alert 1", line.text
    )


def test_a_job_shows_its_lock(client: Client) -> None:
    assert "○ free Last holder" in read(client, "/jobs/nightly").text
    assert "never taken its lock" in read(client, "/jobs/payments").text


def test_a_failed_run_says_why_and_which_alert_covers_it(client: Client) -> None:
    page = read(client, "/runs/4")

    assert "Why this group" in page.text
    assert "HTTP 503 Service Unavailable" in page.text
    assert page.links()["alert 1"] == "/alerts/1"
    assert page.links()["run 1"] == "/runs/1"
    assert re.search(r"quiet until .* the first failure after that alerts", page.text)


def test_a_run_shows_what_was_counted_and_where_it_ran(client: Client) -> None:
    text = read(client, "/runs/1").text

    assert "512 in all" in text
    for label in ("Host", "Process", "Key", "Started", "Finished", "Took"):
        assert label in text


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        ("job=payments&status=FAILED", {"payments"}),
        ("group=TIMEOUT", {"invoices/monthly"}),
        ("trigger=SCHEDULER", {"invoices/monthly"}),
        ("status=SUCCESS&since=1h", {"payments", "nightly"}),
        ("job=&status=&group=&trigger=&since=", {"payments", "invoices/monthly", "nightly"}),
    ],
)
def test_filters_narrow_the_runs(client: Client, asked: str, jobs: set[str]) -> None:
    rows = read(client, f"/runs?{asked}").all("tbody")[0].all("tr")

    assert {row.all("td")[0].text for row in rows} - {"주문 동기화"} == jobs


def test_chosen_filters_stay_chosen(file_client: Client) -> None:
    page = read(file_client, "/runs?job=payments&status=failed&group=HTTP_5XX&since=24h")
    chosen = [one.attributes["value"] for one in page.all("option") if "selected" in one.attributes]
    [job] = [one for one in page.all("input") if one.attributes.get("name") == "job"]

    assert job.attributes["value"] == "payments"
    assert chosen == ["FAILED", "HTTP_5XX", "24h"]


@pytest.mark.parametrize(
    "path", ["/runs?status=DONE", "/alerts?severity=huge", "/runs?since=tomorrow", "/runs?page=x"]
)
def test_a_filter_that_cannot_be_read_says_what_was_expected(
    file_client: Client, path: str
) -> None:
    answer = file_client.get(path)

    assert answer.status_code == 422
    assert re.search(r"expected .* found", Page(answer.text).text)


def test_an_unknown_job_is_answered_with_the_one_that_was_meant(file_client: Client) -> None:
    answer = file_client.get("/jobs/paymets")

    assert answer.status_code == 404
    assert "did you mean 'payments'?" in Page(answer.text).text
    assert "did you mean 'payments'?" in read(file_client, "/runs?job=paymets").text


@pytest.mark.parametrize("path", ["/runs/999", "/alerts/999", f"/runs/{10**30}"])
def test_what_is_not_there_is_answered_with_what_to_do(file_client: Client, path: str) -> None:
    answer = file_client.get(path)

    assert answer.status_code == 404
    assert "It may have been pruned" in Page(answer.text).text


@pytest.mark.parametrize("path", ["/runs", "/jobs/sync"])
def test_pages_of_runs_lead_on_and_back_without_a_gap(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client], path: str
) -> None:
    told(*[("sync", "SUCCESS", None, one, 1.0) for one in range(120)])
    client = client_at(sqlite_url)
    seen: list[list[str]] = []
    address: str | None = f"{path}?status=SUCCESS"
    previous = None
    while address:
        page = read(client, address)
        listed = page.by_id("runs") if path != "/runs" else page.by_id("live")
        seen.append([head.text for head in listed.all("tbody")[0].all("th")])
        ways = {one.attributes.get("rel"): one.attributes["href"] for one in listed.all("a")}
        previous, address = ways.get("prev"), ways.get("next")

    flat = [one for rows in seen for one in rows]
    assert flat == [str(one) for one in range(1, 121)]
    assert previous
    again = read(client, previous)
    listed = again.by_id("runs") if path != "/runs" else again.by_id("live")
    assert [head.text for head in listed.all("tbody")[0].all("th")] == seen[-2]


@pytest.mark.parametrize(
    "path", ["/", "/jobs/payments", "/runs", "/runs/1", "/alerts", "/alerts/1"]
)
def test_htmx_gets_the_live_part_alone(file_client: Client, path: str) -> None:
    whole = read(file_client, path).by_id("live")
    part = Page(file_client.get(path, headers={"HX-Request": "true"}).text)

    assert part.faults == []
    assert part.all("html", "body", "main", "header") == []
    assert "post" not in {one.attributes["method"] for one in part.all("form")}
    parts = [one.tag for one in part.all() if one.attributes.get("id") != "banner"]
    kept = [one for one in whole.all() if one.attributes.get("id") == "calendar"]
    stays = {id(inner) for one in kept for inner in one.all()}  # what the page has of it already
    assert parts == [one.tag for one in whole.all() if id(one) not in stays]


@pytest.mark.parametrize(
    ("path", "watched"),
    {
        "/": "5",
        "/jobs/payments": "5",
        "/runs": "5",
        "/alerts": "10",
        "/runs/1": None,
    }.items(),
)
def test_a_page_asks_again_while_something_may_change(
    file_client: Client, path: str, watched: str | None
) -> None:
    asking = [one.attributes for one in read(file_client, path).all() if "hx-get" in one.attributes]

    if watched is None:
        assert asking == []
    else:
        [only] = asking
        assert only["data-seconds"] == watched
        assert only["hx-get"] == path


def test_a_run_that_is_not_over_is_asked_for_every_two_seconds(
    sqlite_url: str, told: Callable[..., None], client_at: Callable[..., Client]
) -> None:
    told(("sync", "RUNNING", None, 1, None))
    [watch] = [
        one for one in read(client_at(sqlite_url), "/runs/1").all() if "hx-get" in one.attributes
    ]

    assert watch.attributes["data-seconds"] == "2"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "No run has been recorded yet"),
        ("/runs", "No run has been recorded yet"),
        ("/alerts", "No alert has been raised yet"),
        ("/alerts?resolved=false", "No alert is open"),
        ("/runs?status=FAILED", "No run matches these filters"),
    ],
)
def test_an_empty_store_says_what_to_do(
    sqlite_url: str,
    told: Callable[..., None],
    client_at: Callable[..., Client],
    path: str,
    said: str,
) -> None:
    page = read(client_at(sqlite_url), path)

    assert page.faults == []
    assert said in page.text
    assert "tracked_run" in read(client_at(sqlite_url), "/").text


def change(client: Client, path: str, fields: dict[str, Any]) -> Page:
    """Send a form of the page, and follow where the answer leads."""
    answer = client.send_form(path, fields)
    assert answer.status_code == 303, answer.text
    return read(client, answer.headers["location"])


def test_many_alerts_are_resolved_at_once_with_who_and_when(client: Client) -> None:
    page = change(
        client,
        "/alerts/resolve",
        {"alert_id": ["1", "2"], "resolved": "true", "by": "민지", "next": "/alerts"},
    )
    rows = {row.attributes["id"]: row.text for row in page.all("tr") if "id" in row.attributes}

    assert "2 alerts resolved." in page.text
    for one in ("alert-1", "alert-2"):
        assert "resolved by 민지 just now" in rows[one]
    assert "open" in rows["alert-3"]


def test_an_alert_is_reopened_from_its_own_page(client: Client) -> None:
    fields = {"alert_id": "1", "next": "/alerts/1"}
    change(client, "/alerts/resolve", {**fields, "resolved": "true"})
    page = change(client, "/alerts/resolve", {**fields, "resolved": "false"})

    assert page.heading.endswith("open")
    assert "1 alert open again." in page.text
    assert "Resolve" in [one.text for one in page.all("button")]


def test_the_review_status_is_set_with_who(client: Client) -> None:
    page = change(
        client,
        "/alerts/review",
        {"alert_id": "1", "review_status": "FALSE_ALARM", "by": "jiwon", "next": "/alerts/1"},
    )

    assert "false alarm by jiwon" in page.text


@pytest.mark.parametrize("chosen", [["x"], ["-1"], ["1", "9" * 25], ["٣"]])
def test_without_a_proper_choice_nothing_is_changed(file_client: Client, chosen: list[str]) -> None:
    answer = file_client.send_form("/alerts/resolve", {"alert_id": chosen})

    assert answer.status_code == 422
    assert "nothing was changed" in Page(answer.text).text.lower()
    assert "resolved by" not in read(file_client, "/alerts").text


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/alerts", "/logout", "\\\\evil", ""]
)
def test_a_form_leads_back_to_our_own_pages_only(file_client: Client, elsewhere: str) -> None:
    answer = file_client.send_form("/alerts/resolve", {"alert_id": "1", "next": elsewhere})

    assert answer.headers["location"].startswith("/alerts?")


def test_filters_are_kept_when_a_form_leads_back(file_client: Client) -> None:
    fields = {"alert_id": "1", "next": "/alerts?resolved=false&done=resolved.7"}
    answer = file_client.send_form("/alerts/resolve", fields)

    assert re.fullmatch(
        r"/alerts\?resolved=false&done=resolved\.1\.\d{16}", answer.headers["location"]
    )


@pytest.mark.parametrize("done", ["<b>x</b>", "resolved.<b>", "paid.3", "resolved.9999999"])
def test_an_address_cannot_make_the_page_say_anything(file_client: Client, done: str) -> None:
    [said] = read(file_client, f"/alerts?done={done}").all("div", within="done")

    assert said.text == ""


def test_read_only_pages_have_no_forms_that_change_things(
    filled_file: str, client_at: Callable[..., Client]
) -> None:
    client = client_at(filled_file, read_only=True)
    for path in ("/alerts", "/alerts/1"):
        page = read(client, path)
        assert [one for one in page.all("form") if one.attributes["method"] == "post"] == []
        assert [one for one in page.all("input") if one.attributes.get("type") == "checkbox"] == []


@pytest.mark.parametrize("name", ["../etc", "a//b", ".", "/x", "a/../b"])
def test_a_job_whose_name_no_path_holds_is_reached_by_its_runs(
    sqlite_url: str, client_at: Callable[..., Client], name: str
) -> None:
    runguard.configure(database_url=sqlite_url)
    fail(name, "it broke")
    testing.reset()
    client = client_at(sqlite_url)
    [row] = read(client, "/").by_id("jobs").all("tbody")[0].all("tr")
    listed = read(client, row.all("a")[0].attributes["href"])

    assert [one.text for one in listed.all("tbody")[0].all("td", within="name")] == [name]


@pytest.mark.parametrize("name", ["a?b", "a#b", "100%", "%2F", "a b+c", "日次・レポート"])
def test_any_other_name_has_a_page_of_its_own(
    sqlite_url: str, client_at: Callable[..., Client], name: str
) -> None:
    runguard.configure(database_url=sqlite_url)
    fail(name, "it broke")
    testing.reset()
    client = client_at(sqlite_url)
    [row] = read(client, "/").by_id("jobs").all("tbody")[0].all("tr")

    assert read(client, row.all("a")[0].attributes["href"]).heading == f"{name} ✕ failing"


def test_what_a_page_loads_is_there_and_kept_by_browsers(file_client: Client) -> None:
    page = read(file_client, "/")
    wanted = [
        *(one.attributes["href"] for one in page.all("link")),
        *(one.attributes["src"] for one in page.all("script")),
    ]

    assert len(wanted) >= 8
    for address in wanted:
        answer = file_client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_what_is_vendored_has_its_version_and_its_licence() -> None:
    for folder in (HERE / "static" / "vendor").iterdir():
        if folder.is_dir():
            assert re.fullmatch(r"[a-z]+-\d+\.\d+\.\d+", folder.name)
            assert (folder / "LICENSE").read_text()
            assert f"`{folder.name}`" in (folder.parent / "README.md").read_text()


def test_rows_of_other_programs_are_shown_as_far_as_they_go(
    migrated_pg_url: str, client_at: Callable[..., Client]
) -> None:
    engine = create_engine(migrated_pg_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(UNGUARD)
        connection.exec_driver_sql(
            "insert into run_log (job_name, status, trigger_type, started_at, total_records)"
            " values ('theirs', 'DONE', 'CRON', null, null), ('theirs', 'FAILED', 'X', now(), 3),"
            " ('theirs', 'RUNNING', 'X', now(), null)"
        )
        connection.exec_driver_sql(
            "insert into alert"
            " (source_type, source_id, alert_type, severity, title, detail, resolved)"
            """ values ('s', '1', 'NEW', 'dire', 't', '[1, "x"]', null),"""
            """ ('s', '2', 'FAILED', 'dire', 't', '"x"', null),"""
            " ('s', '3', 'NEW', 'd', 't', null, true)"
        )
    engine.dispose()
    client = client_at(migrated_pg_url)

    for path in ("/", "/jobs/theirs", "/runs", "/runs/1", "/runs/2", "/runs/3", "/alerts"):
        answer = client.get(path)
        assert (path, answer.status_code) == (path, 200)
        assert Page(answer.text).faults == []
    for number in (1, 2, 3):
        assert client.get(f"/alerts/{number}").status_code == 200


def test_pages_and_their_updates_are_compressed(file_client: Client) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        answer = file_client.get("/", headers=headers)

        assert answer.headers["content-encoding"] == "gzip"
        assert "payments" in answer.text


def test_the_durations_of_a_job_are_drawn_for_every_reader(file_client: Client) -> None:
    page = read(file_client, "/jobs/payments")
    [chart] = [one for one in page.all("svg") if "durations" in one.classes]

    assert len(chart.all("a")) == 4
    assert all(one.attributes["href"].startswith("/runs/") for one in chart.all("a"))
    assert "The last 4 finished runs took up to" in page.text


@pytest.mark.parametrize(
    ("path", "title", "icon"),
    [
        ("/", "(3) failing – runguard", "icon-bad.svg"),
        ("/jobs/payments", "✕ payments – runguard", "icon-bad.svg"),
        ("/jobs/nightly", "✓ nightly – runguard", "icon.svg"),
        ("/runs/2", "✕ run 2 of payments – runguard", "icon-bad.svg"),
        ("/runs/1", "✓ run 1 of payments – runguard", "icon.svg"),
        ("/alerts/1", "● alert 1: ", "icon-bad.svg"),
        ("/runs", "Runs – runguard", "icon.svg"),
    ],
)
def test_a_tab_shows_the_state_of_its_page_and_follows_it(
    file_client: Client, path: str, title: str, icon: str
) -> None:
    page = read(file_client, path)
    clock = page.by_id("clock").attributes

    assert page.all("title")[0].text.startswith(title)
    assert f"/{icon}?" in page.by_id("icon").attributes["href"]
    if path != "/runs":
        assert clock["data-title"] == page.all("title")[0].text
        assert clock["data-icon"] == page.by_id("icon").attributes["href"]


def test_the_page_of_a_failing_job_says_first_what_failed_and_resolves_it(
    file_client: Client,
) -> None:
    page = read(file_client, "/jobs/payments")
    texts = [one.text for one in page.all("section", within="card")]
    resolve = page.by_id("resolve").attributes
    form = page.by_id("act")
    fields = {one.attributes["name"]: one.attributes.get("value", "") for one in form.all("input")}
    sent = {**fields, resolve["name"]: resolve["value"]}
    answer = file_client.send_form("/alerts/resolve", sent)
    after = read(file_client, answer.headers["location"])

    assert "HTTP 503 Service Unavailable" in texts[0]
    assert "alert 1 open since" in texts[0]
    assert answer.headers["location"].startswith("/jobs/payments?done=resolved.1.")
    assert "1 alert resolved." in after.text
    assert "none is open" in after.all("section", within="failure")[0].text


def test_the_page_of_a_job_that_works_shows_no_failure(file_client: Client) -> None:
    assert read(file_client, "/jobs/nightly").all("section", within="failure") == []


def test_runs_are_found_by_a_part_of_their_jobs_name(file_client: Client) -> None:
    page = read(file_client, "/runs?job=N")

    names = {row.all("td")[0].text for row in page.by_id("live").all("tbody")[0].all("tr")}
    assert names == {"payments", "invoices/monthly", "nightly"}
    assert "Runs of 3 jobs with “N” in the name." in page.text
    assert "No job of that name" in read(file_client, "/runs?job=pyaments").text
    assert "invoices/monthly" in read(file_client, "/runs?job=inv*").by_id("live").text


def test_from_and_to_are_utc_without_a_script_and_stay_in_links(file_client: Client) -> None:
    page = read(file_client, "/runs?from=2020-03-01T02:30&to=2099-01-01T00:00&job=payments")
    inputs = [one.attributes for one in page.by_id("main").all("input")]
    fields = {one["name"]: one.get("value") for one in inputs}

    assert fields["from"] == "2020-03-01T02:30"
    assert fields["to"] == "2099-01-01T00:00"
    assert "run 2" not in read(file_client, "/runs?from=2098-01-01T00:00").text
    assert "This filter cannot be read" in read(file_client, "/runs?from=yesterday").text


def test_a_zone_that_is_none_is_utc(file_client: Client) -> None:
    file_client.cookies.set("runguard_zone", "../../etc/passwd")
    assert read(file_client, "/").by_id("failures").attributes["data-zone"] == "UTC"


def test_alerts_are_listed_as_problems_with_the_single_ones_below(client: Client) -> None:
    page = read(client, "/alerts?type=FAILED")
    table = next(one for one in page.all("table") if "problems" in one.attributes["class"])
    rows = [row.text for row in table.all("tbody")[0].all("tr")]

    assert page.by_id("problems").text == "3 problems 3 alerts, 3 open"
    assert "payments HTTP_5XX overloaded high HTTP 503 Service Unavailable" in rows[2]
    assert "✕ still broken since" in rows[2]
    href = next(a for a in table.all("a") if a.attributes["href"].endswith("#single"))
    single = read(client, href.attributes["href"].partition("#")[0])
    assert [row.attributes["id"] for row in single.all("tr") if "id" in row.attributes] == [
        "alert-3"
    ]


def test_a_problem_is_resolved_and_undone_as_a_whole(client: Client) -> None:
    read(client, "/alerts")
    fields = {"cause": "run_log:FAILED:overloaded:payments%3AHTTP_5XX", "next": "/alerts"}
    page = change(client, "/alerts/act", {**fields, "action": "resolve", "by": "민지"})
    [at] = [one for one in page.all("input") if one.attributes.get("name") == "at"]

    assert "1 alert resolved. Undo" in page.text
    assert "resolved by 민지 just now" in page.by_id("alert-1").text
    undone = change(
        client, "/alerts/undo", {"at": at.attributes["value"], "count": "1", "next": "/alerts"}
    )
    assert "1 alert open again." in undone.text
    assert "open" in undone.by_id("alert-1").text


def test_a_filter_acts_on_all_that_match_and_were_seen(file_client: Client) -> None:
    page = read(file_client, "/alerts?group=HTTP_5XX&resolved=false")
    [form] = [one for one in page.all("form") if one.attributes.get("id") == "matching"]
    fields = {one.attributes["name"]: one.attributes.get("value", "") for one in form.all("input")}

    assert form.all("button")[0].text == "Resolve all 1 that match"
    done = change(file_client, "/alerts/act", {**fields, "action": "resolve"})
    assert "1 alert resolved." in done.text
    unseen = {**fields, "matching": "", "seen": "2020-01-01T00:00:00Z", "action": "resolve"}
    assert "0 alerts resolved." in change(file_client, "/alerts/act", unseen).text
    still_open = read(file_client, "/alerts?resolved=false").by_id("problems").text
    assert still_open == "3 problems 3 alerts, 3 open"


UNREADABLE_FORMS: list[tuple[str, dict[str, str]]] = [
    ("/alerts/act", {"action": "resolve", "cause": "x"}),
    ("/alerts/act", {"action": "resolve", "matching": "group=x"}),
    ("/alerts/act", {"action": "resolve", "matching": "colour=red"}),
    ("/alerts/act", {"action": "resolve", "cause": "a:b:c:d", "seen": "yesterday"}),
    ("/alerts/act", {"action": "paint", "alert_id": "1"}),
    ("/alerts/act", {"action": "", "alert_id": "1"}),
    ("/alerts/undo", {}),
    ("/alerts/undo", {"at": "x", "count": "1"}),
    ("/alerts/undo", {"at": "1", "count": "x"}),
]


def test_what_no_form_sends_changes_nothing(file_client: Client) -> None:
    for path, fields in UNREADABLE_FORMS:
        assert (fields, file_client.send_form(path, fields).status_code) == (fields, 422)
    assert "resolved by" not in read(file_client, "/alerts").text


def test_every_form_of_an_alert_has_one_action(file_client: Client) -> None:
    """Enter in a field does what stands beside it: it never resolves instead of reviewing."""
    page = read(file_client, "/alerts/1")
    forms = {one.attributes.get("id"): one for one in page.all("form")}

    assert [one.text for one in forms["review"].all("button")] == ["Set review"]
    assert forms["review"].attributes["action"] == "/alerts/review"
    assert forms["resolve"].all("button") == []
    assert [one.attributes["type"] for one in forms["resolve"].all("input")] == ["hidden"] * 3
    [chosen] = [
        one
        for one in read(file_client, "/alerts").all("form")
        if one.attributes.get("id") == "chosen"
    ]
    assert [one.text for one in chosen.all("button")] == ["Apply"]


def test_a_search_that_ends_early_says_how_far_it_looked_and_goes_on(
    file_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pages", "problems"):
        monkeypatch.setattr(f"runguard._store.queries.{module}.LOOKS_THROUGH", 2)
    for path, found in (
        ("/alerts?severity=high&job=payments", "alert-1"),
        ("/runs?status=SUCCESS&trigger=MANUAL&job=payments", "run-1"),
    ):
        page = read(file_client, path)
        while not page.all("tr"):
            assert "among the newest ones, back to" in page.by_id("searched").text
            [link] = page.by_id("searched").all("a")
            page = read(file_client, link.attributes["href"])
        assert page.by_id(found)


def test_the_overview_and_the_alerts_show_and_filter_by_reason(file_client: Client) -> None:
    page = read(file_client, "/")
    hero = page.all("ul", within="broken")[0]
    [href] = {a.attributes["href"] for a in page.all("a") if a.text == "overloaded"}
    found = read(file_client, href.removesuffix("#jobs"))
    alerts = read(file_client, "/alerts?reason=overloaded")

    assert "HTTP_5XX overloaded" in hero.text
    assert [row.all("a")[0].text for row in found.by_id("jobs").all("tbody")[0].all("tr")] == [
        "payments"
    ]
    [chosen] = [one for one in found.all("select") if one.attributes["name"] == "reason"]
    assert [one.attributes["value"] for one in chosen.all("option")] == ["", "overloaded"]
    listed = [row.attributes["id"] for row in alerts.all("tr") if "id" in row.attributes]
    assert listed == ["alert-1"]
    assert "FAILED · payments:HTTP_5XX overloaded" in alerts.text
    assert "No job fits what you look for." in read(file_client, "/?reason=dns").text


@pytest.mark.parametrize("action", ["resolve", "reopen", "ACKNOWLEDGED"])
def test_where_nothing_is_ticked_the_page_says_so(file_client: Client, action: str) -> None:
    sent = {"action": action, "next": "/alerts?type=FAILED"}
    answer = file_client.send_form("/alerts/act", sent)
    page = read(file_client, answer.headers["location"])

    assert answer.headers["location"] == "/alerts?type=FAILED&done=nothing.0"
    assert "Nothing was ticked, so nothing was changed." in page.text
    assert file_client.get("/api/v1/alerts?resolved=true").json()["alerts"] == []


def test_alerts_are_found_and_resolved_by_a_part_of_their_jobs_name(file_client: Client) -> None:
    page = read(file_client, "/alerts?job=PAY")
    form = page.by_id("matching")
    sent = {one.attributes["name"]: one.attributes.get("value", "") for one in form.all("input")}
    file_client.send_form("/alerts/act", {**sent, "action": "resolve"})
    resolved = file_client.get("/api/v1/alerts?resolved=true").json()["alerts"]

    assert "payments" in page.by_id("live").text
    assert "invoices" not in page.by_id("live").text
    assert [one["detail"]["job_name"] for one in resolved] == ["payments"]
