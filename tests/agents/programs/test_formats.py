"""What each agent program prints is read for the answer, progress, usage, cost and session."""

import json
from typing import Any

import pytest

from swarmkeeper import Context
from swarmkeeper.agents.caps import Caps
from swarmkeeper.agents.programs import CommandBot
from swarmkeeper.sdk.context import Outbox
from tests.agents.programs.conftest import Programs, Steps

SESSION = "0199a213-81c0-7800-8aa1-bbab2a035a53"


def claude(**result: Any) -> list[dict[str, Any]]:
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 1_000,
        "output_tokens": 5,
    }

    def block(name: str, content: dict[str, Any], count: int) -> dict[str, Any]:
        message = {
            "id": name,
            "model": "claude-sonnet-4-5",
            "content": [content],
            "usage": usage | {"output_tokens": count},
        }
        return {"type": "assistant", "message": message, "session_id": SESSION}

    called = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    broke = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "no such file"}
    return [
        {"type": "system", "subtype": "init", "session_id": SESSION, "model": "claude-sonnet-4-5", "tools": ["Bash"]},
        block("m1", {"type": "text", "text": "I look."}, 5),
        block("m1", called, 7),
        {"type": "user", "message": {"role": "user", "content": [broke]}, "session_id": SESSION},
        block("m2", {"type": "text", "text": "It is done."}, 5),
        {
            "type": "result", "subtype": "success", "is_error": False, "result": "It is done.", "session_id": SESSION,
            "num_turns": 2, "total_cost_usd": 0.0123455, "usage": usage | {"input_tokens": 20},
            "modelUsage": {
                "claude-sonnet-4-5": {"inputTokens": 20, "outputTokens": 12, "cacheReadInputTokens": 2_000,
                                      "cacheCreationInputTokens": 200, "costUSD": 0.012},
                "claude-haiku-4-5": {"inputTokens": 100, "outputTokens": 10},
            },
        } | result,
    ]  # fmt: skip


CODEX: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": SESSION},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "i0", "type": "reasoning", "text": "I look."}},
    {
        "type": "item.started",
        "item": {"id": "i1", "type": "command_execution", "command": "ls", "status": "in_progress"},
    },
    {"type": "item.completed", "item": {"id": "i1", "type": "command_execution", "command": "ls", "exit_code": 2}},
    {"type": "error", "message": "Reconnecting... 1/5"},
    {"type": "item.completed", "item": {"id": "i2", "type": "file_change", "changes": [{"path": "a", "kind": "add"}]}},
    {"type": "item.completed", "item": {"id": "i3", "type": "agent_message", "text": "It is done."}},
    {"type": "turn.completed", "usage": {"input_tokens": 1_000, "cached_input_tokens": 900, "output_tokens": 20}},
]
GEMINI: list[dict[str, Any]] = [
    {"type": "init", "session_id": SESSION, "model": "gemini-2.5-pro"},
    {"type": "message", "role": "user", "content": "Do it."},
    {"type": "message", "role": "assistant", "content": "I look.", "delta": True},
    {"type": "tool_use", "tool_name": "ls", "tool_id": "t1", "parameters": {"path": "."}},
    {"type": "tool_result", "tool_id": "t1", "status": "error", "error": {"type": "x", "message": "no such file"}},
    {"type": "message", "role": "assistant", "content": "It is ", "delta": True},
    {"type": "message", "role": "assistant", "content": "done.", "delta": True},
    {
        "type": "result",
        "status": "success",
        "stats": {"total_tokens": 1_020, "input_tokens": 1_000, "output_tokens": 20},
    },
]
GEMINI_WHOLE = {
    "session_id": SESSION,
    "response": "It is done.",
    "stats": {"models": {"gemini-2.5-pro": {"api": {"totalRequests": 2}, "tokens": {"prompt": 1_000, "total": 1_020}}}},
}


def printed(events: list[dict[str, Any]]) -> Steps:
    return [["event", event] for event in events]


