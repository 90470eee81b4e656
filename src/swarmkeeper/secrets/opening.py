"""Makes the secrets broker from its files: the configuration, the master keys, and a source for each back end."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
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
            raise BadSecrets(f"{key_file or 'key_command'}: line {number}: {error}") from None
    return "\n".join(lines)


def _of_command(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadSecrets(f"key_command: cannot be run ({type(error).__name__})") from None
    if done.returncode:
        raise BadSecrets(f"key_command: ends with {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
