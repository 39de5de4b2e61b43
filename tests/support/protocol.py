"""A proxy on loopback between a client and PostgreSQL: it counts round trips and breaks things.

Trips are counted where they happen, in the frontend's messages: a simple `Query` is one, and so is
everything up to a `Sync`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

Direction = Literal["to_server", "to_client"]

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


@dataclass(slots=True)
class Traffic:
    """What went by since the counting began."""

    connections: int = 0
    trips: int = 0
    """Simple queries and Syncs, without those of opening a connection."""
    messages: list[str] = field(default_factory=list)
    """The type letters of the frontend's messages: `Q`, `P`, `B`, `D`, `E`, `S`, `C`, `X` …"""
    statements: list[str] = field(default_factory=list)
    """The SQL that was executed, once for each execution, prepared or not."""


@dataclass(slots=True)
class _Trap:
    text: str
    when: Literal["before", "after"]
    sprung: threading.Event = field(default_factory=threading.Event)


class ProtocolProxy:
    """Stands in front of a server while the `with` block lasts; `url` leads through it."""

    def __init__(self, target_url: str) -> None:
        target = make_url(target_url)
        self._target = _address(target_url)
        self._lock = threading.RLock()
        self._traffic = Traffic()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._traps: list[_Trap] = []
        self._open = {"to_server": threading.Event(), "to_client": threading.Event()}
        for gate in self._open.values():
            gate.set()
        self._cuts = 0
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.url = target.set(
            drivername="postgresql+psycopg", host="127.0.0.1", port=self.port
        ).render_as_string(hide_password=False)
        """The SQLAlchemy URL of the same database, through the proxy."""

    # What a test sees

    @contextlib.contextmanager
    def counting(self) -> Iterator[Traffic]:
        """Count afresh; what the block's `Traffic` holds grows until the next counting begins."""
        with self._lock:
            self._traffic = traffic = Traffic()
        yield traffic

    # What a test does to the network

    def cut(self) -> None:
        """Drop every connection that is open now; new ones are welcome."""
        with self._lock:
            self._cuts += 1
            links = list(self._links)
        for link in links:
            link.cut()

    def cut_at(
        self, statement: str, *, when: Literal["before", "after"] = "before"
    ) -> threading.Event:
        """Drop the next connection that executes SQL containing `statement`.

        `before` the server sees it, or `after` it has executed and before the client hears of it.
        The event is set when that has happened.
        """
        trap = _Trap(statement.lower(), when)
        with self._lock:
            self._traps.append(trap)
        return trap.sprung

    def stall(self, *directions: Direction) -> None:
        """Let nothing through any more, in both directions or in those named: a half-open link.

        New connections are accepted and never answered. Nothing is lost: `resume` delivers it.
        """
        for direction in directions or ("to_server", "to_client"):
            self._open[direction].clear()

    def freeze(self, *directions: Direction) -> None:
        """Stall for good the connections that are open now, as a firewall does that forgot them.

        New ones work.
        """
        with self._lock:
            links = list(self._links)
        for link in links:
            link.freeze(*directions or ("to_server", "to_client"))

    def refuse(self) -> None:
        """Cut every connection and refuse new ones, as a host does whose server is down."""
        with self._lock:
            _close(self._listener)
            # Bound without listening: the port stays ours, and the kernel refuses.
            self._listener = _bound_socket(self.port)
        self.cut()

    def retarget(self, target_url: str) -> None:
        """Lead new connections to another server; those that are open stay where they are."""
        self._target = _address(target_url)

    def resume(self) -> None:
        """End what `stall` or `refuse` began."""
        for gate in self._open.values():
            gate.set()
        with self._lock:
            if not self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._listener.close()
                self._listener = self._listen(self.port)

    # The plumbing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            _close(self._listener)
        for gate in self._open.values():
            gate.set()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def _listen(self, port: int) -> socket.socket:
        listener = _bound_socket(port)
        listener.listen(512)
        self._run(self._accept, listener)
        return listener

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._run(self._connect_through, client, self._cuts)

    def _connect_through(self, client: socket.socket, cuts: int) -> None:
        self._open["to_server"].wait()
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        link = _Link(self, client, server)
        with self._lock:
            self._traffic.connections += 1
            self._links.add(link)
            came_too_late = self._cuts != cuts
        if came_too_late:
            link.cut()
        self._run(link.pump_to_client)
        link.pump_to_server()

    def _is_last_pump(self, link: _Link) -> bool:
        with self._lock:
            is_last = link not in self._links
            self._links.discard(link)
        return is_last

    def _let_through(self, direction: Direction) -> None:
        self._open[direction].wait()

    def _note(self, letter: str, *, trip: bool, statement: str | None) -> _Trap | None:
        """Count one frontend message; returns the trap that its statement springs."""
        with self._lock:
            self._traffic.messages.append(letter)
            self._traffic.trips += trip
            if statement is None:
                return None
            self._traffic.statements.append(statement)
            for trap in self._traps:
                if trap.text in statement.lower():
                    self._traps.remove(trap)
                    return trap
        return None


