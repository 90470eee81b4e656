"""A small MCP server on stdin and stdout: it answers, says where it runs and what it was given, and can delete."""

import os
from pathlib import Path

from mcp.server import MCPServer

server: MCPServer = MCPServer("small")


@server.tool()
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is known here: {Path.cwd().name}, {os.environ.get('LOOK_UP_KEY')}, {os.environ.get('OTHER_SECRET')}"


@server.tool()
def delete_all() -> str:
    """Delete everything."""
    Path("deleted").write_text("all")
    return "deleted"


if __name__ == "__main__":
    server.run()
