"""What `runguard exec` does, once its line is read: by Typer, or by `exec_line` without it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from .._models import TriggerType
from .._run.options import make_options
from .._settings import trigger_type_of
from .errors import named_as_options
from .stores import opened_runtime
from .talk import say

if TYPE_CHECKING:
    from .._run.expecting import Expect

EX_UNAVAILABLE: Final = 69  # of sysexits.h, which cron's and systemd's readers know


def execute(
    job: str,
    command: Sequence[str],
    *,
    lock: bool = False,
    lock_ttl: timedelta | None = None,
    timeout: timedelta | None = None,
    kill_after: timedelta = timedelta(seconds=10),
    trigger: str | None = None,
    environment: str | None = None,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    wait_lock: timedelta | None = None,
    skip_if_locked: bool = False,
    ok_exit: Sequence[int] | None = None,
    quiet_when_suppressed: bool = False,
    keep_stdout_tail: bool = False,
    keep_env: bool = False,
    note: Sequence[str] | None = None,
    store_timeout: timedelta | None = None,
    every: timedelta | None = None,
    cron: str | None = None,
    calendar: str | None = None,
    tz: str | None = None,
    grace: timedelta | None = None,
    max_runtime: timedelta | None = None,
    database_url: str | None = None,
) -> int:
    """Run a command as a run of a job; return the exit code. Each option is as `--help` says.

    Raises:
        ConfigurationError: an option or a setting cannot be used; nothing was run.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError(
            f"runguard exec: expected a POSIX system (fork, process groups), found {sys.platform}:"
            " wrap the job with run_scope in Python there"
        )
    from .._exec import command as _exec
    from .._exec.result import CommandOptions
    from .._exec.streams import open_standard_streams

    open_standard_streams()
    options = make_options(
        job,
        trigger_type=None if trigger is None else read_trigger(trigger),
        lock=lock or skip_if_locked or wait_lock is not None,
        lock_ttl=lock_ttl,
        cooldown=cooldown,
        failures_to_alert=failures_to_alert,
        context=_noted(note or ()),
        expect=_expected(
            every=every,
            cron=cron,
            calendar=calendar,
            tz=tz,
            grace=grace,
            max_runtime=max_runtime,
        ),
    )
    how = CommandOptions(
        timeout=timeout,
        kill_after=kill_after,
        ok_exits=frozenset(ok_exit or ()),
        wait_lock=wait_lock or timedelta(0),
        skip_if_locked=skip_if_locked,
        quiet_when_suppressed=quiet_when_suppressed,
        keep_stdout_tail=keep_stdout_tail,
        keep_environment=keep_env,
    )
    try:
        settings = {"store_timeout": store_timeout, "environment": environment}
        with opened_runtime(database_url, **settings) as runtime:
            return _exec.execute(command, options, runtime, how, say=say)
    except (StoreUnavailable, SchemaOutOfDate) as trouble:
        with suppress(OSError):
            say(f"runguard: {trouble}")
        return EX_UNAVAILABLE


def read_trigger(text: str) -> TriggerType:
    """Read what started the run, in any case."""
    word = text.strip().upper()
    return trigger_type_of(word if word in set(TriggerType) else text, source="--trigger")


def _noted(notes: Sequence[str]) -> dict[str, str] | None:
    pairs = [note.partition("=") for note in notes]
    if any(not name.strip() or not sign for name, sign, _ in pairs):
        raise ConfigurationError("--note: expected NAME=VALUE, found a text without a name")
    return {name.strip(): value for name, _, value in pairs} or None


def _expected(**given: Any) -> Expect | None:
    """Return what the options expect; None, and nothing is imported, where they expect nothing."""
    if all(value is None for value in given.values()):
        return None
    from .._run.expecting import Expect

    with named_as_options():
        return Expect(**given)
