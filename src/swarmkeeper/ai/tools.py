"""The tools of an executor: an allow-list of Python functions and MCP servers. Nothing else can be called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import ApprovalRequired, CallDeferred, ModelRetry, RunContext, ToolFailed, UserError
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset, ToolsetTool, WrapperToolset

from swarmkeeper.agents.caps import CapReached
from swarmkeeper.ai.python_files import CannotLoad, loaded

_ERROR_LENGTH_MAX = 2_000


class CannotMakeTools(ValueError):
    """A tool cannot be made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class ToolFolder:
    """What a tool may take as `RunContext[ToolFolder]`: its first parameter, which the model does not see.

    Attributes:
        path: the working directory of this bot. Functions run in the bot's process, whose own directory is another.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class McpAccess:
    """How to reach an MCP server, and what may be called there.

    Attributes:
        name: what it is called in messages.
        command: the program and its arguments; it runs in the tool folder.
        env: names of environment variables that the program gets, beside the usual few (PATH, HOME, …).
        url: in place of a command.
        token_env: the variable with the bearer token for `url`.
        only: names of the tools that may be called; None: all of the server's.
    """

    name: str
    command: Sequence[str] = ()
    env: Sequence[str] = ()
    url: str | None = None
    token_env: str | None = None
    only: frozenset[str] | None = None


def toolset_of(
    python: Sequence[str],
    servers: Sequence[McpAccess],
    *,
    files: Path,
    folder: Path,
    environ: Mapping[str, str] = os.environ,
) -> list[AbstractToolset[ToolFolder]]:
    """Make the tools of one bot.

    Args:
        python: functions as `python:FILE.py:NAME`.
        files: the folder of these files.
        folder: the working directory of programs.

    Raises:
        CannotMakeTools: see there.
    """
    sets: list[AbstractToolset[ToolFolder]] = []
    if python:
        sets.append(_functions(python, files))
    sets += [_server(access, folder, environ) for access in servers]
    return [forgiving(each) for each in sets]


def forgiving(toolset: AbstractToolset[ToolFolder]) -> AbstractToolset[ToolFolder]:
    """Return the tools so that the model is told about their errors, and can do something else."""
    return _ForgivingToolset(toolset)


def _functions(names: Sequence[str], files: Path) -> FunctionToolset[ToolFolder]:
    made: FunctionToolset[ToolFolder] = FunctionToolset(max_retries=3)
    for name in dict.fromkeys(names):
        try:
            function: Any = loaded(name, files)
        except CannotLoad as error:
            raise CannotMakeTools(str(error)) from None
        if not callable(function) or isinstance(function, type):
            raise CannotMakeTools(f"{name} is not a function")
        try:
            made.add_function(function)
        except (UserError, TypeError, ValueError, NameError) as error:
            raise CannotMakeTools(f"{name} cannot be a tool: {error}") from None
    return made


def _server(access: McpAccess, folder: Path, environ: Mapping[str, str]) -> AbstractToolset[ToolFolder]:
    for name in (*access.env, *([access.token_env] if access.token_env else ())):
        if not environ.get(name):
            raise CannotMakeTools(f"the server {access.name} needs the environment variable {name}")
    try:
        from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
        from pydantic_ai.mcp import MCPToolset
    except ImportError:
        raise CannotMakeTools("MCP servers need a package: pip install 'pydantic-ai-slim[mcp]'") from None
    transport: Any
    if access.url is not None:
        transport = StreamableHttpTransport(access.url, auth=environ[access.token_env] if access.token_env else None)
    else:
        program, *arguments = access.command
        given = {name: environ[name] for name in access.env}
        # Not kept alive: a server belongs to one attempt, and ends with it.
        transport = StdioTransport(program, arguments, env=given, cwd=str(folder), keep_alive=False)
    server: AbstractToolset[ToolFolder] = MCPToolset(transport, id=access.name, max_retries=3)
    only = access.only
    return server if only is None else server.filtered(lambda context, tool: tool.name in only)


# What tools raise to steer the run: not their errors.
_STEERING = (ModelRetry, ToolFailed, ApprovalRequired, CallDeferred, CapReached, UserError)


class _ForgivingToolset(WrapperToolset[ToolFolder]):
    """Tells the model about an error of a tool, so that it can do something else. The attempt's log has it, too."""

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[ToolFolder], tool: ToolsetTool[ToolFolder]
    ) -> Any:
        try:
            return await super().call_tool(name, tool_args, ctx, tool)
        except _STEERING:
            raise
        except Exception as error:
            raise ToolFailed(f"{type(error).__name__}: {error}"[:_ERROR_LENGTH_MAX]) from error
