"""`runguard monitor`: its rounds, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runguard import SchemaOutOfDate, StoreUnavailable
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def _away() -> StoreUnavailable:
    away = StoreUnavailable("nobody answers")
    away.is_away = True
    return away


def test_one_round_closes_lost_runs_and_says_so(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    code = "import os, runguard\nrunguard.run_scope('nightly').__enter__()\nos._exit(9)"
    subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RUNGUARD_DATABASE_URL": url},
    )
    limits = {"RUNGUARD_LOST_AFTER_SECONDS": "3", "RUNGUARD_HEARTBEAT_SECONDS": "1"}
    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute(
            "update run_log set started_at = datetime('now', '-1 hour'),"
            " heartbeat_at = datetime('now', '-1 hour')"
        )
    answer = cli("monitor", "--once", RUNGUARD_DATABASE_URL=url, **limits)
    again = cli("monitor", "--once", RUNGUARD_DATABASE_URL=url, **limits)

    assert answer.exit_code == 0
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}Z  1 lost run closed\n", answer.stdout)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "Nothing new." in again.stderr


def test_one_round_as_json_is_one_object_on_one_line(cli: Cli, filled_file: str) -> None:
    answer = cli("monitor", "--once", "--json", RUNGUARD_DATABASE_URL=filled_file)

    [line] = answer.stdout.splitlines()
    report = json.loads(line)
    assert report["good"] is True
    assert report["troubles"] == {}
    assert report["seconds"] >= 0


def test_a_part_that_fails_is_told_the_others_go_on_and_the_exit_code_says_so(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("password=hunter2 was refused")

    monkeypatch.setattr("runguard._rounds.round.reap", broken)
    answer = cli("monitor", "--once", "--json", RUNGUARD_DATABASE_URL=filled_file)

    assert answer.exit_code == 1
    report = json.loads(answer.stdout)
    assert set(report["troubles"]) == {"reap"}
    assert "hunter2" not in answer.stdout + answer.stderr
    assert report["waiting"] == 0  # it was looked for


def test_what_fails_all_parts_is_told_once(
    cli: Cli,
    filled_file: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ValueError("the store is away")

    monkeypatch.setattr("runguard._rounds.round.reap", away)
    monkeypatch.setattr("runguard._rounds.round.replay", away)
    monkeypatch.setattr("runguard._rounds.round.Rounds._settle", away)
    answer = cli("monitor", "--once", RUNGUARD_DATABASE_URL=filled_file)

    assert answer.stdout.endswith("reap, replay, incidents failed: ValueError: the store is away\n")
    assert caplog.text.count("the store is away") == 1


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (_away(), (3, ["reap"])),
        (StoreUnavailable("permission denied"), (3, ["reap", "incidents"])),
        (SchemaOutOfDate(found="0004", needed="0005"), (4, ["reap", "incidents"])),
    ],
    ids=["away", "refuses", "schema"],
)
def test_one_round_that_the_store_fails_ends_with_its_exit_code_and_waits_for_nobody(
    cli: Cli,
    filled_file: str,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
    ending: tuple[int, list[str]],
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr("runguard._rounds.round.reap", fails)
    monkeypatch.setattr("runguard._rounds.round.Rounds._settle", fails)
    answer = cli("monitor", "--once", "--json", RUNGUARD_DATABASE_URL=filled_file)
    troubles = json.loads(answer.stdout)["troubles"]

    assert (answer.exit_code, [*troubles]) == ending


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, signum: signal.Signals) -> None:
    with subprocess.Popen(
        # The background of a shell ignores Ctrl-C, and hands that on.
        [
            *(sys.executable, "-c"),
            "import signal; signal.signal(2, signal.default_int_handler)\n"
            "from runguard.__main__ import main; raise SystemExit(main())",
            *("monitor", "--json"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUNGUARD_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=30)

    assert json.loads(first)["good"] is True
    assert (process.returncode, stdout, stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_that_it_prints_is_one_that_systemd_takes(tmp_path: Path) -> None:
    folder = tmp_path / "50% of jobs"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "runguard", "monitor", "--systemd"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUNGUARD_DATABASE_URL": f"sqlite:///{folder}/runs.db",
            "RUNGUARD_SPOOL_DIR": str(folder / "spool"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    unit = tmp_path / "runguard-monitor.service"
    unit.write_text(done.stdout)
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, check=True)
    written = str(folder).replace("%", "%%")

    assert (done.stderr, verified.stderr) == ("", b"")
    assert f"ExecStart={Path(sys.executable).with_name('runguard')} monitor --quiet" in done.stdout
    assert f"WorkingDirectory={written}\n" in done.stdout
    assert f'ReadWritePaths="-{written}/spool"\n' in done.stdout
    assert "sqlite" not in done.stdout
    assert not (folder / "runs.db").exists()


def test_what_was_found_of_jobs_stands_in_a_table_and_in_the_json(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    config = tmp_path / "runguard.toml"
    config.write_text('[jobs.nightly]\nevery = "1h"\n[jobs.hourly]\nevery = "1h"\n')
    given = {"RUNGUARD_DATABASE_URL": url, "RUNGUARD_CONFIG": str(config)}
    assert cli("monitor", "--once", **given).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute(
            "update job set look_at = datetime('now'), declared_at = datetime('now', '-3 hours')"
        )
    table = cli("monitor", "--once", **given)
    with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
        database.execute("delete from alert_cooldown where source_id = 'nightly'")
        database.execute("update job set look_at = datetime('now')")
    as_json = cli("monitor", "--once", "--json", **given)
    quiet = cli("monitor", "--once", "--quiet", **given)
    first, *rows = table.stdout.splitlines()
    report = json.loads(as_json.stdout)

    assert first.endswith("Z  2 findings raised")
    assert [row.split()[:4] for row in rows] == [
        ["MISSED", "hourly", "did", "not"],
        ["MISSED", "nightly", "did", "not"],
    ]
    assert (report["judged"], report["found"], report["missed"], report["closed"]) == (2, 1, 1, 0)
    assert report["findings"][0]["job_name"] == "nightly"
    assert quiet.stdout == ""


def test_files_of_the_same_name_in_two_folders_declare_beside_each_other(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"RUNGUARD_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runguard.toml").write_text(f'[jobs.{name}]\nevery = "1h"\n')
        monkeypatch.chdir(tmp_path / name)
        assert cli("monitor", "--once", **given).exit_code == 0
    listed = json.loads(cli("expect", "--json", **given).stdout)

    assert [(job["job_name"], job["declared_who"]) for job in listed] == [
        ("one", f"{tmp_path}/one/runguard.toml"),
        ("two", f"{tmp_path}/two/runguard.toml"),
    ]
