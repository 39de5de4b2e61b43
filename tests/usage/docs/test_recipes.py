"""The recipes for cron and systemd, beyond that they run: what they would mail, refuse and show."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.usage.docs.pages import PAGES, blocks, text_of
from tests.usage.docs.session import Session

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/howto/any-command.md"
HOUSEKEEPING = ("docs/howto/install-on-a-server.md", "docs/howto/housekeeping.md")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)
UNIT = re.compile(r"# /etc/systemd/system/(\S+)\n")


def crontabs() -> list[str]:
    scheduled = re.compile(r"^(?:[\d*/,-]+ +){5}", re.MULTILINE)
    return [
        block.text
        for page in PAGES
        for block in blocks(page, "text")
        if scheduled.search(block.text)
    ]


def test_every_crontab_names_the_folder_of_runguard_and_no_url() -> None:
    assert len(crontabs()) > 2
    for crontab in crontabs():
        assert crontab.startswith("PATH=/opt/app/.venv/bin:/usr/bin:/bin\n")
        assert "://" not in crontab, "cron would mail it, in the header X-Cron-Env"


@needs_systemd
def test_systemd_takes_the_units_as_they_stand(tmp_path: Path) -> None:
    session = Session(tmp_path)
    units = []
    for block in blocks(PAGE, "ini"):
        if named := UNIT.match(block.text):
            units.append(unit := tmp_path / named[1])
            unit.write_text(session.at_our_places(block.text))

    assert [unit.suffix for unit in units] == [".service", ".timer"]
    assert verified(*units) == ""


@needs_systemd
@pytest.mark.parametrize(("password", "is_taken"), [("p%%40ss", True), ("p%40ss", False)])
def test_a_percent_sign_in_a_unit_is_written_as_the_page_says(
    tmp_path: Path, password: str, is_taken: bool
) -> None:
    unit = tmp_path / "job.service"
    unit.write_text(f"[Service]\nEnvironment=URL=a:{password}@db\nExecStart=/bin/true\n")

    assert "`%%40`" in text_of(PAGE)
    assert (verified(unit) == "") == is_taken


def verified(*units: Path) -> str:
    """What systemd says of units."""
    command = ["systemd-analyze", "verify", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize("page", HOUSEKEEPING)
def test_prune_has_the_url_of_the_role_that_may_delete(page: str) -> None:
    [crontab] = [block.text for block in blocks(page, "text") if " prune " in block.text]
    before_prune = crontab[: crontab.index(" prune ")]

    assert re.findall(r"_FILE=(\S+)", before_prune)[-1] == "/etc/runguard/migrator-url"


def test_the_commands_of_manifests_run(tmp_path: Path) -> None:
    session = Session(tmp_path)
    manifests = [block.text for page in PAGES for block in blocks(page, "yaml")]
    commands = [found for text in manifests for found in re.findall(r"command: (\[.*\])", text)]

    store = {"RUNGUARD_DATABASE_URL": f"sqlite:///{tmp_path / 'runguard.db'}"}
    environ = {**os.environ, **session.environment, **store}
    assert commands
    for command in map(json.loads, commands):
        assert session._run_bare(shlex.join(command), environ) == ""


def test_a_wrong_line_of_a_crontab_would_be_noticed(tmp_path: Path) -> None:
    session = Session(tmp_path)
    with pytest.raises(AssertionError, match="runguard: not found"):
        session.schedule("5 * * * *  runguard reap --quiet\n")
    with pytest.raises(AssertionError, match="cron mails"):
        session.schedule("PATH=/opt/app/.venv/bin:/bin\n5 * * * *  runguard reap\n")
