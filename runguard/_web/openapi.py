"""The OpenAPI 3.1 description of the JSON API, made from its table and from its records' types."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from .problems import ErrorAnswer
from .site import HEADER_OF_CSRF

if TYPE_CHECKING:
    from .api import Endpoint

_PLACEHOLDER: Final = re.compile(r"\{(\w+):\w+\}")
_PROBLEMS: Final = {
    400: "The body cannot be read.",
    401: "This needs a login.",
    403: "Not from here, or read-only.",
    404: "There is no such row.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value cannot be used: expected, found.",
    429: "Too many wrong logins: wait.",
    500: "A fault of runguard's own.",
    503: "The store cannot be reached, or its schema does not fit.",
}
_ALWAYS: Final = (401, 422, 429, 500, 503)
_PLAIN: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    UUID: {"type": "string", "format": "uuid"},
}


def document(endpoints: Iterable[Endpoint], *, prefix: str) -> dict[str, Any]:
    """Describe the endpoints, which are found under `prefix`."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for one in endpoints:
        paths.setdefault(address_of(one), {})[one.method] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "runguard",
            "version": "1",
            "description": "The runs and alerts that runguard recorded. Times are in UTC.",
        },
        "servers": [{"url": prefix or "/"}],
        # The empty one: where nobody is asked, as on loopback.
        "security": [{}, {"token": []}, {"password": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    }


def address_of(endpoint: Endpoint) -> str:
    """Return the path as the description has it."""
    return _PLACEHOLDER.sub(r"{\1}", endpoint.path)


def schema_of(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; those of records go into `schemas`, by their name."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if dataclasses.is_dataclass(kind):
        return _reference(kind, schemas)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"type": "string", "enum": [str(one) for one in kind]}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = [schema_of(one, schemas) for one in arguments]
        # Anything, or nothing, is anything.
        return {} if {} in inner else {"anyOf": inner}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0], schemas)}
    if origin is not None and issubclass(origin, Mapping):
        return {}  # `alert.detail`: other programs may have written any JSON
    raise TypeError(f"the description has no schema for {kind!r}")


def _reference(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}  # it may hold itself
        hints = typing.get_type_hints(kind)
        fields = [field.name for field in dataclasses.fields(kind)]
        schemas[name] = {
            "type": "object",
            "description": inspect.cleandoc(kind.__doc__ or ""),
            "properties": {field: schema_of(hints[field], schemas) for field in fields},
            "required": fields,
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {
            "200": _content("What was asked for.", schema_of(endpoint.answer, schemas)),
            **{
                str(status): _content(_PROBLEMS[status], schema_of(ErrorAnswer, schemas))
                for status in sorted({*_ALWAYS, *endpoint.problems})
            },
        },
    }
    if endpoint.body is not None:
        body = {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in endpoint.body.items()},
            "required": list(endpoint.needed),
            "additionalProperties": False,
        }
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
        operation["description"] = (
            f"A browser sends `{HEADER_OF_CSRF}` with the token that `/session` gives it."
        )
    return operation


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": dict(endpoint.path_schema or {})}
        for name in _PLACEHOLDER.findall(endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "in": "query",
            "description": one.description,
            "schema": dict(one.schema),
        }
        for one in endpoint.parameters
    ]


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
