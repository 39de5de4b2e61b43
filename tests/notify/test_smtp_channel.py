"""Mail, sent to real servers on loopback."""

from __future__ import annotations

import email.utils
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from runguard import ConfigurationError
from runguard._monitor.notices import NoticeKind, SendResult
from tests.support.channels import HOSTILE, channel, message
from tests.support.mail_server import HANG, MailServer, dripping_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "h:unter/2@# über"
SOON = 10.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def plain_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def server(plain_server: MailServer) -> MailServer:
    plain_server.behave()
    return plain_server


@pytest.fixture(scope="module")
def guarded_server(authority: trustme.CA) -> Iterator[MailServer]:
    """It offers STARTTLS, and wants a login."""
    certificate = authority.issue_cert("127.0.0.1")
    with MailServer(certificate=certificate, login=("jobs", PASSWORD)) as server:
        yield server


@pytest.fixture
def guarded(guarded_server: MailServer) -> MailServer:
    guarded_server.behave()
    return guarded_server


@pytest.fixture
def _trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))


# --- What arrives. -------------------------------------------------------------------------------


def test_a_mail_arrives_with_subject_text_and_html(server: MailServer) -> None:
    sender = channel(url=server.url(to="ops@example.org,Kim <kim+alerts@example.org>"))

    outcome = sender.send(message(html="<p>Read <b>timed out</b>.</p>"), timeout=SOON)

    assert (outcome.result, outcome.error) == (SendResult.SENT, None)
    assert outcome.receipt == "OK queued as 1"
    [mail] = server.mails
    assert mail.sender == "runguard@example.org"
    assert mail.recipients == ["ops@example.org", "kim+alerts@example.org"]
    assert mail.message["From"] == "runguard <runguard@example.org>"
    assert mail.message["To"] == "ops@example.org, Kim <kim+alerts@example.org>"
    assert mail.message["Subject"] == message().subject
    assert mail.text.replace("\r\n", "\n") == message().text
    assert mail.html.strip() == "<p>Read <b>timed out</b>.</p>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.raw.isascii()
    sent = email.utils.parsedate_to_datetime(mail.message["Date"])
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)


def test_the_messages_of_one_incident_are_one_conversation(server: MailServer) -> None:
    sender = channel(url=server.url())
    for key, changes in {
        "1": {},
        "2": {"is_first": False, "kind": NoticeKind.REMINDER},
        "3": {"is_first": False, "kind": NoticeKind.RECOVERED},
        "4": {"conversation": "incident-4"},
    }.items():
        sender.send(message(key=key, **changes), timeout=SOON)

    first, reminder, recovery, other = (mail.message for mail in server.mails)
    root = first["Message-ID"]
    assert [one["References"] for one in (reminder, recovery)] == [root, root]
    assert [one["In-Reply-To"] for one in (reminder, recovery)] == [root, root]
    assert len({one["Message-ID"] for one in (first, reminder, recovery, other)}) == 4
    assert first["References"] is other["References"] is None


