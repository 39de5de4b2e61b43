"""What `runguard doctor` looks at in channels: what is configured here, and how it has been."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .. import _settings
from .._errors import ConfigurationError, StoreUnavailable
from .._failure.introspection import printable
from .._monitor.trail import (
    channel_trouble,
    last_look,
)
from .._monitor.wording import age
from .findings import Finding, State

if TYPE_CHECKING:
    from .._monitor.notices import ChannelSpec
    from .._notify.config import NotifyConfig
    from .._store.operator import OperatorStore

CHANNELS: Final = "channels"
CHANNEL: Final = "channel "
DELIVERY: Final = "delivery"
UNDELIVERED: Final = "undelivered"
PROBE_SECONDS: Final = 5.0
LONGEST: Final = 300


def check_channels(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell which channels are configured here, whether each answers, and who delivers."""
    from .._notify.config import read_config

    config, problems = read_config(environ, Path.cwd())
    for problem in problems:
        remedy = "correct it: until then nobody is told from here"
        yield Finding(CHANNELS, State.PROBLEM, problem, remedy)
    for name, spec in config.channels.items():
        yield _probed(name, spec, config)
    if not problems:
        yield _who_delivers(config, environ)


def check_deliveries(store: OperatorStore) -> Iterator[Finding]:
    """Tell what the store knows of channels and deliveries."""
    try:
        now, states, dead = store.now(), store.channel_states(), store.undelivered_count()
    except StoreUnavailable:  # this role may not read it, which the privileges tell
        return
    for said in channel_trouble(states):
        remedy = "correct the channel, or take it out of the configuration"
        yield Finding(DELIVERY, State.PROBLEM, said.text(), remedy)
    if dead:
        were = "alert was" if dead == 1 else "alerts were"
        yield Finding(
            UNDELIVERED,
            State.PROBLEM,
            f"{dead} {were} given up in the last 7 days",
            "`runguard alerts` says which, in the column told",
        )
    looked_at = last_look(states)
    if looked_at is not None:
        yield _last_look(looked_at, now)


def is_about_delivery(finding: Finding) -> bool:
    """Whether a finding is about delivery: runs are recorded all the same."""
    return finding.check in (CHANNELS, DELIVERY, UNDELIVERED) or finding.check.startswith(CHANNEL)


def _last_look(looked_at: datetime, now: datetime) -> Finding:
    return Finding("last look", State.OK, f"a process with channels looked {age(looked_at, now)}")


def _probed(name: str, spec: ChannelSpec, config: NotifyConfig) -> Finding:
    from .._notify.channels.factory import open_channel

    check = f"{CHANNEL}{name}"
    try:
        channel = open_channel(spec, config.resolve)
    except ConfigurationError as error:
        return Finding(check, State.PROBLEM, str(error), f"correct it in {spec.source}")
    probe = channel.probe(timeout=PROBE_SECONDS)
    found = f"{channel.target()} ({spec.source}): {printable(probe.summary, LONGEST)}"
    if probe.ok is False:
        remedy = f"`runguard notify --test {name}` tries it"
        return Finding(check, State.PROBLEM, found, remedy)
    return Finding(check, State.OK, found)


def _who_delivers(config: NotifyConfig, environ: Mapping[str, str]) -> Finding:
    is_off = environ.get(_settings.DELIVER, "").strip().lower() == "off"
    if not config.channels:
        return Finding(
            "delivers here",
            State.OK,
            "nobody: no channel is configured here",
            f"set {_settings.NOTIFY}, or write a runguard.toml, to be told of alerts",
        )
    if is_off:
        return Finding(
            "delivers here",
            State.OK,
            f"nobody: {_settings.DELIVER}=off",
            "let `runguard monitor` run elsewhere, or unset it",
        )
    return Finding("delivers here", State.OK, "a short child of each process that raised an alert")
