"""Nobody's function or operator in a schema of the search path is called by our statements."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.pool import NullPool

from runguard._models import NewRun, RunEnding, RunNote, SpooledRun, TriggerType
from runguard._monitor.delivering import DispatchContext, DispatchPlan, Settlement
from runguard._monitor.expectations import (
    Closing,
    Declarer,
    Expectation,
    Finding,
    FindingType,
    JobDeclaration,
    MonitorRecord,
    Verdict,
)
from runguard._monitor.notices import DeliveryState
from runguard._monitor.records import AlertFilter, Cursor, Prunable, Purpose, RunFilter
from runguard._monitor.timeline import DEFAULT_ZOOM, window_of
from runguard._notify.config import NotifyConfig
from runguard._notify.policy import plan_deliveries
from runguard._store import migrate as migrations
from runguard._store.declaring import declare_jobs, raise_unwatched
from runguard._store.factory import open_recorder
from runguard._store.operator import open_operator_store
from runguard._store.postgresql.operator import PostgreSqlOperatorStore
from runguard._store.queries import strip_memory, timeline
from runguard._store.queries.jobs import JobKey
from runguard._store.queries.silences import note_matches, silences_in_force
from runguard._store.schema.tables import SCHEMA_VERSION
from tests.faults.privileges.test_grants import everything
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.incidents import dispatch
from tests.support.names import unpinned_names, watch_names
from tests.support.stores import newest_alerts, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

DAY = timedelta(days=1)
# Each fits the arguments of one of our statements better than what PostgreSQL has.
FUNCTIONS = (
    "jsonb_build_object(text, bigint)",
    "jsonb_build_object(unknown, bigint)",
    "has_table_privilege(regclass, text)",
    "has_schema_privilege(name, text)",
    "row_security_active(regclass)",
    "date_part(text, timestamptz)",
    "floor(integer)",
    "count(bigint)",
    "isfinite(text)",
    "format(text, name, integer, text)",
    "obj_description(oid, text)",
    "quote_ident(name)",
    "like_escape(text, varchar)",
)
SIGNS = ("=", "<>", "<", "<=", ">", ">=")
OPERATORS = (
    *((sign, left, right) for sign in SIGNS for left, right in [("text", "varchar")]),
    *(("=", *pair) for pair in [("varchar", "text"), ("oid", "regclass"), ("name", "varchar")]),
    *(("=", *pair) for pair in [("bigint", "numeric"), ("text", "bpchar")]),
    *(("->>", document, document) for document in ("jsonb", "json")),
    *(("||", *pair) for pair in [("text", "varchar"), ("jsonb", "json"), ("varchar", "varchar")]),
    *(("~~", *pair) for pair in [("text", "varchar"), ("varchar", "varchar")]),
    *(("*", *pair) for pair in [("integer", "interval"), ("double precision", "integer")]),
    *(("/", *pair) for pair in [("bigint", "numeric")]),
)


def trap(connection: Any) -> None:
    """Plant functions and operators in `public` that complain when they are called."""
    made = set()
    for signature in FUNCTIONS:
        if "unknown" in signature:
            continue
        connection.execute(
            f"create function public.{signature} returns text language plpgsql"
            " as $$ begin raise exception 'shadowed'; end $$".encode()
        )
    for sign, left, right in OPERATORS:
        returned = "boolean" if sign in (*SIGNS, "~~") else "text"
        name = f"trap_{len(made)}"
        made.add(name)
        connection.execute(
            f"create function public.{name}({left}, {right}) returns {returned} language plpgsql"
            " as $$ begin raise exception 'shadowed'; end $$;"
            f" create operator public.{sign} (function = public.{name}, leftarg = {left},"
            f" rightarg = {right})".encode()
        )


class Noted:
    """A store that notes which of its methods are called, so that none is forgotten here."""

    def __init__(self, store: OperatorStore) -> None:
        self._store = store
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._store, name)


@pytest.fixture
def trapped_url(postgres: PostgresAddress, migrated_pg_url: str) -> str:
    with postgres.connect(make_url(migrated_pg_url).database) as connection:
        trap(connection)
    return migrated_pg_url


def all_that_operators_ask(store: OperatorStore) -> None:
    """Each question of the command line and of the pages, with every filter, and each write."""
    now = store.now()
    here = Cursor(now, 99)
    runs = [
        RunFilter(job_name="job", status="FAILED", error_group="UNKNOWN", since=now - DAY),
        RunFilter(jobs=("j*", "b"), status="SUCCESS", trigger_type=TriggerType.MANUAL, until=now),
        RunFilter(status="RUNNING", error_reason="refused"),
        RunFilter(version="d4e5f60", upstream="api.example.org"),
    ]
    store.run_notes([1, 2])
    store.what_changed("sync", first_failure=2, success=None)
    store.standing()
    for asked in runs:
        store.run_page(asked, limit=2)
        store.run_page(asked, limit=2, older_than=here)
        store.count_runs(asked, older_than=here)
    alerts = [
        AlertFilter(job_name="job", error_group="UNKNOWN", severity="low", resolved=True),
        AlertFilter(jobs=("j*", "b"), review_status="AUTO", resolved=False),
        AlertFilter(error_group="UNKNOWN", review_status="DONE", alert_type="FAILED"),
    ]
    for filter_ in alerts:
        store.alert_page(filter_, limit=2)
        store.count_alerts(filter_, following=here)
        store.problem_page(filter_, limit=2)
        store.problem_page(filter_, limit=2, older_than=here, following=here)
    with pytest.MonkeyPatch.context() as world:
        world.setattr(strip_memory, "FEWEST_JOBS", 1)
        store.overview(strip=1)
        store.overview(strip=1)  # remembers
    store.waiting(strip=9, now=now, jobs=["j*"])
    store.last_runs("job", limit=3)
    store.starts("job", since=now - DAY)
    store.last_runs_of([JobKey("job"), JobKey("b", "staging")], limit=3)
    store.overview(strip=1, environment="staging")
    store.environments()
    store.environments_asked(None)
    store.overview(strip=3, job_name="job", jobs=["j*"])
    store.failure_buckets(since=now - DAY, bucket=timedelta(hours=1), jobs=["j?b", "job"])
    store.failures_by_group(since=DAY, jobs=["j*"])
    store.failed_runs_with_alerts(limit=2)
    store.lock_state("job")
    ask_who_ran_when(store)
    store.cooldowns("job")
    store.job_names()
    store.foreign_open_runs(older_than=DAY)
    store.longest_cooldown()
    [alert, *_] = newest_alerts(store, limit=1)
    store.alert_details(alert.id)
    store.run_details(1)
    store.run_details(2)
    store.resolve_alerts([alert.id], by="ana")
    store.resolve_alerts([alert.id], by="ana", resolved=False)
    store.review_alerts([alert.id], by="ana", review_status="DONE")
    matching = AlertFilter(jobs=("j*",), since=now - DAY)
    resolved = store.resolve_matching(matching, by="ana", at=now)
    store.undo_resolution(now, count=resolved.count)
    store.review_matching(matching, by="ana", review_status="IN_PROGRESS")
    for what in Prunable:
        store.count_prunable(what, older_than=DAY, include_foreign=False)
        places = {Prunable.RUNS: (now, 1), Prunable.ALERTS: (now, 1)}
        place = {**places, Prunable.NOTES: (now, new_run().key)}.get(what)
        store.prune_batch(what, older_than=DAY, include_foreign=True, limit=2, after=place)
        asked: Any = {"include_foreign": False, "environment": "staging"}
        store.count_prunable(what, older_than=DAY, **asked)
        store.prune_batch(what, older_than=DAY, limit=2, after=None, **asked)
    mute_and_settle(store, alert.id)
    for purpose in Purpose:
        assert store.diagnose(purpose).lacking == ()
    assert store.inspect().is_current
    assert store.schema_error().needed == SCHEMA_VERSION


def ask_who_ran_when(store: OperatorStore) -> None:
    """For a timeline, of a job that runs often too, and for a calendar."""
    now = store.now()
    with pytest.MonkeyPatch.context() as world:
        world.setattr(timeline, "MOST_RUNS", 0)
        facts = store.timeline([JobKey("waiting"), JobKey("b")], window_of(DEFAULT_ZOOM, now=now))
    assert facts[0].slices
    store.runs_between(JobKey("job"), [now - DAY, now])
    store.failures_between(JobKey("job"), now - DAY, now, bucket=DAY)
    store.first_start_of("job")
    store.missed_starts(["job"], since=now - DAY, until=now)


def mute_and_settle(store: OperatorStore, alert_id: int) -> None:
    """Incidents from their opening to their recovery, and silences."""
    now = store.now()
    dispatch(store)
    assert store.open_incidents()
    store.incident_of(alert_id)
    store.acknowledge(alert_id, until=now + DAY, by="ana", reason="on it")
    store.unacknowledge(alert_id, by="ana")
    silence = store.add_silence(job="*", ends_at=now + DAY, reason="deploy", created_by="ana")
    with store.engine.connect() as connection:
        assert silences_in_force(connection) == (silence,)
        note_matches(connection, {silence.id: 1})
    store.silences(active_at=now)
    store.end_silence(silence.id, by="ana")
    assert {one.alert_type for one in store.settle_incidents()} == {"SILENCE_ENDED"}
    well = new_run("job")
    store.start_run(well, timeout=TIMEOUT)
    store.finish_run(success(well), timeout=TIMEOUT)
    store.settle_incidents(["job"])


def all_that_delivery_asks(store: OperatorStore) -> None:
    """Two alerts routed, one sent, one failed so often that the other channel is told."""
    waits = [False, False, True]
    answers = {"mail": DeliveryState.SENT, "chat": DeliveryState.PENDING}

    def plan(context: DispatchContext) -> DispatchPlan:
        return plan_deliveries(context, NotifyConfig(), [*answers])

    store.note_channels(dict.fromkeys(answers, "1"), timeout=TIMEOUT)
    store.note_channels(dict.fromkeys(answers, "2"), timeout=TIMEOUT)
    assert store.dispatch(plan, limit=100, timeout=TIMEOUT).routed
    assert store.next_delivery_in([*answers], timeout=TIMEOUT) is not None
    assert len(store.due_deliveries([*answers], limit=9, timeout=TIMEOUT)) == 2
    for channel, state in answers.items():
        for fails in waits:
            claimed = store.claim_delivery([channel], who="a", lease=DAY, timeout=TIMEOUT)
            if claimed is None:
                continue
            assert store.notice_facts(claimed, timeout=TIMEOUT) is not None
            how = Settlement(
                state=state if not fails else DeliveryState.DEAD,
                retry_in=timedelta(0),
                failed=channel == "chat",
                hold=timedelta(seconds=-1),
                tell=("mail",),
            )
            store.settle_delivery(claimed, how, timeout=TIMEOUT)
            assert store.trail([claimed.record.alert_id])
    [alert] = newest_alerts(store, limit=1)
    assert store.trail_of(alert).looked_at is not None
    assert store.incident_about_to_open(alert.id) is None
    assert store.active_silences(store.now()) == ()
    assert [one.channel for one in store.channel_states()] == ["chat", "mail"]
    assert store.undelivered_count() >= 0


def all_that_is_expected(store: OperatorStore) -> None:
    """What somebody says of a job, and takes back."""
    said = JobDeclaration(
        job_name="job",
        expectation=Expectation(every=DAY),
        owner="ops",
        by=Declarer.FILE,
        who="/etc/runguard.toml",
    )
    declare_jobs(store, [said], timeout=TIMEOUT)
    assert store.declare_file([said], who=said.who) == 1
    store.declare(replace(said, by=Declarer.PERSON, who="ana"))
    assert store.expected_jobs(["j*", "b"], environment=None, with_retired=True)
    store.withdraw("job", None, by=Declarer.PERSON, who="ana")
    store.retire("job")
    store.unretire("job")
    assert store.declare_file([], who=said.who) == 1
    watch_and_judge(store)


def watch_and_judge(store: OperatorStore) -> None:
    """A round that finds something, the next one in which it is over, and nobody who looks."""
    store.last_round_at()
    assert not raise_unwatched(store, after=DAY, cooldown=DAY, timeout=TIMEOUT)
    assert raise_unwatched(store, after=-DAY, cooldown=DAY, timeout=TIMEOUT)
    now, _ = store.begin_round(-DAY)
    assert store.close_unwatched()
    about = {"type": FindingType.MISSED, "title": "late", "message": ""}
    opens = {"findings": (Finding(since=now, mark="1", **about),)}
    for said in (opens, {"findings": (Finding(since=now, mark="2", **about),)}):
        verdicts = [Verdict(job=one.job, **said) for one in store.jobs_to_judge(limit=9, now=now)]
        assert store.write_verdicts(verdicts, cooldown=timedelta(0))
    assert store.open_findings(["j*"])
    dispatch(store)
    over = (Closing(**about),)
    verdicts = [Verdict(job=one.job, closings=over) for one in store.jobs_to_judge(limit=9)]
    assert store.write_verdicts(verdicts, cooldown=DAY)
    dispatch(store)
    store.note_round(
        MonitorRecord(who="a:1", kind="once", started_at=now, last_round_at=now), gap_after=DAY
    )
    assert store.monitors()


def all_that_is_rare(store: OperatorStore) -> None:
    """What a job's process sends now and then: refusals, replays, lost runs."""
    refused, late, quiet = new_run("refused"), new_run("late"), new_run("late")
    store.record_refused_run(refused, failure(refused), timeout=TIMEOUT)
    then = datetime.now(UTC) - DAY
    for ending in (failure(late), failure(late)):
        store.replay_run(SpooledRun(late, then, then, ending), timeout=TIMEOUT)
    store.replay_run(SpooledRun(quiet, then, then, success(quiet)), timeout=TIMEOUT)
    assert store.run_id_of(late.key) is not None
    assert store.statuses_of([late.key]) == {late.key: "FAILED"}
    for _ in range(2):
        waiting = new_run("waiting")
        store.start_run(waiting, timeout=TIMEOUT)
        store.finish_run(waiting_failure(waiting), timeout=TIMEOUT)
    lose_a_run(store)
    note = RunNote("Traceback: …", context={"term": "2026-2"}, links=(("a", "https://a.org/"),))
    for ended in (success, failure):
        noted = new_run("noted")._replace(version="1", trace_id="f")
        store.start_run(noted, timeout=TIMEOUT)
        store.beat([noted.key], timeout=TIMEOUT, progress={noted.key: (1, 2)})
        store.finish_run(ended(noted)._replace(note=note), timeout=TIMEOUT)


