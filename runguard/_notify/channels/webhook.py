"""Webhooks, signed as Standard Webhooks has it, on the standard library.

A POST of `payload` with `webhook-id`, `webhook-timestamp`, `webhook-signature` (one for each
secret, so that keys can be changed) and `Idempotency-Key`. No redirect is followed.
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
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from ..._monitor.notices import ChannelSpec, Message, Outcome, Probe, SendResult
from ..._version import __version__
from .addresses import wrong
from .deadline import Deadline, probe_within, send_within
from .hiding import config_hash
from .http_address import HttpAddress
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
        self._address: Final = HttpAddress(
            spec, url.removeprefix("webhook+"), form=FORM, secrets=secrets
        )
        self._keys: Final = tuple(_read_key(spec, secret) for secret in secrets)
        place = self._address.place
        self.config_hash: Final = config_hash(place, place.path, self._address.login, secrets)

    def __repr__(self) -> str:
        """Name it, without anything secret."""
        return f"<{type(self).__name__} {self.name}: {self.target()}>"

    def target(self) -> str:
        """Name the host: a path is often a secret."""
        return f"{self._address.place.scheme}://{self._address.where}/…"

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Post one message. Never raises."""
        return send_within(
            min(timeout, LONGEST_SECONDS),
            lambda deadline: self._sent(message, deadline),
            where=self._address.where,
            hide=self._address.hide,
        )

    def probe(self, *, timeout: float) -> Probe:
        """Connect, and begin TLS; a webhook cannot tell more without a message."""
        return probe_within(
            min(timeout, LONGEST_SECONDS),
            self._probed,
            where=self._address.where,
            hide=self._address.hide,
        )

    def headers(self, message: Message, body: bytes, *, now: int) -> dict[str, str]:
        """Return the headers of one attempt."""
        key = _header_key(message.key)
        headers = {
            **self._address.headers(),
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "User-Agent": f"runguard/{__version__}",
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
        return headers

    def _sent(self, message: Message, deadline: Deadline) -> Outcome:
        body = payload(message)
        try:
            connection = self._address.connect(deadline)
        except (OSError, http.client.HTTPException) as error:
            return self._unreached(error, deadline)
        with contextlib.closing(connection):
            wire = connection.sock
            headers = self.headers(message, body, now=int(time.time()))
            deadline.commit()
            try:
                connection.request("POST", self._address.target(), body, headers)
            except OSError as error:
                return self._unreached(error, deadline)
            response = connection.getresponse()
            deadline.settle(self._judged(response, ""))
            return self._judged(response, self._excerpt(response, wire, deadline))

    def _unreached(self, error: Exception, deadline: Deadline) -> Outcome:
        deadline.remaining()  # cut by us: then it is late, and nothing else
        return Outcome(SendResult.RETRY, self._address.unreached(error))

    def _probed(self, deadline: Deadline) -> Probe:
        try:
            with contextlib.closing(self._address.connect(deadline)):
                is_tls = self._address.place.scheme == "https"
                how = "its certificate is trusted" if is_tls else "no TLS"
                summary = f"{self._address.where} can be reached{self._address.via}, {how}"
                return Probe(ok=True, summary=summary)
        except (OSError, http.client.HTTPException) as error:
            return Probe(ok=False, summary=self._unreached(error, deadline).error or "")

    def _judged(self, response: http.client.HTTPResponse, excerpt: str) -> Outcome:
        status = response.status
        said = self._address.hide(
            f"{status} {response.reason}" + (f": {excerpt}" if excerpt else "")
        )
        error = f"{self._address.where} answered {said}"
        if 200 <= status < 300:
            receipt = response.getheader("X-Request-Id")
            return Outcome(SendResult.SENT, None, self._address.hide(receipt) if receipt else None)
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
        to = f" to {self._address.hide(host)}" if host else ""
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


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _header_key(key: str) -> str:
    """Return the key as a header and the signature can take it; else its digest."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key):
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()[:40]


# --- Its configuration. --------------------------------------------------------------------------


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
