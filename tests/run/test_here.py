"""Plain runs start and end in the thread that asks; all others are a writer's to write."""

from __future__ import annotations

import logging
import math
import re
import runpy
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event

import runguard
from runguard import StoreUnavailable, run_scope
from runguard._api import runtime
from runguard._run import again, here, spool
from runguard._run.threads import Writers
from runguard._store.postgresql.direct import Channel
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def url(migrated_pg_url: str) -> str:
    runguard.configure(database_url=migrated_pg_url, store_timeout=timedelta(minutes=2))
    return migrated_pg_url


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done by writers, from now on."""
    names: list[str] = []
    submit = Writers._submit

    def note(self: Writers, task: Any) -> bool:
        work = getattr(task.work, "func", task.work)
        names.append(work.__name__)
        return submit(self, task)

    monkeypatch.setattr(Writers, "_submit", note)
    return names


@pytest.fixture
def warm(url: str, handed_over: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The process has had its first runs, nobody listens to events, and no time passes by itself.

    Now and then a writer looks for what waits: here only where a test says so.
    """
    for module in (here, spool):
        monkeypatch.setattr(module, "LOOK_EVERY_SECONDS", math.inf)
    logger = logging.getLogger("runguard")
    level = logger.level
    logger.setLevel(logging.WARNING)
    for _ in range(3):
        with run_scope("job"):
            pass
    handed_over.clear()
    yield handed_over
    logger.setLevel(level)


def pool() -> Any:
    return runtime.store().engine.pool  # type: ignore[attr-defined]


def test_a_plain_run_is_written_without_another_thread(warm: list[str], sql: Sql) -> None:
    with run_scope("job") as run:
        run.total_records = 7

    assert warm == []
    assert run.status == "SUCCESS"
    [row] = sql("select * from run_log where id = :id", id=run.id)
    assert (row["status"], row["total_records"], row["alert_outcome"]) == ("SUCCESS", 7, "none")
    assert row["finished_at"] >= row["started_at"]
    assert pool().checkedout() == 0


OURS = "from pg_stat_activity where datname = current_database() and application_name = 'runguard'"


def connections(sql: Sql) -> list[dict[str, Any]]:
    return sql(f"select pid {OURS} order by pid")


def says(run: runguard.Run) -> None:
    run.note(page=3)


def declares(run: runguard.Run) -> None:
    run.fail("3 of 10 pages failed")


def counts_oddly(run: runguard.Run) -> None:
    run.total_records = 7.5  # type: ignore[assignment]


def goes_on(run: runguard.Run) -> None:
    run.progress(1, 2)


def failed_run(text: str = "row 1 is bad", job: str = "job") -> runguard.Run:
    with pytest.raises(ValueError, match=re.escape(text)), run_scope(job) as run:
        run.total_records = 7
        raise ValueError(text)
    return run


def written_of(sql: Sql, run: runguard.Run) -> dict[str, Any]:
    """All that is kept of a run, but what is another's for each."""
    tables = "run_log left join run_note using (run_key)"
    [row] = sql(f"select * from {tables} where run_log.id = :id", id=run.id)
    assert row["finished_at"] >= row["started_at"]
    own = {"id", "run_key", "created_at", "started_at", "finished_at", "updated_at", "heartbeat_at"}
    return {name: value for name, value in row.items() if name not in own}


def test_the_first_failure_of_a_kind_is_judged_by_a_writer(warm: list[str], sql: Sql) -> None:
    run = failed_run()

    assert warm == ["close"]
    assert written_of(sql, run)["status"] == "FAILED"


