"""Who may come in. Secrets are compared as digests in constant time, and are never shown."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import field
from typing import Final, Literal

from ..._errors import ConfigurationError
from ..._frozen import frozen

LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
LEAST_TOKEN_LENGTH: Final = 16
LEAST_PASSWORD_LENGTH: Final = 8
_MAKE_A_TOKEN: Final = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105


@frozen
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


def _name_of(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    if host.count(":") > 1:  # a bare IPv6 address
        return f"[{host}]"
    return host.partition(":")[0].rstrip(".")
