"""What a program's end means for the work: wait, try again, or give up."""

from datetime import UTC, datetime
from typing import Any

import pytest

from swarmkeeper.agents.programs.endings import failure_after
from swarmkeeper.agents.programs.reading import Said
from swarmkeeper.sdk.answers import Failed
from swarmkeeper.sdk.processes.subprocesses import CommandResult
from tests.agents.programs.conftest import Programs
from tests.agents.programs.test_formats import claude, printed

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def failure(code: int = 1, *, stderr: str = "", stdout: str = "", format_: str | None = None, **given: Any) -> Failed:
    exits = given.pop("exits", {})
    made = failure_after(
        CommandResult("program", code, stdout, stderr), Said(**given), format_=format_, exits=exits, now=NOW
    )
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("API Error: 429 rate_limit_error", None),
        ('API Error: Request rejected (429) {"type":"rate_limit_error"}', None),
        ("Claude AI usage limit reached|1795788000", 1795788000 - NOW.timestamp()),
        ("You've hit your limit · resets 3:30pm (UTC)", 3.5 * 3600),
        ("You've hit your session limit · resets 12:50am (America/Los_Angeles)", (20 * 60 + 50) * 60),
        ("You've hit your weekly limit · resets 1pm (Nowhere/Atlantis)", None),
        ("You've hit your usage limit. Try again in 3 days 2 hours 5 minutes.", 3 * 86400 + 2 * 3600 + 300),
        ("Rate limit reached for gpt-5. Please try again in 1.5s.", 1.5),
        ("Rate limit reached for gpt-5. Please try again in 250ms.", 0.25),
        ("too many requests, retry-after: 17", 17),
        ("Quota exceeded for metric: x. Please retry in 41.5s.", 41.5),
        ("status 429: RESOURCE_EXHAUSTED", None),
        ("insufficient_quota: You exceeded your current quota", 60),
        ("Credit balance is too low", 60),
        ("usage limit reached, try again in 9000 days", 7 * 24 * 3600),
    ],
)
def test_a_rate_limit_waits_for_the_time_that_was_said(words: str, seconds: float | None) -> None:
    for made in (failure(stderr=words), failure(error=words, format_="claude"), failure(stdout=words)):
        assert (made.kind, made.retry_after_seconds) == ("rate_limited", seconds)


def test_a_rate_limit_event_gives_the_time() -> None:
    made = failure(error="limit", resets_at=NOW.timestamp() + 90, format_="claude")

    assert (made.kind, made.retry_after_seconds) == ("rate_limited", 90)


@pytest.mark.parametrize(
    "words",
    [
        "Invalid API key · Please run /login",
        "OAuth token has expired. Please obtain a new token",
        'API Error: 401 {"type":"authentication_error","message":"invalid x-api-key"}',
        "unexpected status 401 Unauthorized",
        "Please set an Auth method in your settings.json",
        "OPENAI_API_KEY environment variable is not set",
        "Prompt is too long",
        "error: unknown option '--nope'",
        "model: claude-9 not found",
    ],
)
def test_a_login_or_a_wrong_call_is_not_tried_again(words: str) -> None:
    assert failure(stderr=words).kind == "not_retryable"


@pytest.mark.parametrize(
    "words",
    [
        'File "limits.py", line 429, in main',
        "OSError: [Errno 122] Disk quota exceeded",
        "RecursionError: recursion limit reached",
        "connection reset by peer",
        "API Error: 500 internal",
        "AssertionError: 401 != 200",
    ],
)
def test_other_failures_are_tried_again(words: str) -> None:
    assert failure(stderr=words).kind == "retryable"


def test_exit_codes_have_their_meaning_and_the_author_has_the_last_word() -> None:
    assert failure(127).kind == failure(64).kind == failure(42, format_="gemini").kind == "not_retryable"
    assert failure(42).kind == failure(1).kind == failure(-9).kind == "retryable"
    assert failure(127, exits={127: "retryable"}).kind == "retryable"
    made = failure(75, exits={75: "rate_limited"}, stderr="try again in 5 seconds")
    assert (made.kind, made.retry_after_seconds) == ("rate_limited", 5)
    assert "was ended by SIGKILL" in failure(-9).why


@pytest.mark.parametrize("kind", ["error_max_turns", "error_max_budget_usd"])
def test_a_limit_of_the_program_itself_is_no_result(programs: Programs, kind: str) -> None:
    failed = programs.failed(programs.bot(printed(claude(subtype=kind, result=None))))

    assert (failed.kind, "its own limit" in failed.why) == ("not_retryable", True)


def test_an_answer_about_rate_limits_is_an_answer(programs: Programs) -> None:
    output = programs.done(programs.bot([["text", "429 too many requests; please run /login"]]))

    assert output["text"].startswith("429")


def test_an_error_of_claude_is_a_failure_though_it_exits_with_0(programs: Programs) -> None:
    failed = programs.failed(programs.bot(printed(claude(is_error=True, result="API Error: 529 overloaded_error"))))

    assert failed.kind == "rate_limited"


def test_a_rejected_limit_event_of_claude_gives_the_time(programs: Programs) -> None:
    import time

    info = {"status": "rejected", "resetsAt": int(time.time()) + 500, "rateLimitType": "five_hour"}
    events: list[dict[str, Any]] = [
        *claude()[:1],
        {"type": "rate_limit_event", "rate_limit_info": info},
        claude(is_error=True, result="no")[-1],
    ]

    failed = programs.failed(programs.bot([*printed(events), ["exit", 1]]))

    assert failed.kind == "rate_limited"
    assert 450 < (failed.retry_after_seconds or 0) <= 500


def test_a_failed_turn_of_codex_is_a_failure(programs: Programs) -> None:
    events: list[dict[str, Any]] = [
        {"type": "thread.started", "thread_id": "t"},
        {"type": "turn.started"},
        {"type": "error", "message": "You've hit your usage limit. Try again in 2 hours."},
        {"type": "turn.failed", "error": {"message": "You've hit your usage limit. Try again in 2 hours."}},
    ]

    failed = programs.failed(programs.bot([*printed(events), ["exit", 1]]))

    assert (failed.kind, failed.retry_after_seconds) == ("rate_limited", 7200)
