"""Trying the redaction: what of a value the evidence would show."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import errors
from swarmkeeper.core.model import Json
from swarmkeeper.govern.access import Action
from swarmkeeper.http import auth
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.query import NoQuery
from swarmkeeper.service.looking import Reads
from swarmkeeper.wire.redaction import RedactionTest, RedactionTested

calls = Calls("evidence")


@calls.add(
    "POST",
    "/redaction:test",
    body=RedactionTest,
    answers={200: RedactionTested},
    refusals=(errors.Forbidden,),
    needs=Action.REDACTION_TEST,
)
async def test_redaction(x: Exchange[RedactionTest, NoQuery]) -> Reply:
    """Try the redaction: the value as the tenant's evidence would show it, and what was hidden where.

    Nothing of it is kept.
    """
    auth.require(x.parts.rules, x.by, Action.REDACTION_TEST)

    async def redacted(reads: Reads) -> Json:
        found = x.parts.rules.redact(x.body.value, tenant=x.by.tenant)
        fields: list[dict[str, Any]] = [
            {"pointer": one.pointer, "rule": one.rule, "action": one.action, "in": one.within} for one in found.fields
        ]
        return {"value": found.value, "redacted_fields": fields}

    return Reply(200, await x.look(redacted))
