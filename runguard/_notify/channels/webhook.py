"""Webhooks, signed as Standard Webhooks has it, on the standard library.

A POST of `payload` with `webhook-id`, `webhook-timestamp`, `webhook-signature` (one for each
secret, so that keys can be changed) and `Idempotency-Key`. No redirect is followed. The proxy of
`https_proxy`, `http_proxy` and `no_proxy` is used.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import re
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..._monitor.notices import ChannelSpec, Message, Outcome, Probe, SendResult
from ..._version import __version__
from .addresses import Place, read_place, wrong
from .deadline import Deadline, probe_within, send_within
from .hiding import config_hash, hider
from .payload import payload

FORM: Final = "https://user:password@hooks.example.org/runguard"
LONGEST_SECONDS: Final = 15.0
LONGEST_ANSWER: Final = 2_000
LONGEST_WAIT: Final = timedelta(days=1)
SHORTEST_SECRET: Final = 24
"""Bytes of a signature's key: as Standard Webhooks has it."""

_NEW_KEY_COMMAND: Final = (
    "python3 -c \"import base64, secrets; print('whsec_' +"
    ' base64.b64encode(secrets.token_bytes(32)).decode())"'
)
_LATER: Final = frozenset({408, 425, 429})
_PORTS: Final = {"http": 80, "https": 443}


class WebhookChannel:
    """One address that is posted to."""

    kind: Final = "webhook"
    is_idempotent: Final = True  # receivers know a repeat by its key

    def __init__(self, spec: ChannelSpec, url: str, secrets: tuple[str, ...]) -> None:
        """Read the address and the secrets.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        self.name: Final = spec.name
        self._place: Final = _read_address(spec, url)
        self._keys: Final = tuple(_read_key(spec, secret) for secret in secrets)
        self._proxy: Final = _proxy_for(spec, self._place)
        self.config_hash: Final = config_hash(
            self._place, self._place.path, _login(self._place), secrets
        )
        self._where: Final = self._place.netloc
        self._hide: Final = hider(self._secrets(secrets))

    def _secrets(self, secrets: tuple[str, ...]) -> list[str]:
        path = self._place.path  # that of a chat's webhook is its password
        proxy = self._proxy.password if self._proxy else None
        found = [self._place.password, _login(self._place), proxy, *secrets]
        return [secret for secret in [*found, path if len(path) > 1 else None] if secret]

    def __repr__(self) -> str:
        """Name it, without anything secret."""
        return f"<{type(self).__name__} {self.name}: {self.target()}>"

    def target(self) -> str:
        """Name the host: a path is often a secret."""
        return f"{self._place.scheme}://{self._where}/…"

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Post one message. Never raises."""
        return send_within(
            min(timeout, LONGEST_SECONDS),
            lambda deadline: self._sent(message, deadline),
            where=self._where,
            hide=self._hide,
        )

    def probe(self, *, timeout: float) -> Probe:
        """Connect, and begin TLS; a webhook cannot tell more without a message."""
        return probe_within(
            min(timeout, LONGEST_SECONDS), self._probed, where=self._where, hide=self._hide
        )

    def headers(self, message: Message, body: bytes, *, now: int) -> dict[str, str]:
        """Return the headers of one attempt."""
        key = _header_key(message.key)
        headers = {
            "Host": self._place.netloc,
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "User-Agent": f"runguard/{__version__}",
            "Connection": "close",
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": str(now),
        }
        if self._keys:
            signed = f"{key}.{now}.".encode() + body
            headers["webhook-signature"] = " ".join(
                f"v1,{_base64(hmac.digest(secret, signed, hashlib.sha256))}"
                for secret in self._keys
            )
        if login := _login(self._place):
            headers["Authorization"] = f"Basic {login}"
        return headers

    def _sent(self, message: Message, deadline: Deadline) -> Outcome:
        body = payload(message)
        try:
            connection = self._connect(deadline)
        except (OSError, http.client.HTTPException) as error:
            return self._unreached(error, deadline)
        with contextlib.closing(connection):
            wire = connection.sock
            headers = self.headers(message, body, now=int(time.time()))
            if self._proxy is not None and self._place.scheme == "http" and _login(self._proxy):
                headers["Proxy-Authorization"] = f"Basic {_login(self._proxy)}"
            deadline.commit()
            try:
                connection.request("POST", self._request_target(), body, headers)
            except OSError as error:
                return self._unreached(error, deadline)
            response = connection.getresponse()
            deadline.settle(self._judged(response, ""))
            return self._judged(response, self._excerpt(response, wire, deadline))

    def _request_target(self) -> str:
        if self._proxy is not None and self._place.scheme == "http":
            return f"http://{self._place.netloc}{self._place.path}"
        return self._place.path

    def _connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        place, proxy = self._place, self._proxy
        port = place.port or _PORTS[place.scheme]
        via = (place.host, port) if proxy is None else (proxy.host, proxy.port or 80)
        connection = _connection(place.scheme, *via, deadline)
        if proxy is not None and place.scheme == "https":
            login = {"Proxy-Authorization": f"Basic {_login(proxy)}"} if _login(proxy) else {}
            connection.set_tunnel(place.host, port, login)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _unreached(self, error: Exception, deadline: Deadline) -> Outcome:
        deadline.remaining()  # cut by us: then it is late, and nothing else
        return Outcome(SendResult.RETRY, f"{self._where}: {self._hide(_why(error))}")

    def _probed(self, deadline: Deadline) -> Probe:
        try:
            with contextlib.closing(self._connect(deadline)):
                how = "its certificate is trusted" if self._place.scheme == "https" else "no TLS"
                via = f" through the proxy {self._proxy.netloc}" if self._proxy else ""
                return Probe(ok=True, summary=f"{self._where} can be reached{via}, {how}")
        except (OSError, http.client.HTTPException) as error:
            return Probe(ok=False, summary=self._unreached(error, deadline).error or "")

    def _judged(self, response: http.client.HTTPResponse, excerpt: str) -> Outcome:
        status = response.status
        said = self._hide(f"{status} {response.reason}" + (f": {excerpt}" if excerpt else ""))
        error = f"{self._where} answered {said}"
        if 200 <= status < 300:
            receipt = response.getheader("X-Request-Id")
            return Outcome(SendResult.SENT, None, self._hide(receipt) if receipt else None)
        if 300 <= status < 400:
            return Outcome(SendResult.REFUSED, error + self._moved(response))
        if status == 410:
            return Outcome(SendResult.GONE, error)
        if status in _LATER or status >= 500:
            asked = response.getheader("Retry-After")
            return Outcome(SendResult.RETRY, error, retry_after=_wait(asked))
        return Outcome(SendResult.REFUSED, error)

    def _moved(self, response: http.client.HTTPResponse) -> str:
        try:
            host = urlsplit(response.getheader("Location", "")).hostname
        except ValueError:
            host = None
        to = f" to {self._hide(host)}" if host else ""
        return f"; it redirects{to}, which is not followed: configure the address it moved to"

    @staticmethod
    def _excerpt(
        response: http.client.HTTPResponse, wire: socket.socket | None, deadline: Deadline
    ) -> str:
        """Return the beginning of an error's body, if it is there without much waiting."""
        if response.status < 400 or wire is None:
            return ""
        try:
            wire.settimeout(min(1.0, deadline.remaining()))
            return response.read1(LONGEST_ANSWER).decode(errors="replace")
        except (OSError, http.client.HTTPException, ValueError):
            return ""