def waiting_failure(run: NewRun) -> RunEnding:
    """A failure that alerts if it is the second one."""
    ending = failure(run)
    assert ending.alert is not None
    return ending._replace(alert=ending.alert._replace(failures_to_alert=2))


def lose_a_run(store: OperatorStore) -> None:
    lost = new_run("lost")
    store.start_run(lost, timeout=TIMEOUT)
    silent = timedelta(seconds=-1)
    found = store.find_lost_runs(silent_for=silent, job_name="lost", limit=9, timeout=TIMEOUT)
    store.close_lost_run(found[0], failure(lost), silent_for=silent, timeout=TIMEOUT)


def all_that_is_done_here(store: Any) -> None:
    """What the thread that asks does itself, where a writer has done the like."""
    before, run, hand, here = new_run("before"), new_run("here"), deque[Any](), store.here()
    store.start_run(before, timeout=TIMEOUT)
    store.finish_run(success(before), timeout=TIMEOUT)
    assert here.do(hand, lambda attempt: store.start_on(attempt, run), math.inf)
    assert here.do(hand, lambda attempt: store.finish_on(attempt, success(run)), math.inf)


def test_nothing_in_the_search_path_is_called(trapped_url: str) -> None:
    store: Any = Noted(open_store(trapped_url))
    try:
        everything(store)
        all_that_is_rare(store)
        all_that_operators_ask(store)
        all_that_delivery_asks(store)
        all_that_is_expected(store)
        all_that_is_done_here(store)
    finally:
        store.close()

    of_forks = {"before_fork", "after_fork", "after_fork_in_parent"}
    methods = {
        name
        for name in dir(PostgreSqlOperatorStore)
        if not name.startswith("_") and callable(getattr(PostgreSqlOperatorStore, name))
    }
    assert methods - store.called - of_forks == set()


