"""No secret that redaction knows reaches the evidence, wherever it was sent and however it was dressed up: a server is
told twenty of them in every way that there is, and all that it kept and said is searched."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.govern.redaction.redactor import Redactor
from tests.acceptance.evidence import WORK, asked, columns_of
from tests.acceptance.planted import Search, Secret, forms, made
from tests.acceptance.process import ran
from tests.acceptance.server import BIN, Server, _environment

pytestmark = pytest.mark.timeout(300)  # a server and ten commands, on whatever machine
SECRETS = made()
SEARCH = Search(SECRETS)
THREADS = 4

Json = Any


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.rule)
def test_what_is_planted_is_known_to_a_rule_and_found_by_the_search(secret: Secret) -> None:
    redactor = Redactor.default()

    assert [field.rule for field in redactor.redact({"a": secret.text}).fields] == [secret.rule]
    for form, text in forms(secret.text).items():
        assert SEARCH.found(f"a title: {text}, and more".encode()) == {secret.rule}, form
        assert SEARCH.found(json.dumps({"title": text}).encode()) == {secret.rule}, form


class Planter:
    """One key's calls. All that is said in refusals and headers is kept."""

    def __init__(self, server: Server, key: str, said: list[str]) -> None:
        self._url, self._said = server.url, said
        # Plain HTTP needs none of the certificates, which take longer to read than a call does to answer.
        self._http = httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False)

    def __call__(
        self, method: str, path: str, body: Json = None, *, raw: bytes | None = None, **headers: str
    ) -> httpx2.Response:
        content = json.dumps(body).encode() if raw is None and body is not None else raw
        given = {b"Content-Type": b"application/json"} if content is not None else {}
        given |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        answer = self._http.request(method, self._url + path, content=content, headers=given)
        assert answer.status_code < 500, (method, answer.status_code, answer.text)
        shown = {name: value for name, value in answer.headers.items() if name != "location"}
        self._said.append(json.dumps(shown, ensure_ascii=False))
        if answer.status_code >= 400:
            self._said.append(answer.text)
        return answer

    def made(self, path: str, body: Json, **headers: str) -> Json:
        answer = self("POST", path, body, raw=None, **headers)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()


class Swarm:
    """A planner, two executors and an evaluator, which say nothing but what they are given to say."""

    def __init__(self, server: Server, admin: Planter, number: int, said: list[str]) -> None:
        self.bots: dict[str, tuple[Planter, str]] = {}
        self.said, self.server = said, server
        skills = [f"v{n}" for n in range(number, len(SECRETS), THREADS)]
        for type_ in ("Planner", "Executor", "Evaluator"):
            name = f"{type_}-{number}"
            key = admin.made("/keys", {"role": f"bot:{type_.lower()}", "bot": name, "owner": name})["key"]
            bot = Planter(server, key, said)
            sent = {"type": type_, "version": "1", "skills": skills, "capacity": 64}
            self.bots[type_] = bot, bot.made("/bots/register", sent)["id"]

    def lease(self, type_: str, skill: str, **more: Json) -> Json:
        bot, id_ = self.bots[type_]
        asked = {"bot_id": id_, "wait_seconds": 10, "skills": [skill], **more}
        (lease,) = bot.made("/leases", asked)["leases"]
        return lease

    def report(self, type_: str, lease: Json, status: str = "succeeded", **content: Json) -> httpx2.Response:
        bot, id_ = self.bots[type_]
        body = {"bot_id": id_, "lease_id": lease["lease_id"], "status": status, **content}
        return bot("POST", f"/tasks/{lease['task_id']}/results", body)


class Voice:
    """Says one secret in one form after the other, so that over all secrets each place hears each form."""

    def __init__(self, secret: Secret, first: int) -> None:
        self._forms = list(forms(secret.text).values())
        self._next = first

    def __call__(self, most: int = 8_000) -> str:
        """The next that is not too long: a piece of a secret is none that redaction could know."""
        while True:
            text = self._forms[self._next % len(self._forms)]
            self._next += 1
            if len(text) <= most:
                return text

    def line(self, most: int) -> str:
        """The next that a title or a name may be: with what cannot be seen in it, it is refused."""
        while not is_line(text := self(most)):
            pass
        return text

    def name(self) -> str:
        return self.line(128)

    def visible(self) -> str:
        """The next that can be an Idempotency-Key."""
        while not (text := self(255)).isascii():
            pass
        return text


def in_headers(say: Voice) -> dict[str, str]:
    names = ("X_Request_Id", "traceparent", "User_Agent", "X_Forwarded_For", "Referer", "Cookie")
    return {name: say(255) for name in names}


