"""Conformance: pages of runs and alerts, next to each other without a gap or a repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError
from runguard._models import ErrorGroup
from runguard._monitor.filters import fits
from runguard._monitor.records import AlertFilter, AlertOrder, Cursor, Remaining, RunFilter
from runguard._store.queries import pages as insight_pages
from tests.store.drafts import TIMEOUT, own_alert
from tests.store.test_operator_queries import (
    BAD,
    GOOD,
    SLOW,
    foreign_alert,
    foreign_run,
    play,
    spelled,
)
from tests.support.stores import newest_alerts, newest_runs

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL_RUNS = RunFilter()
ALL_ALERTS = AlertFilter()


def runs_at(back_door: BackDoor, *minutes: int, **values: Any) -> list[int]:
    """Runs of another program that began so many minutes after noon."""
    return [
        foreign_run(
            back_door, started_at=spelled(back_door, NOON + timedelta(minutes=one)), **values
        )
        for one in minutes
    ]


def alerts_at(back_door: BackDoor, *minutes: int, **values: Any) -> list[int]:
    return [
        foreign_alert(
            back_door, created_at=spelled(back_door, NOON + timedelta(minutes=one)), **values
        )
        for one in minutes
    ]


def ids_down(store: OperatorStore, wanted: RunFilter, limit: int) -> list[list[int]]:
    """All pages from the newest on."""
    page = store.run_page(wanted, limit=limit)
    pages = [[run.id for run in page.runs]]
    while page.older is not None:
        page = store.run_page(wanted, limit=limit, older_than=page.older)
        pages.append([run.id for run in page.runs])
    return pages


def test_pages_of_runs_go_down_to_the_oldest(store: OperatorStore, back_door: BackDoor) -> None:
    a, b, c, d, e = runs_at(back_door, 1, 2, 3, 4, 5)

    assert ids_down(store, ALL_RUNS, 2) == [[e, d], [c, b], [a]]
    assert ids_down(store, ALL_RUNS, 5) == [[e, d, c, b, a]]
    assert store.run_page(ALL_RUNS, limit=2).newer is None


def test_pages_of_runs_go_up_again(store: OperatorStore, back_door: BackDoor) -> None:
    a, b, c, d, e = runs_at(back_door, 1, 2, 3, 4, 5)
    first = store.run_page(ALL_RUNS, limit=2)
    assert first.older is not None
    second = store.run_page(ALL_RUNS, limit=2, older_than=first.older)
    assert second.newer is not None

    back = store.run_page(ALL_RUNS, limit=2, newer_than=second.newer)
    assert ([run.id for run in back.runs], back.newer) == ([e, d], None)
    assert back.older == first.older
    up = store.run_page(ALL_RUNS, limit=2, newer_than=Cursor(NOON + timedelta(minutes=1), a))
    assert [run.id for run in up.runs] == [c, b]
    assert up.newer == Cursor(NOON + timedelta(minutes=3), c)


def test_runs_of_the_same_moment_are_neither_lost_nor_repeated(
    store: OperatorStore, back_door: BackDoor
) -> None:
    ids = runs_at(back_door, 1, 1, 1, 1, 1)

    assert ids_down(store, ALL_RUNS, 2) == [ids[:2:-1], ids[2:0:-1], ids[:1]]


def test_what_comes_meanwhile_moves_no_page(store: OperatorStore, back_door: BackDoor) -> None:
    a, _, c = runs_at(back_door, 1, 2, 3)
    first = store.run_page(ALL_RUNS, limit=2)
    assert first.older is not None
    runs_at(back_door, 9)

    assert [r.id for r in store.run_page(ALL_RUNS, limit=2, older_than=first.older).runs] == [a]
    newer = store.run_page(ALL_RUNS, limit=2, newer_than=Cursor(NOON + timedelta(minutes=3), c))
    assert len(newer.runs) == 1


def test_a_run_without_a_start_is_on_no_page(store: OperatorStore, back_door: BackDoor) -> None:
    if back_door.engine.dialect.name != "postgresql":
        pytest.skip("a SQLite file is never adopted")
    back_door.rows("alter table run_log alter started_at drop not null")
    [timed] = runs_at(back_door, 1)
    lost = foreign_run(back_door, started_at=None)

    assert ids_down(store, ALL_RUNS, 1) == [[timed]]
    details = store.run_details(lost)
    assert details is not None
    assert (details.before, details.around) == (None, ())
    [job] = store.overview(strip=9)
    assert [cell.id for cell in job.strip] == [timed]


def test_runs_are_filtered_by_all_that_is_asked(store: OperatorStore, back_door: BackDoor) -> None:
    good, bad, slow = play(store, "one", GOOD, BAD, SLOW)
    [other] = play(store, "two", BAD)
    still = runs_at(back_door, 7, status="RUNNING", job_name="one", trigger_type="MANUAL")[0]

    def found(**wanted: Any) -> set[int]:
        return {run.id for run in store.run_page(RunFilter(**wanted), limit=9).runs}

    assert found(job_name="one") == {good, bad, slow, still}
    assert found(status="FAILED") == {bad, slow, other}
    assert found(status="SUCCESS") == {good}
    assert found(status="RUNNING") == {still}
    assert found(status="AWAITING") == set()
    assert found(error_group="HTTP_5XX") == {bad, other}
    assert found(error_group="HTTP_5XX", job_name="one") == {bad}
    assert found(error_group="HTTP_5XX", status="SUCCESS") == set()
    assert found(trigger_type="MANUAL") == {still}
    assert found(trigger_type="SCHEDULER", status="SUCCESS") == {good}
    assert found(since=NOON + timedelta(minutes=7), until=NOON + timedelta(minutes=8)) == {still}
    assert found(since=NOON, until=NOON + timedelta(minutes=7)) == set()
    assert found(job_name="on") == set()


def test_runs_are_found_by_their_version_and_by_what_they_failed_at(
    store: OperatorStore, back_door: BackDoor
) -> None:
    commit, other = "d4e5f60718293a4b5c6d7e8f901234567890abcd", "d4e5f61" + "0" * 33
    api, api_too, base = (
        runs_at(back_door, minute, status="FAILED", version=version, upstream=upstream)[0]
        for minute, version, upstream in (
            (1, commit, "api.example.org:443"),
            (2, other, "api.example.org:8443"),
            (3, "1.4.2", "db_1:5432"),
        )
    )
    runs_at(back_door, 4)

    def found(**wanted: Any) -> set[int]:
        return {run.id for run in store.run_page(RunFilter(**wanted), limit=9).runs}

    assert found(version=commit) == found(version="d4e5f60") == {api}
    assert found(version="d4e5f6*") == {api, api_too}
    assert found(version="1.4.2") == {base}
    assert found(version="1.4") == found(version="d4e5f") == set()
    assert found(upstream="api.example.org") == found(upstream="*.example.org:*") == {api, api_too}
    assert found(upstream="api.example.org:443") == {api}
    assert found(upstream="db_1") == {base}
    assert found(upstream="db-1") == found(upstream="example.org") == set()
    assert found(upstream="api.example.org", version="1.4.2") == set()


NAMES = (
    *("billing.daily", "billing.weekly", "Billing.daily", "billing", "billing2"),
    *("a_b", "axb", "50%", "500", "sync[eu]", "synce", "back\\slash", "with\nline", "주문.daily"),
)


@pytest.mark.parametrize(
    "asked",
    [
        *("billing.*", "*.daily", "*", "billing", "billing?", "?", "a_b", "50%", "sync[eu]"),
        *("sync[eu]*", "*\\*", "back\\slash", "with?line", "with*", "??.daily", "nothing*"),
    ],
)
def test_jobs_are_found_by_name_or_pattern(
    store: OperatorStore, back_door: BackDoor, asked: str
) -> None:
    for name in NAMES:
        foreign_run(back_door, job_name=name, started_at=spelled(back_door, NOON), status="FAILED")
        key = {"source_type": "run_log", "source_id": f"{name}:TIMEOUT", "alert_type": "FAILED"}
        foreign_alert(back_door, **key)
    wanted = {name for name in NAMES if fits(name, asked)}

    def of_runs(**others: Any) -> set[str]:
        page = store.run_page(RunFilter(jobs=(asked, "nobody"), **others), limit=99)
        return {run.job_name for run in page.runs}

    assert of_runs() == wanted
    assert of_runs(status="FAILED") == wanted
    assert {run.job_name for run in newest_runs(store, limit=99, jobs=(asked,))} == wanted
    alerts = store.alert_page(AlertFilter(jobs=(asked,)), limit=99).alerts
    assert {alert.source_id.removesuffix(":TIMEOUT") for alert in alerts} == wanted
    assert {job.job_name for job in store.overview(strip=3, jobs=[asked])} == wanted


def test_several_jobs_and_their_groups_are_found_at_once(store: OperatorStore) -> None:
    play(store, "one", BAD, SLOW)
    play(store, "two", SLOW)
    play(store, "three", SLOW)

    found = store.alert_page(AlertFilter(jobs=("one", "t?o"), error_group="TIMEOUT"), limit=9)
    assert {alert.source_id for alert in found.alerts} == {"one:TIMEOUT", "two:TIMEOUT"}
    [count] = store.failures_by_group(since=timedelta(days=1), jobs=["t*"])
    assert (count.failures, count.jobs) == (2, 2)


def test_what_follows_a_page_is_counted(store: OperatorStore, back_door: BackDoor) -> None:
    runs = runs_at(back_door, 1, 2, 3, 4, status="SUCCESS")
    runs_at(back_door, 5, 6, status="FAILED")
    alerts = alerts_at(back_door, 1, 2, 3)
    there = Cursor(NOON + timedelta(minutes=3), runs[2])

    assert store.count_runs(ALL_RUNS, older_than=there) == Remaining(2, is_all=True)
    assert store.count_runs(RunFilter(status="SUCCESS"), older_than=there).count == 2
    assert store.count_runs(RunFilter(status="FAILED"), older_than=there).count == 0
    newest = Cursor(NOON + timedelta(minutes=3), alerts[2])
    assert store.count_alerts(ALL_ALERTS, following=newest) == Remaining(2, is_all=True)
    oldest = Cursor(NOON + timedelta(minutes=1), alerts[0])
    counted = store.count_alerts(ALL_ALERTS, following=oldest, order=AlertOrder.OLDEST)
    assert counted == Remaining(2, is_all=True)


def test_counting_what_follows_has_an_end(
    store: OperatorStore, back_door: BackDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insight_pages, "LOOKS_THROUGH", 3)
    runs_at(back_door, 1, 2, 3, 4, trigger_type="RETRY")
    [newest] = runs_at(back_door, 9)
    there = Cursor(NOON + timedelta(minutes=9), newest)

    assert store.count_runs(ALL_RUNS, older_than=there) == Remaining(3, is_all=False)
    manual = RunFilter(trigger_type="MANUAL")
    assert store.count_runs(manual, older_than=there) == Remaining(0, is_all=False)


@pytest.mark.parametrize("text", ["\0", "a\ud800", "'; drop table run_log; --", "%", "_" * 9999])
def test_hostile_filters_find_nothing(store: OperatorStore, text: str) -> None:
    play(store, "sync", BAD)

    for name in ("job_name", "status", "error_group", "trigger_type"):
        page = store.run_page(RunFilter(**{name: text}), limit=9)
        assert (page.runs, page.older, page.newer) == ((), None, None)
    for name in ("job_name", "error_group", "alert_type", "severity", "review_status"):
        alerts = store.alert_page(AlertFilter(**{name: text}), limit=9)
        assert (alerts.alerts, alerts.following, alerts.preceding) == ((), None, None)
    for pattern in (text, f"{text}*"):
        assert store.run_page(RunFilter(jobs=(pattern, "x")), limit=9).runs == ()
        assert store.alert_page(AlertFilter(jobs=(pattern, "x")), limit=9).alerts == ()
    assert len(store.run_page(ALL_RUNS, limit=9).runs) == 1


def test_two_directions_at_once_are_refused(store: OperatorStore) -> None:
    there = Cursor(NOON, 1)

    with pytest.raises(ConfigurationError, match="cursor: expected one direction, found both"):
        store.run_page(ALL_RUNS, limit=1, older_than=there, newer_than=there)
    with pytest.raises(ConfigurationError, match="cursor"):
        store.alert_page(ALL_ALERTS, limit=1, following=there, preceding=there)


def test_a_page_beyond_the_end_is_empty_and_leads_back(
    store: OperatorStore, back_door: BackDoor
) -> None:
    [run] = runs_at(back_door, 1)
    end = Cursor(NOON - timedelta(days=1), 0)

    page = store.run_page(ALL_RUNS, limit=2, older_than=end)

    assert (page.runs, page.older) == ((), None)
    assert page.newer is not None
    back = store.run_page(ALL_RUNS, limit=2, newer_than=page.newer)
    assert [one.id for one in back.runs] == [run]


def test_a_cursor_of_any_size_breaks_nothing(store: OperatorStore, back_door: BackDoor) -> None:
    runs_at(back_door, 1)

    for row_id in (-(10**30), 10**30):
        assert store.run_page(ALL_RUNS, limit=2, older_than=Cursor(NOON, row_id)).runs == ()


@pytest.mark.parametrize("trigger_type", ["MANUAL", None])
def test_a_search_for_what_is_rare_gives_up_and_goes_on(
    store: OperatorStore,
    back_door: BackDoor,
    monkeypatch: pytest.MonkeyPatch,
    trigger_type: str | None,
) -> None:
    monkeypatch.setattr(insight_pages, "LOOKS_THROUGH", 3)
    rare = runs_at(back_door, 1, trigger_type="MANUAL", status="SUCCESS")
    runs_at(back_door, 2, 3, 4, 5, 6, 7, trigger_type="RETRY", status="FAILED")
    wanted = RunFilter(trigger_type=trigger_type, status="SUCCESS")

    assert ids_down(store, wanted, 2) == [[], [], rare]


def test_alerts_are_listed_in_either_order(store: OperatorStore, back_door: BackDoor) -> None:
    a, b, c, d, e = alerts_at(back_door, 1, 2, 3, 3, 5)

    def pages(order: AlertOrder) -> list[list[int]]:
        page = store.alert_page(ALL_ALERTS, limit=2, order=order)
        found = [[alert.id for alert in page.alerts]]
        while page.following is not None:
            page = store.alert_page(ALL_ALERTS, limit=2, order=order, following=page.following)
            found.append([alert.id for alert in page.alerts])
        return found

    assert pages(AlertOrder.NEWEST) == [[e, d], [c, b], [a]]
    assert pages(AlertOrder.OLDEST) == [[a, b], [c, d], [e]]


def test_alerts_go_back_in_either_order(store: OperatorStore, back_door: BackDoor) -> None:
    a, b, c = alerts_at(back_door, 1, 2, 3)
    third = Cursor(NOON + timedelta(minutes=3), c)

    page = store.alert_page(ALL_ALERTS, limit=1, order=AlertOrder.OLDEST, preceding=third)
    assert [alert.id for alert in page.alerts] == [b]
    assert page.preceding is not None
    assert page.following is not None
    before = store.alert_page(
        ALL_ALERTS, limit=1, order=AlertOrder.OLDEST, preceding=page.preceding
    )
    assert ([alert.id for alert in before.alerts], before.preceding) == ([a], None)


def test_alerts_are_filtered_by_all_that_is_asked(store: OperatorStore) -> None:
    play(store, "one", BAD, SLOW)
    play(store, "o_e", SLOW)
    play(store, "a:one", ErrorGroup.UNKNOWN)
    store.raise_alert(own_alert("one:TIMEOUT"), timeout=TIMEOUT)
    named = {alert.source_id: alert.id for alert in newest_alerts(store)}
    assert len(named) == 4  # the job's own alert has the name of a failure's
    [own] = [alert.id for alert in newest_alerts(store, alert_type="NEW")]
    [slow] = [
        alert.id
        for alert in newest_alerts(store, alert_type="FAILED")
        if alert.source_id == "one:TIMEOUT"
    ]
    bad, unlike, unknown = named["one:HTTP_5XX"], named["o_e:TIMEOUT"], named["a:one:UNKNOWN"]
    store.resolve_alerts([bad], by="ana")
    store.review_alerts([slow], by="ana", review_status="IN_PROGRESS")

    def found(**wanted: Any) -> set[int]:
        return {alert.id for alert in store.alert_page(AlertFilter(**wanted), limit=9).alerts}

    assert found(job_name="one") == {bad, slow}
    assert found(job_name="one", error_group="TIMEOUT") == {slow}
    assert found(error_group="TIMEOUT") == {slow, unlike}
    assert found(error_group="IMEOUT") == set()
    assert found(alert_type="NEW") == {own}
    assert found(alert_type="NEW", job_name="one") == set()
    assert found(severity="medium") == {unknown}
    assert found(resolved=True) == {bad}
    assert found(resolved=False, error_group="TIMEOUT") == {slow, unlike}
    assert found(review_status="IN_PROGRESS") == {slow}
    assert found(review_status="AUTO", alert_type="FAILED") == {bad, unlike, unknown}
    day = timedelta(days=1)
    assert found(since=store.now() - day, until=store.now() + day, severity="low") == {own}
    assert found(until=store.now() - day) == set()


def test_alerts_without_a_state_are_open(store: OperatorStore, back_door: BackDoor) -> None:
    if back_door.engine.dialect.name != "postgresql":
        pytest.skip("a SQLite file is never adopted")
    back_door.rows("alter table alert alter resolved drop not null")
    back_door.rows("alter table alert alter review_status drop not null")
    [unknown] = alerts_at(back_door, 1, resolved=None, review_status=None)

    assert [a.id for a in store.alert_page(AlertFilter(resolved=False), limit=9).alerts] == [
        unknown
    ]
    assert store.alert_page(AlertFilter(resolved=True), limit=9).alerts == ()
