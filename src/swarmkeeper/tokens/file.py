"""The file of issuers (TOML): what may be written in it, and every mistake with its place.

Issuers are configured by this file alone. Nobody who can only call the API can let in tokens of another one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import re2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.files import BadFile, read_text
from swarmkeeper.govern.access import Role
from swarmkeeper.sinks.targets.addresses import web_address
from swarmkeeper.tokens.keys import ALGORITHMS
from swarmkeeper.tokens.refusals import BadIdentity

BYTES_MAX = 1 << 20  # of the file
ISSUERS_MAX = 32
RULES_MAX = 200
ALLOWED_MAX = 1_000  # values in a list
TEXT_MAX = 255
LEEWAY_MAX = 120


def _line(written: str) -> str:
    if not written.strip() or not is_line(written):
        raise ValueError("expected one line of text that is not empty")
    return written


def _algorithm(written: str) -> str:
    if written not in ALGORITHMS:
        raise ValueError(f"expected one of {', '.join(ALGORITHMS)}: none and HS… would let anyone make tokens")
    return written


def _pattern(written: str) -> str:
    try:
        re2.compile(written)
    except re2.error:
        raise ValueError("expected a regular expression (RE2)") from None
    return written


def _as_list(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


Line = Annotated[str, Field(max_length=TEXT_MAX), AfterValidator(_line)]
Name = Annotated[str, Field(max_length=128), AfterValidator(_line)]
Lines = Annotated[list[Line], Field(min_length=1, max_length=ALLOWED_MAX), BeforeValidator(_as_list)]
Seconds = Annotated[float, Field(ge=1, le=86_400)]


class _IdentityTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _FromClaim(_IdentityTable):
    """A value that is written in the file, or taken from a claim of the token."""

    claim: Line | None = None
    allowed: Lines | None = None
    pattern: Annotated[str, Field(max_length=1_000), AfterValidator(_pattern)] | None = None

    @model_validator(mode="after")
    def _bounds_need_a_claim(self) -> _FromClaim:
        if self.claim is None and (self.allowed is not None or self.pattern is not None):
            raise ValueError("expected a text, or a table with claim = …")
        return self

    @property
    def is_bounded(self) -> bool:
        return self.claim is None or self.allowed is not None or self.pattern is not None


class OneValue(_FromClaim):
    value: Name | None = None


class SomeValues(_FromClaim):
    values: list[Name] | None = None


def _one(written: Any) -> Any:
    if isinstance(written, str):
        return {"value": written}
    if not isinstance(written, dict) or "claim" not in written or "value" in written:
        raise ValueError('expected a text, or a table like {claim = "NAME"}')
    return written


def _some(written: Any) -> Any:
    if isinstance(written, list):
        return {"values": written}
    if not isinstance(written, dict) or "claim" not in written or "values" in written:
        raise ValueError('expected a list of texts, or a table like {claim = "NAME"}')
    return written


def _conditions(written: Any) -> Any:
    if not isinstance(written, dict):
        raise ValueError("expected a table {claim = value}; {} for every token of the issuer")
    for claim, wanted in written.items():
        each = wanted if isinstance(wanted, list) else [wanted]
        if not claim or not each or not all(isinstance(value, str | int | bool) for value in each):
            raise ValueError(f"{claim or 'a claim'}: expected a text, a number, a truth value, or a list of them")
    return written


Given = Annotated[OneValue, BeforeValidator(_one)]


class RuleTable(_IdentityTable):
    """What a token becomes whose claims are as `when` says."""

    when: Annotated[dict[str, Any], Field(max_length=20), BeforeValidator(_conditions)]
    tenant: Given
    role: Literal[tuple(str(role) for role in Role)]  # type: ignore[valid-type]  # pydantic takes the values
    bot_name: Given | None = None
    owner: Given | None = None  # else issuer#subject
    person: Given | None = None  # the name of the person to whom the token belongs
    skills: Annotated[SomeValues, BeforeValidator(_some)] | None = None
    scope: Literal["own", "tenant"] | None = None  # which tasks a client sees; None: own

    @model_validator(mode="after")
    def _powers_are_bounded(self) -> RuleTable:
        if not self.tenant.is_bounded:
            raise ValueError(
                "tenant: a claim needs allowed = […] or pattern = …: the issuer must not choose any tenant"
            )
        may_be_a_bot = self.role == Role.ADMIN or self.role.startswith("bot:")
        if not may_be_a_bot and (self.bot_name is not None or self.skills is not None):
            raise ValueError("bot_name and skills have a meaning only with bot roles and admin")
        if self.scope is not None and self.role != Role.CLIENT:
            raise ValueError("scope has a meaning only with the role client")
        return self


class StepUpTable(_IdentityTable):
    """What proves that somebody has signed in a short time ago."""

    time: Literal["auth_time", "iat"] = "auth_time"  # the claim with the time of the sign-in
    acr: Lines | None = None  # the claim must be one of these
    amr: Lines | None = None  # the claim must have one of these


class IssuerTable(_IdentityTable):
    """One issuer."""

    issuer: Line
    audience: Lines
    algorithms: Annotated[list[Annotated[str, AfterValidator(_algorithm)]], Field(min_length=1)]
    rule: Annotated[list[RuleTable], Field(min_length=1, max_length=RULES_MAX)]
    spiffe: bool = False
    jwks_url: Annotated[str, AfterValidator(web_address)] | None = None
    jwks_file: Line | None = None
    typ: Lines | None = None
    leeway_seconds: Annotated[float, Field(ge=0, le=LEEWAY_MAX)] = 30.0
    max_age_seconds: Annotated[float, Field(ge=1, le=31_536_000)] | None = None
    jwks_seconds: Seconds = 300.0
    jwks_stale_seconds: Seconds = 3_600.0
    insecure: bool = False  # http://
    allow_private: bool = False  # addresses of private networks and of this machine
    ca_file: Line | None = None
    step_up: StepUpTable = StepUpTable()

    @model_validator(mode="after")
    def _keys_come_from_one_place(self) -> IssuerTable:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("jwks_url and jwks_file: keep one")
        if self.spiffe and not (self.issuer.startswith("spiffe://") and is_domain(self.issuer[9:])):
            raise ValueError("issuer: with spiffe = true, it is a trust domain, like spiffe://example.org")
        if self.jwks_file is None and self.jwks_url is None:
            if not self.issuer.startswith(("https://", "http://")):
                raise ValueError("jwks_url: missing; discovery needs an issuer that is a URL")
            web_address(self.issuer)
        address = self.jwks_url or ("" if self.jwks_file else self.issuer)
        if address.startswith("http://") and not self.insecure:
            raise ValueError("jwks_url: expected https://…; http:// needs insecure = true")
        if self.jwks_stale_seconds < self.jwks_seconds:
            raise ValueError("jwks_stale_seconds: expected at least jwks_seconds")
        return self

    @property
    def types(self) -> frozenset[str]:
        """The accepted values of `typ`, in lower case."""
        default = ["JWT", "at+jwt", *(["JOSE"] if self.spiffe else ())]
        return frozenset(typ.lower().removeprefix("application/") for typ in self.typ or default)


def is_domain(text: str) -> bool:
    """Whether this is a trust domain (SPIFFE-ID, section 2.1)."""
    return 0 < len(text) <= 255 and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")


class _File(_IdentityTable):
    issuer: Annotated[list[IssuerTable], Field(min_length=1, max_length=ISSUERS_MAX)]


def read(path: Path) -> list[IssuerTable]:
    """Read and check the file of issuers. Paths in it are from its folder on.

    Raises:
        BadIdentity: it cannot be used.
    """
    try:
        content = tomllib.loads(read_text(path, BYTES_MAX))
    except BadFile as bad:
        raise BadIdentity(f"{path}: the file {bad}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadIdentity(f"{path}: not valid TOML: {error}") from None
    if not content.get("issuer"):
        raise BadIdentity(f"{path}: no issuer: each is a table [[issuer]]")
    try:
        found = _File.model_validate(content).issuer
    except ValidationError as error:
        raise BadIdentity("\n".join(f"{path}: {_said(each)}" for each in error.errors(include_input=False))) from None
    known: dict[str, int] = {}
    for number, table in enumerate(found, 1):
        if table.issuer in known:
            raise BadIdentity(f"{path}: issuer {number} issuer: issuer {known[table.issuer]} has the same")
        known[table.issuer] = number
    folder = path.parent

    def moved(file: str | None) -> str | None:
        return None if file is None else str(folder / file)

    return [
        table.model_copy(update={"jwks_file": moved(table.jwks_file), "ca_file": moved(table.ca_file)})
        for table in found
    ]


def _said(found: Any) -> str:
    """Return place and rule of one mistake: `issuer 1 rule 2 tenant: …`."""
    place = " ".join(str(part + 1) if isinstance(part, int) else str(part) for part in found["loc"])
    said = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        said = "unknown key"
    elif found["type"] == "missing":
        said = "missing"
    return f"{place}: {said}" if place else said
