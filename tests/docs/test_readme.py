"""Every block of the README does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

import runguard
from runguard import _events, run_scope
from runguard._config import Settings

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNGUARD = str(Path(sys.executable).with_name("runguard"))


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found if block[0] in languages or not languages]


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "try_it.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


def run_command(command: str) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    assert program == "runguard", command
    return subprocess.run(
        [RUNGUARD, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def without_times(text: str) -> list[list[str]]:
    """The words of each line, but for times, durations and the home folder."""
    text = text.replace(os.environ["XDG_STATE_HOME"], "~/.local/state")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    return [re.sub(r"\b\d+\.\d\ds\b", "TOOK", line).split() for line in text.splitlines()]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.language for block in blocks()} == {"python", "console", "text", "sql"}
    assert len(blocks("sql")) == 4


def test_ten_lines_print_what_is_shown(tmp_path: Path) -> None:
    [code, *_] = blocks("python")
    [shown, *_] = blocks("text")
    first = run_python(code.text, tmp_path)
    second = run_python(code.text, tmp_path)

    assert first.stdout == ""
    assert without_times(first.stderr)[:2] == without_times(shown.text)
    assert "TimeoutError: the upstream did not answer within 5 s" in first.stderr
    assert "runguard.alert_created" not in second.stderr
    [listing] = [block for block in blocks("console") if block.text.startswith("$ runguard runs")]
    command, _, table = listing.text.partition("\n")
    printed = run_command(command.removeprefix("$ "))
    assert without_times(printed.stdout) == without_times(table)


def test_the_quick_check_leaves_what_it_says(tmp_path: Path) -> None:
    [code] = [block for block in blocks("python") if "quick_check" in block.text]
    result = run_python(code.text, tmp_path)

    assert result.returncode == 0, result.stderr
    runs = run_command("runguard runs --job quick_check --json").stdout
    alerts = run_command("runguard alerts --json").stdout
    assert re.findall(r'"status": "(\w+)"', runs) == ["FAILED", "FAILED", "SUCCESS"]
    assert re.findall(r'"alert_outcome": "(\w+)"', runs) == ["suppressed", "raised", "none"]
    assert alerts.count('"source_id": "quick_check:HTTP_5XX"') == 1


def test_the_two_lines_make_sigterm_end_a_run_properly(tmp_path: Path) -> None:
    [handler] = [block for block in blocks("python") if "SIGTERM" in block.text]
    script = tmp_path / "job.py"
    script.write_text(
        f"{handler.text}\n"
        "from runguard import run_scope\n"
        "with run_scope('long_job'):\n"
        "    print('inside', flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        process.terminate()

    assert process.returncode == 143
    [run] = json.loads(run_command("runguard runs --json").stdout)
    assert (run["status"], run["error_type"]) == ("FAILED", "SystemExit")


def test_the_settings_block_can_be_run(tmp_path: Path) -> None:
    [code] = [block for block in blocks("python") if "configure(" in block.text]
    check = "from runguard import classify\nassert classify(ConnectionResetError()).error_group"
    result = run_python(f"{code.text}\n{check} == 'HTTP_5XX'\n", tmp_path)

    assert result.returncode == 0, result.stderr


def test_the_pages_can_be_mounted_as_shown(tmp_path: Path) -> None:
    [code] = [block for block in blocks("python") if "create_app" in block.text]
    ask = """
import asyncio, httpx, logging

async def ask():
    logging.disable(logging.WARNING)  # the one that tells of the embedded store
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path in ("health", ""):
            print((await client.get(f"/runguard/{path}")).status_code)

