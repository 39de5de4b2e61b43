"""What is kept back for the end of a run that uses up all other."""

from __future__ import annotations

import os

from runguard._run.reserve import Reserve


def test_files_that_a_job_has_got_in_its_place_are_left_alone() -> None:
    reserve = Reserve()
    reserve.hold()
    held = [end for _, ends in reserve._pipes for end in ends]
    for end in held:
        os.close(end)  # as a job does that becomes a daemon
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in held]
    assert sorted(opened) == sorted(held)

    reserve.release(None)

    for file in opened:
        os.close(file)


def test_what_is_held_is_given_back_once_and_held_again() -> None:
    reserve = Reserve()
    reserve.hold()
    reserve.hold()
    [first, *_] = [ends for _, ends in reserve._pipes]

    reserve.release(None)
    reserve.release(None)

    spare = os.pipe()
    assert set(spare) & set(first)
    for end in spare:
        os.close(end)
