"""What `runguard doctor` looks at: each check yields what it found, and the remedy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import _settings
from .._errors import ConfigurationError, RunguardError
from .._failure.introspection import printable
from .._monitor.records import OpenRuns, Purpose, StoreDiagnosis, StoreReport
from .._monitor.wording import duration
from .._run.embedded import embedded_file, embedded_url
from .._run.spool_listing import count_of
from .._run.unknown_names import unknown_names
from .._settings import Settings
from .channel_checks import check_channels, check_deliveries
from .expectation_checks import check_expectations
from .findings import Finding, State
from .stores import found_spool, opened_with_settings, quiet_log

if TYPE_CHECKING:
    from .._run.spool import Spool

OLDEST_POSTGRESQL: Final = 13
LARGEST_CLOCK_DIFFERENCE: Final = timedelta(seconds=5)
UPGRADE: Final = "run `runguard db upgrade` (or `runguard db upgrade --sql` for the statements)"

# Each setting, and the variable that sets it; the others are set by `configure` only.
_SETTINGS: Final[Mapping[str, str | None]] = {
    "cooldown": _settings.COOLDOWN_MINUTES,
    "cooldown_by": None,
    "lock_ttl": _settings.LOCK_TTL_SECONDS,
    "trigger_type": _settings.TRIGGER_TYPE,
    "outage_policy": None,
    "store_timeout": None,
    "max_connections": None,
    "start_durability": _settings.START_DURABILITY,
    "heartbeat_interval": _settings.HEARTBEAT_SECONDS,
    "lost_after": _settings.LOST_AFTER_SECONDS,
}
# The limit is judged with the interval; the interval alone is right with a limit that is long.
_LONG_LIMIT: Final = {"lost_after": timedelta(days=3650)}
_VERSION_RIGHT: Final = "SELECT on runguard_version"
_NEEDS: Final = {
    Purpose.JOB: "a run needs",
    Purpose.OPERATOR: "an operator does",
    Purpose.NOTIFIER: "delivery does",
    Purpose.MIGRATOR: "an upgrade does",
}
# Tables that a job's role can do without, and what is then not kept.
_DISPENSABLE: Final = {
    "job": "what is expected of them",
    "monitor": "what is expected of them",
    "run_note": "their notes",
}
_OTHER_ROLES: Final = {
    Purpose.JOB: "; a role that records no runs: `--for operator`, `notifier` or `migrator`",
    Purpose.OPERATOR: "",
    Purpose.NOTIFIER: "",
    Purpose.MIGRATOR: ", or make this role the owner (`alter table … owner to …`)",
}
# Of each extra: any of these modules shows that it is there.
_EXTRAS: Final = {
    "binary": ("psycopg_binary", "psycopg_c"),
    "cli": ("typer",),
    "monitor": ("cronsim",),
    "notify": ("apprise",),
    "web": ("starlette",),
}


def examine(
    database_url: str | None, environ: Mapping[str, str], purpose: Purpose = Purpose.JOB
) -> Iterator[Finding]:
    """Make every check; `database_url` is the option's, `purpose` what the store's role is for."""
    yield from check_settings(environ)
    yield from check_unknown_names(environ)
    yield from check_store(database_url, environ, purpose)
    yield from check_spool(database_url)
    yield from check_channels(environ)
    yield from check_extras()


def check_settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell each setting's value and where it comes from."""
    for setting, variable in _SETTINGS.items():
        given = variable is not None and environ.get(variable, "").strip()
        names = [variable] + [_settings.HEARTBEAT_SECONDS] * (setting == "lost_after")
        explicit = _LONG_LIMIT if setting == "heartbeat_interval" else {}
        try:
            settings = _settings.settings_from(
                explicit, {name: environ[name] for name in names if name and name in environ}
            )
        except ConfigurationError as error:
            yield Finding(
                setting,
                State.PROBLEM,
                str(error),
                f"correct {str(error).partition(':')[0]}, or unset it for the default",
            )
            continue
        value = getattr(settings, setting)
        shown = duration(value) if isinstance(value, timedelta) else str(value)
        yield Finding(setting, State.OK, f"{shown} ({variable if given else 'default'})")


