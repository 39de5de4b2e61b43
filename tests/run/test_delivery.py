"""What a job's process does so that alerts reach people: a child, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import runguard
from runguard import ConfigurationError, run_scope
from runguard._api import runtime
from runguard._models import NewRun, TriggerType
from runguard._run import delivery
from runguard._run.host import host_name
from runguard._run.run_key import new_run_key
from tests.support.processes import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

STANDIN = "tests.support.standin_child"
CHANNEL = "webhook+https://hooks.example/rg?secret=hunter2"


class Children:
    """The stand-ins that were started, in place of the process that delivers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo)

    def started(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    def over(self) -> int:
        return len(list(self.folder.glob("*.over")))

    def let_go(self, *, until_over: int = 1) -> None:
        """Let those end that wait, until so many have ended in all."""

        def are_over() -> bool:
            with contextlib.suppress(OSError):  # nobody waits yet
                os.close(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))
            return self.over() >= until_over

        until(are_over)


def wait_for_delivery() -> None:
    assert runtime._delivery
    assert runtime._delivery._idle.wait(30)


def fail(job_name: str = "enrolment_sync") -> None:
    with pytest.raises(ValueError, match="x"), run_scope(job_name):
        raise ValueError("x")


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Children:
    folder = tmp_path / "children"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("STANDIN_FOLDER", str(folder))
    monkeypatch.setattr(delivery, "PROGRAM", STANDIN)
    return Children(folder)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGUARD_NOTIFY", CHANNEL)


