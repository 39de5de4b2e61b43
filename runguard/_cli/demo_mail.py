"""The mail server of the demo: it takes what comes to it on loopback, and keeps it in memory."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from types import TracebackType
from typing import Final, Self

LONGEST_LINE: Final = 64 * 1024


class MailSink:
    """A mail server on 127.0.0.1 while the `with` block lasts.

    Attributes:
        url: Of a channel that sends to it.
        mails: What came in, the oldest first.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._arrived = threading.Condition()
        self._server = _Server(self)
        port = self._server.server_address[1]
        self.url: Final = f"smtp://127.0.0.1:{port}/?from=runguard@localhost&to=you@localhost"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="demo mail", daemon=True
        )

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int, *, timeout: float = 10) -> bool:
        """Wait until `count` mails have come; say whether they have."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.mails) >= count, timeout)

    def keep(self, content: bytes) -> None:
        """Keep one mail, and wake who waits for it."""
        mail = email.message_from_bytes(content, policy=email.policy.default)
        with self._arrived:
            self.mails.append(mail)
            self._arrived.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True  # a client that stays keeps nobody from leaving

    def __init__(self, sink: MailSink) -> None:
        self.sink = sink
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to send (RFC 5321)."""

    server: _Server
    timeout = 30

    def handle(self) -> None:
        """Answer until the client has nothing more to say."""
        self._say("220 runguard demo")
        while line := self.rfile.readline(LONGEST_LINE):
            match line[:4].strip().upper():
                case b"DATA":
                    self._say("354 go ahead")
                    if (mail := self._read_mail()) is None:
                        return None
                    self.server.sink.keep(mail)
                    self._say("250 kept")
                case b"QUIT":
                    return self._say("221 bye")
                case b"EHLO" | b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    self._say("250 OK")
                case _:
                    self._say("502 not known here")
        return None

    def _read_mail(self) -> bytes | None:
        lines: list[bytes] = []
        while line := self.rfile.readline(LONGEST_LINE):
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line.removeprefix(b"."))  # a dot at the start of a line came doubled
        return None  # the client left in the middle

    def _say(self, reply: str) -> None:
        self.wfile.write(f"{reply}\r\n".encode())
