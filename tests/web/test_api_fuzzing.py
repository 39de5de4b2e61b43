"""Schemathesis asks the JSON API whatever its description allows, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode

from runguard._web.api import ENDPOINTS
from runguard._web.openapi import address_of
from runguard._web.security import Access

if TYPE_CHECKING:
    from collections.abc import Callable


CASES = [
    pytest.param(endpoint, mode, id=f"{endpoint.name}-{mode.value}")
    for endpoint in ENDPOINTS
    for mode in GenerationMode
    # Where nothing can be sent, nothing wrong can be.
    if mode.is_positive or endpoint.parameters or endpoint.path_schema or endpoint.body
]


@pytest.mark.parametrize(("endpoint", "mode"), CASES)
def test_the_api_keeps_to_its_description(
    filled_file: str, application_at: Callable[..., Any], endpoint: Any, mode: GenerationMode
) -> None:
    application = application_at(filled_file, access=Access("open"))
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", application)
    operation = schema[address_of(endpoint)][endpoint.method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=25, derandomize=True, deadline=None)
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()
