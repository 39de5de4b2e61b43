"""What starts and ends runs is executed by sqlite3 itself, unless somebody would miss Core."""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool.base import _ConnectionFairy

from runguard._errors import RecordRefused, SchemaOutOfDate, StoreUnavailable
from runguard._models import Counters, ErrorGroup, RunNote
from runguard._store.factory import open_recorder
from runguard._store.sqlite.direct import DirectConnection
from tests.store.drafts import TIMEOUT, failure, new_run, success

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from sqlalchemy import Engine

    from runguard._models import NewRun, RunEnding

OUTCOMES = ["none", "raised", "suppressed", "excluded"]


def _listen(engine: Engine, name: str) -> None:
    event.listen(engine, name, lambda *_: None)


def _with_row_factory(connection: sqlite3.Connection, _record: object) -> None:
    connection.row_factory = sqlite3.Row


# What an engine of a user's may have, each of which needs Core to execute.
WAYS: dict[str, Callable[[Engine], None]] = {
    "before_execute": lambda engine: _listen(engine, "before_execute"),
    "after_cursor_execute": lambda engine: _listen(engine, "after_cursor_execute"),
    "do_execute": lambda engine: _listen(engine, "do_execute"),
    "echo": lambda engine: setattr(engine, "echo", True),
    "own rows": lambda engine: event.listen(engine, "connect", _with_row_factory),
}


