"""What is sent to try the redaction, and what is told of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.wire.answers import RedactedField
from swarmkeeper.wire.shapes import Answer, Json, Request, json_within

VALUE_BYTES_MAX = 64 * 1024


class RedactionTest(Request):
    """A value to be redacted as evidence of this tenant would be. It is kept nowhere."""

    value: Annotated[Json, json_within(VALUE_BYTES_MAX), Field(description="Anything, of at most 64 KiB.")]


class RedactionTested(Answer):
    """What the evidence would show of the value."""

    value: Json
    redacted_fields: list[RedactedField]
