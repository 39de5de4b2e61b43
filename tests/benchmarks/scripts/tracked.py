"""A one-shot script with one tracked no-op."""

import runguard


@runguard.tracked_run("noop")
def noop() -> None:
    """Do nothing."""


noop()
