"""System checks: what is misconfigured, each with its remedy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.core import checks

from ..._errors import did_you_mean
from ..._settings import DATABASE_URL, DATABASE_URL_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .commands import CommandTracker
    from .project import Project

PAGE = "docs/integrations/django.md lists the settings"


def check_of(
    project: Project, problems: list[str], commands: CommandTracker
) -> Callable[..., list[Any]]:
    """Return the check of a project."""

    def check(**_: object) -> list[Any]:
        if problems:
            return [
                checks.Error(problem, hint=f"Nothing is recorded: {PAGE}.", id="runguard.E001")
                for problem in problems
            ]
        return [*_warnings(project, set(commands.tracked_names()), commands.unmatched())]

    return check


def deploy_check_of(project: Project) -> Callable[..., list[Any]]:
    """Return the check of `manage.py check --deploy`."""

    def check(**_: object) -> list[Any]:
        its = project.configured
        variables = map(os.environ.get, (DATABASE_URL, DATABASE_URL_FILE))
        if its.get("database_url") or its.get("engine") or any(variables):
            return []
        return [
            checks.Warning(
                "Runs are recorded in a file of this machine.",
                hint=f"Set {DATABASE_URL}, RUNGUARD['DATABASE_URL'] or RUNGUARD['DATABASE'].",
                id="runguard.W003",
            )
        ]

    return check


def _warnings(project: Project, tracked: set[str], unmatched: Iterable[str]) -> Iterator[Any]:
    if not tracked and project.commands != ():
        yield checks.Warning(
            "No management command is tracked.",
            hint=(
                "Name those that are jobs in RUNGUARD['COMMANDS'], such as ['sync', 'reports_*'];"
                " [] tracks none on purpose."
            ),
            id="runguard.W001",
        )
    else:
        for pattern in unmatched:
            yield checks.Warning(
                f"RUNGUARD['COMMANDS'] names {pattern!r}, and no command is called so"
                f"{did_you_mean(pattern, tracked)}.",
                hint="`manage.py help` lists the commands.",
                id="runguard.W004",
            )
    known = {project.job_name_of(name) for name in tracked}
    for name in project.jobs:
        if name not in known and "." not in name:  # a task's name is a path
            yield checks.Warning(
                f"RUNGUARD['JOBS'] names {name!r}, and no command of that name is tracked"
                f"{did_you_mean(name, known)}.",
                hint="Use the name of the job: RUNGUARD['NAMES'] may have changed the command's.",
                id="runguard.W002",
            )
