"""What starts and ends a run is executed by psycopg itself, unless somebody would miss Core."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.pool.base import _ConnectionFairy

from runguard._errors import RecordRefused
from runguard._models import Counters
from runguard._store.factory import open_recorder
from runguard._store.postgresql.direct import MOST_PREPARED, Channel, Compiled
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from runguard._store.postgresql.recorder import PostgreSqlRecorder

# What an engine of a user's may have, each of which needs Core to execute.
WAYS: dict[str, Callable[[Engine], None]] = {
    "before_execute": lambda engine: _listen(engine, "before_execute"),
    "after_execute": lambda engine: _listen(engine, "after_execute"),
    "before_cursor_execute": lambda engine: _listen(engine, "before_cursor_execute"),
    "after_cursor_execute": lambda engine: _listen(engine, "after_cursor_execute"),
    "do_execute": lambda engine: _listen(engine, "do_execute"),
    "other schemas": lambda engine: engine.update_execution_options(
        schema_translate_map={"a": "b"}
    ),
    "echo": lambda engine: setattr(engine, "echo", True),
    "own cursors": lambda engine: _listen(engine, "connect", _take_client_cursors),
}


def _listen(engine: Engine, name: str, hook: Callable[..., None] = lambda *_: None) -> None:
    event.listen(engine, name, hook)


def _take_client_cursors(connection: psycopg.Connection, _record: object) -> None:
    connection.cursor_factory = psycopg.ClientCursor


@pytest.fixture
def executed_by_core(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The statements that went through Core's execution."""
    seen: list[object] = []
    execute = Connection.execute

    def noting(self: Connection, statement: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(statement)
        return execute(self, statement, *args, **kwargs)

    monkeypatch.setattr(Connection, "execute", noting)
    return seen


@pytest.fixture
def engine(migrated_pg_url: str) -> Iterator[Engine]:
    engine = create_engine(migrated_pg_url)
    yield engine
    engine.dispose()


def recorder_on(engine: Engine) -> PostgreSqlRecorder:
    recorder: Any = open_recorder(url=None, engine=engine)
    return recorder  # type: ignore[no-any-return]


def record_three(recorder: PostgreSqlRecorder) -> list[str]:
    """Let a run succeed, one fail and alert, and one fail quietly; return their outcomes."""
    outcomes = []
    for ending_of in (success, failure, lambda run: failure(run, alerts=False)):
        run = new_run()
        recorder.start_run(run, timeout=TIMEOUT)
        finished = recorder.finish_run(ending_of(run), timeout=TIMEOUT)
        assert finished.recorded
        outcomes.append(str(finished.verdict.outcome))
    return outcomes


def test_a_store_of_its_own_executes_nothing_through_core(
    migrated_pg_url: str, executed_by_core: list[object]
) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None)

    assert record_three(recorder) == ["none", "raised", "excluded"]
    assert executed_by_core == []
    recorder.close()


def test_nor_does_a_psycopg_engine_of_the_users(
    engine: Engine, executed_by_core: list[object]
) -> None:
    assert record_three(recorder_on(engine)) == ["none", "raised", "excluded"]
    assert executed_by_core == []


def test_its_pool_puts_proxies_around_connections_only_where_somebody_listens(
    migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None, max_connections=1)
    record_three(recorder)  # connects
    proxies: list[object] = []
    heard: list[object] = []
    make_proxy = _ConnectionFairy.__init__

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        proxies.append(self)
        make_proxy(self, *args, **kwargs)

    monkeypatch.setattr(_ConnectionFairy, "__init__", noting)
    record_three(recorder)
    assert proxies == []

    for name in ("checkout", "checkin"):
        event.listen(recorder.engine, name, lambda *_: heard.append(None))
    record_three(recorder)
    assert (len(proxies), len(heard)) == (6, 12)
    assert recorder.engine.pool.checkedout() == 0
    recorder.close()


@pytest.mark.parametrize("way", WAYS)
def test_core_executes_where_somebody_would_miss_it(
    engine: Engine, executed_by_core: list[object], way: str
) -> None:
    WAYS[way](engine)

    assert record_three(recorder_on(engine)) == ["none", "raised", "excluded"]
    assert len(executed_by_core) == 6


def test_core_executes_where_all_engines_are_listened_to(
    migrated_pg_url: str, executed_by_core: list[object]
) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None)
    from sqlalchemy import Engine

    seen: list[str] = []

    def hook(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement.split(maxsplit=1)[0])

    record_three(recorder)
    event.listen(Engine, "before_cursor_execute", hook)
    try:
        record_three(recorder)
    finally:
        event.remove(Engine, "before_cursor_execute", hook)
    record_three(recorder)

    assert seen == ["INSERT", "UPDATE", "INSERT", "WITH", "INSERT", "UPDATE"]
    assert len(executed_by_core) == 6
    recorder.close()


