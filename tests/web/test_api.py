"""The JSON API answers with what its own description says."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.web.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client

READS = [
    "/overview",
    "/overview?strip=2",
    "/jobs/payments",
    "/jobs/invoices/monthly",
    "/jobs/%EC%A3%BC%EB%AC%B8%20%EB%8F%99%EA%B8%B0%ED%99%94",
    "/jobs/nightly",
    "/runs",
    "/runs?version=1.4.2&upstream=api.example.org",
    "/runs?job=payments&status=failed&group=http_5xx&trigger=manual&since=24h&limit=2",
    "/runs?since=2026-01-01T00:00:00Z&until=2100-01-01T00:00:00%2B09:00",
    "/runs?since=9999999w&until=9999-12-31T23:59:59-12:00",
    "/runs?since=0001-01-01T00:00:00%2B14:00&page=older.9999999999999999.1",
    "/runs/1",
    "/runs/2",
    "/runs/2/explanation",
    "/runs/3/explanation",
    "/alerts",
    "/alerts?type=FAILED&severity=high&resolved=false&order=oldest&since=7d&limit=1",
    "/alerts/1",
    "/failures",
    "/failures?since=30d&bucket=1d&job=payments",
    "/failures?since=9999999w&bucket=9999999w",
    "/session",
    "/silences",
    "/silences?active=true&limit=1",
    "/channels",
]


def described(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    return document


def schema_problems(document: dict[str, Any], path: str, method: str, answer: Any) -> list[str]:
    """Say where an answer is not what the description promises; `path` is the described one."""
    operation = document["paths"][path][method]
    response = operation["responses"][str(answer.status_code)]
    [content] = response["content"].values()
    schema = {
        **content["schema"],
        "components": document["components"],
    }
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return [error.message for error in validator.iter_errors(answer.json())]


def described_path(document: dict[str, Any], path: str) -> str:
    path = path.partition("?")[0]
    forms = {
        one: one.replace("{job_name}", ".+")
        .replace("{run_id}", r"\d+")
        .replace("{alert_id}", r"\d+")
        .replace("{silence_id}", r"\d+")
        for one in document["paths"]
    }
    [found] = [one for one, form in forms.items() if re.fullmatch(form, path)]
    return found


@pytest.mark.parametrize("path", READS)
def test_an_answer_is_what_the_description_says(client: Client, path: str) -> None:
    answer = client.get(f"/api/v1{path}")
    document = described(client)

    assert answer.status_code == 200, answer.text
    assert schema_problems(document, described_path(document, path), "get", answer) == []


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/jobs/paymnets", 404, "did you mean 'payments'?"),
        ("/runs/4711", 404, "There is no run 4711."),
        ("/alerts/4711", 404, "There is no alert 4711."),
        (f"/runs/{2**80}", 404, "There is no run"),
        ("/runs?staus=FAILED", 422, "did you mean 'status'?"),
        ("/runs?status=FAILD", 422, "did you mean 'FAILED'?"),
        ("/runs?group=HTTP_500", 422, "group: expected one of LOCK_CONFLICT"),
        ("/runs?limit=0", 422, "limit: expected a whole number from 1 to 500, found '0'"),
        ("/runs?limit=1&limit=2", 422, "limit: expected one value, found more"),
        ("/runs?since=yesterday", 422, "since: expected a duration such as 90s"),
        ("/runs?since=2026-01-01T00:00:00", 422, "2026-03-01T02:30Z, with its zone, found"),
        ("/runs?job=%00", 422, "none of them NUL"),
        ("/runs?job=", 422, "job: expected a text of 1 to 1000 characters"),
        ("/runs?page=1", 422, "page: expected the `older` or `newer` of an earlier answer"),
        ("/runs?page=following.1.1", 422, "page: expected the `older` or `newer`"),
        (f"/alerts?page=following.1.{2**63}", 422, "page: expected the `following`"),
        ("/alerts?resolved=maybe", 422, "resolved: expected true or false"),
        ("/failures?bucket=30s", 422, "bucket: expected a duration"),
        ("/nothing", 404, "There is no page at '/api/v1/nothing'."),
    ],
)
def test_what_cannot_be_answered_says_expected_and_found(
    file_client: Client, path: str, status: int, said: str
) -> None:
    answer = file_client.get(f"/api/v1{path}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "remedy"}
    assert answer.json()["status"] == status
    assert said in answer.json()["detail"]
    assert "go back" not in answer.json()["remedy"]


def test_the_root_of_the_api_leads_to_everything_in_it(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    host = Starlette(routes=[Mount("/ops", application_at(filled_file))])
    client = client_of(host)
    found = client.get("/ops/api/v1/").json()

    assert found["runs"] == "/ops/api/v1/runs"
    assert {client.get(address).status_code for address in found.values()} == {200}


def test_applications_share_routes_so_that_schemas_are_made_once(
    filled_file: str, application_at: Callable[..., Any]
) -> None:
    first, second = (application_at(filled_file) for _ in range(2))
    of_the_api = [route for route in first.routes if route.path.startswith("/api/")]

    assert of_the_api
    assert all(any(route is other for other in second.routes) for route in of_the_api)


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/runs/", "/api/v1/runs/1/", "/runs/", "/alerts/1/"]
)
def test_a_slash_too_many_or_too_few_leads_to_the_right_address(
    file_client: Client, path: str
) -> None:
    answer = file_client.get(path)
    there = file_client.get(answer.headers["location"].removeprefix("http://localhost:8722"))

    assert answer.status_code == 307
    assert answer.headers["location"].partition("?")[2] == path.partition("?")[2]
    assert there.status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/openapi.json", "/", "/health"])
def test_head_answers_as_get_does_without_a_body(file_client: Client, path: str) -> None:
    answer = file_client.request("HEAD", path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == file_client.get(path).headers["content-type"]


def test_a_detail_that_another_program_wrote_is_any_json(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    with contextlib.closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute("update alert set detail = '[1, \"x\"]' where id = 1")
        connection.commit()
    client = client_of(application_at(filled_file))
    answer = client.get("/api/v1/alerts/1")

    assert answer.json()["alert"]["detail"] == [1, "x"]
    assert schema_problems(described(client), "/alerts/{alert_id}", "get", answer) == []


def test_a_text_with_half_a_character_is_answered(
    sqlite_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    from runguard._web.json_answer import JsonAnswer

    assert JsonAnswer({"text": "\ud83d"}).body == b'{"text":"\\ud83d"}'


def test_a_method_that_is_not_there_is_405_and_says_which_is(file_client: Client) -> None:
    answer = file_client.request("DELETE", "/api/v1/runs", json={})

    assert answer.status_code == 405
    assert answer.json()["detail"] == "expected GET, HEAD, found DELETE"


def test_pages_of_runs_follow_each_other_without_gap_or_repeat(client: Client) -> None:
    seen: list[int] = []
    cursor, newer = "", None
    while True:
        page = client.get(f"/api/v1/runs?limit=2{cursor}").json()
        seen += [run["id"] for run in page["runs"]]
        if page["older"] is None:
            break
        cursor, newer = f"&page={page['older']}", newer or page["newer"]
    everything = [run["id"] for run in client.get("/api/v1/runs?limit=500").json()["runs"]]
    back = client.get(f"/api/v1/runs?limit=2&page={newer}").json()

    assert seen == everything
    assert [run["id"] for run in back["runs"]] == everything[:2]


def test_so_many_stretches_are_not_counted(file_client: Client) -> None:
    answer = file_client.get("/api/v1/failures?since=365d&bucket=1m").json()
    since = datetime.fromisoformat(answer["since"])

    assert datetime.now(UTC) - since < timedelta(minutes=2001)
    assert sum(bucket["failures"] for bucket in answer["buckets"]) == 5


def test_filters_choose(client: Client) -> None:
    runs = client.get("/api/v1/runs?trigger=scheduler").json()["runs"]
    failed = client.get("/api/v1/runs?job=payments&status=FAILED").json()["runs"]
    open_alerts = client.get("/api/v1/alerts?type=NEW").json()["alerts"]

    assert [run["job_name"] for run in runs] == ["invoices/monthly"]
    assert [run["alert_outcome"] for run in failed] == ["suppressed", "suppressed", "raised"]
    assert [alert["title"] for alert in open_alerts] == [HOSTILE]


def test_the_overview_begins_with_what_is_broken(client: Client) -> None:
    jobs = client.get("/api/v1/overview").json()["jobs"]

    assert [one["job"]["job_name"] for one in jobs][-1] == "nightly"
    assert [one["state"] for one in jobs] == ["failing", "failing", "failing", "ok"]


def test_a_run_is_explained_in_sentences(client: Client) -> None:
    raised, covered = (client.get(f"/api/v1/runs/{run_id}/explanation").json() for run_id in (2, 3))

    assert raised["standing"] == "still failing"
    assert raised["headline"].startswith("payments failed")
    assert any("alert 1" in reason["text"] for reason in covered["reasons"])


def test_times_are_utc_and_texts_are_whole(client: Client) -> None:
    [run] = client.get("/api/v1/runs", params={"job": "주문 동기화"}).json()["runs"]

    assert run["error_message"] == HOSTILE
    assert run["started_at"].endswith("+00:00")


def test_alerts_are_resolved_with_who_and_when(client: Client) -> None:
    document = described(client)
    body = {"alert_ids": [1, 4711], "by": "jiwon"}
    resolved = client.post("/api/v1/alerts/resolve", json=body)
    reopened = client.post("/api/v1/alerts/resolve", json={"alert_ids": [1], "resolved": False})

    assert schema_problems(document, "/alerts/resolve", "post", resolved) == []
    [alert] = resolved.json()["alerts"]
    assert (alert["resolved"], alert["resolved_by"]) == (True, "jiwon")
    assert alert["resolved_at"] is not None
    assert resolved.json()["unknown"] == [4711]
    assert reopened.json()["alerts"][0]["resolved"] is False


def test_a_review_status_is_set(client: Client) -> None:
    body = {"alert_ids": [1, 2], "review_status": "FALSE_ALARM"}
    answer = client.post("/api/v1/alerts/review", json=body)

    assert schema_problems(described(client), "/alerts/review", "post", answer) == []
    statuses = {alert["id"]: alert["review_status"] for alert in answer.json()["alerts"]}
    assert statuses == {1: "FALSE_ALARM", 2: "FALSE_ALARM"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("resolve", [], "expected a JSON object, found 'list'"),
        ("resolve", {}, "alert_ids: expected a value, found none"),
        ("resolve", {"alert_ids": []}, "alert_ids: expected a list of 1 to 1000 ids"),
        ("resolve", {"alert_ids": ["1"]}, "alert_ids: expected a list of 1 to 1000 ids"),
        ("resolve", {"alert_ids": [True]}, "alert_ids: expected"),
        ("resolve", {"alert_ids": [2**63]}, "alert_ids: expected"),
        ("resolve", {"alert_ids": list(range(1, 1002))}, "alert_ids: expected"),
        ("resolve", {"alert_ids": [1], "resolved": "yes"}, "resolved: expected true or false"),
        ("resolve", {"alert_ids": [1], "resolve": True}, "did you mean 'resolved'?"),
        ("resolve", {"alert_ids": [1], "by": "\0"}, "by: expected a name"),
        ("resolve", {"alert_ids": [1], "by": "x" * 129}, "by: expected a name"),
        ("review", {"alert_ids": [1]}, "review_status: expected"),
        ("review", {"alert_ids": [1], "review_status": 1}, "review_status: expected"),
        ("review", {"alert_ids": [1], "review_status": "DOEN"}, "did you mean 'DONE'?"),
    ],
)
def test_a_body_that_cannot_be_used_is_422(
    file_client: Client, path: str, body: Any, said: str
) -> None:
    answer = file_client.post(f"/api/v1/alerts/{path}", json=body)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_name_with_half_a_character_is_refused(file_client: Client) -> None:
    answer = file_client.post(
        "/api/v1/alerts/resolve",
        content=b'{"alert_ids": [1], "by": "\\ud83d"}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"alert_ids=1", "application/x-www-form-urlencoded", 415),
        (b'{"by": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    file_client: Client, content: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    answer = file_client.post("/api/v1/alerts/resolve", content=content, headers=headers)

    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_every_described_operation_exists_and_every_record_is_described(
    file_client: Client,
) -> None:
    document = described(file_client)
    known = {"JobOverview", "RunDetails", "AlertDetails", "CooldownState", "LockState"}

    assert document["openapi"] == "3.1.0"
    assert known <= set(document["components"]["schemas"])
    for path, operations in document["paths"].items():
        for method in operations:
            sent = {"json": {}} if method == "post" else {}
            address = path.replace("{job_name}", "payments").replace("{run_id}", "1")
            address = address.replace("{alert_id}", "1").replace("{silence_id}", "1")
            answer = file_client.request(method.upper(), f"/api/v1{address}", **sent)
            # There is no silence to end, and no incident whose acknowledgement ends.
            assert answer.status_code in (200, 404, 409, 422), (path, method)
            assert "There is no page" not in answer.text


def test_the_description_says_where_it_is_mounted(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    host = Starlette(routes=[Mount("/ops/runguard", application_at(filled_file))])
    document = client_of(host).get("/ops/runguard/api/v1/openapi.json").json()

    assert document["servers"] == [{"url": "/ops/runguard/api/v1"}]


def test_an_empty_store_answers_with_nothing(
    store_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(store_url))
    overview, runs = (client.get(f"/api/v1/{path}").json() for path in ("overview", "runs"))

    assert overview["jobs"] == []
    assert runs == {"runs": [], "older": None, "newer": None}


def test_numbers_that_json_does_not_know_are_null(sqlite_url: str, client_of: Any) -> None:
    from runguard._web.json_answer import plain

    assert json.dumps(plain({"x": [float("nan"), float("inf"), 1.5]}), allow_nan=False) == (
        '{"x": [null, null, 1.5]}'
    )
