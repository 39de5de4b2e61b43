"""The app: what it does once, when Django has loaded all apps."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from ..._api import configure, runtime
from ..._errors import ConfigurationError
from .checks import check_of, deploy_check_of
from .commands import CommandTracker
from .project import named_setting, read_project
from .tasks import TaskTracker


class RunguardConfig(AppConfig):
    """Configures runguard by the project's settings, and tracks commands and tasks.

    Nothing is connected here. Where the settings are wrong nothing is tracked, and a system check
    says what is.
    """

    name = "runguard.integrations.django"
    label = "runguard"
    verbose_name = "runguard"

    def ready(self) -> None:
        """Read the settings."""
        project, problems = read_project(getattr(settings, "RUNGUARD", None), settings.DATABASES)
        if project.configured and not problems:
            try:
                configure(**project.configured)
            except ConfigurationError as wrong:
                problems.append(named_setting(wrong))
        commands = CommandTracker(project)
        checks.register(check_of(project, problems, commands), "runguard")
        checks.register(deploy_check_of(project), "runguard", deploy=True)
        if problems:
            runtime.events.internal_error("configure", ConfigurationError(problems[0]))
            return
        commands.install()
        if project.tasks:
            TaskTracker(project, commands).install()
