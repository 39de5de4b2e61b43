"""Who may come in, and what a browser may do with what we send.

Secrets are compared as digests in constant time and are never logged, shown or put in a URL.
Sessions are signed, not stored: a restart ends them, unless the application was given a `secret`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import math
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .._errors import ConfigurationError

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with that, a browser sends our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
LEAST_TOKEN_LENGTH: Final = 16
LEAST_PASSWORD_LENGTH: Final = 8
SESSION_SECONDS: Final = 12 * 3600

FREE_TRIES: Final = 5
LONGEST_WAIT_SECONDS: Final = 900.0
FORGOTTEN_AFTER_SECONDS: Final = 3600.0
MOST_ADDRESSES: Final = 4096
MOST_FAILURES_A_MINUTE: Final = 100
_MAKE_A_TOKEN: Final = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in.

    `open` lets in everyone who reaches us, `login` whoever knows the token or the password, and
    with `host` the application that we are mounted in has asked already. `hosts` are the names by
    which we may be called, None for any: a page of a foreign name that was made to lead here is
    refused.
    """

    kind: Literal["open", "login", "host"]
    user: str | None = None
    hosts: frozenset[str] | None = None
    _token: bytes | None = field(default=None, repr=False)
    _password: bytes | None = field(default=None, repr=False)

    @classmethod
    def by_login(
        cls,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        hosts: Iterable[str] | None = None,
    ) -> Access:
        """Ask for a token, or for a user and a password, or for either.

        Raises:
            ConfigurationError: half of a pair, nothing at all, or a secret that is too short.
        """
        if token is None and user is None and password is None:
            raise ConfigurationError("expected a token, or a user and a password, found neither")
        if (user is None) != (password is None):
            raise ConfigurationError("expected a user and a password, found one of them only")
        _check_length("the token", token, LEAST_TOKEN_LENGTH, f"; make one: {_MAKE_A_TOKEN}")
        _check_length("the password", password, LEAST_PASSWORD_LENGTH, "")
        if user is not None and (not user or ":" in user):
            raise ConfigurationError("the user: expected a name without ':', found another text")
        return cls(
            "login",
            user=user,
            hosts=None if hosts is None else host_names(hosts),
            _token=None if token is None else _digest(token),
            _password=None if password is None else _digest(password),
        )

    @property
    def asks_for_token(self) -> bool:
        """Whether a token opens the door."""
        return self._token is not None

    @property
    def asks_for_password(self) -> bool:
        """Whether a user and a password do."""
        return self._password is not None

    def is_token(self, text: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(_digest(text), self._token)

    def is_user(self, user: str, password: str) -> bool:
        """Whether these are the user and the password."""
        if self.user is None or self._password is None:
            return False
        right_user = hmac.compare_digest(_digest(user), _digest(self.user))
        return hmac.compare_digest(_digest(password), self._password) and right_user

    def allows_host(self, header: str) -> bool:
        """Whether a `Host` header names us."""
        return self.hosts is None or _name_of(header) in self.hosts

    def fingerprint(self) -> bytes:
        """Return what changes with the secrets, so that sessions end with them."""
        return b"|".join((self._token or b"", self._password or b"", (self.user or "").encode()))


def host_names(names: Iterable[str]) -> frozenset[str]:
    """Put names of hosts, with or without a port, as a `Host` header is compared to them."""
    return frozenset(_name_of(name) for name in names)


class Throttle:
    """Slows down whoever guesses: by address, and all together. Its memory is bounded.

    After `FREE_TRIES` failures an address waits, twice as long after each further one. When too
    many fail in a minute all must wait but those who were right before.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of no failure yet."""
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._lately: deque[float] = deque(maxlen=MOST_FAILURES_A_MINUTE)

    def seconds_to_wait(self, address: str | None) -> int:
        """Say how long this address must not try; 0 where it may."""
        now, key = self._clock(), _network_of(address)
        count, last = self._failures.get(key, (0, now))
        wait = 0.0
        if count >= FREE_TRIES:
            wait = min(2.0 ** (count - FREE_TRIES), LONGEST_WAIT_SECONDS) - (now - last)
        if key not in self._trusted and len(self._lately) == self._lately.maxlen:
            wait = max(wait, 60.0 - (now - self._lately[0]))
        return max(0, math.ceil(wait))

    def failed(self, address: str | None) -> None:
        """Note a wrong secret."""
        now, key = self._clock(), _network_of(address)
        count, last = self._failures.pop(key, (0, now))
        if now - last > FORGOTTEN_AFTER_SECONDS:
            count = 0
        self._failures[key] = (min(count + 1, 64), now)
        self._lately.append(now)
        _forget_the_oldest(self._failures)

    def succeeded(self, address: str | None) -> None:
        """Note a right one."""
        key = _network_of(address)
        self._failures.pop(key, None)
        self._trusted.pop(key, None)
        self._trusted[key] = None
        _forget_the_oldest(self._trusted)


@dataclass(frozen=True, slots=True)
class Session:
    """What the cookie of a login holds."""

    user: str | None
    nonce: str
    ends_at: int


class Seal:
    """Signs what a browser keeps for us."""

    def __init__(self, access: Access, secret: str | None = None) -> None:
        """Take a secret that several processes share; without one, each has its own."""
        root = secrets.token_bytes(32) if secret is None else secret.encode()
        self._left: OrderedDict[str, Any] = OrderedDict()
        self._key = hmac.digest(root, b"runguard web|" + access.fingerprint(), "sha256")

    def new_session(self, user: str | None) -> str:
        """Return the cookie of a new login."""
        content = json.dumps(
            [user, secrets.token_urlsafe(16), int(time.time()) + SESSION_SECONDS]
        ).encode()
        return f"{_encode(content)}.{_encode(self._sign(b'session', content))}"

    def session(self, cookie: str | None) -> Session | None:
        """Read a cookie; None where it is not ours, was changed, or has ended."""
        if cookie is None or len(cookie) > 2048:
            return None
        content, _, signature = cookie.partition(".")
        try:
            signed = _decode(content)
            if not hmac.compare_digest(_decode(signature), self._sign(b"session", signed)):
                return None
        except (ValueError, binascii.Error):
            return None
        session = Session(*json.loads(signed))
        is_over = session.ends_at <= time.time() or session.nonce in self._left
        return None if is_over else session

    def end(self, nonce: str) -> None:
        """Let a session be none from now on, in this process; a copy of its cookie too."""
        self._left[nonce] = None
        _forget_the_oldest(self._left)

    def csrf_token(self, nonce: str) -> str:
        """Return the token that only forms of this visit hold."""
        return _encode(self._sign(b"csrf", nonce.encode()))

    def is_csrf_token(self, text: str, nonce: str) -> bool:
        """Whether a form comes from this visit."""
        return hmac.compare_digest(_digest(text), _digest(self.csrf_token(nonce)))

    def _sign(self, purpose: bytes, content: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"|" + content, "sha256")


def basic_credentials(value: str) -> tuple[str, str] | None:
    """Read the value of HTTP Basic: user and password."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _check_length(what: str, secret: str | None, least: int, hint: str) -> None:
    if secret is not None and len(secret) < least:
        raise ConfigurationError(
            f"{what}: expected at least {least} characters, found {len(secret)}{hint}"
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _name_of(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    if host.count(":") > 1:  # a bare IPv6 address
        return f"[{host}]"
    return host.partition(":")[0].rstrip(".")


def _network_of(address: str | None) -> str:
    # Whoever has one IPv6 address has 2 ** 64 of them.
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _forget_the_oldest(known: OrderedDict[str, Any]) -> None:
    while len(known) > MOST_ADDRESSES:
        known.popitem(last=False)
