"""Google ADK: a plugin follows the run, long-running calls are the questions, the session's events are the state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun

_APP, _USER = "swarmkeeper", "bot"
_CONFIRM, _INPUT, _CREDENTIAL = "adk_request_confirmation", "adk_request_input", "adk_request_credential"
_SERVICES = ("artifact_service", "memory_service", "credential_service")


class GoogleAdkAdapter:
    """See `Adapter`."""

    name = "google-adk"

    def accepts(self, agent: object) -> bool:
        ours = any(kind.__module__.startswith("google.adk.") for kind in type(agent).__mro__)
        return ours and (hasattr(agent, "root_agent") or hasattr(agent, "sub_agents"))

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        from google.adk.apps import App
        from google.adk.runners import Runner
        from google.adk.sessions import InMemorySessionService
        from google.genai import types

        app = agent if isinstance(agent, App) else App(name=_APP, root_agent=agent)
        app = app.model_copy(update={"plugins": [_plugin(run), *app.plugins]})
        given, sessions = dict(run.options), InMemorySessionService()
        services = {name: given.pop(name) for name in _SERVICES if name in given}
        runner = Runner(app=app, session_service=sessions, **services)
        where = {"user_id": _USER, "session_id": run.work_id}
        session = await sessions.create_session(app_name=app.name, **where)
        if resumed is None:
            given["new_message"] = types.Content(role="user", parts=[types.Part(text=prompt.text())])
        else:
            given |= await _continued(resumed, sessions, session)
        async with aclosing(runner.run_async(**where, **given)) as stream:
            events = [event async for event in stream]
        run.check()  # a cancellation inside of it ends the stream, and nothing is raised
        session = await sessions.get_session(app_name=app.name, **where)
        return _turn(events, session.events)


def _plugin(run: AgentRun) -> Any:
    from google.adk.plugins import BasePlugin

    class Following(BasePlugin):  # type: ignore[misc]  # not installed where the types are checked
        async def before_model_callback(self, *, callback_context: Any, llm_request: Any) -> None:
            run.request()
            session = callback_context.session
            if session.id == run.work_id and len(session.events) > 1:  # not of an agent that is a tool
                run.checkpoint({"events": _dumped(session.events)})

        async def after_model_callback(self, *, callback_context: Any, llm_response: Any) -> None:
            used = llm_response.usage_metadata
            if used is not None and not llm_response.partial:
                sent, total = used.prompt_token_count or 0, used.total_token_count
                output = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
                run.used(ModelUsage(1, sent, output if total is None else total - sent, llm_response.model_version))

        async def before_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any) -> None:
            run.tool(tool.name, tool_args)

        async def after_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any, result: Any) -> None:
            asks = tool_context.function_call_id in tool_context.actions.requested_tool_confirmations
            if isinstance(result, dict) and result.get("error") and not asks:
                run.tool_ended(tool.name, result["error"])

        async def on_tool_error_callback(self, *, tool: Any, tool_args: Any, tool_context: Any, error: Any) -> None:
            run.tool_ended(tool.name, error)

    return Following("swarmkeeper")


def _dumped(events: Sequence[Any]) -> list[Any]:
    return [event.model_dump(mode="json", exclude_none=True) for event in events]


async def _continued(resumed: Resumed, sessions: Any, session: Any) -> dict[str, Any]:
    """Put the events so far into the session, and return what to run: the same invocation, or a person's answers."""
    from google.adk.events import Event
    from google.genai import types

    try:
        events = [Event.model_validate(each) for each in resumed.state["events"]]
        answers = [
            types.Part(function_response=types.FunctionResponse(id=call, name=name, response=_answer(name, resumed)))
            for call, name in (resumed.state["calls"] if resumed.waited else ())
        ]
        given = {"new_message": types.Content(role="user", parts=answers)} if answers else {}
        given["invocation_id"] = events[-1].invocation_id
        for event in events:
            await sessions.append_event(session, event)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error
    return given


def _answer(name: str, resumed: Resumed) -> dict[str, Any]:
    if name == _CONFIRM:
        return {"confirmed": resumed.answer in ("approve", True)}
    return resumed.answer if isinstance(resumed.answer, dict) else {"result": resumed.answer}


def _turn(events: Sequence[Any], session_events: Sequence[Any]) -> Turn:
    calls = [
        call
        for event in events
        for call in event.get_function_calls()
        if call.id in (event.long_running_tool_ids or ())
    ]
    if any(call.name == _CREDENTIAL for call in calls):
        return Turn(silent_cap="a tool asks for a credential, which a person's answer must not carry")
    if calls:
        choices = ("approve", "deny") if all(call.name == _CONFIRM for call in calls) else ()
        state = {"events": _dumped(session_events), "calls": [(call.id, call.name) for call in calls]}
        return Turn(question=AgentQuestion("\n".join(map(_asked, calls)), choices), state=state)
    last = next((event for event in reversed(events) if event.is_final_response() and not _is_empty(event)), None)
    if last is None:
        return Turn(silent_cap="it ended without an answer")
    reason = getattr(last.finish_reason, "name", "STOP")
    if last.error_code or reason != "STOP":
        return Turn(silent_cap=f"{last.error_code or reason}: {last.error_message or 'the answer is not whole'}")
    if last.output is not None:
        return Turn(last.output)
    if answers := last.get_function_responses():  # a tool that gives the result itself: `skip_summarization`
        return Turn(answers[-1].response)
    return Turn("".join(part.text or "" for part in last.content.parts or () if not part.thought))


def _is_empty(event: Any) -> bool:
    return event.output is None and not event.error_code and event.content is None


def _asked(call: Any) -> str:
    args = call.args or {}
    if call.name == _INPUT and args.get("message"):
        return str(args["message"])
    if call.name != _CONFIRM:
        return f"What is the result of {call.name}({json.dumps(args, ensure_ascii=False, default=str)})?"
    wanted, hint = args.get("originalFunctionCall", {}), args.get("toolConfirmation", {}).get("hint") or ""
    arguments = json.dumps(wanted.get("args"), ensure_ascii=False, default=str)
    return f"May the agent call {wanted.get('name')}({arguments})? {hint}".strip()


ADAPTER = GoogleAdkAdapter()
