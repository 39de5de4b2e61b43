"""Webhooks, sent to real servers on loopback; the reference library judges the signatures."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
import trustme
from standardwebhooks.webhooks import WebhookVerificationError

from runguard import ConfigurationError
from runguard._monitor.notices import NoticeKind, SendResult
from tests.support.channels import HOSTILE, channel, message
from tests.support.http_receiver import SECRET, HttpReceiver
from tests.support.mail_server import dripping_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD_SECRET = "whsec_" + base64.b64encode(b"the key that was before this one").decode()
SOON = 10.0


@pytest.fixture(scope="module")
def shared_receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> HttpReceiver:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    shared_receiver.behave()
    return shared_receiver


# --- What arrives. -------------------------------------------------------------------------------


def test_a_message_arrives_as_json_with_keys_that_let_a_repeat_be_known(
    receiver: HttpReceiver,
) -> None:
    sender = channel(webhook=receiver.url("/hook?team=ops"), secrets=(SECRET,))

    outcomes = [sender.send(message(kind=NoticeKind.REMINDER), timeout=SOON) for _ in range(2)]

    assert [outcome.result for outcome in outcomes] == [SendResult.SENT] * 2
    first, again = receiver.requests
    assert (first.method, first.path) == ("POST", "/hook?team=ops")
    assert first.json == {
        "type": "runguard.reminder",
        "key": "delivery-7",
        "conversation": "incident-3",
        "is_first": True,
        "kind": "reminder",
        "severity": "high",
        "subject": message().subject,
        "text": message().text,
        "data": {"job_name": "enrolment_sync", "run_id": 41},
    }
    assert first.headers["Idempotency-Key"] == first.headers["webhook-id"] == "delivery-7"
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert first.headers["User-Agent"].startswith("runguard/")
    assert again.body == first.body
    assert again.headers["Idempotency-Key"] == "delivery-7"
    assert sender.is_idempotent


def test_the_reference_library_finds_the_signature_good(receiver: HttpReceiver) -> None:
    channel(webhook=receiver.url(), secrets=(SECRET,)).send(message(), timeout=SOON)

    [request] = receiver.requests
    assert request.verified() == request.json
    with pytest.raises(WebhookVerificationError):
        request.verified(OLD_SECRET)


def test_while_a_secret_is_changed_both_are_good(receiver: HttpReceiver) -> None:
    sender = channel(
        webhook=receiver.url(),
        secrets=("env:HOOK_SECRET", "env:HOOK_SECRET_OLD"),
        environ={"HOOK_SECRET": SECRET, "HOOK_SECRET_OLD": OLD_SECRET},
    )

    sender.send(message(), timeout=SOON)

    [request] = receiver.requests
    assert request.verified(SECRET) == request.verified(OLD_SECRET) == request.json


def test_without_a_secret_nothing_is_signed(receiver: HttpReceiver) -> None:
    channel(webhook=receiver.url()).send(message(), timeout=SOON)

    assert receiver.requests[0].headers["webhook-signature"] is None


def test_user_and_password_of_the_url_are_basic_authentication(receiver: HttpReceiver) -> None:
    url = "env:HOOK_URL"
    address = receiver.url().removeprefix("http://")
    environ = {"HOOK_URL": f"webhook+http://jobs:p%40ss%C3%BC@{address}"}

    channel(url=url, environ=environ).send(message(), timeout=SOON)

    scheme, _, login = receiver.requests[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(login).decode()) == ("Basic", "jobs:p@ssü")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_a_text_and_nothing_else(receiver: HttpReceiver, text: str) -> None:
    hostile = message(subject=text, text=text, key=text, data={text: text})

    outcome = channel(webhook=receiver.url(), secrets=(SECRET,)).send(hostile, timeout=SOON)

    assert outcome.result is SendResult.SENT
    [request] = receiver.requests
    said = text.encode(errors="replace").decode()
    body = request.verified()
    assert (body["subject"], body["text"], body["data"]) == (said, said, {said: said})
    assert request.headers["Bcc"] is None


def test_data_that_json_has_no_form_for_keeps_nobody_from_being_told(
    receiver: HttpReceiver,
) -> None:
    data = {"ratio": float("nan"), "at": datetime(2026, 1, 1, tzinfo=UTC)}

    assert channel(webhook=receiver.url()).send(message(data=data), timeout=SOON).error is None

    assert receiver.requests[0].json["data"]["ratio"] == "nan"


# --- What receivers say. -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, SendResult.SENT),
        (202, SendResult.SENT),
        (400, SendResult.REFUSED),
        (401, SendResult.REFUSED),
        (404, SendResult.REFUSED),
        (408, SendResult.RETRY),
        (410, SendResult.GONE),
        (425, SendResult.RETRY),
        (429, SendResult.RETRY),
        (500, SendResult.RETRY),
        (503, SendResult.RETRY),
    ],
)
def test_a_status_decides_whether_it_is_tried_again(
    receiver: HttpReceiver, status: int, result: SendResult
) -> None:
    receiver.behave(status, body=b"no such hook\n\x1b[31m here")

    outcome = channel(webhook=receiver.url()).send(message(), timeout=SOON)

    assert outcome.result is result
    if result is not SendResult.SENT:
        assert outcome.error.startswith(f"{receiver.address} answered {status} ")
        assert outcome.error.endswith(": no such hook here")


def test_a_redirect_is_not_followed_and_names_the_host_it_wants(receiver: HttpReceiver) -> None:
    receiver.behave(302, headers={"Location": "https://new.example.org/services/t0ken?key=s3cret"})

    outcome = channel(webhook=receiver.url()).send(message(), timeout=SOON)

    assert outcome.result is SendResult.REFUSED
    assert len(receiver.requests) == 1
    assert "redirects to new.example.org, which is not followed" in outcome.error
    assert "configure the address it moved to" in outcome.error
    assert "t0ken" not in outcome.error


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ("7200", timedelta(hours=2)),
        ("9" * 15, timedelta(days=1)),
        ("soon", None),
        ("-5", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
        ("Thu, 99 Foo 1970 00:00:00 GMT", None),
    ],
)
def test_a_wish_to_wait_is_reported(
    receiver: HttpReceiver, asked: str, waits: timedelta | None
) -> None:
    receiver.behave(429, headers={"Retry-After": asked})

    assert channel(webhook=receiver.url()).send(message(), timeout=SOON).retry_after == waits


def test_a_wish_to_wait_may_be_a_date(receiver: HttpReceiver) -> None:
    until = datetime.now(UTC) + timedelta(minutes=10)
    receiver.behave(503, headers={"Retry-After": format_datetime(until, usegmt=True)})

    waits = channel(webhook=receiver.url()).send(message(), timeout=SOON).retry_after

    assert timedelta(minutes=9) < waits <= timedelta(minutes=10)


def test_a_large_body_of_an_error_is_not_kept(receiver: HttpReceiver) -> None:
    receiver.behave(500, body=b"x" * 1_000_000)

    outcome = channel(webhook=receiver.url()).send(message(), timeout=SOON)

    assert len(outcome.error) < 1_000


def test_a_receiver_that_repeats_secrets_does_not_bring_them_into_an_error(
    receiver: HttpReceiver,
) -> None:
    url = receiver.url("/services/T0KEN-9").replace("http://", "http://jobs:hunter2@")
    sender = channel(webhook=url, secrets=(SECRET,))
    receiver.behave(400, body=f"/services/T0KEN-9 jobs:hunter2 {SECRET}".encode())

    outcome = sender.send(message(), timeout=SOON)

    for text in (outcome.error, repr(sender), sender.target(), repr(sender.probe(timeout=SOON))):
        assert "T0KEN-9" not in text
        assert "hunter2" not in text
        assert SECRET not in text
    assert sender.target() == f"http://{receiver.address}/…"


# --- Receivers that do not answer. ---------------------------------------------------------------


@pytest.mark.parametrize("manner", ["hang", "drip", "hang up"])
def test_no_answer_after_the_message_was_sent_is_unknown(
    receiver: HttpReceiver, manner: str
) -> None:
    receiver.behave(manner=manner)
    started = time.monotonic()

    outcome = channel(webhook=receiver.url()).send(message(), timeout=2)

    assert outcome.result is SendResult.UNKNOWN
    assert time.monotonic() - started < 5
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    with dripping_server() as port:
        pass

    outcome = channel(webhook=f"http://127.0.0.1:{port}/").send(message(), timeout=SOON)

    assert outcome.result is SendResult.RETRY
    assert outcome.error == f"127.0.0.1:{port}: no connection: Connection refused"


def test_a_handshake_that_takes_too_long_is_tried_again() -> None:
    with dripping_server() as port:
        sender = channel(webhook=f"https://127.0.0.1:{port}/")

        outcome = sender.send(message(), timeout=0.2)

    assert outcome.result is SendResult.RETRY


# --- TLS and proxies. ----------------------------------------------------------------------------


def test_certificates_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: HttpReceiver
) -> None:
    authority = trustme.CA()
    with HttpReceiver(certificate=authority.issue_cert("127.0.0.1")) as tls_receiver:
        sender = channel(webhook=tls_receiver.url())
        outcome, probe = sender.send(message(), timeout=SOON), sender.probe(timeout=SOON)
        assert outcome.result is SendResult.RETRY
        assert "certificate cannot be trusted" in outcome.error
        assert (probe.ok, tls_receiver.requests) == (False, [])

        authority.cert_pem.write_to_path(tmp_path / "root.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
        assert sender.probe(timeout=SOON).ok
        assert sender.send(message(), timeout=SOON).result is SendResult.SENT
        assert len(tls_receiver.requests) == 1


def test_a_message_goes_through_the_proxy_of_the_environment(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pr0xy@{receiver.address}")

    outcome = channel(webhook="http://hooks.example.org/x").send(message(), timeout=SOON)

    assert outcome.result is SendResult.SENT
    [request] = receiver.requests
    assert request.path == "http://hooks.example.org/x"
    assert request.headers["Host"] == "hooks.example.org"
    assert base64.b64decode(request.headers["Proxy-Authorization"].split()[1]) == b"me:pr0xy"


def test_a_proxy_that_refuses_a_tunnel_is_tried_again(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", receiver.address)

    outcome = channel(webhook="https://hooks.example.org/x").send(message(), timeout=SOON)

    assert outcome.result is SendResult.RETRY
    assert "Tunnel connection failed: 501" in outcome.error


def test_a_host_that_needs_no_proxy_is_asked_directly(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    outcome = channel(webhook=receiver.url()).send(message(), timeout=SOON)

    assert outcome.result is SendResult.SENT


def test_a_probe_reaches_the_host_and_sends_nothing(receiver: HttpReceiver) -> None:
    probe = channel(webhook=receiver.url()).probe(timeout=SOON)

    assert (probe.ok, receiver.requests) == (True, [])
    assert probe.summary == f"{receiver.address} can be reached, no TLS"


# --- Its configuration. --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"webhook": "hooks.example.org/s3cret"}, "found one without a host"),
        ({"webhook": "ftp://hooks.example.org/s3cret"}, "found another scheme: write https://"),
        ({"webhook": "https://u:s3cret@h:99999/"}, "host or port cannot be read"),
        ({"webhook": "https://h/s3cret\r\nX: y"}, "a space or a control character"),
        ({"webhook": "https://h/s3crét"}, "not ASCII"),
        ({"webhook": "https://h/", "secrets": ("s3cret",)}, "token_bytes(32)"),
        ({"webhook": "https://h/", "secrets": ("whsec_s3cret==",)}, "at least 24 bytes in base64"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_that_repeats_none_of_it(
    parts: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        channel(**parts)

    said = str(caught.value)
    assert expected in said
    assert said.startswith("channel 'oncall' (runguard.toml, [channels.oncall]): expected ")
    assert "s3cr" not in said


def test_the_hash_of_a_configuration_changes_with_path_password_and_secrets() -> None:
    hashes = [
        channel(webhook=url, secrets=secrets).config_hash
        for url, secrets in (
            ("https://h/a", (SECRET,)),
            ("https://h/b", (SECRET,)),
            ("https://h/a", (OLD_SECRET,)),
            ("https://u:p@h/a", (SECRET,)),
            ("https://u:q@h/a", (SECRET,)),
            ("https://h/a", (SECRET,)),
        )
    ]

    assert len(set(hashes)) == 5
    assert hashes[0] == hashes[-1]
