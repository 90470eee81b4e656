"""Tags of placeholders: equal within a tenant for equal secrets, different otherwise, absent for guessable secrets."""

from __future__ import annotations

import base64

import pytest
import re2

from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.redaction.tags import Tags
from swarmkeeper.govern.rulebook import Rulebook

REDACTOR = Redactor.default()
TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
SHAPE = r"\[redacted:github-token:[0-9a-f]{8}:[0-9a-f]{16}\]"


def rules(pepper: bytes = b"pepper") -> Rulebook:
    return Rulebook(REDACTOR, Tags(pepper))


def tagged(text: str, tenant: str = "acme", pepper: bytes = b"pepper") -> str:
    return rules(pepper).text(text, tenant=tenant)


def test_equal_secrets_of_a_tenant_have_equal_tags_wherever_they_stand() -> None:
    shown = tagged(TOKEN)
    encoded = base64.b64encode(f"see {TOKEN} !".encode()).decode()

    assert re2.fullmatch(SHAPE, shown)
    assert tagged(f"a {TOKEN}, b") == f"a {shown}, b"
    assert tagged(encoded) == shown
    assert tagged(TOKEN[:9] + "\u200b" + TOKEN[9:]) == shown
    assert rules().redact({"password": TOKEN, TOKEN: 1}, tenant="acme").value == {
        "password": shown.replace("github-token", "secret-field"),
        shown: 1,
    }
    assert tagged(TOKEN[:-1] + "b") != shown


def test_the_same_secret_has_another_tag_in_another_tenant_or_under_another_pepper() -> None:
    mine = tagged(TOKEN).split(":")

    for other in (tagged(TOKEN, "umbrella"), tagged(TOKEN, pepper=b"other")):
        assert mine[2] != other.split(":")[2]
        assert mine[3] != other.split(":")[3]


def test_tags_are_the_same_after_a_restart() -> None:
    assert rules().text(TOKEN, tenant="acme") == rules().text(TOKEN, tenant="acme")


@pytest.mark.parametrize(
    "guessable",
    [
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "ada.lovelace.of.the.analytical.engine@example.com",
        "password=hunter2",
        "password=aaaaaaaaaaaaaaaaaaaaaaaa",
        "postgresql://app:0123456789abcde@db/app",
    ],
)
def test_guessable_secrets_have_no_tag(guessable: str) -> None:
    assert tagged(guessable) == REDACTOR.text(guessable)
    assert rules().redact({"pin": 1, "password": 4111111111111111}, tenant="acme").value["password"] == (
        "[redacted:secret-field]"
    )


def test_sixteen_varied_characters_are_enough_for_a_tag() -> None:
    assert tagged("password=0123456789abcdef") != "password=[redacted:password-pair]"


def test_without_a_tenant_or_without_a_key_there_is_no_tag() -> None:
    assert rules().text(TOKEN, tenant=None) == "[redacted:github-token]"
    assert Rulebook(REDACTOR).text(TOKEN, tenant="acme") == "[redacted:github-token]"


def test_redacting_again_changes_nothing_and_finds_nothing() -> None:
    value = {"password": TOKEN, "note": [f"password={TOKEN} token: a8f3c91e22b04d7f", TOKEN], TOKEN: TOKEN}
    once = rules().redact(value, tenant="acme")

    for tenant in ("acme", "umbrella", None):
        again = rules().redact(once.value, tenant=tenant)
        assert again.value == once.value
        assert again.fields == ()


def test_what_only_looks_like_a_placeholder_is_a_secret() -> None:
    assert REDACTOR.text("password=[redacted:email:0:1]hunter2") == "password=[redacted:password-pair]"
    assert REDACTOR.text("password=[redacted:email]hunter2") == "password=[redacted:password-pair]"
    assert REDACTOR.text("password=[redacted:email:hunter22:0123456789abcdef]") == "password=[redacted:password-pair]"


def test_a_change_of_rules_does_not_affect_copies_in_use() -> None:
    book = rules()
    begun = book.in_force()
    book.change(Redactor.default('version = 1\n[[field]]\nid="pin"\nkeys=["pin"]\nhit=["pin"]\nmiss=["pins"]'))

    assert begun.hash == REDACTOR.hash != book.hash
    assert begun.redact({"pin": 1}, tenant="acme").value == {"pin": 1}
    assert book.redact({"pin": 1}, tenant="acme").value == {"pin": "[redacted:pin]"}
