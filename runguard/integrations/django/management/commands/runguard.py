"""`python manage.py runguard …`: the commands of runguard, with the project's settings."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from ....._api import runtime
from ....._settings import COOLDOWN_MINUTES, DATABASE_URL_FILE, FROM_ENVIRONMENT

_OF_DJANGO: Final = ("--settings", "--pythonpath")


class Command(BaseCommand):
    """Hands its arguments on."""

    help = "Run a command of runguard, such as: runguard db upgrade, runguard jobs, runguard web."
    requires_system_checks: tuple[str, ...] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Take all options as runguard's but the two that Django has read by now."""
        sys.exit(_run([*_without_djangos(argv[2:])]))

    def add_arguments(self, parser: Any) -> None:
        """Take what `call_command("runguard", "db", "upgrade")` gives."""
        parser.add_argument("arguments", nargs=REMAINDER)

    def handle(self, *_: Any, arguments: list[str], **__: Any) -> None:
        """Run it.

        Raises:
            CommandError: It did not end with 0.
        """
        if code := _run(arguments):
            raise CommandError(f"runguard {' '.join(arguments)}: exit code {code}", returncode=code)


def _without_djangos(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word == "--":  # of `runguard exec JOB -- COMMAND`
            yield from (word, *rest)
        elif word in _OF_DJANGO:
            next(rest, None)
        elif not word.startswith(tuple(f"{option}=" for option in _OF_DJANGO)):
            yield word


def _run(arguments: list[str]) -> int:
    from .....__main__ import main

    _tell_environment()
    argv, sys.argv = sys.argv, ["runguard", *arguments]
    try:
        return main()
    finally:
        sys.argv = argv


def _tell_environment() -> None:
    """Say by variables what the project configures: its commands read these, as elsewhere."""
    for name, value in runtime._explicit.items():
        if value is None or name not in FROM_ENVIRONMENT:
            continue
        variable = FROM_ENVIRONMENT[name][0]
        os.environ[variable] = _text_of(value, in_minutes=variable == COOLDOWN_MINUTES)
        if name == "database_url":
            os.environ.pop(DATABASE_URL_FILE, None)


def _text_of(value: object, *, in_minutes: bool) -> str:
    if isinstance(value, timedelta):
        return str(value.total_seconds() / (60 if in_minutes else 1))
    return str(value)
