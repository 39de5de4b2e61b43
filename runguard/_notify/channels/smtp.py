"""Mail: `smtp://user:password@host:port/?from=…&to=a@x,b@y`, on the standard library.

| option | |
|---|---|
| `to` | who gets it: addresses, separated by commas |
| `from` | who sends it; the user where that is an address |
| `starttls` | `require`, or `off`; without it TLS is used where the server offers it |
| `verify` | `off` takes any certificate: for a server that has none of its own |

`smtps://` speaks TLS from the first byte. Ports: 465 with `smtps`, 587 with a user, else 25.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import Final, Literal, cast

from ..._monitor.notices import ChannelSpec, Message, Outcome, Probe, SendResult
from .addresses import read_options, read_place, wrong
from .deadline import Deadline, probe_within, send_within
from .hiding import config_hash, hider, one_line

FORM: Final = "smtp://user:password@mail.example.org:587/?from=jobs@example.org&to=ops@example.org"
LONGEST_SECONDS: Final = 30.0
LONGEST_SUBJECT: Final = 250

_OPTIONS: Final = {"from": None, "to": None, "starttls": ("require", "off"), "verify": ("off",)}
# Every line fits, whatever the text: encoded where it is long or not ASCII.
_POLICY: Final = SMTP.clone(cte_type="7bit")
_ODD: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

Tls = Literal["implicit", "offered", "require", "off"]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail server, and who writes to whom through it."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    sender: Address
    recipients: tuple[Address, ...]
    tls: Tls
    is_verified: bool

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


class SmtpChannel:
    """Mail through one server to some people."""

    kind: Final = "smtp"
    is_idempotent: Final = False  # the Message-ID stays, but servers deliver both

    def __init__(self, spec: ChannelSpec, url: str) -> None:
        """Read the URL.

        Raises:
            ConfigurationError: It cannot be used.
        """
        self.name: Final = spec.name
        self._box: Final = read_mailbox(spec, url)
        self.config_hash: Final = config_hash(self._box, self._box.password)
        self._where: Final = f"{self._box.host}:{self._box.port}"
        self._hide: Final = hider(
            secret for secret in (self._box.password, _plain_login(self._box)) if secret
        )

    def __repr__(self) -> str:
        """Name it, without the password."""
        return f"<{type(self).__name__} {self.name}: {self.target()}>"

    def target(self) -> str:
        """Name the server and who gets the mail."""
        scheme = "smtps" if self._box.tls == "implicit" else "smtp"
        people = ", ".join(address.addr_spec for address in self._box.recipients)
        return f"{scheme}://{self._where} to {people}"

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Send one mail to all recipients. Never raises."""
        return send_within(
            min(timeout, LONGEST_SECONDS),
            lambda deadline: self._sent(message, deadline),
            where=self._where,
            hide=self._hide,
        )

    def probe(self, *, timeout: float) -> Probe:
        """Connect, greet, begin TLS and log in; send nothing."""
        return probe_within(
            min(timeout, LONGEST_SECONDS), self._probed, where=self._where, hide=self._hide
        )

    def _sent(self, message: Message, deadline: Deadline) -> Outcome:
        content = compose(self._box, message).as_bytes()
        try:
            with _Session(self._box, deadline) as session:
                return deadline.settle(session.deliver(content, self._hide))
        except _Refusal as error:
            return self._refused(error)

    def _probed(self, deadline: Deadline) -> Probe:
        try:
            with _Session(self._box, deadline) as session:
                how = "TLS" if session.is_encrypted else "no TLS"
                login = ", login accepted" if self._box.user is not None else ""
                return Probe(ok=True, summary=f"{self._where} answers, {how}{login}")
        except _Refusal as error:
            return Probe(ok=False, summary=self._refused(error).error or "")

    def _refused(self, error: _Refusal) -> Outcome:
        result = SendResult.RETRY if error.is_temporary else SendResult.REFUSED
        return Outcome(result, f"{self._where}: {error.sentence}{self._hide(error.reply)}")


