"""Alerts reach people from a process apart: it outlives this one, and no run waits for a channel.

Loaded only where channels may be configured. One such process at a time is this one's child. It
gets no descriptor, no lock and no terminal of ours, and all that it must know by its environment:
command lines are for everybody to read.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from .._clock import ticks
from .._events import DELIVERY_FAILED, DELIVERY_UNAVAILABLE, Events
from .._settings import (
    AUTO_RESOLVE,
    DATABASE_URL,
    DATABASE_URL_FILE,
    DELIVER,
    ENVIRONMENT,
    Settings,
)

PROGRAM: Final = "runguard._rounds.child"
ASK_EVERY_SECONDS: Final = 60.0
LONGEST_PAUSE_SECONDS: Final = 900.0  # between two such questions, while the answer stays yes
PATIENCE_AT_EXIT_SECONDS: Final = 5.0
ENDED_JOBS: Final = "_RUNGUARD_ENDED_JOBS"  # for the child, in JSON: whose incidents may be over
MOST_ENDED_JOBS: Final = 200
LONGEST_ENDED_JOBS: Final = 64 * 1024  # characters: the system bounds an environment
INSTEAD: Final = "`runguard monitor` or `runguard monitor --once` delivers instead"


class Delivery:
    """What one process does so that alerts reach people.

    Args:
        settings: of this process; the child uses the same store.
        events: where to tell what goes wrong.
        is_due: whether anything is to be told, asked with the names of jobs and a timeout.
        lock: held while a process is started: forks wait for it, so that none inherits the pipe
            by which `subprocess` learns of the start.
        folder: where relative paths of a configuration begin; empty for the current one.
    """

    def __init__(
        self,
        settings: Settings,
        events: Events,
        is_due: Callable[..., bool],
        *,
        lock: threading.RLock,
        folder: str = "",
    ) -> None:
        """Start nothing yet."""
        self._settings = settings
        self._events = events
        self._is_due = is_due
        self._lock = lock
        self._folder = folder
        self._pid = os.getpid()
        self._ask_again_at = 0.0
        self._ask_every = ASK_EVERY_SECONDS
        self._is_awaited = False  # somebody waits for the child of the moment
        self._is_wanted_again = False  # an alert came while it was at work
        self._idle = threading.Event()
        self._ended_jobs: dict[str, None] = {}  # since the last child was started
        self._told: set[object] = set()
        self._command = [*_interpreter(), "-m", PROGRAM]

    def after_ending(self, job_name: str, *, raised: bool, timeout: float) -> None:
        """Start the child where an alert was raised, or, asked once a minute, anything is due."""
        with self._lock:
            self._ended_jobs[job_name] = None
            if len(self._ended_jobs) > MOST_ENDED_JOBS:
                del self._ended_jobs[next(iter(self._ended_jobs))]
            ended = tuple(self._ended_jobs)
        if raised or self._is_anything_due(ended, timeout):
            self.start()

    def may_wait(self, job_name: str) -> bool:
        """Note that a job has ended; False where it is time to ask. Takes no lock."""
        if ticks() >= self._ask_again_at or len(self._ended_jobs) >= MOST_ENDED_JOBS:
            return False
        self._ended_jobs[job_name] = None
        return True

    def start(self) -> None:
        """Start the child, or have it followed by another if it is at work."""
        with self._lock:
            if self._is_awaited:
                self._is_wanted_again = True
            elif (child := self._start_child()) is not None:
                self._await(child)

    def wait_at_exit(self, timeout: float = PATIENCE_AT_EXIT_SECONDS) -> None:
        """Give the child a chance to end first: in a container it ends with us."""
        if self._pid != os.getpid():  # a fork has inherited what the interpreter does at its exit
            return
        try:
            self._idle.wait(timeout)
        except KeyboardInterrupt:  # somebody does not want to wait; the child goes on
            return

    def _is_anything_due(self, ended: tuple[str, ...], timeout: float) -> bool:
        now = ticks()
        if now < self._ask_again_at:
            return False
        self._ask_again_at = now + LONGEST_PAUSE_SECONDS  # where it may not ask, or cannot
        is_due = self._is_due(ended, timeout=timeout)
        self._ask_again_at = now + self._ask_every
        # What stays due, as a notice for a channel that others have, is asked for less and less.
        longer = min(2 * self._ask_every, LONGEST_PAUSE_SECONDS)
        self._ask_every = longer if is_due else ASK_EVERY_SECONDS
        return is_due

    def _start_child(self) -> subprocess.Popen[bytes] | None:
        why_not = _why_not(self._settings)
        if why_not is None:
            ended = self._take_ended_jobs()
            try:
                return self._popen(self._folder or None, ended)
            except OSError as trouble:  # such as no process, no memory or no file that is left
                self._ended_jobs |= dict.fromkeys(ended)
                why_not = str(trouble)
        self._tell(DELIVERY_UNAVAILABLE, reason=f"{why_not}: {INSTEAD}")
        return None

    def _take_ended_jobs(self) -> list[str]:
        """Take the names one by one: who ends a run meanwhile is for the next child."""
        names: deque[str] = deque()
        with suppress(KeyError):
            while True:
                names.appendleft(self._ended_jobs.popitem()[0])
        return list(names)

    def _popen(self, folder: str | None, ended: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this interpreter, and constants
            self._command,
            env=_environment(self._settings) | {ENDED_JOBS: _in_json(ended)},
            cwd=folder if folder is None or os.path.isdir(folder) else os.sep,  # noqa: PTH112
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _await(self, child: subprocess.Popen[bytes]) -> None:
        """Have a thread collect the child, so that no zombie remains."""
        thread = threading.Thread(
            target=self._see_out, args=(child,), name="runguard-delivery", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter shuts down, or the system has no thread left
            return
        self._is_awaited = True
        self._idle.clear()
        atexit.unregister(self.wait_at_exit)
        atexit.register(self.wait_at_exit)

    def _see_out(self, child: subprocess.Popen[bytes] | None) -> None:
        while child is not None:
            exit_code = child.wait()
            if exit_code:
                self._tell(DELIVERY_FAILED, exit_code=exit_code, see="runguard monitor --once")
            with self._lock:
                again, self._is_wanted_again = self._is_wanted_again, False
                child = self._start_child() if again else None
                if child is None:
                    self._is_awaited = False
                    self._idle.set()

    def _tell(self, event: str, **fields: Any) -> None:
        """Tell it once: a service that fails every minute need not hear it every minute."""
        what = (event, *fields.values())
        if what not in self._told:
            self._told.add(what)
            self._events.emit(event, **fields)


def _interpreter() -> list[str]:
    """Return the command that starts an interpreter like this one.

    The current folder is not searched for modules: it may be a place where others write.
    """
    flags = {"-s": sys.flags.no_user_site, "-S": sys.flags.no_site}
    return [
        sys.executable,
        "-P",
        "-W",
        "ignore",
        *(name for name, is_set in flags.items() if is_set),
    ]


def _why_not(settings: Settings) -> str | None:
    """Say why no other process can deliver for this one; None where it can."""
    program = os.path.basename(sys.executable or "")  # noqa: PTH119 - no run shall wait for pathlib
    if getattr(sys, "frozen", False) or not program.lower().startswith(("python", "pypy")):
        return f"expected a Python interpreter in sys.executable, found {sys.executable!r}"
    url = _url_of(settings)
    if url.partition(":///")[2].partition("?")[0] in ("", ":memory:") and "sqlite" in url[:6]:
        return "the store lies in this process's memory"
    return None


def _url_of(settings: Settings) -> str:
    if settings.engine is not None:
        return str(settings.engine.url.render_as_string(hide_password=False))
    if settings.database_url is not None:
        return settings.database_url
    from .embedded import embedded_url

    return embedded_url()


def _environment(settings: Settings) -> dict[str, str]:
    """Return the child's environment: ours, which secrets may stand in, and our store and path."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not (sys.flags.ignore_environment and name.startswith("PYTHON"))
    }
    ours.pop(DATABASE_URL_FILE, None)
    return {
        **ours,
        **({} if settings.environment is None else {ENVIRONMENT: settings.environment}),
        DATABASE_URL: _url_of(settings),
        AUTO_RESOLVE: str(settings.auto_resolve).lower(),
        DELIVER: "off",  # what the child itself runs shall start no further one
        "PYTHONPATH": os.pathsep.join(_importable()),
    }


def _in_json(job_names: Iterable[str]) -> str:
    """Spell the names for the child; the last of them where they are too many."""
    import json

    names = list(job_names)
    while len(text := json.dumps(names)) > LONGEST_ENDED_JOBS:
        names = names[len(names) // 2 + 1 :]
    return text


def _importable() -> list[str]:
    places = [place for place in sys.path if isinstance(place, str) and os.pathsep not in place]
    with suppress(OSError):  # the current folder is gone, and nothing can be imported from there
        return [os.path.abspath(place) for place in places]  # noqa: PTH100 - as above
    return [place for place in places if os.path.isabs(place)]  # noqa: PTH117
