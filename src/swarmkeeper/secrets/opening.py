"""Makes the secrets broker from its files: the configuration, the master keys, and a source for each back end."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from swarmkeeper.secrets import config as files
from swarmkeeper.secrets.broker import SecretBroker
from swarmkeeper.secrets.config import BackendConfig, BadSecrets, SecretsConfig
from swarmkeeper.secrets.sealing import BadKeys, KeyRing, keys_of
from swarmkeeper.secrets.sources import EnvSource, FileSource, SecretSource, SourceDown

if TYPE_CHECKING:
    from swarmkeeper.secrets.vault import Vault

COMMAND_SECONDS_MAX = 30


async def open_broker(file: str, key_file: str, **parts: Any) -> SecretBroker:
    """Return the broker that these files configure, started; without files, one that refuses every call.

    Args:
        file: the configuration; empty if there is none.
        key_file: the master keys; empty if the configuration has a command for them, or there is no broker.
        parts: the other arguments of `SecretBroker`.

    Raises:
        BadSecrets: a file or a key is wrong, or the store has values under another key.
    """
    if not file and not key_file:
        broker = SecretBroker(config=None, ring=None, sources={}, **parts)
        await broker.start()
        return broker
    config = files.read(file) if file else SecretsConfig()
    sources = {name: source_of(backend) for name, backend in config.backends.items()}
    try:
        text = await _keys(config, key_file, sources)
        ring = KeyRing(keys_of(text), parts["entropy"].secret)
        broker = SecretBroker(config=config, ring=ring, sources=sources, **parts)
        await broker.start()
    except BaseException as error:
        for source in sources.values():
            await source.close()
        if isinstance(error, BadKeys):
            raise BadSecrets(f"{key_file or 'key_command'}: {error}") from None
        raise
    return broker


def source_of(backend: BackendConfig) -> SecretSource:
    match backend.kind:
        case "env":
            return EnvSource(backend)
        case "file":
            return FileSource(backend)
    # Its HTTP client takes a fifth of the time that the server takes to load.
    from swarmkeeper.secrets.vault import DynamicSource, KvSource

    return KvSource(backend) if backend.kind == "vault" else DynamicSource(backend)


async def _keys(config: SecretsConfig, key_file: str, sources: Mapping[str, SecretSource]) -> str:
    """Return the text with the master keys, unwrapped."""
    if bool(key_file) == bool(config.key_command):
        both = "are both given: keep one" if key_file else "are both missing: one of them has the master key"
        raise BadSecrets(f"the setting secrets_key_file and `key_command` in the file of secrets {both}")
    text = files.private_text(key_file) if key_file else await asyncio.to_thread(_of_command, config.key_command)
    return await _unwrapped(text, config, sources, key_file or "key_command")


async def open_ring(where: str, secrets: str, random: Callable[[int], bytes]) -> KeyRing | None:
    """Return the master keys of a store whose bodies are encrypted; None if they are nowhere.

    Args:
        where: `file:/…`, with a key a line, the current one first; `command:…`, whose output is such lines; or
            `vault:/…`, a file whose lines are wrapped by Vault's transit, as `key_transit` in the file of secrets says.
        secrets: the file of secrets, for `vault:`.

    Raises:
        BadSecrets: the keys cannot be had.
    """
    if not where:
        return None
    kind, _, rest = where.partition(":")
    if kind == "command":
        text = await asyncio.to_thread(_of_command, tuple(shlex.split(rest)), "encryption_key")
    else:
        text = files.private_text(rest)
    try:
        if kind == "vault":
            text = await _from_vault(text, secrets, rest)
        return KeyRing(keys_of(text), random)
    except BadKeys as error:
        raise BadSecrets(f"encryption_key: {error}") from None


async def _from_vault(text: str, secrets: str, name: str) -> str:
    config = files.read(secrets) if secrets else SecretsConfig()
    if config.key_transit is None:
        raise BadSecrets("encryption_key: vault: needs `key_transit` in the file that the setting secrets names")
    backend = config.key_transit[0]
    source = source_of(config.backends[backend])
    try:
        return await _unwrapped(text, config, {backend: source}, name)
    finally:
        await source.close()


async def _unwrapped(text: str, config: SecretsConfig, sources: Mapping[str, SecretSource], name: str) -> str:
    """Return the lines of a text with those unwrapped that Vault has wrapped."""
    if config.key_transit is None:
        return text
    backend, mount, key = config.key_transit
    vault: Vault = sources[backend].vault  # type: ignore[attr-defined]  # the configuration was checked for its kind
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            wrapped = line.strip()
            lines.append(await vault.unwrap(mount, key, wrapped) if wrapped.startswith("vault:") else line)
        except SourceDown as error:
            raise BadSecrets(f"{name}: line {number}: {error}") from None
    return "\n".join(lines)


def _of_command(command: tuple[str, ...], name: str = "key_command") -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadSecrets(f"{name}: cannot be run ({type(error).__name__})") from None
    if done.returncode:
        raise BadSecrets(f"{name}: ends with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