def test_a_repeat_has_the_same_message_id(server: MailServer) -> None:
    for _ in range(2):
        channel(url=server.url()).send(message(is_first=False), timeout=SOON)

    first, again = (mail.message["Message-ID"] for mail in server.mails)
    assert first == again


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_a_text_and_nothing_else(server: MailServer, text: str) -> None:
    sent = message(subject=text, text=text, html=text, key=text, conversation=text)

    outcome = channel(url=server.url()).send(sent, timeout=SOON)

    assert outcome.result is SendResult.SENT
    [mail] = server.mails
    assert mail.recipients == ["ops@example.org"]
    assert mail.message["Bcc"] is None
    assert len(mail.message["Subject"]) <= 250
    assert mail.message.defects == []
    assert [part.get_content_type() for part in mail.message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert not set(mail.text) & set("\x00\x07\x1b\x7f")
    assert max(len(line) for line in mail.raw.split(b"\r\n")) <= 998  # RFC 5321
    letters = [c for c in text if c.isalpha() and c.isascii()]
    assert [c for c in mail.text if c.isalpha() and c.isascii()] == letters


def test_a_line_of_one_dot_does_not_end_the_mail(server: MailServer) -> None:
    channel(url=server.url()).send(message(text="before\n.\n..\nafter\n"), timeout=SOON)

    assert server.mails[0].text.split() == ["before", ".", "..", "after"]


# --- TLS and logins. -----------------------------------------------------------------------------


@pytest.mark.usefixtures("_trusted")
def test_starttls_is_used_where_it_is_offered_and_the_login_goes_through_it(
    guarded: MailServer,
) -> None:
    outcome = channel(url=guarded.url()).send(message(), timeout=SOON)

    assert outcome.result is SendResult.SENT, outcome
    assert (guarded.mails[0].was_encrypted, guarded.mails[0].login) == (True, "jobs")


@pytest.mark.usefixtures("_trusted")
def test_smtps_is_tls_from_the_first_byte(authority: trustme.CA) -> None:
    with MailServer(certificate=authority.issue_cert("127.0.0.1"), tls=True) as server:
        sender = channel(url=server.url())
        outcome = sender.send(message(), timeout=SOON)

        assert outcome.result is SendResult.SENT, outcome
        assert server.mails[0].was_encrypted


def test_a_certificate_of_an_unknown_authority_is_not_taken(guarded: MailServer) -> None:
    sender = channel(url=guarded.url(starttls="require"))

    outcome = sender.send(message(), timeout=SOON)

    assert outcome.result is SendResult.RETRY
    assert "certificate cannot be trusted" in outcome.error
    assert "SSL_CERT_FILE" in outcome.error
    assert guarded.commands == []
    unchecked = channel(url=guarded.url(starttls="require", verify="off"))
    assert unchecked.send(message(), timeout=SOON).result is SendResult.SENT


def test_a_mail_server_on_this_machine_may_have_a_certificate_of_its_own(
    guarded: MailServer,
) -> None:
    assert channel(url=guarded.url()).send(message(), timeout=SOON).result is SendResult.SENT


def test_a_required_starttls_that_is_not_offered_is_said(server: MailServer) -> None:
    outcome = channel(url=server.url(starttls="require")).send(message(), timeout=SOON)

    assert outcome.result is SendResult.REFUSED
    assert "offers no STARTTLS" in outcome.error
    assert server.mails == []


def test_no_password_goes_over_the_network_in_the_clear(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._notify.channels import smtp

    monkeypatch.setattr(smtp.Mailbox, "is_local", property(lambda _: False))
    url = server.url().replace("smtp://", "smtp://jobs:hunter2@")

    outcome = channel(url=url).send(message(), timeout=SOON)

    assert outcome.result is SendResult.REFUSED
    assert "would go in the clear" in outcome.error
    assert "hunter2" not in outcome.error
    assert "AUTH" not in server.commands


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("word", ["send", "probe"])
def test_a_wrong_password_is_refused_in_clear_words_without_it(
    guarded: MailServer, word: str
) -> None:
    url = guarded.url(login=False).replace("smtp://", "smtp://jobs:wr0ng-pass@")
    sender = channel(url=url)

    if word == "send":
        outcome = sender.send(message(), timeout=SOON)
        assert outcome.result is SendResult.REFUSED
        said = outcome.error
    else:
        probe = sender.probe(timeout=SOON)
        assert probe.ok is False
        said = probe.summary

    assert "refused the login (check user and password): 535" in said
    assert "wr0ng-pass" not in said
    assert guarded.mails == []


# --- What servers say. ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "result", "said"),
    [
        ({"mail": "550 5.7.1 sender not allowed"}, SendResult.REFUSED, "refused the sender: 550"),
        ({"mail": "451 4.3.0 try later"}, SendResult.RETRY, "refused the sender: 451"),
        ({"rcpt": "451 4.7.1 greylisted"}, SendResult.RETRY, "451 4.7.1 greylisted"),
        ({"rcpt": "550 5.1.1 no such user"}, SendResult.REFUSED, "ops@example.org: 550 5.1.1"),
        ({"rcpt": "421 4.3.2 shutting down"}, SendResult.RETRY, "421 4.3.2"),
        ({"data": "452 4.3.1 no space"}, SendResult.RETRY, "refused the mail: 452"),
        ({"data": "554 5.7.1 this is spam"}, SendResult.REFUSED, "refused the mail: 554"),
    ],
)
def test_a_temporary_refusal_is_tried_again_and_another_is_final(
    server: MailServer, replies: dict[str, str], result: SendResult, said: str
) -> None:
    server.behave(**replies)

    outcome = channel(url=server.url()).send(message(), timeout=SOON)

    assert outcome.result is result
    assert said in outcome.error
    assert outcome.error.startswith(server.address)
    assert server.mails == []


def test_a_mail_that_only_some_may_get_is_sent_and_says_who_may_not(server: MailServer) -> None:
    server.behave(rcpt="gone@example.org 550 5.1.1 no such user")

    outcome = channel(url=server.url(to="gone@example.org,ops@example.org")).send(
        message(), timeout=SOON
    )

    assert outcome.result is SendResult.SENT
    assert outcome.error.startswith("1 of 2 recipients were refused: gone@example.org: 550 5.1.1")
    assert server.mails[0].recipients == ["ops@example.org"]


def test_a_server_that_repeats_the_password_does_not_bring_it_into_an_error(
    server: MailServer,
) -> None:
    server.behave(mail="550 who is h0rse-battery? \x1b[31m")
    url = server.url(starttls="off").replace("smtp://", "smtp://jobs:h0rse-battery@")
    with MailServer(login=("jobs", "h0rse-battery")) as talkative:
        talkative.behave(mail="550 who is h0rse-battery?")
        outcome = channel(url=talkative.url()).send(message(), timeout=SOON)

    assert outcome.result is SendResult.REFUSED
    assert "who is [redacted]?" in outcome.error
    assert "h0rse-battery" not in repr(channel(url=url))


# --- Servers that do not answer. -----------------------------------------------------------------


def test_no_answer_after_the_mail_was_sent_is_unknown(server: MailServer) -> None:
    server.behave(data=HANG)

    outcome = channel(url=server.url()).send(message(), timeout=2)

    assert outcome.result is SendResult.UNKNOWN
    assert outcome.error.endswith("the message was sent, and no answer came within 2 s")


@pytest.mark.parametrize("command", ["mail", "rcpt"])
def test_no_answer_before_the_mail_was_sent_is_tried_again(
    server: MailServer, command: str
) -> None:
    server.behave(**{command: HANG})

    assert channel(url=server.url()).send(message(), timeout=0.2).result is SendResult.RETRY

    server.behave()
    assert server.mails == []


def test_a_server_that_sends_a_byte_now_and_then_does_not_take_longer_than_the_time_out() -> None:
    with dripping_server() as port:
        sender = channel(url=f"smtp://127.0.0.1:{port}/?from=a@example.org&to=b@example.org")
        started = time.monotonic()

        outcome = sender.send(message(), timeout=0.3)
        probe = sender.probe(timeout=0.2)

        assert time.monotonic() - started < 5
    assert outcome.result is SendResult.RETRY
    assert "not ready to take it within 0.3 s" in outcome.error
    assert probe.ok is False


def test_a_server_that_is_not_there_is_tried_again() -> None:
    with dripping_server() as port:
        pass

    sender = channel(url=f"smtp://127.0.0.1:{port}/?from=a@example.org&to=b@example.org")

    outcome = sender.send(message(), timeout=SOON)
    assert outcome.result is SendResult.RETRY
    assert outcome.error == f"127.0.0.1:{port}: no connection: Connection refused"
    assert sender.probe(timeout=SOON).ok is False


def test_a_probe_logs_in_and_sends_nothing(guarded: MailServer) -> None:
    probe = channel(url=guarded.url()).probe(timeout=SOON)

    assert probe.ok
    assert probe.summary == f"{guarded.address} answers, TLS, login accepted"
    assert guarded.commands == ["AUTH"]


# --- Its URL. ------------------------------------------------------------------------------------


def test_the_target_names_server_and_recipients_without_the_password() -> None:
    sender = channel(url="smtp://jobs%40example.org:hunter2@mail.example:2525/?to=a@x.org,b@y.org")

    assert sender.target() == "smtp://mail.example:2525 to a@x.org, b@y.org"
    assert "hunter2" not in repr(sender)
    assert (sender.kind, sender.name) == ("smtp", "oncall")


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example/?from=a@x.org&to=b@y.org", 25),
        ("smtp://u:p@mail.example/?from=a@x.org&to=b@y.org", 587),
        ("smtps://mail.example/?from=a@x.org&to=b@y.org", 465),
        ("smtp://[::1]:2525/?from=a@x.org&to=b@y.org", 2525),
    ],
)
def test_each_way_to_send_has_its_usual_port(url: str, port: int) -> None:
    assert channel(url=url).target().endswith(f":{port} to b@y.org")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://jobs:s3cr#et@mail.example/?from=a@x.org&to=b@y.org", "host or port cannot be"),
        ("smtp://jobs:s3cr/et@mail.example/?from=a@x.org&to=b@y.org", "host or port cannot be"),
        ("smtp://jobs:s3cr@et@mail.example/?from=a@x.org&to=b@y.org", "more than one '@'"),
        ("smtp://jobs:s3cret @mail.example/?from=a@x.org&to=b@y.org", "a space or a control"),
        ("smtp://jobs:s3cret@mail.example:2O25/?from=a@x.org&to=b@y.org", "host or port cannot"),
        ("smtp://jobs:s3cret@/?from=a@x.org&to=b@y.org", "one without a host"),
        ("smtp://jobs:s3cret@mail.example/?from=a@x.org", "add to=ops@example.org"),
        ("smtp://jobs:s3cret@mail.example/?to=b@y.org", "add from=jobs@example.org"),
        ("smtp://jobs:s3cret@mail.example/?from=a@x.org&to=s3cret", "expected mail addresses in"),
        ("smtp://jobs:s3cret@mail.example/?from=a@x.org&to=b@y.org%0aRCPT", "mail addresses in"),
        ("smtp://jobs:s3cret@mail.example/?frm=a@x.org&to=b@y.org", "did you mean 'from'?"),
        ("smtp://jobs:s3cret@mail.example/?from=a@x.org&to=b@y.org&to=c@y.org", "found it twice"),
        ("smtp://jobs:s3cret@mail.example/?from=a@x.org&to=b@y.org&verify=s3cret", "verify=off"),
        ("smtps://jobs:s3cret@mail.example/?from=a@x.org&to=b@y.org&starttls=off", "with smtps"),
        ("smtp://jobs:s3cret@mail.example/path?from=a@x.org&to=b@y.org", "found a path"),
    ],
)
def test_a_url_that_cannot_be_used_is_an_error_that_repeats_none_of_it(
    url: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        channel(url=url)

    said = str(caught.value)
    assert expected in said
    assert said.startswith("channel 'oncall' (runguard.toml, [channels.oncall]): expected ")
    assert "s3cr" not in "".join(traceback.format_exception(caught.value))


def test_the_hash_of_a_configuration_changes_with_the_password_and_nothing_else() -> None:
    url = "smtp://jobs:{}@mail.example/?from=a@x.org&to=b@y.org"
    one, same, other = (
        channel(url=url.format(password)).config_hash for password in ("aa", "aa", "ab")
    )

    assert one == same != other
