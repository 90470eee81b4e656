"""P8: every waiting thing can say why it waits. Each reason is brought about over plain HTTP, and what its fix says is
typed into the command line as it stands; then the reason is gone.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper.core.rules.explain import WaitingReason
from tests.acceptance.process import Process
from tests.acceptance.server import BIN, Caller, Server, _environment
from tests.cli.shell import Said, Shell

SECONDS_MAX = 20.0
BOTS = {
    "planner": "from swarmkeeper import Plan, PlannerBot, SubTask\n"
    "class Bot(PlannerBot):\n"
    "    def plan(self, task):\n"
    "        return Plan([SubTask(key='a', description='do it')])\n",
    "executor": "from swarmkeeper import Done, ExecutorBot\n"
    "class Bot(ExecutorBot):\n"
    "    def execute(self, subtask):\n"
    "        return Done({})\n",
    "evaluator": "from swarmkeeper import Accept, EvaluatorBot\n"
    "class Bot(EvaluatorBot):\n"
    "    def review(self, candidate):\n"
    "        return Accept()\n",
}


POLICIES = """
@id("all")
permit (principal, action, resource);
@id("vault")
@message("what is for the vault needs the bot keeper")
forbid (principal, action == Action::"work.claim", resource)
when { resource.labels.contains("vault") && principal.bot != "keeper" };
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "vault.cedar").write_text(POLICIES)
    with Server(folder / "store.db", settings={"policies": folder / "vault.cedar"}) as running:
        yield running


class Tenant:
    """A tenant of its own for each test, its administrator's key, and their shell on the server's machine."""

    def __init__(self, server: Server, shell: Shell, name: str) -> None:
        self.server, self.shell, self.name = server, shell, name
        self.commands: list[Process] = []
        shell.set(SWARMKEEPER_URL=server.url, SWARMKEEPER_STORE=server.store_url)
        self.key = self.new_key("admin")
        shell.set(SWARMKEEPER_API_KEY=self.key)
        self.call = Caller(server, self.key)
        for kind, text in BOTS.items():
            (shell.folder / f"{kind}.py").write_text(text)

    def new_key(self, role: str, *words: str) -> str:
        made = self.shell("key", "create", "--role", role, "--tenant", self.name, "--json", *words)
        assert made.code == 0, made.err
        return str(made.json["key"])

    def submit(self, *subtasks: dict[str, Any], **more: Any) -> str:
        given = {"subtasks": [{"description": "do it", **one} for one in subtasks]} if subtasks else {}
        task = self.call.post("/tasks", {"title": "t", "evaluation": "none", **given, **more})
        return str(task["id"])

    def bot(self, name: str, type_: str = "Executor", *, call: Caller | None = None, **more: Any) -> str:
        body = {"type": type_, "version": "1", "name": name, **more}
        return str((call or self.call).post("/bots/register", body)["id"])

    def lease(self, bot: str, call: Caller | None = None, **more: Any) -> Any:
        (lease,) = (call or self.call).post("/leases", {"bot_id": bot, "wait_seconds": 5, **more})["leases"]
        return lease

    def report(self, bot: str, lease: Any, call: Caller | None = None, **content: Any) -> None:
        body = {"bot_id": bot, "lease_id": lease["lease_id"], "status": "succeeded", **content}
        (call or self.call).post(f"/tasks/{lease['task_id']}/results", body)

    def waits(self, task: str, key: str, reason: WaitingReason) -> Any:
        """What is said of an item, which must be that it waits for this reason."""
        told = self.call.get(f"/tasks/{task}:explain")
        (found,) = [one for one in told["waiting"] if one["key"] == key]
        assert found["reason"] == reason, told
        assert told["reasons"][reason] >= 1
        assert reason in told["summary"]
        assert found["detail"]
        return found

    def gone(self, task: str, key: str, reason: WaitingReason) -> None:
        until = time.monotonic() + SECONDS_MAX
        while True:
            told = self.call.get(f"/tasks/{task}:explain")
            if reason not in [one["reason"] for one in told["waiting"] if one["key"] == key]:
                return
            assert time.monotonic() < until, told
            time.sleep(0.1)

    def type(self, fix: str, *, file: str = "executor", key: str | None = None) -> Said | None:
        """Carry out what a fix says, as it stands; FILE is the bot's own. A bot runs until the test ends."""
        program, *words = shlex.split(fix)
        assert program == "swarmkeeper"
        words = [f"{file}.py" if word == "FILE" else word for word in words]
        if words[:2] == ["bot", "run"]:
            own = {"SWARMKEEPER_URL": self.server.url, "SWARMKEEPER_API_KEY": key or self.key}
            environment = _environment() | own
            command = [sys.executable, str(BIN / "swarmkeeper"), *words]
            folder = self.shell.folder
            self.commands.append(Process(command, log=folder / "bots.log", environment=environment, folder=folder))
            return None
        said = self.shell(*words)
        assert said.code == 0, said.err
        return said