def beat(context: Context) -> dict[str, Any]:
    return Outbox(context).heartbeat()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("format_", "events", "usage"),
    [
        ("claude", claude(), {"tokens": 2_342, "cost_micro_usd": 12_346}),
        ("codex", CODEX, {"tokens": 1_020}),
        ("gemini", GEMINI, {"tokens": 1_020}),
    ],
)
def test_events_become_answer_session_usage_and_log(
    programs: Programs, format_: Any, events: list[dict[str, Any]], usage: dict[str, int], *, told: bool
) -> None:
    context = programs.context()
    bot = programs.bot(printed(events), reads=format_ if told else None)

    assert programs.done(bot, context=context) == {"text": "It is done.", "session": SESSION}

    sent = beat(context)
    assert sent["usage"] == usage
    log = "\n".join(sent["progress"]["log"])
    assert ("tool Bash" in log) or ("tool command" in log) or ("tool ls" in log)
    assert "failed: no such file" in log or "failed: exit code 2" in log


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(claude()[-1]),
        json.dumps(claude()[-1], indent=2),
        json.dumps(claude()),
        json.dumps(GEMINI_WHOLE),
        json.dumps(GEMINI_WHOLE, indent=2),
    ],
    ids=["claude", "claude on lines", "claude verbose", "gemini", "gemini on lines"],
)
def test_one_object_at_the_end_is_read_as_well(programs: Programs, text: str) -> None:
    context = programs.context()

    assert programs.done(programs.bot([["text", text]]), context=context) == {"text": "It is done.", "session": SESSION}

    assert beat(context)["usage"]["tokens"] in (2_342, 1_020)


def test_plain_text_is_the_answer_and_its_lines_are_the_log(programs: Programs) -> None:
    context = programs.context()

    assert programs.done(programs.bot([["text", "one\ntwo"]]), context=context) == {"text": "one\ntwo\n"}

    assert beat(context)["progress"]["log"] == ["one", "two"]


def test_a_json_value_is_the_output(programs: Programs) -> None:
    assert programs.done(programs.bot([["text", '{"count":\n 3}']])) == {"count": 3}
    assert programs.done(programs.bot([["text", "[1, 2]"]], reads="json")) == {"value": [1, 2]}
    assert programs.done(programs.bot([["text", '{"type": "x", "subtype": 1}']], reads="text"))["text"].startswith("{")
    assert "no JSON value" in programs.failed(programs.bot([["text", "not"]], reads="json")).why


def test_a_structured_output_of_claude_is_the_output(programs: Programs) -> None:
    bot = programs.bot(printed(claude(structured_output={"fixed": True})))

    assert programs.done(bot) == {"fixed": True, "session": SESSION}


def test_usage_is_kept_when_the_program_fails_before_its_end(programs: Programs) -> None:
    context = programs.context()

    failed = programs.failed(programs.bot([*printed(claude()[:-1]), ["exit", 1]]), context=context)

    assert failed.kind == "retryable"
    assert beat(context)["usage"] == {"tokens": 1_117 + 1_115}


def test_the_authors_prices_count_until_the_program_says_its_cost(programs: Programs) -> None:
    contexts = programs.context(), programs.context()

    def cost(model: str | None, usage: Any) -> int:
        return int(usage.tokens) * (2 if model else 1)

    programs.done(programs.bot(printed(claude()), cost=cost), context=contexts[0])
    programs.done(programs.bot(printed(CODEX), cost=cost), context=contexts[1])

    assert [beat(context)["usage"]["cost_micro_usd"] for context in contexts] == [12_346, 1_020]


@pytest.mark.parametrize("caps", [Caps(requests=1), Caps(tool_calls=1), Caps(tokens=1_500)])
def test_a_program_that_goes_beyond_a_cap_is_killed_and_the_work_fails(
    programs: Programs, caps: Caps, alive: Any
) -> None:
    events = printed(claude()[:5])
    again = [*events, *printed(claude()[2:3]), ["hold", str(alive.path)]]

    failed = programs.failed(programs.bot(again, caps=caps))

    assert (failed.kind, "its cap of" in failed.why) == ("not_retryable", True)


