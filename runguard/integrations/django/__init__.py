"""Django: management commands and tasks are runs.

The app: `INSTALLED_APPS += ["runguard.integrations.django"]`, with `RUNGUARD = {…}` in the
settings.
"""
