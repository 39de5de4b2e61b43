"""What others wrote turns no page around, and hides nothing: in texts, titles and charts."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from typing import TYPE_CHECKING

import pytest
from jinja2 import Environment, nodes

import runguard
from runguard import testing
from runguard._monitor.filters import read_duration
from runguard._web import rendering, report
from runguard._web.foreign_texts import isolated, spelled
from tests.web.conftest import fail
from tests.web.reading import Element, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from runguard._store.operator import OperatorStore
    from tests.web.conftest import Client

HEBREW = "שלום"
TURNING = f"night\u202egnp.exe \x1b[31m{HEBREW} 5"
MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066\u2067]")
# Exact ones: the address of a page, the value that a form sends back.
EXACT = {"value", "href", "action", "hx-get", "datetime"}
FOREIGN = {
    "run_log": ("job_name", "error_message", "host", "error_type"),
    "alert": ("source_type", "source_id", "alert_type"),
    "job_lock": ("job_name", "locked_by"),
}
PLACES = ["/", "/jobs/{job}", "/runs", "/runs?job={job}", "/runs/2", "/alerts", "/alerts/1"]


@pytest.fixture
def turned(sqlite_url: str, filled_file: str) -> str:
    """A store where names and messages turn the direction of what stands around them."""
    runguard.configure(database_url=filled_file)
    for _ in range(2):
        fail("turning", TURNING)
    with runguard.run_scope("turning", lock=True) as run:
        run.emit_alert(
            "turning",
            source_type="turning",
            source_id="turning",
            severity="low",
            title=TURNING,
            message=TURNING,
            detail={TURNING: TURNING, "job_name": TURNING},
        )
    testing.reset()
    # Other programs write rows too: runguard takes no such name.
    with contextlib.closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        for table, columns in FOREIGN.items():
            for column in columns:
                connection.execute(
                    f"update {table} set {column} = replace({column}, 'turning', ?)", (TURNING,)
                )
        connection.commit()
    return filled_file


def unguarded(page: Page) -> list[str]:
    """Everything on a page that could turn its surroundings."""
    found = []
    for element in page.all():
        for name, value in element.attributes.items():
            if name not in EXACT and (MARKS.search(value) or _bare(value)):
                found.append(f"{element.tag} {name}={value!r}")
        own = element.text
        if MARKS.search(own):
            found.append(f"<{element.tag}> {own[:80]!r}")
        leaf = not element.children and element.tag != "bdi" and not _is_within_bdi(element)
        if leaf and _bare(own):
            found.append(f"<{element.tag}> {own[:80]!r} is not isolated")
    return found


def _bare(text: str) -> bool:
    return HEBREW in re.sub("\u2068[^\u2069]*\u2069", "", text)


def _is_within_bdi(element: Element) -> bool:
    parent = element.parent
    return parent is not None and (parent.tag == "bdi" or _is_within_bdi(parent))


def test_no_page_and_no_report_is_turned_around(
    turned: str,
    application_at: Callable[..., object],
    client_of: Callable[..., Client],
    open_store_at: Callable[[str], OperatorStore],
) -> None:
    store = open_store_at(turned)
    client = client_of(application_at(turned))
    job = rendering.quote(TURNING, safe="")
    run_id = store.last_runs(TURNING, limit=5)[-1].id
    alert_id = max(one for one in range(1, 20) if store.alert_details(one))
    paths = [*(place.format(job=job) for place in PLACES), f"/runs/{run_id}"]
    paths += [f"/alerts/{alert_id}", "/jobs/nothing%20of%20" + job]
    texts = [client.get(path).text for path in paths]
    week = read_duration("7d")
    counts = store.failures_by_group(since=week)
    texts.append(report.report_page(store, counts, since=week, jobs=[TURNING]))

    for path, text in zip([*paths, "report"], texts, strict=True):
        assert HEBREW in text or path in ("/runs/2", "/alerts/1"), path
        assert unguarded(Page(text)) == [], path
        assert r"\u202e" in text or path in ("/runs/2", "/alerts/1"), path


def test_only_what_is_written_from_right_to_left_is_isolated() -> None:
    assert isolated(f"run of {HEBREW} 5 failed") == f"run of <bdi>{HEBREW}</bdi> 5 failed"
    assert isolated("<b> 주문 동기화") == "&lt;b&gt; 주문 동기화"
    assert spelled(f'"{HEBREW}" 5') == f"&#34;\u2068{HEBREW}\u2069&#34; 5"
    assert isolated(f"{HEBREW}\n5 {HEBREW}") == f"<bdi>{HEBREW}</bdi>\n5 <bdi>{HEBREW}</bdi>"
    assert isolated("a\tline\nand\x00one") == "a\tline\nand\\x00one"


@pytest.mark.parametrize("environment", [rendering._environment(), report._environment()])
def test_no_template_shows_a_text_past_the_filters(environment: Environment) -> None:
    shown = 0
    for name in environment.list_templates(extensions=["html"]):
        source = environment.loader.get_source(environment, name)[0]  # type: ignore[union-attr]
        assert not re.search(r"\|\s*safe\b", source), name
        for output in environment.parse(source, name).find_all(nodes.Output):
            for one in output.nodes:
                if isinstance(one, nodes.Filter) and one.name in ("isolated", "spelled"):
                    shown += 1

    assert shown > 100
