"""What another system hears of rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runguard._events import Events
from runguard._monitor.notices import ChannelState
from runguard._rounds.channels import Channels
from runguard._rounds.round import RoundReport, Rounds
from runguard._run.spool import Spool
from runguard._settings import Settings
from tests.support.http_receiver import HttpReceiver
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runguard._store.operator import OperatorStore


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OperatorStore]:
    store = open_store(f"sqlite:///{tmp_path}/runs.db")
    store.job_names()
    yield store
    store.close()


@pytest.fixture
def rounds(store: OperatorStore, tmp_path: Path, receiver: HttpReceiver) -> Callable[..., Rounds]:
    def made(**options: Any) -> Rounds:
        environ = {
            "RUNGUARD_PING_URL": receiver.url("/s3cret"),
            "RUNGUARD_NOTIFY": "smtp://127.0.0.1:9/?from=a@x.example&to=b@x.example",
        }
        return Rounds(
            store,
            Settings(),
            Spool(tmp_path / "spool"),
            Events(),
            channels=Channels(environ, tmp_path),
            **options,
        )

    return made


def asked(receiver: HttpReceiver) -> list[str]:
    return [request.path for request in receiver.requests]


def test_a_good_round_is_heard_and_the_next_one_only_a_minute_later(
    rounds: Callable[..., Rounds], receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = rounds()
    assert monitor.run().is_good
    monitor.run()
    soon = asked(receiver)
    monkeypatch.setattr("runguard._rounds.round.PING_EVERY_SECONDS", 0)
    monitor.run()

    assert soon == ["/s3cret"]
    assert asked(receiver) == ["/s3cret", "/s3cret"]


@pytest.mark.parametrize(("failures", "path"), [(1, "/s3cret"), (3, "/s3cret/fail")])
def test_a_channel_that_does_not_work_is_heard_of_once_that_is_certain(
    rounds: Callable[..., Rounds],
    receiver: HttpReceiver,
    store: OperatorStore,
    monkeypatch: pytest.MonkeyPatch,
    *,
    failures: int,
    path: str,
) -> None:
    state = ChannelState(channel="smtp", failing_since=store.now(), failures=failures)
    monkeypatch.setattr(type(store), "channel_states", lambda _: [state])
    rounds().run()

    assert asked(receiver) == [path]


def test_nothing_is_heard_of_a_round_in_which_a_part_failed(
    rounds: Callable[..., Rounds], receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr("runguard._rounds.round.reap", broken)
    rounds().run()

    assert asked(receiver) == []


def test_nothing_is_heard_of_who_only_delivers(
    rounds: Callable[..., Rounds], receiver: HttpReceiver
) -> None:
    rounds(only_delivers=True).run()

    assert asked(receiver) == []


def test_a_ping_that_fails_is_a_trouble_without_its_address(
    rounds: Callable[..., Rounds], receiver: HttpReceiver
) -> None:
    receiver.behave(503)
    report: RoundReport = rounds().run()

    assert set(report.troubles) == {"ping"}
    assert "503" in report.troubles["ping"]
    assert "s3cret" not in report.troubles["ping"]
