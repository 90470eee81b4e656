"""Divides a heartbeat into as many calls as its checkpoints need: each of them may be as long as one call may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from swarmkeeper.sdk.connection.calls import encode
from swarmkeeper.wire.shapes import MIB

Json = Any


class _HasHeartbeat(Protocol):
    def heartbeat(self) -> dict[str, Json]: ...


class _HasOutbox(Protocol):
    @property
    def outbox(self) -> _HasHeartbeat: ...


Lease = TypeVar("Lease", bound=_HasOutbox)


def heartbeat_groups(leases: Sequence[Lease]) -> list[dict[Lease, dict[str, Json]]]:
    """Return the leases with their parts of the heartbeat, in groups for one call each; at least one group.

    Parts without a checkpoint are short and stay together. Together with others, checkpoints are at most a mebibyte.
    """
    groups: list[dict[Lease, dict[str, Json]]] = [{}]
    length = 0
    for lease in leases:
        part = lease.outbox.heartbeat()
        more = len(encode(part["checkpoint"])) if "checkpoint" in part else 0
        if length and length + more > MIB:
            groups.append({})
            length = 0
        groups[-1][lease] = part
        length += more
    return groups
