"""The hash tree of RFC 6962: roots, a frontier to append to, proofs. The content of leaves is not known here.

Theory. The root of n leaves is the hash of two roots: that of the first k leaves and that of the rest, where k is the
largest power of two below n. So a tree of n leaves is a row of complete subtrees, one for each 1 among the binary
digits of n. Their roots (the frontier) are enough to append, and folding them from right to left gives the root. An
inclusion proof is the list of siblings on the path from a leaf to the root; a consistency proof is the list of subtrees
from which both an old root and the new one can be folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


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
        """Append a leaf, given by its leaf hash."""
        size = self.size
        while size & 1:  # a complete subtree of the same height is at the right: join them
            hashed = node_hash(self._subtrees.pop(), hashed)
            size >>= 1
        self._subtrees.append(hashed)
        self.size += 1

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


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree with these leaf hashes."""
    frontier = Frontier()
    for hashed in hashes:
        frontier.append(hashed)
    return frontier.root()


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes from a leaf to the root, for `verify_inclusion`."""
    if not 0 <= index < len(hashes):
        raise ValueError("the leaf is not in the tree")
    if len(hashes) == 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*inclusion_proof(hashes[:k], index), root_of(hashes[k:])]
    return [*inclusion_proof(hashes[k:], index - k), root_of(hashes[:k])]


def consistency_proof(hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the first `old_size` leaves are unchanged, for `verify_consistency`."""
    if not 0 < old_size <= len(hashes):
        raise ValueError("the old tree must hold a leaf, and no more than the new one")
    return _consistency(hashes, old_size, whole=True)


def _consistency(hashes: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    # `whole`: the old tree is exactly this subtree, so the verifier knows its root.
    if old_size == len(hashes):
        return [] if whole else [root_of(hashes)]
    k = _split(len(hashes))
    if old_size <= k:
        return [*_consistency(hashes[:k], old_size, whole=whole), root_of(hashes[k:])]
    return [*_consistency(hashes[k:], old_size - k, whole=False), root_of(hashes[:k])]


def verify_inclusion(index: int, size: int, hashed: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether the proof shows this leaf at `index` of the tree of that size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = node_hash(sibling, hashed)
            while not at & 1 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], *, old_root: bytes, new_root: bytes
) -> bool:
    """Return whether the proof shows that the new tree begins with all of the old one (RFC 9162, 2.1.4.2).

    For an empty old tree nothing can be proved: False.
    """
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # the old tree is one whole subtree: its root begins the proof
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
