"""Reads the file that configures the secrets broker (`--secrets FILE`): back ends, and rules for secrets.

There is no other way to configure it: what a bot may get cannot be changed through the API. Every error names the
file, the table and the key.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swarmkeeper.core.secrets.records import LeaseUse
from swarmkeeper.core.secrets.references import is_name
from swarmkeeper.files import BadFile, read_text

BYTES_MAX = 1 << 20
BUILTIN = "builtin"
KINDS = ("env", "file", "vault", "dynamic")


class BadSecrets(Exception):
    """The broker cannot be configured so. The message says where, and repeats no value."""


@dataclass(frozen=True, slots=True)
class VaultAuth:
    """How the server logs in to Vault or OpenBao: each value is read from its file at every login."""

    method: str  # token | approle | kubernetes
    mount: str
    files: Mapping[str, str]  # what is sent -> the file that has it
    role: str = ""


@dataclass(frozen=True, slots=True)
class BackendConfig:
    name: str
    kind: str
    prefix: str = ""  # env
    directory: str = ""  # file
    address: str = ""  # vault, dynamic
    mount: str = "secret"
    namespace: str = ""
    ca_file: str = ""
    timeout_seconds: float = 5.0
    auth: VaultAuth | None = None


@dataclass(frozen=True, slots=True)
class Allow:
    """Who may have a secret. An empty part asks nothing, except that without `tenants` only the owner's bots may."""

    tenants: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    bots: tuple[str, ...] = ()  # names; * stands for any letters
    labels: Mapping[str, str] = field(default_factory=dict)

    def lets(self, use: LeaseUse, owner: str) -> bool:
        return (
            (use.tenant == owner or use.tenant in self.tenants)
            and (not self.skills or not self.skills.isdisjoint(use.skills))
            and (not self.bots or any(fnmatchcase(use.bot_name, bot) for bot in self.bots))
            and all(use.labels.get(name) == value for name, value in self.labels.items())
        )


@dataclass(frozen=True, slots=True)
class SecretRule:
    """Where secrets of these names are, and who may have them."""

    name: str  # * stands for any letters
    backend: str
    tenant: str
    key: str = "{name}"  # in the back end
    per_minute: int = 600
    allow: Allow = Allow()
    is_written: bool = True  # False: it stands for a name without a rule

    def is_for(self, name: str, tenant: str) -> bool:
        return fnmatchcase(name, self.name) and (tenant == self.tenant or tenant in self.allow.tenants)


@dataclass(frozen=True, slots=True)
class SecretsConfig:
    backends: Mapping[str, BackendConfig] = field(default_factory=dict)
    rules: tuple[SecretRule, ...] = ()
    per_lease: int = 32
    known_days: int = 400  # a value that was not released for so long is forgotten
    key_command: tuple[str, ...] = ()
    key_transit: tuple[str, str, str] | None = None  # (back end, mount, name of the key) that wraps the master keys

    def rule_of(self, name: str, tenant: str) -> SecretRule:
        """Return the first rule for the name; without one, the server keeps the secret itself."""
        own = SecretRule(name, BUILTIN, tenant, is_written=False)
        return next((rule for rule in self.rules if rule.is_for(name, tenant)), own)


def read(file: str) -> SecretsConfig:
    """Read the file.

    Raises:
        BadSecrets: it cannot be read, others may read it, or something in it is wrong.
    """
    text = private_text(file)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSecrets(f"{file}: is no TOML: {error}") from None
    return _Reader(file).config(content)