@pytest.mark.usefixtures("channel")
def test_a_failure_starts_a_child_that_has_nothing_of_ours_but_its_environment(
    children: Children, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL_FILE", str(tmp_path / "elsewhere"))
    with open(tmp_path / "of the job", "w") as kept:  # noqa: PTH123
        os.set_inheritable(kept.fileno(), True)
        fail()
        wait_for_delivery()

    [child] = children.started()
    assert child["is_leader"]
    assert {child["descriptors"].get(name) for name in ("0", "1", "2")} == {"/dev/null"}
    assert not [name for name in child["descriptors"].values() if str(tmp_path) in name]
    assert not [name for name in child["descriptors"].values() if "socket" in name]
    assert sqlite_url not in str(child["argv"])
    assert "hunter2" not in str(child["argv"])
    environ = child["environ"]
    assert environ["RUNGUARD_NOTIFY"] == CHANNEL
    assert environ["RUNGUARD_DATABASE_URL"] == sqlite_url
    assert "RUNGUARD_DATABASE_URL_FILE" not in environ
    assert environ["RUNGUARD_DELIVER"] == "off"
    assert child["folder"] == str(tmp_path)
    assert child["path"][0] == os.path.abspath(sys.path[0])  # noqa: PTH100


@pytest.mark.usefixtures("channel")
def test_the_child_leaves_alerts_to_people_and_knows_its_place_as_its_parent_does(
    children: Children, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    runguard.configure(database_url=url, auto_resolve=False, environment="staging")
    fail()
    wait_for_delivery()

    [child] = children.started()
    assert child["environ"]["RUNGUARD_AUTO_RESOLVE"] == "false"
    assert child["environ"]["RUNGUARD_ENVIRONMENT"] == "staging"


@pytest.mark.usefixtures("channel")
def test_no_zombie_remains_of_the_child(children: Children, sqlite_url: str) -> None:
    before = {child.pid for child in psutil.Process().children()}
    fail()
    wait_for_delivery()

    assert len(children.started()) == 1
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.mark.usefixtures("channel")
def test_alerts_that_come_while_the_child_is_at_work_get_one_more_child(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_WAITS_FOR", str(children.fifo))
    for name in ("one", "two", "three"):
        fail(name)
    until(children.started)
    assert len(children.started()) == 1
    children.let_go()
    until(lambda: len(children.started()) == 2)
    children.let_go(until_over=2)
    wait_for_delivery()

    assert children.over() == 2


@pytest.mark.usefixtures("channel")
def test_a_failure_that_raises_no_alert_starts_none(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail()
    wait_for_delivery()
    monkeypatch.setattr("runguard._store.due.is_delivery_due", lambda *_, **__: False)
    fail()

    assert len(children.started()) == 1


@pytest.mark.usefixtures("channel")
def test_an_alert_of_the_jobs_own_starts_one_before_the_run_ends(
    children: Children, sqlite_url: str
) -> None:
    with run_scope("enrolment_sync") as run:
        run.emit_alert(
            "NEW", source_type="student", source_id="17", severity="low", title="t", message="m"
        )
        wait_for_delivery()
        assert len(children.started()) == 1


@pytest.mark.usefixtures("channel")
def test_a_start_that_is_refused_for_its_lock_starts_one(
    children: Children, sqlite_url: str
) -> None:
    with run_scope("enrolment_sync", lock=True):
        with pytest.raises(runguard.JobLockActive), run_scope("enrolment_sync", lock=True):
            pytest.fail("the body ran")
        wait_for_delivery()

        assert len(children.started()) == 1


@pytest.mark.usefixtures("channel")
def test_a_start_that_finds_a_lost_run_starts_one_at_once(
    children: Children, sqlite_url: str
) -> None:
    lost = NewRun(
        key=new_run_key(),
        job_name="nightly",
        trigger_type=TriggerType.SCHEDULER,
        host=host_name(),
        pid=2**22 + 1,  # more than Linux gives
        lost_after=timedelta(minutes=5),
    )
    runtime.store().start_run(lost, timeout=30)
    with (
        contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database,
        database,
    ):
        database.execute("update run_log set started_at = '2001-01-01', heartbeat_at = null")
    with run_scope("nightly"):
        wait_for_delivery()

        assert len(children.started()) == 1


@pytest.mark.usefixtures("channel")
def test_the_question_whether_anything_is_due_is_asked_once_a_minute_and_then_less_often(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    now = [1000.0]

    def is_due(_store: object, job_names: tuple[str, ...], **_: object) -> bool:
        asked.append(now[0] - 1000)
        assert job_names == ("nightly",)
        return now[0] > 1000

    monkeypatch.setattr("runguard._store.due.is_delivery_due", is_due)
    monkeypatch.setattr(delivery, "ticks", lambda: now[0])
    for _ in range(20):
        with run_scope("nightly"):
            pass
        now[0] += 20
    wait_for_delivery()

    assert asked == [0, 60, 120, 240]
    assert 1 <= len(children.started()) <= 3  # not one for each run


@pytest.mark.usefixtures("channel")
def test_the_question_and_the_child_are_about_all_jobs_that_have_ended_since(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    now = [1000.0]

    def is_due(_store: object, job_names: tuple[str, ...], **_: object) -> bool:
        asked.append(job_names)
        return len(asked) == 2

    monkeypatch.setattr("runguard._store.due.is_delivery_due", is_due)
    monkeypatch.setattr(delivery, "ticks", lambda: now[0])
    for name in ("one", "two", "three"):
        with run_scope(name):
            pass
        now[0] += 40
    wait_for_delivery()
    now[0] += 600
    with run_scope("four"):
        pass

    assert asked == [("one",), ("one", "two", "three"), ("four",)]
    [child] = children.started()
    assert json.loads(child["environ"][delivery.ENDED_JOBS]) == ["one", "two", "three"]


@pytest.mark.usefixtures("channel", "sqlite_url")
def test_a_job_that_ends_while_a_child_is_started_is_for_the_next_one(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def start_while_a_job_ends(*args: Any, **options: Any) -> Any:
        child = start(*args, **options)
        assert runtime._delivery
        assert runtime._delivery.may_wait("late")
        return child

    with run_scope("one"):  # has it ask, so that the next ones need not
        pass
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", start_while_a_job_ends)
        fail("two")
    wait_for_delivery()
    fail("three")
    wait_for_delivery()

    ended = [json.loads(child["environ"][delivery.ENDED_JOBS]) for child in children.started()]
    assert sorted(ended) == [["late", "three"], ["one", "two"]]


def test_no_name_of_a_job_makes_the_childs_environment_too_long() -> None:
    names = [f"{number:03}" + "x" * 5000 for number in range(200)]

    text = delivery._in_json(names)

    assert 0 < len(text) <= delivery.LONGEST_ENDED_JOBS
    assert json.loads(text)[-1] == names[-1]
    assert json.loads(delivery._in_json(["x" * 100_000])) == []


@pytest.mark.parametrize(
    "file",
    [None, ("pyproject.toml", "[tool.other]\n")],
    ids=["nothing", "another program's settings"],
)
def test_without_channels_nothing_is_loaded_asked_or_started(
    tmp_path: Path, file: tuple[str, str] | None
) -> None:
    if file is not None:
        (tmp_path / file[0]).write_text(file[1])
    code = """
import sys, threading
from contextlib import suppress
from sqlalchemy import event
import runguard
from runguard._api import runtime

with runguard.run_scope("first"):
    pass
before, statements = threading.active_count(), []
event.listen(runtime.store().engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
for _ in range(2):
    with suppress(ValueError), runguard.run_scope("job"):
        raise ValueError("x")
counted = len(statements)
with runguard.run_scope("job"):
    pass
print(counted, len(statements) - counted, threading.active_count() - before)
print(*(name for name in sys.modules if "runguard._run.delivery" in name or "_notify" in name
        or "_rounds" in name or "_store.due" in name))
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    told_not_to = {**environ, "RUNGUARD_NOTIFY": CHANNEL, "RUNGUARD_DELIVER": "off"}
    without, off = (
        _output(code, tmp_path, {**given, "RUNGUARD_DATABASE_URL": f"sqlite:///{tmp_path}/{name}"})
        for name, given in (("one.db", environ), ("other.db", told_not_to))
    )

    assert without == off
    assert without.splitlines()[0].endswith(" 0")
    assert without.splitlines()[1] == ""


def _output(code: str, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environ,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [("runguard.toml", ""), ("pyproject.toml", '[tool.runguard.channels.ops]\nurl = "x"\n')],
)
def test_a_file_of_channels_in_the_folder_is_enough(
    children: Children, sqlite_url: str, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    fail()
    wait_for_delivery()

    assert len(children.started()) == 1


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("where", ["variable", "argument"])
def test_a_process_that_is_told_not_to_deliver_starts_none(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "variable":
        monkeypatch.setenv("RUNGUARD_DELIVER", "off")
    runguard.configure(
        database_url=f"sqlite:///{tmp_path}/x.db", deliver="off" if where == "argument" else None
    )
    fail()

    assert runtime._delivery is False
    assert children.started() == []


def test_another_word_than_auto_and_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGUARD_DELIVER", "yes")
    expected = "RUNGUARD_DELIVER: expected 'auto' or 'off', found 'yes'"
    with pytest.raises(ConfigurationError, match=expected):
        runguard.configure()


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("frozen", [False, True])
def test_where_no_interpreter_can_be_started_a_warning_says_so_once(
    children: Children,
    sqlite_url: str,
    events: Events,
    monkeypatch: pytest.MonkeyPatch,
    *,
    frozen: bool,
) -> None:
    if frozen:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", "")
    fail("one")
    fail("two")

    [told] = [fields for name, fields in events() if name == "runguard.delivery_unavailable"]
    assert "expected a Python interpreter in sys.executable, found " in told["reason"]
    assert "runguard monitor" in told["reason"]
    assert children.started() == []
    assert "runguard.internal_error" not in [name for name, _ in events()]


@pytest.mark.usefixtures("channel")
def test_a_child_that_ends_badly_is_told_once(
    children: Children, sqlite_url: str, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_EXIT_CODE", "2")
    for name in ("one", "two"):
        fail(name)
        wait_for_delivery()

    told = [fields for name, fields in events() if name == "runguard.delivery_failed"]
    assert told == [{"exit_code": 2, "see": "runguard monitor --once"}]
    assert len(children.started()) == 2


@pytest.mark.usefixtures("channel")
async def test_no_event_loop_waits_for_the_child(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_WAITS_FOR", str(children.fifo))
    with pytest.raises(ValueError, match="x"):
        async with run_scope("enrolment_sync"):
            raise ValueError("x")
    await asyncio.to_thread(until, children.started)
    assert children.over() == 0
    await asyncio.to_thread(children.let_go)
    await asyncio.to_thread(wait_for_delivery)

    assert children.over() == 1


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("way", ["os.fork", "multiprocessing"])
def test_a_forked_process_has_a_child_of_its_own_and_waits_for_no_other(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("STANDIN_WAITS_FOR", str(children.fifo))
    fail("of the parent")
    until(children.started)

    def work() -> None:
        fail("of the fork")
        os._exit(0)

    if way == "os.fork":
        pid = os.fork()
        if pid == 0:
            work()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    else:
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join(30)
        assert process.exitcode == 0
    until(lambda: len(children.started()) == 2)
    children.let_go(until_over=2)
    wait_for_delivery()

    assert children.over() == 2


@pytest.fixture
def program(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Run a user's program, whose child waits until it is let go."""
    monkeypatch.setenv("STANDIN_WAITS_FOR", str(children.fifo))
    monkeypatch.setenv("RUNGUARD_NOTIFY", CHANNEL)
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    start = f"""
import os, sys, threading, time
from contextlib import suppress
import runguard
from runguard._run import delivery

delivery.PROGRAM = {STANDIN!r}

def fail():
    with suppress(ValueError), runguard.run_scope("job"):
        raise ValueError("x")
"""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", start + code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
        )

    yield run
    children.let_go(until_over=len(children.started()))


def test_a_process_ends_when_its_patience_does_and_the_child_outlives_it(
    program: Callable[[str], subprocess.CompletedProcess[str]], children: Children
) -> None:
    done = program(
        "import atexit\n"
        "began = []\n"
        "atexit.register(lambda: print(time.monotonic() - began[0]))\n"  # runs last
        "fail()\n"
        "delivery.Delivery.wait_at_exit.__defaults__ = (0.5,)\n"
        "began.append(time.monotonic())\n"
    )

    assert done.returncode == 0, done.stderr
    assert 0.5 <= float(done.stdout) < 3
    assert "ResourceWarning" not in done.stderr
    until(children.started)
    assert children.over() == 0
    children.let_go()


def test_a_process_that_dies_at_once_leaves_a_child_that_delivers(
    program: Callable[[str], subprocess.CompletedProcess[str]], children: Children
) -> None:
    done = program("fail()\nos._exit(7)\n")

    assert done.returncode == 7
    until(children.started)
    children.let_go()


def test_a_run_that_ends_while_the_interpreter_does_starts_one_too(
    program: Callable[[str], subprocess.CompletedProcess[str]], children: Children
) -> None:
    done = program("import atexit\natexit.register(fail)\nruguard = None\n")

    assert done.returncode == 0, done.stderr
    until(children.started)


@pytest.mark.usefixtures("channel")
def test_threads_that_fail_at_once_start_one_child_and_one_after_it(
    children: Children, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_WAITS_FOR", str(children.fifo))
    threads = [threading.Thread(target=fail, args=(f"job-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    until(children.started)
    assert len(children.started()) == 1
    children.let_go(until_over=2)
    wait_for_delivery()

    assert len(children.started()) == 2
