"""The same failure in other words: a job that fails at one place says which row it was.

All but the texts is known of an earlier failure. Where the new ones tell the same of the cause, and
nothing is to be hidden, they only take the places of the old ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._models import Failure
from .introspection import qualified_name
from .redaction_rules import find_secrets, is_bare, is_inert
from .tiers import told_by
from .traceback import LONGEST, WORDS_BETWEEN

if TYPE_CHECKING:
    from .redaction import Redactor


class Place(NamedTuple):
    """Where the text of one exception stands.

    Attributes:
        cls: the exception's type.
        told: what its text tells.
        name: what stands before the text in its line of the traceback.
        before: what stands in the traceback between the text of the exception behind it, and its
            own; empty where there is no traceback.
    """

    cls: type
    told: tuple[object, ...]
    name: str
    before: str


class Wording(NamedTuple):
    """What stays of a failure when its texts are others.

    Attributes:
        failure: what it was sorted into.
        places: of the texts, from the exception to those behind it.
        message: what stands before the first text in its message.
        is_printed: whether it has a traceback.
        is_inert: whether what stands around the texts has nothing to do with secrets.
        may_change: whether the texts were found, each in its place.
    """

    failure: Failure
    places: tuple[Place, ...]
    message: str
    is_printed: bool
    is_inert: bool
    may_change: bool


def wording_of(
    classes: Sequence[type], texts: Sequence[str], failure: Failure, printed: str | None
) -> Wording:
    """Find the texts of exceptions of these types in what was found out about the first."""
    rest = printed
    places: list[Place] = []
    is_around_inert = True
    message = failure.error_message.removesuffix(texts[0])
    may_change = failure.error_message == message + texts[0]
    for number, (cls, text) in enumerate(zip(classes, texts, strict=True)):
        name, before = f"{qualified_name(cls)}: ", ""
        if rest is not None:
            before = rest.removesuffix(text)
            may_change = may_change and rest == before + text
            rest = ""
            if number + 1 < len(texts):
                rest, before = _parted(before)
            stack, _, last_line = before.rpartition("\n")
            may_change = may_change and bool(last_line) and name.endswith(last_line)
            is_around_inert = is_around_inert and is_inert(stack)
        places.append(Place(cls, told_by(cls, text, failure.error_group), name, before))
    may_change = may_change and message in ("", places[0].name)
    is_printed = printed is not None
    return Wording(failure, tuple(places), message, is_printed, is_around_inert, may_change)


def _parted(printed: str) -> tuple[str, str]:
    """Part a traceback before the words that stand between its last exception and the cause."""
    at = max(0, *(printed.rfind(f"\n\n{words}\n\n") for words in WORDS_BETWEEN))
    return printed[:at], printed[at:]


def reworded(
    wording: Wording, texts: Sequence[str], home: str, redactor: Redactor
) -> tuple[Failure, str | None] | None:
    """Return failure and traceback with other texts; None where these may tell something else."""
    failure = wording.failure
    if not wording.may_change or redactor.extra or "\n" in home:
        return None
    pieces: list[str] = []
    is_inert_all = wording.is_inert
    for place, text in zip(wording.places, texts, strict=True):
        line = place.name + text
        if home in line or not _is_printed_as_it_is(text):
            return None
        if told_by(place.cls, text, failure.error_group) != place.told:
            return None
        if is_inert_all and not is_bare(line):
            # A message begins with the text, and a rule may read the beginning of a line.
            is_inert_all = is_inert(line) and is_inert(text)
        pieces += text, place.before
    message, traceback = wording.message + texts[0], "".join(reversed(pieces))
    if 4 * len(traceback) > LONGEST:
        return None
    if not is_inert_all and (find_secrets(message) or find_secrets(traceback)):
        return None
    return _with_message(failure, message), traceback if wording.is_printed else None


def _is_printed_as_it_is(text: str) -> bool:
    return (
        text.replace("\n", "").isprintable()
        and not text.startswith("[runguard ")
        and not text.endswith(" more characters]")
    )


def _with_message(failure: Failure, message: str) -> Failure:
    """Do as `dataclasses.replace`, which takes three times as long."""
    return Failure(
        failure.error_group,
        failure.severity,
        failure.http_status_code,
        failure.error_type,
        message,
        failure.matched_by,
        failure.error_reason,
        failure.matched_depth,
        failure.matched_rule,
        failure.upstream,
    )
