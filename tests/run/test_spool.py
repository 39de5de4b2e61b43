"""The store is away, the record is not: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

import runguard
import runguard.testing
from runguard import StoreUnavailable, run_scope
from runguard._api import runtime
from runguard._run.spool_quarantine import set_aside
from runguard._run.spool_replay import replay
from runguard._run.spool_view import waiting_files
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresServer

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

RUNGUARD = str(Path(sys.executable).with_name("runguard"))


@pytest.fixture
def proxy(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(migrated_pg_url) as proxy:
        configure(proxy)
        yield proxy
        runguard.testing.reset()


def configure(proxy: ProtocolProxy, seconds: float = 1.0) -> None:
    runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=seconds))


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(libpq, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def fail(**options: Any) -> None:
    with pytest.raises(ValueError, match="bad input"), run_scope("enrolment_sync", **options):
        raise ValueError("bad input")


def flush() -> None:
    for replayed in replay(runtime.spool(), runtime.store(), seconds=60):
        assert replayed.trouble is None


@pytest.mark.parametrize("away_at", ["start", "finish", "both"])
@pytest.mark.parametrize("fails", [False, True])
def test_what_the_store_missed_is_replayed(
    proxy: ProtocolProxy, migrated_pg_url: str, away_at: str, *, fails: bool
) -> None:
    if away_at != "finish":
        proxy.refuse()
    try:
        with run_scope("enrolment_sync") as run:
            run.total_records = 512
            proxy.resume() if away_at == "start" else proxy.refuse()
            if fails:
                raise ValueError("bad input")
    except ValueError:
        pass
    proxy.resume()
    flush()

    found = rows(
        migrated_pg_url,
        "select status, total_records, run_key, finished_at >= started_at, alert_outcome"
        " from run_log",
    )
    status, outcome = ("FAILED", "raised") if fails else ("SUCCESS", "none")
    assert found == [(status, 512, run.key, True, outcome)]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(int(fails),)]
    assert waiting_files(runtime.spool()) == []


def test_a_replayed_run_keeps_its_hosts_times_and_says_so(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    proxy.refuse()
    fail()
    [file] = [path for path in waiting_files(runtime.spool()) if path.name.endswith(".end.json")]
    record = json.loads(file.read_text())
    proxy.resume()
    rows(migrated_pg_url, "select pg_sleep(0.01)")
    flush()

    [(started_at, finished_at, clock)] = rows(
        migrated_pg_url, "select started_at, finished_at, clock from run_log"
    )
    assert started_at == datetime.fromisoformat(record["started_at"])
    assert finished_at == datetime.fromisoformat(record["finished_at"])
    assert clock == "host"
    [(occurred_at, created_later)] = rows(
        migrated_pg_url,
        "select detail->>'occurred_at', created_at > (detail->>'occurred_at')::timestamptz"
        " from alert",
    )
    assert occurred_at == record["finished_at"]
    assert created_later


def test_a_replayed_alert_is_judged_by_the_cooldown_at_replay(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    proxy.refuse()
    fail()
    proxy.resume()
    runguard.testing.reset()
    runguard.configure(database_url=migrated_pg_url)
    fail()  # replays what waits, after its own alert
    runguard.testing.reset()
    configure(proxy)
    flush()

    outcomes = rows(migrated_pg_url, "select alert_outcome, count(*) from run_log group by 1")
    assert sorted(outcomes) == [("raised", 1), ("suppressed", 1)]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(1,)]


@pytest.mark.parametrize("statement", ["insert into run_log", "with open_run"])
def test_a_replay_whose_answer_was_lost_is_repeated_without_doubling(
    proxy: ProtocolProxy, migrated_pg_url: str, statement: str
) -> None:
    proxy.refuse()
    fail()
    proxy.resume()
    sprung = proxy.cut_at(statement, when="after")
    flush()

    assert sprung.is_set()
    assert rows(migrated_pg_url, "select status from run_log") == [("FAILED",)]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(1,)]


def test_replaying_twice_is_replaying_once(proxy: ProtocolProxy, migrated_pg_url: str) -> None:
    proxy.refuse()
    fail()
    waiting = {path: path.read_bytes() for path in waiting_files(runtime.spool())}
    proxy.resume()
    flush()
    for path, content in waiting.items():
        path.write_bytes(content)
    flush()

    assert rows(migrated_pg_url, "select status from run_log") == [("FAILED",)]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(1,)]


def test_a_later_run_replays(proxy: ProtocolProxy, migrated_pg_url: str, events: Events) -> None:
    proxy.refuse()
    fail()
    proxy.resume()
    runtime.spool().look_again_at = 0.0
    with run_scope("another"):
        pass

    assert waiting_files(runtime.spool()) == []
    assert rows(migrated_pg_url, "select status from run_log order by id") == [
        ("SUCCESS",),
        ("FAILED",),
    ]
    assert ("runguard.spool_replayed", {"records": 2, "waiting": 0}) in events()


def test_a_jobs_own_alert_waits_as_well(proxy: ProtocolProxy, migrated_pg_url: str) -> None:
    with run_scope("enrolment_sync") as run:
        proxy.refuse()
        raised = run.emit_alert(
            "NEW", source_type="student", source_id="s-1", severity="low", title="t", message="m"
        )
        proxy.resume()
    flush()

    assert raised is False
    found = rows(migrated_pg_url, "select alert_type, detail ? 'occurred_at' from alert")
    assert found == [("NEW", True)]


def test_a_refused_body_leaves_a_failed_run(proxy: ProtocolProxy, migrated_pg_url: str) -> None:
    proxy.refuse()
    with pytest.raises(StoreUnavailable), run_scope("enrolment_sync", lock=True):
        raise AssertionError("the body ran")
    proxy.resume()
    flush()

    assert rows(migrated_pg_url, "select status, error_type from run_log") == [
        ("FAILED", "runguard._errors.StoreUnavailable")
    ]


def test_a_process_killed_in_an_outage_leaves_its_start(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    proxy.refuse()
    job = (
        "import sys, datetime, runguard\n"
        "runguard.configure(database_url=sys.argv[1],"
        " store_timeout=datetime.timedelta(seconds=0.5))\n"
        "with runguard.run_scope('enrolment_sync'):\n"
        "    print('inside', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", job, proxy.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGKILL)
    proxy.resume()
    flush()

    assert rows(migrated_pg_url, "select status, pid, clock from run_log") == [
        ("RUNNING", process.pid, "host")
    ]


def test_the_file_is_on_the_disk_before_the_exception_leaves(
    proxy: ProtocolProxy, events: Events
) -> None:
    proxy.refuse()
    fail()

    files = waiting_files(runtime.spool())
    assert {path.name.partition(".")[2] for path in files} == {"start.json", "end.json"}
    assert all(stat.S_IMODE(path.parent.stat().st_mode) == 0o700 for path in files)
    assert [event for event, _ in events()].count("runguard.spooled") == 2


def test_a_folder_that_cannot_be_written_is_one_loud_event_a_run_and_the_job_runs(
    migrated_pg_url: str, tmp_path: Path, events: Events
) -> None:
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    runguard.configure(
        database_url="postgresql://app:hunter2@127.0.0.1:1/prod",
        store_timeout=timedelta(seconds=0.2),
        spool_dir=blocked,
    )
    with run_scope("enrolment_sync") as run:
        pass

    assert run.status == "SUCCESS"
    told = [fields for event, fields in events() if event == "runguard.record_lost"]
    assert len(told) == 1
    assert "hunter2" not in repr(told)


def test_a_spoiled_file_is_set_aside_and_stops_nobody(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    proxy.refuse()
    fail()
    folder = runtime.spool().folder
    (folder / "0000.end.json").write_text('{"format": 1, "kind": "Spool')
    proxy.resume()
    troubles = {
        replayed.path.name: replayed.trouble
        for replayed in replay(runtime.spool(), runtime.store(), seconds=60)
    }

    assert isinstance(troubles.pop("0000.end.json"), ValueError)
    assert list(troubles.values()) == [None, None]
    assert waiting_files(runtime.spool()) == []
    assert [one.path.name for one in set_aside(runtime.spool())] == ["0000.end.json"]
    assert rows(migrated_pg_url, "select status from run_log") == [("FAILED",)]


def test_what_is_meant_for_one_store_never_reaches_another(
    proxy: ProtocolProxy, tmp_path: Path
) -> None:
    proxy.refuse()
    fail()
    runguard.testing.reset()
    runguard.configure(database_url=f"sqlite:///{tmp_path}/other.db")

    assert waiting_files(runtime.spool()) == []


def test_the_folder_holds_no_password(proxy: ProtocolProxy) -> None:
    url = "postgresql://app:hunter2@127.0.0.1:1/prod"
    runguard.testing.reset()
    runguard.configure(database_url=url, store_timeout=timedelta(seconds=0.2))
    with pytest.raises(ValueError, match="hunter2"), run_scope("enrolment_sync"):
        raise ValueError(f"cannot reach {url}")

    files = waiting_files(runtime.spool())
    assert files
    assert all("hunter2" not in path.read_text() + str(path) for path in files)


def test_the_commands_show_and_flush(
    private_postgres: Callable[..., PostgresServer],
) -> None:
    from runguard._store.migrate import upgrade

    server = private_postgres()
    url = server.url("postgres")
    upgrade(url)
    runguard.configure(database_url=url, store_timeout=timedelta(seconds=0.5))
    server.stop()
    fail()

    def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RUNGUARD, "spool", *arguments, "--database-url", url],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    [shown] = json.loads(command("status", "--json").stdout)
    away = command("flush", RUNGUARD_STORE_TIMEOUT_SECONDS="0.5")
    server.start()
    back = command("flush")

    assert shown["waiting"] == 2
    assert (away.returncode, "stays" in away.stderr) == (3, True)
    assert back.returncode == 0, back.stderr
    assert "2 of 2 replayed, 0 wait" in back.stderr
    assert command("status").stdout.startswith("No record waits")
    assert rows(url, "select status from run_log") == [("FAILED",)]
    runguard.testing.reset()


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_no_record_is_lost_or_doubled_over_a_random_sequence_of_outages(
    migrated_pg_url: str, story: list[tuple[bool, bool, bool]]
) -> None:
    """Each run: is the store away at its start, at its end, and does it fail?"""
    rows(migrated_pg_url, "truncate run_log, alert, alert_cooldown")
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.testing.reset()
        configure(proxy, seconds=0.3)
        for number, (away_at_start, away_at_end, fails) in enumerate(story):
            proxy.refuse() if away_at_start else proxy.resume()
            try:
                with run_scope("enrolment_sync") as run:
                    run.total_records = number
                    proxy.refuse() if away_at_end else proxy.resume()
                    if fails:
                        raise ValueError("bad input")
            except ValueError:
                pass
        proxy.resume()
        flush()
        runguard.testing.reset()

    found = rows(migrated_pg_url, "select total_records, status from run_log order by 1")
    assert found == [(n, "FAILED" if fails else "SUCCESS") for n, (_, _, fails) in enumerate(story)]
    any_failed = any(fails for _, _, fails in story)
    assert rows(migrated_pg_url, "select count(*) from alert") == [(int(any_failed),)]


def test_a_full_disk_is_survived(proxy: ProtocolProxy, events: Events) -> None:
    import resource

    proxy.refuse()
    pid = os.fork()
    if pid == 0:  # a limit on file sizes stands for a disk that takes no more
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))
        with run_scope("enrolment_sync"):
            pass
        os._exit(0)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert [p for p in runtime.spool().folder.iterdir() if p.is_file()] == []


def test_a_run_looks_for_waiting_records_without_finding_the_users_folders_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._run import spool_places

    searches: list[None] = []
    state_folder = spool_places.state_folder

    def find_state_folder() -> Path:
        searches.append(None)
        return state_folder()

    monkeypatch.setattr(spool_places, "state_folder", find_state_folder)
    runguard.configure(database_url=f"sqlite:///{tmp_path / 'runguard.db'}")
    for _ in range(3):
        with run_scope("enrolment_sync"):
            pass

    assert len(searches) == 1
