"""Outlives the owner of a server or a pooler by the moment it takes to clean up after it.

Run as `python keeper.py FOLDER` with a pipe as standard input. The pipe ends when the owner closes
it, or when it dies in any way at all; then what runs in the folder is stopped, and it is removed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path


def clean_up(folder: Path) -> None:
    """Stop what still runs in the folder, and remove what it left."""
    for pid_file in folder.glob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(lines[0]), signal.SIGQUIT)
        # A killed server leaves its System V segment, which only a restart would remove.
        subprocess.run(["ipcrm", "-m", lines[6].split()[1]], check=False, capture_output=True)
    # The data may lie elsewhere, in memory.
    for place in ((folder / "data").resolve(), folder):
        remove(place)


def remove(folder: Path) -> None:
    """Remove a folder, also one that somebody still writes to."""
    # A server that is still on its way out may write another file behind the first pass.
    for _ in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.05)


if __name__ == "__main__":
    sys.stdin.read()
    clean_up(Path(sys.argv[1]))
