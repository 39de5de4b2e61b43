"""What a job's process starts so that its alerts reach people; see `_run.delivery`.

`python -m runguard._rounds.child` takes all that it must know from its environment. It needs no
extra, and says nothing: its exit code is that of a command.
"""

from __future__ import annotations

import sys
from typing import Final

from .. import _api
from .._errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from .round import Rounds

EXIT_CODE_OF: Final[dict[type[Exception], int]] = {
    ConfigurationError: 2,
    StoreUnavailable: 3,
    SchemaOutOfDate: 4,
}


def main() -> int:
    """Run rounds until nothing is due; return the exit code."""
    runtime = _api.new_runtime()
    try:
        runtime.configure({})
        store = _api.operator_store(runtime)
        rounds = Rounds(store, runtime.settings(), runtime.spool(), runtime.events)
        return 0 if rounds.run().is_good else 1
    except tuple(EXIT_CODE_OF) as error:
        runtime.events.internal_error("deliver", error)
        return next(code for kind, code in EXIT_CODE_OF.items() if isinstance(error, kind))
    finally:
        runtime.close()


if __name__ == "__main__":
    sys.exit(main())
