"""The pages: each asks the store a fixed number of questions, and shows the answers."""

from typing import Final

from starlette.routing import BaseRoute

from . import acknowledgements, alerts, jobs, metrics, overview, runs, silences, triage

_PAGES: Final = (overview, jobs, runs, alerts, triage, acknowledgements, silences, metrics)
ROUTES: Final[list[BaseRoute]] = [route for page in _PAGES for route in page.router.routes]
