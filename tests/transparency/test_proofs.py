"""Proofs in the tree of RFC 6962: those of the RFC's own tree, and laws for every tree."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.rules.tree import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from swarmkeeper.transparency import proofs
from tests.govern.test_tree import HASHES, ROOTS

SIZES = st.integers(1, 70)


def hashes(size: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4)) for number in range(size)]


def root(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962 defines it, in section 2.1."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root(leaves[:split]), root(leaves[split:]))


def of_ranges(path: list[proofs.Range], leaves: list[bytes]) -> list[bytes]:
    return [root(leaves[begin:end]) for begin, end in path]


def test_proofs_of_the_tree_of_the_rfc() -> None:
    """The tree with which implementations of Certificate Transparency are tested."""
    leaves = HASHES
    inclusion = {
        (0, 8): [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
        (5, 8): [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
        (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        (1, 5): [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    }
    consistency = {
        (1, 8): [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
        (6, 8): [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
        (2, 5): [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    }
    for (index, size), expected in inclusion.items():
        proof = of_ranges(proofs.inclusion_path(index, size), leaves)
        assert [each.hex() for each in proof] == expected
        assert proofs.verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(ROOTS[size]))
    for (old, new), expected in consistency.items():
        proof = of_ranges(proofs.consistency_path(old, new), leaves)
        assert [each.hex() for each in proof] == expected
        roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
        assert proofs.verify_consistency(old, new, *roots, proof)


@given(SIZES, st.data())
def test_every_leaf_is_proved_and_no_other(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    proof = of_ranges(proofs.inclusion_path(index, size), leaves)

    assert proofs.verify_inclusion(leaves[index], index, size, proof, root(leaves))
    assert proofs.verify_inclusion(leaves[other], index, size, proof, root(leaves)) == (index == other)
    assert proofs.verify_inclusion(leaves[index], other, size, proof, root(leaves)) == (index == other)


@given(SIZES, SIZES, st.booleans(), st.data())
def test_a_tree_that_begins_with_another_is_proved_to_and_no_other(
    one: int, two: int, changed: bool, data: st.DataObject
) -> None:
    old, new = sorted((one, two))
    leaves = hashes(new)
    proof = of_ranges(proofs.consistency_path(old, new), leaves)
    before = leaves[:old]
    if changed:
        before[data.draw(st.integers(0, old - 1))] = leaf_hash(b"another")

    assert proofs.verify_consistency(old, new, root(before), root(leaves), proof) == (not changed)


@given(SIZES, st.data())
def test_no_part_of_a_proof_can_be_changed_left_out_or_added(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    old = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, size - 1))
    inclusion = of_ranges(proofs.inclusion_path(index, size), leaves)
    consistency = of_ranges(proofs.consistency_path(old, size), leaves)

    def spoilt(proof: list[bytes]) -> list[bytes]:
        at = data.draw(st.integers(0, len(proof)))
        kind = data.draw(st.sampled_from(["add", "change", "cut", "drop"]))
        if kind == "add" or at == len(proof):
            return [*proof[:at], leaf_hash(b"another"), *proof[at:]]
        put = {"change": [leaf_hash(b"another")], "cut": [proof[at][:-1]], "drop": []}[kind]
        return [*proof[:at], *put, *proof[at + 1 :]]

    assert not proofs.verify_inclusion(leaves[index], index, size, spoilt(inclusion), root(leaves))
    assert not proofs.verify_consistency(old, size, root(leaves[:old]), root(leaves), spoilt(consistency))


@pytest.mark.parametrize(
    ("leaf", "index", "size", "known"),
    [(b"", 0, 1, b""), (b"", 0, 1, EMPTY_ROOT), (EMPTY_ROOT, 1, 1, EMPTY_ROOT), (EMPTY_ROOT, -1, 1, EMPTY_ROOT)],
)
def test_empty_hashes_and_places_outside_of_the_tree_prove_nothing(
    leaf: bytes, index: int, size: int, known: bytes
) -> None:
    assert not proofs.verify_inclusion(leaf, index, size, [], known)


def test_nothing_is_the_beginning_of_every_tree() -> None:
    assert proofs.verify_consistency(0, 3, EMPTY_ROOT, root(hashes(3)), [])
    assert not proofs.verify_consistency(0, 3, root(hashes(1)), root(hashes(3)), [])


@given(SIZES)
def test_complete_subtrees_give_the_root(size: int) -> None:
    leaves = hashes(size)
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    subtrees = [
        proofs.root_of(leaves[number << height : (number + 1) << height])
        for height, number in proofs.complete_subtrees(0, size)
    ]

    assert proofs.fold(subtrees) == frontier.root() == root(leaves)
