"""Compares the answers of the API with its OpenAPI document: the reviewed one, which is read in a second less than it
could be made. test_openapi.py compares it with what the application says."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

SNAPSHOT = Path(__file__).with_name("openapi.json")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return found


@cache
def _paths() -> list[tuple[str, re.Pattern[str]]]:
    return [(path, re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(path)))) for path in document()["paths"]]


@cache
def _validator(path: str, method: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    response = document()["paths"].get(path, {}).get(method.lower(), {}).get("responses", {}).get(str(status), {})
    if "application/json" not in response.get("content", {}):
        return None
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]})


def differences(method: str, path: str, status: int, answer: Any) -> list[str]:
    """Return where a JSON answer differs from the document; nothing for a call that is not in it."""
    if status >= 400:
        return []
    for declared, pattern in _paths():
        if pattern.fullmatch(path.partition("?")[0]):
            validator = _validator(declared, method, status)
            found = [] if validator is None else list(validator.iter_errors(answer))
            return [f"{'/'.join(map(str, error.instance_path))}: {error.message[-300:]}" for error in found]
    return []
