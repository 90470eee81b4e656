"""Policies in Cedar through the engine: each action allowed and denied, and what errs is a deny."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.core.secrets.commands import ReleaseSecrets
from swarmkeeper.core.secrets.records import ReleasedValue, Sealed
from swarmkeeper.policy import cedar
from swarmkeeper.policy.files import shipped
from swarmkeeper.sim.harness import ADMIN, APPROVER, CLIENT, Harness

ALL = '@id("all") permit (principal, action, resource);'
PRIVATE = {"data": "private"}


def use(swarm: Harness, tmp_path: Path, *policies: str) -> cedar.CedarPolicies:
    file = tmp_path / "some.cedar"
    file.write_text("\n".join(policies))
    made = cedar.load([str(file)])
    swarm.engine._rules.policies = made
    return made


def forbid(action: str, when: str, message: str = "not now") -> str:
    head = f'@id("no") @message("{message}") forbid (principal, action == Action::"{action}", resource)'
    return f"{head} when {{ {when} }};"


def reasons(swarm: Harness, action: str) -> str:
    rows = swarm.rows("SELECT leaf FROM audit_leaf WHERE action = ? ORDER BY place DESC LIMIT 1", action)
    return bytes(rows[0]["leaf"]).decode()


def test_without_policies_nothing_is_asked(swarm: Harness) -> None:
    assert swarm.engine._rules.policies is None
    assert swarm.submit(["a"])
    assert "policy:" not in reasons(swarm, "task.submit")


def test_a_submission_is_allowed_or_denied_by_its_labels(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, ALL, forbid("task.submit", 'resource.labels.contains("data=private")', "no private data"))

    assert swarm.submit(["a"], labels={"data": "public"})
    assert '"policy:all"' in reasons(swarm, "task.submit")
    with pytest.raises(PermissionDenied, match=r"policy denies task.submit: no: no private data"):
        swarm.submit(["a"], labels=PRIVATE)
    assert len(swarm.rows("SELECT 1 FROM task")) == 1


def test_what_no_policy_permits_is_denied(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, '@id("reads") permit (principal, action == Action::"audit.read", resource);')

    with pytest.raises(PermissionDenied, match="no policy permits it"):
        swarm.submit(["a"])


def test_a_claim_gets_what_the_policies_let_the_bot_have(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, ALL, forbid("work.claim", 'resource.labels.contains("data") && principal.owner != "acme"'))
    swarm.submit(["secret"], labels=PRIVATE)
    trusted, other = swarm.bot("trusted", owner="acme"), swarm.bot("other", owner="else")

    assert not swarm.leases(other)
    assert [lease.key for lease in swarm.leases(trusted)] == ["secret"]
    assert '"policy:all"' in reasons(swarm, "work.lease")
    swarm.submit(["open"])
    assert [lease.key for lease in swarm.leases(other)] == ["open"]


@pytest.mark.parametrize(("action", "key"), [("plan.submit", "plan"), ("result.submit", "a")])
def test_a_report_is_denied_and_its_lease_stays(swarm: Harness, tmp_path: Path, action: str, key: str) -> None:
    planner, worker = swarm.bot("p", "Planner"), swarm.bot("w")
    swarm.submit(None if key == "plan" else ["a"], labels=PRIVATE)
    lease = swarm.take(planner if key == "plan" else worker)
    use(swarm, tmp_path, ALL, forbid(action, 'resource.labels.contains("data")'))
    content: dict[str, Any] = {"plan": ["b"]} if key == "plan" else {"output": 1}

    with pytest.raises(PermissionDenied, match=f"policy denies {action}: no: not now"):
        swarm.report(lease, **content)

    use(swarm, tmp_path, ALL)
    swarm.report(lease, **content)
    assert '"policy:all"' in reasons(swarm, "work.report")


def test_a_verdict_is_denied(swarm: Harness, tmp_path: Path) -> None:
    swarm.submit(["a"])
    swarm.report(swarm.take(swarm.bot("w")), output=1)
    review = swarm.take(swarm.bot("e", "Evaluator", owner="other"))
    use(swarm, tmp_path, ALL, forbid("verdict.submit", 'principal.bot == "e"'))

    with pytest.raises(PermissionDenied, match=r"verdict\.submit"):
        swarm.report(review, verdict="accept")

    use(swarm, tmp_path, ALL)
    swarm.report(review, verdict="accept")


def test_a_secret_is_denied_by_its_name(swarm: Harness, tmp_path: Path) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("w")
    lease = swarm.take(bot)
    payload = str(swarm.work(task, "a").payload)
    use(swarm, tmp_path, ALL, forbid("secret.resolve", 'resource.name like "prod/*"'))

    def release(name: str) -> Any:
        value = ReleasedValue("default", name, f"tag of {name}", "1", "builtin", Sealed("k", b"n", b"s"))
        asked = ReleaseSecrets(
            by=swarm.principal(bot),
            lease_id=lease.lease_id,
            payload=payload,
            values=(value,),
            lease_max=9,
            minute_max=(9,),
        )
        return swarm.do(asked)

    with pytest.raises(PermissionDenied, match=r"secret\.resolve"):
        release("prod/key")
    assert release("test/key")


def test_a_decision_on_an_approval_is_denied(swarm: Harness, tmp_path: Path) -> None:
    task = swarm.submit(["a"], approval="plan")
    (asked,) = swarm.approvals(task)
    use(swarm, tmp_path, ALL, forbid("approval.decide", 'resource.verb == "approve"'))

    with pytest.raises(PermissionDenied, match=r"approval\.decide"):
        swarm.decide(asked, "approve", by=APPROVER)
    swarm.decide(asked, "reject", by=APPROVER)


def test_keys_are_denied_by_their_role(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, ALL, forbid("key.manage", 'resource.role == "admin"'))

    def make(role: str) -> Any:
        return swarm.do(commands.CreateKey(by=ADMIN, role=role, public_id=role[:3] * 3, digest=b"0"))

    with pytest.raises(PermissionDenied, match=r"key\.manage"):
        make("admin")
    key = make("client")
    use(swarm, tmp_path, ALL, forbid("key.manage", "true"))
    with pytest.raises(PermissionDenied):
        swarm.do(commands.RevokeKey(by=ADMIN, key=key))


def test_a_forbid_that_errs_is_a_deny(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, ALL, forbid("task.submit", "resource.priority + 9223372036854775807 < 0"))

    with pytest.raises(PermissionDenied, match="could not be evaluated"):
        swarm.submit(["a"], priority=5)
    assert swarm.submit(["a"], priority=0), "without an overflow it forbids nothing"


def test_facts_out_of_bounds_are_a_deny(swarm: Harness, tmp_path: Path) -> None:
    use(swarm, tmp_path, ALL)

    with pytest.raises(PermissionDenied, match="the fact labels is too large"):
        swarm.submit(["a"], labels={f"l{n}": "v" for n in range(300)})


def test_a_decision_that_takes_too_long_is_a_deny(tmp_path: Path) -> None:
    file = tmp_path / "some.cedar"
    file.write_text(ALL)
    times = iter([0, 10_001, 0, 10_000])
    policies = cedar.load([str(file)], lambda: next(times))
    asked = cedar_question()

    slow, quick = policies.decide(*asked), policies.decide(*asked)

    assert (slow.allowed, slow.error, slow.message) == (False, True, "the decision took 10 ms")
    assert quick.allowed


def test_equal_facts_are_decided_once(tmp_path: Path) -> None:
    file = tmp_path / "some.cedar"
    file.write_text(ALL)
    asked: list[int] = []

    def used() -> int:
        asked.append(1)
        return 0

    policies = cedar.load([str(file)], used)

    for _ in range(5):
        assert policies.decide(*cedar_question()).allowed

    assert len(asked) == 2, "before and after one decision"


def cedar_question() -> Any:
    from swarmkeeper.core.decide.policies import of_key
    from swarmkeeper.core.policies.records import PolicyAction, facts

    return PolicyAction.AUDIT_READ, of_key(Principal("default", "key_1", "auditor")), facts("Log", "x", tenant="x")


FLOWS = {"reads": "private", "sees": "untrusted", "does": "egress"}


@pytest.mark.parametrize("without", [None, *FLOWS.values()])
def test_the_shipped_policy_keeps_private_data_from_untrusted_text_with_a_way_out(
    swarm: Harness, without: str | None
) -> None:
    base = [str(shipped("all.cedar")), str(shipped("no-lethal-trifecta.cedar"))]
    swarm.engine._rules.policies = cedar.load(base)
    labels = {label: "yes" for label in FLOWS.values() if label != without}

    if without is None:
        with pytest.raises(PermissionDenied, match="no-lethal-trifecta: private data, untrusted text and a way out"):
            swarm.submit(["a"], by=CLIENT, labels=labels)
    else:
        assert swarm.submit(["a"], by=CLIENT, labels=labels)


def test_a_label_that_comes_later_keeps_the_work_from_bots(swarm: Harness) -> None:
    task = swarm.submit(["a"], labels={"private": "yes", "untrusted": "yes"})
    bot = swarm.bot("w")
    swarm.update(task, labels={"private": "yes", "untrusted": "yes", "egress": "yes"})

    # The policy comes after the label: it would have refused the label.
    base = [str(shipped("all.cedar")), str(shipped("no-lethal-trifecta.cedar"))]
    swarm.engine._rules.policies = cedar.load(base)

    assert not swarm.leases(bot)
    swarm.update(task, labels={"private": "yes", "untrusted": "yes"})
    assert swarm.leases(bot)


@pytest.fixture
def swarm() -> Iterator[Harness]:
    swarm = Harness()
    yield swarm
    swarm.engine._rules.policies = None  # the rules are shared by all harnesses
    swarm.check()
    swarm.close()