def tell(client: Planter, admin: Planter, swarm: Swarm, number: int, say: Voice) -> None:
    """One task's whole life, with the secret in whatever can be said on the way."""
    skill = f"v{number}"
    sent = {
        "title": say.line(500),
        "description": say(),
        "input": {say(): say(), "deep": [[say()]]},
        "labels": {say.name(): say.name()},
        "metadata": {say(): {"a": say()}},
        "acceptance_criteria": [say()],
        "planner_skills": [skill],
        "evaluator_skills": [skill],
    }
    task = client.made("/tasks", sent, **in_headers(say), Idempotency_Key=say.visible())["id"]

    does = {"key": "does", "description": say(), "required_skills": [skill], "input": {say(): say()}}
    fails = {"key": "fails", "description": say(), "required_skills": [skill], "on_failure": "continue"}
    denied = fails | {"key": "denied", "description": say()}
    lease = swarm.lease("Planner", skill, claim_id=say.name())
    swarm.report("Planner", lease, plan={"subtasks": [{"key": say(), "description": ""}, {"depends_on": [say()]}]})
    assert swarm.report("Planner", lease, plan={"subtasks": [does, fails, denied]}).is_success

    leases = {}
    for _ in range(3):
        lease = swarm.lease("Executor", skill)
        leases[lease["subtask"]["key"]] = lease
    bot, id_ = swarm.bots["Executor"]
    beat = {
        "lease_id": leases["does"]["lease_id"],
        "progress": {"fraction": 0.4, "message": say(), "log": [say()]},
        "checkpoint": {say(): say()},
    }
    bot.made(f"/bots/{id_}:heartbeat", {"leases": [beat]}, **in_headers(say))
    read_while_it_runs(client, task, "does", swarm.said)
    client.made(f"/tasks/{task}/messages", {"payload": {say(): say()}})
    client("POST", f"/tasks/{task}/messages", {"to_bot": say.name(), "payload": {}})
    assert bot("POST", f"/leases/{leases['does']['lease_id']}:release", {"reason": say()}).is_success
    swarm.report("Executor", leases["does"], output={"late": say()})

    asking = swarm.lease("Executor", skill)
    answered, refused = (
        bot.made(f"/leases/{lease['lease_id']}:ask", {"question": say(), "choices": [say(), "no"], **more})[
            "approval_id"
        ]
        for lease, more in ((asking, {}), (leases["denied"], {"schema": a_schema(say)}))
    )
    admin("POST", f"/approvals/{answered}:answer", {"answer": {say(): say()}})
    assert admin("POST", f"/approvals/{answered}:answer", {"answer": "no"}).is_success
    admin("POST", f"/approvals/{answered}:approve", {"subject_hash": say(), "comment": say()})
    assert admin("POST", f"/approvals/{refused}:reject", {"reason": say()}).is_success
    for approval in (answered, refused):
        swarm.said.append(admin("GET", f"/approvals/{approval}").text)
    error = {"class": "not_retryable", "message": say()}
    assert swarm.report("Executor", leases["fails"], "failed", error=error).is_success
    assert swarm.report("Executor", swarm.lease("Executor", skill), output={say(): say(), "a": [say()]}).is_success

    finding = {"category": "safety", "severity": "major", "text": say(), "subtask": say.name()}
    targets = [{"subtask": "does", "feedback": say()}]
    verdict = {"decision": "rework", "reasons": [say()], "findings": [finding], "targets": targets}
    assert swarm.report("Evaluator", swarm.lease("Evaluator", skill), verdict=verdict).is_success

    judged = client("GET", f"/tasks/{task}").json()["verdict"]
    assert judged["reasons"]
    swarm.said.append(json.dumps(judged, ensure_ascii=False))

    client("PATCH", f"/tasks/{task}", {"labels": {say.name(): say.name()}})
    for verb in ("pause", "resume", "cancel"):
        assert client("POST", f"/tasks/{task}:{verb}", {"reason": say()}).is_success
    client("POST", f"/tasks/{task}:archive", {"reason": say()}, Idempotency_Key=say(255))
    approve_what_a_planner_said(client, admin, swarm, skill, say)


