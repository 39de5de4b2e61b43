"""What a page's form has sent."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.datastructures import FormData
from starlette.requests import Request

from .problems import Problem

MOST_FIELDS: Final = 1000


async def _sent_form(request: Request) -> FormData:
    """Read a form.

    Raises:
        Problem: it is none, or has too many fields.
    """
    try:
        pairs = parse_qsl(
            (await request.body()).decode(),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Problem(
            400,
            f"expected a form with at most {MOST_FIELDS} fields, found one that cannot be read",
        ) from None
    return FormData([*pairs])


SentForm = Annotated[FormData, Depends(_sent_form)]


def text_in(form: FormData, name: str) -> str:
    """Return a field's text, without the blanks around it; empty where it was not sent."""
    return str(form.get(name, "")).strip()
