"""Twelve senders, some of them killed: nothing is lost, and what is told twice has its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from runguard._events import Events
from runguard._notify.config import NotifyConfig
from runguard._notify.dispatcher import Dispatcher
from tests.notify.senders import Letterbox, PostingChannel
from tests.support.stores import open_store

ROOT = Path(__file__).parents[2]
SENDERS = 12
DELIVERIES = 400
FILL = """
insert into alert (source_type, source_id, alert_type, severity, title, dispatch)
with recursive n (i) as (select 1 union all select i + 1 from n where i < {count})
select 'feed', 'record', 'NEW', 'low', 'a record', 'routed' from n;
insert into alert_delivery (alert_id, kind, channel, next_attempt_at)
select id, 'opened', 'box', created_at from alert;
insert into channel_state (channel) values ('box')
"""


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with deliveries that are due."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("migrated_pg_url"))
    else:
        url = f"sqlite:///{tmp_path / 'own.db'}"
        store = open_store(url)
        store.job_names()  # makes the tables
        store.close()
    run(url, *FILL.format(count=DELIVERIES).split(";"))
    return url


def run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def race_of(function: str, url: str, box: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.notify.senders", function, url, box, str(SENDERS)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ends = Counter(json.loads(done.stdout))
    assert set(ends) == {0, -9}, "a race in which nobody dies proves nothing"


def arrivals(box: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each key arrived, and how often its sender was killed right then."""
    lines = [line.split() for line in box.read_text("utf-8").splitlines()]
    return Counter(key for key, _ in lines), Counter(key for key, end in lines if end == "killed")


def faults(box: Path) -> tuple[int, int]:
    """Messages that are lost, and those that came again without a death as their reason."""
    arrived, killed = arrivals(box)
    again = sum(count - 1 > killed[key] for key, count in arrived.items())
    return DELIVERIES - len(arrived), again


def test_senders_that_are_killed_lose_nothing_and_double_only_what_they_had_in_hand(
    url: str, tmp_path: Path
) -> None:
    box = tmp_path / "box"
    race_of("send_all", url, box)
    # The claims of the dead run out, and a later round delivers them.
    later = "'2000-01-01 00:00:00'"
    run(url, f"update alert_delivery set claim_expires_at = {later} where state = 'sending'")
    store = open_store(url)
    last = PostingChannel(Letterbox(str(box), lambda _count: None))
    Dispatcher(store, [last], NotifyConfig(), Events()).deliver_due()
    store.close()

    assert faults(box) == (0, 0)
    assert sum(arrivals(box)[1].values()) > 0, "nobody died between sending and settling"


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_race_notices_who_sends_before_marking(url: str, tmp_path: Path) -> None:
    race_of("read_send_mark", url, tmp_path / "box")

    assert faults(tmp_path / "box")[1] > 0


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_race_notices_who_marks_before_sending(url: str, tmp_path: Path) -> None:
    race_of("mark_send", url, tmp_path / "box")

    assert faults(tmp_path / "box")[0] > 0
