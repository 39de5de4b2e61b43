"""What a job's process starts so that its alerts reach people; see `_run.delivery`.

`python -m runguard._rounds.child` takes all that it must know from its environment. It needs no
extra, and says nothing: its exit code is that of a command.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Final

from .. import _api
from .._clock import ticks
from .._errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from .._run.delivery import ENDED_JOBS
from .round import Rounds

LIFETIME_SECONDS: Final = 600.0
LOOK_EVERY_SECONDS: Final = 5.0  # while it waits for a second try: the job may fail again meanwhile
EXIT_CODE_OF: Final[dict[type[Exception], int]] = {
    ConfigurationError: 2,
    StoreUnavailable: 3,
    SchemaOutOfDate: 4,
}


def main() -> int:
    """Deliver what is due, and what becomes due within the lifetime; return the exit code."""
    runtime = _api.new_runtime()
    try:
        runtime.configure({})
        store = _api.operator_store(runtime)
        rounds = Rounds(
            store,
            runtime.settings(),
            runtime.spool(),
            runtime.events,
            only_delivers=True,
            job_names=_ended_jobs(os.environ),
        )
        return _deliver(rounds, until=ticks() + LIFETIME_SECONDS)
    except tuple(EXIT_CODE_OF) as error:
        runtime.events.internal_error("deliver", error)
        return next(code for kind, code in EXIT_CODE_OF.items() if isinstance(error, kind))
    finally:
        runtime.close()


def _ended_jobs(environ: Mapping[str, str]) -> list[str] | None:
    """Read whose incidents may be over: all may be, where nothing says so.

    A thousand jobs that fail at once have a thousand incidents, and as many children.
    """
    try:
        names = json.loads(environ.get(ENDED_JOBS, ""))
    except ValueError:
        return None
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _deliver(rounds: Rounds, *, until: float) -> int:
    while True:
        report = rounds.run(stops=lambda: ticks() >= until)
        due = None if report.troubles else rounds.next_due_in()
        if due is None or ticks() + due.total_seconds() > until:
            return 0 if report.is_good else 1
        time.sleep(min(max(due.total_seconds(), 0.1), LOOK_EVERY_SECONDS))


if __name__ == "__main__":
    sys.exit(main())
