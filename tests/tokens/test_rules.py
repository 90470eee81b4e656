"""What a token becomes: the first rule that fits, with tenant, role, bot, owner and skills."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import ids
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.core.model import Principal
from tests.tokens.conftest import MakeTokens
from tests.tokens.provider import RULE, Provider

BOT = 'tenant = "default"\nrole = "bot:executor"\n'


async def became(tokens_of: MakeTokens, provider: Provider, *rules: str, **claims: Any) -> Principal:
    return await tokens_of(*rules).principal(provider.token(**claims))


async def why_not(tokens_of: MakeTokens, provider: Provider, *rules: str, **claims: Any) -> str:
    with pytest.raises(PermissionDenied) as refusal:
        await became(tokens_of, provider, *rules, **claims)
    return refusal.value.detail


async def test_the_first_rule_that_fits_is_taken(tokens_of: MakeTokens, provider: Provider) -> None:
    rules = [
        f'when = {{groups = "{group}"}}\ntenant = "default"\nrole = "{role}"\n'
        for group, role in (("admins", "admin"), ("people", "viewer"), ("bots", "client"))
    ]

    assert (await became(tokens_of, provider, *rules, groups=["bots", "people"])).role == "viewer"
    assert (await became(tokens_of, provider, *rules, groups=["admins", "people"])).role == "admin"
    assert "no rule" in await why_not(tokens_of, provider, *rules, groups=["guests"])


@pytest.mark.parametrize(
    ("when", "claims", "fits"),
    [
        ('{a = "x"}', {"a": "x"}, True),
        ('{a = "x"}', {"a": "y"}, False),
        ('{a = "x"}', {}, False),
        ('{a = "x"}', {"a": ["y", "x"]}, True),
        ('{a = ["x", "y"]}', {"a": "y"}, True),
        ('{a = ["x", "y"]}', {"a": ["z"]}, False),
        ('{a = "x", b = "y"}', {"a": "x"}, False),
        ('{a = "x", b = "y"}', {"a": "x", "b": "y"}, True),
        ("{a = true}", {"a": True}, True),
        ("{a = true}", {"a": 1}, False),
        ("{a = 1}", {"a": True}, False),
        ("{a = 1}", {"a": 1}, True),
        ('{a = "1"}', {"a": 1}, False),
        ('{a = "x"}', {"a": "xy"}, False),
        ('{a = "x"}', {"a": {"x": 1}}, False),
        ('{"a.b" = "x"}', {"a": {"b": "x"}}, True),
        ('{"a.b" = "x"}', {"a.b": "x"}, True),
        ('{"a.b" = "x"}', {"a.b": "y", "a": {"b": "x"}}, False),
        ('{"/a.b/c~1d/e~0f" = "x"}', {"a.b": {"c/d": {"e~f": "x"}}}, True),
        ('{"https://a.example/groups" = "x"}', {"https://a.example/groups": ["x"]}, True),
        ('{"a.0" = "x"}', {"a": ["x"]}, False),
        ('{scope = "read"}', {"scope": "write read"}, True),
        ('{scope = "read"}', {"scope": "reader"}, False),
        ('{note = "read"}', {"note": "write read"}, False),
    ],
)
async def test_when_says_which_claims_a_token_has(
    tokens_of: MakeTokens, provider: Provider, when: str, claims: dict[str, Any], fits: bool
) -> None:
    rule = f'when = {when}\ntenant = "default"\nrole = "client"\n'
    if fits:
        assert (await became(tokens_of, provider, rule, **claims)).role == "client"
    else:
        assert "no rule" in await why_not(tokens_of, provider, rule, **claims)


async def test_a_token_without_more_is_its_own_owner(tokens_of: MakeTokens, provider: Provider) -> None:
    by = await became(tokens_of, provider)

    assert (by.tenant, by.role, by.owner, by.bot, by.skills) == ("default", "client", f"{provider.url}#ann", None, None)
    assert by.token is not None
    assert (by.token.issuer, by.token.subject) == (provider.url, "ann")


async def test_a_bot_has_its_name_and_skills_from_the_rule(tokens_of: MakeTokens, provider: Provider) -> None:
    fixed = 'when = {}\nbot_name = "reader"\nskills = ["b", "a"]\nowner = "search"\n' + BOT
    claimed = 'when = {}\nbot_name = {claim = "bot"}\nskills = {claim = "can"}\nowner = {claim = "team.name"}\n' + BOT

    by = await became(tokens_of, provider, fixed)
    assert (by.bot, by.skills, by.owner) == ("reader", frozenset({"a", "b"}), "search")
    by = await became(tokens_of, provider, claimed, bot="writer", can=["c"], team={"name": "print"})
    assert (by.bot, by.skills, by.owner) == ("writer", frozenset({"c"}), "print")
    by = await became(tokens_of, provider, claimed, bot="writer", can=[], team={"name": "print"})
    assert by.skills == frozenset()  # none, not any


@pytest.mark.parametrize("value", [None, "", " ", 7, ["writer"], "a\nb", "x" * 129, {"a": 1}])
async def test_a_claim_that_the_rule_needs_is_one_short_line(
    tokens_of: MakeTokens, provider: Provider, value: Any
) -> None:
    for name in ("bot_name", "owner"):
        rule = f'when = {{}}\n{name} = {{claim = "c"}}\n' + BOT
        assert f"rule 1, {name}: the token's claim" in await why_not(tokens_of, provider, rule, c=value)
    if value is not None:
        rule = 'when = {}\nskills = {claim = "c"}\n' + BOT
        assert value == ["writer"] or "rule 1, skills" in await why_not(tokens_of, provider, rule, c=value)


async def test_the_issuer_chooses_a_tenant_only_among_those_allowed(tokens_of: MakeTokens, provider: Provider) -> None:
    listed = 'when = {}\nrole = "client"\ntenant = {claim = "org", allowed = ["a", "b"]}\n'
    matched = 'when = {}\nrole = "client"\ntenant = {claim = "org", pattern = "team-[a-z]+"}\n'

    assert (await became(tokens_of, provider, listed, org="b")).tenant == "b"
    assert "not one of those allowed" in await why_not(tokens_of, provider, listed, org="c")
    assert (await became(tokens_of, provider, matched, org="team-x")).tenant == "team-x"
    for other in ("team-", "team-x\n", "xteam-x", "team-x1"):
        assert "rule 1, tenant" in await why_not(tokens_of, provider, matched, org=other)


async def test_the_key_id_of_a_subject_is_the_same_for_all_its_tokens(
    tokens_of: MakeTokens, provider: Provider
) -> None:
    first, again = [await became(tokens_of, provider, jti=jti) for jti in ("1", "2")]
    other = await became(tokens_of, provider, sub="bob")
    elsewhere = await became(tokens_of, provider, RULE.replace("default", "other"))

    assert first.key_id == again.key_id
    assert len({first.key_id, other.key_id, elsewhere.key_id}) == 3
    assert first.token is not None
    assert again.token is not None
    assert first.token.id != again.token.id


text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(text, text, text, text, text)
def test_two_key_ids_of_tokens_are_of_one_person_by_subject_or_owner(
    issuer: str, subject: str, other: str, owner: str, another: str
) -> None:
    one = ids.of_token("t", issuer, subject, owner)

    assert ids.is_same_person(one, ids.of_token("t", issuer, subject, another), another, None)
    assert ids.is_same_person(one, "key_0", owner, None)
    assert ids.is_same_person(one, ids.of_token("t", issuer, other, another), another, None) == (
        subject == other or owner == another
    )
    assert not ids.is_same_person("key_0", "key_1", owner, None)
    assert ids.is_same_person(one, "key_0", None, None) is False


@given(text, text, text, text)
def test_two_key_ids_of_tokens_with_persons_are_told_apart_by_person_and_not_by_owner(
    subject: str, other: str, owner: str, another: str
) -> None:
    ann, bob = "per_ANN", "per_BOB"
    one = ids.of_person(ids.of_token("t", "i", subject, owner), ann)

    assert len(one) == len("oid_") + 64  # as long as a path accepts
    assert ids.is_same_person(one, "key_0", another, ann)
    assert not ids.is_same_person(one, "key_0", owner, bob)
    assert ids.is_same_person(one, "key_0", owner, None)  # the caller has no person: owners are compared
    assert ids.is_same_person(one, ids.of_person(ids.of_token("t", "i", other, another), bob), another, bob) == (
        subject == other
    )
