"""pg_cron on a real server with the extension: its runs become runs, once each."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from runguard._cli.app import app
from runguard._errors import StoreUnavailable
from runguard._events import Events
from runguard._monitor.expectations import Expectation
from runguard._monitor.pg_cron import CronJob, CronRun, expectation_of, job_name_of, key_of
from runguard._rounds.channels import Channels
from runguard._rounds.pg_cron import Imported, ImportFailed, PgCronImport
from runguard._rounds.round import Rounds
from runguard._run.spool import Spool
from runguard._settings import Settings
from runguard._store.postgresql.pg_cron import LONGEST_MESSAGE, PgCronSource, Server
from tests.support.pg_cron import PgCronServer, programs_with_pg_cron
from tests.support.stores import newest_alerts, newest_runs, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runguard._monitor.records import RunRecord
    from runguard._store.operator import OperatorStore

needs_pg_cron = pytest.mark.skipif(
    programs_with_pg_cron() is None,
    reason="no PostgreSQL server with pg_cron is installed (Debian: postgresql-15-cron)",
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_START = "@reboot"  # the one schedule that does not wait for the next minute
COMMANDS = {
    "sums": "select 1 / 0",
    "orders": "create temp table t (x int); insert into t select generate_series(1, 5)",
    "slow": "select pg_sleep(60)",
    "long": "select pg_sleep(600)",
}


@dataclass
class Cron:
    """The server, what it runs, and a store of ours to import it into."""

    server: PgCronServer
    store: OperatorStore

    def importer(self, url: str | None = None, **settings: object) -> PgCronImport:
        source = PgCronSource.open(url or self.server.url(), source="a test")
        return PgCronImport(source, self.store, Settings(**settings), Events())  # type: ignore[arg-type]

    def imported(self, **settings: object) -> Imported:
        with closing(self.importer(**settings)) as importing:
            return importing.run()

    def restart(self) -> None:
        """Kill the server and start it; wait until what it starts then has ended.

        An orderly stop is a race: the launcher may see how its jobs end, and write it down.
        """
        self.server.kill()
        self.server.start()
        deadline = time.monotonic() + 20
        while self.count("start_time > pg_postmaster_start_time()") < len(COMMANDS):
            assert time.monotonic() < deadline
        while self.count("status not in ('succeeded', 'failed')") > 1:  # the long one goes on
            assert time.monotonic() < deadline

    def count(self, condition: str) -> int:
        with self.server.connect() as connection:
            asked = f"select count(*) from cron.job_run_details where {condition}"
            [(found,)] = connection.execute(asked).fetchall()  # type: ignore[arg-type]
        return int(found)

    def runs(self) -> dict[str, RunRecord]:
        """The newest run of each job."""
        return {run.job_name: run for run in reversed(newest_runs(self.store, limit=99))}


@pytest.fixture(scope="module")
def server() -> Iterator[PgCronServer]:
    """A server that has run each command once; one of them still runs."""
    with PgCronServer() as server:
        with server.connect() as connection:
            connection.execute("create extension pg_cron")
            for name, command in COMMANDS.items():
                connection.execute("select cron.schedule(%s, %s, %s)", (name, AT_START, command))
            connection.execute("create role hurried login")
            connection.execute("alter role hurried set statement_timeout = '50ms'")
            connection.execute("update cron.job set username = 'hurried' where jobname = 'slow'")
            connection.execute("select cron.schedule('daily', '30 4 * * *', 'select 1')")
            connection.execute("select cron.schedule('odd', '0 0 30 2 *', 'select 1')")
        Cron(server, None).restart()  # type: ignore[arg-type]
        yield server


@pytest.fixture
def cron(server: PgCronServer, tmp_path: Path) -> Iterator[Cron]:
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        yield Cron(server, store)


@needs_pg_cron
def test_what_it_ran_becomes_runs_once_each_wherever_it_is_read_from(cron: Cron) -> None:
    first = cron.imported()
    again = cron.imported()
    by_socket = cron.server.base.set(query={"host": str(cron.server.socket_dir)}, host=None)
    with closing(cron.importer(by_socket.render_as_string(hide_password=False))) as importing:
        elsewhere = importing.run()

    runs = cron.runs()
    assert (first.succeeded, first.failed, first.started) == (1, 2, 1)
    assert again.runs == elsewhere.runs == 0
    assert len(newest_runs(cron.store, limit=99)) == 4
    assert (runs["sums"].status, runs["sums"].error_group) == ("FAILED", "UNKNOWN")
    assert (runs["sums"].error_message, runs["sums"].error_type) == (
        "ERROR: division by zero",
        "pg_cron.JobFailed",
    )
    assert (runs["slow"].error_group, runs["slow"].error_reason) == ("TIMEOUT", "statement_timeout")
    assert (runs["orders"].status, runs["orders"].changed_records) == ("SUCCESS", 5)
    assert (runs["long"].status, runs["long"].trigger_type) == ("RUNNING", "SCHEDULER")
    assert runs["sums"].host == "127.0.0.1"
    assert {alert.source_id for alert in newest_alerts(cron.store)} == {
        "sums:UNKNOWN",
        "slow:TIMEOUT",
    }


@needs_pg_cron
def test_schedules_are_expected_and_taken_back_when_they_are_gone(cron: Cron) -> None:
    first = cron.imported()
    [expected] = cron.store.expected_jobs()
    with cron.server.connect() as connection:
        connection.execute("update cron.job set active = false where jobname = 'daily'")
    try:
        again = cron.imported()
    finally:
        with cron.server.connect() as connection:
            connection.execute("update cron.job set active = true where jobname = 'daily'")

    assert (first.declared, first.withdrawn) == (1, 0)
    assert expected.job_name == "daily"
    assert expected.expectation == Expectation(cron="30 4 * * *", tz="UTC")
    assert str(expected.declared_who).startswith("pg_cron on 127.0.0.1 (cluster ")
    assert (again.declared, again.withdrawn) == (0, 1)
    assert cron.store.expected_jobs() == []


@needs_pg_cron
def test_a_restart_of_the_server_ends_what_ran_and_repeats_nothing(cron: Cron) -> None:
    with closing(cron.importer(cooldown=timedelta(0))) as importing:
        importing.run()
        before = {run.id: run.status for run in newest_runs(cron.store, limit=99)}
        cron.restart()
        after = importing.run()

    runs = newest_runs(cron.store, limit=99)
    [cut_off] = [run for run in runs if run.id in before and run.status != before[run.id]]
    assert (cut_off.job_name, cut_off.status, cut_off.error_reason) == ("long", "FAILED", "lost")
    assert (after.succeeded, after.failed, after.started) == (1, 3, 1)
    assert len(runs) == len(before) + 4
    assert [run.status for run in runs if run.job_name == "long"] == ["RUNNING", "FAILED"]


@needs_pg_cron
def test_a_run_without_a_time_becomes_one_run_too(cron: Cron) -> None:
    with cron.server.connect() as rows, closing(cron.importer()) as importing:
        rows.execute(
            "insert into cron.job_run_details (jobid, runid, status, return_message) values"
            " (900, 900001, 'starting', null), (901, 900002, 'failed', 'server restarted'),"
            " (902, 900003, 'failed', repeat('long', 1000000))"
        )
        try:
            waiting = (importing.run(), cron.imported())
            longest = max(len(run.message) for run in importing._source.runs_of([900003]))
            rows.execute(
                "update cron.job_run_details set status = 'running', start_time = now()"
                " where runid = 900001"
            )
            begun = (importing.run(), cron.imported())
        finally:
            rows.execute("delete from cron.job_run_details where runid > 900000")
        forgotten = importing.run()

    runs = newest_runs(cron.store, limit=99)
    assert [one.runs for one in (*waiting, *begun, forgotten)][1:] == [0, 1, 0, 0]
    assert [run.status for run in runs if run.job_name == "pg_cron-900"] == ["RUNNING"]
    assert [run.error_reason for run in runs if run.job_name == "pg_cron-901"] == ["lost"]
    assert [run.status for run in runs if run.job_name == "pg_cron-902"] == ["FAILED"]
    assert longest == LONGEST_MESSAGE
    assert 900001 not in importing._open  # nobody keeps it alive


@needs_pg_cron
def test_a_round_of_the_monitor_imports_and_says_what_keeps_it_from_that(
    cron: Cron, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runguard._store.postgresql.pg_cron.TIMEOUT_SECONDS", 0.5)
    environ = {"RUNGUARD_PG_CRON_URL": "env:CRON_URL", "CRON_URL": cron.server.url()}
    settings, channels = Settings(), Channels(environ, tmp_path)
    spool = Spool(tmp_path / "spool")
    rounds = Rounds(cron.store, settings, spool, Events(), channels=channels)

    ran = cron.count("true")
    first, second = rounds.run(), rounds.run()
    cron.server.stop("immediate")
    try:
        away = rounds.run()
    finally:
        cron.server.start()
        back = rounds.run()
        rounds.close()

    assert (first.imported, second.imported) == (ran, 0)
    assert second.troubles == {}
    assert "pg_cron could not be read" in away.troubles["pg_cron"]
    assert rounds.store_fault is None
    assert back.troubles == {}


@needs_pg_cron
def test_the_command_says_what_it_did(
    cron: Cron, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, ours = cron.server.url(), f"sqlite:///{tmp_path / 'runguard.db'}"

    with pytest.raises(SystemExit) as ended:
        app(["import", "pg-cron", "--url", url, "--database-url", ours])

    assert ended.value.code == 0
    assert "1 schedule declared, 0 withdrawn." in capsys.readouterr().err


@needs_pg_cron
def test_a_server_without_the_extension_is_told_with_the_remedy(
    cron: Cron, migrated_pg_url: str
) -> None:
    with (
        closing(cron.importer(migrated_pg_url)) as importing,
        pytest.raises(ImportFailed, match="it needs the extension in the database of"),
    ):
        importing.run()


@needs_pg_cron
def test_a_round_asks_the_source_and_the_store_a_few_times(cron: Cron) -> None:
    asked: list[str] = []
    with closing(cron.importer()) as importing:
        importing.run()
        for engine in (cron.store.engine, importing._source.engine):
            event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        importing.run()

    # The server, its jobs, its runs twice; which of ours are known, twice; one heartbeat.
    assert len([one for one in asked if "PRAGMA" not in one.upper()]) <= 9, asked


class Rows:
    """What a server would say: a run of each of these jobs, the last of them gone since."""

    host = "db"
    batch = 1_000

    def __init__(self, *names: str, schedule: str = "@reboot", cluster: str = "1") -> None:
        self.names = names
        self.schedule = schedule
        self.cluster = cluster
        self.is_over = False

    def server(self) -> Server:
        return Server(self.cluster, "GMT", "me")

    def newest_before(self, _: timedelta) -> int:
        return 0

    def jobs(self) -> list[CronJob]:
        named = list(enumerate(self.names, start=1))[: -1 if self.is_over else None]
        return [
            CronJob(
                job_id=number,
                name=name,
                schedule=self.schedule,
                is_active=True,
                database="",
                user="",
            )
            for number, name in named
        ]

    def newest(self) -> int:
        return len(self.names)

    def runs(self, *, after: int, up_to: int) -> list[CronRun]:
        return self.runs_of(range(after + 1, up_to + 1)[-self.batch :])

    def runs_of(self, numbers: Sequence[int]) -> list[CronRun]:
        return [
            CronRun(
                run_id=number,
                job_id=number,
                pid=None,
                database=None,
                user=None,
                started_at=NOON,
                ended_at=NOON if self.is_over else None,
                message="ERROR:  no",
            )
            for number in numbers
        ]


def test_a_run_that_the_store_refuses_keeps_no_later_one_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        newest_runs(store)  # which makes the tables
        with store.engine.begin() as connection:
            connection.exec_driver_sql(
                "create trigger no before insert on run_log when new.job_name = 'refused'"
                " begin select raise(abort, 'not this one'); end"
            )
        source = Rows("refused", "taken")
        source.is_over = True
        importing = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]
        importing.run()

        assert [run.job_name for run in newest_runs(store)] == ["pg_cron-2"]
        assert [one.message.count("not this one") for one in caplog.records] == [1]


def test_a_round_imports_a_batch_of_the_history_the_newest_first(tmp_path: Path) -> None:
    source = Rows(*"abcde")
    source.batch = 2
    source.is_over = True
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        importing = PgCronImport(source, store, Settings(), Events(), enough=2)  # type: ignore[arg-type]
        imported = [importing.run().runs]
        newest = {run.job_name for run in newest_runs(store)}
        source.names = (*source.names, "f")
        imported += [importing.run().runs for _ in range(3)]
        another = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]

        assert newest == {"d", "pg_cron-5"}
        assert imported == [2, 3, 1, 0]  # what is new comes before what is old
        assert len(newest_runs(store)) == 6
        assert another.run().runs == 0


def test_the_command_imports_all_the_history_at_once(tmp_path: Path) -> None:
    source = Rows(*"abcde")
    source.batch = 2
    source.is_over = True
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        importing = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]

        assert importing.run().runs == 5


def test_a_trouble_in_the_middle_of_a_batch_leaves_no_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Rows(*"abc")
    source.is_over = True
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        importing = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]
        write, written = importing._write, []

        def is_away_at_the_second(*run: Any) -> None:
            written.append(run)
            if len(written) == 2:
                raise StoreUnavailable("gone")
            write(*run)

        monkeypatch.setattr(importing, "_write", is_away_at_the_second)
        with pytest.raises(StoreUnavailable):
            importing.run()

        assert importing.run().runs == 2
        assert len(newest_runs(store)) == 3


def test_the_last_run_of_a_job_that_is_gone_has_its_name_where_that_can_be_stored(
    tmp_path: Path,
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:
        source = Rows("n" * 256, "nightly")
        importing = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]
        importing.run()
        source.is_over = True
        importing.run()

        assert {alert.source_id for alert in newest_alerts(store)} == {
            "pg_cron-1:UNKNOWN",
            "nightly:UNKNOWN",
        }


def test_two_servers_of_one_address_take_back_no_schedule_of_each_other(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'runguard.db'}")) as store:

        def imported(source: Rows) -> PgCronImport:
            importing = PgCronImport(source, store, Settings(), Events())  # type: ignore[arg-type]
            importing.run()
            return importing

        def expected() -> list[str]:
            return sorted(job.job_name for job in store.expected_jobs())

        one = Rows("vacuum", "orders", schedule="0 4 * * *")
        other = Rows("vacuum", "sums", schedule="0 5 * * *", cluster="2")
        first = imported(one)
        imported(other)
        imported(one)
        imported(other)
        assert expected() == ["orders", "sums", "vacuum"]

        one.names = ()
        first.run()
        assert expected() == ["sums", "vacuum"]  # which the other server still has

        other.names, other.host = (), "db.example.org"
        imported(other)
        assert expected() == []


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/5 * * * *", {"cron": "*/5 * * * *", "tz": "Asia/Seoul"}),
        ("@hourly", {"cron": "0 * * * *", "tz": "Asia/Seoul"}),
        ("45 seconds", {"every": 45.0, "grace": 60.0}),
        ("0 2  $ * *", {"cron": "0 2 L * *", "tz": "Asia/Seoul"}),
        ("@reboot", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_schedule_is_an_expectation(schedule: str, expected: object) -> None:
    expectation = expectation_of(schedule, "Asia/Seoul")

    assert expected == (None if expectation is None else expectation.as_document())


def test_a_job_without_a_name_is_named_by_its_number() -> None:
    job = CronJob(job_id=7, name=None, schedule="", is_active=True, database="db", user="me")

    assert job_name_of(7, job) == job_name_of(7, None) == "pg_cron-7"


def test_a_run_of_another_server_or_of_a_counter_that_began_anew_is_another_run() -> None:
    def run(*, hour: int) -> CronRun:
        started_at = datetime(2026, 3, 1, hour, tzinfo=UTC)
        return CronRun(run_id=1, job_id=1, pid=1, database=None, user=None, started_at=started_at)

    assert key_of("1", run(hour=1)) == key_of("1", run(hour=1))
    assert len({key_of("1", run(hour=1)), key_of("2", run(hour=1)), key_of("1", run(hour=2))}) == 3