def private_text(file: str) -> str:
    """Return the text of a file that only its owner may read.

    Raises:
        BadSecrets: it is none, or others may read it.
    """
    try:
        return read_text(Path(file), BYTES_MAX, private=True)
    except BadFile as bad:
        raise BadSecrets(f"{file}: {bad}") from None


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file

    def config(self, content: Mapping[str, Any]) -> SecretsConfig:
        top = _Table(self._file, "", content)
        backends = {name: self._backend(name, table) for name, table in top.tables("backend").items()}
        config = SecretsConfig(
            backends=backends,
            rules=tuple(self._rule(table, backends) for table in top.list_of_tables("secret")),
            per_lease=top.whole("per_lease", 32, 1, 10_000),
            known_days=top.whole("known_days", 400, 1, 36_500),
            key_command=top.texts("key_command"),
            key_transit=self._transit(top, backends),
        )
        top.nothing_else()
        return config

    def _transit(self, top: _Table, backends: Mapping[str, BackendConfig]) -> tuple[str, str, str] | None:
        table = top.table("key_transit")
        if table is None:
            return None
        backend = table.text("backend")
        if backend not in backends or backends[backend].kind not in ("vault", "dynamic"):
            raise table.bad("backend", "is no back end of kind vault in this file")
        found = backend, table.text("mount", "transit"), table.text("key")
        table.nothing_else()
        return found

    def _backend(self, name: str, table: _Table) -> BackendConfig:
        if name == BUILTIN:
            raise table.bad("", "the server's own secrets need no table: they are there whenever there is a master key")
        kind = table.text("kind")
        if kind not in KINDS:
            raise table.bad("kind", f"is one of {', '.join(KINDS)}")
        made = BackendConfig(name, kind)
        if kind == "env":
            made = BackendConfig(name, kind, prefix=table.text("prefix"))
        elif kind == "file":
            made = BackendConfig(name, kind, directory=table.text("directory"))
            if not Path(made.directory).is_absolute():
                raise table.bad("directory", "is an absolute path")
        else:
            address = table.text("address").rstrip("/")
            _check_address(table, address)
            made = BackendConfig(
                name,
                kind,
                address=address,
                mount=table.text("mount", "secret" if kind == "vault" else "database").strip("/"),
                namespace=table.text("namespace", ""),
                ca_file=table.text("ca_file", ""),
                timeout_seconds=table.number("timeout_seconds", 5.0, 0.1, 60.0),
                auth=self._auth(table),
            )
        table.nothing_else()
        return made

    def _auth(self, table: _Table) -> VaultAuth:
        auth = table.table("auth")
        if auth is None:
            raise table.bad("auth", "is missing")
        method = auth.text("method")
        mount = auth.text("mount", method).strip("/")
        if method == "token":
            made = VaultAuth(method, "", {"token": auth.text("token_file")})
            auth.text("mount", "")
        elif method == "approle":
            files = {"role_id": auth.text("role_id_file"), "secret_id": auth.text("secret_id_file")}
            made = VaultAuth(method, mount, files)
        elif method == "kubernetes":
            jwt = auth.text("token_file", "/var/run/secrets/kubernetes.io/serviceaccount/token")
            made = VaultAuth(method, mount, {"jwt": jwt}, auth.text("role"))
        else:
            raise auth.bad("method", "is one of token, approle, kubernetes")
        auth.nothing_else()
        return made

    def _rule(self, table: _Table, backends: Mapping[str, BackendConfig]) -> SecretRule:
        name, backend = table.text("name"), table.text("backend", BUILTIN)
        if not is_name(name.replace("*", "x")):
            raise table.bad("name", "has letters, digits and . _ - / *, and no part begins with a point")
        if backend != BUILTIN and backend not in backends:
            raise table.bad("backend", "is no table `backend` of this file")
        key = table.text("key", "{name}")
        if "*" in name and "{name}" not in key:
            raise table.bad("key", "needs {name}, because `name` stands for several secrets")
        tenant, per_minute = table.text("tenant", "default"), table.whole("per_minute", 600, 1, 1_000_000)
        allow = table.table("allow")
        made = SecretRule(name, backend, tenant, key, per_minute, Allow() if allow is None else self._allow(allow))
        table.nothing_else()
        return made

    def _allow(self, table: _Table) -> Allow:
        labels = table.table("labels")
        made = Allow(
            frozenset(table.texts("tenants")),
            frozenset(table.texts("skills")),
            table.texts("bots"),
            {} if labels is None else {name: labels.text(name) for name in labels.names},
        )
        table.nothing_else()
        return made


def _check_address(table: _Table, address: str) -> None:
    """Refuse an address over which secrets would go in plain text, unless the file says that they may.

    Raises:
        BadSecrets: it is refused, or no address.
    """
    parts, insecure = urlsplit(address), table.boolean("insecure")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise table.bad("address", "is a URL like https://vault:8200, without user or password")
    needs_it = parts.scheme == "http" and not _is_this_machine(parts.hostname)
    if needs_it and not insecure:
        raise table.bad(
            "address", "is https://…: over http:// everybody on the way reads secrets; insecure = true permits it"
        )
    if insecure and not needs_it:
        raise table.bad("insecure", "has a meaning only with an address http://… of another machine")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Table:
    """A table of the file, which reports errors with its name."""

    def __init__(self, file: str, where: str, content: object) -> None:
        self._file, self._where = file, where
        if not isinstance(content, dict):
            raise self.bad("", "must be a table")
        self._content: dict[str, Any] = content
        self._used: set[str] = set()

    @property
    def names(self) -> list[str]:
        return list(self._content)

    def bad(self, key: str, rule: str) -> BadSecrets:
        place = ".".join(part for part in (self._where, key) if part)
        return BadSecrets(f"{self._file}: {place + ' ' if place else ''}{rule}")

    def nothing_else(self) -> None:
        for name in self._content:
            if name not in self._used:
                raise self.bad(name, "is not known here")

    def _get(self, key: str, default: Any, kinds: tuple[type, ...], rule: str) -> Any:
        self._used.add(key)
        value = self._content.get(key, default)
        if value is None:
            raise self.bad(key, "is missing")
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise self.bad(key, rule)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self._get(key, default, (str,), "must be a string")
        if not value and default is None:
            raise self.bad(key, "is empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._get(key, [], (list,), "must be a list of strings")
        if not all(isinstance(value, str) and value for value in values):
            raise self.bad(key, "must be a list of strings")
        return tuple(values)

    def boolean(self, key: str) -> bool:
        """Return true or false; false if it is not there."""
        self._used.add(key)
        value = self._content.get(key, False)
        if not isinstance(value, bool):
            raise self.bad(key, "is true or false")
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value: int = self._get(key, default, (int,), "must be a whole number")
        self._check_bounds(key, value, least, most)
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        value: float = self._get(key, default, (int, float), "must be a number")
        self._check_bounds(key, value, least, most)
        return value

    def _check_bounds(self, key: str, value: float, least: float, most: float) -> None:
        if not least <= value <= most:
            raise self.bad(key, f"must be from {least:g} to {most:g}")

    def table(self, key: str) -> _Table | None:
        self._used.add(key)
        if key not in self._content:
            return None
        return _Table(self._file, self._below(key), self._content[key])

    def tables(self, key: str) -> dict[str, _Table]:
        table = self.table(key)
        return (
            {}
            if table is None
            else {name: _Table(self._file, self._below(f"{key}.{name}"), table._content[name]) for name in table.names}
        )

    def list_of_tables(self, key: str) -> list[_Table]:
        self._used.add(key)
        found = self._content.get(key, [])
        if not isinstance(found, list):
            raise self.bad(key, f"must be written as [[{key}]]")
        return [_Table(self._file, self._below(f"{key}[{number}]"), each) for number, each in enumerate(found, 1)]

    def _below(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key
