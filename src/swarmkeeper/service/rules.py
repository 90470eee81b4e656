"""What decisions ask of govern, in one object: who may, and what may be seen."""

from __future__ import annotations

from swarmkeeper.core.model import Json, Principal, Redacted
from swarmkeeper.govern import access
from swarmkeeper.govern.redaction import Redactor


class BuiltInRules:
    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.hash = redactor.hash

    def redact(self, value: Json) -> Redacted:
        return self.redactor.redact(value)

    def text(self, value: str) -> str:
        return self.redactor.text(value)

    def may(self, principal: Principal, action: str) -> bool:
        return access.may(principal, action)

    def why_not(self, principal: Principal, action: str) -> str:
        return access.why_not(principal, action)
