"""`runguard doctor` in good worlds and bad ones: what it says, and its exit code."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from runguard._cli.doctor_checks import check_clock
from runguard._cli.findings import State
from runguard._store import migrate as migrations
from runguard._store.schema.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Answer
    from tests.support.postgres import PostgresAddress

    Cli = Callable[..., Answer]


@pytest.fixture
def run_sql(postgres: PostgresAddress, migrated_pg_url: str) -> Iterator[Callable[[str], Any]]:
    """Statements of an administrator, in the migrated database."""
    with postgres.connect(make_url(migrated_pg_url).database) as connection:
        yield connection.execute


@pytest.fixture
def role(postgres: PostgresAddress, run_sql: Callable[[str], Any]) -> Iterator[str]:
    """A role that may look at everything and change nothing."""
    name = f"job_{uuid4().hex[:12]}"
    run_sql(f"create role {name} login")
    run_sql(f"grant select on all tables in schema public to {name}")
    yield name
    run_sql(f"drop owned by {name}")
    run_sql(f"drop role {name}")


@pytest.fixture
def role_url(postgres: PostgresAddress, migrated_pg_url: str, role: str) -> str:
    return postgres.url(make_url(migrated_pg_url).database, user=role)


def found(answer: Answer, check: str) -> dict[str, Any]:
    [finding] = [finding for finding in answer.json if finding["check"] == check]
    return finding


def problems(answer: Answer) -> list[str]:
    return [finding["check"] for finding in answer.json if finding["state"] == "problem"]


def test_a_store_that_works_is_well(cli: Cli, filled_url: str) -> None:
    answer = cli("doctor", "--json", "--database-url", filled_url)

    assert answer.exit_code == 0
    assert {finding["state"] for finding in answer.json} == {"ok"}
    assert f"version {SCHEMA_VERSION}" in found(answer, "schema")["found"]
    assert "(--database-url)" in found(answer, "store")["found"]
    assert "Nothing here stops" in answer.stderr


def test_on_a_server_it_tells_version_way_and_rights(cli: Cli, migrated_pg_url: str) -> None:
    answer = cli("doctor", "--json", "--database-url", migrated_pg_url)

    assert found(answer, "reachable")["found"].startswith("PostgreSQL ")
    assert found(answer, "connection")["found"] == "direct"
    assert found(answer, "privileges")["found"].startswith("role postgres may do all")


def test_a_switch_that_stops_all_recording_is_a_warning(cli: Cli, filled_url: str) -> None:
    said = cli("doctor", "--json", "--database-url", filled_url, RUNGUARD_DISABLED="1")
    wrong = cli("doctor", "--json", "--database-url", filled_url, RUNGUARD_DISABLED="si")

    assert found(said, "environment")["state"] == "warning"
    assert "nothing of them is stored" in found(said, "environment")["found"]
    assert found(said, "reachable")["state"] == "ok"
    assert found(wrong, "environment")["state"] == "problem"


def test_the_embedded_default_that_is_not_there_yet_is_a_warning(cli: Cli) -> None:
    answer = cli("doctor", "--json")

    assert answer.exit_code == 0
    store = found(answer, "store")
    assert (store["state"], "RUNGUARD_DATABASE_URL" in store["remedy"]) == ("warning", True)
    assert "the first run creates it" in found(answer, "reachable")["found"]


def test_it_makes_no_file(cli: Cli, tmp_path: Path) -> None:
    cli("doctor", "--database-url", f"sqlite:///{tmp_path / 'no' / 'where.db'}")

    assert not (tmp_path / "no").exists()


def test_a_file_that_cannot_be_made_is_a_problem(cli: Cli) -> None:
    answer = cli("doctor", "--json", "--database-url", "sqlite:////dev/null/runguard.db")

    assert (answer.exit_code, problems(answer)) == (1, ["reachable"])
    assert found(answer, "reachable")["remedy"].startswith("set --database-url to a place")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_stopped_server_is_a_problem_and_its_password_stays_hidden(
    cli: Cli, form: list[str]
) -> None:
    url = "postgresql://u:hunter2geheim@127.0.0.1:1/db?sslpassword=hunter2geheim"
    answer = cli("doctor", *form, RUNGUARD_DATABASE_URL=url)

    assert answer.exit_code == 1
    assert "Connection refused" in answer.stdout
    assert "u@127.0.0.1:1/db (RUNGUARD_DATABASE_URL)" in answer.stdout
    assert "hunter2geheim" not in answer.stdout + answer.stderr


def test_a_missing_schema_is_a_problem(cli: Cli, pg_url: str) -> None:
    answer = cli("doctor", "--json", "--database-url", pg_url)

    assert (answer.exit_code, problems(answer)) == (1, ["schema"])
    assert "runguard db upgrade" in found(answer, "schema")["remedy"]


def test_tables_that_were_there_before_will_be_adopted(
    cli: Cli, pg_url: str, postgres: PostgresAddress
) -> None:
    with postgres.connect(make_url(pg_url).database) as connection:
        connection.execute("create table run_log (id bigint primary key, job_name text)")
    answer = cli("doctor", "--json", "--database-url", pg_url)

    assert answer.exit_code == 1
    assert "run_log" in found(answer, "schema")["found"]
    assert "adopts" in found(answer, "schema")["remedy"]


@pytest.mark.parametrize(
    ("version", "remedy"), [("0000", "runguard db upgrade"), ("9999", "newer runguard")]
)
def test_a_schema_of_another_version_is_a_problem(
    cli: Cli, migrated_pg_url: str, run_sql: Callable[[str], Any], version: str, remedy: str
) -> None:
    run_sql(f"update runguard_version set version_num = '{version}'")
    answer = cli("doctor", "--json", "--database-url", migrated_pg_url)

    assert (answer.exit_code, problems(answer)) == (1, ["schema"])
    assert version in found(answer, "schema")["found"]
    assert remedy in found(answer, "schema")["remedy"]


def test_privileges_that_a_job_lacks_are_named(cli: Cli, role: str, role_url: str) -> None:
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert (answer.exit_code, problems(answer)) == (1, ["privileges"])
    told = found(answer, "privileges")["found"]
    assert told.startswith(f"role {role} lacks ")
    assert "INSERT on run_log" in told
    assert "UPDATE on alert_cooldown" in told
    assert "SELECT" not in told


def test_what_it_asks_for_is_enough_to_record_a_run(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    import runguard
    from runguard import testing

    told = found(cli("doctor", "--json", "--database-url", role_url), "privileges")["found"]
    for lacking in told.partition(" lacks ")[2].split(", "):
        run_sql(f"grant {lacking} to {role}")
    runguard.configure(database_url=role_url)
    with pytest.raises(ValueError, match="bad"), runguard.run_scope("job", lock=True):
        raise ValueError("bad")
    testing.reset()

    [run] = cli("runs", "--json", "--database-url", role_url).json
    assert (run["status"], run["alert_outcome"]) == ("FAILED", "raised")
    assert cli("doctor", "--database-url", role_url).exit_code == 0


def test_what_an_older_role_lacks_keeps_no_run_from_being_recorded(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(f"grant select, insert, update on all tables in schema public to {role}")
    run_sql(f"revoke all on run_note, job, monitor from {role}")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert (answer.exit_code, problems(answer)) == (0, [])
    told = found(answer, "privileges")
    assert told["state"] == "warning"
    assert "INSERT on run_note" in told["found"]
    without = "what is expected of them and their notes"
    assert told["found"].endswith(f": runs are recorded, without {without}")


def test_a_sequence_that_numbers_adopted_rows_must_be_usable(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(f"grant all on all tables in schema public to {role}")
    run_sql("alter table alert alter column id drop identity")
    run_sql("create sequence alert_id_seq owned by alert.id")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert problems(answer) == ["privileges"]
    assert "USAGE on sequence public.alert_id_seq" in found(answer, "privileges")["found"]


def test_policies_that_filter_rows_are_a_warning(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(f"grant all on all tables in schema public to {role}")
    run_sql("alter table run_log enable row level security")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert answer.exit_code == 0
    assert found(answer, "row security")["state"] == "warning"
    assert "run_log" in found(answer, "row security")["found"]


def test_a_session_that_may_only_read_is_a_problem(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(f"alter role {role} set default_transaction_read_only = on")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert "writing" in problems(answer)
    assert answer.exit_code == 1


def test_each_setting_says_where_it_comes_from(cli: Cli, filled_file: str) -> None:
    answer = cli("doctor", "--json", RUNGUARD_DATABASE_URL=filled_file, ALERT_COOLDOWN_MINUTES="5")

    assert found(answer, "cooldown")["found"] == "5 min (ALERT_COOLDOWN_MINUTES)"
    assert found(answer, "lock_ttl")["found"] == "15 min (default)"
    assert found(answer, "store")["found"].endswith("(RUNGUARD_DATABASE_URL)")


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("ALERT_COOLDOWN_MINUTES", "soon", "cooldown"),
        ("JOB_LOCK_TTL_SECONDS", "0", "lock_ttl"),
        ("RUNGUARD_TRIGGER_TYPE", "SHEDULER", "trigger_type"),
        ("RUNGUARD_LOST_AFTER_SECONDS", "soon", "lost_after"),
        ("RUNGUARD_LOST_AFTER_SECONDS", "60", "lost_after"),
        ("RUNGUARD_DATABASE_URL", "postgresql//u:hunter2geheim@h", "store"),
    ],
)
def test_a_bad_setting_is_a_problem_and_the_rest_is_looked_at_all_the_same(
    cli: Cli, sqlite_url: str, variable: str, value: str, check: str
) -> None:
    environ = {"RUNGUARD_DATABASE_URL": sqlite_url, variable: value}
    answer = cli("doctor", "--json", **environ)

    assert (answer.exit_code, problems(answer)) == (1, [check])
    assert variable in found(answer, check)["found"] + found(answer, check)["remedy"]
    assert "hunter2geheim" not in answer.stdout
    assert {"extra cli", "store"} <= {finding["check"] for finding in answer.json}


def test_an_unknown_variable_is_a_warning_with_the_nearest_name(cli: Cli, filled_file: str) -> None:
    answer = cli("doctor", "--json", "--database-url", filled_file, RUNGUARD_DATABSE_URL="x")

    assert answer.exit_code == 0
    told = found(answer, "environment")
    assert told["state"] == "warning"
    assert "did you mean 'RUNGUARD_DATABASE_URL'?" in told["found"]


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [(4, State.OK, "agrees"), (7, State.WARNING, "ahead of"), (-7, State.WARNING, "behind")],
)
def test_clocks_that_differ_by_more_than_5_seconds_are_a_warning(
    seconds: int, state: State, words: str
) -> None:
    finding = check_clock(timedelta(seconds=seconds))

    assert finding.state is state
    assert words in finding.found


def test_a_pooler_in_between_is_told(
    cli: Cli, migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.postgresql.connection import BoundedConnection

    # A pooler answers with the process id of another session than the one that greeted.
    monkeypatch.setattr(BoundedConnection, "is_direct", lambda _connection: False)
    answer = cli("doctor", "--json", "--database-url", migrated_pg_url)

    assert answer.exit_code == 0
    assert "through a pooler" in found(answer, "connection")["found"]


def test_open_runs_of_other_programs_are_a_warning_and_stay_open(
    cli: Cli, migrated_pg_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(
        "insert into run_log (job_name, status, started_at) values"
        " ('theirs', 'RUNNING', '2026-01-02T03:04:05Z'), ('theirs', 'RUNNING', '2026-01-03'),"
        " ('theirs', 'RUNNING', now()), ('theirs', 'SUCCESS', '2026-01-01')"
    )
    run_sql(
        "insert into run_log (job_name, status, started_at, run_key)"
        " values ('ours', 'RUNNING', '2026-01-01', gen_random_uuid())"
    )
    answer = cli("doctor", "--json", "--database-url", migrated_pg_url)

    assert answer.exit_code == 0
    told = found(answer, "foreign runs")
    assert told["state"] == "warning"
    assert told["found"].startswith("2 runs of other programs are RUNNING")
    assert told["found"].endswith("since 2026-01-02T03:04:05Z")
    assert run_sql("select count(*) from run_log where status = 'RUNNING'").fetchone() == (4,)


def test_the_limit_of_silence_decides_which_of_them_are_told(
    cli: Cli, migrated_pg_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(
        "insert into run_log (job_name, status, started_at)"
        " values ('theirs', 'RUNNING', now() - interval '1 hour')"
    )
    arguments = ("doctor", "--json", "--database-url", migrated_pg_url)
    checks = [
        {one["check"] for one in cli(*arguments, RUNGUARD_LOST_AFTER_SECONDS=seconds).json}
        for seconds in ("3500", "3700")
    ]

    assert ["foreign runs" in names for names in checks] == [True, False]


def test_a_spool_without_records_is_well(cli: Cli, filled_file: str) -> None:
    told = found(cli("doctor", "--json", "--database-url", filled_file), "spool")

    assert (told["state"], told["found"]) == ("ok", "no record waits")


@pytest.mark.parametrize("as_option", [True, False])
def test_records_that_wait_are_a_warning_though_the_store_is_away(
    cli: Cli, *, as_option: bool
) -> None:
    import runguard
    from runguard import testing

    url = "postgresql://u:hunter2geheim@127.0.0.1:1/db"
    runguard.configure(database_url=url, store_timeout=timedelta(seconds=0.2))
    with runguard.run_scope("job"):
        pass
    testing.reset()
    given = {} if as_option else {"RUNGUARD_DATABASE_URL": url}
    where = ["--database-url", url] if as_option else []
    answer = cli("doctor", "--json", *where, **given)

    assert problems(answer) == ["reachable"]
    status = cli("spool", "status", *where, **given).stdout
    assert re.match(r"2 records wait since 20\S+T\d\d:\d\d:\d\dZ in /", status)
    told = found(answer, "spool")
    assert told["state"] == "warning"
    assert told["found"].startswith("2 records wait since 20")
    assert "runguard spool flush" in told["remedy"]
    assert "hunter2geheim" not in answer.stdout


def test_records_that_wait_for_another_store_are_not_told(cli: Cli, filled_file: str) -> None:
    import runguard
    from runguard import testing

    runguard.configure(
        database_url="postgresql://u@127.0.0.1:1/db", store_timeout=timedelta(seconds=0.2)
    )
    with runguard.run_scope("job"):
        pass
    testing.reset()

    told = found(cli("doctor", "--json", "--database-url", filled_file), "spool")
    assert told["state"] == "ok"


def test_a_schema_of_the_release_before_is_a_warning(cli: Cli, pg_url: str) -> None:
    migrations.upgrade(pg_url, "0002")

    answer = cli("doctor", "--json", "--database-url", pg_url)

    schema = found(answer, "schema")
    assert (answer.exit_code, schema["state"]) == (0, "warning")
    assert "version 0002, needed" in schema["found"]
    assert "runs are recorded, without what is new" in schema["found"]
    assert "runguard db upgrade" in schema["remedy"]


@pytest.mark.parametrize("purpose", ["operator", "migrator"])
def test_a_role_is_judged_by_what_it_is_for(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any], purpose: str
) -> None:
    arguments = ("doctor", "--json", "--for", purpose, "--database-url", role_url)
    lacking = cli(*arguments)
    run_sql(f"grant update (resolved, resolved_at, resolved_by, review_status, reviewed_at,"
            f" reviewed_by) on alert to {role};"
            f"grant update (acked_until, acked_by, ack_reason) on alert_cooldown to {role};"
            f"grant select on alert_delivery, channel_state, monitor, monitor_gap to {role};"
            f"grant select on run_note to {role};"
            f"grant select, insert, update on silence, job to {role}")  # fmt: skip
    if purpose == "migrator":
        tables = (
            "run_log",
            "alert",
            "alert_cooldown",
            "job_lock",
            "runguard_version",
            "alert_delivery",
            "channel_state",
            "silence",
            "job",
            "monitor",
            "monitor_gap",
            "run_note",
        )
        run_sql(f"grant create on schema public to {role};"
                + "".join(f"alter table {table} owner to {role};" for table in tables))  # fmt: skip
    well = cli(*arguments)

    assert (lacking.exit_code, problems(lacking)) == (1, ["privileges"])
    words = {"operator": "UPDATE (review_status, resolved,", "migrator": "ownership of run_log"}
    assert words[purpose] in found(lacking, "privileges")["found"]
    assert (well.exit_code, problems(well)) == (0, [])
    assert "Nothing here stops" in well.stderr


def test_a_migrator_is_not_blamed_for_the_schema_that_it_will_make(cli: Cli, pg_url: str) -> None:
    answer = cli("doctor", "--json", "--for", "migrator", "--database-url", pg_url)

    assert answer.exit_code == 0
    assert "runguard db upgrade" in found(answer, "schema")["remedy"]


def test_a_missing_grant_is_no_unreachable_server(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql(f"revoke all on all tables in schema public from {role}")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert found(answer, "reachable")["state"] == "ok"
    assert problems(answer) == ["schema", "privileges"]
    assert "SELECT on runguard_version" in found(answer, "privileges")["found"]
    assert "the version cannot be read" in found(answer, "schema")["found"]


def test_a_database_that_a_role_may_not_enter_is_a_missing_grant(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    database = make_url(role_url).database
    run_sql(f"revoke connect on database {database} from public")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert problems(answer) == ["privileges"]
    assert "grant connect on database" in found(answer, "privileges")["remedy"]


def test_a_store_that_the_search_path_hides_is_named(
    cli: Cli, role: str, role_url: str, run_sql: Callable[[str], Any]
) -> None:
    run_sql("create schema elsewhere")
    run_sql(f"grant usage, create on schema elsewhere to {role}")
    run_sql(f"alter role {role} set search_path = elsewhere")
    answer = cli("doctor", "--json", "--database-url", role_url)

    assert problems(answer) == ["schema"]
    assert "the store is in schema public" in found(answer, "schema")["found"]
    remedy = found(answer, "schema")["remedy"]
    assert remedy.startswith(f"run `alter role {role} set search_path = public`")
