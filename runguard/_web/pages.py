"""The pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .rendering import render


def overview(request: Request) -> Response:
    """Show every job."""
    return render(request, "overview.html", {})


def job(request: Request) -> Response:
    """Show one job."""
    return render(request, "job.html", {})


def runs(request: Request) -> Response:
    """List runs."""
    return render(request, "runs.html", {})


def run(request: Request) -> Response:
    """Show one run."""
    return render(request, "run.html", {})


def alerts(request: Request) -> Response:
    """List alerts."""
    return render(request, "alerts.html", {})


def alert(request: Request) -> Response:
    """Show one alert."""
    return render(request, "alert.html", {})


def resolve_alerts(request: Request) -> Response:
    """Resolve alerts."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/alerts", status_code=303)


def review_alerts(request: Request) -> Response:
    """Review alerts."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/alerts", status_code=303)
