"""Django: management commands and tasks are runs, as the project's settings say."""

from __future__ import annotations

import contextvars
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.test.utils import setup_test_environment, teardown_test_environment
from sqlalchemy import create_engine, text

import runguard
import runguard.testing
from runguard import JobLockActive, StoreUnavailable, run_scope
from runguard._api import runtime
from runguard.integrations.django import checks
from runguard.integrations.django.commands import NEVER, CommandTracker
from runguard.integrations.django.project import Project, named_setting, read_project
from runguard.integrations.django.tasks import TaskTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

ROOT = Path(__file__).parents[2]
SHOP = "tests.support.django_shop"
RUNS = "select job_name, status, total_records, alert_outcome from run_log order by id"
SYNCED = {"job_name": "sync", "status": "SUCCESS", "total_records": 512, "alert_outcome": "none"}
FAILED = {**SYNCED, "status": "FAILED", "alert_outcome": "raised"}
OWN = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}


@pytest.fixture(scope="session", autouse=True)
def _project() -> None:
    """One project for this process, without the app: each test tracks as it needs."""
    settings.configure(
        DATABASES=OWN,
        INSTALLED_APPS=[SHOP],
        LOGGING_CONFIG=None,
        TASKS={"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}},
    )
    django.setup()


@pytest.fixture
def track(store_url: str) -> Iterator[Callable[..., CommandTracker]]:
    """Track as a project's settings say."""
    untracked = BaseCommand.execute

    def install(**said: Any) -> CommandTracker:
        project, problems = read_project(said, OWN)
        assert problems == []
        tracker = CommandTracker(project)
        tracker.install()
        return tracker

    yield install
    BaseCommand.execute = untracked


Track = "Callable[..., CommandTracker]"


def sync(how: str = "well") -> str:
    with Path(os.devnull).open("w") as nowhere:
        return str(call_command("sync", how, stdout=nowhere))


def test_a_command_of_the_project_is_a_run(track: Track, sql: Sql) -> None:
    track()

    assert sync() == "sync"
    assert sql(RUNS) == [SYNCED]


def test_a_command_error_is_a_failure_and_keeps_its_exit_code(track: Track, sql: Sql) -> None:
    track()
    with pytest.raises(CommandError, match="there is no winter term"):
        sync("command_error")

    assert sql(RUNS) == [FAILED]
    [row] = sql("select error_type, error_message from run_log")
    assert row == {
        "error_type": "django.core.management.base.CommandError",
        "error_message": "there is no winter term",
    }
    [note] = sql("select context from run_note")
    assert json.loads(note["context"])["exit_code"] == 3


@pytest.mark.parametrize(("code", "status"), [(0, "SUCCESS"), (3, "FAILED")])
def test_an_exit_code_decides(track: Track, sql: Sql, code: int, status: str) -> None:
    track()
    with pytest.raises(SystemExit):
        sync(f"exit{code}")

    assert [row["status"] for row in sql(RUNS)] == [status]


def test_a_command_inside_a_run_is_part_of_it(track: Track, sql: Sql) -> None:
    track()
    with pytest.raises(CommandError):
        call_command("nightly")
    with run_scope("scheduler"):
        assert sync() == "scheduler"

    assert [(row["job_name"], row["status"]) for row in sql(RUNS)] == [
        ("nightly", "FAILED"),
        ("scheduler", "SUCCESS"),
    ]


def test_a_nested_command_has_its_own_run_where_that_is_wanted(track: Track, sql: Sql) -> None:
    track(NESTED=True)
    with pytest.raises(CommandError):
        call_command("nightly")

    assert [row["job_name"] for row in sql(RUNS)] == ["nightly", "sync"]


def test_a_decorated_command_keeps_its_own_run(track: Track, sql: Sql) -> None:
    track()
    call_command("decorated")

    assert [row["job_name"] for row in sql(RUNS)] == ["its_own"]


def test_what_is_no_job_is_never_tracked(track: Track, sql: Sql) -> None:
    everything = set(track(COMMANDS="*").tracked_names())
    call_command("check")

    assert {"sync", "nightly", "diffsettings"} <= everything
    assert everything.isdisjoint(NEVER)
    assert {"runserver", "testserver", "migrate", "shell", "test", "runguard"} <= NEVER
    assert not sql("select name from sqlite_master where name = 'run_log'")


@pytest.mark.parametrize(
    ("said", "tracked"),
    [
        ({}, ["decorated", "nightly", "sync"]),
        ({"COMMANDS": []}, []),
        ({"COMMANDS": ["sy*", "diffsettings"]}, ["diffsettings", "sync"]),
        ({"COMMANDS": "*.django_shop.*", "SKIP": ["sync"]}, ["decorated", "nightly"]),
        ({"COMMANDS": ["migrate"]}, []),
    ],
    ids=str,
)
def test_the_settings_say_which_commands_are_tracked(
    track: Track, said: dict[str, Any], tracked: list[str]
) -> None:
    assert sorted(track(**said).tracked_names()) == tracked


def test_jobs_have_names_and_options(track: Track, sql: Sql) -> None:
    track(NAMES={"sync": "crm_sync"}, JOBS={"crm_sync": {"lock": True}})
    assert sync() == "crm_sync"
    with run_scope("crm_sync", lock=True), pytest.raises(JobLockActive):
        contextvars.Context().run(call_command, "sync")  # as another process

    assert [row["status"] for row in sql(RUNS)] == ["SUCCESS", "SUCCESS", "FAILED"]


def test_a_fault_of_ours_does_not_keep_a_command_from_running(
    track: Track, caplog: pytest.LogCaptureFixture
) -> None:
    track(NAMES=lambda _: "")

    assert sync() == "no run"
    assert "expected a name, found an empty one" in caplog.text


def test_tests_of_the_project_record_nothing_in_its_store(track: Track, store_url: str) -> None:
    expect = runguard.Expect(every="1h")
    track(JOBS={"sync": {"lock": True, "expect": expect}})
    setup_test_environment()
    try:
        assert sync() == "sync"  # its body finds a run
        with runguard.testing.fresh_store() as store:
            assert sync() == "sync"
            store.runs.assert_run("sync", total_records=512, count=1)
        assert sync() == "sync"
    finally:
        teardown_test_environment()

    assert not Path(store_url.removeprefix("sqlite:///")).exists()


def test_a_test_may_name_its_own_store(track: Track, sql: Sql, store_url: str) -> None:
    track()
    setup_test_environment()
    try:
        runguard.testing.reset()
        runguard.configure(database_url=store_url)
        sync()
    finally:
        teardown_test_environment()

    assert sql(RUNS) == [SYNCED]


# Tasks -------------------------------------------------------------------------------------------


def test_a_task_is_a_run(track: Track, sql: Sql) -> None:
    tasks = pytest.importorskip("django_tasks", reason="needs the backport of django.tasks")
    from tests.support import scheduled

    project = Project(names={"tests.support.scheduled.fail": "failing"})
    tracker = TaskTracker(project, CommandTracker(project))
    tracker.install()
    tasks.task(scheduled.sync).enqueue(records=7)
    result = tasks.task(scheduled.fail).enqueue()
    tasks.task(scheduled.decorated).enqueue()

    assert sql("select job_name, status, total_records, error_group from run_log order by id") == [
        {
            "job_name": "tests.support.scheduled.sync",
            "status": "SUCCESS",
            "total_records": 7,
            "error_group": None,
        },
        {
            "job_name": "failing",
            "status": "FAILED",
            "total_records": 0,
            "error_group": "TIMEOUT",
        },
        {"job_name": "decorated", "status": "SUCCESS", "total_records": 0, "error_group": None},
    ]
    [note] = sql("select context from run_note where context is not null")
    assert json.loads(note["context"])["task_id"] == result.id


# Settings ----------------------------------------------------------------------------------------

POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "shop",
    "USER": "shop",
    "PASSWORD": "p@ss/word",
    "HOST": "db.internal",
    "PORT": 6432,
    "OPTIONS": {"sslmode": "require", "pool": True, "options": "-c search_path=x"},
}