def check_unknown_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell the variables that look like ours and are none, and the one that stops everything."""
    name = _settings.DISABLED
    try:
        if _settings.is_disabled(environ):
            yield Finding(
                "environment",
                State.WARNING,
                f"{name} is set: with it, jobs run and nothing of them is stored",
                "unset it, but for tests",
            )
    except ConfigurationError as error:
        yield Finding("environment", State.PROBLEM, str(error), f"correct {name}, or unset it")
    for name, hint in unknown_names(environ):
        yield Finding("environment", State.WARNING, f"{name} is not a setting{hint}", "rename it")


def check_store(
    database_url: str | None, environ: Mapping[str, str], purpose: Purpose
) -> Iterator[Finding]:
    """Look for the store, reach it, and ask it what may stop a run."""
    source = "--database-url"
    if database_url is None:
        source = _settings.source_of("database_url", {}, environ)
    try:
        given = _url_of(environ) if database_url is None else database_url
        where, file = _place_of(given, source)
    except ConfigurationError as error:
        yield Finding("store", State.PROBLEM, str(error), f"correct {source}")
        return
    if given:
        yield Finding("store", State.OK, f"{where} ({source})")
    else:
        yield Finding(
            "store",
            State.WARNING,
            f"{where} (default: the embedded file)",
            f"fine to try runguard; for a server set {_settings.DATABASE_URL}",
        )
    if file is not None and not file.exists():
        yield _missing_file(file, source)
        return
    yield from _questioned(given or embedded_url(), purpose)


def check_spool(database_url: str | None) -> Iterator[Finding]:
    """Tell whether records wait on this machine; the store may be away."""
    from .._run.spool_others import other_folders
    from .._run.spool_quarantine import set_aside

    try:
        with quiet_log(), found_spool(database_url, **_usable_settings()) as spool:
            yield _spool(spool)
            if aside := set_aside(spool):
                yield Finding(
                    "set aside",
                    State.WARNING,
                    f"{_records(len(aside))} in {aside[0].path.parent}, the first because:"
                    f" {printable(aside[0].reason, 300)}",
                    "`runguard spool status` lists them; `runguard spool retry` tries them again",
                )
            for other in other_folders(spool):
                count = _records(other.waiting + other.set_aside)
                yield Finding(
                    "other spool",
                    State.WARNING,
                    f"{count} in {other.path}, for {printable(other.label, 300)}",
                    f"if that is this store: `runguard spool flush --from {other.path}`",
                )
    except ConfigurationError:  # told above
        return


def _spool(spool: Spool) -> Finding:
    from .._run.spool_view import troubles_of, waiting_since

    count, since = count_of(spool), waiting_since(spool)
    found = "no record waits"
    if since is not None:
        verb = "waits" if count == 1 else "wait"
        found = f"{_records(count)} {verb} since {since:%Y-%m-%dT%H:%M:%SZ} in {spool.folder}"
    if (trouble := next(troubles_of(spool), None)) is not None:
        return Finding(
            "spool",
            State.PROBLEM,
            f"cannot be used: {printable(str(trouble), 300)}" + (f"; {found}" if count else ""),
            f"set {_settings.SPOOL_DIR} to a folder of this user's own: without, what the store"
            " does not take is lost",
        )
    if since is None:
        return Finding("spool", State.OK, found)
    remedy = "when the store is back, any run replays them; so does `runguard spool flush`"
    return Finding("spool", State.WARNING, found, remedy)


def _records(count: int) -> str:
    return f"{count} record" if count == 1 else f"{count} records"


def check_extras() -> Iterator[Finding]:
    """Tell which optional dependencies are there."""
    for extra, modules in _EXTRAS.items():
        if any(find_spec(module) for module in modules):
            yield Finding(f"extra {extra}", State.OK, "installed")
        else:
            remedy = f"to add it: pip install 'runguard-runlog[{extra}]'"
            yield Finding(f"extra {extra}", State.OK, "not installed", remedy)


def _url_of(environ: Mapping[str, str]) -> str:
    """Return the URL that the environment names, itself or in a file; empty where it does not."""
    if not environ.get(_settings.DATABASE_URL_FILE, "").strip():
        return environ.get(_settings.DATABASE_URL, "").strip().strip("\"'")
    names = (_settings.DATABASE_URL, _settings.DATABASE_URL_FILE)
    given = {name: environ[name] for name in names if name in environ}
    return _settings.settings_from({}, given).database_url or ""


def _place_of(url: str, source: str) -> tuple[str, Path | None]:
    """Say where the store is; and its file, if it is one."""
    if not url:
        return f"sqlite {embedded_file()}", Path(embedded_file())
    from .._store.schema.diagnosis import location_of
    from .._store.url import parse_url

    parsed = parse_url(url, source=source)
    dialect = parsed.get_backend_name()
    file = Path(parsed.database or "") if dialect == "sqlite" else None
    return f"{dialect} {location_of(parsed)}", file


def _missing_file(file: Path, source: str) -> Finding:
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK):
        return Finding(
            "reachable", State.OK, "the file does not exist yet: the first run creates it"
        )
    return Finding(
        "reachable",
        State.PROBLEM,
        f"{file} cannot be created: no right to write in {folder}",
        f"set {source} to a place that this user may write to",
    )


def _questioned(url: str, purpose: Purpose) -> Iterator[Finding]:
    try:
        with quiet_log(), opened_with_settings(url, **_usable_settings()) as opened:
            store = opened.store
            began = time.monotonic()
            diagnosis = store.diagnose(purpose)
            took = timedelta(seconds=time.monotonic() - began)
            now = datetime.now(UTC)
            report = store.inspect(reads_version=_VERSION_RIGHT not in diagnosis.lacking)
            limit = opened.settings.lost_after
            reads_runs = report.is_current and "SELECT on run_log" not in diagnosis.lacking
            foreign = store.foreign_open_runs(older_than=limit) if reads_runs else None
            deliveries = list(check_deliveries(store)) if report.is_current else []
            expectations = list(check_expectations(store, purpose)) if report.is_current else []
    except RunguardError as error:
        yield _trouble(str(error).partition("; run `runguard doctor`")[0], url)  # which is us
        return
    server = "SQLite" if report.dialect == "sqlite" else "PostgreSQL"
    yield Finding("reachable", State.OK, f"{server} {report.server_version} in {duration(took)}")
    yield _schema(report, diagnosis, purpose)
    if report.dialect != "sqlite":
        yield _version(report.server_version)
        yield _pooler(diagnosis)
    yield from _rights(report, diagnosis, purpose)
    yield check_clock(diagnosis.clock - now)
    if foreign is not None and foreign.oldest is not None:
        yield _foreign(foreign, foreign.oldest)
    yield from deliveries
    yield from expectations


def _trouble(found: str, url: str) -> Finding:
    """Say why a store could not be asked."""
    if url.startswith("sqlite"):
        remedy = "check that runguard made this file, and that this user can read and write it"
        return Finding("reachable", State.PROBLEM, found, remedy)
    if "permission denied for database" in found:
        remedy = "let the owner run `grant connect on database … to …`"
        return Finding("privileges", State.PROBLEM, found, remedy)
    if "SQLSTATE 42501" in found:
        return Finding("privileges", State.PROBLEM, found, "let the owner grant it")
    remedy = "check that the server is up and the URL is right, for example with psql"
    return Finding("reachable", State.PROBLEM, found, remedy)


def _usable_settings() -> dict[str, Any]:
    """Nothing where the environment can be read; else the defaults, so that we can look at all."""
    try:
        _settings.settings_from({}, os.environ)
    except ConfigurationError:  # told elsewhere
        return {name: getattr(Settings(), name) for name in _SETTINGS}
    return {}


def _foreign(open_runs: OpenRuns, oldest: datetime) -> Finding:
    noun = "run of another program is" if open_runs.count == 1 else "runs of other programs are"
    return Finding(
        "foreign runs",
        State.WARNING,
        f"{open_runs.count} {noun} RUNNING, the oldest since {oldest:%Y-%m-%dT%H:%M:%SZ}",
        "ask who writes them: they send no heartbeat, so runguard never closes them",
    )


def _schema(report: StoreReport, diagnosis: StoreDiagnosis, purpose: Purpose) -> Finding:
    needed = f"needed {report.needed}"
    if diagnosis.misplaced is not None:
        where, _, remedy = diagnosis.misplaced.rpartition(": ")
        return Finding("schema", State.PROBLEM, where, remedy)
    if _VERSION_RIGHT in diagnosis.lacking:
        found = f"the version cannot be read, {needed}"
        return Finding("schema", State.PROBLEM, found, f"grant {_VERSION_RIGHT} to this role")
    if report.dialect != "sqlite" and purpose is Purpose.MIGRATOR and report.found is None:
        return Finding("schema", State.WARNING, f"none, {needed}", UPGRADE)
    if report.is_current:
        return Finding("schema", State.OK, f"version {report.found}, {needed}")
    if report.found is not None and report.found > report.needed:
        return Finding(
            "schema",
            State.PROBLEM,
            f"version {report.found}, {needed}: a newer runguard made it",
            "install that newer runguard here too",
        )
    found = "none" if report.found is None else f"version {report.found}"
    if report.dialect == "sqlite":
        return Finding("schema", State.OK, f"{found}, {needed}: the next run upgrades it")
    if report.found is None and diagnosis.tables:
        found = f"none, but there are tables with these names: {', '.join(diagnosis.tables)}"
        return Finding("schema", State.PROBLEM, f"{found}; {needed}", f"{UPGRADE}: it adopts them")
    if report.can_record:
        found = f"{found}, {needed}: runs are recorded, without what is new in {report.needed}"
        return Finding("schema", State.WARNING, found, UPGRADE)
    state = State.WARNING if purpose is Purpose.MIGRATOR else State.PROBLEM
    return Finding("schema", state, f"{found}, {needed}", UPGRADE)


def _version(found: str) -> Finding:
    if int(found.partition(".")[0] or 0) >= OLDEST_POSTGRESQL:
        return Finding("server version", State.OK, found)
    return Finding(
        "server version",
        State.PROBLEM,
        f"{found}, needed {OLDEST_POSTGRESQL} or newer",
        "upgrade the server",
    )


def _pooler(diagnosis: StoreDiagnosis) -> Finding:
    if diagnosis.pooled:
        found = "through a pooler: statements are not prepared, all else is the same"
        return Finding("connection", State.OK, found)
    return Finding("connection", State.OK, "direct")


def _rights(report: StoreReport, diagnosis: StoreDiagnosis, purpose: Purpose) -> Iterator[Finding]:
    role = f"role {diagnosis.role}" if diagnosis.role else "this user"
    if diagnosis.read_only:
        yield Finding(
            "writing",
            State.PROBLEM,
            "the session is read-only: a replica, or default_transaction_read_only",
            "give the URL of the primary, or another role",
        )
    if diagnosis.lacking:
        remedy = "let the owner grant them" + _OTHER_ROLES[purpose]
        if report.dialect == "sqlite":
            remedy = "change the owner or the mode of the file and its folder"
        found = f"{role} lacks {', '.join(diagnosis.lacking)}"
        lacked = {lacking.rpartition(" on ")[2] for lacking in diagnosis.lacking}
        if purpose is Purpose.JOB and lacked <= _DISPENSABLE.keys():
            without = " and ".join(dict.fromkeys(map(_DISPENSABLE.__getitem__, sorted(lacked))))
            found += f": runs are recorded, without {without}"
            yield Finding("privileges", State.WARNING, found, remedy)
        else:
            yield Finding("privileges", State.PROBLEM, found, remedy)
    elif diagnosis.tables:
        yield Finding("privileges", State.OK, f"{role} may do all that {_NEEDS[purpose]}")
    if diagnosis.row_security:
        tables = ", ".join(diagnosis.row_security)
        yield Finding(
            "row security",
            State.WARNING,
            f"policies filter what {role} reads and writes in {tables}",
            "add a policy for this role, or let it bypass them",
        )


def check_clock(ahead: timedelta) -> Finding:
    """Judge how far the clock of the database is ahead of this host's."""
    if abs(ahead) <= LARGEST_CLOCK_DIFFERENCE:
        return Finding("clock", State.OK, "the database's clock agrees with this host's")
    way = "ahead of" if ahead > timedelta(0) else "behind"
    return Finding(
        "clock",
        State.WARNING,
        f"the database's clock is {duration(abs(ahead))} {way} this host's",
        "synchronise both with NTP: rows carry the database's time, logs this host's",
    )
