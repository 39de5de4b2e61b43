"""What a channel is: `policy` and `dispatcher` know no more than this."""

from __future__ import annotations

from typing import Protocol

from ..._monitor.notices import Message, Outcome, Probe


class Channel(Protocol):
    """A way to reach somebody.

    Attributes:
        name: What the configuration calls it.
        kind: `smtp`, `webhook`, `command`, or the word that Apprise has for the service.
        is_idempotent: Whether a repeat with the same key does no harm.
        config_hash: Of everything that is configured, secrets included and not readable from it.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def is_idempotent(self) -> bool: ...
    @property
    def config_hash(self) -> str: ...

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Send one message. Never raises, and returns a second after `timeout` at the latest."""
        ...

    def probe(self, *, timeout: float) -> Probe:
        """Look whether the channel is reachable and takes our credentials; send nothing."""
        ...

    def target(self) -> str:
        """Name who is reached, for people: without secrets."""
        ...
