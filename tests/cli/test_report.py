"""`report`: over what time, in which form, and into which file."""

from __future__ import annotations

import html.parser
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runguard._store.queries import pages
from tests.cli.conftest import HOSTILE
from tests.cli.test_process import WITHOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(html.parser.HTMLParser):
    """What a page holds: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_since_may_be_a_duration_or_a_time(cli: Cli, filled_url: str) -> None:
    def groups(*options: str) -> list[str]:
        answer = cli("report", *options, "--json", "--database-url", filled_url)
        return [count["error_group"] for count in answer.json]

    assert len(groups("--since", "7d")) == 3
    assert len(groups("--since", "2026-01-01")) == 3
    assert len(groups("--hours", "2")) == 3
    assert groups("--since", "2999-01-01T00:00Z") == []


@pytest.mark.parametrize(
    "options",
    [
        ["--since", "1h", "--hours", "2"],
        ["--json", "--format", "html"],
        ["--watch", "--format", "csv"],
        ["--watch", "-o", "x"],
        ["--format", "pdf"],
    ],
)
def test_what_contradicts_itself_is_wrong_usage(
    cli: Cli, sqlite_url: str, options: list[str]
) -> None:
    answer = cli("report", *options, "--database-url", sqlite_url)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "expected" in answer.stderr


def test_the_page_has_the_charts_and_what_broke(cli: Cli, filled_url: str) -> None:
    answer = cli("report", "--format", "html", "--database-url", filled_url)
    page = Page(answer.stdout)

    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "3 of 3 jobs are failing." in page.text
    drawn = [attributes["class"] for tag, attributes in page.tags if tag == "svg"]
    charts = [name for name in drawn if not name.startswith("swatch")]
    assert charts == ["plot failures", "strip", "strip", "strip"]
    assert "HTTP 503 Service Unavailable" in page.text
    assert "[red]주문[/red]" in page.text


def test_the_page_of_one_job_tells_of_no_other(cli: Cli, filled_url: str) -> None:
    options = ["--format", "html", "--job", "invoices"]
    page = Page(cli("report", *options, "--database-url", filled_url).stdout)

    assert "invoices is failing." in page.text
    assert "payments" not in page.text


def test_the_page_asks_for_nothing_and_runs_nothing(cli: Cli, filled_file: str) -> None:
    text = cli("report", "--format", "html", "--database-url", filled_file).stdout
    page = Page(text)

    assert not {"script", "link", "img", "iframe", "object", "a"} & {tag for tag, _ in page.tags}
    assert not [
        name
        for _, attributes in page.tags
        for name in attributes
        if name.startswith("on") or name in {"src", "href", "srcset", "action", "style"}
    ]
    assert not re.search(r"url\(|@import|https?:", text)


def test_hostile_texts_are_shown_as_text(cli: Cli, filled_file: str) -> None:
    plain = Page(cli("report", "--format", "html", "--database-url", filled_file).stdout)
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute("update run_log set job_name = job_name || ?", [SCRIPT])
        connection.execute("update run_log set error_message = ?", [SCRIPT + HOSTILE])
        connection.execute("update alert set title = ?", [SCRIPT])
        connection.commit()

    page = Page(cli("report", "--format", "html", "--database-url", filled_file).stdout)

    assert page.text.count(SCRIPT) > 9
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}


def test_the_page_of_an_empty_store_says_so(cli: Cli, store_url: str) -> None:
    answer = cli("report", "--format", "html", "--database-url", store_url)

    assert answer.exit_code == 0
    assert "No job was ever recorded here." in Page(answer.stdout).text


def test_a_file_is_written_over_what_is_there(cli: Cli, filled_file: str, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    file = folder / "report.html"
    file.write_text("yesterday")
    file.chmod(0o640)
    link = folder / "link.html"
    link.symlink_to(file)

    answer = cli("report", "--format", "html", "-o", str(link), "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert answer.stderr == f"Written to {link}.\n"
    assert file.read_text().startswith("<!doctype html>")
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert {path.name for path in folder.iterdir()} == {"report.html", "link.html"}


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_every_form_goes_into_a_file_as_into_a_pipe(
    cli: Cli, filled_file: str, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "report"
    options = ["report", "--format", form, "--database-url", filled_file]

    cli(*options, "-o", str(file), FORCE_COLOR="1", TERM="xterm")

    assert file.read_text() == cli(*options, "-o", "-").stdout


def test_a_file_that_cannot_be_written_is_named(cli: Cli, filled_file: str, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "report.html"

    answer = cli("report", "--format", "html", "-o", str(file), "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert str(file) in answer.stderr
    assert "No such file or directory" in answer.stderr


def test_without_the_web_extra_the_line_that_installs_it_is_printed(filled_file: str) -> None:
    arguments = ["runguard", "report", "--format", "html", "--database-url", filled_file]
    script = WITHOUT.format(name="jinja2").replace('["runguard", "runs"]', json.dumps(arguments))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'runguard-runlog[web]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_shows_what_is_rare_however_far_back_it_is(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LOOKS_THROUGH", 1)
    options = ["--format", "html", "--job", "pay*"]

    text = cli("report", *options, "--database-url", filled_file).stdout

    assert text.count("HTTP 503 Service Unavailable") >= 2
