"""Conformance: alerts by their cause, whether the job recovered, and what is done about all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._models import ErrorGroup
from runguard._monitor.records import AlertFilter, Cause, ProblemState
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import newest_alerts

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

EACH = timedelta(0)  # a cooldown with which every failure alerts
BUSY, SLOW = ErrorGroup.HTTP_5XX, ErrorGroup.TIMEOUT


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fail(
    store: OperatorStore, job_name: str, group: ErrorGroup = BUSY, reason: str | None = None
) -> int:
    run = new_run(job_name)
    run_id = store.start_run(run, timeout=TIMEOUT)
    ending = failure(run, group=group, cooldown=EACH, reason=reason)
    store.finish_run(ending, timeout=TIMEOUT)
    assert run_id is not None
    return run_id


def succeed(store: OperatorStore, job_name: str) -> int:
    run = new_run(job_name)
    run_id = store.start_run(run, timeout=TIMEOUT)
    store.finish_run(success(run), timeout=TIMEOUT)
    assert run_id is not None
    return run_id


def test_alerts_of_one_job_group_and_reason_are_one_problem_and_those_of_another_type_are(
    store: OperatorStore,
) -> None:
    for job, group, reason in (
        ("sync", BUSY, "overloaded"),
        ("sync", BUSY, "overloaded"),
        ("sync", BUSY, "bad_gateway"),
        ("sync", SLOW, None),
        ("b:c", BUSY, None),
    ):
        fail(store, job, group, reason)
    store.raise_alert(own_alert("student-1"), timeout=TIMEOUT)
    store.raise_alert(own_alert("student-2"), timeout=TIMEOUT)

    page = store.problem_page(AlertFilter(), limit=9)

    assert [
        (one.job_name, one.error_group, one.error_reason, one.alerts) for one in page.found
    ] == [
        (None, None, None, 2),
        ("b:c", "HTTP_5XX", None, 1),
        ("sync", "TIMEOUT", None, 1),
        ("sync", "HTTP_5XX", "bad_gateway", 1),
        ("sync", "HTTP_5XX", "overloaded", 2),
    ]
    assert (page.problems, page.alerts, page.open_alerts) == (5, 7, 7)
    assert (page.following, page.looked_to) == (None, None)
    last = page.found[-1]
    assert (last.severity, last.message, last.alert_id) == ("high", "HTTP 503", 2)
    assert last.first_at <= last.last_at
    assert len(last.strip) == 4


def test_a_problem_is_over_when_a_later_run_succeeded(store: OperatorStore) -> None:
    fail(store, "sync")
    over = succeed(store, "sync")
    succeed(store, "sync")
    fail(store, "pull")
    succeed(store, "pull")
    broken = fail(store, "pull")
    fail(store, "pull")
    store.raise_alert(own_alert(), timeout=TIMEOUT)

    theirs, pull, sync = store.problem_page(AlertFilter(), limit=9).found

    assert theirs.state is ProblemState.UNKNOWN
    assert sync.state is ProblemState.RECOVERED
    assert sync.recovered_by is not None
    assert sync.recovered_by.id == over
    assert pull.state is ProblemState.BROKEN
    assert pull.since == store.run_details(broken).run.started_at  # type: ignore[union-attr]


def test_problems_go_on_by_pages_and_count_all(store: OperatorStore) -> None:
    for number in range(5):
        fail(store, f"job_{number}")

    first = store.problem_page(AlertFilter(), limit=2)
    second = store.problem_page(AlertFilter(), limit=2, following=first.following)
    third = store.problem_page(AlertFilter(), limit=2, following=second.following)

    names = [one.job_name for page in (first, second, third) for one in page.found]
    assert names == [f"job_{number}" for number in (4, 3, 2, 1, 0)]
    assert (second.problems, third.following) == (5, None)


def test_a_look_at_many_alerts_ends_and_says_where(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pages", "problems"):
        monkeypatch.setattr(f"runguard._store.queries.{module}.LOOKS_THROUGH", 3)
    for number in (0, 1, 0, 1, 0):
        fail(store, f"job_{number}")

    newer = store.problem_page(AlertFilter(), limit=9)
    older = store.problem_page(AlertFilter(), limit=9, older_than=newer.looked_to)

    assert [(one.job_name, one.alerts) for one in newer.found] == [("job_0", 2), ("job_1", 1)]
    assert [(one.job_name, one.alerts) for one in older.found] == [("job_1", 1), ("job_0", 1)]
    assert older.looked_to is None


ASKED: list[tuple[dict[str, object], list[int]]] = [
    ({"error_reason": "refused"}, [3, 1]),
    ({"error_reason": "refused", "job_name": "pull"}, [3]),
    ({"cause": Cause("run_log", "sync:HTTP_5XX", "FAILED", "refused")}, [1]),
    ({"cause": Cause("run_log", "sync:HTTP_5XX", "FAILED", None)}, [2]),
    ({"cause": Cause("student", None, "NEW", None)}, [4]),
    ({"cause": Cause("teacher", None, "NEW", None)}, []),
    ({"cause": Cause("run_log", "x", "FAILED", "dns"), "error_reason": "refused"}, []),
]


def test_alerts_are_found_by_their_reason_and_their_cause(store: OperatorStore) -> None:
    fail(store, "sync", reason="refused")
    fail(store, "sync")
    fail(store, "pull", reason="refused")
    store.raise_alert(own_alert(), timeout=TIMEOUT)

    for asked, ids in ASKED:
        page = store.problem_page(AlertFilter(**asked), limit=9)  # type: ignore[arg-type]
        found = [one.id for one in newest_alerts(store, **asked)]
        assert (asked, found, page.alerts) == (asked, ids, len(ids))


def test_all_that_match_are_resolved_and_that_alone_is_undone(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runguard._store.queries.triage._AT_ONCE", 2)
    for _ in range(5):
        fail(store, "sync")
    fail(store, "pull")
    store.resolve_alerts([1], by="ana")

    done = store.resolve_matching(AlertFilter(job_name="sync"), by="bob")

    assert (done.count, done.is_all) == (4, True)
    assert [one.id for one in newest_alerts(store, resolved=False)] == [6]
    [five] = newest_alerts(store, limit=1, job_name="sync")
    assert (five.resolved_by, five.resolved_at) == ("bob", done.at)

    undone = store.undo_resolution(done.at, count=done.count)

    assert undone.count == 4
    assert [one.id for one in newest_alerts(store, resolved=True)] == [1]


def test_one_action_has_a_bound_and_says_so(store: OperatorStore) -> None:
    for _ in range(3):
        fail(store, "sync")

    done = store.resolve_matching(AlertFilter(), by="ana", most=2)
    rest = store.resolve_matching(AlertFilter(), by="ana", most=2)

    assert [(one.count, one.is_all) for one in (done, rest)] == [(2, False), (1, True)]
    assert store.resolve_matching(AlertFilter(resolved=True), by="ana").count == 0


def test_all_that_match_are_reopened_and_reviewed(store: OperatorStore) -> None:
    for job_name in ("sync", "sync", "pull"):
        fail(store, job_name)
    wanted = AlertFilter(cause=Cause("run_log", "sync:HTTP_5XX", "FAILED", None))
    store.resolve_matching(AlertFilter(), by="ana")

    reopened = store.resolve_matching(wanted, by="ana", resolved=False)
    reviewed = store.review_matching(wanted, by="ana", review_status="DONE")

    assert (reopened.count, reviewed.count) == (2, 2)
    assert [(one.resolved, one.review_status) for one in newest_alerts(store)] == [
        (True, "AUTO"),
        (False, "DONE"),
        (False, "DONE"),
    ]
    assert store.problem_page(wanted, limit=1).found[0].review_status == "DONE"


def test_a_detail_of_another_program_breaks_nothing(
    store: OperatorStore, back_door: BackDoor
) -> None:
    document = ":detail" if back_door.engine.dialect.name == "sqlite" else "cast(:detail as jsonb)"
    for detail in ("5", '"x"', "[1]", '{"reason": 5}', '{"reason": {"a": 1}}'):
        back_door.rows(
            "insert into alert (source_type, source_id, alert_type, title, detail) values"
            f" ('run_log', :source, 'FAILED', 't', {document}) returning id",
            source=detail,
            detail=detail,
        )

    problems = store.problem_page(AlertFilter(), limit=9).found

    assert len(problems) == 5
    for one in problems:
        assert (one.job_name, one.state) == (None, ProblemState.UNKNOWN)
        assert isinstance(one.error_reason, str) == ("reason" in str(one.source_id))
        assert [alert.id for alert in newest_alerts(store, cause=one.cause)] == [one.alert_id]


def test_that_a_failure_is_over_is_no_problem_unless_it_is_asked_for(
    store: OperatorStore,
) -> None:
    fail(store, "sync")
    told = own_alert("sync:HTTP_5XX")
    recovered = told._replace(key=told.key._replace(source_type="run_log", alert_type="RECOVERED"))
    store.raise_alert(recovered, timeout=TIMEOUT)

    page = store.problem_page(AlertFilter(), limit=9)
    asked = store.problem_page(AlertFilter(alert_type="RECOVERED"), limit=9)

    assert [one.alert_type for one in page.found] == ["FAILED"]
    assert (page.problems, page.alerts) == (1, 1)
    assert [one.alert_type for one in asked.found] == ["RECOVERED"]
