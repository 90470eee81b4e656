"""Proofs in the hash tree of RFC 6962: which subtrees a proof names, and whether it holds.

Theory. A complete subtree has 2^height leaves and begins at a multiple of that. Every range of leaves that a proof
names is a row of complete subtrees, so whoever can look up or compute those can make every root and every proof.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core.rules.tree import EMPTY_ROOT, HASH_BYTES, node_hash

Range = tuple[int, int]  # of leaves: the first, and the one after the last
Subtree = tuple[int, int]  # a complete subtree: its height, and its number among those of that height


def complete_subtrees(begin: int, end: int) -> list[Subtree]:
    """Return the complete subtrees that make up a range of leaves, from left to right.

    `begin` is 0, or a multiple of the largest power of two below the length: so it is for every range of a proof.
    """
    found = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        found.append((height, begin >> height))
        begin += 1 << height
    return found


def fold(subtrees: Sequence[bytes]) -> bytes:
    """Return the root of a range, given the hashes of its complete subtrees."""
    if not subtrees:
        return EMPTY_ROOT
    *rest, root = subtrees
    for subtree in reversed(rest):
        root = node_hash(subtree, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a complete subtree, given the hashes of its leaves, whose number is a power of two."""
    row = list(leaves)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def inclusion_path(index: int, size: int) -> list[Range]:
    """Return the ranges whose roots prove that a tree of this size has the leaf, from the leaf upwards.

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[Range] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Range]:
    """Return the ranges whose roots prove that a tree of size `new` begins with the tree of size `old`.

    Raises:
        ValueError: the old tree is empty, or larger.
    """
    if not 0 < old <= new:
        raise ValueError(f"a tree of {old} leaves is not the beginning of one of {new}")
    path: list[Range] = []
    begin, end, is_whole = 0, new, True
    while old < end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin, is_whole = middle, False
    if not is_whole:
        path.append((begin, end))
    return path[::-1]


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether the proof shows that the tree with this size and root has the leaf hash at the index."""
    if not 0 <= index < size or not _are_hashes([leaf, root, *proof]):
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether the proof shows that the tree with size and root `new` begins with the tree `old`."""
    if not 0 <= old <= new or not _are_hashes([old_root, new_root, *proof]):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _are_hashes(hashes: Sequence[bytes]) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)