def test_nor_by_the_statements_on_a_users_engine(trapped_url: str) -> None:
    engine = create_engine(trapped_url, poolclass=NullPool)
    store = open_operator_store(open_recorder(url=None, engine=engine))
    watch_names(store.engine)

    everything(store)

    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: sent.append(sql))
    with engine.connect() as connection:  # theirs is left as it was
        connection.exec_driver_sql("select 1 + 1")
        assert connection.dialect is engine.dialect
    assert unpinned_names(sent[-1]) == ["+"]


@pytest.fixture
def installed(postgres: PostgresAddress, pg_url: str) -> Iterator[str]:
    """An installation of old with traps beside its tables."""
    from tests.schema.databases import Installation

    with postgres.connect(make_url(pg_url).database) as connection:
        connection.execute(Installation(text="varchar(90)", document="json").statements().encode())
        trap(connection)
        yield pg_url


@pytest.mark.parametrize("source", ["pg_url", "installed"])
def test_nor_by_the_migrations(
    request: pytest.FixtureRequest, postgres: PostgresAddress, source: str
) -> None:
    url = request.getfixturevalue(source)
    if source == "pg_url":
        with postgres.connect(make_url(url).database) as connection:
            trap(connection)
    engine = create_engine(url, poolclass=NullPool)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: sent.append(sql))

    migrations.upgrade(engine)

    assert migrations.check(engine) == []
    definitions = ("CREATE", "ALTER", "COMMENT", "SET", "RESET", "DROP", "ANALYZE", "SAVEPOINT")
    asked = [one for one in sent if not one.strip().startswith(definitions)]
    names = {one: unpinned_names(one) for one in asked}
    assert {one: found for one, found in names.items() if found} == {}
    # What definitions say is PostgreSQL's own by an exact match, but for the operator of documents.
    with postgres.connect(make_url(url).database) as connection:
        connection.execute("set search_path = pg_catalog")
        found = connection.execute(
            "select count(*) from pg_depend where refclassid = 'pg_operator'::regclass"
            " and refobjid >= 16384 and classid = 'pg_class'::regclass"
        ).fetchone()
    assert found == (0,)
    migrations.downgrade(engine, "base")


def test_the_script_for_a_new_database_names_the_operator_of_documents() -> None:
    assert " ->> " not in migrations.sql("postgresql")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("select now()", ["now"]),
        ("select pg_catalog.now() OPERATOR(pg_catalog.-) interval '1 day'", []),
        ("select a FROM t WHERE t.a = %(x)s::VARCHAR", ["="]),
        ("update t set a=%(x)s, b = pg_catalog.now() WHERE c OPERATOR(pg_catalog.=) 1", []),
        ("select pg_catalog.count(*) from t where x IN (1) or y LIKE 'a%'", ["IN", "LIKE"]),
        ("select detail ->> 'run_id' from alert", ["->>"]),
        ("select x || y from t where x is distinct from y", ["||", "distinct from"]),
    ],
)
def test_the_reading_of_a_statement_finds_what_is_looked_up(
    statement: str, found: list[str]
) -> None:
    assert unpinned_names(statement) == found