class _Link:
    """One client's connection and its other half to the server."""

    def __init__(self, proxy: ProtocolProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._session = _Session(proxy)
        self._frozen: set[Direction] = set()
        self._ended = threading.Event()

    def pump_to_server(self) -> None:
        with contextlib.suppress(OSError), self._ending():
            while data := self._received(self._client, "to_server"):
                trap = self._session.sent(data)
                if trap and trap.when == "before":
                    trap.sprung.set()
                    break
                self._server.sendall(data)

    def pump_to_client(self) -> None:
        with contextlib.suppress(OSError), self._ending():
            while data := self._received(self._server, "to_client"):
                answered = self._session.answered(data)
                if (trap := self._session.trap) is None:
                    self._client.sendall(data)
                elif answered:
                    # The answer is withheld; now that it is whole, the server has executed.
                    trap.sprung.set()
                    break

    def freeze(self, *directions: Direction) -> None:
        """Let nothing through any more, until the link is cut."""
        self._frozen.update(directions)

    def cut(self) -> None:
        """End both halves; a thread that reads one of them wakes up, and then they are closed."""
        self._ended.set()
        for half in (self._client, self._server):
            with contextlib.suppress(OSError):
                half.shutdown(socket.SHUT_RDWR)

    def _received(self, half: socket.socket, direction: Direction) -> bytes:
        data = half.recv(65536)
        # An end travels no further through a stalled network than data does.
        self._proxy._let_through(direction)
        if direction in self._frozen:
            self._ended.wait()
            return b""
        return data

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.cut()
            if self._proxy._is_last_pump(self):
                self._client.close()
                self._server.close()


class _Session:
    """What a connection's messages say: framing, prepared statements, portals."""

    def __init__(self, proxy: ProtocolProxy) -> None:
        self._proxy = proxy
        self._sent = b""
        self._answered = b""
        self._started = False
        self._bare_answers = 0
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self.trap: _Trap | None = None

    def sent(self, data: bytes) -> _Trap | None:
        """Take bytes of the client; returns the trap that a statement in them springs."""
        self._sent += data
        sprung = None
        while message := self._next_sent():
            sprung = self._understand(*message) or sprung
        if sprung and sprung.when == "after":
            self.trap = sprung
        return sprung

    def answered(self, data: bytes) -> bool:
        """Take bytes of the server; tells whether they end with it ready for the next query."""
        self._answered += data
        ready = False
        while self._answered:
            if self._bare_answers:
                # The answer to a request for encryption is one letter without a length.
                self._bare_answers -= 1
                self._answered = self._answered[1:]
                continue
            if len(self._answered) < 5:
                break
            (length,) = struct.unpack_from("!I", self._answered, 1)
            if len(self._answered) < 1 + length:
                break
            ready = self._answered[:1] == b"Z"
            self._answered = self._answered[1 + length :]
        return ready

    def _next_sent(self) -> tuple[str, bytes] | None:
        prefix = 1 if self._started else 0
        if len(self._sent) < prefix + 4:
            return None
        (length,) = struct.unpack_from("!I", self._sent, prefix)
        if len(self._sent) < prefix + length:
            return None
        letter = self._sent[:prefix].decode("ascii")
        body = self._sent[prefix + 4 : prefix + length]
        self._sent = self._sent[prefix + length :]
        return letter, body

    def _understand(self, letter: str, body: bytes) -> _Trap | None:
        statement = None
        match letter:
            case "":
                (code,) = struct.unpack_from("!I", body)
                if code in (_SSL_REQUEST, _GSS_REQUEST):
                    self._bare_answers += 1
                else:
                    self._started = True
                return None
            case "Q":
                statement = body.rstrip(b"\0").decode()
            case "P":
                name, query, _ = body.split(b"\0", 2)
                self._prepared[name] = query.decode()
            case "B":
                portal, name, _ = body.split(b"\0", 2)
                self._portals[portal] = self._prepared.get(name, "")
            case "E":
                portal, _ = body.split(b"\0", 1)
                statement = self._portals.get(portal, "")
        return self._proxy._note(letter, trip=letter in "QS", statement=statement)


def _address(url: str) -> tuple[str, int]:
    parsed = make_url(url)
    return parsed.host or "127.0.0.1", parsed.port or 5432


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _close(listener: socket.socket) -> None:
    # Closing alone would leave the thread in accept(), and with it the port, open.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