def test_a_result_that_took_more_tokens_than_its_cap_is_not_lost(programs: Programs) -> None:
    output = programs.done(programs.bot(printed(CODEX), caps=Caps(tokens=10)))

    assert output["text"]


def bot_for(programs: Programs, text: bytes, **settings: Any) -> CommandBot:
    import base64

    return programs.bot([["raw", base64.b64encode(text).decode()]], **settings)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"type": "assistant", "mess',
        b'{"type": "assistant", "message": {"usage": {"input_tokens": -5, "output_tokens": "many"}, "content": 7}}\n',
        b'{"type": "assistant", "message": {"usage": {"input_tokens": 1e400}, "content": [3, {"type": "tool_use"}]}}',
        b'{"type": "assistant", "message": [], "session_id": {"a": 1}}\n',
        b'{"type": ["assistant"]}\n{"type": null}\n{}\n',
        b'{"type": "user", "message": {"content": [{"type": "tool_result", "is_error": true, "content": [[[]]]}]}}\n',
        b"\xff\xfe\x00garbage\n",
        b'{"a":' * 100_000 + b"\n",
        b'{"type": "x", "n": ' + b"9" * 10_000 + b"}\n",
        b'{"type": "assistant", "pad": "' + b"x" * (9 * 1024 * 1024) + b'"}\n',
        b'{"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": "soon"}}\n',
        b'{"type": "result", "subtype": "success", "result": 5, "total_cost_usd": -1, "modelUsage": [1]}\n',
        b'{"type": "result", "subtype": "success", "result": "x", "total_cost_usd": NaN, "usage": "x"}\n',
        b"\r\n\n\n   \n",
    ],
)
def test_odd_lines_are_passed_over(programs: Programs, odd: bytes) -> None:
    whole = b"".join(json.dumps(event).encode() + b"\n" for event in claude())
    first = json.dumps(claude()[0]).encode() + b"\n"

    for text in (first + odd + b"\n" + whole, whole.rstrip(b"\n") + b"\n" + odd[:-1]):
        output = programs.done(bot_for(programs, text, reads="claude"))
        assert output["session"] == SESSION
        assert output["text"] in ("It is done.", "", "x")


@pytest.mark.parametrize("format_", ["claude", "codex", "gemini"])
def test_events_cut_at_any_byte_are_no_success(programs: Programs, format_: Any) -> None:
    events = {"claude": claude(), "codex": CODEX, "gemini": GEMINI}[format_]
    whole = b"".join(json.dumps(event).encode() + b"\n" for event in events)

    for end in range(0, len(whole) - 2, len(whole) // 5):
        assert programs.failed(bot_for(programs, whole[:end], reads=format_)).kind == "retryable"


def test_a_text_with_nul_surrogates_and_bad_utf8_can_be_sent(programs: Programs) -> None:
    events = claude(result="a\0b\ud800c")

    output = programs.done(programs.bot(printed(events)))
    assert output["text"] == "a\\u0000b\\ud800c"
    assert programs.done(bot_for(programs, b"a\0b\xffc"))["text"] == "a\\u0000b\ufffdc"


def test_a_huge_answer_is_cut_in_its_middle_with_a_note(programs: Programs) -> None:
    output = programs.done(programs.bot([["flood", 3_000_000]], reads="text"))

    assert "left out" in output["text"]
    assert len(output["text"]) <= 300_000
    assert output["text"].startswith("xxx")


def test_an_event_of_many_megabytes_is_not_kept_and_the_log_says_so(programs: Programs) -> None:
    context = programs.context()
    first, *rest = (json.dumps(event).encode() + b"\n" for event in claude())
    huge = b'{"type": "assistant", "pad": "' + b"x" * (9 * 1024 * 1024) + b'"}\n'

    output = programs.done(bot_for(programs, first + huge + b"".join(rest)), context=context)

    assert output["text"] == "It is done."
    assert "1 lines of the program's output could not be read" in beat(context)["progress"]["log"]
