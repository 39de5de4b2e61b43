"""A real PostgreSQL server of the distribution's, with the extension pg_cron."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def programs_with_pg_cron() -> Path | None:
    """The folder of a server's programs that can load pg_cron; None where none is installed."""
    found = [path for path in PROGRAMS if (path.parent / "lib" / "pg_cron.so").exists()]
    return found[-1] if found else None


class PgCronServer(PostgresServer):
    """A server whose `postgres` database has pg_cron, with its launcher awake every second."""

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        pg_cron = {
            "shared_preload_libraries": "pg_cron",
            "cron.database_name": "postgres",
            "max_worker_processes": "16",
            "synchronous_commit": "on",  # it is stopped at once, and must not forget its jobs
        }
        super().__init__(settings={**pg_cron, **(settings or {})})

    def _readable_programs(self, version: int) -> Path:
        programs = programs_with_pg_cron()
        assert programs is not None
        self.programs = programs
        return programs
