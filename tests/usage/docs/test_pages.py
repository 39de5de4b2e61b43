"""What single pages promise beyond their blocks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import runguard
import runguard.testing
from runguard import _events, run_scope
from runguard._reasons import ErrorReason
from runguard.integrations import _schedules
from tests.usage.docs.pages import blocks, text_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_two_lines_make_sigterm_end_a_run_properly(tmp_path: Path) -> None:
    page = blocks("docs/howto/install-on-a-server.md", "python")
    [handler] = [block for block in page if "SIGTERM" in block.text]
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
    command = [sys.executable, "-m", "runguard", "runs", "--json"]
    [run] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (run["status"], run["error_type"]) == ("FAILED", "SystemExit")


def test_the_pages_can_be_mounted_as_shown(tmp_path: Path) -> None:
    [code] = [
        block for block in blocks("docs/howto/web-page.md", "python") if "create_app" in block.text
    ]
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
    script = tmp_path / "app.py"
    script.write_text(f"{code.text}\n{ask}")
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False
    )

    assert (result.stdout.split(), result.stderr) == (["200", "200"], ""), result.stderr


def test_the_table_of_reasons_names_each_of_them() -> None:
    section = text_of("docs/explanation/classification.md").partition("## Reason\n")[2]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| "))

    assert set(re.findall(r"`(\w+)`", table)) == set(ErrorReason)


def test_the_table_of_events_names_what_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {
        event: (level, re.findall(r"`(\w+)`", keys))
        for event, level, keys in re.findall(
            r"^\| `(runguard\.\w+)` \| (\w+) \| (.*) \|$",
            text_of("docs/reference/events.md"),
            re.MULTILINE,
        )
    }
    caplog.set_level("DEBUG", logger="runguard")
    monkeypatch.setenv("RUNGUARD_DATABASE_ULR", "x")
    for _ in range(2):
        with pytest.raises(ValueError, match="x"), run_scope("job"):
            raise ValueError("x")
    with run_scope("job", lock=True):
        runguard._api.runtime.store().release_lock(_lease_of("job"), timeout=5)
    store = type(runguard._api.runtime.store())
    with monkeypatch.context() as outage:
        outage.setattr(store, "start_run", _fail)
        outage.setattr(store, "replay_run", _fail)
        with run_scope("job"):
            pass
        outage.setattr("runguard._run.spool.Spool.put", _fail)
        with run_scope("job"):
            pass
    monkeypatch.setattr("runguard._run.spool.LOOK_EVERY_SECONDS", 0.0)
    runguard._api.runtime.spool().look_again_at = 0.0
    (runguard._api.runtime.spool().folder / "no record.json").write_text("")
    with run_scope("job"):
        pass

    runguard._api.runtime.after_fork()  # what was found of channels is looked for again
    monkeypatch.setenv("RUNGUARD_NOTIFY", "webhook+https://127.0.0.1:1/")
    monkeypatch.setattr("runguard._run.delivery.PROGRAM", "runguard.no_such_module")
    with run_scope("job") as run:
        run.emit_alert("A", source_type="s", source_id="1", severity="low", title="t", message="m")
        assert runguard._api.runtime._delivery._idle.wait(30)
        monkeypatch.setattr("sys.frozen", True, raising=False)
        run.emit_alert("B", source_type="s", source_id="1", severity="low", title="t", message="m")

    _schedules.tell_skipped("job", datetime.now(UTC), "misfire")
    _schedules.Schedules().tell("job", "cron[week=1]", "cron has no weeks")

    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")
    with run_scope("job", lock=True):
        pass

    logged = {record.getMessage().split()[0]: record for record in caplog.records}
    assert set(logged) == set(table) == set(_events.LEVELS)
    for event, (level, keys) in table.items():
        assert list(logged[event].runguard) == keys, event  # type: ignore[attr-defined]
        assert logged[event].levelname.lower() == level, event


def _lease_of(job_name: str) -> Any:
    [held] = runguard._api.runtime.heartbeat._leases.values()
    assert held.lease.job_name == job_name
    return held.lease


def _fail(*_args: object, **_kwargs: object) -> None:
    raise ZeroDivisionError


def test_the_integrations_are_tested_with_the_versions_that_their_page_says() -> None:
    rows = re.findall(
        r"^\| \[([\w-]+)[^|]*\| `.*` \| ([\d.]+) \|$", text_of("docs/integrations/index.md"), re.M
    )
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text_of("constraints.txt").lower(), re.M))

    assert len(rows) == 8
    assert dict(rows) == {name: pinned[name.lower()] for name, _ in rows}
