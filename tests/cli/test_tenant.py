"""`tenant list|set`: limits changed on the store itself, with or without a running server."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Server, Shell

STORE = "sqlite:///a.db"
NOTHING = {"open_tasks": 0, "open_subtasks": 0, "stored_bytes": 0}


@pytest.fixture
def tenants(shell: Shell) -> Shell:
    for name in ("acme", "other"):
        assert shell("key", "create", "--role", "admin", "--tenant", name, "--store", STORE).code == 0
    return shell


def listed(shell: Shell) -> dict[str, Any]:
    lines = shell("tenant", "list", "--store", STORE, "--json").out.splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_a_changed_setting_is_listed_and_others_are_unchanged(tenants: Shell) -> None:
    assert tenants("tenant", "set", "acme", "--weight", "4", "--max-backlog", "10", "--store", STORE).code == 0
    assert tenants("tenant", "set", "acme", "--weight", "5", "--store", STORE).code == 0

    assert listed(tenants) == {
        "acme": {"id": "acme", "weight": 5, "max_backlog": 10, **NOTHING},
        "other": {"id": "other", "weight": 1, "max_backlog": None, **NOTHING},
    }
    said = tenants("tenant", "set", "acme", "--unbounded", "--store", STORE, "--json")
    assert said.json == {"id": "acme", "weight": 5, "max_backlog": None, **NOTHING}
    assert tenants("doctor", "--deep", "--store", STORE).code == 0


def test_get_shows_the_use_of_each_limit_and_its_source(tenants: Shell) -> None:
    tenants.set(SWARMKEEPER_OPEN_SUBTASKS="12000", SWARMKEEPER_POLLS_KEY="7")
    assert tenants("tenant", "set", "acme", "--max-backlog", "10", "--store", STORE).code == 0

    said = tenants("tenant", "get", "acme", "--store", STORE, "--json").json

    limits = {
        (limit["limit"], limit["scope"]): (limit["used"], limit["most"], limit["set_by"]) for limit in said["limits"]
    }
    assert limits["open_tasks", "tenant"] == (0, 10, "tenant set")
    assert limits["open_subtasks", "tenant"] == (0, 12_000, "open_subtasks")
    assert limits["polls", "key"] == (None, 7, "polls_key")
    assert "stored_bytes" in tenants("tenant", "get", "acme", "--store", STORE).out
    assert tenants("tenant", "get", "nobody", "--store", STORE).code == 5


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("acme",), 2),
        (("acme", "--weight", "0"), 2),
        (("acme", "--weight", "1001"), 2),
        (("acme", "--max-backlog", "-1"), 2),
        (("acme", "--max-backlog", "1", "--unbounded"), 2),
        (("nobody", "--weight", "2"), 5),
    ],
)
def test_values_out_of_range_are_refused(tenants: Shell, words: tuple[str, ...], code: int) -> None:
    before = listed(tenants)

    assert tenants("tenant", "set", *words, "--store", STORE).code == code

    assert listed(tenants) == before


def test_a_store_in_memory_is_refused(shell: Shell) -> None:
    said = shell("tenant", "set", "acme", "--weight", "2", "--store", "sqlite://:memory:")

    assert said.code == 2
    assert "store_in_memory" in said.err


def test_a_running_server_applies_changed_limits(shell: Shell, tmp_path: Path) -> None:
    made = shell("key", "create", "--role", "admin", "--tenant", "acme", "--store", STORE, "--json").json
    server = Server("serve", "--store", STORE, "--port", "0", "--json", folder=tmp_path)
    try:
        url = server.first_line()["url"]
        assert shell("tenant", "set", "acme", "--max-backlog", "1", "--store", STORE).code == 0
        assert submit(url, made["key"]) == 201
        assert submit(url, made["key"]) == 429
        assert shell("tenant", "set", "acme", "--max-backlog", "2", "--store", STORE).code == 0
        gives_up_at = time.monotonic() + 10
        while (status := submit(url, made["key"])) != 201 and time.monotonic() < gives_up_at:
            time.sleep(0.1)
        assert status == 201
    finally:
        server.stop()
    assert listed(shell)["acme"]["open_tasks"] == 2


def submit(url: str, key: str) -> int:
    call = urllib.request.Request(
        f"{url}/tasks", b'{"title": "x"}', {"X-API-KEY": key, "Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(call, timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        refused = error
    assert json.load(refused)["code"] == "backlog_full"
    assert int(refused.headers["Retry-After"]) > 0
    return refused.code


def test_a_tenants_budget_is_set_shown_and_removed(tenants: Shell) -> None:
    limits = ("--budget-cost-micro-usd", "5000", "--budget-attempts", "3")
    assert tenants("tenant", "set", "acme", *limits, "--store", STORE).code == 0
    said = tenants("tenant", "get", "acme", "--store", STORE, "--json").json
    assert {row["limit"]: row["most"] for row in said["limits"] if row["limit"].startswith("budget")} == {
        "budget cost_micro_usd": 5000,
        "budget attempts": 3,
    }

    refused = tenants("tenant", "set", "acme", "--budget-tokens", "0", "--store", STORE)
    assert (refused.code, "/budget/tokens" in refused.err) == (2, True)
    removed = tenants("tenant", "set", "acme", "--no-budget", "--store", STORE, "--json").json
    assert removed["budget"]["limit"] == {}
    assert "budget" not in listed(tenants)["other"]


def test_limits_of_skills_scopes_and_the_whole_tenant_are_set_listed_and_removed(tenants: Shell) -> None:
    def limit(*words: str) -> int:
        return tenants("tenant", "limit", "acme", *words, "--store", STORE).code

    assert limit("skill:write", "--max", "2", "--per-minute", "30") == 0
    assert limit("scope:anthropic:claude-sonnet", "--tokens-per-minute", "40000") == 0
    assert limit("tenant", "--per-minute", "100") == 0
    assert limit("tenant", "--remove") == 0

    rows = tenants("tenant", "limits", "acme", "--store", STORE, "--json").out.splitlines()
    assert list(map(json.loads, rows)) == [
        {"key": "scope:anthropic:claude-sonnet", "max": None, "per_minute": None, "tokens_per_minute": 40_000},
        {"key": "skill:write", "max": 2, "per_minute": 30, "tokens_per_minute": None},
    ]
    assert tenants("tenant", "limits", "other", "--store", STORE, "--json").out == ""
    assert tenants("doctor", "--deep", "--store", STORE).code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["acme", "tenant"], 2),
        (["acme", "tenant", "--per-minute", "1", "--remove"], 2),
        (["acme", "tenant", "--per-minute", "0"], 2),
        (["acme", "model:x", "--per-minute", "1"], 2),
        (["acme", "scope:x", "--max", "1"], 2),
        (["nobody", "tenant", "--per-minute", "1"], 5),
    ],
)
def test_a_wrong_limit_is_refused(tenants: Shell, words: list[str], code: int) -> None:
    said = tenants("tenant", "limit", *words, "--store", STORE)

    assert (said.code, said.err != "") == (code, True)
