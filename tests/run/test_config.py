"""Settings: where they come from, and what a bad one says."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, SingletonThreadPool, StaticPool

import runguard
import runguard.testing
from runguard import ConfigurationError, Rule, StoreUnavailable, classify, run_scope
from runguard._run.unknown_names import unknown_names
from runguard._settings import settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]


def fail(job_name: str = "enrolment_sync", **options: Any) -> None:
    with pytest.raises(ValueError, match="x"), run_scope(job_name, **options):
        raise ValueError("x")


def test_without_any_setting_the_embedded_file_is_used_and_told_once(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_scope("one"), run_scope("two"):
        pass

    file = Path(os.environ["XDG_STATE_HOME"]) / "runguard" / "runguard.db"
    assert file.exists()
    [told] = [fields for event, fields in events() if event == "runguard.embedded_store"]
    assert told == {"file": str(file), "set_instead": "RUNGUARD_DATABASE_URL"}


def test_an_embedded_file_that_was_asked_for_is_not_warned_about(
    events: Events, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"sqlite:///{tmp_path}/here.db")
    with run_scope("enrolment_sync"):
        pass

    assert (tmp_path / "here.db").exists()
    assert "runguard.embedded_store" not in [event for event, _ in events()]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_postgresql_url_is_taken_as_psycopg_3(
    monkeypatch: pytest.MonkeyPatch, migrated_pg_url: str, scheme: str
) -> None:
    url = re.sub(r"^[a-z0-9+]+", scheme, migrated_pg_url)
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    with run_scope("enrolment_sync") as run:
        assert run.id is not None


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ALERT_COOLDOWN_MINUTES", "half an hour", "number of minutes, 0 or more"),
        ("ALERT_COOLDOWN_MINUTES", "-1", "number of minutes, 0 or more"),
        ("ALERT_COOLDOWN_MINUTES", "nan", "number of minutes, 0 or more"),
        ("ALERT_COOLDOWN_MINUTES", "inf", "number of minutes, 0 or more"),
        ("JOB_LOCK_TTL_SECONDS", "15m", "number of seconds, more than 0"),
        ("JOB_LOCK_TTL_SECONDS", "0", "number of seconds, more than 0"),
        ("RUNGUARD_TRIGGER_TYPE", "CRON", "MANUAL, SCHEDULER, RETRY"),
        ("RUNGUARD_TRIGGER_TYPE", "scheduler", "did you mean 'SCHEDULER'"),
        ("RUNGUARD_LOST_AFTER_SECONDS", "60", "at least three heartbeats"),
        (
            "RUNGUARD_HEARTBEAT_SECONDS",
            "600",
            "at most a third of lost_after (0:05:00), found 0:10",
        ),
        ("RUNGUARD_DATABASE_URL", "db.example.com/prod", "expected a URL such as"),
        ("RUNGUARD_DATABASE_URL", "mysql://u:p@h/d", "found the backend 'mysql'"),
        ("RUNGUARD_DATABASE_URL", "nosuch://u:p@h/d", "expected a URL such as"),
        ("RUNGUARD_DATABASE_URL", "sqlite://", "expected a path after three slashes"),
        ("RUNGUARD_DATABASE_URL", "sqlite:///:memory:", "in memory"),
        ("RUNGUARD_DATABASE_URL", "postgresql://u:p@host:port/d", "expected a URL such as"),
    ],
)
@pytest.mark.parametrize("how", ["first scope", "configure"])
def test_a_bad_variable_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str, how: str
) -> None:
    monkeypatch.setenv(variable, value)
    body_ran = False
    with pytest.raises(ConfigurationError) as caught:
        if how == "configure":
            runguard.configure()
        with run_scope("enrolment_sync"):
            body_ran = True

    assert str(caught.value).startswith(variable)
    assert expected in str(caught.value)
    assert not body_ran


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("database_url", "db.example.com/prod"),
        ("trigger_type", "CRON"),
        ("lost_after", timedelta(seconds=60)),
        ("cooldown", timedelta(seconds=-1)),
    ],
)
def test_a_bad_argument_is_named_and_not_the_variable_that_it_replaces(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, argument: str, value: Any
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("RUNGUARD_TRIGGER_TYPE", "SCHEDULER")
    monkeypatch.setenv("RUNGUARD_LOST_AFTER_SECONDS", "600")
    with pytest.raises(ConfigurationError) as caught:
        runguard.configure(**{argument: value})

    assert str(caught.value).startswith(f"{argument}: expected")


@pytest.mark.parametrize(
    "url",
    ["postgresql://app:hunter2@db:port/prod", "app:hunter2@db/prod", "pg://app:hunter2@db/prod"],
)
def test_a_password_is_never_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    with pytest.raises(ConfigurationError) as caught:
        runguard.configure()

    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, blank: str
) -> None:
    monkeypatch.setenv("ALERT_COOLDOWN_MINUTES", blank)
    with run_scope("enrolment_sync") as run:
        assert run.id is not None


def test_option_beats_configure_beats_environment_beats_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    engine = create_engine(url, poolclass=NullPool)

    def cooldowns() -> list[int]:
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("select cooldown_seconds from run_log order by id")
            return [row[0] for row in rows]

    runguard.configure(database_url=url)
    fail()
    runguard.testing.reset()
    monkeypatch.setenv("ALERT_COOLDOWN_MINUTES", "0.5")
    runguard.configure(database_url=url)
    fail()
    runguard.testing.reset()
    runguard.configure(database_url=url, cooldown=timedelta(minutes=2))
    fail()
    fail(cooldown=timedelta(minutes=3))

    assert cooldowns() == [1800, 30, 120, 180]


def test_the_quotes_of_an_env_file_are_no_part_of_a_value(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, sql: Sql
) -> None:
    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f'"{sqlite_url}"')
    monkeypatch.setenv("RUNGUARD_TRIGGER_TYPE", "'SCHEDULER'")
    with run_scope("job"):
        pass

    assert [row["trigger_type"] for row in sql("select trigger_type from run_log")] == ["SCHEDULER"]


def test_cooldown_0_in_the_environment_switches_it_off(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, sql: Sql
) -> None:
    runguard.testing.reset()
    monkeypatch.setenv("ALERT_COOLDOWN_MINUTES", "0")
    runguard.configure(database_url=sqlite_url)
    for _ in range(3):
        fail()

    assert sql("select count(*) as n from alert") == [{"n": 3}]


def test_the_trigger_type_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_TRIGGER_TYPE", "SCHEDULER")
    runguard.configure(database_url=sqlite_url)

    with run_scope("one") as from_environment, run_scope("two", trigger_type="RETRY") as own:
        assert (from_environment.trigger_type, own.trigger_type) == ("SCHEDULER", "RETRY")


def test_configuring_after_the_first_run_is_an_error(sqlite_url: str) -> None:
    with run_scope("enrolment_sync"):
        pass

    with pytest.raises(ConfigurationError, match="after the first run"):
        runguard.configure(cooldown=timedelta(0))


def test_classifying_is_no_run_so_configure_may_follow(tmp_path: Path) -> None:
    before = classify(ValueError("order 4711"))
    runguard.configure(database_url=f"sqlite:///{tmp_path}/x.db", redact=["4711"])
    after = classify(ValueError("order 4711"))

    assert (before.error_message, after.error_message) == ("order 4711", "order [redacted]")
    assert not (tmp_path / "x.db").exists()


def test_the_variables_of_a_kubernetes_service_are_no_mistyped_settings() -> None:
    service = {
        "RUNGUARD_SERVICE_HOST": "10.0.0.7",
        "RUNGUARD_SERVICE_PORT_HTTP": "80",
        "RUNGUARD_PORT": "tcp://10.0.0.7:80",
        "RUNGUARD_PORT_80_TCP_ADDR": "10.0.0.7",
        "RUNGUARD_WEB_SERVICE_HOST": "10.0.0.8",
        "RUNGUARD_WEB_PORT": "tcp://10.0.0.8:80",
    }

    assert unknown_names(service) == []
    assert unknown_names({"RUNGUARD_PORT": "80"}) != []


def test_an_unknown_variable_is_one_warning_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, events: Events
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABSE_URL", "postgresql://u:hunter2@h/d")
    with run_scope("one"), run_scope("two"):
        pass

    told = [fields for event, fields in events() if event == "runguard.unknown_setting"]
    assert told == [{"variable": "RUNGUARD_DATABSE_URL (did you mean 'RUNGUARD_DATABASE_URL'?)"}]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"database_url": "sqlite:///a.db", "engine": object()}, "give one"),
        ({"database_url": 7}, "found int"),
        ({"cooldown": 30}, "timedelta"),
        ({"cooldown": timedelta(days=-1)}, "0 or more"),
        ({"lock_ttl": timedelta(0)}, "more than 0"),
        ({"store_timeout": timedelta(0)}, "more than 0"),
        ({"max_connections": 0}, "from 1"),
        ({"outage_policy": "panic"}, "'run' or 'refuse'"),
        ({"start_durability": "off"}, "'full' or 'relaxed'"),
        ({"trigger_type": "CRON"}, "MANUAL"),
        (
            {"environment": "Staging"},
            "environment: expected 1 to 40 of a-z, 0-9, _ and -, and not none, found 'S",
        ),
        ({"environment": "x" * 41}, "expected 1 to 40"),
        ({"environment": 7}, "found 7"),
        ({"rules": [ValueError]}, "runguard.Rule"),
        ({"redact": ["("]}, "expected"),
    ],
)
def test_a_bad_argument_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        runguard.configure(**settings)


def test_a_start_is_as_durable_as_the_argument_or_its_variable_says() -> None:
    there = {"RUNGUARD_START_DURABILITY": "relaxed"}

    assert settings_from({}, {}).start_durability == "full"
    assert settings_from({}, there).start_durability == "relaxed"
    assert settings_from({"start_durability": "full"}, there).start_durability == "full"
    with pytest.raises(ConfigurationError, match=r"^RUNGUARD_START_DURABILITY: expected 'full' or"):
        settings_from({}, {"RUNGUARD_START_DURABILITY": "none"})


def test_an_environment_comes_from_the_argument_or_its_variable() -> None:
    there = {"RUNGUARD_ENVIRONMENT": "staging"}

    assert settings_from({}, {}).environment is None
    assert settings_from({}, there).environment == "staging"
    assert settings_from({"environment": "production"}, there).environment == "production"
    with pytest.raises(ConfigurationError, match=r"^RUNGUARD_ENVIRONMENT: expected 1 to 40 of"):
        settings_from({}, {"RUNGUARD_ENVIRONMENT": "pre prod"})


def test_own_rules_come_first(sqlite_url: str, sql: Sql) -> None:
    runguard.testing.reset()
    runguard.configure(
        database_url=sqlite_url,
        rules=[
            Rule(LookupError, "HTTP_4XX", http_status_code=404),
            Rule(lambda exc: "maintenance" in str(exc), "HTTP_5XX"),
        ],
    )
    with pytest.raises(KeyError), run_scope("one"):
        raise KeyError("user")
    with pytest.raises(ValueError, match="maintenance"), run_scope("two"):
        raise ValueError("upstream is in maintenance")

    rows = sql("select error_group, http_status_code from run_log order by id")
    assert [tuple(row.values()) for row in rows] == [("HTTP_4XX", 404), ("HTTP_5XX", None)]
    assert classify(KeyError("user")).error_group == "HTTP_4XX"


def test_own_redaction_is_added(sqlite_url: str, sql: Sql) -> None:
    runguard.testing.reset()
    runguard.configure(database_url=sqlite_url, redact=[r"\b\d{6}-\d{7}\b"])
    with pytest.raises(ValueError, match="unknown"), run_scope("enrolment_sync"):
        raise ValueError("student 950101-1234567 is unknown")

    [row] = sql("select error_message from run_log")
    assert "1234567" not in row["error_message"]
    assert row["error_message"].endswith("is unknown")


def test_a_ready_engine_is_used_and_left_as_it_was(migrated_pg_url: str) -> None:
    engine = create_engine(migrated_pg_url, poolclass=NullPool)
    runguard.configure(engine=engine)
    fail()

    with engine.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
        rows = connection.exec_driver_sql("select status from run_log").all()
    assert [tuple(row) for row in rows] == [("FAILED",)]


def test_a_sqlite_engine_is_used(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/own.db")
    runguard.configure(engine=engine)
    fail()

    with engine.connect() as connection:
        rows = connection.exec_driver_sql("select status from run_log").all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("FAILED",)]


@pytest.mark.parametrize("pool", [StaticPool, SingletonThreadPool])
def test_a_pool_that_shares_connections_is_refused(tmp_path: Path, pool: Any) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/x.db", poolclass=pool)
    with pytest.raises(ConfigurationError, match="poolclass"):
        runguard.configure(engine=engine)


def test_an_async_engine_is_refused(migrated_pg_url: str) -> None:
    with pytest.raises(ConfigurationError, match="AsyncEngine"):
        runguard.configure(engine=create_async_engine(migrated_pg_url))  # type: ignore[arg-type]


def test_check_proves_the_store_at_once(pg_url: str, migrated_pg_url: str) -> None:
    runguard.configure(database_url=migrated_pg_url, check=True)
    runguard.testing.reset()
    with pytest.raises(runguard.SchemaOutOfDate, match="runguard db upgrade"):
        runguard.configure(database_url=pg_url, check=True)
    runguard.testing.reset()
    with pytest.raises(StoreUnavailable):
        runguard.configure(database_url="postgresql://app:hunter2@127.0.0.1:1/x", check=True)
