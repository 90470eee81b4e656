"""The file of issuers: every mistake has its place, and what would let anyone in is refused when it is read."""

from pathlib import Path

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import BadSetting, Settings
from swarmkeeper.tokens.file import read
from swarmkeeper.tokens.keys import ALGORITHMS
from swarmkeeper.tokens.refusals import BadIdentity

GOOD = {
    "issuer": '"https://idp.example"',
    "audience": '"swarmkeeper"',
    "algorithms": '["RS256"]',
}
RULE = {"when": "{}", "tenant": '"default"', "role": '"client"'}


def file_of(folder: Path, keys: dict[str, str | None], rule: dict[str, str | None] | None = None) -> Path:
    """Write a file of one issuer with one rule; None leaves a key out."""
    lines = ["[[issuer]]", *(f"{name} = {value}" for name, value in {**GOOD, **keys}.items() if value is not None)]
    lines += ["[[issuer.rule]]"]
    lines += [f"{name} = {value}" for name, value in {**RULE, **(rule or {})}.items() if value is not None]
    path = folder / "identity.toml"
    path.write_text("\n".join(lines))
    return path


def said(path: Path) -> str:
    with pytest.raises(BadIdentity) as mistake:
        read(path)
    return str(mistake.value).removeprefix(f"{path}: ")


def test_a_file_has_defaults(tmp_path: Path) -> None:
    (table,) = read(file_of(tmp_path, {"ca_file": '"ca.pem"'}))

    assert (table.leeway_seconds, table.jwks_seconds, table.jwks_stale_seconds) == (30, 300, 3600)
    assert (table.types, table.audience, table.max_age_seconds) == (frozenset({"jwt", "at+jwt"}), ["swarmkeeper"], None)
    assert table.ca_file == str(tmp_path / "ca.pem")


@pytest.mark.parametrize("name", ["none", "None", "HS256", "HS384", "HS512", "ES256K", "Ed448", "RSA1_5", "dir", ""])
def test_only_asymmetric_algorithms_can_be_allowed(tmp_path: Path, name: str) -> None:
    assert "issuer 1 algorithms 1: expected one of" in said(file_of(tmp_path, {"algorithms": f'["{name}"]'}))
    assert name not in ALGORITHMS


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"issuer": None}, "issuer 1 issuer: missing"),
        ({"audience": None}, "issuer 1 audience: missing"),
        ({"audience": "[]"}, "issuer 1 audience: List should have at least 1 item"),
        ({"audience": '""'}, "issuer 1 audience 1: expected one line"),
        ({"algorithms": None}, "issuer 1 algorithms: missing"),
        ({"algorithms": "[]"}, "issuer 1 algorithms: List should have at least 1 item"),
        ({"leeway_seconds": "121"}, "issuer 1 leeway_seconds: Input should be less than or equal to 120"),
        ({"leeway_seconds": "-1"}, "issuer 1 leeway_seconds: Input should be greater than or equal to 0"),
        ({"max_age": "5"}, "issuer 1 max_age: unknown key"),
        ({"issuer": '"http://idp.example"'}, "issuer 1: jwks_url: expected https://"),
        ({"issuer": '"cluster"'}, "issuer 1: jwks_url: missing; discovery needs an issuer that is a URL"),
        ({"jwks_url": '"http://idp.example/keys"'}, "issuer 1: jwks_url: expected https://"),
        ({"jwks_url": '"https://u:p@idp.example/keys"'}, "issuer 1 jwks_url: expected a URL"),
        ({"jwks_url": '"https://idp.example/k"', "jwks_file": '"k"'}, "issuer 1: jwks_url and jwks_file: keep one"),
        ({"jwks_seconds": "600", "jwks_stale_seconds": "60"}, "issuer 1: jwks_stale_seconds: expected at least"),
        ({"spiffe": "true"}, "issuer 1: issuer: with spiffe = true, it is a trust domain"),
        ({"spiffe": "true", "issuer": '"spiffe://Example.org"'}, "issuer 1: issuer: with spiffe = true"),
        ({"spiffe": '"yes"'}, "issuer 1 spiffe: Input should be a valid boolean"),
    ],
)
def test_a_mistake_in_an_issuer_has_its_place(tmp_path: Path, keys: dict[str, str | None], expected: str) -> None:
    assert said(file_of(tmp_path, keys)).startswith(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"when": None}, "issuer 1 rule 1 when: missing"),
        ({"when": '"x"'}, "issuer 1 rule 1 when: expected a table"),
        ({"when": "{a = []}"}, "issuer 1 rule 1 when: a: expected a text"),
        ({"when": "{a = {b = 1}}"}, "issuer 1 rule 1 when: a: expected a text"),
        ({"when": "{a = 1.5}"}, "issuer 1 rule 1 when: a: expected a text"),
        ({"tenant": None}, "issuer 1 rule 1 tenant: missing"),
        ({"tenant": "7"}, "issuer 1 rule 1 tenant: expected a text, or a table"),
        ({"tenant": '{claim = "org"}'}, "issuer 1 rule 1: tenant: a claim needs allowed"),
        ({"tenant": '{claim = "org", pattern = "("}'}, "issuer 1 rule 1 tenant pattern: expected a regular expression"),
        ({"tenant": '{allowed = ["a"]}'}, "issuer 1 rule 1 tenant: expected a text, or a table"),
        ({"tenant": '{claim = "org", other = 1}'}, "issuer 1 rule 1 tenant other: unknown key"),
        ({"role": '"root"'}, "issuer 1 rule 1 role: Input should be 'client'"),
        ({"roles": '["client"]'}, "issuer 1 rule 1 roles: unknown key"),
        ({"bot_name": '"reader"'}, "issuer 1 rule 1: bot_name and skills have a meaning only with bot roles"),
        ({"skills": '["a"]'}, "issuer 1 rule 1: bot_name and skills have a meaning only with bot roles"),
        ({"scope": '"own"', "role": '"viewer"'}, "issuer 1 rule 1: scope has a meaning only with the role client"),
        ({"skills": '"a"', "role": '"bot:executor"'}, "issuer 1 rule 1 skills: expected a list of texts"),
        ({"owner": '"a\\nb"'}, "issuer 1 rule 1 owner value: expected one line"),
    ],
)
def test_a_mistake_in_a_rule_has_its_place(tmp_path: Path, rule: dict[str, str | None], expected: str) -> None:
    assert said(file_of(tmp_path, {}, rule)).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no issuer"),
        (b"[[issuer]", "not valid TOML"),
        (b"\xff", "the file is not UTF-8"),
        (b"issuer = 7", "issuer: Input should be a valid list"),
        (b"[[issuer]]", "issuer 1 issuer: missing"),
        (b"other = 1", "no issuer"),
    ],
)
def test_what_is_no_file_of_issuers_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "identity.toml"
    path.write_bytes(content)

    assert said(path).startswith(expected)


def test_one_issuer_has_one_table(tmp_path: Path) -> None:
    path = file_of(tmp_path, {})
    path.write_text(path.read_text() + "\n" + path.read_text())

    assert said(path) == "issuer 2 issuer: issuer 1 has the same"


async def test_a_server_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, {"algorithms": '["HS256"]'})
    for file in (path, tmp_path / "missing.toml"):
        with pytest.raises(BadSetting, match=file.name):
            async with Orchestrator(Settings(store="sqlite://:memory:", identity=str(file))):
                pass
