"""`RUNGUARD_DISABLED=1`: bodies run, and nothing is stored."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

import runguard
from runguard import ConfigurationError, Expect, RunStatus, current_run, run_scope, tracked_run
from runguard._api import runtime
from tests.support.stores import newest_runs, open_store


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    return url


def test_bodies_run_with_a_handle_that_works_and_nothing_is_stored(
    url: str, tmp_path: Path
) -> None:
    runguard.configure(check=True)

    @tracked_run("sync", expect=Expect(every="1h"))
    def sync() -> runguard.Run:
        run = current_run()
        assert run is not None
        run.total_records += 3
        told = run.emit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )
        assert not told
        run.fail("3 pages failed")
        return run

    async def body() -> None:
        async with run_scope("sync"):
            raise ValueError("x")

    run = sync()
    with pytest.raises(ValueError, match="x"):
        asyncio.run(body())

    assert (run.id, run.status, run.total_records) == (None, RunStatus.FAILED, 3)
    assert [one.name for one in tmp_path.iterdir()] == ["home"]
    assert list((tmp_path / "home").rglob("*")) == []


def test_it_is_said_once_that_a_lock_keeps_nobody_out(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with run_scope("sync", lock=True) as first, run_scope("sync", lock=True) as second:
        assert first.fence is not None
        assert second.fence is not None
        assert first.fence < second.fence

    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert told == ["runguard.lock_not_taken job_name=sync why='RUNGUARD_DISABLED is set'"]


def test_what_waits_for_the_store_goes_on_waiting(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNGUARD_DISABLED")
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/away", store_timeout=timedelta(seconds=0.1)
    )
    with run_scope("sync"):
        pass
    waiting = {*(tmp_path / "home").rglob("*.json")}
    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")
    runguard.configure(database_url="postgresql://127.0.0.1:1/away")

    with run_scope("sync"):
        pass

    assert len(waiting) == 2
    assert {*(tmp_path / "home").rglob("*.json")} == waiting


def test_operators_look_at_the_store_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNGUARD_DISABLED")
    with run_scope("sync"):
        pass
    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")

    from runguard._api import operator_store

    assert [run.job_name for run in newest_runs(operator_store(runtime))] == ["sync"]
    assert len(newest_runs(open_store(url))) == 1


def test_a_value_that_is_none_is_an_error_before_the_body(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DISABLED", "perhaps")

    with (
        pytest.raises(
            ConfigurationError, match="RUNGUARD_DISABLED: expected true or false, found 'perhaps'"
        ),
        run_scope("sync"),
    ):
        raise AssertionError("expected no body")
