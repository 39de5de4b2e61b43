"""What did not run is noticed and told, on each store, with real servers at the other end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard._rounds.channels import Channels
from runguard._rounds.trial import preview
from tests.store.drafts import TIMEOUT, new_run
from tests.support.http_receiver import HttpReceiver
from tests.support.mail_server import MailServer
from tests.support.stores import newest_alerts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rounds.conftest import World

# Where the store makes no difference.
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.fixture
def hook(world: World) -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        world.configure(f'[channels.hook]\nwebhook = "{receiver.url()}"\n')
        yield receiver


def told(hook: HttpReceiver) -> list[tuple[str, str]]:
    """What came in: why, and what was found; each message once."""
    by_key = {one.headers["Idempotency-Key"]: one.json["data"] for one in hook.requests}
    return [(data["kind"], data["finding"]) for data in by_key.values()]


def test_a_missed_start_is_told_once_and_so_is_the_start_that_comes_late(
    world: World, hook: HttpReceiver
) -> None:
    world.expect("nightly")
    world.look()
    first, second = world.round(), world.round()
    world.run("nightly")
    third, fourth = world.round(), world.round()
    opened, over = (request.json for request in hook.requests)

    assert [(one.found, one.missed, one.closed) for one in (first, second, third, fourth)] == [
        *((1, 1, 0), (0, 0, 0)),
        *((0, 0, 1), (0, 0, 0)),
    ]
    assert told(hook) == [("opened", "MISSED"), ("recovered", "MISSED")]
    assert opened["subject"].startswith("MISSED nightly: due ")
    assert opened["subject"].endswith(", not started, second in a row")
    assert over["subject"].startswith("OK nightly: ran ")
    assert opened["conversation"] == over["conversation"]
    assert opened["data"]["runbook"] == "https://wiki.example/nightly"
    assert opened["data"]["owner"] == "data"
    assert [(one.type, one.is_over, one.job_name) for one in third.findings] == [
        ("MISSED", True, "nightly")
    ]


@on_sqlite
def test_a_reminder_counts_the_starts_that_were_missed(world: World, hook: HttpReceiver) -> None:
    world.configure(f'[notify]\nremind_every = "1m"\n[channels.hook]\nwebhook = "{hook.url()}"\n')
    world.expect("nightly")
    world.look()
    world.round()
    for column in ("declared_at", "judged_at", "look_at"):  # half an hour passes
        world.back_door.age(f"job.{column}", 1800)
    world.back_door.age("alert_delivery.sent_at", 3600)
    world.let_cooldown_pass()
    world.round()

    assert told(hook) == [("opened", "MISSED"), ("reminder", "MISSED")]
    assert "STILL MISSED nightly: " in hook.requests[1].json["subject"]


@on_sqlite
def test_a_silence_mutes_a_finding_until_it_ends_and_its_owner_routes_it(
    world: World, hook: HttpReceiver
) -> None:
    world.configure(
        f'[channels.hook]\nwebhook = "{hook.url("/data")}"\n'
        f'[channels.other]\nwebhook = "{hook.url("/other")}"\n'
        '[[routes]]\nowner = "data"\nto = ["hook"]\n'
    )
    world.expect("loud", "quiet")
    world.look()
    now = world.store.now()
    silence = world.store.add_silence(
        job="quiet", ends_at=now + timedelta(hours=1), reason="moved", created_by="kim"
    )
    world.round()
    meanwhile = [(one.path, one.json["data"]["job"]) for one in hook.requests]
    world.store.end_silence(silence.id, by="kim")
    for _ in range(2):
        world.round()

    assert meanwhile == [("/data", "loud")]
    [_, afterwards] = hook.requests
    assert afterwards.json["subject"].startswith("STILL MISSED quiet: silence ended, due ")
    assert (afterwards.path, afterwards.json["data"]["finding"]) == ("/data", "MISSED")


def test_a_run_that_takes_too_long_is_told_by_mail(world: World) -> None:
    world.expect("nightly", every=None, max_runtime=timedelta(hours=2))
    run = new_run("nightly")
    world.store.start_run(run, timeout=TIMEOUT)
    world.back_door.age("run_log.started_at", 3 * 3600)
    world.store.beat([run.key], timeout=TIMEOUT)
    world.look()
    with MailServer() as server:
        world.environ["RUNGUARD_NOTIFY"] = server.url()
        world.round()
    [mail] = server.mails

    assert mail.message["Subject"] == "STUCK nightly: running 3 h, allowed 2 h"
    assert "Owner:" in mail.text
    assert "https://wiki.example/nightly" in mail.html


def test_time_in_which_nobody_looked_is_not_blamed_on_the_job_and_is_named(
    world: World, hook: HttpReceiver
) -> None:
    world.expect("nightly", grace=timedelta(minutes=10))
    world.look()
    world.back_door.age("monitor.last_round_at", 2.5 * 3600)
    first = world.round()
    for column in ("monitor_gap.began_at", "monitor_gap.ended_at", "monitor.last_round_at"):
        world.back_door.age(column, 660)
    world.back_door.age("job.look_at", 3600)
    world.look()
    second = world.round()

    assert (first.judged, first.found, second.missed) == (1, 0, 1)
    assert "Nobody looked: between " in hook.requests[0].json["text"]


def test_that_nobody_watches_is_told_by_who_delivers_and_over_with_the_next_round(
    world: World, hook: HttpReceiver
) -> None:
    world.expect("nightly", every=timedelta(days=1))
    world.round(only_delivers=True)
    world.round(only_delivers=True)
    report = world.round()

    assert told(hook) == [("opened", "UNWATCHED"), ("recovered", "UNWATCHED")]
    assert hook.requests[0].json["subject"].startswith("UNWATCHED ")
    assert hook.requests[1].json["subject"] == "OK runguard: a monitor looks again"
    assert report.is_good


@on_sqlite
def test_the_file_declares_jobs_and_what_two_rounds_miss_in_it_is_withdrawn(
    world: World, hook: HttpReceiver
) -> None:
    channel = f'[channels.hook]\nwebhook = "{hook.url()}"\n'
    rounds = world.rounds()
    world.configure(f'{channel}[jobs.never_ran]\nevery = "1h"\n')
    rounds.run()
    declared = [[job.job_name for job in world.store.expected_jobs()]]
    world.configure(channel)  # or half of a file that is being written
    for _ in range(2):
        rounds.run()
        declared.append([job.job_name for job in world.store.expected_jobs()])

    assert declared == [["never_ran"], ["never_ran"], []]


@on_sqlite
def test_a_file_that_is_read_while_it_is_written_withdraws_nothing(
    world: World, hook: HttpReceiver
) -> None:
    half = f'[channels.hook]\nwebhook = "{hook.url()}"\n[jobs.a]\nevery = "1h"\n'
    rounds = world.rounds()
    world.configure(f'{half}[jobs.b]\nevery = "1h"\n')
    rounds.run()
    before = world.store.expected_jobs()
    for text in (half, f'{half}[jobs.b]\nevery = "1h"\n', half):
        world.configure(text)
        rounds.run()

    assert [one.declared_at for one in world.store.expected_jobs()] == [
        one.declared_at for one in before
    ]


@on_sqlite
def test_a_mistake_in_one_job_of_the_file_keeps_no_other_back_and_withdraws_nothing_of_its_own(
    world: World, hook: HttpReceiver
) -> None:
    channel = f'[channels.hook]\nwebhook = "{hook.url()}"\n'
    rounds = world.rounds()
    world.configure(f'{channel}[jobs.mistaken]\nevery = "1h"\n[jobs.gone]\nevery = "1h"\n')
    rounds.run()
    mistaken = '[jobs.mistaken]\nevery = "1 hour perhaps"\n'
    world.configure(f'{channel}{mistaken}[jobs.good]\nevery = "2h"\n')
    rounds.run()
    report = rounds.run()
    known = {job.job_name: job.expectation.every for job in world.store.expected_jobs()}
    world.configure("jobs = 5\n")
    rounds.run()

    assert set(report.troubles) == {"channels"}
    assert "jobs.mistaken.every" in report.troubles["channels"]
    assert known == {"mistaken": timedelta(hours=1), "good": timedelta(hours=2)}
    assert {job.job_name for job in world.store.expected_jobs()} == set(known)


@on_sqlite
def test_a_round_leaves_that_it_looked(world: World) -> None:
    world.expect("nightly")
    rounds: Any = world.rounds(kind="web")
    rounds.run()
    rounds.run()
    [row] = world.store.monitors()

    assert (row.kind, row.rounds) == ("web", 2)
    assert row.report["judged"] >= 0


@on_sqlite
def test_a_preview_shows_what_would_be_told_of_a_finding(world: World) -> None:
    world.configure('[channels.hook]\nwebhook = "http://127.0.0.1:9/x"\n')
    world.expect("nightly")
    world.look()
    channels = Channels({}, world.folder)
    assert list(channels.read()) == []
    world.rounds(channels=Channels({}, world.folder / "nowhere")).run()
    [alert] = newest_alerts(world.store)
    [shown] = preview(world.store, channels, alert)

    assert shown.message is not None
    assert shown.message.subject.startswith("MISSED nightly: due ")
