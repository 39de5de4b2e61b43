"""Silences, acknowledgements, and who was told: on the pages and in the JSON API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.told import LONG_AGO, deliver, look, open_incident
from tests.web.reading import Page
from tests.web.test_api import described, schema_problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client

SILENCE = {"job": "pay*", "ends_at": "2h", "reason": "database upgrade", "by": "kim"}
FORM = {"job": "pay*", "for": "2h", "reason": "database upgrade", "by": "kim"}


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    page = Page(answer.text)
    assert (answer.status_code, page.faults) == (200, [])
    return page.text


def add_silence(client: Client, **fields: Any) -> Any:
    return client.post("/api/v1/silences", json={**SILENCE, **fields})


def test_a_silence_is_added_listed_and_ended_by_programs(client: Client) -> None:
    document = described(client)
    added = add_silence(client, error_group="http_5xx")
    later = add_silence(client, job="nightly", starts_at="2100-01-01T00:00:00Z")
    active = client.get("/api/v1/silences?active=true").json()["silences"]
    ended = client.post(f"/api/v1/silences/{active[0]['silence']['id']}/end", json={"by": "lee"})

    assert schema_problems(document, "/silences", "post", added) == []
    assert schema_problems(document, "/silences/{silence_id}/end", "post", ended) == []
    silence = added.json()["silence"]
    assert (added.json()["state"], later.json()["state"]) == ("active", "planned")
    assert (silence["job"], silence["error_group"]) == ("pay*", "HTTP_5XX")
    assert silence["created_by"] == "kim"
    length = datetime.fromisoformat(silence["ends_at"]) - datetime.fromisoformat(
        silence["starts_at"]
    )
    assert abs(length - timedelta(hours=2)) < timedelta(minutes=1)
    assert [one["silence"]["job"] for one in active] == ["pay*"]
    assert (ended.json()["state"], ended.json()["silence"]["ended_by"]) == ("ended", "lee")
    assert client.get("/api/v1/silences?active=true").json()["silences"] == []


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"ends_at": None}, 422, "ends_at: expected a duration such as 90s"),
        ({"ends_at": "2026-01-01T00:00:00Z"}, 409, "expected a time that is still to come"),
        (
            {"starts_at": "2100-01-02T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z"},
            409,
            "expected a time after the start",
        ),
        ({"reason": "  "}, 422, "reason: expected a text"),
        ({"job": ""}, 422, "job: expected a text"),
        ({"error_group": "HTTP_500"}, 422, "error_group: expected one of LOCK_CONFLICT"),
        ({"until": "2h"}, 422, "found 'until'"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(
    file_client: Client, fields: dict[str, Any], status: int, said: str
) -> None:
    answer = add_silence(file_client, **fields)

    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert file_client.get("/api/v1/silences").json()["silences"] == []


def test_nothing_is_muted_without_an_end(file_client: Client) -> None:
    body = {name: text for name, text in SILENCE.items() if name != "ends_at"}
    answer = file_client.post("/api/v1/silences", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"] == "ends_at: expected a value, found none"


def test_an_incident_is_acknowledged_and_that_is_taken_back(
    filled_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(filled_url))
    document = described(client)
    nothing = client.post("/api/v1/alerts/4/ack", json={"until": "4h", "reason": "vendor"})
    body = {"until": "4h", "reason": "vendor is told", "by": "kim"}
    acked = client.post("/api/v1/alerts/1/ack", json=body)
    trail = client.get("/api/v1/alerts/1").json()["trail"]
    back = client.post("/api/v1/alerts/1/unack", json={"by": "kim"})

    assert (nothing.status_code, nothing.json()["status"]) == (409, 409)
    assert schema_problems(document, "/alerts/{alert_id}/ack", "post", acked) == []
    assert acked.json()["acked_by"] == trail["incident"]["acked_by"] == "kim"
    assert trail["incident"]["ack_reason"] == "vendor is told"
    assert back.json()["acked_until"] is None


def test_deliveries_are_fields_of_runs_and_alerts(
    filled_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    deliver(filled_url, 1)
    look(filled_url, failures=3, failing_since=LONG_AGO, last_error="HTTP 503")
    client = client_of(application_at(filled_url))
    document = described(client)
    alert, run = client.get("/api/v1/alerts/1"), client.get("/api/v1/runs/2")
    channels = client.get("/api/v1/channels")

    assert schema_problems(document, "/alerts/{alert_id}", "get", alert) == []
    assert schema_problems(document, "/runs/{run_id}", "get", run) == []
    assert schema_problems(document, "/channels", "get", channels) == []
    [delivery] = alert.json()["trail"]["deliveries"]
    assert run.json()["trail"]["deliveries"] == [delivery]
    assert (delivery["channel"], delivery["state"], delivery["kind"]) == (
        "oncall",
        "sent",
        "opened",
    )
    [channel] = channels.json()["channels"]
    assert (channel["standing"], channel["channel"]["last_error"]) == ("failing", "HTTP 503")


def test_the_pages_of_a_run_and_an_alert_say_who_was_told(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(filled_file))
    waiting = text_of(client, "/alerts/1")
    deliver(filled_file, 1, attempts=2)

    assert "Nobody has been told: no process with channels has ever looked." in waiting
    for path in ("/alerts", "/jobs/payments"):
        assert "told: oncall" in text_of(client, path)
    for path in ("/runs/2", "/runs/3", "/alerts/1"):
        assert "oncall was told at 2026-03-01 02:00 UTC on the second try." in text_of(client, path)


@pytest.mark.parametrize(
    "path", ["/", "/jobs/payments", "/runs", "/runs/1", "/alerts", "/alerts/1", "/silences"]
)
def test_a_channel_that_fails_is_said_above_every_page(
    filled_file: str,
    application_at: Callable[..., Any],
    client_of: Callable[..., Client],
    path: str,
) -> None:
    client = client_of(application_at(filled_file))
    assert "Channel hook" not in text_of(client, path)
    look(filled_file, "hook", failures=3, failing_since=LONG_AGO, last_error="HTTP 503")

    said = "Channel hook has been failing since 2026-03-01 02:00 UTC, 3 times in a row: HTTP 503."
    assert said in text_of(client, path)
    if path != "/silences":  # it does not follow what happens
        part = Page(client.get(path, headers={"HX-Request": "true"}).text)
        assert said in part.by_id("banner").text
        assert part.by_id("banner").attributes["hx-swap-oob"] == "true"


def test_a_silence_is_added_and_ended_on_its_page(client: Client) -> None:
    added = client.send_form("/silences", {**FORM, "group": "HTTP_5XX", "until_recovered": "yes"})
    page = Page(client.get(added.headers["location"]).text)
    [row] = [one for one in page.all("tr") if one.attributes.get("id") == "silence-1"]

    assert (added.status_code, added.headers["location"]) == (303, "/silences?done=silenced.1")
    assert "The silence is kept." in page.text
    assert all(
        text in row.text for text in ("pay*", "HTTP_5XX", "database upgrade", "by kim", "recovers")
    )
    ended = client.send_form("/silences/1/end", {"by": "lee"})
    assert "by lee" in text_of(client, ended.headers["location"])
    assert "No notice is muted now." in text_of(client, "/silences")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"for": ""}, "Until: expected how long or a time, since nothing is muted for good"),
        ({"for": "never"}, "Until: expected a duration"),
        ({"until": "2026-01-01T00:00"}, "Until: expected a time that is still to come"),
        ({"from": "2100-01-02T00:00", "until": "2100-01-01T00:00"}, "a time after the start"),
        ({"reason": " "}, "Reason: expected why"),
        ({"job": ""}, "Job: expected the name of a job, or a pattern such as billing.*"),
        ({"group": "HTTP_500"}, "Group: expected one of LOCK_CONFLICT"),
        ({"from": "tomorrow"}, "From: expected"),
    ],
)
def test_a_form_that_cannot_be_used_keeps_what_was_typed(
    file_client: Client, fields: dict[str, str], said: str
) -> None:
    answer = file_client.send_form("/silences", {**FORM, **fields})
    page = Page(answer.text)
    typed = {one.attributes.get("name"): one.attributes.get("value") for one in page.all("input")}

    assert (answer.status_code, page.faults) == (422, [])
    assert page.by_id("fault").text.startswith("Nothing was muted.")
    assert said in page.by_id("fault").text
    assert typed["job"] == fields.get("job", "pay*")
    assert file_client.get("/api/v1/silences").json()["silences"] == []


def test_a_time_without_a_script_is_in_utc(file_client: Client) -> None:
    file_client.send_form("/silences", {**FORM, "until": "2100-01-01T02:30"})
    [found] = file_client.get("/api/v1/silences").json()["silences"]

    assert found["silence"]["ends_at"] == "2100-01-01T02:30:00+00:00"


def test_jobs_runs_and_alerts_lead_to_the_form_filled_in(file_client: Client) -> None:
    for path, wanted in {
        "/jobs/payments": "/silences?job=payments#add",
        "/runs/2": "/silences?job=payments&group=HTTP_5XX#add",
        "/alerts/1": "/silences?job=payments&group=HTTP_5XX#add",
    }.items():
        assert Page(file_client.get(path).text).links()["Silence…"] == wanted
    page = Page(file_client.get("/silences?job=payments&group=HTTP_5XX").text)
    [job] = [one for one in page.all("input") if one.attributes.get("name") == "job"]
    chosen = [one.text for one in page.all("option") if "selected" in one.attributes]

    assert job.attributes["value"] == "payments"
    assert chosen == ["HTTP_5XX", "4 hours"]


def test_a_silence_and_an_acknowledgement_stand_on_the_page_of_the_job(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(filled_file))
    open_incident(filled_file, 1)
    client.send_form("/silences", FORM)
    fields = {"for": "4h", "reason": "vendor is told", "by": "kim"}
    acked = client.send_form("/alerts/1/ack", fields)
    page = Page(client.get(acked.headers["location"]).text)

    assert (acked.status_code, acked.headers["location"]) == (303, "/alerts/1?done=acknowledged.1")
    assert "Acknowledged by kim until" in page.text
    assert "Silence 1 (pay*) mutes notices until" in page.text
    overview = Page(client.get("/").text)
    [row] = [one for one in overview.by_id("jobs").all("tr") if "payments" in one.text]
    assert "silenced acknowledged" in row.text
    of_job = text_of(client, "/jobs/payments")
    assert "Silence 1 mutes notices until" in of_job
    assert "Alert 1 is acknowledged by kim until" in of_job
    assert "Silence 1" not in text_of(client, "/jobs/nightly")
    back = client.send_form("/alerts/1/unack", {"by": "kim"})
    assert back.headers["location"] == "/alerts/1?done=unacknowledged.1"
    assert "Acknowledged by kim" not in text_of(client, "/alerts/1")


def test_an_acknowledgement_needs_an_end_a_reason_and_an_open_incident(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(filled_file))
    fields = {"for": "4h", "reason": "vendor is told"}
    alone = client.send_form("/alerts/4/ack", fields)
    no_reason = client.send_form("/alerts/1/ack", {**fields, "reason": ""})
    no_end = client.send_form("/alerts/1/ack", {**fields, "for": ""})

    assert alone.status_code == 409
    assert "belongs to no open incident" in alone.text
    assert (no_reason.status_code, no_end.status_code) == (422, 422)
    page = Page(no_reason.text)
    assert page.faults == []
    assert "Reason: expected why" in page.by_id("fault").text
    assert page.by_id("watch").attributes["hx-get"] == "/alerts/1"


def test_a_page_that_only_reads_shows_no_form(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    open_incident(filled_file, 1)
    client_of(application_at(filled_file)).send_form("/silences", FORM)
    client = client_of(application_at(filled_file, read_only=True))

    for path in ("/silences", "/alerts/1", "/jobs/payments", "/runs/2"):
        page = Page(client.get(path).text)
        posts = [one for one in page.all("form") if one.attributes.get("method") == "post"]
        assert posts == [], path
        assert "Silence…" not in page.text
    assert client.send_form("/silences", FORM).status_code == 403
    assert client.send_form("/alerts/1/ack", FORM).status_code == 403
    assert add_silence(client).status_code == 403


def test_another_site_mutes_nothing(file_client: Client) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    answer = file_client.send_form("/silences", FORM, headers=headers)

    assert answer.status_code == 403
    assert file_client.get("/api/v1/silences").json()["silences"] == []


def test_what_was_typed_is_never_markup(file_client: Client) -> None:
    hostile = "<script>alert(1)</script>"
    file_client.send_form("/silences", {**FORM, "job": hostile, "reason": hostile, "by": hostile})
    page = Page(file_client.get("/silences").text)

    assert page.faults == []
    assert all("alert(1)" not in one.text for one in page.all("script"))


def test_a_silence_that_is_not_there_is_said(file_client: Client) -> None:
    for number in ("4711", str(2**80)):
        page = file_client.send_form(f"/silences/{number}/end", {})
        answer = file_client.post(f"/api/v1/silences/{number}/end", json={})
        assert (page.status_code, answer.status_code) == (404, 404)
        assert "There is no silence" in answer.json()["detail"]


def test_now_is_the_time_of_the_store(file_client: Client) -> None:
    now = datetime.fromisoformat(file_client.get("/api/v1/silences").json()["now"])

    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
