"""Tells what the end of a program means for the work: wait, try again, or give up.

Only words about a failure are looked at, never an answer: a text about rate limits is no rate limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from swarmkeeper.agents.programs.reading import Said
from swarmkeeper.agents.prompt import shortened
from swarmkeeper.sdk.answers import DELAY_SECONDS_MAX, MESSAGE_LENGTH_MAX, Failed
from swarmkeeper.sdk.processes.subprocesses import CommandResult, ended_with

Kind = Literal["retryable", "not_retryable", "rate_limited"]

_WHY_LENGTH_MAX = MESSAGE_LENGTH_MAX - 500
_JUDGED_LENGTH_MAX = 2_000  # the end says why; before it stands what the program survived

_RATE = re.compile(
    r"rate[_ -]?limit|too many requests|\b(?:status|status[_ ]code|http|error|code)\W{0,12}(?:429|529)\b|"
    r"overloaded[_ ]error|(?:is|model|server) overloaded|resource[_ ]?exhausted|"
    r"(?<!disk )quota.{0,40}(?:exceeded|exhausted)|exceeded your current quota|insufficient[_ ]quota|"
    r"usage limit|hit your (?:\w+ )?limit|(?:session|weekly|daily|hour) limit reached|credit balance is too low",
    re.IGNORECASE,
)
# Anthropic's and Google's words for an account without money or quota; it may be topped up, but hardly in seconds.
_QUOTA = re.compile(r"quota|credit balance|billing", re.IGNORECASE)
_QUOTA_SECONDS = 60.0
_LOGIN = re.compile(
    r"please run /login|not logged in|please log ?in|invalid (?:x-)?api[- _]key|incorrect api key|"
    r"authentication[_ ](?:error|failed)|unauthori[sz]ed|\b(?:status|status[_ ]code|http|error|code)\W{0,12}401\b|"
    r"oauth token (?:has expired|revoked)|no api key|"
    r"api[_ ]key.{0,40}(?:not set|missing|not found|must be set|required)|"
    r"set an auth method|must specify the \w*api_key|permission_error|"
    r"does not have access to (?:the )?(?:model|claude)",
    re.IGNORECASE,
)
_FOR_GOOD = re.compile(
    r"prompt is too long|context[_ ](?:length|window)|maximum context|input token count|"
    r"content[_ ]?filter|usage policy|model.{0,60}(?:not found|does not exist|not supported)|"
    r"unknown option|unrecogni[sz]ed (?:option|argument)|unexpected argument",
    re.IGNORECASE,
)
_NO_SESSION = re.compile(
    r"no (?:conversation|session|thread|rollout)\b.{0,40}found|(?:session|conversation|thread).{0,80}not found|"
    r"invalid session|error resuming",
    re.IGNORECASE,
)
# Exit codes with one meaning: sysexits.h, the shell, and Gemini CLI (41 login, 42 input, 44 sandbox, 52 settings).
_CODES: Mapping[int, tuple[Kind, str]] = {
    41: ("not_retryable", "the program is not logged in"),
    42: ("not_retryable", "the program refuses its input"),
    44: ("not_retryable", "the program's sandbox does not work"),
    52: ("not_retryable", "the program's settings are wrong"),
    53: ("not_retryable", "the program reached its own limit of turns"),
    64: ("not_retryable", "the program was called wrongly"),
    77: ("not_retryable", "the program is not permitted to do this"),
    78: ("not_retryable", "the program's settings are wrong"),
    126: ("not_retryable", "the program cannot be executed"),
    127: ("not_retryable", "a program was not found"),
}
_GEMINI_CODES = frozenset({41, 42, 44, 52, 53})  # in other programs they mean anything

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WAIT = re.compile(
    r"(?:try again|retry|retrying|reset(?:s)?|available again)\b[^0-9\n]{0,30}?\b(?:in|after)\s*:?\s*"
    r"((?:\d+(?:\.\d+)?\s*(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|ms)?\b[\s,]*(?:and\s+)?){1,4})",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[dhms])?", re.IGNORECASE)
_HEADER = re.compile(r"retry-after\"?\s*[:=]\s*\"?(\d+(?:\.\d+)?)", re.IGNORECASE)
_EPOCH = re.compile(r"limit reached\|(\d{10})\b")
_CLOCK = re.compile(
    r"resets? (?:at )?(\d{1,2})(?::(\d\d))?\s*([ap]m)(?: \(([A-Za-z_]+(?:/[A-Za-z_+-]+)*)\))?", re.IGNORECASE
)


def failure_after(
    ran: CommandResult, said: Said, *, format_: str | None, exits: Mapping[int, Kind], now: datetime
) -> Failed | None:
    """Return what went wrong; None: the program has done its work.

    Args:
        format_: the format that the program speaks; None: it was not found out.
        exits: the author's meanings of exit codes; they go first.
        now: the wall clock, for a rate limit that ends at a time of day.
    """
    if ran.ok and said.error is None and said.cap is None and (said.ended or not has_events(format_)):
        return None
    words = _words(ran, said, format_)
    why = shortened(words, _WHY_LENGTH_MAX)
    words = words[-_JUDGED_LENGTH_MAX:]
    how = f"the program {ended_with(ran.code)}"
    if (kind := exits.get(ran.code)) is not None and not ran.ok:
        return Failed(f"{how}: {why}", kind=kind, retry_after_seconds=_wait(words, said, now, kind))
    if said.cap is not None:
        return Failed(f"the program stopped at its own limit, without a result: {said.cap}", kind="not_retryable")
    if said.resets_at is not None or _RATE.search(words):
        return Failed(f"{how}: {why}", "rate_limited", _wait(words, said, now, "rate_limited"))
    if _LOGIN.search(words):
        return Failed(f"the program is not logged in, or its key is refused: {why}", kind="not_retryable")
    if _FOR_GOOD.search(words):
        return Failed(f"{how}: {why}", kind="not_retryable")
    if ran.code in _CODES and (ran.code not in _GEMINI_CODES or format_ == "gemini"):
        kind, meaning = _CODES[ran.code]
        return Failed(f"{meaning} ({how}): {why}", kind=kind)
    return Failed(f"{how}: {why}")


def session_is_gone(ran: CommandResult, said: Said, format_: str | None) -> bool:
    """Whether the program failed because it does not know the session that it should continue."""
    return not ran.ok and said.answer is None and _NO_SESSION.search(_words(ran, said, format_)) is not None


def has_events(format_: str | None) -> bool:
    """Whether a program of this format says itself that it has ended."""
    return format_ in ("claude", "codex", "gemini")


def _words(ran: CommandResult, said: Said, format_: str | None) -> str:
    """Return what was said about the failure: by an event, else on stderr, else at the end of stdout."""
    if said.error:
        return said.error
    if ran.stderr.strip():
        return ran.stderr.strip()[-_WHY_LENGTH_MAX:]
    if has_events(format_):
        return "it said nothing about the reason" if not ran.ok else "it ended without a result"
    return ran.stdout.strip()[-_WHY_LENGTH_MAX:] or "it printed nothing"


def _wait(words: str, said: Said, now: datetime, kind: Kind) -> float | None:
    """Return the seconds until a rate limit ends, as far as it was said."""
    if kind != "rate_limited":
        return None
    seconds = _said_wait(words, said, now)
    if seconds is None and _QUOTA.search(words):
        seconds = _QUOTA_SECONDS
    return None if seconds is None else min(max(seconds, 0.0), float(DELAY_SECONDS_MAX))


def _said_wait(words: str, said: Said, now: datetime) -> float | None:
    if said.resets_at is not None:
        return said.resets_at - now.timestamp()
    if (found := _EPOCH.search(words)) is not None:
        return float(found[1]) - now.timestamp()
    if (found := _HEADER.search(words)) is not None:
        return float(found[1])
    if (found := _WAIT.search(words)) is not None:
        return sum(_seconds(float(number), unit) for number, unit in _PART.findall(found[1]))
    if (found := _CLOCK.search(words)) is not None:
        return _until(found, now)
    return None


def _seconds(number: float, unit: str) -> float:
    unit = unit.lower()
    return number / 1000 if unit == "ms" else number * _UNITS.get(unit, 1)


def _until(found: re.Match[str], now: datetime) -> float | None:
    """Return the seconds until the next such time of day, in the zone that was named, else in the machine's."""
    hour, minute = int(found[1]) % 12 + (12 if found[3].lower() == "pm" else 0), int(found[2] or 0)
    if minute > 59:
        return None
    try:
        here = now.astimezone(ZoneInfo(found[4]) if found[4] else None)
    except (ValueError, OSError, KeyError):  # an unknown zone, or no table of zones
        return None
    then = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if then <= here:
        then += timedelta(days=1)
    return (then.astimezone(UTC) - now.astimezone(UTC)).total_seconds()
