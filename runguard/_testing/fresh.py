"""`FreshStore`: a store of its own for one test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._api import runtime
from .._database_url import in_url
from .._settings import (
    DATABASE_URL,
    DATABASE_URL_FILE,
    DELIVER,
    DISABLED,
    PING_URL,
    SPOOL_DIR,
)
from .clock import Clock
from .runs import RecordedRuns
from .simulate import Simulate
from .view import StoreView

if TYPE_CHECKING:
    from .._store.operator import OperatorStore
    from .._store.scratch import ScratchServer

FILE: Final = "runguard.db"
FIRST_USE_SECONDS: Final = 60.0

_GONE: Final = (DATABASE_URL_FILE, DISABLED, PING_URL)


class FreshStore(StoreView):
    """A store of its own for one test, and all that the test needs of it.

    Attributes:
        url: Its URL; also `RUNGUARD_DATABASE_URL` for the processes that the test starts.
        spool_dir: The folder of records that wait for it.
        runs: What was recorded, and the assertions.
        clock: Lets time pass.
        simulate: Lets things go wrong.

    Added in 0.2.
    """

    def __init__(self, url: str, folder: Path) -> None:
        """Made by the fixtures and by `fresh_store`."""
        super().__init__(url)
        self.url = url
        self.spool_dir = folder / "spool"
        self.runs = RecordedRuns(self, waiting=self._waiting)
        self.clock = Clock(self, deliver=self.deliver)
        self.simulate = Simulate(self, folder)
        self._reader: OperatorStore | None = None

    @contextmanager
    def reader(self) -> Iterator[OperatorStore]:
        """Give the store that this test reads with, opened once."""
        if self._reader is None:
            self._reader = self.open()
        yield self._reader

    def close(self) -> None:
        """Close what this test reads with."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _waiting(self) -> int:
        return sum(1 for _ in self.spool_dir.rglob("*.json"))


active: list[FreshStore] = []  # the innermost last


@contextmanager
def fresh_store(
    folder: str | os.PathLike[str] | None = None, *, server: ScratchServer | None = None
) -> Iterator[FreshStore]:
    """Give a store to one test: an embedded one, or a database of its own on a server.

    Inside, every run of this process and of those that it starts goes there, whatever `configure`
    and the environment say. Settings are forgotten before and after. Nothing is sent.

    Args:
        folder: Where its file and its spool may be. None: in a temporary folder.
        server: Where to make its database. None: it is a SQLite file.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="runguard-"))
        place = Path(folder).absolute()
        if server is None:
            url = _url_of_file(place)
            (place / FILE).write_bytes(_file_with_schema())
        else:
            url = stack.enter_context(server.database())
        store = FreshStore(url, place)
        stack.enter_context(_used(store))
        yield store


@cache
def _file_with_schema() -> bytes:
    """Make a file as the first run would; a copy is cheaper than a schema for each test."""
    with tempfile.TemporaryDirectory(prefix="runguard-") as folder:
        with closing(StoreView(_url_of_file(Path(folder))).open()) as store:
            store.beat([], timeout=FIRST_USE_SECONDS)
        return (Path(folder) / FILE).read_bytes()


def _url_of_file(folder: Path) -> str:
    return f"sqlite:///{in_url(str(folder / FILE))}"


@contextmanager
def _used(store: FreshStore) -> Iterator[None]:
    variables = {DATABASE_URL: store.url, SPOOL_DIR: str(store.spool_dir), DELIVER: "off"}
    before = {name: os.environ.get(name) for name in (*variables, *_GONE)}
    pinned: dict[str, Any] = {
        "database_url": store.url,
        "engine": None,
        "spool_dir": str(store.spool_dir),
        "deliver": "off",
    }
    pinned_before = runtime.pinned
    runtime.close()
    runtime.pinned = pinned
    _set(variables | dict.fromkeys(_GONE))
    active.append(store)
    try:
        yield
    finally:
        active.remove(store)
        _set(before)
        runtime.close()
        runtime.pinned = pinned_before
        store.close()


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
