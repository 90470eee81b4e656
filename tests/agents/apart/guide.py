"""Runs the guide's block for a framework, as the tests of the docs run the other blocks."""

from typing import Any

from tests.docs.blocks import ROOT, blocks_of


def bot_of_the_guide(framework: str, monkeypatch: Any) -> Any:
    """Return the bot that the block makes. Libraries of providers want a key at once, and send nothing yet."""
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "no-key-at-all")
    [block] = [
        block
        for block in blocks_of(ROOT / "docs" / "guides" / "agents.md")
        if block.options.get("framework") == framework
    ]
    made: dict[str, Any] = {}
    exec(compile(block.code, f"agents.md, {framework}", "exec"), made)
    return made["bot"]
