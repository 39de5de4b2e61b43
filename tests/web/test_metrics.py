"""`/metrics`: from the rows, behind the same login as the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from runguard._web.auth.access import Access
from tests.support.told import deliver
from tests.web.conftest import TOKEN
from tests.web.test_page_queries import asked_by

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pytest
    from starlette.applications import Starlette

    from tests.web.conftest import Client


def values_in(answer: httpx.Response) -> dict[str, dict[str, float]]:
    """The values of each metric by the first label, such as the job."""
    assert answer.status_code == 200
    return {
        family.name: {
            "/".join(value for _, value in sorted(sample.labels.items()) if value): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(answer.text)
    }


def test_the_metrics_are_those_of_the_rows(
    filled_url: str, client_of: Callable[..., Client], application_at: Callable[..., Starlette]
) -> None:
    deliver(filled_url, 1, state="dead")
    client = client_of(application_at(filled_url, count_waiting=lambda: 5))

    values = values_in(client.get("/metrics"))

    assert values["runguard_job_last_status"]["payments/FAILED"] == 1
    assert values["runguard_job_last_status"]["nightly/SUCCESS"] == 1
    assert set(values["runguard_job_last_success_timestamp_seconds"]) == {"payments", "nightly"}
    assert values["runguard_job_open_alerts"]["주문 동기화"] == 1
    assert values["runguard_deliveries"] == {"oncall/dead": 1}
    assert values["runguard_spool_records"] == {"": 5}


def test_a_scraper_gets_the_format_that_it_prefers(file_client: Client) -> None:
    accept = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"

    answer = file_client.get("/metrics", headers={"Accept": accept})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_metrics_stand_behind_the_login(
    filled_file: str, client_of: Callable[..., Client], application_at: Callable[..., Starlette]
) -> None:
    client = client_of(application_at(filled_file, access=Access.by_login(token=TOKEN)))

    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_without_the_library_it_says_what_to_install(
    file_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)

    answer = file_client.get("/metrics", headers={"Accept": "application/json"})

    assert answer.status_code == 501
    assert "runguard-runlog[metrics]" in answer.json()["detail"]


def test_the_number_of_statements_does_not_depend_on_the_number_of_jobs(
    client: Client, statements: list[str]
) -> None:
    assert asked_by(client, "/metrics", statements) <= 11, "\n\n".join(statements)
