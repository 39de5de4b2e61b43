"""What programs send to the JSON API: the form of each body, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .._errors import did_you_mean
from .._models import ErrorGroup
from .._monitor.filters import UnreadableFilter, When, read_when, read_word
from .._monitor.records import Cause, ReviewStatus
from .auth.actor import LONGEST_NAME
from .query import CAUSE, INSTANT, LARGEST_EXACT, WHEN, WRITTEN, Reader, is_storable, word_of

MOST_IDS: Final = 1000


def _alert_ids(value: Any) -> list[int]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MOST_IDS
        or not all(_is_id(one) for one in value)
    ):
        raise UnreadableFilter(f"a list of 1 to {MOST_IDS} ids of alerts", str(value)[:100])
    return list(dict.fromkeys(int(one) for one in value))


def _is_id(value: object) -> bool:
    # JSON has one kind of number: 7.0 is 7.
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return is_whole and 1 <= value <= LARGEST_EXACT  # type: ignore[operator]


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not is_storable(value):
        raise UnreadableFilter(f"a name of at most {LONGEST_NAME} characters", str(value)[:100])
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnreadableFilter("true or false", str(value)[:100])
    return value


def _review_status(value: Any) -> ReviewStatus:
    return ReviewStatus(read_word(value if isinstance(value, str) else "", ReviewStatus))


By = Annotated[
    str,
    Reader(_name, {"type": "string", "maxLength": LONGEST_NAME, "pattern": r"^[^\x00]*$"}),
    Field(description="Who does it, where the login does not say."),
]


class Body(BaseModel):
    """What is sent. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise UnreadableFilter("a JSON object", type(given).__name__)
        for name in given.keys() - cls.model_fields.keys():
            raise ValueError(
                f"expected the fields {', '.join(cls.model_fields)}; found {name[:100]!r}"
                f"{did_you_mean(name, cls.model_fields)}"
            )
        return given


class _Change(Body):
    """What is to be done about which alerts."""

    alert_ids: Annotated[
        list[int],
        Reader(
            _alert_ids,
            {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": LARGEST_EXACT},
                "minItems": 1,
                "maxItems": MOST_IDS,
            },
        ),
    ]
    by: By = ""


class Resolution(_Change):
    """Alerts to be resolved, or opened again."""

    resolved: Annotated[bool, Reader(_boolean, {"type": "boolean"})] = True


class _ProblemChange(Body):
    """What is to be done about all alerts of a problem."""

    cause: Annotated[
        Cause, CAUSE, Field(description="The `cause` of the problem in an earlier answer.")
    ]
    by: By = ""


class ProblemResolution(_ProblemChange):
    """A problem to be resolved, or opened again."""

    resolved: Annotated[bool, Reader(_boolean, {"type": "boolean"})] = True


class ProblemReview(_ProblemChange):
    """A problem that somebody has looked at, and what they make of it."""

    review_status: Annotated[
        ReviewStatus,
        Reader(_review_status, {"type": "string", "enum": [str(one) for one in ReviewStatus]}),
    ]


class Review(_Change):
    """Alerts that somebody has looked at, and what they make of them."""

    review_status: Annotated[
        ReviewStatus,
        Reader(_review_status, {"type": "string", "enum": [str(one) for one in ReviewStatus]}),
    ]


def _until(value: Any) -> When:
    return read_when(value if isinstance(value, str) else "")


_UNTIL: Final = Reader(_until, WHEN.schema)


class NewSilence(Body):
    """Which notices are to be muted, until when, and why."""

    job: Annotated[str, WRITTEN, Field(description="A job's name, or a pattern: `billing.*`.")]
    error_group: Annotated[
        ErrorGroup | None,
        word_of(ErrorGroup),
        Field(description="Only notices of failures of this group."),
    ] = None
    alert_type: Annotated[
        str | None, WRITTEN, Field(description="Only notices of alerts of this type.")
    ] = None
    starts_at: Annotated[
        datetime | None, INSTANT, Field(description="From then on; otherwise from now on.")
    ] = None
    ends_at: Annotated[
        When, _UNTIL, Field(description="Until then, or for so long after the start (2h).")
    ]
    reason: Annotated[str, WRITTEN, Field(description="Why, for those who wonder later.")]
    until_recovered: Annotated[
        bool,
        Reader(_boolean, {"type": "boolean"}),
        Field(description="End it earlier, when the job recovers."),
    ] = False
    by: By = ""


class SilenceEnd(Body):
    """Who ends a silence."""

    by: By = ""


class Acknowledgement(Body):
    """Until when reminders of an incident wait, and why."""

    until: Annotated[When, _UNTIL, Field(description="Until then, or for so long from now on.")]
    reason: Annotated[str, WRITTEN, Field(description="Why, for those who wonder later.")]
    by: By = ""


class AcknowledgementEnd(Body):
    """Who takes an acknowledgement back."""

    by: By = ""