def test_the_settings_become_those_of_runs() -> None:
    said = {"ENVIRONMENT": "staging", "COOLDOWN": timedelta(minutes=5), "DATABASE": "default"}
    project, problems = read_project(said, {"default": POSTGRES})

    assert problems == []
    assert project.configured == {
        "environment": "staging",
        "cooldown": timedelta(minutes=5),
        "database_url": "postgresql://shop:p%40ss%2Fword@db.internal:6432/shop"
        "?sslmode=require&options=-c%20search_path%3Dx",
    }


def test_a_database_behind_a_socket_has_a_url_too() -> None:
    database = {**POSTGRES, "HOST": "/run/postgresql", "PORT": "", "PASSWORD": "", "OPTIONS": {}}
    project, _ = read_project({"DATABASE": "default"}, {"default": database})

    assert project.configured["database_url"] == "postgresql://shop@/shop?host=%2Frun%2Fpostgresql"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "RUNGUARD: expected a dictionary, found list"),
        ({"COMANDS": "*"}, "RUNGUARD['COMANDS'] is not a setting (did you mean 'COMMANDS'?)"),
        ({"COMMANDS": [1]}, "RUNGUARD['COMMANDS']: expected names of commands or patterns, found"),
        ({"NESTED": "no"}, "RUNGUARD['NESTED']: expected True or False, found 'no'"),
        ({"NAMES": "sync"}, "RUNGUARD['NAMES']: expected a dictionary or a function, found 'sync'"),
        ({"JOBS": {"sync": {"locked": 1}}}, "RUNGUARD['JOBS']['sync']: got an unexpected keyword"),
        ({"DATABASE": "defualt"}, "found 'defualt' (did you mean 'default'?)"),
        ({"DATABASE": "default"}, "expected a PostgreSQL database, found 'django.db.backends.sqli"),
        ({"DATABASE": "default", "DATABASE_URL": "x"}, "expected it or DATABASE_URL, found both"),
    ],
    ids=str,
)
def test_what_is_misconfigured_is_named(said: Any, problem: str) -> None:
    _, problems = read_project(said, OWN)

    assert len(problems) == 1
    assert problem in problems[0]