def test_a_failure_that_is_covered_and_came_before_is_written_without_another_thread(
    warm: list[str], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_run()
    by_a_writer = written_of(sql, failed_run())
    warm.clear()
    statements: list[list[Any]] = []
    first_row = Channel.first_row

    def counted(self: Channel, arguments: list[Any]) -> Any:
        statements.append(arguments)
        return first_row(self, arguments)

    monkeypatch.setattr(Channel, "first_row", counted)

    runs = [failed_run() for _ in range(2)]

    assert warm == []
    assert len(statements) == 2 * len(runs)
    assert [written_of(sql, run) for run in runs] == [by_a_writer] * 2
    assert by_a_writer["alert_outcome"] == "suppressed"
    assert [run.status for run in runs] == ["FAILED"] * 2
    assert [run["count"] for run in sql("select count(*) from alert")] == [1]
    assert pool().checkedout() == 0
    assert runtime.heartbeat._runs == {}


def test_so_is_one_in_other_words_once_a_writer_has_seen_some(warm: list[str], sql: Sql) -> None:
    for number in range(1, 4):
        failed_run(f"row {number} is bad")
    warm.clear()

    told = written_of(sql, failed_run("row 77 is bad"))

    assert warm == []
    assert told["error_message"] == "row 77 is bad"
    assert "ValueError: row 77 is bad" in told["traceback"]


def test_an_alert_that_is_raised_is_told_by_a_writer(
    warm: list[str], sql: Sql, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(runtime, "see_to_delivery", lambda *_, raised, **__: asked.append(raised))
    for _ in range(2):
        failed_run()
        failed_run(job="another")  # the mark is of the failure, not of the job
    sql("delete from alert_cooldown")
    sql("delete from alert")
    caplog.clear()
    warm.clear()
    asked.clear()

    run = failed_run()

    assert warm == ["close"]
    assert written_of(sql, run)["alert_outcome"] == "raised"
    assert [record.message.split()[0] for record in caplog.records] == ["runguard.alert_created"]
    assert asked == [True]
    assert [row["run_id"] for row in sql("select detail->'run_id' as run_id from alert")] == [
        run.id
    ]


def logs(run: runguard.Run) -> None:
    run.log.warning("going on")


@pytest.mark.parametrize("do", [says, goes_on, logs, counts_oddly])
def test_a_failure_of_a_run_that_says_more_is_a_writers(
    do: Callable[[runguard.Run], None], warm: list[str]
) -> None:
    def fail() -> None:
        with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
            do(run)
            raise ValueError("bad")

    fail()
    warm.clear()

    fail()

    assert warm == ["close"]


def test_a_failure_whose_file_has_changed_is_judged_anew(
    warm: list[str], sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "LOOK_AGAIN_SECONDS", 0.0)
    file = tmp_path / "job.py"
    file.write_text("def fail():\n    raise ValueError('bad')\n", encoding="utf-8")
    space = runpy.run_path(str(file))

    def failed() -> runguard.Run:
        with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
            space["fail"]()
        return run

    failed()
    failed()
    file.write_text("def fail():\n    raise ValueError('bad')  # again\n", encoding="utf-8")
    warm.clear()

    told = written_of(sql, failed())

    assert warm == ["close"]
    assert "raise ValueError('bad')  # again" in told["traceback"]


def test_a_failure_in_code_that_has_no_file_is_known_again(warm: list[str], sql: Sql) -> None:
    space: dict[str, Any] = {}
    exec("def fail(): raise ValueError('bad')", space)

    def failed() -> runguard.Run:
        with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
            space["fail"]()
        return run

    failed()
    by_a_writer = written_of(sql, failed())
    warm.clear()

    told = written_of(sql, failed())

    assert warm == []
    assert told == by_a_writer
    assert '"<string>", line 1, in fail' in told["traceback"]


def test_a_failure_whose_file_is_gone_is_judged_by_a_writer(
    warm: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "LOOK_AGAIN_SECONDS", 0.0)
    file = tmp_path / "job.py"
    file.write_text("def fail():\n    raise ValueError('bad')\n", encoding="utf-8")
    space = runpy.run_path(str(file))
    for _ in range(3):
        warm.clear()
        with pytest.raises(ValueError, match="bad"), run_scope("job"):
            space["fail"]()
    assert warm == []
    file.unlink()

    with pytest.raises(ValueError, match="bad"), run_scope("job"):
        space["fail"]()

    assert warm == ["close"]


def test_a_failed_run_that_another_has_ended_is_told_as_ever(
    warm: list[str], sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    failed_run()
    failed_run()
    warm.clear()
    with pytest.raises(ValueError, match="row 1 is bad"), run_scope("job") as run:
        sql("update run_log set status = 'FAILED', finished_at = now() where id = :id", id=run.id)
        raise ValueError("row 1 is bad")

    assert warm == ["close"]
    assert "the run had been ended before as FAILED" in caplog.text


def test_a_bug_in_judging_here_leaves_the_failure_to_a_writer(
    warm: list[str], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        failed_run()
    warm.clear()
    monkeypatch.setattr(again, "ids_of", None)  # so that our own line fails

    run = failed_run()

    assert warm == ["close"]
    assert written_of(sql, run)["status"] == "FAILED"


def test_the_first_run_of_a_process_is_a_writers(url: str, handed_over: list[str]) -> None:
    with run_scope("job"):
        pass

    assert handed_over == ["_get_ready", "open", "close"]


def test_a_run_that_holds_its_lock_is_a_writers(warm: list[str]) -> None:
    with run_scope("job", lock=True):
        pass

    assert warm == ["open", "close"]


@pytest.mark.parametrize("do", [says, declares, counts_oddly, goes_on])
def test_an_ending_that_says_more_than_success_is_a_writers(
    do: Callable[[runguard.Run], None], warm: list[str]
) -> None:
    with run_scope("job") as run:
        do(run)

    assert warm == ["close"]


def test_a_job_with_an_expectation_ends_in_a_writer(warm: list[str]) -> None:
    with run_scope("job", expect=runguard.Expect(every="1h")):
        pass

    assert warm == ["close"]


def test_a_run_whose_events_are_seen_is_a_writers(warm: list[str]) -> None:
    logging.getLogger("runguard").setLevel(logging.INFO)

    with run_scope("job"):
        pass

    assert warm == ["open", "close"]


def test_where_no_connection_is_free_the_run_waits_in_a_writer(
    warm: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, submit = pool().idle, Writers._submit
    places = [idle.take(0.0) for _ in range(len(idle))]

    def submit_and_give_back(self: Writers, task: Any) -> bool:
        answer = submit(self, task)
        if places:
            until(lambda: idle._waiting)
            while places:
                idle.give_back(places.pop())
        return answer

    monkeypatch.setattr(Writers, "_submit", submit_and_give_back)
    with run_scope("job") as run:
        pass

    assert warm[0] == "open"
    assert run.id is not None


def test_a_connection_that_the_server_has_ended_is_replaced_by_a_writer(
    warm: list[str], sql: Sql
) -> None:
    sql(f"select pg_terminate_backend(pid) {OURS}")

    with run_scope("job") as run:
        pass

    assert warm == ["open"]  # its connection is new, and free at the end
    [row] = sql("select status, count(*) over () from run_log where id = :id", id=run.id)
    assert row["status"] == "SUCCESS"
    assert sql("select 1 from run_log where status = 'RUNNING'") == []
    assert pool().checkedout() == 0


def test_a_statement_that_somebody_watches_is_executed_by_core(warm: list[str]) -> None:
    seen: list[str] = []
    event.listen(
        runtime.store().engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: seen.append(statement.split()[0]),
    )

    with run_scope("job"):
        pass

    assert warm == ["open", "close"]
    assert seen == ["INSERT", "UPDATE"]
    assert pool().checkedout() == 0


def test_a_connection_is_kept_though_core_executes_its_statements(
    warm: list[str], sql: Sql
) -> None:
    engine = runtime.store().engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *_: None)
    before = connections(sql)

    for _ in range(2):
        failed_run()
        with run_scope("job"):
            pass

    assert warm == ["open", "close"] * 4
    assert connections(sql) == before


def test_a_connection_is_kept_that_is_to_prepare_no_more(warm: list[str], sql: Sql) -> None:
    runtime.store()._attempts.may_prepare = False  # type: ignore[attr-defined]
    before = connections(sql)

    for _ in range(2):
        with run_scope("job"):
            pass

    assert warm == ["open"]
    assert connections(sql) == before


def test_a_run_that_goes_on_without_the_store_keeps_no_connection_from_others(
    warm: list[str], sql: Sql
) -> None:
    writers = runtime.writers()
    most = writers._most()
    begun, queued = threading.Barrier(most + 1), threading.Event()

    def occupy(_: Exception | None = None, /) -> None:
        begun.wait()
        while writers._queue.empty() and not queued.is_set():
            time.sleep(0.001)
        queued.set()
        writers.breaker.note_fault(StoreUnavailable("the server went away"))

    busy = [threading.Thread(target=lambda: writers.run(occupy, seconds=60)) for _ in range(most)]
    for thread in busy:
        thread.start()
    begun.wait()
    sql(f"select pg_terminate_backend(pid) {OURS}")

    with run_scope("job") as run:
        assert run.id is None
        assert pool().checkedout() == 0

    for thread in busy:
        thread.join()


def test_on_an_engine_of_the_users_all_runs_are_writers(
    migrated_pg_url: str, handed_over: list[str]
) -> None:
    engine = create_engine(migrated_pg_url)
    runguard.configure(engine=engine)
    for _ in range(3):
        with run_scope("job"):
            pass

    assert handed_over == ["_get_ready", *["open", "close"] * 3]
    engine.dispose()


def test_a_writer_looks_for_records_that_wait_now_and_then(
    warm: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "LOOK_EVERY_SECONDS", 0.0)
    runtime.made_late["here"]._look_again_at = 0.0

    with run_scope("job"):
        pass

    assert warm == ["close"]


def test_a_run_that_another_has_ended_is_told_as_ever(
    warm: list[str], sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    with run_scope("job") as run:
        sql("update run_log set status = 'FAILED', finished_at = now() where id = :id", id=run.id)

    assert warm == ["close"]
    assert "the run had been ended before as FAILED" in caplog.text
