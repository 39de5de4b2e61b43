"""Metrics: what a job's rows become, read back by Prometheus' own parser; and what reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from runguard._exposition import exposition
from runguard._monitor.health import describe
from runguard._monitor.metrics import DeliveryCount, OpenIncidents, Standing, gauges_of
from runguard._monitor.records import RunCell
from runguard._monitor.watched import ExpectedJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._monitor.records import JobOverview

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[2] / "examples" / "prometheus"
HOSTILE = 'a "quoted"\\\nname 한국어 {} \udc80'


def cell(status: str, *, ago: int, seconds: float | None) -> RunCell:
    started_at = NOW - timedelta(hours=ago)
    finished_at = None if seconds is None else started_at + timedelta(seconds=seconds)
    return RunCell(ago, status, None, started_at, finished_at)


def overview(name: str = "sync", *strip: RunCell, **facts: Any) -> JobOverview:
    return describe(
        name,
        list(strip),
        last_success_at=facts.pop("last_success_at", None),
        open_alerts=None,
        running=facts.pop("running", 0),
        running_since=None,
        **facts,
    )


def values_of(
    standing: Standing, *, read: Any = text_string_to_metric_families
) -> dict[Any, float]:
    """Every sample by its name and labels, as the parser reads them."""
    accept = "application/openmetrics-text; version=1.0.0" if read is openmetrics_families else ""
    text, _ = exposition(gauges_of(standing), accept=accept)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in read(text.decode())
        for sample in family.samples
    }


def of_job(metric: str, name: str = "sync", environment: str = "", **labels: str) -> Any:
    its = {"job": name, "environment": environment, **labels}
    return (f"runguard_job_{metric}", *sorted(its.items()))


def test_the_newest_finished_run_gives_status_and_duration_while_another_runs() -> None:
    strip = (
        cell("RUNNING", ago=1, seconds=None),
        cell("FAILED", ago=2, seconds=7.5),
        cell("SUCCESS", ago=3, seconds=60),
    )

    values = values_of(Standing(jobs=[overview("sync", *strip, running=1)]))

    assert values[of_job("last_status", status="FAILED")] == 1
    assert values[of_job("last_status", status="SUCCESS")] == 0
    assert values[of_job("last_duration_seconds")] == 7.5
    assert values[of_job("running")] == 1
    assert values[of_job("last_start_timestamp_seconds")] == (NOW - timedelta(hours=1)).timestamp()
    assert values[of_job("last_success_timestamp_seconds")] == pytest.approx(
        (NOW - timedelta(hours=3) + timedelta(seconds=60)).timestamp()
    )


def test_a_fact_that_is_not_known_has_no_value() -> None:
    values = values_of(Standing(jobs=[overview()]))

    assert {name for name, *labels in values if ("job", "sync") in labels} == {
        "runguard_job_running",
        "runguard_job_open_alerts",
    }
    assert not any(name == "runguard_spool_records" for name, *_ in values)


def test_what_is_expected_gives_the_next_due_start_and_its_grace() -> None:
    expected = ExpectedJob(environment="staging", next_due_at=NOW, grace_seconds=300)
    job = overview("sync", environment="staging", expected=expected)

    values = values_of(Standing(jobs=[job]))

    assert values[of_job("next_due_timestamp_seconds", environment="staging")] == NOW.timestamp()
    assert values[of_job("grace_seconds", environment="staging")] == 300


@pytest.mark.parametrize("read", [text_string_to_metric_families, openmetrics_families])
def test_any_name_comes_back_from_either_format(read: Any) -> None:
    standing = Standing(
        jobs=[overview(HOSTILE)],
        incidents=[OpenIncidents("FAILED", "high", 3)],
        deliveries=[DeliveryCount("oncall", "dead", 2)],
        rounds=[("monitor", NOW)],
        spool_records=4,
    )

    values = values_of(standing, read=read)

    assert values[of_job("running", HOSTILE.replace("\udc80", "\\udc80"))] == 0
    assert values["runguard_incidents_open", ("severity", "high"), ("type", "FAILED")] == 3
    assert values["runguard_deliveries", ("channel", "oncall"), ("state", "dead")] == 2
    assert (
        values["runguard_monitor_last_round_timestamp_seconds", ("kind", "monitor")]
        == NOW.timestamp()
    )
    assert values[("runguard_spool_records",)] == 4


def dashboard_queries() -> Iterator[str]:
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$job", ".*").replace("$environment", ".*")
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, _, label = (
                variable["definition"].removesuffix(")").partition("(")[2].partition(", ")
            )
            yield f"count by ({label}) ({metric})"


def rule_queries() -> Iterator[str]:
    for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def selectors_in(expression: Any) -> Iterator[Any]:
    """Every vector selector of a query that the parser has read."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs"):
        if (part := getattr(expression, name, None)) is not None:
            yield from selectors_in(part)
    for part in getattr(expression, "args", None) or ():
        yield from selectors_in(part)


@pytest.mark.parametrize("query", [*dashboard_queries(), *rule_queries()])
def test_each_query_of_the_dashboard_and_the_rules_asks_for_what_there_is(query: str) -> None:
    labels = {gauge.name: {*gauge.labels} for gauge in gauges_of(Standing())}

    asked = list(selectors_in(promql_parser.parse(query)))

    assert asked
    for selector in asked:
        assert selector.name in labels
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels[selector.name]


def test_the_dashboard_shows_each_metric_that_changes() -> None:
    asked = {
        selector.name
        for query in dashboard_queries()
        for selector in selectors_in(promql_parser.parse(query))
    }

    assert {gauge.name for gauge in gauges_of(Standing())} - asked == {"runguard_build_info"}
