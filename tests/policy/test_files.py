"""Policy files: what does not fit the schema is named with its file and line; cases test them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.policy import cases, cedar
from swarmkeeper.policy.files import BadPolicies, cut, shipped

ALL = '@id("all") permit (principal, action, resource);'


def written(tmp_path: Path, text: str, name: str = "some.cedar") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


@pytest.mark.parametrize(
    ("bad", "line", "says"),
    [
        ('@id("x") permit (principal action, resource);', 4, "unexpected token `action`"),
        ('@id("x") permit (principal, action, resource)\nwhen { principal.nope == 1 };', 4, "attribute `nope`"),
        ('@id("x") permit (principal, action == Action::"fly", resource);', 4, "fly"),
        ('@id("x") forbid (principal, action, resource) when { principal.owner > 1 };', 4, "expected"),
        ("permit (principal, action, resource);", 4, "needs a name"),
        (ALL, 4, "@id all is that of"),
        ('@id("x") permit (principal, action, resource) when { principal.owner == "open };', 4, "a text is not closed"),
        ('@id("x") permit (principal == ?principal, action, resource);', 4, "template"),
    ],
)
def test_a_bad_policy_is_named_with_file_and_line(tmp_path: Path, bad: str, line: int, says: str) -> None:
    place = written(tmp_path, f"{ALL}\n// a comment; with a mark\n\n{bad}\n")

    with pytest.raises(BadPolicies) as refused:
        cedar.load([place])

    assert str(refused.value).startswith(f"{place}:{line}: "), refused.value
    assert says in str(refused.value)


def test_a_folder_has_its_cedar_files_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    written(tmp_path, ALL)
    written(tmp_path, '@id("b") forbid (principal, action == Action::"audit.read", resource);', "b.cedar")
    written(tmp_path, "no policy", "readme.txt")

    assert cedar.load([str(tmp_path)]).names == ("b", "all")
    (tmp_path / "empty").mkdir()
    for place, says in (("empty", "no file"), ("missing", "cannot be read")):
        with pytest.raises(BadPolicies, match=says):
            cedar.load([str(tmp_path / place)])
    with pytest.raises(BadPolicies, match="no policy is in it"):
        cedar.load([written(tmp_path, "// nothing yet\n", "c.cedar")])


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from(["", "\n", "// a; b\n", "  \n\n"]),
            st.sampled_from(['permit "a;b" x', "forbid y", 'z "\\";" ', "when { a // c;\n }"]),
        ),
        max_size=8,
    )
)
def test_a_file_is_cut_into_its_statements_with_their_lines(pieces: list[tuple[str, str]]) -> None:
    text = "".join(f"{before}{statement};" for before, statement in pieces)

    found = list(cut(text, "f"))

    assert [statement for _, statement in found] == [f"{statement};" for _, statement in pieces]
    lines = text.split("\n")
    for line, statement in found:
        assert statement.split("\n", maxsplit=1)[0].rstrip() in lines[line - 1]


TRIFECTA = ["private", "untrusted", "egress"]


def test_cases_are_run_and_differences_named(tmp_path: Path) -> None:
    policies = cedar.load([str(shipped("all.cedar")), str(shipped("no-lethal-trifecta.cedar"))])
    document = [
        {"action": "task.submit", "resource": {"labels": TRIFECTA}, "expected": "deny", "policy": "no-lethal-trifecta"},
        {"action": "work.claim", "principal": {"bot": "b"}, "resource": {"labels": TRIFECTA[:2]}, "expected": "allow"},
        {"name": "wrong", "action": "task.submit", "resource": {"labels": TRIFECTA}, "expected": "allow"},
        {"name": "other", "action": "task.submit", "resource": {}, "expected": "allow", "policy": "another"},
    ]
    read = cases.read(Path(written(tmp_path, json.dumps(document), "cases.json")))

    faults = {case.name: case.fault(policies) for case in read}

    assert [fault is None for fault in faults.values()] == [True, True, False, False]
    assert "expected allowed, and it is denied (no-lethal-trifecta: private data" in (faults["wrong"] or "")
    assert "another does not decide it" in (faults["other"] or "")


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ('action = "fly"\nexpected = "deny"', "case 1: action: expected one of task.submit"),
        ('action = "task.submit"\nexpected = "maybe"', "case 1: expected: is `allow` or `deny`"),
        ('action = "task.submit"\nexpected = "deny"\nwhat = 1', "case 1: what: no such field"),
        (
            'action = "task.submit"\nexpected = "deny"\nresource = {skills = []}',
            "resource: skills: no such fact of Task",
        ),
        ('action = "task.submit"\nexpected = "deny"\nresource = {labels = "a"}', "labels: expected a list of texts"),
        ('action = "task.submit"\nexpected = "deny"\nresource = {priority = true}', "priority: expected a number"),
    ],
)
def test_a_malformed_case_is_named(tmp_path: Path, case: str, says: str) -> None:
    file = Path(written(tmp_path, f"[[case]]\n{case}\n", "cases.toml"))

    with pytest.raises(cases.BadCases) as refused:
        cases.read(file)

    assert says in str(refused.value)
