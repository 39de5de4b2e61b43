"""Many processes that upgrade at once: one works, nobody fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from runguard._store import migrate as migrations
from tests.support.processes import race

from .databases import Database, dsn

if TYPE_CHECKING:
    from pathlib import Path

RACER = """
import sys
from runguard._store.migrate import upgrade

for url in sys.argv[1:]:
    said = []
    wait()
    upgrade(url, progress=said.append)
    report(sum("run_log" in line for line in said) > 0)
"""


def test_eight_upgraders_at_once_upgrade_once(
    database: Database, filled: Database, tmp_path: Path
) -> None:
    sqlite = f"sqlite:///{tmp_path / 'own.db'}"

    outcomes = race(RACER, count=8, rounds=3, arguments=[database.url, filled.url, sqlite])

    assert [outcome.stderr for outcome in outcomes if outcome.exit_code] == []
    workers = [sum(reports) for reports in zip(*(o.reports for o in outcomes), strict=True)]
    assert workers == [1, 1, 1]
    for url in (database.url, filled.url, sqlite):
        assert migrations.check(url) == []


def test_an_upgrader_waits_in_no_transaction(filled: Database, monkeypatch: Any) -> None:
    """One that waited inside a statement would be waited for by CREATE INDEX CONCURRENTLY."""
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.01)
    waiting: list[str] = []
    with psycopg.connect(dsn(filled.url)) as other:
        other.execute("select pg_advisory_xact_lock(%s)", [migrations._UPGRADER_KEY])

        def listen(line: str) -> None:
            if line.startswith("another upgrade"):
                waiting.extend(
                    filled.values(
                        "select state::text from pg_stat_activity where pid <> pg_backend_pid()"
                        f" and pid <> {other.info.backend_pid} and datname = current_database()"
                    )
                )
                other.rollback()

        migrations.upgrade(filled.url, progress=listen)

    assert waiting == ["idle"]
    assert migrations.check(filled.url) == []
