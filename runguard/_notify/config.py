"""Who is told, how, and when: read from the environment and one TOML file.

A run reads none of it: only commands do, and the processes that deliver. `docs/reference/notify.md`
names every key.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from datetime import UTC, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from .._errors import ConfigurationError
from .._frozen import frozen
from .._models import ErrorGroup, Severity
from .._monitor.expectations import JobDeclaration
from .._monitor.notices import ChannelSpec
from .._reasons import ErrorReason
from .._secret_file import read_text
from .._settings import CONFIG, ENVIRONMENT, NOTIFY, NOTIFY_FILE
from . import secret_refs
from .fields import A_LENGTH, Table
from .jobs import read_jobs
from .quiet import LONGEST_WINDOW, QuietWindow, check_cron
from .routes import Route

REMIND_EVERY: Final = timedelta(hours=4)
LARGEST_FILE: Final = 1024 * 1024
DEFAULT: Final = "default"
OWN_FILE: Final = "runguard.toml"
PROJECT_FILE: Final = "pyproject.toml"
SYSTEM_FILE: Final = "/etc/runguard.toml"
A_URL: Final = "a URL such as smtp://… or slack://…, or env:NAME, or file:/path"
A_REFERENCE: Final = "env:NAME or file:/path, or a list of them"
A_WEBHOOK: Final = "an address such as https://…, or env:NAME, or file:/path"

_CHANNEL_NAME: Final = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://.", re.ASCII | re.IGNORECASE)
_PLACE: Final = re.compile(r"\(at .*\)$")
_IN_PROJECT: Final = "[tool.runguard"


@frozen(kw_only=True)
class NotifyConfig:
    """Who is told, how, and when.

    Attributes:
        channels: Channels by their names, in the order in which they stand.
        routes: Which of them an alert goes to; none where all go to every channel.
        quiet: Maintenance windows.
        jobs: What is expected of jobs, as far as it can be read.
        mistaken_jobs: Those whose table has a mistake; None where it cannot be said which.
        has_mistakes: Whether anything but a job is mistaken.
        web_url: Address of the page, without a slash at its end, for links in messages.
        remind_every: How long an incident may stay open until its next alert is told again.
        timezone: Zone of the times in messages.
        file: The file that was read; None where there is none.
        sources: Where each value comes from: a variable, a file, or `default`.
        resolve: Gives the secret that `env:NAME` or `file:/path` stands for.
    """

    channels: Mapping[str, ChannelSpec] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    quiet: tuple[QuietWindow, ...] = ()
    jobs: tuple[JobDeclaration, ...] = ()
    mistaken_jobs: frozenset[str] | None = frozenset()
    has_mistakes: bool = False
    web_url: str | None = None
    remind_every: timedelta = REMIND_EVERY
    timezone: tzinfo = UTC
    file: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    resolve: Callable[[str], str] = field(
        default=secret_refs.SecretReader(), repr=False, compare=False
    )


class Reading(NamedTuple):
    """What was read, and what is wrong with it, a sentence each."""

    config: NotifyConfig
    problems: tuple[str, ...]


def load_config(environ: Mapping[str, str], cwd: Path) -> NotifyConfig:
    """Read the configuration; without any, the one that has no channel.

    Args:
        environ: The environment.
        cwd: The folder in which `runguard.toml` and `pyproject.toml` are looked for.

    Raises:
        ConfigurationError: it cannot be used. The message shows no secret.
    """
    config, problems = read_config(environ, cwd)
    if problems:
        more = len(problems) - 1
        also = f" (and {more} more: `runguard config check` lists them)" if more else ""
        raise ConfigurationError(f"{problems[0]}{also}")
    return config


def read_config(environ: Mapping[str, str], cwd: Path) -> Reading:
    """Read the configuration as far as it can be read, with everything that is wrong in it."""
    problems: list[str] = []
    cwd = cwd.absolute()  # the file's name is also kept, as that of who declares jobs
    try:
        source = _find_file(environ, cwd, problems)
    except ConfigurationError as error:
        problems.append(str(error))
        source = _Source()
    file = str(source.path or "")
    top = Table(source.content, name=source.prefix, file=file, problems=problems)
    by_file = _channels(top.table("channels"), file)
    by_variable = _channels_of_environment(environ, cwd, problems)
    channels = {**by_file, **by_variable}
    # Where a channel could not be read, a route that names it is not a second mistake.
    known = None if problems else list(channels)
    sources = {f"channels.{name}": spec.source for name, spec in channels.items()}
    notify = top.table("notify")
    values: dict[str, Any] = {
        "web_url": _web_url(notify),
        "remind_every": notify.duration("remind_every"),
        "timezone": _timezone(notify),
    }
    timezone = values["timezone"] or UTC
    values["routes"] = tuple(_route(one, known) for one in top.tables("routes")) or None
    windows = (_quiet(one, timezone) for one in top.tables("quiet"))
    values["quiet"] = tuple(one for one in windows if one is not None) or None
    environment = environ.get(ENVIRONMENT, "").strip().strip("\"'") or None
    notify.end()
    before = len(problems)
    jobs = tuple(read_jobs(top.table("jobs"), file=file, environment=environment))
    values["jobs"] = jobs or None
    of_jobs = len(problems) - before
    top.end()
    given = {key: value for key, value in values.items() if value is not None}
    sources |= {key: file if key in given else DEFAULT for key in values}
    config = NotifyConfig(
        channels=channels,
        mistaken_jobs=_mistaken(top.get("jobs"), jobs),
        has_mistakes=len(problems) > of_jobs,
        file=source.path,
        sources=sources,
        resolve=secret_refs.SecretReader(environ),
        **given,
    )
    return Reading(config, tuple(problems))


def _mistaken(tables: object, read: Iterable[JobDeclaration]) -> frozenset[str] | None:
    if tables is None:
        return frozenset()
    if not isinstance(tables, dict):
        return None
    return frozenset(tables) - {one.job_name for one in read}


class _Source(NamedTuple):
    """A file's content, and what stands before each of its keys."""

    content: Mapping[str, object] = {}
    prefix: str = ""
    path: Path | None = None


