"""The hash tree against the published vectors of RFC 6962, and against its own laws."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.rules.tree import EMPTY_ROOT, Frontier, leaf_hash, node_hash

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


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree with these leaf hashes."""
    frontier = Frontier()
    for hashed in hashes:
        frontier.append(hashed)
    return frontier.root()


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size: int) -> None:
    assert root_of(HASHES[:size]).hex() == ROOTS[size]


def test_leaves_and_nodes_have_different_hashes() -> None:
    assert leaf_hash(b"") != EMPTY_ROOT
    assert node_hash(HASHES[0], HASHES[1]) != leaf_hash(HASHES[0] + HASHES[1])


@given(st.lists(st.binary(max_size=4), max_size=70), st.data())
def test_a_frontier_restored_from_bytes_continues_the_tree(leaves: list[bytes], data: st.DataObject) -> None:
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


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_leaf_hash_has_the_length_of_a_hash(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(bytes(length))


def test_no_bytes_are_the_frontier_of_the_empty_tree() -> None:
    assert Frontier.from_bytes(b"").root() == EMPTY_ROOT
    assert Frontier.from_bytes(Frontier().to_bytes()).size == 0


@pytest.mark.parametrize("data", [b"\0", bytes(7), (1).to_bytes(8), (3).to_bytes(8) + bytes(63), bytes(8) + bytes(32)])
def test_bytes_that_are_not_a_frontier_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(data)
