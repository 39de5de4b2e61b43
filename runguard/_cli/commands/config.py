"""`runguard config check` and `show`: what is configured, whether it can be used, and where."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import typer

from ... import _settings
from ..._errors import ConfigurationError
from ..._failure.redaction import Redactor
from ..._frozen import frozen
from ..._monitor import expectation_words
from ..._monitor.expectations import JobDeclaration
from ..._monitor.notices import ChannelSpec
from ..._monitor.wording import counted, duration, version
from ..._notify.config import DEFAULT, NotifyConfig, load_config, read_config
from ..._notify.routes import Route
from ..._notify.secret_refs import is_reference
from ..._run.unknown_names import unknown_names
from ..._run.version import find_version
from ..options import AsJson, command_app, help_end
from ..output import Listing, write_json, write_listing
from ..talk import say

app = command_app(
    help="What is configured: variables, and the file of channels.",
    epilog=help_end("runguard config check", "runguard config show"),
    no_args_is_help=True,
)

HIDDEN = "[hidden]"
_WHERE_UNSET = {"database_url": "the embedded file", "spool_dir": "the user's state directory"}


@frozen
class Value:
    """A value as it may be shown, and where it comes from: a variable, a file, or `default`."""

    name: str
    value: str
    source: str


@app.command(epilog=help_end("runguard config check"))
def check() -> None:
    """Look for mistakes in variables and file. Exits with 1 if there are any.

    Nothing is sent, and no channel is connected to: `runguard doctor` and `runguard notify --test`
    do that. Run it where alerts are sent: secrets and programs are looked up there.
    """
    config, problems = read_config(os.environ, Path.cwd())
    found = (*_channel_problems(config), *_job_problems(config))
    problems = (*_setting_problems(os.environ), *problems, *found)
    problems += tuple(_ping_problems(config))
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if problems:
        say(f"{counted(len(problems), 'mistake')} found.")
        raise typer.Exit(1)
    jobs = f", {counted(len(config.jobs), 'job')} with expectations" if config.jobs else ""
    if not config.channels:
        say(f"No mistake found{jobs}. No channel is configured: nobody is told of alerts.")
        return
    names = ", ".join(config.channels)
    ways = counted(len(config.routes), "route")
    windows = counted(len(config.quiet), "maintenance window")
    say(
        f"No mistake found: {counted(len(config.channels), 'channel')} ({names}), {ways},"
        f" {windows}{jobs}. `runguard notify --test` sends a message."
    )


@app.command(epilog=help_end("runguard config show", "runguard config show --json"))
def show(*, as_json: AsJson = False) -> None:
    """Show each value and where it comes from. Secrets are hidden."""
    values = [*_settings_shown(os.environ), *_notify_shown(load_config(os.environ, Path.cwd()))]
    if as_json:
        write_json(values)
        return
    write_listing(
        Listing(
            columns=("name", "source"),
            rows=[(one.name, one.source) for one in values],
            note_title="value",
            notes=[one.value for one in values],
        )
    )


def _setting_problems(environ: Mapping[str, str]) -> Iterator[str]:
    """Judge each variable by itself, so that one mistake does not hide another."""
    try:
        _settings.settings_from({}, environ)
    except ConfigurationError as first:
        found = [str(first)]
        for variable, _ in _settings.FROM_ENVIRONMENT.values():
            try:
                _settings.settings_from({}, {variable: environ.get(variable, "")})
            except ConfigurationError as error:
                found.append(str(error))
        yield from dict.fromkeys(found)
    try:
        _settings.is_disabled(environ)
    except ConfigurationError as error:
        yield str(error)
    for name, hint in unknown_names(environ):
        yield f"{name} is not a setting{hint}"


def _channel_problems(config: NotifyConfig) -> Iterator[str]:
    """Make each channel, which looks up its secrets and reads its URL."""
    from ..._notify.channels.factory import open_channel

    for name, spec in config.channels.items():
        missing = list(_missing_secrets(spec, config))
        yield from (f"channels.{name}: {problem}" for problem in missing)
        if not missing:
            try:
                channel = open_channel(spec, config.resolve)
            except ConfigurationError as error:  # it names the channel
                yield str(error)
                continue
            # Of a program, a look at this machine tells; others would have to be connected to.
            if spec.command and not (found := channel.probe(timeout=0)).ok:
                yield f"channels.{name}: {found.summary}"


def _ping_problems(config: NotifyConfig) -> Iterator[str]:
    """Read the address that hears of rounds."""
    from ..._rounds.ping import ping_url_of

    try:
        ping_url_of(os.environ, config.resolve)
    except ConfigurationError as error:
        yield str(error)


def _job_problems(config: NotifyConfig) -> Iterator[str]:
    """Look up what the monitor will, where it runs."""
    for job in config.jobs:
        address = job.expectation.ping_url if job.expectation is not None else None
        for problem in _missing((address,), config):
            yield f"jobs.{job.job_name}.ping_url: {problem}"


def _missing_secrets(spec: ChannelSpec, config: NotifyConfig) -> Iterator[str]:
    return _missing((spec.url, spec.webhook, *spec.secrets), config)


def _missing(references: Iterable[str | None], config: NotifyConfig) -> Iterator[str]:
    for text in references:
        try:
            config.resolve(text or "")
        except ConfigurationError as error:
            yield str(error)


def _settings_shown(environ: Mapping[str, str]) -> Iterator[Value]:
    settings = _settings.settings_from({}, environ)
    for name in _settings.FROM_ENVIRONMENT:
        source = _settings.source_of(name, {}, environ)
        is_given = bool(environ.get(source, "").strip())
        value = getattr(settings, name)
        shown = _version_here(environ) if name == "version" and value is None else None
        yield Value(name, shown or _shown(name, value), source if is_given else DEFAULT)
    if _settings.is_disabled(environ):
        yield Value("disabled", "True", _settings.DISABLED)
    logins = (_settings.WEB_TOKEN, _settings.WEB_USER, _settings.WEB_PASSWORD)
    for variable in (_settings.PING_URL, _settings.PG_CRON_URL, *logins):
        if environ.get(variable):
            name = variable.removeprefix("RUNGUARD_").lower()
            yield Value(name, HIDDEN, variable)


def _version_here(environ: Mapping[str, str]) -> str:
    found = find_version(_settings.Settings(), environ)
    return f"each process finds its own; here {version(found) if found else 'none'}"


def _shown(name: str, value: object) -> str:
    if isinstance(value, timedelta):
        return duration(value)
    if value is None:
        return _WHERE_UNSET.get(name, "none")
    return Redactor().clean(str(value))


def _notify_shown(config: NotifyConfig) -> Iterator[Value]:
    sources = config.sources
    yield Value("notify.web_url", config.web_url or "none", sources["web_url"])
    yield Value("notify.remind_every", duration(config.remind_every), sources["remind_every"])
    yield Value("notify.timezone", str(config.timezone), sources["timezone"])
    for name, spec in config.channels.items():
        yield Value(f"channels.{name}", _channel_shown(spec), spec.source)
    for number, route in enumerate(config.routes, 1):
        yield Value(f"routes[{number}]", _route_shown(route), sources["routes"])
    for job in config.jobs:
        yield Value(f"jobs.{job.job_name}", _job_shown(job), sources["jobs"])
    for number, window in enumerate(config.quiet, 1):
        jobs = ", ".join(window.job) or "*"
        shown = f"{jobs}: {window.cron} ({window.timezone}) for {duration(window.length)}"
        yield Value(f"quiet[{number}]", shown, sources["quiet"])


def _job_shown(job: JobDeclaration) -> str:
    expected = "" if job.expectation is None else expectation_words.everything(job.expectation)
    texts = {"owner": job.owner, "runbook": job.runbook, "description": job.description}
    told = (f"{name} {text}" for name, text in texts.items() if text)
    return ", ".join([expected, *told] if expected else told)


def _channel_shown(spec: ChannelSpec) -> str:
    """Show a reference as it stands; of an address, only what can hold no secret."""
    if spec.command is not None:
        arguments = len(spec.command) - 1
        return spec.command[0] + (f" and {counted(arguments, 'argument')}" if arguments else "")
    address = spec.url or spec.webhook or ""
    if not is_reference(address):
        address = f"{address.partition('://')[0]}://{HIDDEN}"
    signed = f", signed with {', '.join(spec.secrets)}" if spec.secrets else ""
    return f"{address}{signed}"


def _route_shown(route: Route) -> str:
    given = {
        "job": route.job,
        "environment": route.environment,
        "group": route.group,
        "reason": route.reason,
        "alert_type": route.alert_type,
        "owner": route.owner,
        "severity": route.severity,
        "after": (duration(route.after),) if route.after is not None else (),
    }
    asked = ", ".join(f"{key} {' or '.join(words)}" for key, words in given.items() if words)
    goes_on = ", then the next route" if route.goes_on else ""
    return f"{asked or 'every alert'} → {', '.join(route.to) or 'nobody'}{goes_on}"
