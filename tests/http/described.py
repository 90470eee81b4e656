"""Compares the answers of the API with its OpenAPI document."""

import re
from functools import cache
from typing import Any

import jsonschema_rs

from swarmkeeper.http.app import openapi_document

_DOCUMENT = openapi_document("0.0.0")
_PATHS = [(path, re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path)))) for path in _DOCUMENT["paths"]]


@cache
def _validator(path: str, method: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    response = _DOCUMENT["paths"].get(path, {}).get(method.lower(), {}).get("responses", {}).get(str(status), {})
    if "application/json" not in response.get("content", {}):
        return None
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": _DOCUMENT["components"]})


def differences(method: str, path: str, status: int, answer: Any) -> list[str]:
    """Return where a JSON answer differs from the document; nothing for a call that is not in it."""
    if status >= 400:
        return []
    for declared, pattern in _PATHS:
        if pattern.fullmatch(path.partition("?")[0]):
            validator = _validator(declared, method, status)
            found = [] if validator is None else list(validator.iter_errors(answer))
            return [f"{'/'.join(map(str, error.instance_path))}: {error.message[-300:]}" for error in found]
    return []
