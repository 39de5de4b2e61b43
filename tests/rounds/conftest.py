"""A store of each kind, jobs that are expected to run, and rounds that look at them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from runguard._events import Events
from runguard._monitor.expectations import Expectation, JobDeclaration, MonitorRecord
from runguard._rounds.channels import Channels
from runguard._rounds.round import RoundReport, Rounds
from runguard._run.spool import Spool
from runguard._settings import Settings
from runguard._store.declaring import declare_jobs
from tests.store.conftest import BackDoor
from tests.store.drafts import TIMEOUT, new_run, success
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runguard._store.operator import OperatorStore

HOUR = timedelta(hours=1)


@dataclass
class World:
    """A store and a folder, as a monitor has them."""

    store: OperatorStore
    back_door: BackDoor
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def expect(self, *job_names: str, hours_ago: float = 3, **expected: Any) -> None:
        """Declare jobs some hours ago; somebody has looked ever since."""
        expectation = Expectation(**{"every": HOUR, **expected})
        said = [
            JobDeclaration(
                job_name=name,
                expectation=expectation,
                owner="data",
                runbook="https://wiki.example/nightly",
            )
            for name in job_names
        ]
        declare_jobs(self.store, said, timeout=TIMEOUT)
        self.back_door.age("job.declared_at", hours_ago * 3600)

    def look(self) -> None:
        """Leave that a monitor has looked just now."""
        now = self.store.now()
        record = MonitorRecord(who="other:1", kind="monitor", started_at=now, last_round_at=now)
        self.store.note_round(record, gap_after=timedelta(days=1))

    def run(self, job_name: str) -> None:
        """Let a job run."""
        run = new_run(job_name)
        self.store.start_run(run, timeout=TIMEOUT)
        self.store.finish_run(success(run), timeout=TIMEOUT)

    def configure(self, text: str) -> None:
        """Write the configuration's file."""
        (self.folder / "runguard.toml").write_text(text)

    def rounds(self, **options: Any) -> Rounds:
        """Return what runs rounds here, as a process of its own would."""
        return Rounds(
            self.store,
            Settings(),
            Spool(self.folder / "spool"),
            Events(),
            **{"kind": "once", "channels": Channels(self.environ, self.folder), **options},
        )

    def round(self, **options: Any) -> RoundReport:
        """Run one round."""
        report = self.rounds(**options).run()
        assert report.troubles == {}
        return report

    def let_cooldown_pass(self) -> None:
        """Move the last alert of each key into the past."""
        self.back_door.age("alert_cooldown.last_alert_at", 3600)


def store_url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'runs.db'}"
    return str(request.getfixturevalue("migrated_pg_url"))


@pytest.fixture(params=["postgresql", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url_of(str(request.param), request, tmp_path)


@pytest.fixture
def world(store_url: str, tmp_path: Path) -> Iterator[World]:
    with closing(open_store(store_url)) as store:
        store.job_names()  # SQLite makes its tables on first use
        engine = create_engine(store_url)
        yield World(store, BackDoor(engine), tmp_path)
        engine.dispose()
