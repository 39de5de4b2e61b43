"""What the store refuses for ever, or nobody can read, keeps no other record waiting."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard._api import runtime
from runguard._models import SpooledAlert
from runguard._run.spool_listing import count_of
from runguard._run.spool_quarantine import set_aside
from runguard._run.spool_reading import MOST_BYTES
from runguard._run.spool_replay import replay
from runguard._run.spool_view import waiting_files
from tests.store.drafts import own_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Put = Callable[..., Path]
    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]
    Poison = Callable[[Path, dict[str, Any]], None]

HEAD = 4  # more than the faults in a row that end a replay


def written(change: Callable[[dict[str, Any]], object]) -> Poison:
    """A record of ours with one change in it."""

    def poison(path: Path, record: dict[str, Any]) -> None:
        change(record)
        path.write_text(json.dumps(record))

    return poison


def content(text: str) -> Poison:
    return lambda path, _record: path.write_text(text) and None


def sparse(path: Path, _record: dict[str, Any]) -> None:
    with path.open("wb") as file:
        file.truncate(1_000_000_000)


def link(path: Path, record: dict[str, Any]) -> None:
    target = path.parent.parent / f"{path.name}.elsewhere"
    target.write_text(json.dumps(record))
    path.symlink_to(target)


def unix_socket(path: Path, _record: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(path.parent)  # a path of a socket is short
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def of_another_user(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record))
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    else:
        path.chmod(0)


POISONS: dict[str, Poison] = {
    "half a line": content('{"format": 1, "kind": "Spool'),
    "nothing": content(""),
    "another program's JSON": content("[1, 2]"),
    "deep JSON": content("[" * 200_000),
    "no UTF-8": lambda path, _: path.write_bytes(b'{"format": 1, "kind": "\xff"}') and None,
    "a deep detail": written(
        lambda r: r["ending"]["alert"].update(detail=json.loads("[" * 500 + "]" * 500))
    ),
    "a number as a name": written(lambda r: r["run"].update(job_name=7)),
    "a text as a counter": written(lambda r: r["ending"]["counters"].update(total_records="7")),
    "a negative counter": written(lambda r: r["ending"]["counters"].update(total_records=-1)),
    "a counter too large": written(lambda r: r["ending"]["counters"].update(retry_count=2**63)),
    "a long number": content('{"format": 1, "kind": ' + "9" * 5_000 + "}"),
    "a year out of range": written(lambda r: r.update(started_at="99999-01-01T00:00:00+00:00")),
    "a time at the end of time": written(
        lambda r: r.update(finished_at="9999-12-31T23:59:59-12:00")
    ),
    "a time without its offset": written(lambda r: r.update(started_at="2026-01-01T00:00:00")),
    "half a character": written(lambda r: r["ending"]["failure"].update(error_message="\ud800")),
    "half a character in the detail": written(
        lambda r: r["ending"]["alert"]["detail"].update({"\udfff": 1})
    ),
    "a NUL": written(lambda r: r["ending"]["alert"].update(title="a\0b")),
    "no number": written(lambda r: r["ending"]["alert"]["detail"].update(rate=float("nan"))),
    "an endless number": written(lambda r: r["ending"]["alert"].update(cooldown=1e300)),
    "an unknown group": written(lambda r: r["ending"]["failure"].update(error_group="HTTP_6XX")),
    "no key": written(lambda r: r["run"].update(key="7")),
    "an unknown kind": written(lambda r: r.update(kind="SpooledThing")),
    "an old format": written(lambda r: r.update(format=0)),
    "a missing part": written(lambda r: r.pop("run")),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a link": link,
    "a folder": lambda path, _: path.mkdir(),
    "a socket": unix_socket,
    "a huge file": sparse,
    "another user's file": of_another_user,
}


@pytest.fixture
def record(sqlite_url: str, put: Put) -> dict[str, Any]:
    path = put("poison")
    found: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return found


@pytest.fixture
def at_the_head(record: dict[str, Any]) -> Callable[[Poison], list[Path]]:
    """Put more of a poison in front than a replay has patience for."""

    def fill(poison: Poison) -> list[Path]:
        folder = runtime.spool().folder
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"0000{number}.end.json" for number in range(HEAD)]
        for path in paths:
            poison(path, json.loads(json.dumps(record)))
            os.utime(path, (0, 0), follow_symlinks=False)
        return paths

    return fill


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_the_records_behind_it_are_replayed_and_it_is_set_aside_with_the_reason(
    at_the_head: Callable[[Poison], list[Path]], put: Put, sql: Sql, poison: Poison
) -> None:
    paths = at_the_head(poison)
    put("behind")

    began = time.monotonic()
    replayed = list(replay(runtime.spool(), runtime.store(), seconds=60))

    assert time.monotonic() - began < 20  # a pipe would hold it for ever
    assert sql("select job_name from run_log") == [{"job_name": "behind"}]
    assert [one.is_set_aside for one in replayed] == [True] * HEAD + [False]
    assert count_of(runtime.spool()) == 0
    aside = set_aside(runtime.spool())
    assert [one.path.name for one in aside] == [path.name for path in paths]
    assert all(one.reason not in ("", "unknown") for one in aside)
    assert not any(os.path.lexists(path) for path in paths)


def test_a_limit_of_nothing_is_no_poison(record: dict[str, Any], put: Put, sql: Sql) -> None:
    put("behind").write_text(json.dumps({**record, "run": {**record["run"], "lost_after": 0}}))

    [replayed] = replay(runtime.spool(), runtime.store(), seconds=60)

    assert replayed.trouble is None
    assert sql("select lost_after_seconds from run_log") == [{"lost_after_seconds": None}]


def test_a_huge_file_is_not_read(
    at_the_head: Callable[[Poison], list[Path]], tmp_path: Path
) -> None:
    at_the_head(sparse)
    script = (
        "import resource, sys, pathlib\n"
        "from runguard._run.spool import Spool\n"
        "from runguard._run.spool_replay import replay\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "aside = [one.is_set_aside for one in replay(Spool(pathlib.Path(sys.argv[1])), None,"
        " seconds=60)]\n"
        "print(sum(aside), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(runtime.spool().folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    set_aside, kilobytes = map(int, done.stdout.split())

    assert set_aside == HEAD
    assert kilobytes < 2 * MOST_BYTES / 1024


def test_a_later_release_replays_what_it_has_written(record: dict[str, Any], put: Put) -> None:
    newer = put("newer")
    newer.write_text(json.dumps({**record, "format": 2}))

    [replayed] = replay(runtime.spool(), runtime.store(), seconds=60)

    assert "upgrade runguard" in str(replayed.trouble)
    assert not replayed.is_set_aside
    assert waiting_files(runtime.spool()) == [newer]


def test_fields_of_a_later_release_are_ignored(record: dict[str, Any], put: Put, sql: Sql) -> None:
    path = put("later")
    record["run"].update(job_name="later", weather="fine")
    record["ending"]["failure"].update(mood="good")
    path.write_text(json.dumps(record))

    [replayed] = replay(runtime.spool(), runtime.store(), seconds=60)

    assert replayed.trouble is None
    assert sql("select job_name from run_log") == [{"job_name": "later"}]


REFUSALS = {
    "postgresql": (
        "create function refuse() returns trigger language plpgsql as $$ begin"
        " if new.job_name = 'refused' then raise 'not this one'; end if; return new; end $$;"
        " create trigger refuse before insert or update on run_log"
        " for each row execute function refuse()"
    ),
    "sqlite": (
        "create trigger refuse before insert on run_log when new.job_name = 'refused'"
        " begin select raise(abort, 'not this one'); end"
    ),
}


@pytest.fixture
def refused(url: str, sql: Sql) -> Iterator[None]:
    """A store that never takes a run of the job `refused`."""
    with runguard.run_scope("first"):  # SQLite's schema comes with it
        pass
    sql("delete from run_log")
    sql(REFUSALS[url.partition(":")[0].partition("+")[0]])
    return


@pytest.mark.usefixtures("refused")
def test_what_the_store_refuses_is_told_once_and_a_later_run_gets_past_it(
    put: Put, sql: Sql, events: Events
) -> None:
    for _ in range(HEAD):
        put("refused")
    put("behind")
    for number in range(3):
        runtime.spool().look_again_at = 0.0
        with runguard.run_scope(f"later {number}"):
            pass

    jobs = [row["job_name"] for row in sql("select job_name from run_log order by id")]
    assert jobs == ["later 0", "behind", "later 1", "later 2"]
    told = [fields for event, fields in events() if event == "runguard.record_set_aside"]
    assert len(told) == HEAD
    assert all("not this one" in fields["error"] for fields in told)
    assert "runguard.internal_error" not in [event for event, _ in events()]


@pytest.mark.usefixtures("refused")
def test_the_commands_show_what_is_set_aside_and_try_it_again(
    url: str, put: Put, sql: Sql, cli: Callable[..., Any]
) -> None:
    [name] = {put("refused").name}
    put("behind")
    runguard.testing.reset()

    flushed = cli("spool", "flush", "--database-url", url)
    status = cli("spool", "status", "--database-url", url)
    [row] = cli("spool", "status", "--json", "--database-url", url).json
    doctor = cli("doctor", "--json", "--database-url", url).json
    again = cli("spool", "retry", "--database-url", url)
    sql("drop trigger refuse" + (" on run_log" if url.startswith("postgresql") else ""))
    mended = cli("spool", "retry", "--database-url", url)

    assert flushed.exit_code == 3
    assert f"{name} is set aside" in flushed.stderr
    assert "1 record set aside" in status.stdout
    assert f"{name}: " in status.stdout
    assert (row["waiting"], len(row["set_aside"])) == (0, 1)
    assert "not this one" in row["set_aside"][0]["reason"]
    assert [one["state"] for one in doctor if one["check"] == "set aside"] == ["warning"]
    assert (again.exit_code, mended.exit_code) == (3, 0)
    jobs = [row["job_name"] for row in sql("select job_name from run_log order by id")]
    assert jobs == ["behind", "refused"]
    assert "set aside" not in cli("spool", "status", "--database-url", url).stdout


def test_an_alert_that_comes_twice_with_no_cooldown_is_written_once(url: str, sql: Sql) -> None:
    draft = own_alert(cooldown=timedelta(0))
    for _ in range(2):
        runtime.spool().put(SpooledAlert(draft))
        replayed = list(replay(runtime.spool(), runtime.store(), seconds=60))
        assert [one.trouble for one in replayed] == [None]

    assert sql("select count(*) as alerts from alert") == [{"alerts": 1}]
    assert count_of(runtime.spool()) == 0
    assert set_aside(runtime.spool()) == []
