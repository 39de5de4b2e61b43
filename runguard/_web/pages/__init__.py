"""The pages: each asks the store a fixed number of questions, and shows the answers."""

from fastapi import APIRouter

from . import acknowledgements, alerts, jobs, metrics, overview, runs, silences, triage

router = APIRouter(include_in_schema=False)
for _page in (overview, jobs, runs, alerts, triage, acknowledgements, silences, metrics):
    router.include_router(_page.router)
