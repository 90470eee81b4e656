"""Master keys for tests of encrypted stores, which tests of a store are about bodies, and what is on a disk."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from swarmkeeper.core.ports import Changes
from swarmkeeper.secrets.sealing import KeyRing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, BodyRows
from swarmkeeper.storage.at_rest.data_keys import DataKeys
from swarmkeeper.testing.store_suite import StoreSuite

MASTER = b"m" * 32
OTHER = b"o" * 32
# The tests of a store's suite that write bodies or look at its keys. In all others, an encrypted store does as a plain
# one does: only the codec knows of keys. The suite of SQLite in a file proves that no test is missing here.
WITH_BODIES = frozenset(
    {
        "test_a_batch_that_is_rolled_back_leaves_no_place_in_a_tree",
        "test_a_new_store_starts_with_nothing_but_its_keys",
        "test_a_stale_record_takes_the_whole_batch_with_it",
        "test_audit_records_get_their_places_in_the_tree_of_their_tenant",
        "test_events_have_cursors_that_only_grow",
        "test_events_that_can_be_read_wait_no_more",
        "test_every_named_read_is_there",
        "test_payloads_are_replaced_and_removed",
        "test_what_was_committed_is_there_after_opening_again",
    }
)


class WatchedCodec(BodyCodec):
    """Encrypts nothing, and knows whether there was a body."""

    wrote = False

    def of(self, changes: Changes) -> BodyRows:
        self.wrote = self.wrote or bool(changes.payloads or changes.events or changes.leaves)
        return super().of(changes)


def leave_out_what_has_no_body(suite: type[StoreSuite]) -> None:
    """Let a suite run only the tests that an encrypted store may change."""
    for name in dir(suite):
        if name.startswith("test_") and name not in WITH_BODIES:
            setattr(suite, name, None)


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