@pytest.fixture
def tenant(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Iterator[Tenant]:
    name = re.sub(r"\W", "-", str(request.node.name))[-60:]
    made = Tenant(server, Shell(tmp_path, monkeypatch, capsys), name)
    yield made
    for command in made.commands:
        command.stop()


# ---- who is missing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "key"), [("planner", "plan"), ("executor", "a"), ("evaluator", "review/1/1")])
def test_where_no_bot_of_the_kind_is_registered_one_is_run(tenant: Tenant, kind: str, key: str) -> None:
    task = tenant.submit(evaluation="final")
    for earlier in BOTS:
        if earlier == kind:
            break
        tenant.type("swarmkeeper bot run FILE", file=earlier)
    wait_for(lambda: key in [one["key"] for one in tenant.call.get(f"/tasks/{task}:explain")["waiting"]])

    found = tenant.waits(task, key, WaitingReason.NO_BOT_REGISTERED)
    assert found["detail"] == f"no {kind} is registered"
    assert found["until"] is not None
    tenant.type(found["fix"], file=kind)

    tenant.gone(task, key, WaitingReason.NO_BOT_REGISTERED)


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_where_no_bot_can_do_it_one_with_the_skills_is_run(tenant: Tenant) -> None:
    tenant.bot("reader", skills=["read"])
    task = tenant.submit({"key": "a", "required_skills": ["read", "count words"]})

    found = tenant.waits(task, "a", WaitingReason.NO_CAPABLE_BOT)
    assert found["detail"] == "no executor has skill count words"
    assert found["fix"] == "swarmkeeper bot run FILE --skill 'count words' --skill read"
    tenant.type(found["fix"])

    tenant.gone(task, "a", WaitingReason.NO_CAPABLE_BOT)
    wait_for(lambda: tenant.call.get(f"/tasks/{task}")["outcome"] == "accepted")


def test_where_the_bot_that_it_is_for_is_away_that_one_is_run(tenant: Tenant) -> None:
    tenant.bot("reader", skills=["read"])
    task = tenant.submit({"key": "a", "required_skills": ["read"], "assign_to": "counter"})

    found = tenant.waits(task, "a", WaitingReason.ASSIGNED_BOT_AWAY)
    assert found["fix"] == "swarmkeeper bot run FILE --name counter --skill read"
    tenant.type(found["fix"])

    tenant.gone(task, "a", WaitingReason.ASSIGNED_BOT_AWAY)


def test_where_every_evaluator_shares_an_owner_with_a_maker_one_of_another_owner_is_run(tenant: Tenant) -> None:
    own = {role: tenant.new_key(f"bot:{role}", "--owner", "us") for role in ("executor", "evaluator")}
    maker, judge = (Caller(tenant.server, key) for key in own.values())
    made_by = tenant.bot("maker", call=maker)
    tenant.bot("judge", "Evaluator", call=judge)
    task = tenant.submit({"key": "a"}, evaluation="final")
    tenant.report(made_by, tenant.lease(made_by, maker), maker, output={})

    found = tenant.waits(task, "review/1/1", WaitingReason.NO_INDEPENDENT_EVALUATOR)
    assert found["fix"].startswith("swarmkeeper key create --role bot:evaluator --owner someone-else")
    made = tenant.type(found["fix"])
    assert made is not None
    tenant.type("swarmkeeper bot run FILE", file="evaluator", key=made.out.strip())

    tenant.gone(task, "review/1/1", WaitingReason.NO_INDEPENDENT_EVALUATOR)
    wait_for(lambda: tenant.call.get(f"/tasks/{task}")["outcome"] == "accepted")


def test_where_all_bots_are_busy_another_is_run(tenant: Tenant) -> None:
    bot = tenant.bot("counter", skills=["count"], capacity=1)
    task = tenant.submit(
        {"key": "a", "required_skills": ["count"]}, {"key": "b", "required_skills": ["count"], "priority": 1}
    )
    assert tenant.lease(bot)["subtask"]["key"] == "a"

    found = tenant.waits(task, "b", WaitingReason.BOTS_AT_CAPACITY)
    assert found["fix"] == "swarmkeeper bot run FILE --name counter-2 --skill count"
    tenant.type(found["fix"])

    tenant.gone(task, "b", WaitingReason.BOTS_AT_CAPACITY)


# A server by which a bot is away, or asks for nothing, after a second and a half in place of two minutes.
HASTY = """
import dataclasses, sys
from swarmkeeper.cli.main import main
from swarmkeeper.settings import Settings
limits = Settings.limits
Settings.limits = lambda settings: dataclasses.replace(limits(settings), away=1_500_000)
sys.argv[0] = "swarmkeeper"
main()
"""


def test_where_the_only_bot_lives_but_asks_for_nothing_another_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hasty.py").write_text(HASTY)
    with Server(tmp_path / "store.db", program=[sys.executable, str(tmp_path / "hasty.py"), "serve"]) as hasty:
        tenant = Tenant(hasty, Shell(tmp_path, monkeypatch, capsys), "hasty")
        bot = tenant.bot("counter", skills=["count"])
        task = tenant.submit({"key": "a", "required_skills": ["count"]})

        def beats_until_it_is_found_out() -> bool:
            tenant.call.post(f"/bots/{bot}:heartbeat", {})
            return bool(tenant.call.get(f"/tasks/{task}:explain")["reasons"] == {"bot_not_asking": 1})

        wait_for(beats_until_it_is_found_out)
        found = tenant.waits(task, "a", WaitingReason.BOT_NOT_ASKING)
        shown = tenant.call.get(f"/bots/{bot}")
        assert found["detail"].startswith("counter is alive, but has not asked for work since ")
        assert shown["last_asked"][11:19] in found["detail"]
        assert (shown["status"], shown["asking"]) == ("active", False)
        assert "active, not asking since " in tenant.shell("bot", "list").out
        assert [(one["bots"], one["asking"]) for one in tenant.call.get("/skills")["items"]] == [(1, 0)]
        assert found["fix"] == "swarmkeeper bot run FILE --name counter-2 --skill count"
        tenant.type(found["fix"])

        try:
            tenant.gone(task, "a", WaitingReason.BOT_NOT_ASKING)
        finally:
            for command in tenant.commands:
                command.stop()


def test_where_the_only_bot_is_drained_it_is_enabled(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    tenant.call.post(f"/bots/{bot}:drain", {})
    task = tenant.submit({"key": "a"})

    found = tenant.waits(task, "a", WaitingReason.DRAINING)
    assert found["fix"] == f"swarmkeeper bot enable {bot}"
    tenant.type(found["fix"])

    tenant.gone(task, "a", WaitingReason.DRAINING)
    assert tenant.lease(bot)["subtask"]["key"] == "a"


# ---- what a person holds -------------------------------------------------------------------------------------------


def test_what_is_paused_is_resumed(tenant: Tenant) -> None:
    task = tenant.submit({"key": "a"})
    tenant.call.post(f"/tasks/{task}:pause", {"reason": "lunch"})

    found = tenant.waits(task, "a", WaitingReason.PAUSED)
    assert found["fix"] == f"swarmkeeper task resume {task}"
    tenant.type(found["fix"])

    tenant.gone(task, "a", WaitingReason.PAUSED)


@pytest.mark.parametrize("kind", ["plan", "final"])
def test_what_needs_an_approval_shows_what_is_to_be_approved(tenant: Tenant, kind: str) -> None:
    task = tenant.submit({"key": "a"}, approval=kind)
    if kind == "final":
        bot = tenant.bot("counter")
        tenant.report(bot, tenant.lease(bot), output={})

    # Once all is done no item is left: the task itself waits for the last word.
    key = "a" if kind == "plan" else ""
    found = tenant.waits(task, key, WaitingReason.APPROVAL)
    assert (found["work_id"] is None, found["kind"]) == (kind == "final", "execute" if kind == "plan" else "task")
    tenant.type(decision_in(tenant.type(found["fix"])))

    tenant.gone(task, key, WaitingReason.APPROVAL)


def decision_in(shown: Said | None) -> str:
    """The first way to decide that `approval show` tells."""
    assert shown is not None
    found = re.search(r"^ +decide +(.+)$", shown.out, re.MULTILINE)
    assert found is not None, shown.out
    return found[1]


def test_what_a_bot_asked_is_shown_and_answered(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a"})
    lease = tenant.lease(bot)
    tenant.call.post(f"/leases/{lease['lease_id']}:ask", {"question": "Which language?"})

    found = tenant.waits(task, "a", WaitingReason.QUESTION)
    assert found["detail"] == "counter asked a person: Which language?"
    assert found["until"] is not None
    assert found["fix"].startswith("swarmkeeper approval show apr_")
    tenant.type(decision_in(tenant.type(found["fix"])).replace("TEXT", "English"))

    tenant.gone(task, "a", WaitingReason.QUESTION)


def test_where_a_budget_is_used_up_people_raise_it(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a", "budget": {"attempts": 1}})
    tenant.report(bot, tenant.lease(bot), status="failed", error={"class": "retryable", "message": "no"})
    tenant.gone(task, "a", WaitingReason.BACKOFF)
    assert tenant.call.post("/leases", {"bot_id": bot, "wait_seconds": 0})["leases"] == []

    found = tenant.waits(task, "a", WaitingReason.BUDGET)
    assert found["detail"] == "Subtask a has used up its budget. Raise attempts from 1 to 2?"
    tenant.type(decision_in(tenant.type(found["fix"])))

    tenant.gone(task, "a", WaitingReason.BUDGET)
    assert tenant.lease(bot)["attempt"] == 2


# ---- what only waiting helps ---------------------------------------------------------------------------------------


def test_what_has_a_key_of_which_one_runs_waits_for_its_turn(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    keys = {"concurrency": [{"key": "repo:main", "max": 1}]}
    task = tenant.submit({"key": "a", **keys}, {"key": "b", **keys})
    lease = tenant.lease(bot)

    found = tenant.waits(task, "b", WaitingReason.CONCURRENCY)
    assert found["detail"] == "it waits for its turn with key repo:main: 1 with it runs, 1 wait"
    assert found["fix"] is None
    tenant.report(bot, lease, output={})

    tenant.gone(task, "b", WaitingReason.CONCURRENCY)


def test_what_a_provider_limits_waits_until_it_has_cooled(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a"}, {"key": "b"})
    limited = {"class": "rate_limited", "message": "429", "retry_after_seconds": 4, "scope": "some-model"}
    tenant.report(bot, tenant.lease(bot), status="failed", error=limited)
    waiting = tenant.call.post("/leases", {"bot_id": bot, "wait_seconds": 0})
    assert (waiting["leases"], waiting["reason"]) == ([], "rate_limited")

    found = tenant.waits(task, "b", WaitingReason.RATE_LIMITED)
    assert "some-model is rate limited until" in found["detail"]
    assert found["fix"] is None

    tenant.gone(task, "b", WaitingReason.RATE_LIMITED)
    assert tenant.lease(bot)["task_id"] == task


def test_what_depends_on_another_waits_for_that(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a"}, {"key": "b", "depends_on": ["a"]})

    found = tenant.waits(task, "b", WaitingReason.DEPENDENCY)
    assert (found["detail"], found["fix"]) == ("it waits for a", None)
    tenant.report(bot, tenant.lease(bot), output={})

    tenant.gone(task, "b", WaitingReason.DEPENDENCY)


def test_what_is_done_waits_for_its_review(tenant: Tenant) -> None:
    bot, judge = tenant.bot("counter"), tenant.bot("judge", "Evaluator")
    task = tenant.submit({"key": "a"}, evaluation="each")
    tenant.report(bot, tenant.lease(bot), output={})

    assert tenant.waits(task, "a", WaitingReason.DEPENDENCY)["detail"].endswith("its review review-of/a/1")
    tenant.report(judge, tenant.lease(judge), verdict={"decision": "accept"})

    tenant.gone(task, "a", WaitingReason.DEPENDENCY)


def test_what_failed_is_tried_again_after_a_while(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a"})
    lease = tenant.lease(bot)
    tenant.call.post(f"/leases/{lease['lease_id']}:release", {"reason": "later", "delay_seconds": 2})

    found = tenant.waits(task, "a", WaitingReason.BACKOFF)
    assert (found["fix"], found["until"] is not None) == (None, True)
    assert found["detail"].endswith("after an attempt that ended as deferred by counter: later")

    tenant.gone(task, "a", WaitingReason.BACKOFF)


def test_what_a_bot_could_take_waits_until_it_asks_and_then_is_leased(tenant: Tenant) -> None:
    bot = tenant.bot("counter")
    task = tenant.submit({"key": "a"})

    queued = tenant.waits(task, "a", WaitingReason.QUEUED)
    assert (queued["detail"], queued["fix"]) == ("counter can take it when it next asks for work", None)
    lease = tenant.lease(bot)

    leased = tenant.waits(task, "a", WaitingReason.LEASED)
    assert (leased["bot"], leased["attempt"], leased["fix"]) == ("counter", 1, None)
    assert leased["until"] == lease["ends_at"]
    tenant.report(bot, lease, output={})

    told = tenant.call.get(f"/tasks/{task}:explain")
    assert (told["waiting"], told["waiting_total"], told["reasons"]) == ([], 0, {})
    assert told["summary"] == "The task has ended; nothing waits."


def test_what_waits_while_the_store_takes_nothing_says_so(tenant: Tenant) -> None:
    tenant.bot("counter")
    task = tenant.submit({"key": "a"})
    another = apsw.Connection(str(tenant.server.store))
    another.execute("BEGIN IMMEDIATE")
    try:
        assert tenant.call("POST", f"/tasks/{task}:pause", {}).status_code == 503

        found = tenant.waits(task, "a", WaitingReason.OVERLOADED)
        assert found["fix"] is None
    finally:
        another.execute("ROLLBACK")
        another.close()

    tenant.gone(task, "a", WaitingReason.OVERLOADED)


# ---- what a person or a policy has stopped -------------------------------------------------------------------------


def test_what_is_killed_waits_until_the_kill_is_lifted(tenant: Tenant) -> None:
    tenant.bot("counter")
    task = tenant.submit({"key": "a"})
    assert tenant.shell("kill", "bot", "counter", "--reason", "it loops").code == 0

    found = tenant.waits(task, "a", WaitingReason.KILLED)
    assert found["detail"].endswith(": it loops")
    tenant.type(found["fix"])

    tenant.gone(task, "a", WaitingReason.KILLED)


def test_what_a_policy_keeps_from_the_bots_that_there_are_waits_for_another(tenant: Tenant) -> None:
    tenant.bot("counter")
    task = tenant.submit({"key": "a"}, labels={"vault": "1"})

    found = tenant.waits(task, "a", WaitingReason.POLICY)
    assert found["fix"] is None
    assert found["detail"].endswith(
        "vault: what is for the vault needs the bot keeper; its labels: vault=1 (of its task)"
    )
    tenant.bot("keeper")

    tenant.gone(task, "a", WaitingReason.POLICY)


# ---- beside the reasons --------------------------------------------------------------------------------------------


def test_a_task_that_is_over_says_how_to_go_on(tenant: Tenant) -> None:
    task = tenant.submit({"key": "a"})
    tenant.call.post(f"/tasks/{task}:cancel", {"reason": "enough"})

    told = tenant.call.get(f"/tasks/{task}:explain")

    assert told["status"] == "FAILED"
    assert told["waiting"] == []
    assert told["summary"] == (f"The task has ended: enough [cancelled]; `swarmkeeper task retry {task}` reopens it.")


def test_whoever_may_read_a_task_may_ask_why_it_waits_and_nobody_else(tenant: Tenant) -> None:
    task = tenant.submit({"key": "a"})

    for role, status in (("client", 404), ("auditor", 200), ("approver", 200), ("bot:executor", 404)):
        caller = Caller(tenant.server, tenant.new_key(role))
        assert caller("GET", f"/tasks/{task}:explain").status_code == status, role
    assert tenant.call("GET", "/tasks/tsk_0000:explain").status_code == 404
    foreign = tenant.shell("key", "create", "--role", "admin", "--tenant", "another", "--json").json["key"]
    assert Caller(tenant.server, foreign)("GET", f"/tasks/{task}:explain").status_code == 404


def test_every_reason_there_is_is_brought_about_here() -> None:
    own = Path(__file__).read_text(encoding="utf-8")

    assert set(re.findall(r"waits\(task, .*, WaitingReason\.(\w+)\)", own)) == {reason.name for reason in WaitingReason}
