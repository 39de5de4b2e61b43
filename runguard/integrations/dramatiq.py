"""dramatiq: `runguard.integrations.dramatiq.install(broker)` makes every attempt a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import dramatiq
from dramatiq.middleware import Interrupt, Middleware, MiddlewareError, Retries

from ._attempts import REFUSALS, Attempt, Choice, RetriesExhausted, get_ready, is_tracked, unharmed


def install(
    broker: dramatiq.Broker | None = None,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Make every attempt at a message a run, in all workers of a broker.

    Call it where the broker is made, before `dramatiq.set_broker` or after. Further calls for the
    same broker replace the first one's choice.

    Args:
        broker: The broker; None: the global one.
        only: Actors that become runs, names or patterns such as `reports_*`. None: all.
        skip: Actors that do not.
        name: From an actor's name to its job's: a function, or a mapping of those that differ.
        cooldown: As of `run_scope`.
        failures_to_alert: As of `run_scope`.
        no_alert_on: As of `run_scope`.

    Raises:
        ConfigurationError: An option cannot be used.

    Added in 0.2.
    """
    options: dict[str, Any] = {
        "cooldown": cooldown,
        "failures_to_alert": failures_to_alert,
        "no_alert_on": no_alert_on,
    }
    broker = broker or dramatiq.get_broker()
    choice = Choice(only, skip, name, options)
    for known in broker.middleware:
        if isinstance(known, RunMiddleware):
            known.choice = choice
            return
    middleware = RunMiddleware(choice)
    has_retries = any(isinstance(known, Retries) for known in broker.middleware)
    # What follows a message is called in reverse order: Retries has decided by then.
    broker.add_middleware(middleware, before=Retries if has_retries else None)


class RunRefused(MiddlewareError):
    """With `outage_policy="refuse"`, an attempt must not begin while the store is away."""

    __module__ = "runguard.integrations"


class RunMiddleware(Middleware):
    """Begins a run before a message is processed, and ends it after; `install` adds it."""

    def __init__(self, choice: Choice) -> None:
        """Take which actors become runs."""
        self.choice = choice
        self._open: dict[str, tuple[Attempt, int]] = {}

    def before_worker_boot(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - dramatiq's signature
        worker: dramatiq.Worker,  # noqa: ARG002
    ) -> None:
        """Have ready what runs need; the modules of the actors are imported by now."""
        get_ready()

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """Begin the run, unless another middleware has failed the message already."""
        if message.failed:  # it is too old: its actor is not called
            return
        try:
            self._begin(broker, message)
        except REFUSALS as refusal:  # dramatiq heeds only errors of its own
            raise RunRefused(str(refusal)) from refusal

    def _begin(self, broker: dramatiq.Broker, message: Any) -> None:
        with unharmed("start", REFUSALS, job_name=message.actor_name):
            job_name = self.choice.job_name_of(message.actor_name)
            if job_name is None or is_tracked(broker.get_actor(message.actor_name).fn):
                return
            retries = _retries(message)
            attempt = Attempt(
                job_name,
                attempt=retries,
                context={
                    "message_id": message.message_id,
                    "queue": message.queue_name,
                    "attempt": retries + 1,
                },
                **self.choice.options,
            )
            self._open[message.message_id] = (attempt, retries)
            attempt.begin()

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - dramatiq's signature
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """End the run; whether the message was put back into its queue is decided by now."""
        attempt, retries = self._open.pop(message.message_id, (None, 0))
        if attempt is None:
            return
        is_tried_again = not message.failed and _retries(message) > retries
        if isinstance(exception, dramatiq.Retry) and not is_tried_again:
            exception = RetriesExhausted.of(exception)
        # The body has ended: what should have struck it comes too late, and would end the worker.
        with suppress(Interrupt), unharmed("finish", job_name=message.actor_name):
            attempt.end(exception, is_tried_again=is_tried_again)

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """End the run of a message that another middleware skipped after it had begun."""
        self.after_process_message(broker, message, exception=None)


def _retries(message: Any) -> int:
    return int(message.options.get("retries") or 0)
