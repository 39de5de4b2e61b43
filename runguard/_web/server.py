"""Serving the pages from this process: who may come in, the port, and a clean end."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from .._errors import ConfigurationError
from .auth.access import LOCAL_NAMES, Access, host_names, is_loopback
from .connections import ACCEPTED_AT_ONCE, DEFAULT_LIMITS, Limits, bounded_log, bounded_protocol

DEFAULT_PORT: Final = 8722
GRACE_SECONDS: Final = 3


def access_for(
    bound: socket.socket,
    *,
    token: str | None,
    user: str | None,
    password: str | None,
    allow_hosts: Iterable[str] = (),
) -> Access:
    """Decide who may come in at an address.

    Only this machine's own may be open to everyone; there, a page of a foreign name is refused.

    Raises:
        ConfigurationError: other machines reach the address, and nothing keeps them out.
    """
    address = bound.getsockname()[0]
    local = is_loopback(address)
    names = host_names(allow_hosts)
    hosts = names | LOCAL_NAMES | host_names([address]) if local or names else None
    if token is not None or user is not None or password is not None:
        return Access.by_login(token=token, user=user, password=password, hosts=hosts)
    if not local:
        raise ConfigurationError(
            f"--host {address}: other machines can reach it, so expected a token, or a user and a"
            " password, found neither: set RUNGUARD_WEB_TOKEN, or RUNGUARD_WEB_USER and"
            " RUNGUARD_WEB_PASSWORD, or leave --host out"
        )
    return Access("open", hosts=hosts)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at that address; port 0 takes a free one.

    Raises:
        ConfigurationError: the name is unknown, or the port is taken or forbidden.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError(
            f"--host: expected an address of this machine, found {host!r}"
        ) from None
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)  # or a second server could still take the same port
    except OSError as error:
        bound.close()
        raise ConfigurationError(_why_not(error, host, port)) from error
    return bound


def url_of(bound: socket.socket, root_path: str = "") -> str:
    """Return the address to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address, this machine's own among them
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{root_path.rstrip('/')}/"


def serve(
    application: ASGIApp,
    bound: socket.socket,
    *,
    root_path: str = "",
    proxies: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; answers that have begun are finished within the grace."""
    server = server_for(
        application, root_path=root_path, proxies=proxies, limits=limits, on_ready=on_ready
    )
    # uvicorn ends properly and then raises the signal again; with SIGTERM's own handler that
    # would kill the process before it closes its store.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with bounded_log():
            server.run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        bound.close()


def server_for(
    application: ASGIApp,
    *,
    root_path: str = "",
    proxies: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    on_ready: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """Return the server of an application.

    Only `proxies`, by their addresses or networks, may name clients in `X-Forwarded-For`.

    Raises:
        ConfigurationError: a proxy is no address.
    """
    trusted = [_address_of_proxy(one) for one in proxies]
    config = uvicorn.Config(
        application,
        http=bounded_protocol(limits.within_open_files()),
        backlog=ACCEPTED_AT_ONCE,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        root_path=root_path.rstrip("/"),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config, on_ready)


def _address_of_proxy(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))
    except ValueError:
        raise ConfigurationError(
            f"--proxy: expected an address or a network such as 10.0.0.0/8, found {text!r}"
        ) from None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        await super().startup(*args, **kwargs)
        self._on_ready()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"--port: expected a free port, found {port} in use: another `runguard web` may run"
            " already; otherwise take --port 0, which finds a free one"
        )
    if error.errno == errno.EACCES:
        return f"--port: expected a port that you may use, found {port}: take one from 1024 on"
    return f"--host: expected an address of this machine, found {host!r}: {error.strerror}"
