"""A command whose function is tracked already."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from runguard import tracked_run


class Command(BaseCommand):
    """Keeps its own run."""

    @tracked_run("its_own")
    def handle(self, **_: Any) -> None: ...
