"""Conformance: alerts that wait are routed, claimed, sent and settled, once."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from runguard._events import Events
from runguard._models import AlertKey, ErrorGroup
from runguard._monitor.delivering import Settlement
from runguard._monitor.expectations import Declarer, Expectation, JobDeclaration
from runguard._monitor.notices import (
    ChannelSpec,
    DeliveryState,
    Message,
    Outcome,
    Probe,
    SendResult,
)
from runguard._notify.config import NotifyConfig
from runguard._notify.dispatcher import ALERT_NOT_DELIVERED, Dispatcher
from runguard._notify.routes import Route
from runguard._store.queries import dispatching
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

NO_COOLDOWN = timedelta(0)
SENT = Outcome(SendResult.SENT)
RETRY = Outcome(SendResult.RETRY, error="connection refused")


@dataclass
class RecordingChannel:
    """A channel that keeps what it is given, and answers as it is told."""

    name: str = "mail"
    kind: str = "recording"
    is_idempotent: bool = False
    config_hash: str = "1"
    outcomes: list[Outcome] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message, *, timeout: float) -> Outcome:
        self.sent.append(message)
        return self.outcomes.pop(0) if self.outcomes else SENT

    def probe(self, *, timeout: float) -> Probe:
        return Probe(ok=True, summary="")

    def target(self) -> str:
        return self.name

    @property
    def kinds(self) -> list[str]:
        return [message.kind.value for message in self.sent]


class RecordingEvents(Events):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: str, **fields: Any) -> None:
        self.told.append((event, fields))


@dataclass
class World:
    """A store, its channels, and rounds of delivery."""

    store: OperatorStore
    back_door: BackDoor
    channels: list[RecordingChannel]
    events: RecordingEvents = field(default_factory=RecordingEvents)
    config: NotifyConfig = field(default_factory=NotifyConfig)

    def dispatcher(self) -> Dispatcher:
        specs = {one.name: ChannelSpec(name=one.name, url="x://y") for one in self.channels}
        config = replace(self.config, channels=specs)
        return Dispatcher(self.store, self.channels, config, self.events)

    def round(self) -> None:
        dispatcher = self.dispatcher()
        dispatcher.dispatch()
        dispatcher.deliver_due()

    def fail(self, job_name: str = "sync", **options: Any) -> int:
        run = new_run(job_name)
        self.store.start_run(run, timeout=TIMEOUT)
        finished = self.store.finish_run(
            failure(run, **{"cooldown": NO_COOLDOWN, **options}), timeout=TIMEOUT
        )
        assert finished.verdict.alert_id is not None
        return finished.verdict.alert_id

    def deliveries(self, columns: str = "kind, channel, state") -> list[tuple[Any, ...]]:
        rows = self.back_door.rows(f"select {columns} from alert_delivery order by id")
        return [tuple(row.values()) for row in rows]

    def recover(self, incident: int, job_name: str = "sync", by_run: int = 99) -> None:
        """Close an incident as the settle step does."""
        self.back_door.rows(
            "update alert_cooldown set closed_alert_id = open_alert_id, open_alert_id = null,"
            " closed_at = created_at from (select created_at from alert where id = :incident) x"
            " where open_alert_id = :incident",
            incident=incident,
        )
        detail = (
            f'{{"job_name": "{job_name}", "error_group": "TIMEOUT", "incident": {incident},'
            f' "recovered_by_run": {by_run}}}'
        )
        self.back_door.rows(
            "insert into alert (source_type, source_id, alert_type, severity, title, detail,"
            " incident) select source_type, source_id, 'RECOVERED', 'low', 'recovered', "
            + (":detail" if "sqlite" in str(self.store.engine.url) else "cast(:detail as jsonb)")
            + ", id from alert where id = :incident",
            incident=incident,
            detail=detail,
        )

    @property
    def in_an_hour(self) -> str:
        if self.store.engine.dialect.name == "sqlite":
            return "strftime('%Y-%m-%d %H\\:%M\\:%f', 'now', '+1 hour')"
        return "now() + interval '1 hour'"

    def make_due(self) -> None:
        """Let the time pass that a retry or a digest waits."""
        self.back_door.age("alert_delivery.next_attempt_at", 86_000)


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mail() -> RecordingChannel:
    return RecordingChannel()


@pytest.fixture
def world(store: OperatorStore, back_door: BackDoor, mail: RecordingChannel) -> World:
    return World(store, back_door, [mail])


def test_a_failure_is_told_once(world: World, mail: RecordingChannel) -> None:
    alert_id = world.fail()

    world.round()
    world.round()

    assert [message.kind.value for message in mail.sent] == ["opened"]
    assert "sync" in mail.sent[0].subject
    [row] = world.back_door.rows("select dispatch, told_at is not null as told from alert")
    assert (row["dispatch"], bool(row["told"])) == ("routed", True)
    assert world.deliveries("alert_id, state, attempts") == [(alert_id, "sent", 1)]


def test_without_a_channel_alerts_go_on_waiting(world: World) -> None:
    world.fail()
    world.channels = []

    world.round()

    assert world.back_door.row("select dispatch from alert") == {"dispatch": "pending"}
    assert world.deliveries() == []


def test_an_alert_of_another_program_is_told_too(world: World, mail: RecordingChannel) -> None:
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title)"
        " values ('student', '1', 'NEW', 'low', 'a new student')"
    )

    world.round()

    assert "a new student" in mail.sent[0].text + mail.sent[0].subject


def test_an_alert_older_than_a_day_expires_and_the_next_message_counts_it(
    world: World, mail: RecordingChannel
) -> None:
    world.store.raise_alert(own_alert(), timeout=TIMEOUT)
    world.back_door.age_alerts(90_000)
    world.fail()

    world.round()

    words = [row["dispatch"] for row in world.back_door.rows("select dispatch from alert")]
    assert sorted(words) == ["expired", "routed"]
    assert len(mail.sent) == 1
    assert mail.sent[0].data["expired"] == 1
    world.fail("another", group=ErrorGroup.TIMEOUT)
    world.round()
    assert mail.sent[1].data["expired"] == 0, "it is said once"


def test_a_failed_attempt_is_repeated_with_the_same_key(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [RETRY]
    world.fail()

    world.round()
    assert world.deliveries("state, attempts, last_error") == [("pending", 1, "connection refused")]
    world.round()
    assert len(mail.sent) == 1, "not before it is due"
    world.make_due()
    world.round()

    assert world.deliveries("state, attempts, last_error") == [("sent", 2, None)]
    assert mail.sent[0].key == mail.sent[1].key


def test_what_failed_while_a_channel_was_away_is_sent_when_it_is_back(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [RETRY, RETRY]
    for group in (ErrorGroup.TIMEOUT, ErrorGroup.HTTP_4XX):
        world.fail("sync", group=group)
        world.round()
    assert len(mail.sent) == 2
    world.fail("sync", group=ErrorGroup.UNKNOWN)

    world.round()

    assert {state for (state,) in world.deliveries("state")} == {"sent"}
    assert len(mail.sent) == 5


def test_a_channel_that_fails_is_left_alone_for_the_rest_of_the_round(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [RETRY, RETRY]
    for group in (ErrorGroup.TIMEOUT, ErrorGroup.HTTP_4XX):
        world.fail("sync", group=group)

    world.round()

    assert len(mail.sent) == 1


@pytest.mark.parametrize("store_kind", ["pgbouncer"], indirect=True)
def test_a_transaction_pooler_may_stand_in_between(world: World, mail: RecordingChannel) -> None:
    incident = world.fail()
    world.round()
    world.recover(incident)
    world.round()

    assert mail.kinds == ["opened", "recovered"]


def test_an_alert_that_is_routed_twice_is_told_once(world: World, mail: RecordingChannel) -> None:
    world.fail()
    world.round()
    world.back_door.rows("update alert set dispatch = 'pending'")

    world.round()

    assert mail.kinds == ["opened"]
    assert world.deliveries() == [("opened", "mail", "sent")]


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_one_process_routes_at_a_time_and_nobody_waits_for_it(world: World) -> None:
    world.fail()
    with world.back_door.engine.begin() as other:
        lock = f"select pg_advisory_xact_lock({dispatching.DISPATCHER_KEY})"
        other.exec_driver_sql(lock)
        meanwhile = world.dispatcher().dispatch()

    assert (meanwhile.alerts, meanwhile.is_whole) == (0, False)
    assert world.dispatcher().dispatch().routed == 1


def test_a_request_to_wait_holds_the_whole_channel(world: World, mail: RecordingChannel) -> None:
    asked = Outcome(SendResult.RETRY, error="HTTP 429", retry_after=timedelta(minutes=20))
    mail.outcomes = [asked]
    world.fail("one")
    world.round()
    world.fail("two", group=ErrorGroup.TIMEOUT)

    world.round()
    assert len(mail.sent) == 1
    world.back_door.age("channel_state.not_before", 1_300)
    world.make_due()
    world.round()

    assert [state for (state,) in world.deliveries("state")] == ["sent", "sent"]


def test_a_channel_that_is_gone_is_left_alone_until_its_configuration_changes(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [Outcome(SendResult.GONE, error="HTTP 410")]
    world.fail("one")
    world.round()
    world.fail("two", group=ErrorGroup.TIMEOUT)
    world.round()
    assert len(mail.sent) == 1

    mail.config_hash = "2"
    world.round()

    assert [state for (state,) in world.deliveries("state")] == ["dead", "sent"]


def test_hosts_that_configure_a_channel_differently_keep_its_failures_counted(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [RETRY] * 3
    for config_hash in ("1", "2", "1"):
        mail.config_hash = config_hash
        world.fail(group=ErrorGroup.TIMEOUT)
        world.round()
        world.make_due()

    assert world.back_door.row("select failures from channel_state") == {"failures": 3}
    assert [event for event, _ in world.events.told] == [ALERT_NOT_DELIVERED]


def test_what_is_refused_three_times_is_given_up_and_told_elsewhere(
    world: World, mail: RecordingChannel
) -> None:
    chat = RecordingChannel("chat")
    world.channels.append(chat)
    mail.outcomes = [Outcome(SendResult.REFUSED, error="HTTP 400")] * 3
    world.fail()
    for _ in range(4):
        world.round()
        world.make_due()
    world.round()

    assert ("opened", "mail", "dead") in world.deliveries()
    assert sorted(chat.kinds) == ["opened", "undelivered"]
    [(_event, fields)] = [one for one in world.events.told if one[0] == ALERT_NOT_DELIVERED]
    assert (fields["channel"], fields["state"]) == ("mail", "dead")


def test_a_day_of_failures_gives_it_up(world: World, mail: RecordingChannel) -> None:
    mail.outcomes = [RETRY] * 2
    world.fail()
    world.round()
    world.back_door.age("alert_delivery.created_at", 86_390)
    world.make_due()

    world.round()

    assert world.deliveries() == [("opened", "mail", "dead")]


def test_an_answer_that_never_came_is_asked_for_once_more(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [Outcome(SendResult.UNKNOWN, error="no answer")] * 2
    world.fail()
    for _ in range(3):
        world.round()
        world.make_due()

    assert len(mail.sent) == 2
    assert "repeat" in mail.sent[1].text
    assert world.deliveries() == [("opened", "mail", "unknown")]


def test_a_claim_that_ran_out_is_taken_over_and_its_late_sender_changes_nothing(
    world: World, mail: RecordingChannel
) -> None:
    world.fail()
    world.dispatcher().dispatch()
    first = world.store.claim_delivery(
        ["mail"], who="a", lease=timedelta(minutes=2), timeout=TIMEOUT
    )
    assert first is not None
    world.round()
    assert mail.sent == []

    world.back_door.age("alert_delivery.claim_expires_at", 121)
    world.round()

    late = world.store.settle_delivery(
        first, Settlement(state=DeliveryState.DEAD, failed=True), timeout=TIMEOUT
    )
    assert not late.is_ours
    assert "repeat" in mail.sent[0].text
    assert world.deliveries("state, attempts") == [("sent", 2)]


def test_a_repeat_of_an_open_incident_is_a_reminder_only_after_a_while(
    world: World, mail: RecordingChannel
) -> None:
    incident = world.fail()
    world.round()
    world.fail()
    world.round()
    assert mail.kinds == ["opened"]
    world.back_door.age("alert_delivery.sent_at", 4 * 3600 + 1)
    world.fail()
    world.round()

    assert mail.kinds == ["opened", "reminder"]
    states = world.deliveries("kind, state, incident")
    assert states[1][:2] == ("reminder", "skipped")
    assert {row[2] for row in states} == {incident}
    assert mail.sent[0].conversation == mail.sent[1].conversation


def test_an_acknowledged_incident_brings_no_reminder(world: World, mail: RecordingChannel) -> None:
    world.fail()
    world.round()
    world.back_door.age("alert_delivery.sent_at", 4 * 3600 + 1)
    later = world.in_an_hour
    world.back_door.rows(f"update alert_cooldown set acked_until = {later}, acked_by = 'kim'")
    world.fail()

    world.round()

    assert mail.kinds == ["opened"]
    assert "acknowledged by kim" in world.deliveries("last_error")[1][0]


def test_more_severe_than_before_is_told_at_once(world: World, mail: RecordingChannel) -> None:
    world.fail()
    world.back_door.rows("update alert set severity = 'low'")
    world.round()
    world.fail()

    world.round()

    assert mail.kinds == ["opened", "raised"]


def test_a_recovery_is_told_where_the_failure_was(world: World, mail: RecordingChannel) -> None:
    incident = world.fail()
    world.round()
    world.channels.append(RecordingChannel("chat"))
    world.recover(incident)

    world.round()

    assert mail.kinds == ["opened", "recovered"]
    assert world.channels[1].sent == []


def test_a_recovery_before_the_failure_was_told_makes_one_message(
    world: World, mail: RecordingChannel
) -> None:
    mail.outcomes = [RETRY]
    incident = world.fail()
    world.round()
    world.recover(incident)

    world.round()

    assert mail.kinds == ["opened", "recovered"]
    [opened, recovered] = world.deliveries("id, kind, state, covered_by")
    assert opened[2:] == ("replaced", recovered[0])
    assert recovered[2] == "sent"


def test_a_failure_that_was_being_sent_when_it_recovered_is_told_by_the_recovery(
    world: World, mail: RecordingChannel
) -> None:
    incident = world.fail()
    dispatcher = world.dispatcher()
    dispatcher.dispatch()
    lease = timedelta(minutes=2)
    claimed = world.store.claim_delivery(["mail"], who="a", lease=lease, timeout=TIMEOUT)
    assert claimed is not None
    world.recover(incident)
    dispatcher.dispatch()
    again = Settlement(state=DeliveryState.PENDING, retry_in=timedelta(0), failed=True)
    world.store.settle_delivery(claimed, again, timeout=TIMEOUT)

    dispatcher.deliver_due()

    assert mail.kinds == ["recovered"]
    assert world.deliveries("kind, state") == [("opened", "replaced"), ("recovered", "sent")]


def test_what_comes_later_waits_for_what_came_before(world: World, mail: RecordingChannel) -> None:
    mail.outcomes = [RETRY]
    world.fail()
    world.back_door.rows("update alert set severity = 'low'")
    world.round()
    world.fail()  # more severe

    world.round()

    dispatcher = world.dispatcher()
    waits = dispatcher.next_due_in()
    assert mail.kinds == ["opened"]
    assert waits is not None
    assert timedelta(0) < waits <= timedelta(seconds=12)
    world.make_due()
    world.round()
    assert mail.kinds == ["opened", "opened", "raised"]


def test_two_groups_closed_by_one_success_make_one_message(
    world: World, mail: RecordingChannel
) -> None:
    one = world.fail()
    two = world.fail(group=ErrorGroup.TIMEOUT)
    world.round()
    for incident in (one, two):
        world.recover(incident)

    world.round()

    assert mail.kinds == ["opened", "opened", "recovered"]
    [_, _, told, other] = world.deliveries("id, state, covered_by")
    assert (told[1], other[1], other[2]) == ("sent", "replaced", told[0])


def test_a_silence_mutes_the_notice_and_says_so(world: World, mail: RecordingChannel) -> None:
    later = world.in_an_hour
    before = later.replace("+", "-")
    world.back_door.rows(
        "insert into silence (job, starts_at, ends_at, reason, created_by)"
        f" values ('s*', {before}, {later}, 'planned', 'kim')"
    )
    world.fail()

    world.round()

    assert mail.sent == []
    [(state, why)] = world.deliveries("state, last_error")
    assert state == "skipped"
    assert re.fullmatch(r"silenced by silence 1 until [\d-]+T\d\d:\d\d:\d\dZ: planned", why)
    assert world.back_door.row("select matched from silence") == {"matched": 1}


def test_one_cause_of_many_jobs_makes_two_messages(world: World, mail: RecordingChannel) -> None:
    for number in range(40):
        world.fail(f"job_{number}")

    world.round()
    assert mail.kinds == ["opened"]
    world.make_due()
    world.round()

    assert mail.kinds == ["opened", "digest"]
    rows = world.deliveries("id, kind, state, covered_by")
    [digest] = [row for row in rows if row[1] == "digest"]
    covered = [row for row in rows if row[2] == "replaced"]
    assert len(covered) == 39
    assert {row[3] for row in covered} == {digest[0]}
    [told] = [row["n"] for row in world.back_door.rows("select count(told_at) as n from alert")]
    assert told == 40


def test_many_causes_on_one_channel_are_told_together_after_the_fifth(
    world: World, mail: RecordingChannel
) -> None:
    for number in range(9):
        world.store.raise_alert(own_alert(f"student-{number}"), timeout=TIMEOUT)

    world.round()
    world.make_due()
    world.round()

    assert mail.kinds == ["opened"] * 5 + ["digest"]


def test_a_channel_that_hangs_holds_up_no_other(world: World, mail: RecordingChannel) -> None:
    told = threading.Event()

    class Hanging(RecordingChannel):
        def send(self, message: Message, *, timeout: float) -> Outcome:
            assert told.wait(20)
            return super().send(message, timeout=timeout)

    class Telling(RecordingChannel):
        def send(self, message: Message, *, timeout: float) -> Outcome:
            told.set()
            return super().send(message, timeout=timeout)

    world.channels = [Hanging("hangs"), Telling("chat")]
    world.fail()

    world.round()

    assert [one.kinds for one in world.channels] == [["opened"], ["opened"]]


def failures_of_one_cause(world: World, count: int) -> None:
    """Alerts of as many jobs, written in one statement."""
    is_sqlite = world.store.engine.dialect.name == "sqlite"
    detail = "json_object('job_name', 'job_' || i, 'error_group', 'HTTP_5XX')"
    if not is_sqlite:
        detail = "jsonb_build_object('job_name', 'job_' || i, 'error_group', 'HTTP_5XX')"
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, detail)"
        " with recursive n (i) as"
        f" (select 1 union all select i + 1 from n where i < {count})"
        f" select 'run_log', 'job_' || i || '\\:HTTP_5XX', 'FAILED', 'high', 'x', {detail} from n"
    )


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
def test_a_thousand_jobs_of_one_cause_make_a_handful_of_messages(
    world: World, mail: RecordingChannel
) -> None:
    failures_of_one_cause(world, 1000)
    world.back_door.rows("update alert set severity = 'low' where id < 1000")

    world.round()
    world.make_due()
    world.round()

    assert mail.kinds == ["opened", "digest"]
    assert mail.sent[1].subject.startswith("HTTP_5XX 999 jobs failed (high): job_1000")
    assert "999 alerts in one message" in mail.sent[1].text
    assert "and 969 more" in mail.sent[1].text
    by_digest = (
        "select count(*) as n from alert_delivery one join alert_delivery digest"
        " on digest.id = one.covered_by and digest.kind = 'digest' and digest.state = 'sent'"
    )
    assert world.back_door.row(by_digest) == {"n": 999}
    assert world.back_door.row("select count(told_at) as n from alert") == {"n": 1000}


def statements_of(world: World, work: Callable[[], object]) -> list[str]:
    sent: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(world.store.engine, "before_cursor_execute", note)
    work()
    event.remove(world.store.engine, "before_cursor_execute", note)
    return sent


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_a_round_with_nothing_to_do_is_a_few_statements(world: World) -> None:
    world.round()

    assert len(statements_of(world, world.round)) <= 17


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
def test_alerts_are_routed_in_as_many_statements_however_many_wait(world: World) -> None:
    dispatcher = world.dispatcher()
    counts = []
    for alerts in (2, 4, 99):  # of which as many as before go on with an incident
        failures_of_one_cause(world, alerts)
        counts.append(len(statements_of(world, dispatcher.dispatch)))

    assert counts[1] == counts[2]


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
def test_all_that_waits_is_read_once_for_many_messages(
    world: World, mail: RecordingChannel
) -> None:
    world.dispatcher().dispatch()  # notes the channel
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, dispatch)"
        " with recursive n (i) as (select 1 union all select i + 1 from n where i < 20)"
        " select 'feed', 'r' || i, 'NEW', 'low', 'x', 'routed' from n"
    )
    world.back_door.rows(
        "insert into alert_delivery (alert_id, kind, channel, next_attempt_at)"
        " select id, 'opened', 'mail', created_at from alert"
    )

    sent = statements_of(world, world.dispatcher().deliver_due)

    assert len(mail.sent) == 20
    of_some = [one for one in sent if "alert_delivery.id IN" in one and "ORDER BY CASE" in one]
    of_all = [one for one in sent if "OVER (PARTITION BY" in one]
    assert (len(of_some), len(of_all)) == (20, 2)  # the second one finds nothing more


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_a_delivery_is_a_bounded_number_of_statements(world: World) -> None:
    world.fail()
    dispatcher = world.dispatcher()
    dispatcher.dispatch()

    assert len(statements_of(world, dispatcher.deliver_due)) <= 18


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_no_statement_of_delivery_reads_all_alerts_or_deliveries(
    world: World, mail: RecordingChannel
) -> None:
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, dispatch,"
        " created_at) select 'feed', 'r' || i, 'NEW', 'low', 'x', 'routed',"
        " now() - i * interval '1 minute' from generate_series(1, 20000) i"
    )
    world.back_door.rows(
        "insert into alert_delivery (alert_id, incident, kind, channel, state, created_at)"
        " select id, id, 'opened', 'mail', 'sent', created_at from alert"
    )
    with world.back_door.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        connection.exec_driver_sql("vacuum analyze alert")
        connection.exec_driver_sql("vacuum analyze alert_delivery")
    mail.outcomes = [RETRY]
    seen: list[tuple[str, str]] = []

    def look(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "WITH"):
            cursor.execute(f"explain {statement}", parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            seen.append((statement, plan))

    event.listen(world.store.engine, "before_cursor_execute", look)
    world.fail()
    world.round()
    world.make_due()
    world.round()
    event.remove(world.store.engine, "before_cursor_execute", look)

    read_whole = [
        (statement, plan)
        for statement, plan in seen
        if "Seq Scan on alert " in plan + " " or "Seq Scan on alert_delivery" in plan
    ]
    assert read_whole == []
    assert any("runguard_alert_pending" in plan for _, plan in seen)
    assert any("runguard_alert_delivery_due" in plan for _, plan in seen)


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_a_sudden_storm_is_not_read_anew_for_each_of_its_messages(
    world: World, mail: RecordingChannel
) -> None:
    """Statistics of a quiet day say that nothing waits, so all that waits looks cheap to read."""
    dispatcher = world.dispatcher()
    dispatcher.dispatch()  # notes the channel
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, dispatch)"
        " select 'feed', 'r' || i, 'NEW', 'low', 'x', 'routed' from generate_series(1, 3000) i"
    )
    for kind, state, due_at in (("opened", "sent", "null"), ("reminder", "pending", "created_at")):
        world.back_door.rows(
            "insert into alert_delivery (alert_id, incident, kind, channel, state, next_attempt_at)"
            f" select id, id, '{kind}', 'mail', '{state}', {due_at} from alert"
        )
        if state == "sent":
            world.back_door.rows("analyze alert_delivery")
    plans: list[str] = []

    def look(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "alert_delivery" in statement:
            cursor.execute(f"explain {statement}", parameters)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    event.listen(world.store.engine, "before_cursor_execute", look)
    assert dispatcher.next_due_in() == timedelta(0)
    dispatcher.deliver_due(stops=lambda: bool(mail.sent))
    event.remove(world.store.engine, "before_cursor_execute", look)

    assert len(mail.sent) == 1
    reads = [one.count("runguard_alert_delivery_due") for one in plans]
    assert sorted(reads)[-2:] == [1, 1]  # to see when something is due, and what
    assert not any("runguard_alert_delivery_due on alert_delivery earlier" in one for one in plans)


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
def test_the_end_of_a_silence_over_an_open_incident_says_which_one_ended(
    world: World, mail: RecordingChannel
) -> None:
    world.store.add_silence(
        job="*",
        ends_at=world.store.now() + timedelta(hours=1),
        reason="a move of the servers",
        created_by="kim",
    )
    incident = world.fail()
    world.round()
    world.store.end_silence(1, by="kim")
    assert [one.alert_type for one in world.store.settle_incidents()] == ["SILENCE_ENDED"]

    world.round()

    assert mail.kinds == ["opened"]
    assert [one["id"] for one in mail.sent[0].data["silences_ended"]] == [1]
    assert mail.sent[0].data["incident"]["id"] == incident


@pytest.mark.parametrize("store_kind", ["postgresql", "pgbouncer"], indirect=True)
def test_a_process_that_stands_still_while_it_routes_is_put_out_by_the_server(
    world: World,
) -> None:
    name = world.back_door.row("select current_database() as name")["name"]
    world.back_door.rows(
        f"alter database \"{name}\" set default_transaction_isolation = 'serializable'"
    )
    names = ("idle_in_transaction_session_timeout", "transaction_isolation")

    def ask(connection: Connection) -> list[str]:
        return [connection.exec_driver_sql(f"show {name}").scalar_one() for name in names]

    assert world.store._transact(ask, timeout=TIMEOUT) == ["10s", "read committed"]
    assert world.store._read(lambda attempt: ask(attempt.connection))[0] == "0"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("detail", "[" * 5000 + "]" * 5000),
        ("detail", '{"failing_since": "0001-01-01T00:00:00+14:00", "run_id": 1e30}'),
        ("detail", '{"occurred_at": "0001-01-01T00:00:00+14:00"}'),
        ("severity", b"\xff\xfe"),
    ],
    ids=["thousands of brackets", "first year", "failed in the first year", "bytes"],
)
def test_whatever_another_program_wrote_stops_no_other_alert(
    world: World, mail: RecordingChannel, column: str, value: str | bytes
) -> None:
    is_sqlite = world.store.engine.dialect.name == "sqlite"
    if isinstance(value, bytes) and not is_sqlite:
        pytest.skip("such a column holds no bytes")
    place = "cast(:value as jsonb)" if column == "detail" and not is_sqlite else ":value"
    world.back_door.rows(
        f"insert into alert (source_type, source_id, alert_type, title, {column})"
        f" values ('run_log', 'theirs:TIMEOUT', 'FAILED', 'theirs', {place})",
        value=value,
    )
    world.fail("ours", group=ErrorGroup.HTTP_4XX)

    world.round()
    world.store.settle_incidents()

    subjects = " | ".join(message.subject for message in mail.sent)
    assert "theirs" in subjects
    assert "ours" in subjects
    assert world.events.told == []


@pytest.mark.parametrize("time", ["0044-03-15 BC", "290000-01-01", "yesterday evening"])
def test_a_time_that_is_none_of_our_days_stops_no_other_alert(
    world: World, mail: RecordingChannel, time: str
) -> None:
    is_sqlite = world.store.engine.dialect.name == "sqlite"
    if not is_sqlite and time.startswith("yesterday"):
        pytest.skip("such a column holds times only")
    place = ":time" if is_sqlite else "cast(:time as timestamptz)"
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, title, created_at)"
        f" values ('feed', '1', 'NEW', 'theirs', {place})",
        time=time,
    )
    world.fail("ours")

    world.round()

    subjects = " | ".join(message.subject for message in mail.sent)
    assert "theirs" in subjects
    assert "ours" in subjects


def test_a_recovery_of_another_program_is_an_alert_like_any_other(
    world: World, mail: RecordingChannel
) -> None:
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title)"
        " values ('patient', '1', 'RECOVERED', 'low', 'a patient went home')"
    )

    world.round()

    assert "a patient went home" in mail.sent[0].subject + mail.sent[0].text


def test_a_deleted_alert_is_let_go_and_its_channel_not_blamed(
    world: World, mail: RecordingChannel
) -> None:
    deleted, kept = world.fail(), world.fail("other", group=ErrorGroup.HTTP_4XX)
    world.dispatcher().dispatch()
    world.back_door.rows("delete from alert where id = :id", id=deleted)

    world.dispatcher().deliver_due()

    assert [message.data["alert"]["id"] for message in mail.sent] == [kept]
    assert world.deliveries("state, last_error") == [
        ("skipped", "the alert was deleted"),
        ("sent", None),
    ]
    assert world.back_door.row("select failures from channel_state") == {"failures": 0}


def test_a_digest_is_sent_also_when_its_first_alert_was_deleted(
    world: World, mail: RecordingChannel
) -> None:
    first, second, third, _ = (world.fail(f"job_{number}") for number in range(4))
    world.round()
    world.back_door.rows("delete from alert where id = :id", id=second)
    world.make_due()

    world.round()

    assert [message.data["alert"]["id"] for message in mail.sent] == [first, third]
    assert mail.kinds == ["opened", "digest"]


def test_an_alert_that_waited_for_others_is_told_as_if_alone_where_none_came(
    world: World, mail: RecordingChannel
) -> None:
    world.store.declare(
        JobDeclaration(
            job_name="job_1",
            by=Declarer.PERSON,
            who="kim",
            expectation=Expectation(every=timedelta(hours=1)),
            owner="data",
            runbook="https://wiki.example/job_1",
        )
    )
    world.fail("job_0")
    waiting = world.fail("job_1")
    world.round()
    world.make_due()
    world.round()
    world.recover(waiting, "job_1")
    world.round()
    world.make_due()
    world.round()
    alone, over = mail.sent[1:]

    assert mail.kinds == ["opened", "opened", "recovered"]
    assert alone.subject == "HTTP_5XX job_1 failed (high)"
    assert re.search("^Owner: +data$", alone.text, re.MULTILINE)
    assert "Runbook: https://wiki.example/job_1" in alone.text
    assert f"runguard ack {waiting}" in alone.text
    assert "This alert waited, so that others could go with it." in alone.text
    assert (alone.is_first, over.is_first) == (True, False)
    assert alone.conversation == over.conversation


def test_a_finding_that_waited_for_others_is_told_in_its_own_words_where_none_came(
    world: World, mail: RecordingChannel
) -> None:
    world.config = NotifyConfig(timezone=ZoneInfo("Asia/Seoul"))
    due = {"due": "2026-03-01T02:00:00+00:00", "missed": 3}
    for number in range(6):
        key = AlertKey("job", f"job_{number}", "MISSED")
        draft = own_alert()._replace(key=key, detail={"job_name": f"job_{number}", **due})
        world.store.raise_alert(draft, timeout=TIMEOUT)
        world.round()
    world.make_due()
    world.round()
    text = mail.sent[-1].text

    assert re.search(r"^Due: +2026-03-01 11:00 KST$", text, re.MULTILINE)
    assert re.search("^Missed: +3 starts$", text, re.MULTILINE)
    assert re.search("^Last start: +none known$", text, re.MULTILINE)
    assert "This alert waited, so that others could go with it." in text


def test_what_a_lost_digest_should_have_told_is_told_by_the_next_failure(
    world: World, mail: RecordingChannel
) -> None:
    world.fail("first")
    world.fail("second")
    world.round()
    world.back_door.rows("update alert_delivery set state = 'dead' where kind = 'digest'")
    world.fail("second")

    world.round()

    kinds = world.deliveries("kind, state")
    assert kinds[-1] == ("opened", "replaced"), "it goes into the next digest"
    assert ("digest", "pending") in kinds


def test_deliveries_wait_for_a_channel_whose_secret_is_missing_here(
    world: World, mail: RecordingChannel
) -> None:
    chat = RecordingChannel("chat")
    world.channels = [mail, chat]
    here = world.dispatcher()
    without = Dispatcher(world.store, [mail], here._config, world.events)
    world.fail()

    without.dispatch()
    without.deliver_due()

    assert world.deliveries("channel, state") == [("mail", "sent"), ("chat", "pending")]
    world.round()
    assert len(mail.sent) == len(chat.sent) == 1


def test_a_recovery_waits_for_the_host_whose_channel_told_the_failure(
    world: World, mail: RecordingChannel
) -> None:
    chat = RecordingChannel("chat")
    incident = world.fail()
    world.round()
    world.recover(incident)

    world.channels = [chat]
    world.round()
    world.channels = [mail]
    world.round()

    assert mail.kinds == ["opened", "recovered"]
    assert chat.sent == []


def test_a_clock_that_is_a_day_ahead_gives_nothing_up(world: World, mail: RecordingChannel) -> None:
    mail.outcomes = [RETRY]
    world.fail()
    dispatcher = Dispatcher(
        world.store,
        [mail],
        world.dispatcher()._config,
        world.events,
        clock=lambda: datetime.now(UTC) + timedelta(days=2),
    )

    dispatcher.dispatch()
    dispatcher.deliver_due()

    assert world.deliveries("state") == [("pending",)]


def test_a_message_whose_sender_died_is_not_for_ever_on_its_way(
    world: World, mail: RecordingChannel
) -> None:
    world.fail()
    world.dispatcher().dispatch()
    claimed = world.store.claim_delivery(
        ["mail"], who="it", lease=timedelta(minutes=2), timeout=TIMEOUT
    )
    assert claimed is not None
    for column in ("created_at", "claim_expires_at"):
        world.back_door.age(f"alert_delivery.{column}", 100_000)

    world.store.note_channels({"chat": "1"}, timeout=TIMEOUT)

    assert world.deliveries("state, last_error") == [("unknown", "its sender died")]


def test_a_recovery_takes_no_message_from_a_sender_that_is_at_it(world: World) -> None:
    if world.store.engine.dialect.name == "sqlite":
        pytest.skip("nobody claims while somebody dispatches")
    incident = world.fail()
    world.dispatcher().dispatch()
    world.recover(incident)

    def plan(context: Any) -> Any:
        world.back_door.rows("update alert_delivery set state = 'sending', attempts = 1")
        return world.dispatcher()._plan(context)

    world.store.dispatch(plan, limit=10, timeout=TIMEOUT)

    assert world.deliveries("kind, state") == [("opened", "sending"), ("recovered", "pending")]


def test_a_declared_owner_is_asked_for_by_routes_and_named_in_the_message(
    world: World, mail: RecordingChannel
) -> None:
    oncall = RecordingChannel(name="oncall")
    world.channels.append(oncall)
    routes = (Route(to=("oncall",), owner=("data-*",)), Route(to=("mail",)))
    world.config = replace(world.config, routes=routes)
    owners = (("sync", None, "data-team"), ("sync", "staging", "nobody"), ("bill", None, "finance"))
    for job, environment, owner in owners:
        world.store.declare(
            JobDeclaration(
                job_name=job,
                environment=environment,
                owner=owner,
                runbook=f"https://wiki.example/{job}",
                by=Declarer.PERSON,
            )
        )
    groups = (ErrorGroup.HTTP_5XX, ErrorGroup.TIMEOUT, ErrorGroup.UNKNOWN)
    for job, group in zip(("sync", "bill", "unowned"), groups, strict=True):
        world.fail(job, group=group)

    world.round()

    [told] = oncall.sent
    assert (told.data["job"], told.data["owner"]) == ("sync", "data-team")
    assert told.data["runbook"] == "https://wiki.example/sync"
    assert "data-team" in told.text
    assert [(one.data["job"], one.data["owner"]) for one in mail.sent] == [
        ("bill", "finance"),
        ("unowned", None),
    ]