def traffic_of_three(url: str, change: Callable[[Engine], object]) -> tuple[list[str], str]:
    """The statements of three more runs, and the letters of the messages that carry them."""
    with ProtocolProxy(url) as proxy:
        recorder: Any = open_recorder(url=proxy.url, engine=None)
        change(recorder.engine)
        record_three(recorder)  # prepares the statements
        with proxy.counting() as traffic:
            record_three(recorder)
            sent = list(traffic.statements), "".join(traffic.messages)
        recorder.close()
    return sent


def test_both_ways_send_the_same(migrated_pg_url: str) -> None:
    directly = traffic_of_three(migrated_pg_url, lambda _: None)

    assert traffic_of_three(migrated_pg_url, WAYS["before_execute"]) == directly
    assert directly[1] == "BDES" * 6


def test_counters_of_all_sizes_prepare_only_a_few_statements(migrated_pg_url: str) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None, max_connections=1)
    sizes = (1, 100_000, 10**12)  # each of another integer type
    for counters in product(sizes, sizes, sizes, (0,)):
        run = new_run()
        recorder.start_run(run, timeout=TIMEOUT)
        assert recorder.finish_run(success(run, Counters(*counters)), timeout=TIMEOUT).recorded

    with recorder.engine.connect() as connection:
        held = connection.exec_driver_sql("select count(*) from pg_prepared_statements").scalar()
        [total] = connection.exec_driver_sql("select sum(total_records)::bigint from run_log").one()
    assert held == MOST_PREPARED + 2  # of the end, of the start, and this question
    assert total == 9 * sum(sizes)
    recorder.close()


def test_a_rollback_of_the_users_own_makes_no_statement_unknown(migrated_pg_url: str) -> None:
    """On a rollback, psycopg lets the server forget all that a connection has prepared."""
    engine = create_engine(
        migrated_pg_url, pool_size=1, max_overflow=0, connect_args={"prepare_threshold": 0}
    )
    faults: list[object] = []
    event.listen(engine, "handle_error", lambda context: faults.append(context.original_exception))
    recorder = recorder_on(engine)
    record_three(recorder)
    with engine.connect() as connection:
        connection.exec_driver_sql("select 1")  # the pool rolls it back

    record_three(recorder)

    with engine.connect() as connection:
        assert connection.connection.driver_connection.prepare_threshold == 0  # type: ignore[union-attr]
    assert faults == []
    engine.dispose()


def test_a_prepared_statement_is_sent_anew_where_a_column_has_another_type_since(
    migrated_pg_url: str, engine: Engine
) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None, max_connections=1)
    record_three(recorder)
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table run_log alter column id type integer")

    assert record_three(recorder) == ["none", "suppressed", "excluded"]
    recorder.close()


def test_a_connection_is_used_again_after_a_statement_was_refused(
    migrated_pg_url: str, executed_by_core: list[object]
) -> None:
    recorder: Any = open_recorder(url=migrated_pg_url, engine=None, max_connections=1)
    connections: list[object] = []
    event.listen(recorder.engine, "connect", lambda connection, _: connections.append(connection))
    record_three(recorder)
    with pytest.raises(RecordRefused, match="NUL"):
        recorder.start_run(new_run("a\0b"), timeout=TIMEOUT)

    assert record_three(recorder)[0] == "none"
    assert len(connections) == 1
    assert executed_by_core == []
    recorder.close()


@pytest.fixture
def connection(migrated_pg_url: str) -> Iterator[psycopg.Connection]:
    url = make_url(migrated_pg_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as opened:
        yield opened


def channel(connection: psycopg.Connection, query: str) -> Channel:
    return Channel(connection, Compiled(query, ("value",), (), ()), 0)


def test_a_statement_larger_than_the_network_takes_at_once_arrives(
    connection: psycopg.Connection,
) -> None:
    echo = channel(connection, "select $1::text")
    large = "x" * 20_000_000

    assert echo.first_row([large]) == (large,)
    assert echo.first_row(["and the next one"]) == ("and the next one",)


def test_a_server_that_hangs_up_has_its_last_word_heard(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.AdminShutdown):
        channel(connection, "select pg_terminate_backend($1)").first_row(
            [connection.info.backend_pid]
        )


def test_an_error_leaves_the_connection_to_the_next_statement(
    connection: psycopg.Connection,
) -> None:
    divide = channel(connection, "select 1 / $1::int")

    with pytest.raises(psycopg.errors.DivisionByZero):
        divide.first_row([0])
    assert divide.first_row([1]) == (1,)
