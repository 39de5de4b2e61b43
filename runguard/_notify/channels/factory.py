"""A channel of what is configured: which protocol, and whether it can be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..._monitor.notices import ChannelSpec
from .addresses import wrong
from .base import Channel

_NAME: Final = re.compile(r"[a-z0-9_-]{1,40}")
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30})://")


def open_channel(spec: ChannelSpec, resolve: Callable[[str], str]) -> Channel:
    """Make the channel of a configuration; it connects to nothing yet.

    Args:
        spec: What is configured.
        resolve: Returns what `env:NAME` or `file:/path` stands for, any other text as it is.

    Raises:
        ConfigurationError: The channel cannot be used. The message names the channel and where it
            is configured, and repeats no URL.
    """
    if not _NAME.fullmatch(spec.name):
        raise wrong(spec, "expected a name of 1 to 40 of a-z, 0-9, _ and -, found another one")
    given = [kind for kind in ("url", "webhook", "command") if getattr(spec, kind) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise wrong(spec, f"expected one of url, webhook and command, found {found}: keep one")
    if spec.command is not None:
        from .command import CommandChannel

        return CommandChannel(spec, _without_secrets(spec, spec.command))
    if spec.webhook is not None:
        return _webhook(spec, resolve(spec.webhook), resolve)
    return _of_url(spec, resolve(spec.url or "").strip(), resolve)


def _of_url(spec: ChannelSpec, url: str, resolve: Callable[[str], str]) -> Channel:
    found = _SCHEME.match(url)
    if found is None:
        raise wrong(
            spec, "expected a URL such as smtp://… or slack://…, found a text without a scheme"
        )
    scheme = found[1].lower()
    if scheme.startswith("webhook+"):
        return _webhook(spec, url, resolve)
    if spec.secrets:
        raise wrong(spec, f"expected a secret with a webhook only, found one with {scheme}://")
    if scheme in ("smtp", "smtps"):
        from .smtp import SmtpChannel

        return SmtpChannel(spec, url)
    from .apprise import AppriseChannel

    return AppriseChannel(spec, url)


def _webhook(spec: ChannelSpec, url: str, resolve: Callable[[str], str]) -> Channel:
    from .webhook import WebhookChannel

    return WebhookChannel(spec, url.strip(), tuple(resolve(secret) for secret in spec.secrets))


def _without_secrets(spec: ChannelSpec, command: tuple[str, ...]) -> tuple[str, ...]:
    if spec.secrets:
        raise wrong(
            spec,
            "expected a secret with a webhook only, found one with a command: the program reads"
            " its own from its environment or a file",
        )
    return command
