"""The service of `examples/service`: its processes for real, and what its compose file says."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from runguard._cli.demo_mail import MailSink
from runguard._notify.config import read_config
from tests.support import pgbouncer as pooling
from tests.support.processes import ROOT, until
from tests.usage.examples.conftest import asker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from examples.upstream import Upstream

SERVICE = ROOT / "examples" / "service"
TOKEN = "a-token-of-the-test"


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@pytest.fixture
def pooled_url(migrated_pg_url: str, request: pytest.FixtureRequest) -> str:
    """Through PgBouncer, as in the compose file, where this machine has it."""
    if pooling.PROGRAM is None:
        return migrated_pg_url
    return request.getfixturevalue("pgbouncer").through(migrated_pg_url)


@pytest.fixture
def environment(
    pooled_url: str, migrated_pg_url: str, upstream: Upstream, mail: MailSink, tmp_path: Path
) -> dict[str, str]:
    return {
        **os.environ,
        "RUNGUARD_DATABASE_URL": pooled_url,
        "ENROLMENT_DATABASE_URL": migrated_pg_url,
        "QUEUE_FOLDER": str(tmp_path / "queue"),
        "RUNGUARD_CONFIG": str(SERVICE / "runguard.toml"),
        "RUNGUARD_WEB_TOKEN": TOKEN,
        "MAIL_URL": mail.url,
        "SYNC_RETRIES": "1",
        "SYNC_RETRY_SECONDS": "0",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Start a process of the service; what it prints is shown where the test fails."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, pass_fds=pass_fds
            )
            stack.callback(process.wait, timeout=30)
            stack.callback(process.terminate)

        yield start


@pytest.fixture
def address(start: Callable[..., None]) -> Iterator[str]:
    """Where the web side answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        uvicorn = ("uvicorn", "examples.service.api:app", "--log-level", "warning")
        start(*uvicorn, "--fd", str(fd), pass_fds=(fd,))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_web_worker_and_scheduler_share_jobs_and_one_failure_is_one_mail(
    start: Callable[..., None],
    address: str,
    migrated_pg_url: str,
    upstream: Upstream,
    mail: MailSink,
) -> None:
    ask = asker(migrated_pg_url)
    worker = ("celery", "--app", "examples.service.tasks", "worker", "--loglevel", "warning")
    without = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    start(*worker, "--pool", "solo", *without)
    start("examples.service.scheduler")

    assert httpx.post(f"{address}/sync/now", timeout=60).json()["records"] == 120
    assert httpx.post(f"{address}/sync", timeout=60).status_code == 202
    until(lambda: ask("select count(*) from run_log where status = 'SUCCESS'") == [(3,)], 60)
    upstream.answer("503")
    assert httpx.post(f"{address}/sync", timeout=60).status_code == 202
    until(lambda: mail.mails, 60)
    assert httpx.post(f"{address}/sync/now", timeout=60).json() == {"error_group": "HTTP_5XX"}

    runs = ask(
        "select job_name, trigger_type, status, total_records, alert_outcome from run_log"
        " where job_name <> 'enrolment_count' order by id"
    )
    assert runs == [
        ("enrolment_sync", "MANUAL", "SUCCESS", 120, "none"),
        ("enrolment_sync", "MANUAL", "SUCCESS", 120, "none"),
        ("enrolment_sync", "MANUAL", "FAILED", 0, "excluded"),
        ("enrolment_sync", "RETRY", "FAILED", 0, "raised"),
        ("enrolment_sync", "MANUAL", "FAILED", 0, "suppressed"),
    ]
    assert ask("select status, trigger_type from run_log where job_name = 'enrolment_count'") == [
        ("SUCCESS", "SCHEDULER")
    ]
    assert ask("select job_name from job") == [("enrolment_count",)]
    [arrived] = mail.mails
    assert arrived["Subject"] == "HTTP_5XX enrolment_sync failed (high)"
    page = httpx.get(f"{address}/runguard/login", timeout=60)
    assert (page.status_code, "runguard" in page.text) == (200, True)


def compose() -> dict[str, Any]:
    return yaml.safe_load((SERVICE / "compose.yaml").read_text())


KEYS = {
    *("build", "command", "depends_on", "environment", "healthcheck", "image"),
    *("ports", "restart", "volumes"),
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.mark.parametrize("name", compose()["services"])
def test_a_service_of_the_compose_file_is_whole(name: str) -> None:
    file = compose()
    service, services = file["services"][name], file["services"]

    assert set(service) <= KEYS
    assert re.fullmatch(r"[\w/.-]+:v?\d+(\.\d+)+[\w.-]*", service["image"]), "its tag is pinned"
    if "build" in service:
        context = (SERVICE / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()
    for needed, how in service.get("depends_on", {}).items():
        assert how["condition"] in CONDITIONS
        if how["condition"] == "service_healthy":
            assert services[needed]["healthcheck"]["test"][0] == "CMD"
        if how["condition"] == "service_completed_successfully":
            assert services[needed]["restart"] == "no"
    for volume in service.get("volumes", ()):
        assert volume.partition(":")[0] in file["volumes"]
    for host in re.findall(r"[/@](\w+):\d", " ".join(service.get("environment", {}).values())):
        assert host in services


def test_only_this_machine_reaches_what_the_compose_file_opens() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_what_the_compose_file_runs_is_there() -> None:
    commands = [
        shlex.split(service["command"])
        for service in compose()["services"].values()
        if "command" in service
    ]
    said = " ".join(word for command in commands for word in command)

    for module in re.findall(r"examples(?:\.\w+)+", said):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    for path in re.findall(r"examples/\S+\.py", said):
        assert (ROOT / path).is_file()
    assert {command[0] for command in commands} == {"runguard", "uvicorn", "celery", "python"}


def test_its_configuration_has_no_mistake() -> None:
    config, problems = read_config(
        {"RUNGUARD_CONFIG": "runguard.toml", "MAIL_URL": "smtp://mail:1025"}, SERVICE
    )

    assert (problems, [*config.channels]) == ((), ["office"])
    assert [one.job_name for one in config.jobs] == ["enrolment_sync"]
