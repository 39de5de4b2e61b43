"""The settings: what they are, and where they come from.

For each one: the option of the run, then `configure`, then the environment, then the default.
The environment is read here only.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from ._errors import ConfigurationError, did_you_mean
from ._failure.redaction import Redactor
from ._frozen import frozen
from ._models import CooldownBy, Rule, TriggerType

OutagePolicy = Literal["run", "refuse"]
StartDurability = Literal["full", "relaxed"]
Deliver = Literal["auto", "off"]
RedactionPatterns = Sequence[str | re.Pattern[str] | Callable[[str], str]]

DATABASE_URL: Final = "RUNGUARD_DATABASE_URL"
DATABASE_URL_FILE: Final = "RUNGUARD_DATABASE_URL_FILE"
TRIGGER_TYPE: Final = "RUNGUARD_TRIGGER_TYPE"
ENVIRONMENT: Final = "RUNGUARD_ENVIRONMENT"
COOLDOWN_MINUTES: Final = "ALERT_COOLDOWN_MINUTES"
LOCK_TTL_SECONDS: Final = "JOB_LOCK_TTL_SECONDS"
HEARTBEAT_SECONDS: Final = "RUNGUARD_HEARTBEAT_SECONDS"
STORE_TIMEOUT_SECONDS: Final = "RUNGUARD_STORE_TIMEOUT_SECONDS"
LOST_AFTER_SECONDS: Final = "RUNGUARD_LOST_AFTER_SECONDS"
SPOOL_DIR: Final = "RUNGUARD_SPOOL_DIR"
FAILURES_TO_ALERT: Final = "RUNGUARD_FAILURES_TO_ALERT"
AUTO_RESOLVE: Final = "RUNGUARD_AUTO_RESOLVE"
WEB_TOKEN: Final = "RUNGUARD_WEB_TOKEN"  # noqa: S105 - the name of a variable
WEB_USER: Final = "RUNGUARD_WEB_USER"
WEB_PASSWORD: Final = "RUNGUARD_WEB_PASSWORD"  # noqa: S105 - the name of a variable
CONFIG: Final = "RUNGUARD_CONFIG"
NOTIFY: Final = "RUNGUARD_NOTIFY"
NOTIFY_FILE: Final = "RUNGUARD_NOTIFY_FILE"
DELIVER: Final = "RUNGUARD_DELIVER"
VERSION: Final = "RUNGUARD_VERSION"
CAPTURE_TRACEBACK: Final = "RUNGUARD_CAPTURE_TRACEBACK"
CAPTURE_LOGS: Final = "RUNGUARD_CAPTURE_LOGS"
PING_URL: Final = "RUNGUARD_PING_URL"
START_DURABILITY: Final = "RUNGUARD_START_DURABILITY"
DISABLED: Final = "RUNGUARD_DISABLED"
PG_CRON_URL: Final = "RUNGUARD_PG_CRON_URL"

OWN_NAMES: Final = (
    *(DATABASE_URL, TRIGGER_TYPE, ENVIRONMENT, HEARTBEAT_SECONDS, LOST_AFTER_SECONDS, SPOOL_DIR),
    *(DATABASE_URL_FILE, STORE_TIMEOUT_SECONDS, FAILURES_TO_ALERT, AUTO_RESOLVE, START_DURABILITY),
    *(WEB_TOKEN, WEB_USER, WEB_PASSWORD, CONFIG, NOTIFY, NOTIFY_FILE, DELIVER, PING_URL),
    *(PG_CRON_URL, VERSION, CAPTURE_TRACEBACK, CAPTURE_LOGS, DISABLED),
)
LEAST_BEATS: Final = 3  # that may be missed before a run counts as lost

MOST_FAILURES_TO_ALERT: Final = 100
_AN_ENVIRONMENT: Final = "expected 1 to 40 of a-z, 0-9, _ and -, and not none"
_ENVIRONMENT: Final = "(?!none$)[a-z0-9_-]{1,40}"  # `none` asks for runs without one
_WORDS: Final = {
    **{"cooldown_by": CooldownBy, "outage_policy": OutagePolicy, "deliver": Deliver},
    "start_durability": StartDurability,
}
_KINDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("auto_resolve", "capture_traceback", "capture_logs"), bool),
    **dict.fromkeys(("version", "package"), str | None),
}
LONGEST_SETTING: Final = timedelta(days=3650)
STORE_TIMEOUT: Final = timedelta(seconds=5)
LOST_AFTER: Final = timedelta(minutes=5)


@frozen(kw_only=True)
class Settings:
    """Everything that is set once for a process.

    Attributes:
        database_url: SQLAlchemy URL of the store; none means the embedded SQLite file.
        engine: SQLAlchemy engine, instead of a URL.
        cooldown: Silence after an alert of the same key; 0 alerts every time.
        cooldown_by: `group`, or `reason`: then an UNKNOWN failure for a new reason alerts too.
        lock_ttl: Lease of the job lock, more than 0; renewed at a third of it.
        trigger_type: Trigger of runs whose code names none: `MANUAL`, `SCHEDULER` or `RETRY`.
        environment: Name that keeps runs apart from those of other environments; None for none.
        rules: Your own classification rules, asked first, in order.
        redactor: More secrets to remove from every text: regular expressions, or functions.
        outage_policy: With the store away, `run` the body or `refuse` to.
        store_timeout: Longest time that a dead store adds to a run.
        max_connections: Most connections to a PostgreSQL server, in each process.
        start_durability: `full`, or `relaxed`: a start does not wait for PostgreSQL's disk.
        heartbeat_interval: Time between two heartbeats of an open run.
        lost_after: Silence after which a run counts as lost; at least three heartbeats.
        spool_dir: Folder of the records that wait for a store that is away; none means the user's
            state directory.
        failures_to_alert: Failures in a row of one group that raise an alert, 1 to 100.
        auto_resolve: Whether a recovery marks the incident's alerts resolved.
        deliver: `auto`: a process that has channels sees to it that alerts are told. `off`: never.
        version: Version of the code that runs, at most 64 characters; none means that it is found.
        package: Installed distribution whose version that is.
        capture_traceback: Whether the traceback of a failed run is kept.
        capture_logs: Whether the last lines that a failed run has logged are kept.
    """

    database_url: str | None = None
    engine: Any = None
    cooldown: timedelta = timedelta(minutes=30)
    cooldown_by: CooldownBy = "group"
    lock_ttl: timedelta = timedelta(seconds=900)
    trigger_type: TriggerType = TriggerType.MANUAL
    environment: str | None = None
    rules: tuple[Rule, ...] = ()
    redactor: Redactor = Redactor()
    outage_policy: OutagePolicy = "run"
    store_timeout: timedelta = STORE_TIMEOUT
    max_connections: int = 5
    start_durability: StartDurability = "full"
    heartbeat_interval: timedelta = timedelta(seconds=30)
    lost_after: timedelta = LOST_AFTER
    spool_dir: str | os.PathLike[str] | None = None
    failures_to_alert: int = 1
    auto_resolve: bool = True
    deliver: Deliver = "auto"
    version: str | None = None
    package: str | None = None
    capture_traceback: bool = True
    capture_logs: bool = True

    def __post_init__(self) -> None:
        """Check each value, and those that exclude each other."""
        if self.database_url is not None and self.engine is not None:
            raise ConfigurationError("expected database_url or engine, found both: give one")
        url: object = self.database_url
        if not isinstance(url, str | None):
            raise ConfigurationError(
                f"database_url: expected a URL as text, found {type(url).__name__}"
            )
        for name in ("cooldown", "lock_ttl", "store_timeout", "heartbeat_interval", "lost_after"):
            check_duration(name, getattr(self, name), zero=name == "cooldown")
        if self.lost_after < LEAST_BEATS * self.heartbeat_interval:
            least = f"at least three heartbeats of {self.heartbeat_interval}"
            raise ConfigurationError(f"lost_after: expected {least}, found {self.lost_after}")
        for name, words in _WORDS.items():
            if (found := getattr(self, name)) not in get_args(words):
                known = " or ".join(map(repr, get_args(words)))
                raise ConfigurationError(f"{name}: expected {known}, found {found!r}")
        for name, kind in _KINDS.items():
            if not isinstance(found := getattr(self, name), kind):
                expected = "a bool" if kind is bool else "a text"
                raise ConfigurationError(f"{name}: expected {expected}, found {found!r}")
        check_count("max_connections", self.max_connections)
        check_count("failures_to_alert", self.failures_to_alert, most=MOST_FAILURES_TO_ALERT)
        its: object = self.environment
        if its is not None and not (isinstance(its, str) and re.fullmatch(_ENVIRONMENT, its)):
            raise ConfigurationError(f"environment: {_AN_ENVIRONMENT}, found {its!r}")
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise ConfigurationError(f"rules: expected runguard.Rule, found {rule!r}")


def settings_from(
    explicit: Mapping[str, Any], environ: Mapping[str, str], *, here: str = ""
) -> Settings:
    """Put the settings together. Relative paths begin at `here`, or at the folder of the moment.

    Raises:
        ConfigurationError: a bad value; the message names the variable or the argument.
    """
    chosen = {name: value for name, value in explicit.items() if value is not None}
    for setting, (variable, read) in FROM_ENVIRONMENT.items():
        text = environ.get(variable, "").strip().strip("\"'")  # as some env files leave them
        is_given = setting in chosen or (setting == "database_url" and "engine" in chosen)
        if text and not is_given:
            chosen[setting] = read(variable, text)
    path = environ.get(DATABASE_URL_FILE, "").strip().strip("\"'")
    if path and explicit.get("database_url") is explicit.get("engine") is None:
        from ._secret_file import read_url

        instead_of = DATABASE_URL if "database_url" in chosen else None
        chosen["database_url"] = read_url(
            _absolute(path, here), source=DATABASE_URL_FILE, instead_of=instead_of
        )
    if isinstance(url := chosen.get("database_url"), str):
        from ._database_url import anchored, connect_timeout

        url = url.strip().strip("\"'")
        if "store_timeout" not in chosen and (seconds := connect_timeout(url)) is not None:
            # A half for the beginning, and a half for the end: each may have to connect.
            chosen["store_timeout"] = max(STORE_TIMEOUT, timedelta(seconds=2 * seconds))
        chosen["database_url"] = anchored(url, here)
    if "spool_dir" in chosen:
        chosen["spool_dir"] = _absolute(chosen["spool_dir"], here)
    if "trigger_type" in chosen:
        source = source_of("trigger_type", explicit, environ)
        chosen["trigger_type"] = trigger_type_of(chosen["trigger_type"], source=source)
    if "rules" in chosen:
        chosen["rules"] = tuple(chosen["rules"])
    if "redact" in chosen:
        chosen["redactor"] = Redactor(tuple(chosen.pop("redact")))
    try:
        return Settings(**chosen)
    except ConfigurationError as error:
        setting, _, problem = str(error).partition(":")
        if setting == "lost_after" and setting not in chosen:  # what was given does not fit it
            setting = "heartbeat_interval"
            problem = (
                f" expected at most a third of lost_after ({LOST_AFTER}), found {chosen[setting]}"
            )
        raise ConfigurationError(f"{source_of(setting, explicit, environ)}:{problem}") from None


def source_of(setting: str, explicit: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Name what a setting was read from: its argument where that was given, else its variable."""
    if explicit.get(setting) is not None or setting not in FROM_ENVIRONMENT:
        return setting
    if setting == "database_url" and environ.get(DATABASE_URL_FILE, "").strip():
        return DATABASE_URL_FILE
    return FROM_ENVIRONMENT[setting][0]


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether runs shall store nothing."""
    said = environ.get(DISABLED, "").strip()
    return bool(said) and _yes_or_no(DISABLED, said)


def trigger_type_of(value: TriggerType | str, *, source: str = "trigger_type") -> TriggerType:
    """Return the trigger type, or raise a `ConfigurationError` that names `source`."""
    try:
        return TriggerType(value)
    except ValueError:
        known = ", ".join(TriggerType)
        raise ConfigurationError(
            f"{source}: expected one of {known}, found {value!r}"
            f"{did_you_mean(str(value).upper(), list(TriggerType))}"
        ) from None


def check_duration(name: str, value: object, *, zero: bool = False) -> None:
    """Raise unless `value` is a timedelta above 0 (or 0 where `zero`) and at most ten years."""
    if not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{name}: expected a datetime.timedelta, found {type(value).__name__} {value!r}"
        )
    smallest = timedelta(0) if zero else timedelta(microseconds=1)
    if not smallest <= value <= LONGEST_SETTING:
        bound = "0 or more" if zero else "more than 0"
        raise ConfigurationError(f"{name}: expected {bound}, at most ten years, found {value}")


def check_count(name: str, value: object, *, most: int | None = None) -> None:
    """Raise unless `value` is a whole number from 1, and at most `most`."""
    if type(value) is not int or value < 1 or (most is not None and value > most):
        bound = "from 1" if most is None else f"from 1 to {most}"
        raise ConfigurationError(f"{name}: expected a whole number {bound}, found {value!r}")


def _text(_variable: str, text: str) -> str:
    return text


def _minutes(variable: str, text: str) -> timedelta:
    return timedelta(minutes=_number(variable, text, "minutes, 0 or more", smallest=0.0))


def _seconds(variable: str, text: str) -> timedelta:
    return timedelta(seconds=_number(variable, text, "seconds, more than 0", smallest=1e-6))


def _yes_or_no(variable: str, text: str) -> bool:
    if (word := text.lower()) in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        return word in ("true", "1", "yes", "on")
    raise ConfigurationError(f"{variable}: expected true or false, found {text!r}")


def _count(_variable: str, text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text


def _number(variable: str, text: str, expected: str, *, smallest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not smallest <= number <= LONGEST_SETTING.total_seconds() / 60:
        raise ConfigurationError(f"{variable}: expected a number of {expected}, found {text!r}")
    return number


def _absolute(path: str | os.PathLike[str], here: str) -> str:
    # No script shall wait for pathlib.
    return os.path.abspath(os.path.join(here, path))  # noqa: PTH100, PTH118


FROM_ENVIRONMENT: Final[Mapping[str, tuple[str, Callable[[str, str], Any]]]] = {
    "database_url": (DATABASE_URL, _text),
    "cooldown": (COOLDOWN_MINUTES, _minutes),
    "lock_ttl": (LOCK_TTL_SECONDS, _seconds),
    "trigger_type": (TRIGGER_TYPE, _text),
    "environment": (ENVIRONMENT, _text),
    "heartbeat_interval": (HEARTBEAT_SECONDS, _seconds),
    "store_timeout": (STORE_TIMEOUT_SECONDS, _seconds),
    "lost_after": (LOST_AFTER_SECONDS, _seconds),
    "start_durability": (START_DURABILITY, _text),
    "spool_dir": (SPOOL_DIR, _text),
    "failures_to_alert": (FAILURES_TO_ALERT, _count),
    "auto_resolve": (AUTO_RESOLVE, _yes_or_no),
    "deliver": (DELIVER, _text),
    "version": (VERSION, _text),
    "capture_traceback": (CAPTURE_TRACEBACK, _yes_or_no),
    "capture_logs": (CAPTURE_LOGS, _yes_or_no),
}
"""The variable of each setting that has one, and how its text is read."""
