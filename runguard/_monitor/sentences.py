"""Sentences in parts, which each surface puts together.

A sentence is a sequence of parts rather than one text, so that a terminal may show a time in its
own manner, and a page may make a link of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import partial

from .._frozen import frozen
from .wording import utc

_utc_exactly = partial(utc, exactly=True)


class Topic(StrEnum):
    """What a sentence is about."""

    STATE = "state"
    ERROR = "error"
    CHANGES = "changes"
    GROUP = "group"
    ALERT = "alert"
    TOLD = "told"
    COOLDOWN = "cooldown"
    PROGRESS = "progress"
    NOTED = "noted"
    HISTORY = "history"
    JOB = "job"
    LOST = "lost"
    LOCK = "lock"
    RECORD = "record"


@frozen
class Mention:
    """A run or an alert that a sentence speaks of; `what` is `run` or `alert`."""

    what: str
    id: int

    def __str__(self) -> str:
        """Return `run 12` or `alert 12`."""
        return f"{self.what} {self.id}"


Part = str | datetime | Mention


@frozen
class Sentence:
    """One sentence, in parts: plain text, times, and what it mentions."""

    topic: Topic
    parts: tuple[Part, ...]

    def text(self, moment: Callable[[datetime], str] = _utc_exactly) -> str:
        """Return the whole sentence, its times as `moment` spells them."""
        return "".join(
            moment(part) if isinstance(part, datetime) else str(part) for part in self.parts
        )
