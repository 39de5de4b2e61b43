"""Attempts that end in time, and what is known of them then."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from runguard._monitor.notices import Outcome, Probe, SendResult
from runguard._notify.channels.deadline import Deadline, OutOfTime, probe_within, send_within

SENT = Outcome(SendResult.SENT)


def send(work, *, seconds: float = 0.1) -> Outcome:
    return send_within(seconds, work, where="mail.example:25", hide=lambda text: text)


def test_what_was_given_up_before_it_was_sent_is_never_sent_later() -> None:
    late, ended = threading.Event(), threading.Event()
    sent: list[str] = []

    def work(deadline: Deadline) -> Outcome:
        late.wait(5)
        try:
            deadline.commit()
            sent.append("the message")
        finally:
            ended.set()
        return SENT

    outcome = send(work)
    late.set()

    assert ended.wait(5)
    assert outcome.result is SendResult.RETRY
    assert sent == []


def test_what_may_have_been_sent_is_unknown() -> None:
    late = threading.Event()

    def work(deadline: Deadline) -> Outcome:
        deadline.commit()
        late.wait(5)
        return SENT

    outcome = send(work)
    late.set()

    assert outcome.result is SendResult.UNKNOWN


def test_an_answer_counts_though_the_farewell_takes_too_long() -> None:
    late = threading.Event()

    def work(deadline: Deadline) -> Outcome:
        answer = deadline.settle(SENT)
        late.wait(5)
        return answer

    outcome = send(work)
    late.set()

    assert outcome is SENT


def test_a_connection_is_cut_at_the_end() -> None:
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def work(deadline: Deadline) -> Outcome:
        deadline.cuts(ours)
        assert ours.recv(1) == b""  # nobody ever sends anything
        ended.set()
        return SENT

    with ours, theirs:
        outcome = send(work)

        assert ended.wait(5)
    assert outcome.result is SendResult.RETRY


def test_a_connection_that_is_made_too_late_is_closed() -> None:
    deadline = Deadline(5)
    deadline.give_up()
    ours, theirs = socket.socketpair()

    with theirs, pytest.raises(OutOfTime):
        deadline.cuts(ours)

    assert ours.fileno() == -1


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit("odd")])
@pytest.mark.parametrize(
    ("is_committed", "result"), [(False, SendResult.RETRY), (True, SendResult.UNKNOWN)]
)
def test_an_error_that_nobody_expected_is_an_outcome(
    error: BaseException, is_committed: bool, result: SendResult
) -> None:
    def work(deadline: Deadline) -> Outcome:
        if is_committed:
            deadline.commit()
        raise error

    outcome = send(work)

    assert outcome == Outcome(result, f"mail.example:25: {type(error).__name__}: odd")


def test_a_process_that_can_have_no_more_threads_tries_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert send(lambda _: SENT).result is SendResult.RETRY


def test_a_probe_ends_in_time_too() -> None:
    late = threading.Event()
    started = time.monotonic()

    def work(_: Deadline) -> Probe:
        late.wait(5)
        return Probe(ok=True, summary="")

    probe = probe_within(0.1, work, where="mail.example:25", hide=str)
    late.set()

    assert time.monotonic() - started < 4
    assert probe == Probe(ok=False, summary="mail.example:25: no answer within 0.1 s")
