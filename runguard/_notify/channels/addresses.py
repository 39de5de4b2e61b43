"""Taking the URL of a channel apart; no error repeats any of it, since it may hold a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from ..._errors import ConfigurationError, nearest
from ..._frozen import frozen
from ..._monitor.notices import ChannelSpec


def wrong(spec: ChannelSpec, sentence: str) -> ConfigurationError:
    """Return the error of a channel that cannot be used.

    Args:
        spec: The channel.
        sentence: `expected …, found …: what to do`, without anything that was read from it.
    """
    source = f" ({spec.source})" if spec.source else ""
    return ConfigurationError(f"channel {spec.name!r}{source}: {sentence}")


@frozen
class Place:
    """A server, and who we are there."""

    scheme: str
    host: str
    port: int | None
    user: str | None
    password: str | None = field(repr=False)
    path: str = field(repr=False)
    """With the query."""
    query: str = field(repr=False)

    @property
    def netloc(self) -> str:
        """Host and port, as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def read_place(spec: ChannelSpec, url: str, form: str) -> Place:
    """Take a URL apart.

    Args:
        spec: The channel, for errors.
        url: Of any scheme, with `%` before what a user or a password holds of `:/?#@`.
        form: What it should look like.

    Raises:
        ConfigurationError: It has no host, or is no URL.
    """

    def refuse(found: str, remedy: str) -> NoReturn:
        # `from None`: the standard library's errors repeat a part of the URL.
        raise wrong(spec, f"expected a URL such as {form}, found {found}: {remedy}") from None

    escape = (
        "write %23 for '#', %2F for '/', %3F for '?', %40 for '@' and %3A for ':' in a password"
    )
    if any(not sign.isprintable() or sign.isspace() for sign in url):
        refuse("one with a space or a control character", "write %20 for a space")
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        refuse("one whose host or port cannot be read", escape)
    if parts.fragment or "#" in url:
        refuse("one with a '#'", escape)
    if parts.netloc.count("@") > 1:
        refuse("more than one '@' before the path", escape)
    if not parts.hostname:
        refuse("one without a host", escape)
    try:
        host = parts.hostname if ":" in parts.hostname else _ascii_host(parts.hostname)
    except UnicodeError:
        refuse("a host that is no name of one", escape)
    path = parts.path or "/"
    return Place(
        parts.scheme.lower(),
        host,
        port,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        f"{path}?{parts.query}" if parts.query else path,
        parts.query,
    )


def _ascii_host(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def read_options(
    spec: ChannelSpec, query: str, known: Mapping[str, tuple[str, ...] | None]
) -> dict[str, str]:
    """Read the query of a URL: each option once, with one of its words where it has a list.

    Raises:
        ConfigurationError: An option is not known, stands twice, or has another word.
    """
    found: dict[str, str] = {}
    listed = ", ".join(known)
    for pair in filter(None, query.split("&")):
        # Not as forms have it: a `+` is part of many mail addresses.
        key, value = (unquote(part) for part in pair.partition("=")[::2])
        if key not in known:
            meant = nearest(key, known)
            hint = f": did you mean {meant!r}?" if meant else ""
            raise wrong(spec, f"expected the options {listed}, found another one{hint}")
        if key in found:
            raise wrong(spec, f"expected the option {key!r} once, found it twice: remove one")
        words = known[key]
        if words is not None and value not in words:
            expected = " or ".join(f"{key}={word}" for word in words)
            raise wrong(spec, f"expected {expected}, found another word: write one of these")
        found[key] = value
    return found
