"""A store as a test looks at it: its rows, and what people are told of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._api import runtime
from .._events import Events
from .._frozen import frozen
from .._monitor.notices import ChannelSpec, DeliveryRecord, Message, Outcome, Probe, SendResult
from .._monitor.records import AlertFilter, AlertRecord, RunFilter, RunRecord

if TYPE_CHECKING:
    from .._notify.config import NotifyConfig
    from .._store.operator import OperatorStore

CHANNEL: Final = "oncall"  # where the project configures none
MOST_ROWS: Final = 10_000


@frozen(kw_only=True)
class ToldMessage:
    """A message as its channel would get it.

    Attributes:
        channel: Name of the channel.
        kind: `opened`, `reminder`, `raised`, `recovered` or `digest`.
        severity: `low`, `medium` or `high`.
        subject: One line.
        text: The plain text.
        html: The same for mail, else None.
        data: The same as JSON values, for webhooks and commands.

    Added in 0.2.
    """

    channel: str
    kind: str
    severity: str
    subject: str
    text: str
    html: str | None = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)


@frozen
class CapturingChannel:
    """Takes messages instead of a channel, and sends nothing."""

    name: str
    kind: str
    told: list[ToldMessage]
    is_idempotent: bool = True
    config_hash: str = "captured"

    def send(self, message: Message, *, timeout: float) -> Outcome:  # noqa: ARG002 - of a channel
        """Keep the message."""
        self.told.append(
            ToldMessage(
                channel=self.name,
                kind=str(message.kind),
                severity=message.severity,
                subject=message.subject,
                text=message.text,
                html=message.html,
                data=message.data,
            )
        )
        return Outcome(SendResult.SENT)

    def probe(self, *, timeout: float) -> Probe:  # noqa: ARG002 - of a channel
        """Say that it takes everything."""
        return Probe(ok=True, summary="captured by a test")

    def target(self) -> str:
        """Name it."""
        return "a test"


@frozen
class Rows:
    """All that a test may ask for, the oldest first."""

    runs: Sequence[RunRecord]
    alerts: Sequence[AlertRecord]
    deliveries: Sequence[DeliveryRecord]


class StoreView:
    """Reads a store, and delivers its alerts to channels that only capture.

    Args:
        url: URL of the store; None where an engine is given.
        engine: The engine of the settings, which stays open.
        captures: Whether messages are captured. What is captured was told, for the store: in one
            that others use, they would wait for it in vain.
    """

    def __init__(self, url: str | None, engine: Any = None, *, captures: bool = True) -> None:
        self.captures = captures
        self.told: list[ToldMessage] = []
        self._url = url
        self._engine = engine

    @contextmanager
    def reader(self) -> Iterator[OperatorStore]:
        """Give a store of its own, so that settings may still be changed by who asks."""
        store = self.open()
        try:
            yield store
        finally:
            if self._engine is None:
                store.close()

    def open(self) -> OperatorStore:
        """Open it."""
        from .._store.factory import open_recorder
        from .._store.operator import open_operator_store

        return open_operator_store(open_recorder(url=self._url, engine=self._engine))

    def rows(self) -> Rows:
        """Read all that there is."""
        with self.reader() as store:
            runs = store.run_page(RunFilter(), limit=MOST_ROWS).runs
            alerts = store.alert_page(AlertFilter(), limit=MOST_ROWS).alerts
            deliveries = store.trail([one.id for one in alerts])
        by_id = sorted(runs, key=lambda run: run.id)
        return Rows(by_id, sorted(alerts, key=lambda alert: alert.id), deliveries)

    def channels(self) -> Sequence[str]:
        """Name the channels that messages are captured for."""
        return [*self._config().channels]

    def deliver(self) -> None:
        """Tell what is due, as `runguard monitor` does: the same routes, texts and order."""
        if not self.captures:
            return
        from .._notify.channels.base import Channel
        from .._notify.dispatcher import MAIL, Dispatcher

        config = self._config()
        channels: list[Channel] = [
            CapturingChannel(name, MAIL if _is_mail(spec) else "captured", self.told)
            for name, spec in config.channels.items()
        ]
        settings = runtime.settings_so_far()
        with self.reader() as store:
            dispatcher = Dispatcher(store, channels, config, Events(lambda: settings.redactor))
            dispatcher.dispatch()
            store.settle_incidents(
                environment=settings.environment, auto_resolve=settings.auto_resolve
            )
            dispatcher.dispatch()
            dispatcher.deliver_due()

    def _config(self) -> NotifyConfig:
        """Read who is told in this project. Its maintenance windows would depend on the hour."""
        from .._notify.config import read_config

        config, _ = read_config(os.environ, Path())
        channels = config.channels or {CHANNEL: ChannelSpec(name=CHANNEL, source="a test")}
        routes = () if config.has_mistakes else config.routes
        return replace(config, channels=channels, routes=routes, quiet=())


def _is_mail(spec: ChannelSpec) -> bool:
    return (spec.url or "").startswith(("smtp:", "smtps:"))


def view_of_settings() -> StoreView:
    """Return a view of the store that this process's runs use."""
    settings = runtime.settings_so_far()
    url = settings.database_url
    if url is None and settings.engine is None:
        from .._run.embedded import embedded_url, is_in_a_test

        return StoreView(embedded_url(), captures=is_in_a_test())
    return StoreView(url, settings.engine, captures=False)
