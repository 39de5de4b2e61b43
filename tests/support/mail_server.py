"""A mail server on loopback that records what it gets, and refuses or hangs when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from email.message import EmailMessage

    import trustme

HANG = "hang"
"""As a reply: none comes, until `behave` or the end of the server."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it came in."""

    sender: str
    recipients: list[str]
    raw: bytes
    was_encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        """The mail as a program reads it."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def text(self) -> str:
        """Its plain text."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """Its HTML."""
        return self._part("html")

    def _part(self, kind: Literal["plain", "html"]) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"no text/{kind} in it"
        return str(part.get_content())


class MailServer:
    """An SMTP server that stands while the `with` block lasts; `mails` is what came in.

    Args:
        certificate: With it, the server offers STARTTLS.
        tls: Speak TLS from the first byte instead.
        login: Name and password, without which nobody may send.
    """

    def __init__(
        self,
        *,
        certificate: trustme.LeafCert | None = None,
        tls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.login = login
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._context)
        self._replies: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail server")

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def url(self, *, to: str = "ops@example.org", login: bool = True, **options: str) -> str:
        """The URL of a channel that sends here; `options` are those of its query."""
        scheme = "smtps" if self._tls else "smtp"
        user = ""
        if self.login and login:
            user = ":".join(quote(part, safe="") for part in self.login) + "@"
        query = {"from": "runguard@example.org", "to": to} | options
        return f"{scheme}://{user}{self.address}/?" + "&".join(
            f"{key}={quote(value, safe='@,')}" for key, value in query.items()
        )

    def behave(self, **replies: str) -> None:
        """Forget what came in, and answer as told from now on.

        A name is a command (`mail`, `rcpt`, `data`: after the body), a value is a reply such as
        `"451 greylisted"`, or `HANG`. `rcpt` may hold the words of one recipient's address only:
        `rcpt="nobody@example.org 550 no such user"`.
        """
        self.mails.clear()
        self.commands.clear()
        self._replies = replies
        self._call(self._let_go())

    # What happens in the server's thread

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.commands.append("MAIL")
        if self.login is not None and not session.authenticated:
            return "530 5.7.0 authentication required"
        if reply := await self._reply("mail"):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        self.commands.append("RCPT")
        said = await self._reply("rcpt")
        who, _, reply = (said or "").partition(" ")
        if said and "@" not in who:
            return said
        if said and who == address:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.commands.append("DATA")
        if reply := await self._reply("data"):
            return reply
        self.mails.append(
            Mail(
                envelope.mail_from,
                list(envelope.rcpt_tos),
                bytes(envelope.content),
                self._tls or session.ssl is not None,
                session.auth_data,
            )
        )
        return f"250 OK queued as {len(self.mails)}"

    def _authenticate(self, _server: SMTP, _session: Any, _envelope: Any, _way: str, data: Any):
        self.commands.append("AUTH")
        name, password = data.login.decode(), data.password.decode()
        if (name, password) == self.login:
            return AuthResult(success=True, auth_data=name)
        return AuthResult(success=False, handled=False)

    async def _reply(self, command: str) -> str | None:
        said = self._replies.get(command)
        if said != HANG:
            return said
        await self._over.wait()
        return "421 too late"

    async def _start(self) -> None:
        self._over = asyncio.Event()
        self._server = await self._loop.create_server(
            self._protocol, "127.0.0.1", 0, ssl=self._context if self._tls else None
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.example.org",
            enable_SMTPUTF8=True,
            tls_context=None if self._tls else self._context,
            authenticator=self._authenticate,
            auth_require_tls=False,
            loop=self._loop,
        )

    async def _let_go(self) -> None:
        over, self._over = self._over, asyncio.Event()
        over.set()

    async def _stop(self) -> None:
        await self._let_go()
        self._server.close()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)


@contextlib.contextmanager
def dripping_server(line: bytes = b"220 slow", *, pause: float = 0.05) -> Iterator[int]:
    """A server that sends a byte every `pause` seconds and never ends a line; gives its port."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(line)
            while not over.wait(pause):
                client.sendall(b".")

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=drip, args=(client,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=accept, args=(listener,)))
        threads[0].start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
