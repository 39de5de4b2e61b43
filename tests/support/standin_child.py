"""Stands in for the process that delivers: notes what it was given, waits, and ends as told."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path


def _descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one by which we look
            found[entry.name] = str(entry.readlink())
    return found


def main() -> int:
    folder = Path(os.environ["STANDIN_FOLDER"])
    facts = {
        "argv": Path("/proc/self/cmdline").read_text(encoding="utf-8").split("\0"),
        "environ": dict(os.environ),
        "descriptors": _descriptors(),
        "is_leader": os.getsid(0) == os.getpid(),
        "folder": str(Path.cwd()),
        "path": sys.path,
    }
    part = folder / f"{os.getpid()}.part"
    part.write_text(json.dumps(facts), encoding="utf-8")
    part.rename(folder / f"{os.getpid()}.json")
    if fifo := os.environ.get("STANDIN_WAITS_FOR"):
        Path(fifo).read_bytes()  # until somebody has opened it for writing, and closed it
        (folder / f"{os.getpid()}.over").touch()
    return int(os.environ.get("STANDIN_EXIT_CODE", "0"))


if __name__ == "__main__":
    sys.exit(main())
