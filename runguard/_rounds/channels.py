"""The channels of this process: read anew for each round, so that a change needs no restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from .._errors import ConfigurationError
from .._events import Events
from .._notify.channels.base import Channel
from .._notify.channels.factory import open_channel
from .._notify.config import NotifyConfig, read_config
from .._notify.dispatcher import Dispatcher
from .._notify.outbox import Outbox


class Channels:
    """What is configured here, and what of it can be used.

    Args:
        environ: The environment that is read.
        folder: Where `runguard.toml` and `pyproject.toml` are looked for.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.environ = environ
        self._folder = folder
        self.config = NotifyConfig()
        self.newest = NotifyConfig()
        self.usable: tuple[Channel, ...] = ()

    def read(self) -> Iterator[ConfigurationError]:
        """Read the configuration, and yield what is wrong with it.

        Where something is, the configuration before goes on. Without one, what can be read counts,
        but for its routes and maintenance windows: rather too many are told than nobody. A mistake
        in a job changes nothing of who is told. `newest` is always what can be read now.
        """
        config, problems = read_config(self.environ, self._folder)
        self.newest = config
        yield from map(ConfigurationError, problems)
        if config.has_mistakes and self.usable:
            return
        self.config = replace(config, routes=(), quiet=()) if config.has_mistakes else config
        usable = []
        for spec in self.config.channels.values():
            try:
                usable.append(open_channel(spec, self.config.resolve))
            except ConfigurationError as wrong:
                yield wrong
        self.usable = tuple(usable)

    def dispatcher(self, outbox: Outbox, events: Events) -> Dispatcher:
        """Return what routes and sends on the usable channels."""
        return Dispatcher(outbox, self.usable, self.config, events)
