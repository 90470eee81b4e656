"""Tiles: their paths, and which of them a tree has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.transparency import tiles
from swarmkeeper.transparency.tiles import ENTRIES, BadTile, Tile


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/x001/x234/067", Tile(0, 1_234_067)),
        ("tile/0/000", Tile(0, 0)),
        ("tile/1/000.p/17", Tile(1, 0, 17)),
        ("tile/entries/x001/000.p/255", Tile(ENTRIES, 1000, 255)),
        ("tile/63/999", Tile(63, 999)),
    ],
)
def test_paths_are_those_of_the_specification(path: str, tile: Tile) -> None:
    assert tile.path == path
    assert tiles.parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("tile/0/1", "tile/0/0001", "tile/00/001", "tile/64/001", "tile/-1/001", "tile/0/x000/001", "tile/0/000.p/0"),
        *("tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000/", "tile/0/../001", "tile/0/x001/x234", "tile/data/000"),
        *("tile/0/٠٠٠", "/tile/0/000", "tile/0/000\n"),
    ],
)
def test_other_paths_are_none(path: str) -> None:
    assert tiles.parse_path(path) is None


def test_a_tree_of_seventy_thousand_has_the_tiles_that_the_specification_counts() -> None:
    found = list(tiles.tiles_of(70_000))

    for level, full, partial in ((0, 273, 112), (1, 1, 17), (2, 0, 1), (ENTRIES, 273, 112)):
        of_level = [tile for tile in found if tile.level == level]
        assert [tile.width for tile in of_level] == [256] * full + [partial]
    assert max(tile.level for tile in found) == 2
    assert list(tiles.tiles_of(256))[1:] == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles.tiles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_what_a_tree_has_more_than_an_older_one_are_the_tiles_that_were_not_full(one: int, two: int) -> None:
    old, new = sorted((one, two))

    assert {*tiles.tiles_of(new)} - {tile for tile in tiles.tiles_of(old) if tile.width == tiles.WIDTH} == {
        *tiles.tiles_of(new, after=old)
    }


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    tile = Tile(ENTRIES, 0, len(entries))

    assert tiles.entries_in(tiles.bundle(entries), tile) == entries
    with pytest.raises(BadTile):
        tiles.entries_in(tiles.bundle(entries)[:-1], tile)
    with pytest.raises(BadTile):
        tiles.entries_in(tiles.bundle([*entries, b""]), tile)
