"""Schemathesis asks the JSON API whatever its description allows, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from runguard._web.api import PREFIX, router
from runguard._web.auth.access import Access
from runguard._web.openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable

schemathesis.openapi.format("time-zone", st.timezone_keys())
PATHS = document(router.routes, common=PREFIX)["paths"]
CASES = [
    pytest.param(path, method, mode, id=f"{operation['operationId']}-{mode.value}")
    for path, operations in PATHS.items()
    for method, operation in operations.items()
    for mode in GenerationMode
    # Where nothing can be sent, nothing wrong can be.
    if mode.is_positive or operation.get("parameters") or "requestBody" in operation
]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_the_api_keeps_to_its_description(
    filled_file: str,
    application_at: Callable[..., Any],
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    application = application_at(filled_file, access=Access("open"))
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", application)
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=12, derandomize=True, deadline=None)
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()