def approve_what_a_planner_said(client: Planter, admin: Planter, swarm: Swarm, skill: str, say: Voice) -> None:
    """A plan, and a result, that a person is to agree to."""
    sent = {"title": "t", "planner_skills": [skill], "evaluator_skills": [skill]}
    node = {"key": "one", "description": say(), "required_skills": [skill], "input": {say(): say()}}
    for kind in ("plan", "final"):
        task = client.made("/tasks", {**sent, "approval": kind})["id"]
        assert swarm.report("Planner", swarm.lease("Planner", skill), plan={"subtasks": [node]}).is_success
        if kind == "final":
            assert swarm.report("Executor", swarm.lease("Executor", skill), output={say(): say()}).is_success
            verdict = {"decision": "accept", "reasons": [say()]}
            assert swarm.report("Evaluator", swarm.lease("Evaluator", skill), verdict=verdict).is_success
        (approval,) = admin("GET", f"/approvals?task_id={task}").json()["items"]
        assert approval["state"] == "open"
        shown = admin("GET", f"/approvals/{approval['id']}")
        swarm.said += [json.dumps(approval, ensure_ascii=False), shown.text]
        assert admin("POST", f"/approvals/{approval['id']}:reject", {"reason": say()}).is_success


def a_schema(say: Voice) -> Json:
    """What an answer must be like, where that can hold a secret; any text is good."""
    return {
        "title": say(),
        "description": say(),
        "default": {say(): say()},
        "examples": [say()],
        "$defs": {say(): {"enum": [say()], "const": say()}},
        "type": "string",
    }


def read_while_it_runs(reader: Planter, task: str, subtask: str, said: list[str]) -> None:
    """What people see of the bots' words while they are at it; inputs and names are the callers' own, and left out."""
    shown = reader("GET", f"/tasks/{task}/subtasks/{subtask}").json()
    assert shown["progress"]["log"]
    said.append(json.dumps([shown[part] for part in ("progress", "attempts", "verdict", "status")], ensure_ascii=False))
    whole = reader("GET", f"/tasks/{task}").json()
    said.append(json.dumps([whole[part] for part in ("failure", "verdict", "progress")], ensure_ascii=False))
    said.append(json.dumps(reader("GET", f"/tasks/{task}:explain").json(), ensure_ascii=False))


def misuse(client: Planter, admin: Planter, stranger: Planter, say: Voice) -> None:
    """Everything else that a caller can get wrong, or that nothing but a name is made of."""

    def asked() -> str:
        return quote(say(), safe="")

    for path in (f"/{asked()}", f"/tasks/{asked()}", f"/tasks/tsk_{asked()}", f"/bots/{asked()}"):
        client("GET", path)
    client("GET", f"/tasks?{asked()}={asked()}&label={asked()}%3A{asked()}&status={asked()}")
    client("GET", f"/tasks?order_by={asked()}&page_token={asked()}")
    client("GET", f"/events?after={asked()}", Last_Event_ID=say())
    admin("GET", f"/audit?actor={asked()}&action={asked()}&task_id={asked()}")
    client("GET", "/tasks", None, raw=None, **in_headers(say), Accept=say(), If_None_Match=say())
    stranger("GET", f"/tasks?api_key={asked()}", X_API_KEY=say())
    stranger("GET", "/tasks", X_API_KEY="x", Authorization=f"Bearer {say()}")
    client("POST", "/tasks", None, raw=say().encode(), **in_headers(say))
    client("POST", "/tasks", raw=b'{"title": ' + json.dumps(say()).encode())
    client("POST", "/tasks", {"title": [say()], say(): say(), "input": say(), "evaluation": say(), "priority": say()})
    client("POST", "/tasks", {"title": "t", "subtasks": [{"key": say(), "depends_on": [say(), say()]}]})
    client("POST", "/tasks:batch", {"tasks": [{"title": "t", say(): say()}]})
    client("POST", "/tasks", {"title": "t"}, Content_Type=say())
    client("POST", "/tasks/tsk_none/results", {"bot_id": say(), "lease_id": say(), "status": say()})
    client("POST", "/leases", {"bot_id": say.name()})
    # In a queue, where figures count it, and as a bot's name.
    waits = {"description": "", "required_skills": [say.name()], "assign_to": say.name()}
    client.made("/tasks", {"title": "t", "subtasks": [waits]})
    bot: dict[str, Json] = {name: say.name() for name in ("name", "instance", "version")}
    bot |= {"endpoint": f"https://bot.test/?{quote(say(128))}"}
    bot |= {"type": "Executor", "labels": {say.name(): say.name()}, "skills": [say.name()]}
    id_ = admin.made("/bots/register", bot)["id"]
    admin("POST", "/leases", {"bot_id": id_, "wait_seconds": 0, "claim_id": say.name()})
    admin("POST", f"/bots/{id_}:drain", {}, Idempotency_Key=say(255))
    admin("DELETE", f"/bots/{id_}")
    key = admin.made("/keys", {"role": "bot:executor", "bot": say.name(), "owner": say.name()})["id"]
    admin("POST", f"/keys/{key}:revoke", {})


