"""Strips of thousands of jobs are made while the server still reads the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event, func, literal, select

from runguard._errors import RunguardError
from runguard._store.postgresql import streaming
from tests.store.test_operator_queries import BAD, GOOD, play
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runguard._store.operator import OperatorStore

NUMBERS = func.generate_series(1, 100_000).table_valued("n", name="numbers").render_derived()


@pytest.fixture
def store(migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OperatorStore]:
    monkeypatch.setattr(streaming, "ROWS_AT_ONCE", 2)
    store = open_store(migrated_pg_url)
    yield store
    store.close()


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements whose rows are taken as they come."""
    seen: list[str] = []
    stream = psycopg.Cursor.stream

    def noting(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(query)
        return stream(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "stream", noting)
    return seen


def read(store: OperatorStore, query: Any, take: Callable[[Any], Any]) -> Any:
    def work(attempt: Any) -> Any:
        with streaming.rows_as_they_come(attempt, query) as rows:
            return take(rows)

    return store._read(work)


def test_rows_that_come_bit_by_bit_are_those_that_come_at_once(
    store: OperatorStore, migrated_pg_url: str, streamed: list[str]
) -> None:
    for job in "abc":
        play(store, job, GOOD, BAD, GOOD)
    core = open_store(migrated_pg_url, through_core=True)

    assert store.overview(strip=3) == core.overview(strip=3)
    assert len(streamed) == 1
    core.close()


def test_who_listens_sees_the_statement(store: OperatorStore, streamed: list[str]) -> None:
    play(store, "a", GOOD)
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    assert len(store.overview(strip=3)) == 1
    assert any("LATERAL" in statement for statement in seen)
    assert not streamed


def test_an_old_libpq_gives_all_rows_at_once(
    store: OperatorStore, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(psycopg.capabilities), "has_stream_chunked", lambda _: False)
    play(store, "a", GOOD)

    assert len(store.overview(strip=3)) == 1
    assert not streamed


def test_what_fails_among_the_rows_is_told_as_at_the_first(store: OperatorStore) -> None:
    failing = select(func.chr(literal(9) - NUMBERS.c.n))

    with pytest.raises(RunguardError, match="null character"):
        read(store, failing, list)
    assert store.now()


def test_rows_that_nobody_takes_any_more_are_no_answer_to_what_comes_next(
    store: OperatorStore,
) -> None:
    def take(rows: Any) -> None:
        assert next(rows) == (1,)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(store, select(NUMBERS.c.n), take)
    assert read(store, select(func.count()).select_from(NUMBERS), list) == [(100_000,)]
