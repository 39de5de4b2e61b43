"""Runs the benchmarks: `python -m tests.benchmarks`, or `make bench`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from runguard._settings import COOLDOWN_MINUTES, LOCK_TTL_SECONDS

from . import machine, reporting
from .effort import FULL, QUICK
from .servers import server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .effort import Effort
    from .reporting import Section

SCENARIOS = {
    "single": "single",
    "slow-disk": "slow_disk",
    "pooler": "pooler",
    "startup": "startup",
    "storm": "storm",
    "throughput": "throughput",
    "rounds": "rounds",
    "at-size": "at_size",
    "page": "page",
    "growth": "growing",
}
"""The module of each, in the order in which they run."""
FOLDER = Path("build/bench")


def main(arguments: Sequence[str] | None = None, *, effort: Effort | None = None) -> int:
    """Run the scenarios one after another; returns 0 whatever was found."""
    options = _parser().parse_args(arguments)
    effort = effort or (QUICK if options.quick else FULL)
    sections: list[Section] = []
    begun = time.monotonic()
    with _no_settings(), server() as started:
        with started.connect() as connection:
            server_version = connection.execute("show server_version").fetchone()[0]
        shape, versions = machine.shape(), machine.versions(server_version)
        if not options.json:
            reporting.print_header(shape, versions, sys.stdout)
        for scenario in options.only or SCENARIOS:
            _say(f"{scenario} …", begun)
            module = import_module(f"{__package__}.{SCENARIOS[scenario]}")
            for section in module.measure(started, effort):
                _say(section.title, begun)
                sections.append(section)
                if not options.json:
                    reporting.print_section(section, sys.stdout)
            # After each, so that what was found survives an interruption of what follows.
            found = reporting.as_json(shape, versions, effort.name, sections)
            paths = reporting.write(found, sections, options.out)
    if options.json:
        print(json.dumps(found))
    else:
        reporting.print_section(reporting.goals(sections), sys.stdout)
    _say(f"written: {' '.join(map(str, paths))}", begun)
    return 0


@contextlib.contextmanager
def _no_settings() -> Iterator[None]:
    """Measure the defaults, whatever is set here, and leave the user's own store alone."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("RUNGUARD_") or name in (COOLDOWN_MINUTES, LOCK_TTL_SECONDS):
            del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look, in three minutes")
    parser.add_argument(
        "--only", nargs="+", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help=f"default: {FOLDER}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def _say(text: str, begun: float) -> None:
    print(f"[{time.monotonic() - begun:4.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