def in_every_form(client: Planter) -> None:
    """Every secret in every form, where the most is written down of what is said."""
    planted = [text for secret in SECRETS for text in forms(secret.text).values() if len(text) <= 500]
    planted = [text for text in planted if is_line(text)]
    assert len(planted) > len(SECRETS) * 5
    nobody = {"planner_skills": ["nobody has it"]}  # else the planners would take these, who are still at theirs
    tasks = [{"title": text, "labels": {"a": text if len(text) <= 128 else ""}, **nobody} for text in planted]
    answers = client.made("/tasks:batch", {"tasks": tasks})["results"]
    assert {answer["status"] for answer in answers} == {201}
    for answer in answers[::20]:
        client("POST", f"/tasks/{answer['task']['id']}:cancel", {"reason": "\n".join(planted[::4])})


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All that a server kept as evidence or said, by where."""
    folder = tmp_path_factory.mktemp("secrets")
    program = [sys.executable, str(BIN / "swarmkeeper"), "serve", "--log-level", "debug"]
    server = Server(folder / "store.db", program=program)
    with server:
        said: list[str] = []
        admin_key = server.key("admin")
        client_key = Planter(server, admin_key, []).made("/keys", {"role": "client"})["key"]
        _plant(server, admin_key, client_key, said)
        found = {"answers and headers": "\n".join(said).encode()}
        found |= asked(server, admin_key, marks=len(SECRETS))
        found |= _typed(server, admin_key, folder)
        assert server.process is not None
        assert server.process.stdout is not None
        server.process.terminate()
        found["stdout"] = server.process.stdout.read().encode()
        server.process.wait(20)
        found["log"] = server.store.with_suffix(".log").read_bytes()
        found["audit verify"] = server.cli("audit", "verify", server.store_url).encode()
        found["doctor"] = server.cli("doctor", "--deep", "--store", server.store_url).encode()
        found |= columns_of(server)
        # Bots get their inputs as they were sent: else nothing was planted, and nothing could be found.
        assert SEARCH.found(found.pop(WORK)) == {secret.rule for secret in SECRETS}
    return found


def _plant(server: Server, admin_key: str, client_key: str, said: list[str]) -> None:
    lock = threading.Lock()

    def work(number: int) -> None:
        own: list[str] = []
        admin, client, stranger = (Planter(server, key, own) for key in (admin_key, client_key, "none"))
        swarm = Swarm(server, admin, number, own)
        for each in range(number, len(SECRETS), THREADS):
            say = Voice(SECRETS[each], each)
            tell(client, admin, swarm, each, say)
            misuse(client, admin, stranger, say)
        if not number:
            in_every_form(client)
        with lock:
            said.extend(own)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(THREADS)]:
            done.result()


def _typed(server: Server, key: str, folder: Path) -> dict[str, bytes]:
    """What the command line says of what cannot be done."""
    aws, password, link = (next(one.text for one in SECRETS if one.rule == rule) for rule in RULES_TYPED)
    own = ["--url", server.url]
    commands = {
        "get": ["task", "get", f"tsk_{aws}", *own],
        "input": ["submit", "t", "--input", password, *own],
        "file": ["submit", "-f", f"/nowhere/{aws}.json", *own],
        "url": ["task", "list", "--url", link.replace("postgresql", "http").replace("db.example/app", "127.0.0.1:9")],
        "audit": ["audit", "list", "--json", *own],
    }

    def run(words: list[str]) -> bytes:
        environment = _environment() | {"SWARMKEEPER_API_KEY": key}
        done = ran([sys.executable, str(BIN / "swarmkeeper"), *words], folder=folder, environment=environment)
        return (done.stdout + done.stderr).encode()

    return {f"cli {name}": run(words) for name, words in commands.items()}


RULES_TYPED = ("aws-access-key", "password-pair", "url-password")


def test_none_of_the_planted_secrets_is_anywhere_in_the_evidence(evidence: dict[str, bytes]) -> None:
    found = {where: sorted(SEARCH.found(kept)) for where, kept in evidence.items()}

    assert {where: rules for where, rules in found.items() if rules} == {}


def test_the_search_looked_at_what_it_means_to(evidence: dict[str, bytes]) -> None:
    """Each was planted where it would show: evidence that says nothing would pass any search."""
    columns = ("event.body", "audit_leaf.body", "audit_leaf.leaf", "work.error", "attempt.error", "task.failure")
    for where in (*columns, "events", "stream", "audit", "metrics", "cli audit"):
        assert evidence[where].count(b"[redacted:") >= len(SECRETS), where
    for where in ("log", "answers and headers", "cli get", "cli input", "cli file", "cli url"):
        assert len(evidence[where]) > 20, where
    assert evidence["doctor"] == b"healthy\n"
    assert evidence["audit verify"].startswith(b"audit log verified: ")
