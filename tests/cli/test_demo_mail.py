"""The demo's own mail server."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from runguard._cli.demo_mail import MailSink


def mail(text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "runguard@localhost"
    message["To"] = "you@localhost"
    message["Subject"] = "TIMEOUT enrolment_sync failed (high) – 한국어"
    message.set_content(text)
    return message


def test_a_mail_is_kept_as_it_was_sent() -> None:
    text = "first line\n.a line that begins with a dot\n.\nlast line\n"
    with MailSink() as sink:
        with smtplib.SMTP("127.0.0.1", int(sink.url.split(":")[2].split("/")[0])) as client:
            client.send_message(mail(text))
            client.send_message(mail("another\n"))
        arrived = sink.wait_for(2)

    assert arrived
    assert [str(kept["Subject"]) for kept in sink.mails] == [str(mail("")["Subject"])] * 2
    contents = [kept.get_content().replace("\r\n", "\n") for kept in sink.mails]
    assert contents == [text, "another\n"]


def test_a_client_that_leaves_in_the_middle_of_a_mail_leaves_nothing() -> None:
    with MailSink() as sink:
        client = smtplib.SMTP("127.0.0.1", int(sink.url.split(":")[2].split("/")[0]))
        client.mail("runguard@localhost")
        client.rcpt("you@localhost")
        client.putcmd("DATA")
        client.send("Subject: half\r\n")
        client.close()
        arrived = sink.wait_for(1, timeout=0.1)

    assert not arrived
    assert sink.mails == []
