"""What the processes of the delivery race do. One interpreter forks them all: that is cheap.

Beside the real outbox stand the two known-wrong ways: a race that these pass proves nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from runguard._events import Events
from runguard._monitor.notices import Message, Outcome, Probe, SendResult
from runguard._notify.config import NotifyConfig
from runguard._notify.dispatcher import Dispatcher
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable


class Letterbox:
    """Appends each key that arrives to a file; kills its process at some of them.

    Args:
        path: The file. A line is written at once or not at all.
        dies: Says of how many messages so far to die before or after the sending of the next.
    """

    def __init__(self, path: str, dies: Callable[[int], str | None]) -> None:
        self._path, self._dies, self._count = path, dies, 0

    def post(self, key: str) -> None:
        """Let a message arrive."""
        self._count += 1
        when = self._dies(self._count)
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{key} {'killed' if when else 'lived'}\n".encode())
        os.close(descriptor)
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)


class PostingChannel:
    """A channel that posts into a letterbox."""

    name, kind, is_idempotent, config_hash = "box", "box", True, "1"

    def __init__(self, box: Letterbox) -> None:
        self._box = box

    def send(self, message: Message, *, timeout: float) -> Outcome:
        self._box.post(message.key)
        return Outcome(SendResult.SENT)

    def probe(self, *, timeout: float) -> Probe:
        return Probe(ok=True, summary="")

    def target(self) -> str:
        return "box"


def dying(index: int) -> Callable[[int], str | None]:
    """Two senders in three die, each at another message of its own."""
    if index % 3 == 0:
        return lambda _count: None
    at, when = 2 + index // 2, "before" if index % 3 == 1 else "after"
    return lambda count: when if count == at else None


def send_all(url: str, path: str, wait: Callable[[], None], index: int) -> None:
    """Deliver all that is due, as runguard does."""
    store = open_store(url)
    channel: Any = PostingChannel(Letterbox(path, dying(index)))
    dispatcher = Dispatcher(store, [channel], NotifyConfig(), Events())
    wait()
    dispatcher.deliver_due()
    store.close()


def read_send_mark(url: str, path: str, wait: Callable[[], None], index: int) -> None:
    """Wrong: read what is pending, send it, and then mark it."""
    _wrong(url, path, wait, index, marks_first=False)


def mark_send(url: str, path: str, wait: Callable[[], None], index: int) -> None:
    """Wrong: mark it as sent, and then send it."""
    _wrong(url, path, wait, index, marks_first=True)


def _wrong(url: str, path: str, wait: Callable[[], None], index: int, *, marks_first: bool) -> None:
    box = Letterbox(path, dying(index))
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    pending = text("select id from alert_delivery where state = 'pending' order by id limit 20")
    mark = text("update alert_delivery set state = 'sent' where id = :id and state = 'pending'")
    with engine.connect() as connection:
        wait()
        while ids := connection.execute(pending).scalars().all():
            for one in ids:
                if marks_first:
                    if connection.execute(mark, {"id": one}).rowcount:
                        box.post(str(one))
                else:
                    box.post(str(one))
                    connection.execute(mark, {"id": one})


def fork_and_release(function: str, url: str, path: str, count: int) -> list[int]:
    """Run the function in forked processes, all released at once; return how each ended."""
    reading, writing = os.pipe()
    ready, ready_for_children = os.pipe()

    def wait() -> None:
        os.write(ready_for_children, b".")
        os.close(ready_for_children)
        os.read(reading, 1)

    children = []
    for index in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(writing)
                globals()[function](url, path, wait, index)
                code = 0
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
            finally:
                os._exit(code)
        children.append(child)
    os.close(ready_for_children)
    while os.read(ready, count):  # until all stand at the line, or have died
        pass
    os.close(writing)  # the end of the file is the signal
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    _function, _url, _path, _count = sys.argv[1:]
    print(json.dumps(fork_and_release(_function, _url, _path, int(_count))))
