"""Pings: what another system hears, within bounds, and without its address in any error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runguard import ConfigurationError
from runguard._rounds.ping import Ping, PingFailed, send_ping, send_pings
from tests.support.http_receiver import HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


def ping(url: str, *, is_good: bool = True) -> Ping:
    return Ping("RUNGUARD_PING_URL", url, is_good, "3 jobs judged")


@pytest.mark.parametrize(
    ("path", "is_good", "asked"),
    [
        ("/s3cret", True, "/s3cret"),
        ("/s3cret/", True, "/s3cret/"),
        ("/s3cret", False, "/s3cret/fail"),
        ("/s3cret/?create=1", False, "/s3cret/fail?create=1"),
    ],
)
def test_it_is_posted_to_the_address_or_to_its_fail(
    receiver: HttpReceiver, path: str, asked: str, *, is_good: bool
) -> None:
    send_ping(ping(receiver.url(path), is_good=is_good))

    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", asked, b"3 jobs judged")


def test_a_refusal_names_the_host_and_never_the_path(receiver: HttpReceiver) -> None:
    receiver.behave(404, body=b"no check s3cret")

    with pytest.raises(PingFailed) as failed:
        send_ping(ping(receiver.url("/s3cret")))

    assert str(failed.value) == f"RUNGUARD_PING_URL: {receiver.address} answered 404 Not Found"


def test_one_that_gets_no_answer_is_given_up(receiver: HttpReceiver) -> None:
    receiver.behave(manner="hang")

    with pytest.raises(PingFailed, match="no answer"):
        send_ping(ping(receiver.url("/s3cret")), timeout=0.2)


@pytest.mark.parametrize("url", ["s3cret", "ftp://x.example/s3cret", "https:///s3cret"])
def test_an_address_that_cannot_be_used_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RUNGUARD_PING_URL") as wrong:
        send_ping(ping(url))

    assert "s3cret" not in str(wrong.value)


def test_of_several_each_is_sent_and_each_failure_is_returned(receiver: HttpReceiver) -> None:
    urls = [receiver.url("/a"), "nonsense", receiver.url("/b")]
    failed = send_pings([[ping(url)] for url in urls], seconds=30)

    assert sorted(request.path for request in receiver.requests) == ["/a", "/b"]
    assert [type(wrong) for wrong in failed] == [ConfigurationError]


def test_several_take_no_longer_than_they_may(receiver: HttpReceiver) -> None:
    assert [str(wrong) for wrong in send_pings([[ping(receiver.url())]], seconds=0)] == [
        "RUNGUARD_PING_URL: not sent, since others took too long"
    ]
    assert receiver.requests == []