class _Refusal(Exception):
    """The server does not take the mail.

    Attributes:
        sentence: In our words, up to what the server said.
        reply: In the server's.
        is_temporary: Whether it may take it later.
    """

    def __init__(self, sentence: str, reply: str = "", *, is_temporary: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.reply = reply
        self.is_temporary = is_temporary


class _Client(smtplib.SMTP):
    """The standard library's, on a connection that ends at the deadline."""

    def __init__(self, box: Mailbox, deadline: Deadline, context: ssl.SSLContext) -> None:
        self._deadline = deadline
        self._context = context if box.tls == "implicit" else None
        # Its own way to a name of this host asks the DNS, which may take long.
        super().__init__(box.host, box.port, local_hostname="-", timeout=deadline.remaining())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        self._deadline.cuts(connection)
        self.local_hostname = _own_name(connection)
        if self._context is None:
            return connection
        return self.encrypted(connection, self._context, host)

    def encrypted(
        self, connection: socket.socket, context: ssl.SSLContext, host: str
    ) -> socket.socket:
        """Begin TLS on a connection; the deadline ends it as before."""
        wrapped = context.wrap_socket(
            connection, server_hostname=host, do_handshake_on_connect=False
        )
        try:
            self._deadline.cuts(wrapped)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS in the middle; what the server said before counts no more (RFC 3207)."""
        code, reply = self.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, reply)
        self.sock = self.encrypted(cast("socket.socket", self.sock), context, host)
        self.file = None
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()


class _Session:
    """A connection, ready to send: greeted, encrypted and logged in as configured."""

    def __init__(self, box: Mailbox, deadline: Deadline) -> None:
        self._box = box
        self._deadline = deadline
        self.is_encrypted = box.tls == "implicit"

    def __enter__(self) -> _Session:
        try:
            self._client = _Client(self._box, self._deadline, _tls_context(self._box))
            try:
                self._client.ehlo_or_helo_if_needed()
                self._begin_tls()
                self._log_in()
            except BaseException:
                self._client.close()
                raise
        except ssl.SSLCertVerificationError as error:
            raise _Refusal(
                "the server's certificate cannot be trusted (name its authority in SSL_CERT_FILE,"
                " or use the host's name that stands in it): ",
                error.verify_message,
                is_temporary=True,
            ) from error
        except smtplib.SMTPResponseException as error:
            raise _answered("the server refused the connection: ", error) from error
        except (smtplib.SMTPException, OSError) as error:
            self._deadline.remaining()  # cut by us: then it is late, and nothing else
            raise _Refusal("no connection: ", _why(error), is_temporary=True) from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        # All is said by now: a server that does not answer to this keeps nobody.
        with contextlib.suppress(Exception):
            if self._client.sock is not None:
                self._client.sock.settimeout(min(1.0, self._deadline.remaining()))
            self._client.docmd("QUIT")
        self._client.close()

    def _begin_tls(self) -> None:
        box, client = self._box, self._client
        if box.tls in ("require", "offered"):
            if client.has_extn("starttls"):
                client.start_tls(_tls_context(box), box.host)
                self.is_encrypted = True
            elif box.tls == "require":
                raise _Refusal("the server offers no STARTTLS, and starttls=require is set")
        if (
            box.user is not None
            and box.tls == "offered"
            and not (self.is_encrypted or box.is_local)
        ):
            raise _Refusal(
                "the server offers no STARTTLS, and the password would go in the clear: use"
                " smtps://, or add starttls=off to allow it"
            )

    def _log_in(self) -> None:
        box, client = self._box, self._client
        if box.user is None:
            return
        password = box.password or ""
        try:
            if (box.user + password).isascii():
                client.login(box.user, password)
                return
            code, reply = client.docmd("AUTH", f"PLAIN {_plain_login(box)}")  # UTF-8, RFC 4616
        except smtplib.SMTPNotSupportedError as error:
            raise _Refusal(
                "the server takes no login that is known here: take user and password out of the"
                " URL, or use TLS"
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            code, reply = error.smtp_code, _as_bytes(error.smtp_error)
        if code != 235:
            raise _answered(
                "the server refused the login (check user and password): ",
                smtplib.SMTPResponseException(code, reply),
            )

    def deliver(self, content: bytes, hide: Callable[[str], str]) -> Outcome:
        """Send the mail to everybody whom the server takes."""
        client = self._client
        try:
            code, reply = client.mail(self._box.sender.addr_spec)
            if code != 250:
                raise _answered(
                    "the server refused the sender: ", smtplib.SMTPResponseException(code, reply)
                )
            refused = self._name_recipients()
            code, reply = client.docmd("DATA")
            if code != 354:
                raise _answered(
                    "the server refused the mail: ", smtplib.SMTPResponseException(code, reply)
                )
            self._deadline.commit()
            client.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
        except (smtplib.SMTPException, OSError) as error:
            self._deadline.remaining()
            raise _Refusal("the connection ended: ", _why(error), is_temporary=True) from error
        code, reply = client.getreply()
        if code != 250:
            raise _answered(
                "the server refused the mail: ", smtplib.SMTPResponseException(code, reply)
            )
        return Outcome(SendResult.SENT, _missed(refused, self._box, hide), hide(_text(reply)))

    def _name_recipients(self) -> dict[str, str]:
        """Return whom the server refused, and its reply; nobody left is an error."""
        refused: dict[str, str] = {}
        codes: list[int] = []
        for recipient in self._box.recipients:
            code, reply = self._client.rcpt(recipient.addr_spec)
            if code in (250, 251):
                continue
            codes.append(code)
            refused[recipient.addr_spec] = f"{code} {_text(reply)}"
            if code == 421:  # it ends the connection
                break
        if codes and (len(codes) == len(self._box.recipients) or codes[-1] == 421):
            said = "; ".join(f"{who}: {reply}" for who, reply in refused.items())
            is_temporary = any(400 <= code < 500 for code in codes)
            raise _Refusal("the server refused every recipient: ", said, is_temporary=is_temporary)
        return refused


def _missed(refused: dict[str, str], box: Mailbox, hide: Callable[[str], str]) -> str | None:
    if not refused:
        return None
    said = hide("; ".join(f"{who}: {reply}" for who, reply in refused.items()))
    return f"{len(refused)} of {len(box.recipients)} recipients were refused: {said}"


def _answered(sentence: str, error: smtplib.SMTPResponseException) -> _Refusal:
    """Make an error of a reply: 4xx may pass, 5xx does not."""
    reply = f"{error.smtp_code} {_text(error.smtp_error)}"
    return _Refusal(sentence, reply, is_temporary=not 500 <= error.smtp_code < 600)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _as_bytes(reply: bytes | str) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode(errors="replace")


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply


def _plain_login(box: Mailbox) -> str | None:
    if box.user is None:
        return None
    return base64.b64encode(f"\0{box.user}\0{box.password or ''}".encode()).decode()


def _own_name(connection: socket.socket) -> str:
    """Return what EHLO says: a full name, else the address in brackets (RFC 5321, 4.1.3)."""
    name = socket.gethostname()
    if "." in name and re.fullmatch(r"[A-Za-z0-9.-]{1,255}", name):
        return name
    address = connection.getsockname()[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _tls_context(box: Mailbox) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # On this machine nobody stands between, and a mail server's own certificate is the rule.
    if not box.is_verified or (box.tls == "offered" and box.is_local):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# --- The mail. -----------------------------------------------------------------------------------


def compose(box: Mailbox, message: Message) -> EmailMessage:
    """Make the mail: plain text, with the same as HTML beside it where there is some."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = box.sender
    mail["To"] = box.recipients
    mail["Subject"] = _cut(one_line(message.subject))
    mail["Date"] = format_datetime(datetime.now(UTC))
    root = _message_id("conversation", message.conversation, box.sender.domain)
    if message.is_first:
        mail["Message-ID"] = root
    else:
        mail["Message-ID"] = _message_id("message", message.key, box.sender.domain)
        mail["In-Reply-To"] = mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    mail["X-Auto-Response-Suppress"] = "All"  # the same, for Exchange
    if message.severity == "high":
        mail["Importance"] = "high"
    mail.set_content(_lines(message.text))
    if message.html is not None:
        mail.add_alternative(_lines(message.html), subtype="html")
    return mail


def _message_id(what: str, name: str, domain: str) -> str:
    digest = hashlib.sha256(f"{what}\0{name}".encode(errors="replace")).hexdigest()
    return f"<{digest[:40]}.runguard@{domain}>"


def _cut(subject: str) -> str:
    """Bound a subject: folding a long one takes the standard library seconds."""
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1] + "…"


