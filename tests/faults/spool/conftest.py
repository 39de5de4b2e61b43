"""A spool with records in it, on either store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runguard._api import runtime
from runguard._models import Counters, SpooledRun
from tests.cli.conftest import cli
from tests.run.conftest import engine, events, sql, sqlite_url, url
from tests.store.drafts import failure, new_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["cli", "engine", "events", "sql", "sqlite_url", "url"]


@pytest.fixture
def put() -> Callable[..., Path]:
    """Let a failed run wait, as an outage would; return its file."""

    def put_one(job_name: str = "waited", counters: Counters | None = None) -> Path:
        run, now = new_run(job_name), datetime.now(UTC)
        ending = failure(run, counters=counters)
        return runtime.spool().put(SpooledRun(run, now, now, ending))

    return put_one
