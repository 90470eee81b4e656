"""The events of Claude Code, Codex and Gemini CLI, each read into `Said`, usage and progress."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from swarmkeeper.agents.programs.reading import (
    Said,
    Totals,
    count,
    known_session,
    listed,
    members,
    text_of,
)
from swarmkeeper.agents.run import AgentRun

Json = Any

_MODELS_MAX = 100
_NAME_LENGTH_MAX = 100
_BRIEF_LENGTH_MAX = 2_000


class ClaudeEvents:
    """`claude -p … --output-format stream-json --verbose`, or `json`: the last event alone.

    Each block of a message is an event of its own that repeats the usage of the whole message, so usage is kept by
    message. The last event has the totals, with those of subagents.
    """

    def __init__(self, said: Said, run: AgentRun, totals: Totals) -> None:
        self._said, self._run, self._totals = said, run, totals
        self._messages: dict[str, int] = {}
        self._tools: dict[str, str] = {}
        self._model: str | None = None

    def __call__(self, event: Mapping[str, Json]) -> None:
        known_session(self._said, event.get("session_id"))
        match event.get("type"):
            case "system":
                self._model = text_of(event.get("model")) or self._model
            case "assistant":
                self._assistant(members(event.get("message")))
            case "user":
                self._tool_results(members(event.get("message")))
            case "rate_limit_event":
                info = members(event.get("rate_limit_info"))
                if info.get("status") == "rejected":
                    self._said.resets_at = float(count(info.get("resetsAt"))) or None
            case "result":
                self._result(event)

    def _assistant(self, message: Mapping[str, Json]) -> None:
        name = text_of(message.get("id")) or ""
        if name not in self._messages:
            self._run.request()
        self._messages[name] = max(self._messages.get(name, 0), _claude_tokens(message.get("usage")))
        self._totals.tokens(sum(self._messages.values()), text_of(message.get("model")) or self._model)
        for block in listed(message.get("content")):
            block = members(block)
            if block.get("type") == "tool_use":
                tool = _name(block.get("name"))
                self._tools[text_of(block.get("id")) or ""] = tool
                self._run.tool(tool, _brief(block.get("input")))
            elif block.get("type") == "text" and (text := text_of(block.get("text"))):
                self._run.report(_brief(text))

    def _tool_results(self, message: Mapping[str, Json]) -> None:
        for block in listed(message.get("content")):
            block = members(block)
            if block.get("type") == "tool_result" and block.get("is_error") is True:
                self._run.tool_ended(
                    self._tools.get(text_of(block.get("tool_use_id")) or "", "?"),
                    _brief(block.get("content") or "an error"),
                )

    def _result(self, event: Mapping[str, Json]) -> None:
        said = self._said
        said.ended = True
        kind, answer = text_of(event.get("subtype")) or "", text_of(event.get("result"))
        if kind == "success" and event.get("is_error") is not True:
            said.answer, said.error = answer or "", None
            if "structured_output" in event:
                said.output, said.has_output = event["structured_output"], event["structured_output"] is not None
        elif kind in ("error_max_turns", "error_max_budget_usd", "error_max_structured_output_retries"):
            said.cap = kind.removeprefix("error_").replace("_", " ")
        else:
            errors = "; ".join(error for error in listed(event.get("errors")) if isinstance(error, str))
            said.error = answer or errors or kind or "an error"
        by_model = members(event.get("modelUsage"))
        total = sum(_claude_model_tokens(usage) for usage in list(by_model.values())[:_MODELS_MAX])
        self._totals.tokens(max(total, _claude_tokens(event.get("usage"))), self._model)
        self._totals.cost(event.get("total_cost_usd"))


def _claude_tokens(usage: object) -> int:
    named = members(usage)
    fields = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    return sum(count(named.get(field)) for field in fields)


def _claude_model_tokens(usage: object) -> int:
    named = members(usage)
    fields = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens", "outputTokens")
    return sum(count(named.get(field)) for field in fields)


class CodexEvents:
    """`codex exec --json …`. An `error` event may be about a connection that is made again: only the end counts."""

    def __init__(self, said: Said, run: AgentRun, totals: Totals) -> None:
        self._said, self._run, self._totals = said, run, totals
        self._tokens = 0

    def __call__(self, event: Mapping[str, Json]) -> None:
        said = self._said
        match event.get("type"):
            case "thread.started":
                known_session(said, event.get("thread_id"))
            case "turn.started":
                said.ended, said.error = False, None
                self._run.request()
            case "item.started":
                self._item_started(members(event.get("item")))
            case "item.completed":
                self._item_completed(members(event.get("item")))
            case "turn.completed":
                said.ended, said.error = True, None
                usage = members(event.get("usage"))
                # The cached ones are among the input tokens, and the reasoning ones among the output tokens.
                self._tokens += count(usage.get("input_tokens")) + count(usage.get("output_tokens"))
                self._totals.tokens(self._tokens)
            case "turn.failed":
                said.ended = True
                said.error = text_of(members(event.get("error")).get("message")) or said.error or "the turn failed"
            case "error":
                said.error = text_of(event.get("message")) or said.error or "an error"

    def _item_started(self, item: Mapping[str, Json]) -> None:
        match item.get("type"):
            case "command_execution":
                self._run.tool("command", _brief(item.get("command")))
            case "mcp_tool_call":
                self._run.tool(f"{_name(item.get('server'))}.{_name(item.get('tool'))}", _brief(item.get("arguments")))
            case "web_search":
                self._run.tool("web_search", _brief(item.get("query")))

    def _item_completed(self, item: Mapping[str, Json]) -> None:
        match item.get("type"):
            case "agent_message":
                self._said.answer = text_of(item.get("text"))
                self._run.report(_brief(self._said.answer or ""))
            case "command_execution" if item.get("exit_code") not in (0, None):
                self._run.tool_ended("command", f"exit code {count(item.get('exit_code'))}")
            case "mcp_tool_call" if item.get("status") == "failed":
                self._run.tool_ended(
                    _name(item.get("tool")), _brief(members(item.get("error")).get("message") or "an error")
                )
            case "file_change":
                changes = [text_of(members(change).get("path")) or "?" for change in listed(item.get("changes"))]
                self._run.tool("file_change", _brief(", ".join(changes[:20])))
            case "error":
                self._run.tool_ended("?", _brief(item.get("message") or "an error"))


class GeminiEvents:
    """`gemini -p … --output-format stream-json`, or `json`: one object with everything."""

    def __init__(self, said: Said, run: AgentRun, totals: Totals) -> None:
        self._said, self._run, self._totals = said, run, totals
        self._parts: list[str] = []
        self._tools: dict[str, str] = {}
        self._model: str | None = None

    def __call__(self, event: Mapping[str, Json]) -> None:
        known_session(self._said, event.get("session_id"))
        match event.get("type"):
            case "init":
                self._model = text_of(event.get("model"))
            case "message" if event.get("role") == "assistant":
                self._message(text_of(event.get("content")) or "", whole=event.get("delta") is not True)
            case "tool_use":
                self._parts.clear()  # what was said before a tool is not the final answer
                tool = _name(event.get("tool_name"))
                self._tools[text_of(event.get("tool_id")) or ""] = tool
                self._run.tool(tool, _brief(event.get("parameters")))
            case "tool_result" if event.get("status") == "error":
                error = members(event.get("error")).get("message") or event.get("output") or "an error"
                self._run.tool_ended(self._tools.get(text_of(event.get("tool_id")) or "", "?"), error)
            case "error" if event.get("severity") != "warning":
                self._said.error = text_of(event.get("message")) or "an error"
            case "result":
                self._result(event)
            case None:
                self._whole(event)

    def _message(self, text: str, *, whole: bool) -> None:
        if not self._parts:
            self._run.request()
        if whole:
            self._parts.clear()
        self._parts.append(text)
        self._run.report(_brief(text))

    def _result(self, event: Mapping[str, Json]) -> None:
        said = self._said
        said.ended = True
        stats = members(event.get("stats"))
        if event.get("status") == "success":
            said.answer, said.error = "".join(self._parts), None
        else:
            said.error = text_of(members(event.get("error")).get("message")) or said.error or "an error"
        self._totals.tokens(
            count(stats.get("total_tokens")) or count(stats.get("input_tokens")) + count(stats.get("output_tokens")),
            self._model,
        )

    def _whole(self, event: Mapping[str, Json]) -> None:
        """Read the object that `--output-format json` prints."""
        said = self._said
        failed = members(event.get("error"))
        models = members(members(event.get("stats")).get("models"))
        said.ended = True
        if failed:
            said.error = text_of(failed.get("message")) or text_of(failed.get("type")) or "an error"
        else:
            said.answer = text_of(event.get("response")) or ""
        tokens = [members(members(model).get("tokens")) for model in list(models.values())[:_MODELS_MAX]]
        self._totals.tokens(sum(count(each.get("total")) for each in tokens), next(iter(models), None))


def _name(value: object) -> str:
    """Return the name of a tool, short enough for a line."""
    return (text_of(value) or "?")[:_NAME_LENGTH_MAX]


def _brief(value: object) -> str:
    """Return the beginning of a value as text, for a line of the log: an event may hold megabytes."""
    return (value if isinstance(value, str) else json.dumps(value))[:_BRIEF_LENGTH_MAX]
