"""What the code says of its jobs: what can be said, and what is refused where it is written."""

from __future__ import annotations

import sys
import time
import zoneinfo
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

import runguard
from runguard import ConfigurationError, Expect
from runguard._monitor.expectations import Expectation
from runguard._run.expecting import expectation_of
from runguard._run.options import make_options
from runguard._watch.declaration import check_expectation


@pytest.fixture(autouse=True)
def _a_machine_in_seoul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "timezone", -9 * 3600)
    monkeypatch.setattr(time, "daylight", 0)


@pytest.mark.parametrize("length", ["2h30m", timedelta(hours=2, minutes=30)])
def test_a_duration_is_a_text_or_a_timedelta(length: str | timedelta) -> None:
    expected = Expect(every=length, grace=length, max_runtime=length)

    assert expected == Expect(every="150m", grace="150m", max_runtime="150m")
    assert expected.max_runtime == timedelta(minutes=150)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "expect: expected every, cron, calendar or another rule, found none"),
        ({"every": "fast"}, "every: expected a timedelta, or a text such as '90s', .*, found 'fa"),
        ({"every": 900}, "every: expected a timedelta, or a text .*, found int 900"),
        ({"every": timedelta(0)}, "every: expected more than 0, at most ten years, found 0:00:00"),
        ({"every": "1h", "grace": timedelta(-1)}, "grace: expected more than 0, at most ten years"),
        ({"max_runtime": "9999w"}, "max_runtime: expected more than 0, at most ten years, found"),
        (
            {"every": "1h", "cron": "0 * * * *", "tz": "UTC"},
            "every: expected one of every, cron, calendar, learn, found every and cron",
        ),
        ({"cron": "0 2 * *", "tz": "UTC"}, r"cron: expected five fields, .*, found '0 2 \* \*'"),
        (
            {"cron": "61 * * * *", "tz": "UTC"},
            "cron: expected an expression, found '61 .*: Bad m",
        ),
        ({"calendar": "Moo", "tz": "UTC"}, "calendar: expected an expression, found 'Moo': Bad"),
        ({"cron": "0 2 * * *", "tz": "Asia/Soul"}, r"tz: expected .* \(did you mean 'Asia/Seoul'"),
        ({"cron": 5, "tz": "UTC"}, "cron: expected a text such as '0 2 .*', found 5"),
        ({"calendar": " ", "tz": "UTC"}, "calendar: expected a text such as 'Mon..Fri 02:00', fo"),
        ({"cron": "0 2 * * *"}, "tz: expected the zone that cron is meant in, .*, found none"),
        ({"calendar": "02:00"}, "tz: expected the zone that calendar is meant in, .*, found none"),
        ({"every": "1h", "tz": "UTC"}, "tz: expected cron or calendar beside it, found none"),
        ({"cron": "0 2 * * *", "tz": 9}, "tz: expected a text such as 'Asia/Seoul', found 9"),
        ({"min_records": -1}, "min_records: expected a whole number, 0 or more, found -1"),
        ({"learn": "yes"}, "learn: expected True or False, found 'yes'"),
        ({"min_records": True}, "min_records: expected a whole number, 0 or more, found True"),
        ({"min_records": 2**63}, "min_records: expected a whole number, 0 or more, found 92"),
        ({"grace": "1h"}, "grace: expected one of every, cron, calendar, learn beside it, found"),
        ({"owner": "a\nb"}, r"owner: expected a word or a line of at most 100 .*, found 'a\\nb'"),
        ({"owner": 7}, "owner: expected a word or a line of at most 100 characters, found int"),
        ({"description": "x" * 1001}, "description: expected a line .*, found 1001 characters"),
        ({"runbook": "javascript:alert(1)"}, "runbook: expected an address such as https://"),
        ({"runbook": "https://me:hunter2@wiki.example"}, "without a password, found something"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(
    given: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Expect(**given)  # type: ignore[arg-type]

    assert "hunter2" not in str(refused.value)


def test_a_zone_that_is_refused_is_not_suggested() -> None:
    with pytest.raises(
        ConfigurationError, match="tz: expected a zone, found 'localtime'"
    ) as refused:
        Expect(cron="0 2 * * *", tz="localtime")

    assert "did you mean" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://hc.example/secret-1", "env:", "env:1", "file:here", 5])
def test_a_secret_address_is_only_referred_to_and_never_repeated(url: object) -> None:
    with pytest.raises(ConfigurationError, match="ping_url: expected env:NAME or file:") as refused:
        Expect(ping_url=url)  # type: ignore[arg-type]

    assert "secret-1" not in str(refused.value)
    assert Expect(ping_url="env:PING_NIGHTLY").ping_url == "env:PING_NIGHTLY"
    assert Expect(ping_url="file:/run/secrets/ping").ping_url == "file:/run/secrets/ping"


def test_a_machine_in_utc_needs_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "timezone", 0)

    assert Expect(cron="0 2 * * *").tz is None

    monkeypatch.setattr(time, "daylight", 1)  # London: UTC in winter only
    with pytest.raises(ConfigurationError, match="since this machine's zone is not UTC"):
        Expect(cron="0 2 * * *")


def test_a_calendar_may_name_its_own_zone() -> None:
    assert Expect(calendar="Mon 02:00 Asia/Seoul").tz is None


def test_the_process_of_a_job_need_not_be_able_to_read_an_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    twelve_past = "12 1 * * *"  # which no other test has had read

    assert Expect(cron=twelve_past, tz="UTC").cron == twelve_past
    with pytest.raises(ConfigurationError, match=r"cronsim.*pip install 'runguard-runlog\[monitor"):
        check_expectation(Expectation(cron=twelve_past, tz="UTC"), in_utc=False)


def test_without_a_zone_database_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tzdata", None)
    ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=())
    try:
        with pytest.raises(ConfigurationError, match="no zone database here: pip install tzdata"):
            Expect(cron="0 2 * * *", tz="Antarctica/Troll")
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize("wrong", ["lern", {"every": "1h"}, 3600, ""])
def test_the_option_takes_an_expect_or_the_word_learn(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match=r"expect: expected runguard\.Expect or 'learn'"):
        runguard.tracked_run("job", expect=wrong)  # type: ignore[arg-type]

    assert make_options("job", expect="learn").expect == Expect(learn=True)


def test_expect_registers_a_job_and_the_last_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, Expect] = {}
    monkeypatch.setattr("runguard._run.declaring.EXPECTED", registered)
    runguard.expect("job", every="1h")
    runguard.expect("job", cron="0 2 * * *", tz="Asia/Seoul", owner="ops")

    assert registered == {"job": Expect(cron="0 2 * * *", tz="Asia/Seoul", owner="ops")}
    with pytest.raises(ConfigurationError, match="job_name: expected a name, found an empty one"):
        runguard.expect(" ", every="1h")


def test_what_is_expected_holds_no_text_for_people() -> None:
    expected = Expect(every="1h", owner="ops", runbook="https://wiki.example", description="x")

    assert expectation_of(expected).as_document() == {"every": 3600.0}
