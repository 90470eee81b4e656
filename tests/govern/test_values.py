"""What is a secret by its name, what only stands for one, and secrets that are disguised or carry a checksum."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.govern.redaction import values, views, wallets
from swarmkeeper.govern.redaction.names import SecretKind, kind_of
from swarmkeeper.govern.redaction.packs import decoded, encoded, read_packs
from swarmkeeper.govern.redaction.redactor import SHIPPED, Redactor, default_rules, shipped_rules
from tests.govern.corpus import corpus

REDACTOR = Redactor.default()
TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", SecretKind.PASSWORD),
        ("DB_PASSWORD", SecretKind.PASSWORD),
        ("userPwd", SecretKind.PASSWORD),
        ("ftp_pass", SecretKind.PASSWORD),
        ("clientSecret", SecretKind.SECRET),
        ("githubToken", SecretKind.SECRET),
        ("X-Api-Key", SecretKind.SECRET),
        ("STRIPE_KEY", SecretKind.KEY),
        ("tokens", SecretKind.KEY),
        *[
            (name, None)
            for name in (
                *("password_field", "passwordHint", "tokenizer", "nextPageToken", "secret_name", "credentialsId"),
                *("max_tokens_per_call", "public_key", "cache_key", "hasPassword", "compass", "monkey", "author"),
                *("arn:aws:secretsmanager:eu:1:secret", "password_file", "token_type", "key_id", "keyboard"),
            )
        ],
    ],
)
def test_a_name_says_whether_its_value_is_a_secret(name: str, kind: SecretKind | None) -> None:
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    "value",
    [
        *("xxxxxxxx", "****", "your-token-here", "<token>", "${TOKEN}", "$TOKEN", "{{ token }}", "%s", "EXAMPLEKEY"),
        *("op://vault/item", "$(cat /run/pw)", "#{TOKEN}", "%(password)s", "/run/secrets/pw", "[REDACTED]"),
    ],
)
def test_what_stands_for_a_secret_is_shown(value: str) -> None:
    assert values.stands_for_a_secret(value)
    assert REDACTOR.text(f"password={value}") == f"password={value}"


@pytest.mark.parametrize(
    "value", ["hunter2", "P$ecret9", "Tr0ub4dor&3", "$2b$12$abcdefghijklmnopqrstuv", "[redacted:x]"]
)
def test_what_only_resembles_a_template_is_hidden(value: str) -> None:
    assert value not in REDACTOR.text(f"password={value}")


def test_a_long_key_that_contains_a_placeholder_by_chance_is_hidden() -> None:
    body = (
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7xxxxVJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu"
    )
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"

    assert REDACTOR.text(pem) == "[redacted:private-key]"
    assert "..." in REDACTOR.text("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----")


def test_a_rule_of_a_user_hides_placeholders_unless_it_says_otherwise() -> None:
    rule = '\n[[detector]]\nid="badge"\npattern="badge-([a-zA-Z]{4})"\nhit=["badge-abcd"]\nmiss=["badge-"]'

    assert Redactor.default("version = 1" + rule).text("badge-xxxx") == "badge-[redacted:badge]"
    assert Redactor.default("version = 1\nplaceholders = false" + rule).text("badge-xxxx") == "badge-xxxx"


@given(st.sampled_from([12, 15, 18, 21, 24]), st.integers(0, 2**32))
def test_a_seed_phrase_is_found_by_its_checksum_among_other_words(count: int, seed: int) -> None:
    words = corpus.seed_phrase(count, random.Random(seed))
    text = f"of my wallet: {' '.join(words)}; keep it"

    assert " ".join(words[2:5]) not in REDACTOR.text(text)
    assert wallets.seed_phrase(" ".join(words)) == (0, len(" ".join(words)))


def test_words_of_the_list_without_the_checksum_are_a_sentence() -> None:
    text = "legal winner thank year wave sausage worth useful legal winner thank "

    assert REDACTOR.text(text + "yellow") == "[redacted:bip39-phrase]"
    assert REDACTOR.text(text + "year") == text + "year"


def test_a_wallet_key_with_a_wrong_letter_is_none() -> None:
    key = corpus.base58check(b"\x80" + bytes(range(32)))
    wrong = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]

    assert wallets.base58check(key) == len(key)
    assert wallets.base58check(wrong) is None
    assert wallets.base58check(key.replace(key[5], "0")) is None  # no letter of base 58


@pytest.mark.parametrize("between", ["\n", "\r\n", "\\\n", "=\n", "\n    ", '" +\n  "', "'\n  '"])
def test_a_token_that_a_line_break_cuts_is_found_whole(between: str) -> None:
    shown = REDACTOR.text(f"see {TOKEN[:20]}{between}{TOKEN[20:]} and more")

    assert shown == "see [redacted:github-token] and more"


def test_the_line_after_a_whole_token_is_kept() -> None:
    assert REDACTOR.text(f"{TOKEN}\nnext line") == "[redacted:github-token]\nnext line"
    assert REDACTOR.text(f"{TOKEN}\n\nx1") == "[redacted:github-token]\n\nx1"


def test_full_width_letters_and_entities_of_html_hide_no_secret() -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "password=hunter2")

    assert REDACTOR.text(f"見よ {wide} だ") == f"見よ {wide[:9]}[redacted:password-pair] だ"
    assert REDACTOR.text("&quot;password&quot;: &quot;hunter2&quot;") == (
        "&quot;password&quot;: &quot;[redacted:password-pair]&quot;"
    )
    assert "[redacted:github-token]" in REDACTOR.text("".join(f"&#{ord(letter)};" for letter in TOKEN))
    assert REDACTOR.text("a &amp; b &lt; c &#8364; 密码：必填") == "a &amp; b &lt; c &#8364; 密码：必填"


def test_colours_of_a_terminal_hide_no_secret() -> None:
    assert REDACTOR.text("\x1b[1mpassword\x1b[0m=\x1b[33mhunter2\x1b[0m") == (
        "\x1b[1mpassword\x1b[0m=\x1b[33m[redacted:password-pair]\x1b[0m"
    )
    assert REDACTOR.text(f"\x1b[32m{TOKEN}") == "\x1b[32m[redacted:github-token]"
    assert REDACTOR.text("\x1b[32mok\x1b[0m \x1b[1;2m") == "\x1b[32mok\x1b[0m \x1b[1;2m"


def test_hard_spaces_and_printed_quotes_hide_no_secret() -> None:
    assert REDACTOR.text("“client_secret”: “9f3a77c2e1b04d6a”") == "“client_secret”: “[redacted:secret-pair]”"
    assert "hunter2" not in REDACTOR.text("curl\u00a0-u\u00a0bob:hunter2\u00a0https://x.example")
    assert REDACTOR.text("“password” is\u00a0a word") == "“password” is\u00a0a word"


def test_a_line_that_grep_found_is_judged_by_its_name_alone() -> None:
    assert REDACTOR.text("src/a.py:10:password=hunter2") == "src/a.py:10:password=[redacted:password-pair]"
    assert REDACTOR.text("src/a.py:10:password=None") == "src/a.py:10:password=None"


def test_letters_in_a_row_are_no_secret_of_a_machine() -> None:
    for value in ("abcdefghijklmnopqrstuvwxyz123456", "1234567890abcdef1234567890abcdef", "a" * 32):
        assert REDACTOR.text(f'api_key = "{value}"') == f'api_key = "{value}"'
    assert "12345678" not in REDACTOR.text('password = "12345678"')


def test_names_of_resources_are_no_tokens() -> None:
    for text in ("kubectl delete secret old-api-token-9x2kq", 'checksum/secret: "9f3a77c2e1b04d6a8c5b2d1e9f3a77c2"'):
        assert REDACTOR.text(text) == text


def test_an_address_with_a_template_is_no_mail() -> None:
    for text in ("https://${TOKEN}@git.example.com/a", "https://user:password@git.example.com/a"):
        assert REDACTOR.text(text) == text
    assert REDACTOR.text("to bob@example.com") == "to [redacted:email]"


@given(st.text("ａｂ＝：p=a é\u3000日", max_size=20))
def test_a_narrowed_text_keeps_its_length(text: str) -> None:
    assert len(views.plain(text).text) == len(views.folded(text))


def test_a_block_of_yaml_is_hidden_and_its_neighbours_are_not() -> None:
    text = "a: 1\npassword: |\n  first line\n   second\nuser: bob\n"

    assert REDACTOR.text(text) == "a: 1\npassword: |\n[redacted:yaml-block]\nuser: bob\n"


def test_every_shipped_rule_is_read_as_its_pack_says_it() -> None:
    assert encoded(read_packs(*default_rules())) == encoded(shipped_rules())  # otherwise: make docs
    assert shipped_rules() == decoded(encoded(shipped_rules()))
    assert len(shipped_rules().detectors) >= 500


def test_every_shipped_file_of_rules_is_read() -> None:
    folder = corpus.FOLDER.parents[2] / "src/swarmkeeper/govern/rules"

    assert {file.stem for file in folder.glob("*.toml")} == set(SHIPPED)


def test_every_shipped_rule_has_a_keyword_or_a_pattern_that_can_be_tried_on_anything() -> None:
    rules = [rule for text in default_rules() for rule in tomllib.loads(text).get("detector", [])]

    assert all(rule["hit"] and rule["miss"] for rule in rules)
    # Rules without keywords are part of the first look at every text, so they must be few.
    assert sum("keywords" not in rule for rule in rules) <= 80
    # Decoded bytes are tried against all of them at once.
    assert REDACTOR._detectors._inner_gate is not None


def test_values_of_objects_are_hidden_under_the_words_of_other_languages() -> None:
    shown = REDACTOR.redact({"пароль": "x", "Passwort": 1, "db_pass": ["a"], "motdepasses": 1}).value

    assert json.dumps(shown).count("[redacted:secret-field]") == 3


# ---- cost ------------------------------------------------------------------------------------------------------------

_PIECES = [
    "a",
    "A",
    "aA",
    "1",
    "x",
    "0",
    "a1",
    "-",
    "_",
    ".",
    " ",
    "a b ",
    "password",
    "token",
    "(",
    "[",
    "{",
    "$",
    "<",
    "'",
]
_ENDS = ["#", "password#", "...", "!", "(", "=", "token.", ".key(", " "]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("check", [values.password, values.secret, values.argument, values.prose, values.client_id])
def test_no_value_takes_longer_than_its_length_asks_for(check: Callable[[str, str, bool], int | None]) -> None:
    """Callers choose the texts: one that took exponential time would stop the server."""
    for piece in _PIECES:
        for end in _ENDS:
            text = piece * (3_000 // len(piece)) + end
            for name in ("password", "api_token"):
                check(name, text, True)
                check(name, text, False)
                check(text[:200], "x", True)


@pytest.mark.timeout(60)
def test_no_text_takes_longer_than_its_length_asks_for() -> None:
    redactor = Redactor.default()
    for piece in _PIECES:
        for end in _ENDS:
            text = piece * (2_000 // len(piece)) + end
            redactor.text(f'password="{text}" token: {text}\nthe password is {text}')


@pytest.mark.timeout(30)
def test_a_text_full_of_seed_phrases_is_read_once() -> None:
    words = "abandon ability able about above absent absorb abstract absurd abuse access accident "

    assert len(Redactor.default().text(words * 3_000)) < 2 * len(words)
