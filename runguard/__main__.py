"""`python -m runguard` and the console script."""

from __future__ import annotations

import gc
import sys

OBJECTS_OF_A_START = 150_000  # more than a command makes that reads, until it begins
MISSING_EXTRA = """\
runguard: the command line needs Typer and Rich, which come with the extra `cli`:
    pip install 'runguard-runlog[cli]'      (in a checkout: pip install '.[cli]')
"""


def main() -> int:
    """Run the command line; returns its exit code."""
    # A command is short and leaves hardly any garbage. Looking for it in all that Python and the
    # libraries loaded, now and then and once more at the end, is a third of what a command takes.
    gc.set_threshold(OBJECTS_OF_A_START)
    try:
        from ._cli.start import run

        return run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write(MISSING_EXTRA)
        return 2
    finally:
        gc.freeze()


if __name__ == "__main__":
    raise SystemExit(main())
