"""`swarmkeeper policy`: checks, tests and explains policy files without a server."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import Server, Shell

POLICIES = (
    '@id("all") permit (principal, action, resource);\n'
    '@id("private-to-acme") @message("not yours")\n'
    'forbid (principal, action == Action::"work.claim", resource)\n'
    'when { resource.labels.contains("private") && principal.owner != "acme" };\n'
)


@pytest.fixture
def policies(tmp_path: Path) -> str:
    (tmp_path / "ours.cedar").write_text(POLICIES)
    return str(tmp_path)


def cases(tmp_path: Path, expected: str) -> str:
    file = tmp_path / "cases.toml"
    file.write_text(
        '[[case]]\nname = "others"\naction = "work.claim"\nprincipal = {owner = "else"}\n'
        f'resource = {{labels = ["private"]}}\nexpected = "{expected}"\n'
    )
    return str(file)


def test_the_policies_of_a_folder_are_named(shell: Shell, policies: str) -> None:
    checked = shell("policy", "check", "--policies", policies)

    assert (checked.code, checked.out) == (0, "2 policies: all, private-to-acme\n")


def test_a_bad_file_is_named_with_its_line(shell: Shell, policies: str, tmp_path: Path) -> None:
    (tmp_path / "z.cedar").write_text("\npermit (principal);")

    checked = shell("policy", "check", "--policies", policies)

    assert checked.code == 2
    assert f"{tmp_path}/z.cedar:2: " in checked.err.replace("\n", " ")


def test_cases_that_are_decided_otherwise_are_named(shell: Shell, policies: str, tmp_path: Path) -> None:
    good = shell("policy", "test", cases(tmp_path, "deny"), "--policies", policies)
    bad = shell("policy", "test", cases(tmp_path, "allow"), "--policies", policies)

    assert (good.code, good.out) == (0, "1 of 1 cases are as expected\n")
    assert bad.code == 1
    assert "others: expected allowed, and it is denied (private-to-acme: not yours)" in bad.out


def test_a_decision_is_explained(shell: Shell, policies: str) -> None:
    asked = ["work.claim", "--principal", '{"owner": "else"}', "--resource", '{"labels": ["private"]}']

    said = shell("policy", "explain", *asked, "--policies", policies)
    told = shell("policy", "explain", *asked, "--policies", policies, "--json")

    assert said.out == "work.claim is denied (private-to-acme: not yours)\n"
    assert json.loads(told.out) == {"allowed": False, "policies": ["private-to-acme"], "message": "not yours"}
    wrong = shell("policy", "explain", "work.claim", "--resource", "{", "--policies", policies)
    assert (wrong.code, "--resource" in wrong.err) == (2, True)
    assert shell("policy", "explain", "work.claim").code == 2


def test_shadow_counts_what_the_policies_on_trial_would_deny(shell: Shell) -> None:
    trial = shell.folder / "trial.cedar"
    trial.write_text(
        '@id("rest")\npermit (principal, action, resource);\n'
        '@id("no-urgent")\nforbid (principal, action == Action::"task.submit", resource)\n'
        "when { resource.priority > 8 };\n"
    )
    store = f"sqlite:///{shell.folder / 'store.db'}"
    server = Server(
        "serve", "--store", store, "--port", "0", "--policies-shadow", str(trial), "--json", folder=shell.folder
    )
    try:
        url = server.first_line()["url"]
        key = shell("key", "create", "--store", store, "--role", "admin", "--json").json["key"]
        shell.set(SWARMKEEPER_URL=url, SWARMKEEPER_API_KEY=key)
        assert "would have denied nothing" in shell("policy", "shadow").err
        tasks = [shell("submit", "now", "--priority", str(priority)).out.strip() for priority in (9, 5, 9)]

        (row,) = shell("policy", "shadow", "--json").lines
        later = shell("policy", "shadow", "--after", str(row["index"]))
    finally:
        server.stop()

    assert (row["policy"], row["action"], row["count"], row["resource"]) == ("no-urgent", "task.submit", 2, tasks[2])
    assert "would have denied nothing" in later.err
