"""A command that ends as it is told."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from runguard import current_run


class Command(BaseCommand):
    """Fails in several ways."""

    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("how", nargs="?", default="well")

    def handle(self, *, how: str, **_: Any) -> str:
        run = current_run()
        if run is not None:
            run.total_records = 512
        if how == "command_error":
            raise CommandError("there is no winter term", returncode=3)
        if how.startswith("exit"):
            sys.exit(int(how.removeprefix("exit")))
        if how == "rolled_back":
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("CREATE TABLE shop_order (id integer)")
                raise TimeoutError("no answer")
        return run.job_name if run else "no run"
