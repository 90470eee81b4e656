"""`docs [TOPIC]`: shows the pages of the documentation, which come with the package, in the terminal.

The files below `swarmkeeper/pages` are links to the repository's `docs/`; a wheel contains the files themselves.
"""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.flags import AsJson
from swarmkeeper.cli.framework.terminal import CliError, Exit

# Each kind of page, in the order in which a new user needs them.
_KINDS = {
    "": "First",
    "guides": "How to",
    "concepts": "How it works",
    "security": "Security",
    "reference": "Reference",
    "internals": "Inside",
    "internals/decisions": "Decisions",
}
_WIDTH_MAX = 120  # longer lines are hard to read on any terminal
_MENTIONS_MAX = 5
_GENERATED = re.compile(r"<!--.*?-->\n*|<a id=\"[^\"]*\"></a>", re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+://)(?:[^)#\s]*/)?([\w-]+)\.md(?:#[^)]*)?\)")


@dataclass(frozen=True, slots=True)
class DocsPage:
    """A page of the documentation. Its topic is the file name in lower case, without the ending."""

    topic: str
    kind: str  # one of _KINDS
    text: str

    @property
    def title(self) -> str:
        """The first heading."""
        return self.text.partition("\n")[0].removeprefix("# ")


def pages() -> dict[str, DocsPage]:
    """Return all pages by topic, in the order in which they are listed."""
    root = resources.files("swarmkeeper") / "pages"
    found = [page for kind in _KINDS for page in _pages_of(root / kind if kind else root, kind)]
    return {page.topic: page for page in found}


def _pages_of(folder: Traversable, kind: str) -> list[DocsPage]:
    files = [file for file in folder.iterdir() if file.name.endswith(".md")]
    read = [
        DocsPage(file.name.removesuffix(".md").lower(), kind, _GENERATED.sub("", file.read_text(encoding="utf-8")))
        for file in files
    ]
    return sorted(read, key=lambda page: page.topic)


def docs(
    topic: Annotated[
        str | None, typer.Argument(help="A page, such as `start`. Without it, all pages are listed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a page of the documentation, or list all topics."""
    found = pages()
    if topic is None:
        _list(list(found.values()), as_json=as_json)
        return
    page = found.get(_plain(topic))
    if page is None:
        raise _unknown(topic, found)
    if as_json:
        terminal.say_json({"topic": page.topic, "title": page.title, "text": page.text})
    elif terminal.is_live():
        _draw(page)
    else:
        terminal.say(page.text.removesuffix("\n"))


def _plain(topic: str) -> str:
    """Return the topic for a name as people write it: `Rework`, `long jobs`, or a file's path."""
    return topic.strip().lower().rpartition("/")[2].removesuffix(".md").replace(" ", "-").replace("_", "-")


def _list(found: list[DocsPage], *, as_json: bool) -> None:
    if as_json:
        for page in found:
            kind = page.kind.partition("/")[0] or "tutorial"
            terminal.say_json({"topic": page.topic, "kind": kind, "title": page.title})
        return
    width = max(len(page.topic) for page in found)
    for kind, heading in _KINDS.items():
        terminal.say(f"{heading}:")
        for page in found:
            if page.kind == kind:
                terminal.say(f"  {page.topic:<{width}}  {page.title}")
    terminal.talk("show a page: swarmkeeper docs TOPIC")


def _unknown(topic: str, found: dict[str, DocsPage]) -> CliError:
    """Return the failure, with topics of similar names, and topics whose pages contain the word."""
    wanted = _plain(topic)
    near = difflib.get_close_matches(wanted, found, n=3, cutoff=0.7)
    word = re.compile(rf"\b{re.escape(topic.strip())}", re.IGNORECASE)
    counts = {name: len(word.findall(page.text)) for name, page in found.items()} if topic.strip() else {}
    # A reference names everything; a guide says what it is.
    speaking = [name for name in counts if counts[name]]
    speaking = sorted(speaking, key=lambda name: (_is_reference(found[name]), -counts[name]))[:_MENTIONS_MAX]
    facts = [("near", ", ".join(near))] if near else []
    facts += [("mentioned in", ", ".join(speaking))] if speaking else []
    best = (near or speaking or [""])[0]
    fix = f"swarmkeeper docs {best}".rstrip()  # without a topic, all are listed
    return CliError("no_topic", f"no topic {topic!r}", exit_code=Exit.NOT_FOUND, facts=facts, fix=fix)


def _is_reference(page: DocsPage) -> bool:
    return page.kind.partition("/")[0] == "reference"


def _draw(page: DocsPage) -> None:
    """Print the page on a terminal. A link to another page becomes the command that shows it."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    def command(link: re.Match[str]) -> str:
        return f"{link[1]} (`swarmkeeper docs {link[2].lower()}`)"

    # Rich's default style prints code on black, which is hard to read on a light terminal.
    console = Console(file=sys.stdout, theme=Theme({"markdown.code": "bold cyan"}))
    drawn = Markdown(_LINK.sub(command, page.text), code_theme="ansi_dark", hyperlinks=False)
    console.print(drawn, width=min(console.width, _WIDTH_MAX))