def _lines(text: str) -> str:
    return _ODD.sub("\N{REPLACEMENT CHARACTER}", "\n".join(text.splitlines())) + "\n"


# --- Its configuration. --------------------------------------------------------------------------


def read_mailbox(spec: ChannelSpec, url: str) -> Mailbox:
    """Read the URL of a mail channel.

    Raises:
        ConfigurationError: It cannot be used; the message names the part and repeats nothing.
    """
    place = read_place(spec, url, FORM)
    if place.path.partition("?")[0] != "/":
        raise wrong(spec, f"expected a URL such as {FORM}, found a path behind the host: remove it")
    options = read_options(spec, place.query, _OPTIONS)
    is_implicit = place.scheme == "smtps"
    if is_implicit and "starttls" in options:
        raise wrong(
            spec, "expected starttls with smtp://, found it with smtps://, which is TLS: remove it"
        )
    if place.user is not None and _ODD.search(place.user + (place.password or "")):
        raise wrong(spec, "expected a user and a password without control characters, found some")
    default_port = 465 if is_implicit else 587 if place.user else 25
    return Mailbox(
        place.host,
        place.port or default_port,
        place.user or None,
        place.password,
        _sender(spec, options, place.user),
        _recipients(spec, options),
        cast("Tls", "implicit" if is_implicit else options.get("starttls", "offered")),
        options.get("verify") != "off",
    )


