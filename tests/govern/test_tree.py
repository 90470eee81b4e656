"""The hash tree against the published vectors of RFC 6962, and against its own laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.govern.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The reference tree of the Certificate Transparency project.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
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
}
CONSISTENCY = {
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


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size: int) -> None:
    assert root_of(HASHES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_an_inclusion_proof_is_the_published_one(index: int, size: int) -> None:
    proof = inclusion_proof(HASHES[:size], index)

    assert [step.hex() for step in proof] == INCLUSION[index, size]
    assert verify_inclusion(index, size, HASHES[index], proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_a_consistency_proof_is_the_published_one(old: int, new: int) -> None:
    proof = consistency_proof(HASHES[:new], old)

    assert [step.hex() for step in proof] == CONSISTENCY[old, new]


def test_leaves_and_nodes_hash_apart() -> None:
    assert leaf_hash(b"") != EMPTY_ROOT
    assert node_hash(HASHES[0], HASHES[1]) != leaf_hash(HASHES[0] + HASHES[1])


def test_every_leaf_of_every_tree_is_shown_to_be_in_it_and_nowhere_else() -> None:
    for size in range(1, 34):
        hashes = [leaf_hash(bytes([n])) for n in range(size)]
        root = root_of(hashes)
        for index in range(size):
            proof = inclusion_proof(hashes, index)

            assert verify_inclusion(index, size, hashes[index], proof, root)
            assert not verify_inclusion(index, size, leaf_hash(b"other"), proof, root)
            assert not any(verify_inclusion(n, size, hashes[index], proof, root) for n in range(size) if n != index)
            assert not verify_inclusion(index, size, hashes[index], [*proof, root], root)
            assert not verify_inclusion(size, size, hashes[index], proof, root)


def test_every_tree_is_shown_to_begin_with_every_smaller_one_and_no_other() -> None:
    hashes = [leaf_hash(bytes([n])) for n in range(34)]
    for new in range(1, len(hashes)):
        for old in range(1, new + 1):
            old_root, new_root = root_of(hashes[:old]), root_of(hashes[:new])
            proof = consistency_proof(hashes[:new], old)

            assert verify_consistency(old, new, proof, old_root=old_root, new_root=new_root)
            assert not verify_consistency(old, new, proof, old_root=leaf_hash(b"x"), new_root=new_root)
            assert not verify_consistency(old, new, proof, old_root=old_root, new_root=leaf_hash(b"x"))
            assert not verify_consistency(old, new, [*proof, new_root], old_root=old_root, new_root=new_root)
            if proof:
                assert not verify_consistency(old, new, proof[:-1], old_root=old_root, new_root=new_root)


def test_nothing_is_shown_about_an_empty_or_a_larger_old_tree() -> None:
    assert not verify_consistency(0, 3, [], old_root=EMPTY_ROOT, new_root=root_of(HASHES[:3]))
    assert not verify_consistency(3, 2, [], old_root=root_of(HASHES[:3]), new_root=root_of(HASHES[:2]))
    with pytest.raises(ValueError, match="old tree"):
        consistency_proof(HASHES, 0)
    with pytest.raises(ValueError, match="not in the tree"):
        inclusion_proof(HASHES, 8)


@given(st.lists(st.binary(max_size=4), max_size=70), st.data())
def test_a_frontier_kept_as_bytes_goes_on_where_it_was(leaves: list[bytes], data: st.DataObject) -> None:
    stop = data.draw(st.integers(0, len(leaves)))
    hashes = [leaf_hash(leaf) for leaf in leaves]
    first = Frontier()
    for hashed in hashes[:stop]:
        first.append(hashed)

    second = Frontier.from_bytes(first.to_bytes())
    for hashed in hashes[stop:]:
        second.append(hashed)

    assert second.size == len(leaves)
    assert second.root() == root_of(hashes)
    assert len(second.to_bytes()) <= 8 + 32 * max(1, len(leaves).bit_length())


def test_no_bytes_are_the_frontier_of_the_empty_tree() -> None:
    assert Frontier.from_bytes(b"").root() == EMPTY_ROOT
    assert Frontier.from_bytes(Frontier().to_bytes()).size == 0


@pytest.mark.parametrize("data", [b"\0", bytes(7), (1).to_bytes(8), (3).to_bytes(8) + bytes(63), bytes(8) + bytes(32)])
def test_bytes_that_are_no_frontier_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(data)
