"""What Apprise sends, to real servers on loopback."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runguard import ConfigurationError
from runguard._monitor.notices import NoticeKind, SendResult
from runguard._notify.channels import apprise as apprise_channel
from tests.support.channels import HOSTILE, channel, message
from tests.support.http_receiver import HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON = 10.0
PAGERDUTY = f"pagerduty://{'i' * 32}@{'k' * 20}"
OPSGENIE = "opsgenie://8b799edf-6f98-4d3a-9be7-2862fb4e5752"


@pytest.fixture(scope="module")
def shared_receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: HttpReceiver) -> HttpReceiver:
    shared_receiver.behave(200)
    return shared_receiver


def url(receiver: HttpReceiver, *, login: str = "", options: str = "") -> str:
    return f"json://{login}{receiver.address}/hook{options}"


def test_a_message_arrives_with_its_subject_as_the_title(receiver: HttpReceiver) -> None:
    outcome = channel(url=url(receiver)).send(message(), timeout=SOON)

    assert (outcome.result, outcome.error) == (SendResult.SENT, None)
    [request] = receiver.requests
    assert (request.json["title"], request.json["type"]) == (message().subject, "failure")
    assert request.json["message"].strip() == message().text.strip()
    assert request.json["attachments"] == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_sent_as_plain_text(receiver: HttpReceiver, text: str) -> None:
    outcome = channel(url=url(receiver)).send(message(subject=text, text=text), timeout=SOON)

    assert outcome.result is SendResult.SENT
    [request] = receiver.requests
    letters = [c for c in text if c.isalpha() and c.isascii()]
    said = [c for c in request.json["message"] if c.isalpha() and c.isascii()]
    assert said == letters[: len(said)]
    assert len(said) >= min(len(letters), 10_000)
    assert "\n" not in request.json["title"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"severity": "medium"}, "warning"),
        ({"severity": "low"}, "info"),
        ({"kind": NoticeKind.RECOVERED}, "success"),
    ],
)
def test_severity_and_recovery_have_apprises_own_words(
    receiver: HttpReceiver, changes: dict[str, object], word: str
) -> None:
    channel(url=url(receiver)).send(message(**changes), timeout=SOON)

    assert receiver.requests[0].json["type"] == word


@pytest.mark.parametrize(
    ("status", "result"),
    [(500, SendResult.RETRY), (429, SendResult.RETRY), (403, SendResult.REFUSED)],
)
def test_why_a_service_refused_is_said_without_secrets(
    receiver: HttpReceiver,
    caplog: pytest.LogCaptureFixture,
    status: int,
    result: SendResult,
) -> None:
    receiver.behave(status)
    caplog.set_level(logging.DEBUG)
    sender = channel(url=url(receiver, login="jobs:hunter2@", options="?:token=t0ken-77"))

    outcome = sender.send(message(), timeout=SOON)

    assert outcome.result is result
    assert outcome.error.startswith("JSON: ")
    assert str(status) in outcome.error
    for said in (outcome.error, caplog.text, repr(sender), sender.target()):
        assert "hunter2" not in said
        assert "t0ken-77" not in said


def test_a_service_that_is_not_there_is_tried_again(receiver: HttpReceiver) -> None:
    with HttpReceiver() as gone:
        address = gone.address

    outcome = channel(url=f"json://{address}").send(message(), timeout=SOON)

    assert outcome.result is SendResult.RETRY
    assert outcome.error.startswith("JSON: ")


def test_a_service_that_does_not_answer_is_given_up_in_time(receiver: HttpReceiver) -> None:
    receiver.behave(manner="drip")
    sender = channel(url=url(receiver))
    started = time.monotonic()

    outcome = sender.send(message(), timeout=2)

    assert time.monotonic() - started < 5
    assert outcome.result is SendResult.UNKNOWN
    receiver.behave()


def test_a_process_ends_although_a_service_does_not_answer(receiver: HttpReceiver) -> None:
    receiver.behave(manner="drip")
    script = (
        "from tests.support.channels import channel, message\n"
        f"print(channel(url={url(receiver)!r}).send(message(), timeout=2).result)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "unknown\n", "")
    receiver.behave()


# --- Incidents of their own. ---------------------------------------------------------------------


def with_options(url: str, **changes: object) -> str:
    return apprise_channel._with_options(url, url.partition("://")[0], message(**changes))


def test_one_incident_is_one_at_pagerduty_and_its_recovery_resolves_it(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apprise.plugins import pagerduty

    monkeypatch.setattr(pagerduty, "PAGERDUTY_API_LOOKUP", {"us": receiver.url()})
    receiver.behave(202)
    sender = channel(url=PAGERDUTY)
    for changes in ({}, {"kind": NoticeKind.RECOVERED}, {"conversation": "incident-4"}):
        assert sender.send(message(**changes), timeout=SOON).result is SendResult.SENT

    failed, recovered, other = (request.json for request in receiver.requests)
    assert failed["dedup_key"] == recovered["dedup_key"] != other["dedup_key"]
    assert [one["event_action"] for one in (failed, recovered)] == ["trigger", "resolve"]


def test_one_incident_is_one_at_opsgenie_and_its_recovery_is_really_sent(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apprise.plugins import opsgenie

    monkeypatch.setattr(opsgenie, "OPSGENIE_API_LOOKUP", {"us": receiver.url()})
    receiver.behave(202, body=b'{"requestId": "1", "result": "ok", "took": 0.1}')
    sender = channel(url=OPSGENIE)
    for changes in ({}, {"severity": "low"}, {"kind": NoticeKind.RECOVERED}):
        assert sender.send(message(**changes), timeout=SOON).result is SendResult.SENT

    opened, mild, recovered = (request.json for request in receiver.requests)
    assert opened["alias"] == mild["alias"]
    assert (recovered.get("alias"), recovered["priority"]) == (None, "P5")


def test_what_a_url_says_itself_stays() -> None:
    given = f"{PAGERDUTY}?dedup=mine&action=trigger&overflow=split"

    assert with_options(given).rstrip("&") == given


# --- Its URL. ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("slack://s3cret-token", "in the form that Apprise has for it"),
        ("telegam://s3cret-token/1", "found another one"),
        ("slak://s3cret-token/1", "did you mean slack://?"),
        ("smpt://mail.example.org/?to=s3cret@x.org", "did you mean smtp://?"),
        ("https://hooks.example.org/s3cret", "write webhook+https://"),
    ],
)
def test_a_url_that_apprise_does_not_take_is_neither_said_nor_logged(
    url: str, expected: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(ConfigurationError) as caught:
        channel(url=url)

    said = str(caught.value)
    assert expected in said
    assert said.startswith("channel 'oncall' (runguard.toml, [channels.oncall]): expected ")
    for text in (said, caplog.text, *capfd.readouterr()):
        assert "s3cret" not in text


def test_what_others_log_through_apprise_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    channel(url="json://localhost")

    logging.getLogger("apprise").warning("of somebody else")

    assert "of somebody else" in caplog.text


def test_without_apprise_the_error_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ConfigurationError) as caught:
        channel(url="slack://s3cret")

    assert "pip install 'runguard-runlog[notify]'" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_probe_says_that_it_cannot_tell() -> None:
    probe = channel(url="json://localhost").probe(timeout=SOON)

    assert (probe.ok, probe.summary) == (None, "JSON (json://…): only a message can tell")
