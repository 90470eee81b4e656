"""Checks the documentation: the package contains all pages, and the program names only existing ones."""

import os
import re
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
import uv_build
from typer.main import get_command

from swarmkeeper.cli.commands import app
from swarmkeeper.cli.tools.docs import pages
from tests.tidy.tree import ROOT, SRC, files, name_of

DOCS = ROOT / "docs"
COMMAND = cache(get_command)
NAMED = re.compile(r"swarmkeeper docs ([a-z][a-z0-9-]*)")
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_every_page_is_linked_into_the_package_by_a_topic_of_its_own() -> None:
    written = {page.relative_to(DOCS): page.resolve() for page in DOCS.rglob("*.md")}
    linked = {link.relative_to(SRC / "pages"): link.resolve() for link in (SRC / "pages").rglob("*.md")}

    assert linked == written, "`make docs` links them"
    assert len(pages()) == len(written)


def test_a_wheel_holds_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # the backend is a program there

    built = tmp_path / uv_build.build_wheel(str(tmp_path))

    with zipfile.ZipFile(built) as wheel:
        for page in DOCS.rglob("*.md"):
            assert wheel.read(f"swarmkeeper/pages/{page.relative_to(DOCS)}") == page.read_bytes()


def test_every_named_topic_exists() -> None:
    named = {
        (topic, name_of(file))
        for file in (*files(SRC, ".py"), *files(DOCS, ".md"), *files(ROOT / "examples"), ROOT / "README.md")
        for topic in NAMED.findall(file.read_text(encoding="utf-8"))
    }

    assert named
    assert [(topic, where) for topic, where in sorted(named) if topic not in pages()] == []


def test_the_program_names_topics_and_never_files_of_the_repository() -> None:
    """An installed package has no docs/ folder."""
    named = [
        f"{name_of(file)}: {found}"
        for file in files(SRC, ".py")
        for found in re.findall(
            r"docs/(?:\w+/)?[\w-]+\.md|(?:guides|concepts|reference|internals)/[\w-]+\.md", file.read_text("utf-8")
        )
    ]

    assert named == []


def test_every_link_between_pages_leads_to_an_existing_page_and_heading() -> None:
    broken = [
        f"{name_of(page)}: {target}"
        for page in (*files(DOCS, ".md"), *ROOT.glob("*.md"))
        for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
        if not _leads_somewhere(page, target)
    ]

    assert broken == []


def test_every_test_named_in_a_page_exists() -> None:
    named = {
        (name_of(page), path)
        for page in (*files(DOCS, ".md"), *ROOT.glob("*.md"))
        for path in re.findall(r"`((?:tests|examples|benchmarks|deploy|scripts)/[\w./-]*)`", page.read_text("utf-8"))
    }

    assert named
    assert [(page, path) for page, path in sorted(named) if not (ROOT / path).exists()] == []


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, place = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not place or file.suffix != ".md":
        return file.exists()
    text = CODE.sub("", file.read_text(encoding="utf-8"))
    headings = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    return place in headings | set(re.findall(r'<a id="([^"]+)"', text))


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_command_and_flag_that_pages_and_messages_name_exists() -> None:
    named = [
        (name_of(page), words)
        for page in (*files(DOCS, ".md"), *ROOT.glob("*.md"))
        if page.name not in ("cli.md", "CHANGELOG.md")  # generated from the commands; names old ones
        for words in _commands_of(page.read_text(encoding="utf-8"))
    ]
    named += [
        (name_of(file), found.split())
        for file in (*files(SRC, ".py"), *files(ROOT / "dashboard" / "src", ".ts", ".tsx"))
        for found in re.findall(r"[`\"'>]swarmkeeper ([a-z][\w -]*)", file.read_text(encoding="utf-8"))
    ]

    assert len(named) > 100
    assert [(where, " ".join(words), fault) for where, words in named if (fault := _fault(words))] == []


def _commands_of(text: str) -> list[list[str]]:
    """Yield the words after `swarmkeeper` in code spans and blocks; a backslash continues a line."""
    code = CODE.findall(text) + re.findall(r"`([^`\n]+)`", CODE.sub("", text))
    lines = "\n".join(code).replace("\\\n", " ")
    return [
        re.sub(r"[\"'`].*", "", found).split()
        for found in re.findall(r"\bswarmkeeper (?!import )([a-z-][^|;&)>\n]*)", lines)
    ]


def _fault(words: list[str]) -> str:
    """Return what is wrong with a command as it is written; nothing if it can be typed."""
    command = COMMAND(app)
    path = [word for word in words if not word.startswith("-")]
    while hasattr(command, "commands") and path:
        found = command.commands.get(path[0])
        if found is None:
            return f"there is no command {path[0]}"
        command, path = found, path[1:]
    flags = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
    unknown = [word for word in words if re.fullmatch(r"--[a-z-]+", word) and word not in flags]
    return f"has no {', '.join(unknown)}" if unknown else ""