asyncio.run(ask())
"""
    result = run_python(f"{code.text}\n{ask}", tmp_path)

    assert (result.stdout.split(), result.stderr) == (["200", "200"], ""), result.stderr


def test_the_commands_exist() -> None:
    for block in blocks("console"):
        for line in block.text.splitlines():
            if not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ").partition("  #")[0].strip()
            program, *arguments = shlex.split(command)
            if program == "make":
                result = subprocess.run(
                    ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, check=False
                )
                assert result.returncode == 0, command
            elif program == "runguard":
                assert run_command(f"{command} --help").returncode == 0, command
            else:
                assert command in {
                    "pip install '.[binary,cli]'",
                    "pip install '.[binary,cli,web]'",
                    "export RUNGUARD_DATABASE_URL=postgresql://app@db.internal/prod",
                }


def test_the_command_table_is_what_the_program_has() -> None:
    from typer.main import get_command

    from runguard._cli.app import app

    listed = set(re.findall(r"^\| `runguard ([a-z ]+)`", section("Commands"), re.MULTILINE))
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {one}" for one in inner} if inner else {name}

    assert listed == found


@pytest.fixture
def filled_pg_url(migrated_pg_url: str) -> str:
    """40,000 runs of a week, one in a hundred failed, each fifth failure with an alert."""
    libpq = make_url(migrated_pg_url).set(drivername="postgresql")
    url = libpq.render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into run_log (job_name, status, started_at, error_group, alert_outcome)"
            " select 'job_' || n % 50, case when n % 100 = 0 then 'FAILED' else 'SUCCESS' end,"
            " now() - n * interval '15 seconds', case when n % 100 = 0 then 'TIMEOUT' end, 'none'"
            " from generate_series(1, 40000) n"
        )
        connection.execute(
            "insert into alert (source_type, source_id, alert_type, severity, title, detail,"
            " created_at) select 'run_log', job_name || ':TIMEOUT', 'FAILED', 'high', 'x',"
            " jsonb_build_object('run_id', id, 'error_group', 'TIMEOUT'), started_at"
            " from run_log where status = 'FAILED' and id % 5 = 0"
        )
        connection.execute(
            "insert into alert (source_type, source_id, alert_type, severity, title, created_at)"
            " select 'student', n::text, 'NEW', 'low', 'x', now() - n * interval '90 seconds'"
            " from generate_series(1, 20000) n"
        )
        connection.execute("vacuum analyze run_log")
        connection.execute("vacuum analyze alert")
    return url


@pytest.mark.parametrize("block", blocks("sql"), ids=["runs", "alerts", "groups", "join"])
def test_each_statement_for_operators_uses_an_index_and_finds_rows(
    filled_pg_url: str, block: Block
) -> None:
    with psycopg.connect(filled_pg_url) as connection:
        rows = connection.execute(block.text.encode()).fetchall()
        plan = "\n".join(line for (line,) in connection.execute(f"explain {block.text}".encode()))

    assert rows
    assert "Seq Scan" not in plan, plan
    assert "Index" in plan, plan


def test_the_events_table_names_what_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {
        event: (level, re.findall(r"`(\w+)`", keys))
        for event, level, keys in re.findall(
            r"^\| `(runguard\.\w+)` \| (\w+) \| (.*) \|$", section("Log events"), re.MULTILINE
        )
    }
    caplog.set_level("DEBUG", logger="runguard")
    monkeypatch.setenv("RUNGUARD_DATABASE_ULR", "x")
    for _ in range(2):
        with pytest.raises(ValueError, match="x"), run_scope("job"):
            raise ValueError("x")
    with run_scope("job", lock=True):
        runguard._runtime.runtime.store().release_lock(_lease_of("job"), timeout=5)
    store = type(runguard._runtime.runtime.store())
    with monkeypatch.context() as outage:
        outage.setattr(store, "start_run", _fail)
        outage.setattr(store, "replay_run", _fail)
        with run_scope("job"):
            pass
        outage.setattr("runguard._spool.Spool.put", _fail)
        with run_scope("job"):
            pass
    monkeypatch.setattr("runguard._spool.LOOK_EVERY_SECONDS", 0.0)
    runguard._runtime.runtime.spool()._look_again_at = 0.0
    with run_scope("job"):
        pass

    logged = {record.getMessage().split()[0]: record for record in caplog.records}
    assert set(logged) == set(table) == set(_events._LEVELS)
    for event, (level, keys) in table.items():
        assert list(logged[event].runguard) == keys, event  # type: ignore[attr-defined]
        assert logged[event].levelname.lower() == level, event


def test_the_settings_table_names_every_setting() -> None:
    listed = set(re.findall(r"`([a-z_]+)`", section("Settings")))

    settings = {field.name for field in fields(Settings)} - {"redactor"}
    assert settings | {"redact", "check"} <= listed


def test_plain_runguard_is_never_installed() -> None:
    assert not re.search(r"pip install [\"']?runguard(?!-runlog)", README)


def _lease_of(job_name: str) -> Any:
    [held] = runguard._runtime.runtime.keeper._leases.values()
    assert held.lease.job_name == job_name
    return held.lease


def _fail(*_args: object, **_kwargs: object) -> None:
    raise ZeroDivisionError
