"""What the clients of a pooler do, each in a process of its own."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg


def runguard_runs(url: str, index: int, times: int, threads: int = 2) -> None:
    """Make runs that succeed, fail, take a lock and raise alerts, from several threads."""
    from runguard import configure, run_scope

    configure(database_url=url, store_timeout=timedelta(minutes=2))

    def work(thread: int) -> None:
        for number in range(times):
            try:
                with run_scope(
                    f"job-{index}-{thread}", lock=number % 3 == 0, cooldown=timedelta(0)
                ) as run:
                    run.total_records = number
                    if number % 2:
                        raise ValueError("bad input")
            except ValueError:
                pass

    working = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()


def psycopg_prepares(url: str, times: int) -> str | None:
    """Wrong: prepare as psycopg does by itself. Returns the SQLSTATE of what that comes to."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        for number in range(times):
            try:
                connection.execute(f"select %s + {number % 3}", [number])
            except psycopg.Error as error:
                return error.sqlstate
    return None
