"""Every block of the documentation does what it says, or a reason stands here why it is not run.

`make docs-outputs` writes what was really printed into the pages.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import make_url

from tests.usage.docs.pages import PAGES, ROOT, Block, blocks, text_of
from tests.usage.docs.session import QUEUE, REDIS, SERVER, Session

if TYPE_CHECKING:
    from pathlib import Path

# Read here once: inside a test the environment holds no RUNGUARD_ name.
IS_REWRITTEN: Final = bool(os.environ.get("RUNGUARD_TEST_DOCS_OUTPUTS"))
RUN_HERE: Final = {"python", "console", "text", "ini", "toml"}

RUN_ELSEWHERE: Final = {
    "docs/howto/least-privilege.md": "tests/faults/privileges/conftest.py",
    "docs/reference/tables.md": "tests/usage/docs/test_statements.py",
}
"""The test that runs the SQL of a page."""

NOT_RUN: Final = {
    'docs/howto/housekeeping.md: psql "$DATABASE_URL" --single-transaction'
    " --set ON_ERROR_STOP=1 -f examples/partitioned_run_log.sql": (
        "psql may be missing; tests/store/test_partitioning.py runs the file"
    ),
    "docs/howto/who-delivers.md: # monitor.yaml": (
        "it needs a cluster; tests/usage/docs/test_recipes.py runs its command"
    ),
    "docs/howto/watch-jobs.md: # report.yaml": (
        "it needs a cluster; tests/usage/docs/test_recipes.py runs its command"
    ),
    "docs/integrations/pg_cron.md: PATH=/opt/app/.venv/bin:/usr/bin:/bin": (
        "it needs pg_cron; tests/rounds/test_pg_cron.py runs the command"
    ),
    "docs/integrations/prometheus.md: # prometheus.yml": (
        "it needs Prometheus; tests/web/test_metrics.py scrapes with a token"
    ),
    "docs/integrations/celery.md: $ celery -A tasks worker": (
        "it needs a broker; tests/integrations/test_celery.py runs workers"
    ),
    **dict.fromkeys(
        (
            "docs/integrations/elsewhere.md: from airflow.sdk import dag, task",
            "docs/integrations/elsewhere.md: from prefect import flow, task",
            "docs/integrations/elsewhere.md: from dagster import RetryPolicy, asset, op",
            "docs/integrations/elsewhere.md: import papermill",
        ),
        "its library is large, and needs a server or a kernel: it was tried by hand",
    ),
}
"""The blocks that nothing runs, and why."""

ALL: Final = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, *RUN_HERE)])
def test_a_reader_can_follow_the_page(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text, servers = text_of(page), {}
    if SERVER in text:
        empty = "runguard db upgrade" in text
        servers[SERVER] = str(request.getfixturevalue("pg_url" if empty else "migrated_pg_url"))
    if QUEUE in text:
        url = make_url(request.getfixturevalue("pg_url"))
        servers[QUEUE] = url.set(drivername="postgresql").render_as_string(hide_password=False)
    if REDIS in text:
        servers[REDIS] = str(request.getfixturevalue("redis_url"))
    session = Session(tmp_path / "page", servers=servers)

    for block in blocks(page, *RUN_HERE):
        if block.name in NOT_RUN:
            continue
        real = session.follow(block)
        if IS_REWRITTEN:
            rewrite(block, real)
        else:
            assert block.text == real


def test_every_block_is_run_or_says_why_not() -> None:
    not_here = {block.name for block in ALL if block.language not in RUN_HERE | {"sql"}}

    assert not_here <= set(NOT_RUN)
    assert {block.page for block in ALL if block.language == "sql"} == set(RUN_ELSEWHERE)
    assert set(NOT_RUN) <= {block.name for block in ALL}


def test_a_file_that_a_reader_saves_is_used_by_a_command_of_the_page() -> None:
    saved = [block for block in ALL if block.file]
    unused = [
        block.name
        for block in saved
        if not any(
            str(block.file) in one.text or str(block.file).replace("py", "") in one.text
            for one in blocks(block.page, "console")
        )
        and f"from {str(block.file).removesuffix('.py')} import" not in text_of(block.page)
    ]

    assert saved
    assert unused == []


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_the_sql_of_a_page_is_read_by_its_test(page: str) -> None:
    test = (ROOT / RUN_ELSEWHERE[page]).read_text(encoding="utf-8")

    assert page.rpartition("/")[2] in test


@pytest.mark.parametrize("page", PAGES)
def test_a_relative_link_leads_to_a_file(page: str) -> None:
    folder = (ROOT / page).parent
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text_of(page))

    assert [target for target in targets if not (folder / target).exists()] == []


def rewrite(block: Block, real: str) -> None:
    path = ROOT / block.page
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"```console\n{block.text}```", f"```console\n{real}```"))
