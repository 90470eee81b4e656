"""Secrets of many kinds in 8 forms by 3 ways in, and values of the secrets broker: none reaches the evidence.

The server sends all that it can: the audit log and events to a file, to a web service and as log records, traces to a
collector, and events to NATS. What these got is searched, and what the server keeps and says.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.core.rules.texts import is_line
from tests.acceptance.canaries import kinds
from tests.acceptance.evidence import WORK, asked, columns_of
from tests.acceptance.planted import Search, Secret, forms
from tests.acceptance.server import Caller, Server
from tests.examples import exploring
from tests.outgoing.streams import published
from tests.sinks.conftest import table_of
from tests.sinks.receivers import Certificates, FileReader, OtlpReceiver, Receiver, TracesReceiver, WebhookReceiver
from tests.support.brokers import NatsServer
from tests.support.kept_sessions import real_loop
from tests.support.postgres import server as postgres

pytestmark = pytest.mark.timeout(600)
# 2,400 secrets with `make explore`; 480 and 120 with `make test`. They are redacted before a store gets them: what
# differs by store is where they are searched for, and five kinds come to each of these places, too.
KINDS = {"sqlite": 100, "postgresql": 100} if exploring() else {"sqlite": 20, "postgresql": 5}
WAYS = ("client", "progress", "error")
FORMS = tuple(forms("x"))
BATCH = 50
VALUES = 100 if exploring() else 20  # of the secrets broker
WORDS = ("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "kayak", "lemon")

Json = Any


def made(count: int) -> Iterator[tuple[str, list[Secret]]]:
    """Yield for each kind and each form a secret for each way in. Each secret is sent once, and named for this."""
    for rule, secrets in kinds(count, len(FORMS) * len(WAYS)):
        rest = iter(secrets)
        for form in FORMS:
            named = [Secret(f"{rule}, {form}, {way}", one.text, one.core) for way, one in zip(WAYS, rest, strict=False)]
            yield form, named


def values() -> list[Secret]:
    """Values that look like nothing: words that only the secrets broker knows to be one."""
    pairs = itertools.product(WORDS, repeat=2)
    texts = [
        f"{one} {two} {number} over the {two}" for number, (one, two) in enumerate(itertools.islice(pairs, VALUES))
    ]
    return [Secret(f"value {number}", text, text) for number, text in enumerate(texts)]


class Talkers:
    """A client and an executor which say what they are given to say."""

    def __init__(self, server: Server, said: list[str]) -> None:
        self.admin, self._said = Caller(server, server.key("admin")), said
        self._client = Caller(server, self.admin.post("/keys", {"role": "client"})["key"])
        sent = {"role": "bot:executor", "bot": "talker", "owner": "talker"}
        self._bot = Caller(server, self.admin.post("/keys", sent)["key"])
        registration = {"type": "Executor", "version": "1", "capacity": BATCH}
        self._id = self._bot.post("/bots/register", registration)["id"]

    def tell(self, words: list[str], notes: list[str], errors: list[str], secrets: list[str] | None = None) -> None:
        """Take tasks through their lives. Each is submitted with words, noted on while it runs, and fails.

        Args:
            secrets: what each asks for while it runs, by name.
        """
        ids = self._submitted(words, secrets)
        leases = self._leased(len(ids))
        order = [ids.index(lease["task_id"]) for lease in leases]
        for lease in leases if secrets else []:
            name = lease["subtask"]["input"]["password"].removeprefix("secret://")
            self._bot.post(f"/leases/{lease['lease_id']}/secrets:resolve", {"names": [name]})
        beats = [
            {"lease_id": lease["lease_id"], "progress": {"fraction": 0.5, "message": note, "log": [note]}}
            for lease, note in zip(leases, (notes[at] for at in order), strict=True)
        ]
        self._bot.post(f"/bots/{self._id}:heartbeat", {"leases": beats})
        for task in ids[::10]:
            self._said.append(self._client("GET", f"/tasks/{task}:explain").text)
            shown = self._client.get(f"/tasks/{task}/subtasks/a")
            assert shown["progress"]["log"]
            self._said.append(json.dumps([shown["progress"], shown["attempts"]], ensure_ascii=False))
        results = [
            {
                "lease_id": lease["lease_id"],
                "task_id": lease["task_id"],
                "status": "failed",
                "error": {"class": "not_retryable", "message": error},
            }
            for lease, error in zip(leases, (errors[at] for at in order), strict=True)
        ]
        reported = self._bot.post("/results", {"bot_id": self._id, "results": results})["results"]
        assert all("error" not in one for one in reported), reported

    def _submitted(self, words: list[str], secrets: list[str] | None) -> list[str]:
        """Submit tasks with these words as titles, or as reasons to pause them where no title can be so."""
        one: Json = {"key": "a", "description": ""}
        can_be = [is_line(said) and len(said) <= 500 for said in words]
        tasks = []
        for at, said in enumerate(words):
            subtask = {**one, "input": {"password": f"secret://{secrets[at]}"}} if secrets else one
            tasks.append({"title": said if can_be[at] else "a title", "evaluation": "none", "subtasks": [subtask]})
        made = self._client.post("/tasks:batch", {"tasks": tasks})["results"]
        ids = [str(each["task"]["id"]) for each in made]
        for task, said in (pair for pair, can in zip(zip(ids, words, strict=True), can_be, strict=True) if not can):
            self._client.post(f"/tasks/{task}:pause", {"reason": said})
            self._client.post(f"/tasks/{task}:resume", {"reason": said})
        return ids

    def _leased(self, count: int) -> list[Json]:
        leases: list[Json] = []
        while len(leases) < count:
            sent = {"bot_id": self._id, "max": count - len(leases), "wait_seconds": 10}
            leases += self._bot.post("/leases", sent)["leases"]
        return leases


def tell_of_secrets(talkers: Talkers, count: int) -> list[Secret]:
    """Say each secret of so many kinds once; return all."""
    planted = list(made(count))
    for start in range(0, len(planted), BATCH):
        texts = [
            [f"it says {forms(one.text)[form]}, and more" for one in three]
            for form, three in planted[start : start + BATCH]
        ]
        talkers.tell(*(list(way) for way in zip(*texts, strict=True)))
    return [secret for _, three in planted for secret in three]


def tell_of_values(talkers: Talkers) -> list[Secret]:
    """Let the bot get each value, and say it in prose, in each form by each way; return all."""
    secrets = values()
    for number, secret in enumerate(secrets):
        answer = talkers.admin("PUT", f"/secrets/canary-{number}", {"value": secret.text})
        assert answer.is_success, answer.text

    def prose(some: range, shift: int) -> list[str]:
        return [f"I took {forms(secrets[at].text)[FORMS[(at + shift) % len(FORMS)]]} then" for at in some]

    for start in range(0, VALUES, BATCH):
        some = range(start, min(start + BATCH, VALUES))
        # Nobody can know a value before it is released.
        names = [f"canary-{number}" for number in some]
        talkers.tell(["before"] * len(some), prose(some, 0), prose(some, 1), names)
        for shift in range(2, len(FORMS), 3):
            talkers.tell(prose(some, shift), prose(some, shift + 1), prose(some, shift + 2))
    return secrets


@dataclass(frozen=True)
class Told:
    kinds: int
    secrets: list[Secret]
    evidence: dict[str, bytes]  # all that was kept or said as evidence, by where


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Told:
    folder = tmp_path_factory.mktemp("canaries")
    database = postgres().new_database(keep=True) if request.param == "postgresql" else ""
    said: list[str] = []
    with ExitStack() as stack:
        nats = stack.enter_context(NatsServer(folder))
        receivers = [stack.enter_context(running(receiver)) for receiver in _receivers(folder)]
        settings = {"sinks": _sinks(folder, receivers), "stream": nats.url, "secrets_key_file": _master_key(folder)}
        settings["log_level"] = "debug"
        server = stack.enter_context(Server(folder / "store.db", database=database, settings=settings))
        talkers = Talkers(server, said)
        secrets = [*tell_of_secrets(talkers, KINDS[request.param]), *tell_of_values(talkers)]
        evidence = asked(server, server.key("admin"))
        _wait_for_sinks(server, settings["sinks"])
        server.stop()
        evidence["answers"] = "\n".join(said).encode()
        evidence["log"] = server.store.with_suffix(".log").read_bytes()
        evidence["audit verify"] = server.cli("audit", "verify", "--deep", server.store_url).encode()
        evidence |= {f"sink {one.kind}": real_loop().run(one.everything()) for one in receivers}
        messages = asyncio.run(published(nats))
        evidence["stream"] = json.dumps([[one.body, one.about] for one in messages], ensure_ascii=False).encode()
        evidence |= columns_of(server)
    del evidence[WORK]
    return Told(KINDS[request.param], secrets, evidence)


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    real_loop().run(receiver.start())
    try:
        yield receiver
    finally:
        real_loop().run(receiver.kill())


def _receivers(folder: Path) -> list[Receiver]:
    certificates = Certificates.made(folder)
    return [kind(folder, certificates) for kind in (FileReader, WebhookReceiver, OtlpReceiver, TracesReceiver)]


def _sinks(folder: Path, receivers: list[Receiver]) -> str:
    file = folder / "sinks.toml"
    tables = []
    for one in receivers:
        more = {"events": True} if one.kind != "traces" else {}
        tables.append(table_of(one.kind, {"kind": one.kind, **one.table(), **more}))
    file.write_text("\n".join(tables))
    return str(file)


def _master_key(folder: Path) -> str:
    file = folder / "secrets.key"
    file.write_text(Server(folder / "none.db").cli("secret", "key"))
    file.chmod(0o600)
    return str(file)


def _wait_for_sinks(server: Server, file: str) -> None:
    """Wait until each sink has got everything."""
    until = time.monotonic() + 120
    while True:
        lines = server.cli("sinks", "status", "--sinks", file, "--store", server.store_url, "--json").splitlines()
        if not any(json.loads(line)["behind_records"] for line in lines):
            return
        assert time.monotonic() < until, lines
        time.sleep(0.5)


def test_no_canary_is_anywhere_in_the_evidence(told: Told) -> None:
    assert len(told.secrets) == told.kinds * len(FORMS) * len(WAYS) + VALUES
    search = Search(told.secrets)

    found = {where: sorted(search.found(kept)) for where, kept in told.evidence.items()}

    assert {where: names for where, names in found.items() if names} == {}


def test_each_place_that_was_searched_was_told_of_them(told: Told) -> None:
    """Evidence that says nothing would pass any search."""
    places = ("event.body", "audit_leaf.body", "attempt.error", "events", "stream", "audit", "sink jsonl", "sink http")
    for where in (*places, "sink otlp"):
        assert told.evidence[where].count(b"[redacted:") >= told.kinds * len(FORMS), where
    for where in ("log", "metrics", "answers", "sink traces"):
        assert len(told.evidence[where]) > 1_000, where
    assert told.evidence["audit verify"].startswith(b"audit log verified: ")
