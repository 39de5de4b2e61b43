"""A round that has more to send than it has time for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runguard._monitor.notices import Message, Outcome, Probe, SendResult
from runguard._rounds import round as rounds
from runguard._rounds.channels import Channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._errors import ConfigurationError
    from tests.rounds.conftest import World

SECONDS = 10.0  # that a message takes


class SlowChannel(Channels):
    """The only channel, and the clock that its messages take their time of."""

    name, kind, is_idempotent, config_hash = "mail", "slow", False, "1"

    def __init__(self, world: World) -> None:
        super().__init__({}, world.folder)
        self.now, self.keys = 0.0, []

    def read(self) -> Iterator[ConfigurationError]:
        self.usable = (self,)
        return iter(())

    def send(self, message: Message, *, timeout: float) -> Outcome:
        self.now += SECONDS
        self.keys.append(message.key)
        return Outcome(SendResult.SENT)

    def probe(self, *, timeout: float) -> Probe:
        return Probe(ok=True, summary="")

    def target(self) -> str:
        return self.name


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_round_sends_for_a_minute_and_the_next_one_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = SlowChannel(world)
    monkeypatch.setattr(rounds, "ticks", lambda: channel.now)
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, dispatch)"
        " with recursive n (i) as (select 1 union all select i + 1 from n where i < 8)"
        " select 'feed', 'r' || i, 'NEW', 'low', 'x', 'routed' from n"
    )
    world.back_door.rows(
        "insert into alert_delivery (alert_id, kind, channel, next_attempt_at)"
        " select id, 'opened', 'mail', created_at from alert"
    )

    first, second = (world.round(channels=channel) for _ in range(2))

    assert (first.sent, first.unsent, first.is_good) == (6, 2, True)
    assert (second.sent, second.unsent) == (2, 0)
    assert len({*channel.keys}) == 8
    assert world.store.last_round_at() is not None