def _sender(spec: ChannelSpec, options: dict[str, str], user: str | None) -> Address:
    given = options.get("from") or (user if user and "@" in user else None)
    if given is None:
        raise wrong(spec, "expected from=ADDRESS in the URL, found none: add from=jobs@example.org")
    [sender, *more] = _addresses(spec, "from", given)
    if more:
        raise wrong(spec, "expected one address in 'from', found more: keep one")
    return sender if sender.display_name else Address("runguard", addr_spec=sender.addr_spec)


def _recipients(spec: ChannelSpec, options: dict[str, str]) -> tuple[Address, ...]:
    if not options.get("to"):
        raise wrong(spec, "expected to=ADDRESS in the URL, found none: add to=ops@example.org")
    return tuple(_addresses(spec, "to", options["to"]))


def _addresses(spec: ChannelSpec, option: str, text: str) -> list[Address]:
    found = getaddresses([text])
    return [_address(spec, option, name, address) for name, address in found]


def _address(spec: ChannelSpec, option: str, name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
        if local and local.isascii() and ascii_domain and not _ODD.search(name + address):
            return Address(name, addr_spec=f"{local}@{ascii_domain}")
    except (ValueError, IndexError):  # what the standard library makes of a bad one
        pass
    raise wrong(
        spec,
        f"expected mail addresses in {option!r}, separated by commas, found another text: write"
        f" them as {option}=ops@example.org",
    )
