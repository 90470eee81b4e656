"""Who may call what: every route, by every role, on what is the tenant's own, another tenant's, and not there.

The rows come from the routes of the application, and the columns from its roles: a new one fails here until somebody
has said what it needs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.govern.access import ROLES, Action, Role
from swarmkeeper.http.app import ROUTES
from swarmkeeper.policy.files import shipped
from tests.http.conftest import Answered, Caller
from tests.http.signed_in import signed_in
from tests.http.town import Town, town
from tests.tokens.provider import AUDIENCE, SigningKey

Json = Any
TENANT, OTHER = "default", "acme"
BOT_OF = {Role.PLANNER: "Planner", Role.EXECUTOR: "Executor", Role.EVALUATOR: "Evaluator"}
WHY = {"reason": "r"}
LEASE = "{lease_id}"
ISSUER = "urn:provider"
OF_WORK = ("{task_id}", LEASE, "{approval_id}", "{bot_id}", "/leases", "/results")
# What a bot may do though its role does not say so: read itself, and read and tell of the task that it holds.
ITS_OWN = (
    *(f"GET /tasks/{{task_id}}{rest}" for rest in ("", ":explain", "/subtasks", "/subtasks/{subtask}", "/graph")),
    *("GET /tasks/{task_id}/timeline", "GET /tasks/{task_id}/verdicts"),
    *("GET /tasks/{task_id}/events", "GET /tasks/{task_id}/messages", "POST /tasks/{task_id}/messages"),
    *("GET /bots/{bot_id}", "GET /bots/{bot_id}/leases"),
)
# Who submits tasks reads the approvals that they wait for, one by one.
MORE = {("GET /approvals/{approval_id}", Role.CLIENT)}


@dataclass(frozen=True)
class Needs:
    """What a route needs: an action that the role must have, and a body that is accepted."""

    action: Action | None  # None: whoever has a key
    body: Json = None


NEEDS: dict[str, Needs] = {
    "POST /tasks": Needs(Action.TASK_SUBMIT, {"title": "t"}),
    "POST /tasks:batch": Needs(Action.TASK_SUBMIT, {"tasks": [{"title": "t"}]}),
    "POST /tasks:bulk": Needs(Action.TASK_CANCEL, {"action": "cancel", "ids": ["tsk_1"]}),
    "GET /operations": Needs(Action.TASK_READ),
    "GET /operations/{operation_id}": Needs(Action.TASK_READ),
    "GET /tasks": Needs(Action.TASK_READ),
    "GET /tasks:count": Needs(Action.TASK_READ),
    "GET /tasks:labels": Needs(Action.TASK_READ),
    "GET /costs": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}:explain": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/subtasks": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/subtasks/{subtask}": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/subtasks/{subtask}/output": Needs(Action.OUTPUT_READ),
    "GET /tasks/{task_id}/graph": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/timeline": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/verdicts": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/events": Needs(Action.TASK_READ),
    "GET /tasks/{task_id}/messages": Needs(Action.OUTPUT_READ),
    "GET /tasks/{task_id}/audit": Needs(Action.AUDIT_READ),
    "PATCH /tasks/{task_id}": Needs(Action.TASK_UPDATE, {"priority": 1}),
    "POST /tasks/{task_id}:cancel": Needs(Action.TASK_CANCEL),
    "POST /tasks/{task_id}:pause": Needs(Action.TASK_PAUSE),
    "POST /tasks/{task_id}:resume": Needs(Action.TASK_RESUME),
    "POST /tasks/{task_id}:retry": Needs(Action.TASK_RETRY),
    "POST /tasks/{task_id}:archive": Needs(Action.TASK_ARCHIVE),
    "POST /tasks/{task_id}:erase": Needs(Action.TASK_ERASE, WHY),
    "POST /tasks/{task_id}/messages": Needs(Action.TASK_MESSAGE, {"payload": {}}),
    "POST /tasks/{task_id}/results": Needs(
        Action.WORK_REPORT, {"bot_id": "$bot", "lease_id": "$lease", "status": "succeeded", "output": 1}
    ),
    "POST /results": Needs(Action.WORK_REPORT, {"bot_id": "$bot", "results": []}),
    "POST /leases": Needs(Action.WORK_LEASE, {"bot_id": "$bot", "wait_seconds": 0}),
    "POST /leases/{lease_id}:release": Needs(Action.WORK_RELEASE, {}),
    "POST /leases/{lease_id}:ask": Needs(Action.WORK_ASK, {"question": "which?"}),
    "POST /leases/{lease_id}/secrets:resolve": Needs(Action.SECRET_RESOLVE, {"names": ["n"]}),
    "POST /bots/register": Needs(Action.BOT_REGISTER, {"type": "$type", "version": "1.0", "name": "$name"}),
    "POST /bots/{bot_id}:heartbeat": Needs(Action.WORK_BEAT, {}),
    "GET /bots": Needs(Action.BOT_READ),
    "GET /bots/{bot_id}": Needs(Action.BOT_READ),
    "GET /bots/{bot_id}/leases": Needs(Action.BOT_READ),
    "GET /queues": Needs(Action.SKILL_READ),
    "GET /changes": Needs(Action.TASK_READ),
    "DELETE /bots/{bot_id}": Needs(Action.BOT_DELETE),
    "POST /bots/{bot_id}:drain": Needs(Action.BOT_DRAIN),
    "POST /bots/{bot_id}:enable": Needs(Action.BOT_ENABLE),
    "GET /skills": Needs(Action.SKILL_READ),
    "GET /approvals": Needs(Action.APPROVAL_READ),
    "GET /approvals/{approval_id}": Needs(Action.APPROVAL_READ),
    "POST /approvals/{approval_id}:approve": Needs(Action.APPROVAL_DECIDE, {"subject_hash": "0" * 64}),
    "POST /approvals/{approval_id}:reject": Needs(Action.APPROVAL_DECIDE, WHY),
    "POST /approvals/{approval_id}:answer": Needs(Action.APPROVAL_DECIDE, {"answer": 1}),
    "GET /keys": Needs(Action.KEY_READ),
    "POST /token": Needs(None, {}),
    "POST /session": Needs(Action.SESSION_OPEN, {}),
    "GET /session": Needs(None),
    "DELETE /session": Needs(None),
    "GET /sessions": Needs(None),
    "DELETE /sessions/{session_id}": Needs(None),
    "GET /limits": Needs(Action.SKILL_READ),
    "POST /keys": Needs(Action.KEY_MANAGE, {"role": "client"}),
    "POST /keys/{key_id}:rotate": Needs(Action.KEY_MANAGE),
    "POST /keys/{key_id}:revoke": Needs(Action.KEY_MANAGE),
    "GET /secrets": Needs(Action.SECRET_READ),
    "PUT /secrets/{name}": Needs(Action.SECRET_MANAGE, {"value": "a-long-enough-value"}),
    "POST /secrets:retire": Needs(Action.SECRET_MANAGE, {"name": "n"}),
    "DELETE /secrets/{name}": Needs(Action.SECRET_MANAGE),
    "GET /persons": Needs(Action.PERSON_READ),
    "POST /persons": Needs(Action.PERSON_MANAGE, {"name": "$name"}),
    "GET /persons/{person_id}": Needs(Action.PERSON_READ),
    "POST /persons/{person_id}:rename": Needs(Action.PERSON_MANAGE, {"name": "$name"}),
    "POST /persons/{person_id}:disable": Needs(Action.PERSON_MANAGE),
    "POST /persons/{person_id}:enable": Needs(Action.PERSON_MANAGE),
    "POST /tenant:erase": Needs(Action.TENANT_ERASE, {"tenant": TENANT, **WHY}),
    "GET /kills": Needs(Action.KILL_READ),
    "PUT /kills": Needs(Action.KILL_MANAGE, {"kind": "skill", "name": "s", **WHY}),
    "GET /kills/{kill_id}": Needs(Action.KILL_READ),
    "DELETE /kills/{kill_id}": Needs(Action.KILL_MANAGE),
    "GET /legal-holds": Needs(Action.LEGAL_HOLD_READ),
    "POST /legal-holds": Needs(Action.LEGAL_HOLD_MANAGE, WHY),
    "POST /legal-holds:release": Needs(Action.LEGAL_HOLD_MANAGE, WHY),
    "GET /events": Needs(Action.EVENT_READ),
    "GET /audit": Needs(Action.AUDIT_READ),
    "GET /audit/log": Needs(Action.AUDIT_READ),
    "GET /audit/checkpoint": Needs(Action.AUDIT_READ),
    "GET /audit/tile/{path}": Needs(Action.AUDIT_READ),
    "GET /audit/{index}/proof": Needs(Action.AUDIT_READ),
    "GET /audit/{index}/body": Needs(Action.AUDIT_READ),
    "POST /redaction:test": Needs(Action.REDACTION_TEST, {"text": "x"}),
}
LABELS = sorted(f"{route.method} {route.path_format}" for route in ROUTES if not route.open)


def test_every_route_says_what_it_needs() -> None:
    assert sorted(NEEDS) == LABELS


@dataclass
class World:
    """Two tenants, each with a task, a bot that holds a lease of it, an open approval, a key, a person and a kill."""

    town: Town
    provider: SigningKey | None = None  # signs the tokens of all callers; None: they have keys
    cookies: bool = False  # people have the cookies of sessions in place of keys
    # What calls that change nothing share, by route and tenant; and who makes it, by tenant.
    shared: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    makers: dict[str, Caller] = field(default_factory=dict)
    # Who calls, by role, where the call neither ends what its caller signs in with nor is about its leases.
    callers: dict[Role, tuple[Caller, str, str | None]] = field(default_factory=dict)

    def caller(self, role: str, tenant: str, bot: str | None = None) -> Caller:
        swarm = self.town.swarm
        if self.provider is None:
            caller = Caller(swarm.app, self.town.run(swarm.make_key(role, tenant=tenant, bot=bot)))
            return self.town.run(signed_in(caller)) if self.cookies and bot is None else caller
        subject = bot or f"{role}-{swarm.entropy.seed().hex()[:12]}"
        now = self.town.clock.now() // 1_000_000
        claims = {"iss": ISSUER, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 86_400}
        token = self.provider.token({**claims, "role": role, "tenant": tenant, "bot": bot or ""})
        return Caller(swarm.app, headers={"authorization": f"Bearer {token}"})

    def me(self, role: Role, label: str) -> tuple[Caller, str, str | None]:
        """Return a caller with this role, a name for what it makes, and of a bot its own name and its id."""
        of_itself = "session" in label or "token" in label
        if of_itself or (role is Role.EXECUTOR and any(each in label for each in OF_WORK)):
            return self._me(role)
        if role not in self.callers:
            self.callers[role] = self._me(role)
        caller, name, bot_id = self.callers[role]
        return caller, name if bot_id else self._name(), bot_id

    def _me(self, role: Role) -> tuple[Caller, str, str | None]:
        name = self._name()
        caller = self.caller(role, TENANT, name if role in BOT_OF else None)
        if role not in BOT_OF:
            return caller, name, None
        body = {"type": BOT_OF[role], "version": "1.0", "capacity": 64}
        return caller, name, ok(self.town.run(caller.post("/bots/register", body)))["id"]

    def _name(self) -> str:
        return f"me-{self.town.swarm.entropy.seed().hex()[:12]}"

    def made(
        self, label: str, tenant: str, worker: tuple[Caller, str] | None = None, *, changes: bool = False
    ) -> dict[str, str]:
        """Return the ids of what a route names, in a tenant; the worker, or a new one, holds the lease.

        Args:
            changes: whether the calls may change it, so that it is not for others.
        """
        if worker is not None or changes:
            return self._made(label, tenant, worker)
        if (label, tenant) not in self.shared:
            self.shared[label, tenant] = self._made(label, tenant, None)
        return self.shared[label, tenant]

    def _made(self, label: str, tenant: str, worker: tuple[Caller, str] | None) -> dict[str, str]:
        if tenant not in self.makers:
            self.makers[tenant] = self.caller("admin", tenant)
        run, admin = self.town.run, self.makers[tenant]
        name = f"bot-{self.town.swarm.entropy.seed().hex()[:12]}"
        found: dict[str, str] = {}
        if "{key_id}" in label:
            found["{key_id}"] = ok(run(admin.post("/keys", {"role": "client"})))["id"]
        if "{person_id}" in label:
            found["{person_id}"] = ok(run(admin.post("/persons", {"name": name})))["id"]
        if "{session_id}" in label:
            page = run(signed_in(Caller(self.town.swarm.app, run(self.town.swarm.make_key("admin", tenant=tenant)))))
            found["{session_id}"] = ok(run(page.get("/session")))["session_id"]
        if "{kill_id}" in label:
            kill = {"kind": "skill", "name": f"no-{name}", **WHY}
            found["{kill_id}"] = ok(run(admin.call("PUT", "/kills", kill)))["id"]
        if "{operation_id}" in label:
            begun = run(admin.post("/tasks:bulk", {"action": "cancel", "ids": ["tsk_1"]}))
            assert begun.status == 202, begun.json
            found["{operation_id}"] = begun.json["id"]
        if not any(each in label for each in OF_WORK):
            return found
        about = {"type": "Executor", "version": "1.0", "capacity": 64, "skills": [name]}
        if worker is None:
            call = self.caller("bot:executor", tenant, name)
            worker = call, ""
        worker = worker[0], ok(run(worker[0].post("/bots/register", about)))["id"]
        work = {"key": "a", "description": "d", "required_skills": [name]}
        task = ok(run(admin.post("/tasks", {"title": "t", "subtasks": [work, {**work, "key": "q"}]})))["id"]
        asked = {"bot_id": worker[1], "max": 2, "wait_seconds": 0}
        leases = {each["subtask"]["key"]: each for each in ok(run(worker[0].post("/leases", asked)))["leases"]}
        found |= {"{task_id}": task, "{subtask}": "a", LEASE: leases["a"]["lease_id"], "{bot_id}": worker[1]}
        if "{approval_id}" in label:
            question = {"question": "which?"}
            approval = ok(run(worker[0].post(f"/leases/{leases['q']['lease_id']}:ask", question)))["approval_id"]
            found["{approval_id}"] = approval
        return found


def ok(answer: Answered) -> Json:
    assert answer.status in (200, 201), answer.json
    return answer.json


def identity_file(folder: Path, key: SigningKey) -> str:
    """Write which tokens are trusted: each role by the claim of its name, and a bot by the claim `bot`."""
    (folder / "keys.json").write_text(json.dumps({"keys": [key.jwk()]}))
    written = [f'[[issuer]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = ["ES256"]']
    written.append('jwks_file = "keys.json"')
    tenant = f'tenant = {{claim = "tenant", allowed = ["{TENANT}", "{OTHER}"]}}'
    for role in Role:
        rule = ["[[issuer.rule]]", f'when = {{role = "{role}"}}', tenant, f'role = "{role}"']
        written += [*rule, *(['bot_name = {claim = "bot", pattern = "[a-z0-9-]+"}'] if role in BOT_OF else [])]
    made = folder / "identity.toml"
    made.write_text("\n".join(written))
    return str(made)


@pytest.fixture(scope="module", params=["keys", "cookies", "tokens of a provider, and policies that permit all"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    more: dict[str, Any] = {}
    key = None
    if request.param not in ("keys", "cookies"):
        key = SigningKey.made("ES256", "first")
        more = {
            "identity": identity_file(tmp_path_factory.mktemp("identity"), key),
            "policies": str(shipped("all.cedar")),
        }
    with town(four_eyes=False, pepper="a pepper that is not in the store", **more) as place:
        for tenant in (TENANT, OTHER):
            place.run(place.swarm.make_key("admin", tenant=tenant))  # its first key creates it
        yield World(place, key, cookies=request.param == "cookies")


def absent(ids: dict[str, str]) -> dict[str, str]:
    """Return ids of the same shape that nothing has."""
    return {
        name: id_ if name == "{subtask}" else f"{id_[:-1]}{'0' if id_[-1] != '0' else '1'}" for name, id_ in ids.items()
    }


@pytest.mark.parametrize("label", LABELS)
def test_a_role_may_do_what_the_table_says_and_only_in_its_own_tenant(world: World, label: str) -> None:
    """One test for all roles: a test of its own for each call would take twice as long as the call."""
    wrong = []
    for role in Role:
        try:
            may_do_what_the_table_says(world, label, role)
        except Exception as error:
            error.add_note(f"the role: {role}")
            wrong.append(error)
    if wrong:
        raise ExceptionGroup(f"{len(wrong)} roles may do something else", wrong)


def may_do_what_the_table_says(world: World, label: str, role: Role) -> None:
    needs = NEEDS[label]
    run = world.town.run
    caller, name, bot_id = world.me(role, label)
    mine = (caller, bot_id) if role is Role.EXECUTOR and bot_id is not None else None
    allowed = (
        needs.action is None
        or needs.action in ROLES[role]
        or (label, role) in MORE
        or (mine is not None and label in ITS_OWN)
    )
    if world.provider is not None and label == "POST /token":
        allowed = False  # such a token is exchanged where it comes from
    own = world.made(label, TENANT, mine, changes=allowed and not label.startswith("GET "))
    other = world.made(label, OTHER)
    body_type = BOT_OF.get(role, "Executor")

    def asked(ids: dict[str, str]) -> Answered:
        path = label.partition(" ")[2]
        for placeholder, value in {**ids, "{name}": "n", "{path}": "0/000", "{index}": "0"}.items():
            path = path.replace(placeholder, value)
        known = {"$bot": bot_id or ids.get("{bot_id}"), "$lease": ids.get(LEASE), "$type": body_type, "$name": name}
        filled = needs.body
        if isinstance(filled, dict):
            filled = {
                key: known.get(value, value) if isinstance(value, str) else value for key, value in filled.items()
            }
        return run(caller.call(label.partition(" ")[0], path, filled))

    # Where the path names nothing that is of a tenant, all three would be one call.
    missing, foreign = (asked(absent(own)), asked(other)) if own else (None, None)
    present = asked(own)

    # A planner and an evaluator have no lease here: what they name is another bot's.
    of_another = (
        role in BOT_OF and mine is None and any(each in label for each in (LEASE, "{bot_id}", "{task_id}/results"))
    )
    if allowed and not of_another:
        assert present.status not in (401, 403), present.json
    elif of_another:
        assert present.status in (403, 404, 409) or needs.action is Action.SECRET_RESOLVE, present.json
    else:  # for a bot, a task that it does not hold is like none
        assert present.status == 403 or (role in BOT_OF and present.status == 404), present.json
    if missing and foreign and any(placeholder in label for placeholder in own):
        assert foreign.status >= 400, foreign.json
        assert (foreign.status, told(foreign)) == (missing.status, told(missing))


def told(answer: Answered) -> Json:
    """Return what the answer says, without what differs from call to call."""
    return {name: value for name, value in answer.json.items() if name not in ("request_id", "instance")}