def test_a_value_that_configure_refuses_is_named_by_its_setting() -> None:
    with pytest.raises(runguard.ConfigurationError) as refused:
        runguard.configure(lock_ttl=timedelta(0))

    assert named_setting(refused.value).startswith("RUNGUARD['LOCK_TTL']: expected more than 0")


def test_the_check_says_what_to_do(track: Track) -> None:
    def check(**said: Any) -> list[tuple[str, str]]:
        project, problems = read_project(said, OWN)
        found = checks.check_of(project, problems, CommandTracker(project))()
        return [(one.id, one.hint) for one in found]

    assert check() == []
    [(wrong, _)] = check(COMANDS="*")
    [(none_tracked, remedy)] = check(COMMANDS="snyc")
    [(unknown_job, _)] = check(JOBS={"snyc": {}})
    [(no_command, _)] = check(COMMANDS=["sync", "nigthly"])
    assert [wrong, none_tracked] == ["runguard.E001", "runguard.W001"]
    assert [unknown_job, no_command] == ["runguard.W002", "runguard.W004"]
    assert "RUNGUARD['COMMANDS']" in remedy


def test_a_file_of_the_machine_is_no_place_for_a_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [warning] = checks.deploy_check_of(Project())()
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", "postgresql://db.internal/prod")

    assert warning.id == "runguard.W003"
    assert checks.deploy_check_of(Project())() == []


# Processes ---------------------------------------------------------------------------------------


def manage(*arguments: str, folder: Path, **said: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of a project as a user does."""
    script = folder / "manage.py"
    script.write_text(
        "import sys\n"
        "from django.conf import settings\n"
        "from django.core.management import execute_from_command_line\n"
        f"settings.configure(**{said!r})\n"
        "execute_from_command_line(sys.argv)\n"
    )
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


APPS = ["runguard.integrations.django", SHOP]


def test_django_rolls_back_its_own_work_and_not_the_record(
    migrated_pg_url: str, tmp_path: Path
) -> None:
    engine = create_engine(migrated_pg_url)
    url = engine.url
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username or "",
        "HOST": url.query.get("host") or url.host or "",
        "PORT": url.port or "",
        "PASSWORD": url.password or "",
    }
    done = manage(
        *("sync", "rolled_back"),
        folder=tmp_path,
        INSTALLED_APPS=APPS,
        DATABASES={"default": database},
        RUNGUARD={"DATABASE": "default", "STORE_TIMEOUT": None},
    )

    assert done.returncode == 1
    assert "TimeoutError: no answer" in done.stderr
    with engine.begin() as connection:
        [row] = connection.execute(text("select job_name, error_group from run_log"))
        assert tuple(row) == ("sync", "TIMEOUT")
        assert connection.execute(text("select to_regclass('shop_order')")).scalar() is None
    engine.dispose()


def test_the_commands_of_runguard_look_where_the_project_records(tmp_path: Path) -> None:
    said = {
        "INSTALLED_APPS": APPS,
        "RUNGUARD": {"DATABASE_URL": f"sqlite:///{tmp_path}/runs.db", "JOBS": {"sync": {}}},
    }
    failed = manage("sync", "command_error", folder=tmp_path, **said)
    options = ("--settings", "shop.settings", "--pythonpath=.")
    listed = manage("runguard", "runs", *options, "--json", folder=tmp_path, **said)

    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (
        3,
        "CommandError: there is no winter term",
    )
    assert [row["job_name"] for row in json.loads(listed.stdout)] == ["sync"]


def test_a_wrong_setting_is_told_by_the_check_and_tracks_nothing(tmp_path: Path) -> None:
    checked = manage(
        "check", folder=tmp_path, INSTALLED_APPS=APPS, RUNGUARD={"LOCK_TTL": 900, "COMMANDS": "*"}
    )

    assert checked.returncode == 1
    assert "(runguard.E001) RUNGUARD['LOCK_TTL']: expected a datetime.timedelta" in checked.stderr
    assert "runguard.internal_error stage=configure" in checked.stderr


def test_a_refused_command_is_one_line_at_the_command_line(
    track: Track, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store is away")

    track(JOBS={"sync": {"lock": True}})
    runtime.first_use()
    monkeypatch.setattr(type(runtime.store()), "acquire_lock", refuse)
    from tests.support.django_shop.management.commands.sync import Command

    with pytest.raises(SystemExit, match="1"):
        Command().run_from_argv(["manage.py", "sync"])

    assert capsys.readouterr().err.endswith("CommandError: the store is away\n")
