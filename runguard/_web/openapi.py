"""The OpenAPI 3.1 document of the JSON API, made from its routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from .problems import MEDIA_TYPE, ProblemDetails

_PROBLEMS: Final = {
    400: "The body cannot be read.",
    401: "A login is needed.",
    403: "The request comes from another site, or the page is read-only.",
    404: "There is no such row.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value cannot be used: expected, found.",
    429: "Too many wrong logins: wait.",
    500: "A fault of runguard's own.",
    503: "The store cannot be reached, or its schema does not fit.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of these statuses."""
    return {
        status: {"model": ProblemDetails, "description": _PROBLEMS[status]} for status in statuses
    }


ALWAYS: Final = problems(401, 422, 429, 500, 503)


def document(routes: Sequence[BaseRoute], *, common: str) -> dict[str, Any]:
    """Describe the routes, whose paths all begin with `common`."""
    described = get_openapi(
        title="runguard",
        version="1",
        description="The runs and alerts that runguard recorded. Times are in UTC.",
        routes=routes,
        servers=[{"url": common}],
    )
    described["paths"] = {
        path.removeprefix(common): operations for path, operations in described["paths"].items()
    }
    # The empty one: where nobody is asked, as on loopback.
    described["security"] = [{}, {"token": []}, {"password": []}]
    described["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "password": {"type": "http", "scheme": "basic"},
    }
    for schema in described["components"]["schemas"].values():
        if "properties" in schema:  # a record has its fields and no others
            schema["additionalProperties"] = False
    for operations in described["paths"].values():
        for operation in operations.values():
            _name_problems(operation["responses"])
    return described


def _name_problems(responses: dict[str, Any]) -> None:
    """Say that problems have a media type of their own, which FastAPI cannot be told."""
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
