"""`python -m runguard` and the console script."""

from __future__ import annotations

import sys

MISSING_EXTRA = """\
runguard: the command line needs Typer and Rich, which come with the extra `cli`:
    pip install 'runguard-runlog[cli]'      (in a checkout: pip install '.[cli]')
"""


def main() -> int:
    """Run the command line; returns its exit code."""
    # Rich is imported when a command that prints tables is looked up.
    try:
        from ._cli.app import run

        return run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.stderr.write(MISSING_EXTRA)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
