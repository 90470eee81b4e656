"""Master keys for tests of encrypted stores, and what is on a disk."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from swarmkeeper.secrets.sealing import KeyRing
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.at_rest.data_keys import DataKeys

MASTER = b"m" * 32
OTHER = b"o" * 32


def bodies(*masters: bytes) -> BodyCodec:
    """Return what encrypts under these master keys, the current one first."""
    return BodyCodec(DataKeys(KeyRing(masters or (MASTER,), os.urandom), os.urandom), os.urandom)


def key_file(path: Path, *masters: bytes) -> str:
    """Write a file of master keys; return its place, as the setting `encryption_key` takes it."""
    path.write_text("".join(base64.b64encode(key).decode() + "\n" for key in masters or (MASTER,)))
    path.chmod(0o600)
    return f"file:{path}"


def on_disk(store: Path) -> bytes:
    """Return all bytes of a store in a file, with its log."""
    return b"".join(file.read_bytes() for file in store.parent.glob(f"{store.name}*") if file.suffix != ".pepper")
