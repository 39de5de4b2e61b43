"""One round of all that nobody should have to wait for.

Its parts fail apart: one that raises is told, and the others go on, unless nobody answers for
the store. Any number of processes may run rounds at once; each thing is done by one of them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._clock import now, ticks
from .._errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable
from .._events import Events, error_text
from .._failure.introspection import printable
from .._frozen import frozen
from .._monitor.wording import counted
from .._run.reaper import reap
from .._run.spool_listing import count_of
from .._run.spool_replay import replay
from .._settings import PG_CRON_URL, PING_URL
from .channels import Channels
from .ping import Ping, PingFailed, ping_url_of, send_ping
from .watching import UNWATCHED_AFTER, Found, Watch, missed_in

if TYPE_CHECKING:
    from uuid import UUID

    from .._monitor.notices import ChannelState
    from .._notify.dispatcher import Dispatcher
    from .._run.spool import Spool
    from .._settings import Settings
    from .._store.operator import OperatorStore
    from .pg_cron import PgCronImport

STORE_TIMEOUT_SECONDS: Final = 30.0
REPLAY_SECONDS: Final = 30.0
DELIVER_SECONDS: Final = 60.0  # then jobs are looked at again; what is left goes on after that
LONGEST_TROUBLE: Final = 500
MOST_COUNTED: Final = 10_000
MOST_FINDINGS: Final = 200  # of one report
PING_EVERY_SECONDS: Final = 55.0  # what one hears each minute is well
FAILURES_THAT_TELL: Final = 3  # of a channel, in a row

Part = Callable[[], Mapping[str, int]]


def _never() -> bool:
    return False


@frozen(kw_only=True)
class RoundReport:
    """What a round did. Numbers count what this round did, unless they say otherwise.

    Attributes:
        lost: Runs that were closed since their process had died.
        judged: Jobs that were looked at, since something is expected of them.
        found: What was found of jobs, and an alert tells.
        missed: Of those, starts that did not come.
        closed: What was found before, and is over.
        findings: Those that were found or are over, at most 200.
        settled: Incidents that were closed or reopened, and silences whose end was told.
        routed: Alerts that were given to channels.
        expired: Alerts that were too old to be told when they were first seen.
        unroutable: Alerts that no channel takes.
        sent: Messages that were sent.
        retried: Messages that failed, and are tried again.
        dead: Messages that were given up.
        unsent: Messages that are due and that the time was too short for; the next round sends on.
        imported: Runs of pg_cron that have a row now, or an end that they had not.
        replayed: Records that waited on this machine, and are in the store now.
        set_aside: Records that the store refuses, which wait no longer.
        waiting: Records that still wait, now.
        channels: The channels that are configured here and can be used.
        failing: Those of them that fail now, or are disabled.
        troubles: The parts that failed, each with what went wrong.
        began_at: When it began, by this machine's clock.
        seconds: How long it took.
    """

    lost: int = 0
    judged: int = 0
    found: int = 0
    missed: int = 0
    closed: int = 0
    findings: tuple[Found, ...] = ()
    settled: int = 0
    routed: int = 0
    expired: int = 0
    unroutable: int = 0
    sent: int = 0
    retried: int = 0
    dead: int = 0
    unsent: int = 0
    imported: int = 0
    replayed: int = 0
    set_aside: int = 0
    waiting: int = 0
    channels: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    began_at: datetime
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong that somebody should look at."""
        return not (self.troubles or self.failing or self.dead or self.waiting or self.set_aside)

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do, and nothing is wrong."""
        deeds = (self.lost, self.found, self.closed, self.settled, self.routed, self.expired)
        sent = (self.unroutable, self.sent, self.retried, self.imported, self.replayed)
        return self.is_good and not any((*deeds, *sent))


class Rounds:
    """Runs rounds on a store, one after the other.

    Attributes:
        store_fault: What kept the last round from the store, or a part of it; None if nothing did.

    Args:
        store: Where runs and alerts are.
        settings: As a run of this process would have them.
        spool: The folder of records that wait for this store.
        events: Where to tell what went wrong.
        channels: Those of this process; None: as its environment and folder say.
        await_beat: Waits as long as a heartbeat takes. None: what a heartbeat must decide is left
            to a later round.
        only_delivers: Whether lost runs and waiting records are left to others.
        job_names: The jobs whose incidents are settled; all where None.
        kind: `monitor`, `once` or `web`: what this process is.
    """

    def __init__(
        self,
        store: OperatorStore,
        settings: Settings,
        spool: Spool,
        events: Events,
        *,
        channels: Channels | None = None,
        await_beat: Callable[[int], None] | None = None,
        only_delivers: bool = False,
        job_names: Sequence[str] | None = None,
        kind: str = "monitor",
    ) -> None:
        self._store = store
        self._settings = settings
        self._spool = spool
        self._events = events
        self._channels = channels or Channels(os.environ, Path())
        self._await_beat = await_beat
        self._only_delivers = only_delivers
        self._job_names = job_names
        self._kind = kind
        self.store_fault: StoreUnavailable | SchemaOutOfDate | None = None
        self._watch: Watch | None = None
        self._pg_cron: PgCronImport | None = None
        self._found: tuple[Found, ...] = ()
        self._pinged: tuple[float, bool] | None = None  # when, and whether all was well
        self._doubted: dict[UUID, float] = {}  # silent runs that may be alive, and since when
        self._dispatcher: Dispatcher | None = None
        self._told: set[str] = set()  # the faults of the last round, which need no further event
        self._faults: set[str] = set()  # those of this one

    def run(self, *, stops: Callable[[], bool] = _never) -> RoundReport:
        """Run one round. Never raises; `stops` says before each part whether to leave the rest."""
        began_at, began = now(), ticks()
        counts: Counter[str] = Counter()
        troubles: dict[str, str] = {}
        is_whole, self._found, self._faults = True, (), set()
        self.store_fault = None
        for wrong in self._channels.read():
            self._note(troubles, "channels", wrong)
        for name, part in self._parts(stops):
            if stops() or self._is_store_away:
                is_whole = False
                break
            try:
                counts.update(part())
            except Exception as trouble:  # the other parts may do better
                self._note(troubles, name, trouble)
        if self._is_store_away and not self._only_delivers:
            counts["waiting"] = self._waiting()
        failing = self._failing(troubles)
        if is_whole and not self._only_delivers:
            self._end(counts, failing, troubles, seconds=ticks() - began)
        self._told = self._faults
        return RoundReport(
            **counts,
            findings=self._found[:MOST_FINDINGS],
            channels=tuple(channel.name for channel in self._channels.usable),
            failing=tuple(state.channel for state in failing),
            troubles=troubles,
            began_at=began_at,
            seconds=round(ticks() - began, 3),
        )

    def close(self) -> None:
        """Close what only rounds have opened; the store is whose it was."""
        if self._pg_cron is not None:
            self._pg_cron.close()
            self._pg_cron = None

    def next_due_in(self) -> timedelta | None:
        """Return how long until something is due on the channels of the last round."""
        return None if self._dispatcher is None else self._dispatcher.next_due_in()

    def _parts(self, stops: Callable[[], bool]) -> Iterator[tuple[str, Part]]:
        dispatcher = self._dispatcher = self._channels.dispatcher(self._store, self._events)

        def dispatch() -> Mapping[str, int]:
            done = dispatcher.dispatch()
            return {
                "routed": done.routed,
                "expired": done.expired,
                "unroutable": done.unroutable,
            }

        def deliver() -> Mapping[str, int]:
            until = inf if self._only_delivers else ticks() + DELIVER_SECONDS
            done = dispatcher.deliver_due(stops=lambda: stops() or ticks() >= until)
            return {
                "sent": done.sent,
                "retried": done.failed - done.dead,
                "dead": done.dead,
                "unsent": dispatcher.count_due() if ticks() >= until else 0,
            }

        if self._only_delivers:
            yield "watch", self._look_for_a_monitor
        else:
            yield "reap", self._reap
            yield "replay", self._replay  # what has run is known before it counts as missed
            yield "pg_cron", self._import_pg_cron
        yield "dispatch", dispatch
        if not self._only_delivers:
            yield "watch", lambda: self._watched(stops)
        yield "incidents", self._settle
        yield "dispatch", dispatch
        yield "deliver", deliver

    def _reap(self) -> Mapping[str, int]:
        """Close the runs whose process died; a doubt counts only when a heartbeat is past."""
        long_ago = ticks() - self._settings.heartbeat_interval.total_seconds()
        doubted = {key for key, since in self._doubted.items() if since <= long_ago}
        closed = reap(
            self._store,
            self._settings,
            timeout=STORE_TIMEOUT_SECONDS,
            doubted=doubted,
            await_beat=self._await_beat,
        )
        lost = sum(1 for _ in closed)
        self._doubted = {key: self._doubted.get(key, ticks()) for key in doubted | {*self._doubted}}
        return {"lost": lost}

    def _settle(self) -> Mapping[str, int]:
        settled = self._store.settle_incidents(
            self._job_names,
            environment=self._settings.environment,
            auto_resolve=self._settings.auto_resolve,
        )
        return {"settled": len(settled)}

    def _replay(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for replayed in replay(self._spool, self._store, seconds=REPLAY_SECONDS):
            counts["replayed"] += replayed.trouble is None
            counts["set_aside"] += replayed.is_set_aside
            if replayed.trouble is not None:
                self._events.internal_error("replay", replayed.trouble, file=str(replayed.path))
        counts["waiting"] = self._waiting()
        return counts

    def _import_pg_cron(self) -> Mapping[str, int]:
        """Take over what pg_cron ran, where this process knows its database."""
        text = self._channels.environ.get(PG_CRON_URL, "").strip().strip("\"'")
        if not text:
            return {}
        if self._pg_cron is None:
            from .pg_cron import ENOUGH_FOR_A_ROUND, PgCronImport, source_from

            url = text if text == "store" else self._channels.config.resolve(text)
            source = source_from(url, store_url=self._settings.database_url)
            self._pg_cron = PgCronImport(
                source, self._store, self._settings, self._events, enough=ENOUGH_FOR_A_ROUND
            )
        return {"imported": self._pg_cron.run().runs}

    def _waiting(self) -> int:
        return count_of(self._spool, at_most=MOST_COUNTED)

    def _look_for_a_monitor(self) -> Mapping[str, int]:
        """Raise an alert where jobs are expected, and no monitor looks whether they run."""
        from .._store.declaring import raise_unwatched

        raise_unwatched(
            self._store,
            after=UNWATCHED_AFTER,
            cooldown=self._settings.cooldown,
            timeout=STORE_TIMEOUT_SECONDS,
        )
        return {}

    def _watched(self, stops: Callable[[], bool]) -> Mapping[str, int]:
        """Notice what did not happen, and what takes too long."""
        if self._watch is None:
            from .._watch.judge import judge

            self._watch = Watch(
                self._store,
                judge,
                self._events,
                cooldown=self._settings.cooldown,
                auto_resolve=self._settings.auto_resolve,
                environment=self._settings.environment,
                kind=self._kind,
            )
        self._watch.declare(self._channels.newest)
        config = self._channels.config
        watched = self._watch.run(config.resolve, stops=stops, zone=config.timezone)
        self._found = watched.found
        over = sum(one.is_over for one in watched.found)
        return {
            "judged": watched.judged,
            "found": len(watched.found) - over,
            "missed": missed_in(watched.found),
            "closed": over,
        }

    def _end(
        self,
        counts: Mapping[str, int],
        failing: Sequence[ChannelState],
        troubles: dict[str, str],
        *,
        seconds: float,
    ) -> None:
        """Write that somebody has looked, and tell it the address that waits for it."""
        if self._watch is not None and "watch" not in troubles and not self._is_store_away:
            report = {**counts, "failing": [one.channel for one in failing], "troubles": troubles}
            try:
                self._watch.note(seconds=round(seconds, 3), report=report)
            except Exception as trouble:  # as above
                self._note(troubles, "note", trouble)
        if not troubles:
            try:
                self._ping(counts, failing)
            except (ConfigurationError, PingFailed) as wrong:
                self._note(troubles, "ping", wrong)

    def _ping(self, counts: Mapping[str, int], failing: Sequence[ChannelState]) -> None:
        """Say that all is well, or that people are not told; at most once a minute."""
        url = ping_url_of(self._channels.environ, self._channels.config.resolve)
        if url is None:
            return
        broken = [
            one.channel for one in failing if one.disabled_at or one.failures >= FAILURES_THAT_TELL
        ]
        is_good = not (broken or counts.get("dead"))
        if self._pinged is not None:
            at, was_good = self._pinged
            if was_good is is_good and ticks() < at + PING_EVERY_SECONDS:
                return
        text = f"{counted(counts.get('judged', 0), 'job')} judged"
        if not is_good:
            text = f"alerts are not delivered: {', '.join(broken) or 'a message was given up'}"
        send_ping(Ping(PING_URL, url, is_good, text))
        self._pinged = (ticks(), is_good)

    def _failing(self, troubles: dict[str, str]) -> tuple[ChannelState, ...]:
        """Return the channels of ours that fail now."""
        ours = {channel.name for channel in self._channels.usable}
        if not ours or self._is_store_away:
            return ()
        try:
            states = self._store.channel_states()
        except Exception as trouble:  # as above
            self._note(troubles, "channels", trouble)
            return ()
        wrong = (one for one in states if one.failing_since or one.disabled_at)
        return tuple(one for one in wrong if one.channel in ours)

    @property
    def _is_store_away(self) -> bool:
        """Whether nobody answered for the store: each further part would wait for it."""
        return isinstance(self.store_fault, StoreUnavailable) and self.store_fault.is_away

    def _note(self, troubles: dict[str, str], part: str, trouble: Exception) -> None:
        """Tell a fault; one that several parts have, or that goes on from round to round, once."""
        if isinstance(trouble, StoreUnavailable | SchemaOutOfDate):
            self.store_fault = trouble
        text = printable(self._settings.redactor.clean(error_text(trouble)), LONGEST_TROUBLE)
        if text not in troubles.get(part, ""):
            troubles[part] = f"{troubles[part]}; {text}" if part in troubles else text
        if text not in self._told | self._faults:
            self._events.internal_error(part, trouble)
        self._faults.add(text)
