"""What goes wrong, as a page or as JSON of RFC 9457: expected, found, and what to do.

Neither shows a traceback or a secret: a bug is told in the log only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from http import HTTPStatus
from typing import Any, Final, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .._errors import ConfigurationError, SchemaOutOfDate, StoreUnavailable, nearest
from .._frozen import frozen
from .json_answer import JsonAnswer
from .rendering import render
from .state import path_of, state_of

MEDIA_TYPE: Final = "application/problem+json"
_READ_ONLY_SQLSTATE: Final = "25006"
_NOT_ALLOWED_SQLSTATE: Final = "42501"
_READ_ONLY_SQLITE: Final = "attempt to write a readonly database"
_OVERVIEW: Final = "Begin at the overview, or go back."
_INDEX: Final = "The index at /api/v1/ lists every address."


class Problem(Exception):
    """An answer that is not what was asked for."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        remedy: str = "",
        title: str = "",
        meant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the HTTP status, what is wrong, what to do about it, and the job that was meant."""
        super().__init__(detail)
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.remedy = remedy
        self.meant = meant
        self.headers = dict(headers or {})


@frozen
class ProblemDetails:
    """An answer that is not what was asked for (RFC 9457); `remedy` says what to do about it."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    remedy: str


def no_such_row(kind: Literal["run", "alert", "silence"], number: int) -> Problem:
    """Say that a run, an alert or a silence is not there."""
    return Problem(
        404,
        f"There is no {kind} {number}.",
        title=f"No such {kind}",
        remedy=f"It may have been pruned. The list of {kind}s has those that are there.",
    )


def nothing_to_acknowledge(alert_id: int) -> Problem:
    """Say that an alert has no incident that is open, or is not there."""
    return Problem(
        409,
        f"Alert {alert_id} belongs to no open incident: it recovered, or none was told of it yet.",
        title="Nothing to acknowledge",
        remedy="Nothing was changed. The page of the job says how it stands now.",
    )


def no_such_job(name: str, known: Iterable[str]) -> Problem:
    """Say that a job never ran, and which one may have been meant."""
    near = nearest(name, known)
    return Problem(
        404,
        f"No job {name!r} was ever recorded here{f' (did you mean {near!r}?)' if near else ''}.",
        title="No such job",
        remedy="The overview lists every job.",
        meant=near,
    )


def expected_and_found(error: ValidationError | RequestValidationError) -> str:
    """Say of the first value that cannot be used what was expected, and what was found."""
    first: Mapping[str, Any] = next(iter(error.errors()))
    name = ".".join(str(one) for one in first["loc"] if one not in ("query", "body", "path"))
    said = first.get("ctx", {}).get("error") or first["msg"]
    if first["type"] == "missing":
        return f"{name or 'the body'}: expected a value, found none"
    if not name:
        return str(said)
    return f"{name}: {said}"


def problem_of(error: Exception, request: Request) -> Problem:
    """Say what an exception means to the one who asked; log what its operator must know."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _of_the_framework(error, request)
    if isinstance(error, RequestValidationError):
        return _of_the_request(error)
    if isinstance(error, ConfigurationError):
        return Problem(422, str(error), remedy="Correct the value and try again.")
    if isinstance(error, SchemaOutOfDate):
        state_of(request).events.internal_error("web", error)
        return Problem(503, str(error), title="The store's schema does not fit")
    if isinstance(error, StoreUnavailable):
        return _of_the_store(error, request)
    state_of(request).events.internal_error("web", error)
    return Problem(
        500,
        "This is a fault of runguard's own; your jobs are not affected.",
        title="Something went wrong here",
        remedy="The server's log says more, at the event runguard.internal_error.",
    )


def answer_problem(request: Request, problem: Problem) -> Response:
    """Answer with a problem, as the asker can read it."""
    response = _as_json(problem) if wants_json(request) else _as_page(request, problem)
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


def wants_json(request: Request) -> bool:
    """Whether a program asks, not a person."""
    if path_of(request).startswith("/api/"):
        return True
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _of_the_framework(error: HTTPException, request: Request) -> Problem:
    path = path_of(request)
    remedy = _INDEX if path.startswith("/api/") else _OVERVIEW
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(404, f"There is no page at {path!r}.", remedy=remedy)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = set((error.headers or {}).get("Allow", "GET").split(", "))
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        return Problem(
            405,
            f"expected {allowed}, found {request.method}",
            remedy=remedy,
            headers={"Allow": allowed},
        )
    return Problem(error.status_code, error.detail, remedy=remedy, headers=error.headers)


def _of_the_request(error: RequestValidationError) -> Problem:
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return Problem(400, "expected a body of JSON, found one that cannot be read")
    return Problem(422, expected_and_found(error), remedy="Correct it and send it again.")


def _of_the_store(error: StoreUnavailable, request: Request) -> Problem:
    said = getattr(error.__cause__, "orig", None)
    state = getattr(said, "sqlstate", None)
    if state == _READ_ONLY_SQLSTATE or _READ_ONLY_SQLITE in str(said):
        return Problem(
            403,
            "The database accepts no writes: it is a standby, or its file is read-only.",
            title="The store is read-only",
            remedy="Nothing was changed. Open the page that reads the primary.",
        )
    if state == _NOT_ALLOWED_SQLSTATE:
        return Problem(
            403,
            "The role with which runguard reads the database may not do this.",
            title="The database role may not do this",
            remedy="Nothing was changed. The guide to least privilege has the grants.",
        )
    state_of(request).events.internal_error("web", error)
    return Problem(
        503,
        str(error),
        title="The store cannot be reached",
        remedy="Your jobs keep running: their records wait on their machines. This page will work"
        " as soon as the store answers again.",
        headers={"Retry-After": "5"},
    )


def _as_json(problem: Problem) -> Response:
    status = HTTPStatus(problem.status)
    # Of a `type` that is `about:blank`, the title is that of the status.
    details = ProblemDetails("about:blank", status.phrase, status, problem.detail, problem.remedy)
    return JsonAnswer(details, media_type=MEDIA_TYPE)


def _as_page(request: Request, problem: Problem) -> Response:
    try:
        return render(request, "error.html", {"problem": problem})
    except Exception as error:  # an error page must not fail
        state_of(request).events.internal_error("web", error)
        texts = (problem.title, problem.detail, problem.remedy)
        title, detail, remedy = (escape(text) for text in texts)
        return HTMLResponse(
            f"<!doctype html><html lang=en><title>{title}</title><h1>{title}</h1>"
            f"<p>{detail}</p><p>{remedy}</p></html>"
        )
