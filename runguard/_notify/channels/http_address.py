"""An address that is posted to: its server, or the proxy before it, and what is said in errors.

The proxy of `https_proxy`, `http_proxy` and `no_proxy` is used.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from typing import Final
from urllib.request import getproxies, proxy_bypass

from ..._monitor.notices import ChannelSpec
from .addresses import Place, read_place, wrong
from .deadline import Deadline
from .hiding import hider

_PORTS: Final = {"http": 80, "https": 443}


class HttpAddress:
    """An address that is posted to.

    Attributes:
        place: The address, taken apart.
        where: Its host and port, which may be shown: a path is often a secret.
        hide: Makes a text one line without the secrets of the address.

    Args:
        spec: For errors: where the address stands.
        url: The address.
        form: What it should look like.
        secrets: What else is hidden.

    Raises:
        ConfigurationError: it cannot be used.
    """

    def __init__(
        self, spec: ChannelSpec, url: str, *, form: str, secrets: tuple[str, ...] = ()
    ) -> None:
        self.place: Final = _read_address(spec, url, form)
        self._proxy: Final = _proxy_for(spec, self.place)
        self.where: Final = self.place.netloc
        self.hide: Final = hider(self._secrets(secrets))

    def _secrets(self, secrets: tuple[str, ...]) -> list[str]:
        path = self.place.path  # that of a chat's webhook is its password
        proxy = self._proxy.password if self._proxy else None
        found = [self.place.password, self.login, proxy, *secrets]
        return [secret for secret in [*found, path if len(path) > 1 else None] if secret]

    @property
    def login(self) -> str | None:
        """User and password, as `Authorization` takes them."""
        return _login(self.place)

    @property
    def via(self) -> str:
        """Name the proxy, for a sentence; empty without one."""
        return f" through the proxy {self._proxy.netloc}" if self._proxy else ""

    def target(self, path: str | None = None) -> str:
        """Return what stands in the first line of a request."""
        path = path or self.place.path
        if self._proxy is not None and self.place.scheme == "http":
            return f"http://{self.place.netloc}{path}"
        return path

    def headers(self) -> dict[str, str]:
        """Return the headers that any request to it has."""
        headers = {"Host": self.place.netloc, "Connection": "close"}
        if self.login:
            headers["Authorization"] = f"Basic {self.login}"
        if self._proxy is not None and self.place.scheme == "http" and _login(self._proxy):
            headers["Proxy-Authorization"] = f"Basic {_login(self._proxy)}"
        return headers

    def connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        """Connect, and begin TLS."""
        place, proxy = self.place, self._proxy
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

    def unreached(self, error: Exception) -> str:
        """Say why it could not be reached."""
        return f"{self.where}: {self.hide(_why(error))}"


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


def _login(place: Place) -> str | None:
    if place.user is None:
        return None
    written = f"{place.user}:{place.password or ''}".encode(errors="replace")
    return base64.b64encode(written).decode()


def _read_address(spec: ChannelSpec, url: str, form: str) -> Place:
    place = read_place(spec, url.removeprefix("webhook+"), form)
    if place.scheme not in _PORTS:
        raise wrong(
            spec, f"expected an address such as {form}, found another scheme: write https://"
        )
    if not place.path.isascii():
        raise wrong(
            spec,
            f"expected an address such as {form}, found one that is not ASCII: write it with %",
        )
    return place


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
