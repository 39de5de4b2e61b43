"""What several threads lend and give back, without a lock."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from runguard import _idle
from runguard._clock import ticks
from runguard._idle import Idle
from runguard._run.threads import Writers
from tests.support.processes import until


def test_what_was_used_last_is_lent_first() -> None:
    idle = Idle("abc")

    taken = [idle.take(0.0), idle.take(0.0)]
    idle.give_back("c")

    assert taken == ["c", "b"]
    assert idle.take(0.0) == "c"


def test_what_is_to_be_lent_last_lies_below_all_others() -> None:
    idle = Idle("ab")
    idle.give_back("new", first=False)

    assert [*idle] == ["new", "a", "b"]
    assert len(idle) == 3


def test_nothing_is_lent_where_none_comes_back_in_time() -> None:
    assert Idle[str]().take(ticks() + 0.001) is None


def test_a_hand_holds_one_thing_that_nobody_else_finds() -> None:
    idle, hand = Idle("ab"), deque[str]()

    assert idle.take_into(hand)
    assert ([*hand], [*idle]) == (["b"], ["a"])
    idle.give_back_from(hand)
    assert ([*hand], [*idle]) == ([], ["a", "b"])


def test_an_empty_hand_stays_empty_where_nothing_is_idle() -> None:
    hand = deque[str]()

    assert not Idle[str]().take_into(hand)
    assert not hand


def test_what_a_struck_thread_had_in_its_hand_is_mended_once_and_lent_again() -> None:
    idle, hand, mended = Idle("a"), deque[str](), list[str]()
    idle.take_into(hand)

    idle.recover(hand, mended.append)
    idle.recover(hand, mended.append)

    assert (mended, [*idle], [*hand]) == (["a"], ["a"], [])


@pytest.mark.parametrize("from_hand", [False, True])
def test_who_waits_goes_on_as_soon_as_one_is_given_back(
    from_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_idle, "LOOK_AGAIN_SECONDS", 3600)
    idle, hand, taken = Idle("a"), deque[str](), list[object]()
    idle.take_into(hand)
    waiter = threading.Thread(target=lambda: taken.append(idle.take(ticks() + 3600)))
    waiter.start()
    until(lambda: idle._waiting)

    assert not Idle.take_into(idle, deque())  # who waits comes first
    if from_hand:
        idle.give_back_from(hand)
    else:
        idle.give_back(hand.pop())
    waiter.join(30)
    assert taken == ["a"]


def test_threads_that_lend_and_give_back_lose_nothing() -> None:
    idle = Idle(range(3))
    users = [0, 0, 0]

    def use(by_hand: bool) -> None:
        for _ in range(300):
            hand = deque[int]()
            if by_hand:
                if not idle.take_into(hand):
                    continue
            elif (thing := idle.take(ticks() + 60)) is not None:
                hand.append(thing)
            users[hand[0]] += 1
            assert users[hand[0]] == 1
            users[hand[0]] -= 1
            idle.give_back_from(hand)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(use, bool(number % 2)) for number in range(16)]:
            done.result(60)
    assert sorted(idle) == [0, 1, 2]
    assert not idle._waiting


def test_where_queues_are_patched_who_waits_waits_in_the_patched_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A queue of C's would stop all greenlets of gevent."""

    class Patched:
        pass

    monkeypatch.setattr(queue, "SimpleQueue", Patched)

    assert type(Idle[str]()._returned) is Patched
    assert type(Writers(lambda: 1)._queue) is Patched
