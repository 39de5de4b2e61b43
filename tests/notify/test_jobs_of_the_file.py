"""What the file says of jobs, and what is said of its mistakes."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from runguard._monitor.expectations import Declarer, Expectation, JobDeclaration
from runguard._notify import config as module
from runguard._notify.config import load_config, read_config


@pytest.fixture(autouse=True)
def _a_machine_in_seoul(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(time, "timezone", -9 * 3600)
    monkeypatch.setattr(time, "daylight", 0)
    monkeypatch.setattr(module, "SYSTEM_FILE", str(tmp_path / "none.toml"))


def test_a_job_is_declared_with_its_rules_and_its_texts(tmp_path: Path) -> None:
    file = tmp_path / "runguard.toml"
    file.write_text(
        '[jobs.nightly_backup]\ncron = "0 2 * * *"\ntz = "Asia/Seoul"\ngrace = "30m"\n'
        'max_runtime = "2h"\nmin_records = 1\nowner = "data-team"\n'
        'runbook = "https://wiki.example/backup"\ndescription = "Copies the database."\n'
        'ping_url = "env:PING"\n'
        '[jobs."cache refresh"]\nexpect = "learn"\n'
        '[jobs.report]\nowner = "finance"\n'
    )
    config = load_config({"RUNGUARD_ENVIRONMENT": "staging"}, tmp_path)

    backup, cache, report = config.jobs
    assert backup == JobDeclaration(
        job_name="nightly_backup",
        environment="staging",
        expectation=Expectation(
            cron="0 2 * * *",
            tz="Asia/Seoul",
            grace=timedelta(minutes=30),
            max_runtime=timedelta(hours=2),
            min_records=1,
            ping_url="env:PING",
        ),
        owner="data-team",
        runbook="https://wiki.example/backup",
        description="Copies the database.",
        by=Declarer.FILE,
        who=str(file),
    )
    assert (cache.job_name, cache.expectation) == ("cache refresh", Expectation(learn=True))
    assert (report.owner, report.expectation) == ("finance", None)
    assert config.sources["jobs"] == str(file)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "jobs.a: expected every, cron, calendar or another key, found none"),
        ("evry = '1h'", "jobs.a.evry: unknown (did you mean 'every'?)"),
        ("every = 900", "jobs.a.every: expected a duration such as .*, found a number"),
        ("every = 'fast'", "jobs.a.every: expected a duration such as .*, found 'fast'"),
        ("cron = '0 2 * *'\ntz = 'UTC'", "jobs.a.cron: expected five fields, such as .*, found '0"),
        (
            "cron = '0 2 * * *'",
            "jobs.a.tz: expected the zone that cron is meant in, .*, found none",
        ),
        (
            "every = '1h'\nexpect = 'learn'",
            "jobs.a.every: expected one of every, .*, found every and",
        ),
        (
            "expect = 'lern'",
            "jobs.a.expect: expected one of learn, found 'lern' (did you mean 'lea",
        ),
        ("min_records = '1'", "jobs.a.min_records: expected a whole number, found a text"),
        ("min_records = -1", "jobs.a.min_records: expected a whole number, 0 or more, found -1"),
        ("ping_url = 'https://hc.example/hunter2'", "jobs.a.ping_url: expected env:NAME or file:"),
        (
            "runbook = 'wiki'",
            "jobs.a.runbook: expected an address such as .*, found something else",
        ),
    ],
)
def test_a_job_with_a_mistake_is_told_and_left_out(keys: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "runguard.toml"
    file.write_text(f"[jobs.a]\n{keys}\n[jobs.b]\nevery = '1h'\n")
    config, problems = read_config({}, tmp_path)

    [problem] = problems
    for part in said.split(".*"):
        assert part in problem.removeprefix(f"{file}: ")
    assert "hunter2" not in problem
    assert [job.job_name for job in config.jobs] == ["b"]


def test_what_is_no_job_is_told(tmp_path: Path) -> None:
    (tmp_path / "runguard.toml").write_text('[jobs."a\\nb"]\nevery = "1h"\n[jobs]\nc = 5\n')

    wrong_name, no_table = read_config({}, tmp_path).problems

    assert r"jobs.'a\nb': expected a name of 1 to 255 printable characters" in wrong_name
    assert "jobs.c: expected a table written [jobs.c], found a number" in no_table
