"""The request that tests redaction, and its answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.wire.answers import RedactedField
from swarmkeeper.wire.shapes import Answer, Json, Request, json_within

VALUE_BYTES_MAX = 64 * 1024


class RedactionTest(Request):
    """A value to redact as this tenant's evidence would be. It is not stored."""

    value: Annotated[Json, json_within(VALUE_BYTES_MAX), Field(description="Any JSON of at most 64 KiB.")]


class RedactionTested(Answer):
    """The value as the evidence would show it."""

    value: Json
    redacted_fields: list[RedactedField]