@pytest.fixture
def executed_by_core(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that went through Core's execution."""
    seen: list[str] = []
    execute = Connection.execute

    def noting(self: Connection, statement: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(str(statement).split()[0])
        return execute(self, statement, *args, **kwargs)

    monkeypatch.setattr(Connection, "execute", noting)
    return seen


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path / 'runguard.db'}")


def quiet_failure(run: NewRun) -> RunEnding:
    return failure(run, alerts=False)


def record_each(recorder: Any) -> list[str]:
    """Let a run succeed, one alert, one be covered and one fail quietly; return their outcomes."""
    outcomes = []
    for ending_of in (success, failure, failure, quiet_failure):
        run = new_run()
        recorder.start_run(run, timeout=TIMEOUT)
        finished = recorder.finish_run(ending_of(run), timeout=TIMEOUT)
        assert finished.recorded
        outcomes.append(str(finished.verdict.outcome))
    return outcomes


def kept_in(engine: Engine) -> list[tuple[Any, ...]]:
    """What the rows say, but for what is each run's own."""
    columns = "status, error_message, alert_outcome, covered_by, typeof(started_at), clock"
    of_alerts = "source_id, severity, json_extract(detail, '$.run_id'), typeof(created_at)"
    with engine.connect() as connection:
        runs = connection.exec_driver_sql(f"select {columns} from run_log order by id").all()
        alerts = connection.exec_driver_sql(f"select {of_alerts} from alert order by id").all()
    return [tuple(row) for row in (*runs, *alerts)]


def test_a_store_of_its_own_executes_nothing_through_core(
    tmp_path: Path, executed_by_core: list[str]
) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    recorder.start_run(new_run(), timeout=TIMEOUT)  # makes the tables
    executed_by_core.clear()

    assert record_each(recorder) == OUTCOMES
    assert executed_by_core == []
    recorder.close()


@pytest.mark.parametrize("way", WAYS)
def test_core_executes_where_somebody_would_miss_it_and_keeps_the_same(
    engine: Engine, executed_by_core: list[str], way: str, tmp_path: Path
) -> None:
    plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    assert record_each(open_recorder(url=None, engine=plain)) == OUTCOMES
    executed_by_core.clear()
    WAYS[way](engine)

    assert record_each(open_recorder(url=None, engine=engine)) == OUTCOMES

    assert executed_by_core.count("INSERT") >= 4
    executed_by_core.clear()
    assert kept_in(engine) == kept_in(plain)
    for one in (engine, plain):
        one.dispose()


@pytest.mark.parametrize(
    ("ending_of", "sent"),
    [
        (success, ["UPDATE"]),
        (failure, ["BEGIN", "SELECT", "SELECT", "UPDATE", "COMMIT"]),
        (
            lambda run: failure(run, group=ErrorGroup.TIMEOUT),
            ["BEGIN", "SELECT", "SELECT", "UPDATE", "INSERT", "INSERT", "COMMIT"],
        ),
        (quiet_failure, ["BEGIN", "UPDATE", "COMMIT"]),
        (
            lambda run: success(run)._replace(note=RunNote(context={"page": 3})),
            ["BEGIN", "UPDATE", "INSERT", "COMMIT"],
        ),
    ],
    ids=[
        "success",
        "covered failure",
        "alerting failure",
        "quiet failure",
        "success that says something",
    ],
)
def test_a_run_is_so_many_statements(
    tmp_path: Path, ending_of: Callable[[NewRun], RunEnding], sent: list[str]
) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    record_each(recorder)  # connects; an alert covers failures from now on
    driver_connection = recorder.engine.pool.place.dbapi_connection
    statements: list[str] = []
    # Each trigger of a statement shows the statement again.
    texts: list[str] = []

    def note(text: str) -> None:
        if [text] != texts[-1:]:
            statements.append(text.split(maxsplit=1)[0])
        texts.append(text)

    driver_connection.set_trace_callback(note)
    run = new_run()

    recorder.start_run(run, timeout=TIMEOUT)
    assert statements == ["INSERT"]
    statements.clear()
    recorder.finish_run(ending_of(run), timeout=TIMEOUT)

    assert statements == sent
    recorder.close()


def test_an_error_is_told_as_ever_and_nothing_is_left_open(engine: Engine) -> None:
    recorder: Any = open_recorder(url=None, engine=engine)
    assert record_each(recorder) == OUTCOMES
    run = new_run()
    recorder.start_run(run, timeout=TIMEOUT)
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table alert rename to elsewhere")

    with pytest.raises(SchemaOutOfDate, match="a table or column of it is missing"):
        recorder.finish_run(failure(run), timeout=TIMEOUT)

    with engine.begin() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to alert")
    assert recorder.finish_run(failure(run), timeout=TIMEOUT).recorded
    engine.dispose()


@pytest.mark.parametrize("through_core", [False, True])
def test_a_number_that_is_too_large_is_the_records_own_fault(
    engine: Engine, *, through_core: bool
) -> None:
    if through_core:
        _listen(engine, "before_execute")
    recorder = open_recorder(url=None, engine=engine)
    run = new_run()
    recorder.start_run(run, timeout=TIMEOUT)

    with pytest.raises(RecordRefused, match="too large"):
        recorder.finish_run(success(run, Counters(total_records=2**63)), timeout=TIMEOUT)


def test_a_repeat_of_an_ending_finds_that_it_was_written(engine: Engine) -> None:
    recorder: Any = open_recorder(url=None, engine=engine)
    run = new_run()
    recorder.start_run(run, timeout=TIMEOUT)
    assert recorder.finish_run(success(run), timeout=TIMEOUT).recorded

    again = recorder.finish_run(success(run), timeout=TIMEOUT)

    assert (again.recorded, again.earlier.status) == (False, "SUCCESS")
    engine.dispose()


def test_the_pool_puts_proxies_around_connections_only_where_somebody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    record_each(recorder)  # makes the tables
    proxies: list[object] = []
    heard: list[object] = []
    make_proxy = _ConnectionFairy.__init__

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        proxies.append(self)
        make_proxy(self, *args, **kwargs)

    monkeypatch.setattr(_ConnectionFairy, "__init__", noting)
    record_each(recorder)
    assert proxies == []

    for name in ("checkout", "checkin"):
        event.listen(recorder.engine, name, lambda *_: heard.append(None))
    record_each(recorder)
    assert (len(proxies), len(heard)) == (8, 16)
    assert recorder.engine.pool.checkedout() == 0
    recorder.close()


def test_a_short_call_after_a_long_one_waits_for_another_writer_no_longer_than_it_may(
    tmp_path: Path,
) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    recorder.start_run(new_run(), timeout=30.0)
    with closing(sqlite3.connect(tmp_path / "runguard.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            recorder.start_run(new_run(), timeout=0.3)

    assert 0.2 < time.monotonic() - begun < 5
    recorder.close()


def test_alternating_limits_cost_no_statement(tmp_path: Path) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    recorder.start_run(new_run(), timeout=30.0)
    texts: list[str] = []
    recorder.engine.pool.place.dbapi_connection.set_trace_callback(texts.append)

    for seconds in (60.0, 30.0, 60.0):
        recorder.start_run(new_run(), timeout=seconds)

    assert [text for text in texts if text.startswith("PRAGMA")] == []
    recorder.close()


def test_what_strikes_between_two_steps_of_a_statement_leaves_the_file_to_others(
    tmp_path: Path,
) -> None:
    file = tmp_path / "runguard.db"
    recorder: Any = open_recorder(url=f"sqlite:///{file}", engine=None)
    recorder.start_run(new_run(), timeout=TIMEOUT)  # makes the tables
    left, struck = 0, list[KeyboardInterrupt]()

    def strike(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code is not DirectConnection.execute.__code__:
            return strike
        left -= event == "line"
        if left == 0:
            raise KeyboardInterrupt
        return strike

    tracer = sys.gettrace()
    for step in range(1, 30):
        left = step
        sys.settrace(strike)
        try:
            recorder.start_run(new_run(), timeout=TIMEOUT)
        except KeyboardInterrupt as error:
            struck.append(error)  # with its traceback, as a host may keep it
        finally:
            sys.settrace(tracer)
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
            other.execute("begin immediate")

    assert len(struck) > 5
    recorder.close()


def test_closing_the_pool_leaves_alone_the_connection_that_is_in_use(tmp_path: Path) -> None:
    recorder: Any = open_recorder(url=f"sqlite:///{tmp_path / 'runguard.db'}", engine=None)
    recorder.start_run(new_run(), timeout=TIMEOUT)
    pool = recorder.engine.pool

    def work(attempt: Any) -> Any:
        recorder.engine.dispose()
        return attempt.pooled.driver_connection.execute("select 1").fetchone()

    assert recorder._attempts.run(work, timeout=TIMEOUT) == (1,)

    pool.dispose()
    assert pool.place.dbapi_connection is None
    recorder.start_run(new_run(), timeout=TIMEOUT)  # on a new one
    recorder.close()


def test_an_alert_has_the_time_at_which_its_run_has_ended(engine: Engine) -> None:
    recorder: Any = open_recorder(url=None, engine=engine)
    run = new_run()
    recorder.start_run(run, timeout=TIMEOUT)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create trigger slow after update on run_log begin"
            " insert into run_note (run_key, done, created_at) select 'slow', count(*), '' from ("
            " with recursive c (x) as (select 1 union all select x + 1 from c where x < 200000)"
            " select x from c); end"
        )

    assert recorder.finish_run(failure(run), timeout=TIMEOUT).verdict.outcome == "raised"

    times = "select run_log.finished_at = alert.created_at from run_log, alert"
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select done from run_note").scalar_one() == 200_000
        assert connection.exec_driver_sql(times).scalar_one() == 1
    engine.dispose()
