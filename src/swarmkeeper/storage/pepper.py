"""The pepper of a store that does not keep it: what the store has in its place, and the file beside a store in a file.

A store either keeps its pepper (`meta.pepper`), or it has a name and a check value that follow from the pepper by a
one-way function: the name stands where the pepper would, and the check value shows whether a pepper is the right one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from pathlib import Path

from swarmkeeper import files
from swarmkeeper.core.ports import Started
from swarmkeeper.storage.refusals import PepperMissing

BYTES = 32
SUFFIX = ".pepper"
_RAW = "swarmkeeper-pepper-1:"  # begins the text of a pepper that is bytes; any other text is the pepper itself
_CHECK = b"swarmkeeper/pepper/check/1"
_NAME = b"swarmkeeper/pepper/name/1"

# Gives the pepper of a new store that does not keep it; called before the store's first commit, with its file if it has
# one.
NewPepper = Callable[[Path | None], bytes]


def check_of(pepper: bytes) -> bytes:
    """Return what a store has to recognise its pepper by."""
    return hmac.digest(pepper, _CHECK, "sha256")


def name_of(pepper: bytes) -> bytes:
    """Return what a store has in place of its pepper: other stores have another one."""
    return hmac.digest(pepper, _NAME, "sha256")


def file_of(store: Path) -> Path:
    """Return the file of the pepper beside the file of a store."""
    real = store.resolve()
    return real.with_name(real.name + SUFFIX)


def text_of(pepper: bytes) -> str:
    """Return a line that `bytes_of` reads as this pepper."""
    return _RAW + base64.b64encode(pepper).decode()


def bytes_of(text: str) -> bytes:
    """Return the pepper that a text means."""
    if text.startswith(_RAW):
        try:
            return base64.b64decode(text.removeprefix(_RAW), validate=True)
        except (binascii.Error, ValueError):
            pass  # a text of one's own that begins like ours
    return text.encode()


def read(file: Path) -> bytes:
    """Return the pepper in the file beside a store.

    Raises:
        PepperMissing: there is none, or it cannot be used.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise PepperMissing(
            f"the pepper of this store is not in the store, and its file {file} is missing: put it back from where you "
            "keep a copy, or name the copy in SWARMKEEPER_PEPPER_FILE. Without it no API key of the store is valid, so "
            "no new one is made"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PepperMissing(f"the pepper in {file} cannot be read ({type(error).__name__})") from None
    if mode & 0o007:
        raise PepperMissing(f"everyone on this machine may read the pepper in {file}: run `chmod 600` on it")
    if not text:
        raise PepperMissing(f"the pepper in {file} is gone, the file is empty: put it back from where you keep a copy")
    return bytes_of(text)


def new_pepper(configured: bytes | None, draw: Callable[[int], bytes]) -> NewPepper:
    """Return the function that gives a new store its pepper, which it does not keep.

    It is the configured one; else the one in the file beside the store, which is written if it does not exist. If the
    process ends before the store's first commit, the file is there, and the next start takes it.

    Args:
        draw: gives random bytes.
    """

    def given(store: Path | None) -> bytes:
        if configured is not None:
            return configured
        if store is None:
            raise PepperMissing(
                "a new store in a database does not keep the pepper of its keys: name a file with it in "
                "SWARMKEEPER_PEPPER_FILE (`swarmkeeper secret key` makes a random line), the same for every server; or "
                "set SWARMKEEPER_PEPPER_IN_STORE=true, and whoever reads the database has it"
            )
        file = file_of(store)
        if not file.exists():
            files.write(file, text_of(draw(BYTES)) + "\n")
        return read(file)

    return given


def in_force(configured: bytes | None, started: Started, store: Path | None) -> tuple[bytes, bool]:
    """Return the pepper of a store, and whether it is kept outside of it.

    Raises:
        PepperMissing: it is nowhere, or not the one that the store's keys were made with.
    """
    if started.pepper_check is None:
        return configured or started.pepper, bool(configured)
    if configured is not None:
        found, where = configured, "the configured pepper"
    elif store is not None:
        found, where = read(file_of(store)), f"the pepper in {file_of(store)}"
    else:
        raise PepperMissing(
            "the pepper of this store is not in the store: name the file with it in SWARMKEEPER_PEPPER_FILE. "
            "Without it no API key of the store is valid"
        )
    if not hmac.compare_digest(check_of(found), started.pepper_check):
        raise PepperMissing(
            f"{where} is not the one that this store's keys were made with: give the right one. To go on with another, "
            "after which no key is valid: `swarmkeeper store move-pepper --replace`"
        )
    return found, True
