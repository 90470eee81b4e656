"""All settings in one table, the fields of `Settings`; keeps for each value where it came from.

A value comes from a flag, else the environment (SWARMKEEPER_<NAME>), else the folder of `swarmkeeper dev`
(.swarmkeeper/settings.toml), else swarmkeeper.toml, else the default. Inner packages receive plain records made here,
and never import this module.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.devfolder import DEV_FILE, DEV_FOLDER, FILE, content_of
from swarmkeeper.settings import kinds

if TYPE_CHECKING:
    from swarmkeeper.access.quotas import QuotaBounds
    from swarmkeeper.access.retention import RetentionPeriods
    from swarmkeeper.core.model import Limits
    from swarmkeeper.http.app import HttpLimits

SECOND = 1_000_000
PREFIX = "SWARMKEEPER_"

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "json", "text")

# Kubernetes sets these in every container if there is a Service called swarmkeeper. They are no settings.
_KUBERNETES = ("SWARMKEEPER_SERVICE_", "SWARMKEEPER_PORT_")


class BadSetting(Exception):
    """A setting is invalid. The message says which and where it is set, never its value."""


def _setting(
    default: Any,
    parse: kinds.Parser,
    meaning: str,
    *,
    unit: str = "",
    secret: bool = False,
    show: Callable[[str], str] | None = None,
) -> Any:
    metadata = {"parse": parse, "meaning": meaning, "unit": unit, "secret": secret, "show": show}
    return field(default=default, metadata=metadata, repr=not secret and show is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, each with a valid value.

    Raises:
        BadSetting: a value is invalid.
    """

    store: str = _setting(
        "sqlite:///swarmkeeper.db",
        kinds.nonempty,
        "The store: sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory: or postgresql://user@host/database",
        show=kinds.shown_store,
    )
    broker: str = _setting(
        "",
        kinds.broker,
        "How servers that share a store tell each other to look: nats://…, tls://…, valkey://…, redis://… or rediss://…;"
        " empty: through the store",
        show=kinds.shown_broker,
    )
    stream: str = _setting(
        "",
        kinds.broker,
        "A server to which all events are published for other programs: nats://…, tls://…, valkey://…, redis://… or"
        " rediss://…; empty: none",
        show=kinds.shown_broker,
    )
    stream_name: str = _setting("swarmkeeper-events", kinds.stream_name, "The name of the stream there")
    stream_length: int = _setting(
        1_000_000,
        kinds.bound(1, 1 << 40),
        "About how many events the stream keeps, unless it exists and NATS keeps it; 0: no limit",
    )
    host: str = _setting("127.0.0.1", kinds.nonempty, "The address that `serve` and `dev` listen on")
    port: int = _setting(7700, kinds.whole(0, 65535), "The port that `serve` and `dev` listen on; 0 picks a free one")
    public_url: str = _setting("", kinds.url, "The public URL of the server, with which links in answers begin")
    root_path: str = _setting("", kinds.root_path, "The path under which a proxy shows the server")
    trusted_proxy: tuple[str, ...] = _setting(
        (), kinds.networks, "Networks of proxies whose X-Forwarded-For is trusted, separated by commas"
    )
    tls_cert: str = _setting(
        "", kinds.text, "A file with the server's certificate and those above it: it then speaks TLS; reread on SIGHUP"
    )
    tls_key: str = _setting("", kinds.text, "A file with the certificate's private key")
    insecure: bool = _setting(
        False,
        kinds.boolean,
        "Listen without TLS where others can reach the server: keys cross the network in plain text",
    )
    metrics_open: bool = _setting(False, kinds.boolean, "Serve /metrics without a key to callers on this machine")
    operator_tenant: str = _setting(
        "default",
        kinds.text,
        "The tenant whose operators see the figures of the whole server, not of their tenant alone; empty: none",
    )
    log_level: str = _setting("info", kinds.choice(LOG_LEVELS), f"The log level: {', '.join(LOG_LEVELS)}")
    log_format: str = _setting(
        "auto", kinds.choice(LOG_FORMATS), "The log format: json, text, or auto (text on a terminal, else json)"
    )
    lease_seconds: float = _setting(
        30.0,
        kinds.seconds(1, 3600),
        "How long a lease lasts without a heartbeat, unless the bot sets it",
        unit="seconds",
    )
    timeout_seconds: float = _setting(
        900.0, kinds.seconds(1, 604_800), "How long one attempt may take, unless the task sets it", unit="seconds"
    )
    schedule_to_start_seconds: float = _setting(
        86_400.0,
        kinds.seconds(1, 31_536_000),
        "How long work waits for a bot before it expires, unless the task sets it",
        unit="seconds",
    )
    max_attempts: int = _setting(3, kinds.whole(1, 100), "Tries before work has failed, unless the task sets it")
    forget_bots_seconds: float = _setting(
        86_400.0,
        kinds.seconds_or_never(300, 31_536_000),
        "How long an idle bot may be silent before it is removed; 0 is never",
        unit="seconds",
    )
    idempotency_seconds: float = _setting(
        86_400.0, kinds.seconds(60, 31_536_000), "How long an Idempotency-Key is remembered", unit="seconds"
    )
    retention_tasks_seconds: float = _setting(
        0.0,
        kinds.seconds_or_never(1, 315_360_000),
        "How long a finished task is kept after its last change, with all that belongs to it; 0 is for ever",
        unit="seconds",
    )
    retention_audit_seconds: float = _setting(
        0.0,
        kinds.seconds_or_never(1, 315_360_000),
        "How long audit records are kept, if their task is gone or they have none; 0 is for ever",
        unit="seconds",
    )
    wait_seconds_max: float = _setting(
        60.0, kinds.seconds(0, 60), "The longest time that a poll or wait is held open", unit="seconds"
    )
    queue_commands: int = _setting(
        10_000,
        kinds.whole(1, 1_000_000),
        "Maximum number of commands waiting for the engine; above it, callers get 503",
    )
    tasks_a_minute_key: int = _setting(
        3_000, kinds.bound(1, 100_000_000), "Tasks that one key may submit, a third of them at once; 0: no limit"
    )
    tasks_a_minute_tenant: int = _setting(
        6_000, kinds.bound(1, 100_000_000), "Tasks that all keys of a tenant may submit, a third of them at once"
    )
    open_tasks: int = _setting(
        20_000, kinds.bound(1, 1_000_000_000), "Tasks that a tenant may have open, unless `tenant set` sets it"
    )
    open_subtasks: int = _setting(
        500_000,
        kinds.bound(10_000, 1_000_000_000),
        "Subtasks that a tenant may have open; at the limit it cannot submit until some have ended",
    )
    budget_reserve_cost_micro_usd: int = _setting(
        50_000,
        kinds.bound(1, 1_000_000_000),
        "What a lease reserves of a cost budget, until attempts of its kind have shown that they need more",
    )
    budget_reserve_tokens: int = _setting(
        20_000,
        kinds.bound(1, 1_000_000_000),
        "What a lease reserves of a token budget, until attempts of its kind have shown that they need more",
    )
    stored_bytes: int = _setting(
        50 << 30,
        kinds.bound(1 << 20, 1 << 50),
        "Space in the store for a tenant's inputs and outputs; at the limit it cannot submit",
        unit="bytes",
    )
    body_bytes_key: int = _setting(
        24 << 20, kinds.bound(16 << 20, 1 << 40), "Size of all request bodies of one key at a time", unit="bytes"
    )
    body_bytes_tenant: int = _setting(
        48 << 20, kinds.bound(16 << 20, 1 << 40), "Size of all request bodies of a tenant at a time", unit="bytes"
    )
    body_bytes: int = _setting(
        64 << 20,
        kinds.bound(16 << 20, 1 << 40),
        "Size of all request bodies at a time; above it, callers get 503",
        unit="bytes",
    )
    polls_key: int = _setting(2_000, kinds.bound(1, 1_000_000), "Polls of one key that may wait for work at a time")
    polls_tenant: int = _setting(4_000, kinds.bound(1, 1_000_000), "Polls of a tenant that may wait for work at a time")
    followers_key: int = _setting(200, kinds.bound(1, 1_000_000), "Streams of events that one key may follow at a time")
    followers_tenant: int = _setting(
        1_000, kinds.bound(1, 1_000_000), "Streams of events that a tenant may follow at a time"
    )
    waits_key: int = _setting(500, kinds.bound(1, 1_000_000), "Calls of one key that may wait for tasks at a time")
    waits_tenant: int = _setting(
        2_000, kinds.bound(1, 1_000_000), "Calls of a tenant that may wait for tasks at a time"
    )
    stop_seconds: float = _setting(
        10.0, kinds.seconds(0, 600), "How long a stopping server waits for answers in progress", unit="seconds"
    )
    key_days: int = _setting(
        365, kinds.whole(0, 3650), "Days until a new key expires, unless it is created with others; 0: never"
    )
    pepper: str = _setting(
        "",
        kinds.text,
        "The secret for digests of keys; empty: the one that the store has, or beside its file",
        secret=True,
    )
    pepper_file: str = _setting("", kinds.text, "A file with the pepper")
    pepper_in_store: bool = _setting(
        False,
        kinds.boolean,
        "A store that `serve`, `dev`, `migrate` or `key create` makes keeps its pepper itself: whoever reads it has it",
    )
    bootstrap_key: str = _setting(
        "",
        kinds.text,
        "The first key, with role admin, which a server creates in a store without keys: see `key generate`",
        secret=True,
    )
    bootstrap_key_file: str = _setting("", kinds.text, "A file with the first key")
    audit_key_file: str = _setting("", kinds.text, "A file with the key that signs the audit log: see `audit key`")
    identity: str = _setting(
        "", kinds.text, "A file with issuers of tokens that callers may use: see the guide on signing in with tokens"
    )
    sinks: str = _setting("", kinds.text, "A file with sinks, which get the audit log: see the guide on audit sinks")
    secrets: str = _setting("", kinds.text, "A file that configures the secrets broker: back ends and rules")
    secrets_key_file: str = _setting(
        "", kinds.text, "A file with the master keys of the secrets broker: see `secret key`"
    )
    encryption_key: str = _setting(
        "",
        kinds.key_place,
        "Where the master key is under which bodies in the store are encrypted: file:/…, command:… or vault:/…; empty:"
        " they are not",
        show=kinds.shown_place,
    )
    four_eyes: bool = _setting(
        True,
        kinds.boolean,
        "Nobody reviews or approves their own work: bots of one key have one owner, and who submitted a task or made a"
        " part of it does not decide on it",
    )
    step_up_seconds: int = _setting(
        0,
        kinds.whole(0, 31_536_000),
        "How long ago whoever decides on an approval may have signed in, by a token of an identity provider; 0: a"
        " decision needs no sign-in",
    )
    redaction: tuple[str, ...] = _setting(
        (),
        kinds.files,
        "Files with redaction rules in addition to the shipped ones, separated by commas; reread on SIGHUP",
    )
    policies: tuple[str, ...] = _setting(
        (),
        kinds.files,
        "Files with policies in Cedar, and folders with *.cedar, separated by commas; reread on SIGHUP",
    )
    policies_shadow: tuple[str, ...] = _setting(
        (),
        kinds.files,
        "Policies on trial: the audit log says what they would deny, and nothing is denied",
    )
    url: str = _setting("http://127.0.0.1:7700", kinds.url, "The URL of the server for commands")
    api_key: str = _setting("", kinds.text, "The key that commands use", secret=True)
    api_key_file: str = _setting("", kinds.text, "A file with the key that commands use")
    token: str = _setting(
        "", kinds.text, "The token of an identity provider that commands use in place of a key", secret=True
    )
    token_file: str = _setting("", kinds.text, "A file with that token; read again when the token is refused")

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            object.__setattr__(self, setting.name, _parsed(setting, getattr(self, setting.name), setting.name))
        for name in _PAIRS:
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise BadSetting(f"{name} and {name}_file cannot be used together: keep one")
        if bool(self.tls_cert) != bool(self.tls_key):
            missing = "tls_key" if self.tls_cert else "tls_cert"
            raise BadSetting(f"{missing}: missing; TLS needs both tls_cert and tls_key")

    def limits(self) -> Limits:
        """Return the bounds and defaults for the rules."""
        # Imported here: `--help` does not need it, and the import takes longer than everything else.
        from swarmkeeper.core.model import Limits

        return Limits(
            lease_ttl=int(self.lease_seconds * SECOND),
            timeout=int(self.timeout_seconds * SECOND),
            start=int(self.schedule_to_start_seconds * SECOND),
            max_attempts=self.max_attempts,
            idempotency=int(self.idempotency_seconds * SECOND),
            open_tasks=self.open_tasks,
            open_subtasks=self.open_subtasks,
            stored_bytes=self.stored_bytes,
            forget_bots=int(self.forget_bots_seconds * SECOND),
            reserve_cost=self.budget_reserve_cost_micro_usd,
            reserve_tokens=self.budget_reserve_tokens,
            four_eyes=self.four_eyes,
            step_up=self.step_up_seconds * SECOND,
            key_expires=self.key_days * 86_400 * SECOND,
        )

    def retention(self) -> RetentionPeriods:
        """Return how long things are kept."""
        from swarmkeeper.access.retention import RetentionPeriods

        return RetentionPeriods(
            tasks=int(self.retention_tasks_seconds * SECOND), audit=int(self.retention_audit_seconds * SECOND)
        )

    def quotas(self) -> QuotaBounds:
        """Return how much of the shared resources one key and one tenant may use."""
        from swarmkeeper.access.quotas import Bound, QuotaBounds

        return QuotaBounds(
            tasks_a_minute=Bound(self.tasks_a_minute_key, self.tasks_a_minute_tenant),
            body_bytes=Bound(self.body_bytes_key, self.body_bytes_tenant),
            body_bytes_in_all=self.body_bytes,
            polls=Bound(self.polls_key, self.polls_tenant),
            followers=Bound(self.followers_key, self.followers_tenant),
            waits=Bound(self.waits_key, self.waits_tenant),
        )

    def http_limits(self) -> HttpLimits:
        """Return what the HTTP server takes from the settings."""
        from swarmkeeper.http.app import HttpLimits

        return HttpLimits(
            public_url=self.public_url,
            root_path=self.root_path,
            trusted_proxies=self.trusted_proxy,
            metrics_open=self.metrics_open,
            operator_tenant=self.operator_tenant,
            wait_max=self.wait_seconds_max,
        )

    def pepper_bytes(self) -> bytes | None:
        """Return the configured pepper; None to use the store's own, or the one beside its file.

        Raises:
            BadSetting: its file cannot be read, or others may read it, too.
        """
        from swarmkeeper.storage.pepper import bytes_of

        text = self.pepper or (read_secret(self.pepper_file, "pepper_file") if self.pepper_file else "")
        return bytes_of(text) if text else None

    @property
    def has_bootstrap_key(self) -> bool:
        return bool(self.bootstrap_key or self.bootstrap_key_file)

    def first_key(self) -> tuple[str, str]:
        """Return the public id and the secret of the configured first key.

        Raises:
            BadSetting: it is no key or a weak one, or its file cannot be read, or others may read it, too.
        """
        from swarmkeeper.govern import keys

        name = "bootstrap_key" if self.bootstrap_key else "bootstrap_key_file"
        parsed = keys.parse(self.bootstrap_key.strip() or read_secret(self.bootstrap_key_file, name))
        if parsed is None:
            raise BadSetting(f"{name}: expected a whole key, swk_…: `swarmkeeper key generate` makes one")
        if keys.is_weak(parsed[1]):
            raise BadSetting(f"{name}: this key can be guessed: `swarmkeeper key generate` makes a random one")
        return parsed


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table of settings."""

    name: str
    default: Any
    parse: kinds.Parser
    meaning: str
    unit: str
    secret: bool
    show: Callable[[str], str] | None  # returns what people may see of a value, if that is not all of it

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(name=column.name, default=column.default, **column.metadata) for column in fields(Settings)
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
# Each of these can also be read from a file. The nearer source wins, whether it holds the value or names a file.
_PAIRS = ("pepper", "bootstrap_key", "api_key", "token")
# A command uses one of these: the nearer source wins here, too.
_CREDENTIALS = (("api_key", "api_key_file"), ("token", "token_file"))


@dataclass(frozen=True, slots=True)
class Given:
    """The value that one source has for a setting."""

    source: str  # "flag" | "environment" | ".swarmkeeper" | "swarmkeeper.toml" | "default"
    place: str  # where in the source: the flag, variable or key
    value: Any


@dataclass(frozen=True, slots=True)
class Found:
    """The settings in force, and for each the values of all sources, the nearest first: the first is in force."""

    settings: Settings
    given: Mapping[str, tuple[Given, ...]]

    def explain(self, key: str) -> tuple[Given, ...]:
        """Return the values of all sources for a setting; the first is in force, the last is the default.

        Raises:
            BadSetting: there is no such setting.
        """
        if key not in BY_NAME:
            raise BadSetting(f"no such setting{_suggestion(key)}")
        return self.given[key]


def read(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Found:
    """Read the settings of a process.

    Args:
        flags: values of command-line flags by setting; None: not given.
        environ: by default the process's environment.
        folder: by default the current folder.

    Raises:
        BadSetting: a file has an unknown key, or a value is invalid; says where.
    """
    folder = folder or Path()
    sources = [
        _of_flags(flags or {}),
        _of_environment(os.environ if environ is None else environ),
        _of_file(folder, DEV_FOLDER, f"{DEV_FOLDER}/{DEV_FILE}"),
        _of_file(folder, FILE, FILE),
    ]
    given: dict[str, tuple[Given, ...]] = {}
    for setting in SETTINGS:
        own = [source[setting.name] for source in sources if setting.name in source]
        given[setting.name] = (*own, Given("default", "default", setting.default))
    for name in _PAIRS:
        _prefer_nearer(given, sources, name)
    _keep_one_credential(given, sources)
    return Found(Settings(**{name: values[0].value for name, values in given.items()}), given)


def unread(environ: Mapping[str, str], also: Sequence[str] = ()) -> list[str]:
    """Return variables that look like settings but are none, mostly mistyped ones. `also` are known names."""
    known = {setting.variable for setting in SETTINGS} | set(also)
    return sorted(
        name for name in environ if name.startswith(PREFIX) and name not in known and not name.startswith(_KUBERNETES)
    )


def read_secret(file: str, name: str) -> str:
    """Return the secret in a file; `name` is the setting that names the file.

    Raises:
        BadSetting: it cannot be read, is empty, or everyone on this machine may read it.
    """
    path = Path(file)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name}: the file cannot be read ({type(error).__name__})") from None
    if mode & 0o007:
        raise BadSetting(f"{name}: everyone on this machine may read the file: run `chmod 600` on it")
    if not text:
        raise BadSetting(f"{name}: the file is empty")
    return text


def _of_flags(flags: Mapping[str, Any]) -> dict[str, Given]:
    return {
        name: Given("flag", flag, _parsed(BY_NAME[name], value, flag))
        for name, value in flags.items()
        if value is not None
        for flag in (f"--{name.replace('_', '-')}",)
    }


def _of_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    found = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable)
        # In shells and compose files, an empty variable means "not set".
        if not text or (setting.name == "port" and text.startswith("tcp://")):
            continue
        found[setting.name] = Given("environment", setting.variable, _parsed(setting, text, setting.variable))
    return found


def _of_file(folder: Path, source: str, shown: str) -> dict[str, Given]:
    try:
        content = content_of(folder, shown)
    except ValueError as error:
        raise BadSetting(str(error)) from None
    found = {}
    for name, value in content.items():
        if name not in BY_NAME:
            raise BadSetting(f"{shown}: {name!r} is not a setting{_suggestion(name)}")
        found[name] = Given(source, f"{shown}: {name}", _parsed(BY_NAME[name], value, f"{shown}: {name}"))
    return found


def _prefer_nearer(given: dict[str, tuple[Given, ...]], sources: Sequence[Mapping[str, Given]], name: str) -> None:
    """Let the nearer source win if one source has the value and another the file."""
    for source in sources:
        has_value, names_file = name in source, f"{name}_file" in source
        if has_value and names_file:
            raise BadSetting(f"{source[name].place}: {name} and {name}_file cannot be used together: keep one")
        if has_value or names_file:
            used, other = (name, f"{name}_file") if has_value else (f"{name}_file", name)
            given[other] = (Given(source[used].source, source[used].place, ""), *given[other])
            return


def _keep_one_credential(given: dict[str, tuple[Given, ...]], sources: Sequence[Mapping[str, Given]]) -> None:
    """Let the nearer source win if one source has a key and another a token."""
    for source in sources:
        found = [names for names in _CREDENTIALS if not source.keys().isdisjoint(names)]
        if len(found) == len(_CREDENTIALS):
            place = next(source[name].place for name in _CREDENTIALS[1] if name in source)
            raise BadSetting(f"{place}: a key and a token cannot be used together: keep one")
        for names in found:
            used = next(source[name] for name in names if name in source)
            for name in (name for others in _CREDENTIALS if others != names for name in others):
                given[name] = (Given(used.source, used.place, ""), *given[name])
            return


def _parsed(setting: Setting, value: Any, place: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        raise BadSetting(f"{place}: {error}") from None


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), BY_NAME, n=1)
    return f": did you mean {close[0]!r}?" if close else ""