def _find_file(environ: Mapping[str, str], cwd: Path, problems: list[str]) -> _Source:
    named = environ.get(CONFIG, "").strip().strip("\"'")
    if named:
        path = cwd / named
        return _parsed(read_text(str(path), source=CONFIG, largest=LARGEST_FILE), path)
    for path in (cwd / OWN_FILE, cwd / PROJECT_FILE, Path(SYSTEM_FILE)):
        # Not Path.is_file: that raises where a folder on the way may not be entered.
        if not os.path.isfile(path):  # noqa: PTH113
            continue
        text: str | None = None
        if path.name == PROJECT_FILE:
            with suppress(ConfigurationError):  # a file of others, which need not be for us to read
                text = _text_of(path)
            if _IN_PROJECT not in (text or ""):
                continue
        if _may_be_planted(path):
            problems.append(
                f"{path}: expected a file of this user or of root, since everybody may write to"
                f" that folder; found one of another user: move it, or name it in {CONFIG}"
            )
            continue
        return _parsed(_text_of(path) if text is None else text, path)
    return _Source()


def _may_be_planted(path: Path) -> bool:
    """Whether anybody may have put a file there: its commands would run as this user."""
    try:
        is_for_all = path.parent.stat().st_mode & stat.S_IWOTH
        return bool(is_for_all) and path.stat().st_uid not in (0, os.geteuid())
    except OSError:  # it is gone: reading it will say so
        return False


def _text_of(path: Path) -> str:
    return read_text(str(path), source=str(path), largest=LARGEST_FILE)


def _parsed(text: str, path: Path) -> _Source:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser's own words may quote what stands there, which may be a secret.
        place = _PLACE.search(str(error))
        raise ConfigurationError(
            f"{path}: expected TOML, found something else{f' {place[0]}' if place else ''}: a text"
            " stands in quotes, and a key stands in a table once"
        ) from None
    if path.name != PROJECT_FILE:
        return _Source(content, "", path)
    own = content.get("tool", {}).get("runguard", {})
    return _Source(own if isinstance(own, dict) else {}, "tool.runguard.", path)


def _web_url(notify: Table) -> str | None:
    text = notify.text("web_url")
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        is_plain = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_plain = is_plain and not (parts.username or parts.password or parts.query)
    except ValueError:
        is_plain = False
    if not is_plain or any(letter.isspace() or not letter.isprintable() for letter in text):
        expected = "an address such as https://ops.example/runguard, without a password"
        notify.wrong("web_url", expected, "something else")
        return None
    return text.rstrip("/")


def _timezone(table: Table) -> tzinfo | None:
    return table.read("timezone", _zone, expected="a time zone such as Asia/Seoul")


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (OSError, LookupError):  # a folder of the database, or not in it
        raise ValueError(name) from None


def _route(table: Table, known: list[str] | None) -> Route:
    to = table.texts("to") if known is None else table.words("to", known)
    if "to" not in table:
        table.wrong("to", "names of channels, [] for nobody", "none")
    route = Route(
        to=to,
        job=table.texts("job"),
        environment=table.texts("environment"),
        group=table.words("group", ErrorGroup, patterns=True),
        reason=table.words("reason", ErrorReason, patterns=True),
        alert_type=table.texts("alert_type"),
        owner=table.texts("owner"),
        severity=table.words("severity", Severity),
        after=table.duration("after"),
        goes_on=table.flag("continue"),
    )
    table.end()
    return route


