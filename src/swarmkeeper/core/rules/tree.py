"""The hash tree of RFC 6962: roots, a frontier to append to, and placing audit records in a tenant's tree.

Theory. The root of n leaves is the hash of two roots: that of the first k leaves and that of the rest, where k is the
largest power of two below n. So a tree of n leaves is a row of complete subtrees, one for each 1 among the binary
digits of n. Their roots (the frontier) are enough to append, and folding them from right to left gives the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from swarmkeeper.core.model import AuditLeaf

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class AuditTree:
    """The head of a tenant's audit tree: what appending needs, and what a verifier compares."""

    tenant: str
    size: int
    frontier: bytes
    root: bytes


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree to append to. Keeps only the roots of its complete subtrees, the largest first."""

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)
        if size < 0 or len(self._subtrees) != size.bit_count() or any(len(h) != HASH_BYTES for h in self._subtrees):
            raise ValueError("a frontier has one hash for each 1 among the binary digits of its size")

    def append(self, hashed: bytes) -> None:
        """Append a leaf, given by its leaf hash.

        Raises:
            ValueError: it does not have the length of a hash.
        """
        if len(hashed) != HASH_BYTES:
            raise ValueError(f"a hash has {HASH_BYTES} bytes, and not {len(hashed)}")
        size = self.size
        while size & 1:  # a complete subtree of the same height is at the right: join them
            hashed = node_hash(self._subtrees.pop(), hashed)
            size >>= 1
        self._subtrees.append(hashed)
        self.size += 1

    @property
    def subtrees(self) -> Sequence[bytes]:
        return self._subtrees

    def root(self) -> bytes:
        if not self._subtrees:
            return EMPTY_ROOT
        root = self._subtrees[-1]
        for subtree in self._subtrees[-2::-1]:
            root = node_hash(subtree, root)
        return root

    def to_bytes(self) -> bytes:
        """Return eight bytes of size, then the hashes."""
        return self.size.to_bytes(8) + b"".join(self._subtrees)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Read the bytes of `to_bytes`; empty bytes are the empty tree.

        Raises:
            ValueError: the bytes are not a frontier.
        """
        if not data:
            return cls()
        if len(data) < 8:
            raise ValueError("a frontier begins with eight bytes of size")
        hashes = (data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES))
        return cls(int.from_bytes(data[:8]), hashes)


def place(
    trees: Mapping[str, AuditTree | None], leaves: Iterable[AuditLeaf]
) -> tuple[list[AuditLeaf], dict[str, AuditTree]]:
    """Append records to the trees of their tenants; return them with their index, and the new trees.

    Args:
        trees: by tenant; None is a tree without records.
    """
    frontiers = {tenant: Frontier.from_bytes(tree.frontier) if tree else Frontier() for tenant, tree in trees.items()}
    placed = []
    for leaf in leaves:
        frontier = frontiers[leaf.tenant]
        placed.append(replace(leaf, index=frontier.size))
        frontier.append(leaf.hash)
    return placed, {
        tenant: AuditTree(tenant, frontier.size, frontier.to_bytes(), frontier.root())
        for tenant, frontier in frontiers.items()
    }
