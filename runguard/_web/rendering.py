"""Templates to pages."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


def render(request: Request, name: str, context: Mapping[str, Any]) -> Response:  # noqa: ARG001
    """Return a page."""
    token = escape(request.state.csrf_token)
    return HTMLResponse(
        f'<!doctype html><title>{escape(name)}</title><input name="csrf_token" value="{token}">'
    )
