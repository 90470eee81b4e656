"""What holds for every example that is a folder: it can be copied, explains itself, and is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.swarm.example_folder import EXAMPLES, copied

FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/README.md"))
LINES_MAX = 45  # what a screen shows
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]+)\)")


def test_there_are_four_and_each_is_listed_and_tested() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_example_*.py"))

    assert len(FOLDERS) == 4
    for folder in FOLDERS:
        assert f"]({folder.name}/README.md)" in listed
        assert f'copied("{folder.name}"' in tests


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_explains_itself_on_one_screen_and_names_every_file(folder: Path, tmp_path: Path) -> None:
    readme = (folder / "README.md").read_text("utf-8")
    copied(folder.name, tmp_path)
    names = {path.name for path in tmp_path.iterdir()} - {"README.md", ".gitignore"}

    assert len(readme.splitlines()) <= LINES_MAX
    assert [name for name in sorted(names) if f"`{name}" not in readme] == []
    assert "**Your own " in readme
    assert "US dollar" in readme  # what it may cost


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_script_says_that_it_is_no_model(folder: Path) -> None:
    [script] = [path for path in folder.glob("*.py") if path.name in ("script.py", "stand_in.py")]

    said = script.read_text("utf-8")
    assert said.startswith('"""A script in place of a')
    assert "understands nothing" in said


def test_links_lead_to_files() -> None:
    broken = [
        f"{page.parent.name}: {target}"
        for page in EXAMPLES.rglob("README.md")
        for target in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []
