"""A command that calls another one."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Calls `sync`."""

    def handle(self, **_: Any) -> None:
        call_command("sync", "command_error", stdout=self.stdout)
