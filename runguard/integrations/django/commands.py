"""A management command as a run, at the command line and by `call_command`."""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandError

from ..._api import runtime
from ..._errors import JobLockActive, SchemaOutOfDate, StoreUnavailable
from ..._run.handle import current_run
from ..._run.no_records import NoRecords
from .._attempts import Attempt, is_tracked, unharmed
from .project import fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..._run.runtime import Runtime
    from .project import Project

NEVER: Final = frozenset(
    {
        *("runserver", "testserver", "shell", "dbshell", "test", "check", "runguard"),
        *("migrate", "makemigrations", "squashmigrations", "optimizemigration"),
    }
)
"""Commands that are no jobs: they serve, talk to a person, or change what everything stands on."""

_REFUSALS: Final = (JobLockActive, StoreUnavailable, SchemaOutOfDate)
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_COMMANDS_OF_AN_APP: Final = ".management.commands."


class CommandTracker:
    """Makes runs of the commands that a project tracks."""

    def __init__(self, project: Project) -> None:
        """Take what is tracked, and the settings that hold for it."""
        self._project = project
        self._explicit = runtime._explicit
        self._no_records = NoRecords(runtime.stores, why="Django's tests run")

    def install(self) -> None:
        """Have every command begin its run; a second tracker takes the place of the first."""
        execute = getattr(BaseCommand.execute, "__wrapped__", BaseCommand.execute)

        @wraps(execute)
        def tracked(command: Any, *args: Any, **options: Any) -> Any:
            attempt = self._begin(command)
            try:
                result = execute(command, *args, **options)
            except BaseException as error:
                self._end(attempt, error)
                raise
            self._end(attempt, None)
            return result

        BaseCommand.execute = tracked

    def recorder(self) -> Runtime:
        """Return what records: nothing, while Django's tests run and name no store of their own."""
        tests = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
        if not hasattr(tests, "saved_data") or runtime.pinned:
            return runtime
        said = runtime._explicit
        names_a_store = said.get("database_url") or said.get("engine") is not None
        return runtime if names_a_store and said is not self._explicit else self._no_records

    def tracked_names(self) -> Iterator[str]:
        """Return the names of all commands that are tracked."""
        for name, app in _apps_by_command():
            if self._is_tracked(name, f"{app}{_COMMANDS_OF_AN_APP}{name}"):
                yield name

    def unmatched(self) -> Iterator[str]:
        """Return what `COMMANDS` names and no command is called."""
        known = [(name, f"{app}.{name}") for name, app in _apps_by_command()]
        for pattern in self._project.commands or ():
            if not any(fits(names, (pattern,)) for names in known):
                yield pattern

    def _begin(self, command: BaseCommand) -> Attempt | None:
        attempt = None
        name, module = _name_of(command), type(command).__module__
        try:
            if not self._is_tracked(name, module):
                return None
            if is_tracked(command.handle) or (current_run() and not self._project.nested):
                return None
            job_name = self._project.job_name_of(name)
            options = self._project.options_of(job_name)
            attempt = Attempt(job_name, recorder=self.recorder(), **options)
            attempt.begin()
        except _REFUSALS as refusal:
            if getattr(command, "_called_from_command_line", False):
                raise CommandError(str(refusal)) from refusal
            raise
        except Exception as trouble:
            runtime.events.internal_error("start", trouble, job_name=name)
        return attempt

    def _end(self, attempt: Attempt | None, error: BaseException | None) -> None:
        if attempt is None:
            return
        with unharmed("finish"):
            if isinstance(error, CommandError) and error.returncode != 1 and attempt.run:
                attempt.run.note(exit_code=error.returncode)
        attempt.end(error)

    def _is_tracked(self, name: str, module: str) -> bool:
        if name in NEVER:
            return False
        app = module.partition(_COMMANDS_OF_AN_APP)[0]
        return self._project.takes(name, f"{app}.{name}", is_own=_is_own(app))


def _apps_by_command() -> Iterator[tuple[str, str]]:
    for name, app in get_commands().items():
        yield name, app if isinstance(app, str) else type(app).__module__


def _name_of(command: BaseCommand) -> str:
    return type(command).__module__.rpartition(".")[2]


def _is_own(app: str) -> bool:
    """Whether an app is the project's: it is not installed, or belongs to the settings' package."""
    top = app.partition(".")[0]
    if top in ("django", "runguard"):
        return False
    settings_module = getattr(settings, "SETTINGS_MODULE", None) or ""
    if top == settings_module.partition(".")[0]:
        return True
    places = getattr(sys.modules.get(app), "__path__", ()) or (
        getattr(sys.modules.get(app), "__file__", None) or "",
    )
    return all(_INSTALLED.isdisjoint(Path(place).parts) for place in places)