def _quiet(table: Table, timezone: tzinfo) -> QuietWindow | None:
    cron = table.read("cron", _cron, expected='a cron expression such as "0 2 * * 0"')
    length = table.duration("for")
    reason = table.text("reason")
    zone = _timezone(table)
    job = table.texts("job")
    environment = table.texts("environment")
    group = table.words("group", ErrorGroup, patterns=True)
    alert_type = table.texts("alert_type")
    for key, expected in (("cron", "a cron expression"), ("for", A_LENGTH), ("reason", "why")):
        if key not in table:
            table.wrong(key, expected, "none")
    if length is not None and length > LONGEST_WINDOW:
        table.wrong("for", f"at most {LONGEST_WINDOW.days}d", "more")
        length = None
    table.end()
    if cron is None or length is None or reason is None:
        return None
    return QuietWindow(
        cron=cron,
        length=length,
        reason=reason,
        timezone=zone or timezone,
        job=job,
        environment=environment,
        group=group,
        alert_type=alert_type,
    )


def _cron(text: str) -> str:
    check_cron(text)
    return text


def _channels(table: Table, file: str) -> dict[str, ChannelSpec]:
    specs = {}
    for name, content in table.named_tables():
        spec = _channel(name, content, file)
        if not _CHANNEL_NAME.fullmatch(name):
            table.wrong(name, "a name of 1 to 40 of a-z, 0-9, _ and -", "another")
        elif spec is not None:
            specs[name] = spec
    return specs


def _channel(name: str, table: Table, file: str) -> ChannelSpec | None:
    url = _reference(table, "url", A_URL, is_other=lambda text: bool(_SCHEME.match(text)))
    webhook = _reference(table, "webhook", A_WEBHOOK, is_other=_is_web_address)
    command = table.texts("command", expected="a list: a program and its arguments, no shell")
    if isinstance(table.get("command"), str):
        table.wrong("command", "a list: a program and its arguments, no shell", "one text")
    secrets = table.texts("secret", expected=A_REFERENCE)
    if not all(
        secret_refs.is_reference(one) and not secret_refs.problem_of(one) for one in secrets
    ):
        table.wrong("secret", A_REFERENCE, "another text")
    given = [key for key in ("url", "webhook", "command") if key in table]
    if len(given) != 1:
        table.wrong_itself("one of url, webhook and command", " and ".join(given) or "none")
    elif secrets and given != ["webhook"]:
        table.wrong("secret", f"none beside {given[0]}: it signs what a webhook sends", "one")
    table.end()
    if len(given) != 1 or not (url or webhook or command):
        return None
    return ChannelSpec(
        name=name, url=url, webhook=webhook, command=command or None, secrets=secrets, source=file
    )


def _reference(
    table: Table, key: str, expected: str, *, is_other: Callable[[str], bool]
) -> str | None:
    """Read a reference to a secret, or what it may stand for; what is wrong is never repeated."""
    text = table.text(key, expected=expected)
    if text is None:
        return None
    text = text.strip()
    is_reference = secret_refs.is_reference(text)
    if secret_refs.problem_of(text) or not (is_reference or is_other(text)):
        table.wrong(key, expected, "another text")
        return None
    return text


def _is_web_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _channels_of_environment(
    environ: Mapping[str, str], cwd: Path, problems: list[str]
) -> dict[str, ChannelSpec]:
    text = environ.get(NOTIFY, "").strip()
    path = environ.get(NOTIFY_FILE, "").strip().strip("\"'")
    source = NOTIFY
    if text and path:
        problems.append(f"{NOTIFY_FILE}: expected it or {NOTIFY}, found both: unset one of them")
    elif path:
        source = NOTIFY_FILE
        try:
            text = _without_comments(
                read_text(str(cwd / path), source=NOTIFY_FILE, largest=LARGEST_FILE)
            )
        except ConfigurationError as error:
            problems.append(str(error))
    specs: dict[str, ChannelSpec] = {}
    for number, word in enumerate(text.split(), 1):
        url = word.strip("\"'")
        scheme = _SCHEME.match(url)
        if scheme is None:
            problems.append(
                f"{source}: expected URLs such as smtp://… or slack://…, separated by white space,"
                f" found another text at place {number}"
            )
            continue
        name = _name_for(scheme[1], specs)
        specs[name] = ChannelSpec(name=name, url=url, source=source)
    return specs


def _without_comments(text: str) -> str:
    """Drop each line from a word that begins with `#`; one inside a URL is part of it."""
    return "\n".join(re.split(r"(?:^|\s)#", line, maxsplit=1)[0] for line in text.splitlines())


def _name_for(scheme: str, taken: Mapping[str, ChannelSpec]) -> str:
    """Name a channel after its scheme: `smtp`, and `smtp-2` for the next one.

    >>> _name_for("webhook+https", {})
    'webhook'
    """
    word = re.sub("[^a-z0-9_-]", "-", scheme.lower().partition("+")[0])[:30]
    names = (word if number == 1 else f"{word}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)
