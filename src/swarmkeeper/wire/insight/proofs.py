"""What proves the body of an audit record to whoever may read it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.wire.shapes import Answer


class AuditBody(Answer):
    """The body of an audit record, with what proves that the record commits to it.

    The record's leaf has `body.commitment`. It is SHA-256 over two hashes: `SHA-256(salt ‖ body)`, and `rest`.
    """

    index: Annotated[int, Field(description="Index of the record in the tenant's log.")]
    erased: Annotated[bool, Field(description="The body was erased, and its salt with it.")] = False
    alg: Annotated[
        str,
        Field(
            description="`body.alg` of the leaf. Of `sha256-salted`, from an earlier version, nothing can be shown"
            " alone: salt, body and rest are null."
        ),
    ]
    salt: Annotated[str | None, Field(description="In hexadecimal.")] = None
    body: Annotated[
        str | None,
        Field(description="Canonical JSON (RFC 8785), as it was hashed: ids and hash of the events, and the payload."),
    ] = None
    rest: Annotated[
        str | None,
        Field(
            description="Salted hash of the rest of the body, in hexadecimal: hashes of rows, which stay in the store."
        ),
    ] = None
