"""What a spawned process does; it finds this by its name, for it inherits nothing."""

from __future__ import annotations

from datetime import timedelta


def work(url: str, name: str, runs: int) -> None:
    """Make runs that succeed and runs that fail, in turn."""
    from runguard import configure, run_scope, testing

    testing.reset()  # a process of the pool works for several children
    configure(database_url=url, store_timeout=timedelta(minutes=2))
    for number in range(runs):
        try:
            with run_scope(name) as run:
                run.total_records = number
                if number % 2:
                    raise ValueError("bad input")
        except ValueError:
            pass
