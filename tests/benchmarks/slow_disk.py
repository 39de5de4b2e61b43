"""A server whose disk takes long to sync: what a start that does not wait for it saves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runguard._api import runtime
from tests.support.postgres import PostgresServer

from . import side_by_side
from .contenders import by_hand, with_runguard
from .contenders.kinds import KINDS
from .measuring import Contender
from .reporting import Section
from .servers import SETTINGS, database, runguard_on
from .side_by_side import Bound, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager, ExitStack

    from tests.support.postgres import PostgresAddress

    from .contenders.kinds import Kind
    from .effort import Effort

SYNC_MS = 2
FULL, RELAXED = "runguard, start_durability=full", "runguard, start_durability=relaxed"

# Stands before the C library's in the server's processes; what is written is never synced.
FDATASYNC = f"""
#include <time.h>
int fdatasync(int file) {{
  (void) file;
  struct timespec duration = {{0, {SYNC_MS} * 1000000L}};
  nanosleep(&duration, 0);
  return 0;
}}
"""


class SlowDiskServer(PostgresServer):
    """A server each of whose syncs takes `SYNC_MS`, whatever the disk of this machine takes."""

    def _process_options(self) -> dict[str, Any]:
        options = super()._process_options()
        library = self.folder / "fdatasync.so"
        if not library.exists():
            _compile(library)
        return {**options, "env": {**options["env"], "LD_PRELOAD": str(library)}}


def measure(_server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """One success, with a start that waits and with one that does not, beside the same by hand."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        yield Section("slow-disk", f"A sync of {SYNC_MS} ms", ("",), notes=["needs Linux and a cc"])
        return
    with SlowDiskServer(durable=True, settings=SETTINGS) as server, database(server) as url:
        yield from side_by_side.measure(url, SLOW_DISK, SUCCESS, effort)


def both_durabilities(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """The same runs, before each of which the store is told whether its start shall wait."""
    stack.enter_context(runguard_on(url))
    connection = stack.enter_context(by_hand.connect(url, prepared=True))
    return [
        by_hand.contender(by_hand.on(connection), kind, by_hand.PREPARED),
        _with_starts(with_runguard.block(kind), FULL, relaxed=False),
        _with_starts(with_runguard.block(kind), RELAXED, relaxed=True),
    ]


def _with_starts(contender: Contender, name: str, *, relaxed: bool) -> Contender:
    def time(runs: Sequence[Any], around: AbstractContextManager[object]) -> list[int]:
        runtime.store().relaxed_start = relaxed
        return contender.time(runs, around)

    return Contender(name, contender.prepare, time)


def _compile(library: Path) -> None:
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=FDATASYNC, text=True, check=True)
    library.chmod(0o755)  # the server may run as another user


SUCCESS = KINDS[0]
SLOW_DISK = Group(
    "slow-disk",
    f"PostgreSQL whose disk takes {SYNC_MS} ms to sync",
    both_durabilities,
    {"relaxed": RELAXED, "prepared": by_hand.PREPARED},
    [Bound(SUCCESS, FULL, RELAXED, 1.4, "at least")],
    counts=False,
)