def _connection(
    scheme: str, host: str, port: int, deadline: Deadline
) -> http.client.HTTPConnection:
    """Return a connection that ends at the deadline; it is not open yet."""
    seconds = deadline.remaining()
    if scheme == "https":
        # Default settings: certificates and names are checked.
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)

    def create(address: tuple[str, int], *_: object) -> socket.socket:
        made = socket.create_connection(address, deadline.remaining())
        deadline.cuts(made)
        return made

    # The one way to a socket before a proxy and TLS have had their turn, which may be long.
    connection._create_connection = create  # type: ignore[attr-defined]
    return connection


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate cannot be trusted: {error.verify_message} (name its"
            " authority in SSL_CERT_FILE)"
        )
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection: {error.strerror}"
    return f"no connection: {error or type(error).__name__}"


def _wait(asked: str | None) -> timedelta | None:
    """Read `Retry-After`: seconds or a date (RFC 9110, 10.2.3)."""
    if asked is None:
        return None
    asked = asked.strip()
    if re.fullmatch(r"[0-9]{1,15}", asked):
        return min(timedelta(seconds=min(int(asked), 10**8)), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(asked)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - datetime.now(UTC), timedelta()), LONGEST_WAIT)


def _header_key(key: str) -> str:
    """Return the key as a header and the signature can take it; else its digest."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key):
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()[:40]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _login(place: Place) -> str | None:
    if place.user is None:
        return None
    return _base64(f"{place.user}:{place.password or ''}".encode(errors="replace"))


# --- Its configuration. --------------------------------------------------------------------------


def _read_address(spec: ChannelSpec, url: str) -> Place:
    place = read_place(spec, url.removeprefix("webhook+"), FORM)
    if place.scheme not in _PORTS:
        raise wrong(
            spec, f"expected an address such as {FORM}, found another scheme: write https://"
        )
    if not place.path.isascii():
        raise wrong(
            spec,
            f"expected an address such as {FORM}, found one that is not ASCII: write it with %",
        )
    return place


def _read_key(spec: ChannelSpec, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SHORTEST_SECRET:
        raise wrong(
            spec,
            "expected a secret of the form whsec_… with at least"
            f" {SHORTEST_SECRET} bytes in base64, found another text: make one with\n"
            f"  {_NEW_KEY_COMMAND}",
        )
    return key


def _proxy_for(spec: ChannelSpec, place: Place) -> Place | None:
    """Return the proxy that the environment names for this address."""
    proxies = getproxies()
    url = proxies.get(place.scheme) or proxies.get("all")
    if not url or proxy_bypass(place.netloc):
        return None
    proxy = read_place(
        spec, url if "://" in url else f"http://{url}", "http://proxy.example.org:3128"
    )
    if proxy.scheme != "http":
        raise wrong(
            spec,
            f"expected a proxy such as http://proxy.example.org:3128 in {place.scheme}_proxy,"
            " found another scheme: write http://",
        )
    return proxy
