"""What a project's settings say: `RUNGUARD = {…}`, read without raising.

Its keys are the arguments of `configure` in capitals, and those of this app.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import quote, urlencode

from ..._api import configure
from ..._errors import ConfigurationError, did_you_mean
from ..._frozen import frozen
from ..._run.options import make_options
from ..._settings import source_of

OF_CONFIGURE: Final = tuple(
    name.upper() for name in inspect.signature(configure).parameters if name != "check"
)
OWN: Final = ("DATABASE", "COMMANDS", "SKIP", "NAMES", "JOBS", "NESTED", "TASKS")

_OF_DJANGO: Final = frozenset(
    {"assume_role", "cursor_factory", "isolation_level", "pool", "server_side_binding"}
)
"""Options of a database that are no parameters of a connection's URL."""


@frozen
class Project:
    """What is tracked of a project, and how.

    Attributes:
        configured: What `configure` is called with.
        commands: Names or patterns of the commands that are tracked; None: those of the project's
            own apps.
        skip: Those that are not.
        names: From a command's or a task's name to its job's, where they differ.
        jobs: Options of `run_scope`, by the jobs' names.
        nested: Whether a command that is called inside a run gets a run of its own.
        tasks: Whether tasks of `django.tasks` are tracked.
    """

    configured: Mapping[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    names: Callable[[str], str] | Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nested: bool = False
    tasks: bool = True

    def job_name_of(self, name: str) -> str:
        """Return the name of the job of a command or a task."""
        return self.names(name) if callable(self.names) else self.names.get(name, name)

    def options_of(self, job_name: str) -> Mapping[str, Any]:
        """Return what its runs are made with."""
        return self.jobs.get(job_name, {})

    def takes(self, *names: str, is_own: bool) -> bool:
        """Whether a command is tracked that is known by these names."""
        if fits(names, self.skip):
            return False
        return is_own if self.commands is None else fits(names, self.commands)


def read_project(
    given: object, databases: Mapping[str, Mapping[str, Any]]
) -> tuple[Project, list[str]]:
    """Read the setting `RUNGUARD`; return it with what is wrong in it, a sentence each.

    Args:
        given: What stands there; None where nothing does.
        databases: The setting `DATABASES`.
    """
    if not isinstance(given, Mapping | None):
        return Project(), [f"RUNGUARD: expected a dictionary, found {type(given).__name__}"]
    its = {str(name): value for name, value in (given or {}).items() if value is not None}
    problems = [
        f"RUNGUARD[{name!r}] is not a setting{did_you_mean(name, (*OWN, *OF_CONFIGURE))}"
        for name in its
        if name not in OWN and name not in OF_CONFIGURE
    ]
    problems += _kinds(its)
    if problems:
        return Project(), problems
    configured = {name.lower(): value for name, value in its.items() if name in OF_CONFIGURE}
    if "DATABASE" in its:
        try:
            configured["database_url"] = _url_of(its, databases)
        except ConfigurationError as wrong:
            problems.append(f"RUNGUARD['DATABASE']: {wrong}")
    jobs = its.get("JOBS", {})
    problems += _problems_of_jobs(jobs)
    commands = its.get("COMMANDS")
    project = Project(
        configured=configured,
        commands=None if commands is None else _as_tuple(commands),
        skip=_as_tuple(its.get("SKIP", ())),
        names=its.get("NAMES", {}),
        jobs=jobs,
        nested=its.get("NESTED", False),
        tasks=its.get("TASKS", True),
    )
    return project, problems


def named_setting(error: ConfigurationError) -> str:
    """Say what `configure` refused, by the key of the setting.

    >>> named_setting(ConfigurationError("lock_ttl: expected more than 0"))
    "RUNGUARD['LOCK_TTL']: expected more than 0"
    """
    name, colon, problem = str(error).partition(":")
    known = colon and name.upper() in OF_CONFIGURE and source_of(name, {name: 1}, {}) == name
    return f"RUNGUARD[{name.upper()!r}]:{problem}" if known else str(error)


def _kinds(its: Mapping[str, Any]) -> Iterator[str]:
    for name in ("COMMANDS", "SKIP"):
        if name in its and not all(isinstance(one, str) for one in _as_tuple(its[name])):
            yield f"RUNGUARD[{name!r}]: expected names of commands or patterns, found {its[name]!r}"
    for name in ("NESTED", "TASKS"):
        if not isinstance(its.get(name, True), bool):
            yield f"RUNGUARD[{name!r}]: expected True or False, found {its[name]!r}"
    names, jobs = its.get("NAMES", {}), its.get("JOBS", {})
    if not (callable(names) or isinstance(names, Mapping)):
        yield f"RUNGUARD['NAMES']: expected a dictionary or a function, found {names!r}"
    if not (isinstance(jobs, Mapping) and all(isinstance(one, Mapping) for one in jobs.values())):
        yield (
            "RUNGUARD['JOBS']: expected a dictionary from names of jobs to options of run_scope,"
            f" such as {{'sync': {{'lock': True}}}}, found {jobs!r}"
        )


def _problems_of_jobs(jobs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, options in jobs.items():
        try:
            make_options(name, **options)
        except (ConfigurationError, TypeError) as wrong:
            problem = str(wrong).replace("RunOptions.__init__() ", "")
            yield f"RUNGUARD['JOBS'][{name!r}]: {problem}"


def _as_tuple(given: Iterable[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)


def fits(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """Whether any of these names of a command is one of these names or patterns."""
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _url_of(its: Mapping[str, Any], databases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the URL of one of Django's databases, for a connection of runguard's own."""
    for other in ("DATABASE_URL", "ENGINE"):
        if other in its:
            raise ConfigurationError(f"expected it or {other}, found both: give one")
    alias = its["DATABASE"]
    if not isinstance(alias, str) or alias not in databases:
        hint = did_you_mean(str(alias), databases)
        raise ConfigurationError(f"expected a name of DATABASES, found {alias!r}{hint}")
    database = databases[alias]
    if str(database.get("ENGINE")).rpartition(".")[2] not in ("postgresql", "postgis"):
        raise ConfigurationError(
            f"expected a PostgreSQL database, found {database.get('ENGINE')!r}: leave it out, and"
            " runguard has a file of its own, which no transaction of Django's locks"
        )
    user, password, host = (str(database.get(name) or "") for name in ("USER", "PASSWORD", "HOST"))
    options = {
        name: value
        for name, value in (database.get("OPTIONS") or {}).items()
        if name not in _OF_DJANGO and isinstance(value, str | int)
    }
    if host.startswith("/"):  # the folder of a socket
        options["host"], host = host, ""
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    port = f":{database['PORT']}" if database.get("PORT") else ""
    where = f"{f'[{host}]' if ':' in host else host}{port}"
    asked = f"?{urlencode(options, quote_via=quote)}" if options else ""
    name = quote(str(database.get("NAME") or ""), safe="")
    return f"postgresql://{f'{who}@' if who else ''}{where}/{name}{asked}"
