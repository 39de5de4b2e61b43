"""Pings: an address of another system hears that all is well, and notices when it does not.

What healthchecks.io and its like take: a POST says that it is well, one to the same address with
`/fail` at its end that it is not.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from .._clock import ticks
from .._errors import ConfigurationError
from .._monitor.notices import ChannelSpec, Probe
from .._notify.channels.deadline import Deadline, probe_within
from .._notify.channels.http_address import HttpAddress
from .._settings import PING_URL
from .._version import __version__

FORM: Final = "https://hc-ping.com/UUID"
LONGEST_SECONDS: Final = 5.0
AT_ONCE: Final = 8


class PingFailed(Exception):
    """A ping did not arrive; the message holds nothing of the address but its host."""


class Ping(NamedTuple):
    """A ping to be sent.

    Attributes:
        source: Where the address stands, for errors.
        url: The address. Its path is a secret.
        is_good: Whether all is well.
        text: What the other side may show, a line.
    """

    source: str
    url: str
    is_good: bool
    text: str


def ping_url_of(environ: Mapping[str, str], resolve: Callable[[str], str]) -> str | None:
    """Read the address that hears of rounds; None where there is none.

    Raises:
        ConfigurationError: it cannot be used.
    """
    text = environ.get(PING_URL, "").strip().strip("\"'")
    if not text:
        return None
    url = resolve(text)
    _address_of(PING_URL, url)
    return url


def send_ping(ping: Ping, *, timeout: float = LONGEST_SECONDS) -> None:
    """Send one.

    Raises:
        ConfigurationError: the address cannot be used.
        PingFailed: it did not arrive in time, or was refused.
    """
    address = _address_of(ping.source, ping.url)
    probe = probe_within(
        timeout,
        lambda deadline: _posted(address, ping, deadline),
        where=address.where,
        hide=address.hide,
    )
    if not probe.ok:
        raise PingFailed(f"{ping.source}: {probe.summary}")


def send_pings(rows: Iterable[Sequence[Ping]], *, seconds: float) -> list[Exception]:
    """Send rows of pings, each row in its order, and take no longer than that.

    Returns:
        What went wrong: the first failure of a row, whose rest is left out.
    """
    until = ticks() + seconds

    def tried(row: Sequence[Ping]) -> Exception | None:
        try:
            for ping in row:
                if (left := until - ticks()) <= 0:
                    return PingFailed(f"{ping.source}: not sent, since others took too long")
                send_ping(ping, timeout=min(left, LONGEST_SECONDS))
        except (ConfigurationError, PingFailed) as wrong:
            return wrong
        return None

    listed = [*rows]
    if not listed:
        return []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="runguard-ping") as pool:
        return [wrong for wrong in pool.map(tried, listed) if wrong is not None]


def _address_of(source: str, url: str) -> HttpAddress:
    return HttpAddress(ChannelSpec(name="ping", webhook=url, source=source), url, form=FORM)


def _posted(address: HttpAddress, ping: Ping, deadline: Deadline) -> Probe:
    body = ping.text.encode(errors="replace")
    try:
        connection = address.connect(deadline)
        with contextlib.closing(connection):
            connection.request(
                "POST",
                address.target(_path_of(address, ping)),
                body,
                {
                    **address.headers(),
                    "Content-Type": "text/plain; charset=utf-8",
                    "User-Agent": f"runguard/{__version__}",
                },
            )
            answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return Probe(ok=False, summary=address.unreached(error))
    said = address.hide(f"{answer.status} {answer.reason}")
    return Probe(ok=200 <= answer.status < 300, summary=f"{address.where} answered {said}")


def _path_of(address: HttpAddress, ping: Ping) -> str:
    path, mark, query = address.place.path.partition("?")
    ending = "" if ping.is_good else "/fail"
    return f"{path.rstrip('/') if ending else path}{ending}{mark}{query}"
