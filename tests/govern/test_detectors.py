"""Rule packs: every shipped rule finds its secrets, and a wrong pack does not load."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.govern.redaction import checks, values, views
from swarmkeeper.govern.redaction.detectors import Detectors, Unscanned
from swarmkeeper.govern.redaction.packs import BadRules, read_packs
from swarmkeeper.govern.redaction.redactor import Redactor, default_rules, shipped_rules

UNSCANNED = "[redacted:unscanned]"
SHIPPED = read_packs(*default_rules())
REDACTOR = Redactor.default()

GOOD = """
version = 1
[[field]]
id = "places"
keys = ["*pin"]
pointers = ["/payload/**/answer", "/list/*/name"]
hit = ["card-PIN", "/payload/answer", "/payload/a/b/answer", "/list/0/name"]
miss = ["pinned", "/answer", "/list/name", "/list/0/1/name"]
[[detector]]
id = "badge"
keywords = ["badge-"]
pattern = 'badge-([0-9]{4})'
hit = [["badge", "-1234"]]
miss = ["badge-12"]
"""


def test_what_a_shipped_rule_finds_is_hidden_and_nothing_else_is_found_in_what_is_left() -> None:
    for rule in SHIPPED.detectors:
        for example in rule.hit:
            redacted = REDACTOR.redact({"text": f"see {example}", "n": 1})

            assert redacted.fields, rule.id
            assert redacted.value["text"] != f"see {example}", rule.id
            assert REDACTOR.redact(redacted.value).value == redacted.value, rule.id


def test_rules_that_are_compiled_again_find_the_same_and_share_nothing_with_those_that_were_tried() -> None:
    detectors = Detectors(SHIPPED)
    examples = [example for rule in SHIPPED.detectors for example in (*rule.hit, *rule.miss)]
    found = [detectors.find(example) for example in examples]
    tried = detectors._gate, detectors._signs, detectors._compiled[0]._pattern

    detectors.compile_again()

    again = detectors._gate, detectors._signs, detectors._compiled[0]._pattern
    assert all(new is not old for new, old in zip(again, tried, strict=True))
    assert [detectors.find(example) for example in examples] == found


def test_rules_without_examples_are_not_compiled_again() -> None:
    detectors = Detectors(shipped_rules())
    compiled = detectors._gate, detectors._signs

    detectors.compile_again()

    assert all(now is then for now, then in zip((detectors._gate, detectors._signs), compiled, strict=True))


def test_the_shipped_pack_knows_what_it_promises() -> None:
    assert {rule.id for rule in SHIPPED.detectors} >= {
        *("aws-access-key", "aws-secret-key", "google-api-key", "azure-storage-key", "azure-sas", "github-token"),
        *("gitlab-token", "slack-token", "stripe-key", "openai-key", "anthropic-key", "hugging-face-token"),
        *("npm-token", "pypi-token", "twilio-key", "sendgrid-key", "swarmkeeper-key", "private-key", "jwt"),
        *("url-password", "authorization", "basic-auth", "password-pair", "secret-pair", "card", "iban", "email"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "The executor could not reach the server: connection reset by peer after 3 tries.",
        "tsk_01J8ZK3V9Q7XWTNB6M4CFGHRD2 was leased by bot_01J8ZK3V9Q7XWTNB6M4CFGHRD2",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "2026-11-22T07:50:12.123456Z took 1795335000123456 us",
        "def password_strength(word: str) -> int: ...",
        "tokens=120000, max_tokens: 4096, secret santa, the basic idea",
        "https://docs.example.com/a/b?page=2#top",
        "Basic understanding of bearer shares in asia",
        "550e8400-e29b-41d4-a716-446655440000",
        "+49 30 901820, 4:30 pm, 127.0.0.1:8080",
        "Zusammenfassung für die Prüfung 数据处理完成",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert REDACTOR.redact(text).value == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a password=hunter2 b", "a password=[redacted:password-pair] b"),
        ("GET /?x=1&password=hunter2&y=2", "GET /?x=1&password=[redacted:password-pair]&y=2"),
        ("postgresql://app:hunter2@db/app", "postgresql://app:[redacted:url-password]@db/app"),
        ("pay 4111 1111 1111 1111 123 now", "pay [redacted:card] 123 now"),
        ("12 4111 1111 1111 1111", "12 [redacted:card]"),
        ("2512 4111 1111 1111 1111", "2512 [redacted:card]"),
        ("DE89 3704 0044 0532 0130 00 PAID TODAY", "[redacted:iban] PAID TODAY"),
        ("a@b.example, c@d.example", "[redacted:email], [redacted:email]"),
        ("Bearer ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6", "Bearer [redacted:github-token]"),
        ("größe password=geheim日本 ü", "größe password=[redacted:password-pair] ü"),
    ],
)
def test_only_the_secret_is_taken_out_of_its_text(text: str, left: str) -> None:
    assert REDACTOR.text(text) == left


@pytest.mark.parametrize(
    "hidden",
    [
        "pass\u200bword=hunter2",
        "pa\u00adss\u2060word=hun\u200dter2",
        "\u202epassword=hunter2\u202c",
        "ada\u200b@exam\ufeffple.com",
        "ghp_\u200b" + "aB3dE6gH9jK2mN5pQ8sT1v\u200bW4yZ7bC0eF3hI6",
    ],
)
def test_invisible_characters_do_not_hide_a_secret(hidden: str) -> None:
    redacted = REDACTOR.text(f"x {hidden} y")

    assert "[redacted:" in redacted
    assert redacted.startswith("x ")
    assert redacted.endswith(" y")
    assert not any(part in redacted for part in ("hun", "ter2", "ada", "W4yZ"))


def test_a_view_is_composed_across_what_is_invisible_and_knows_where_it_came_from() -> None:
    view = views.plain("a\u200be\u200b\u0301b")

    assert view.text == "aéb"
    assert view.original(1, 2) == (2, 5)


@given(st.text(st.sampled_from("aé\u0301e\u200b\u1100\u1161\u11a8가 日"), max_size=12))
def test_text_around_a_secret_is_kept_whatever_letters_it_is_made_of(around: str) -> None:
    assert (
        REDACTOR.text(f"{around} password=hunter2 {around}") == f"{around} password=[redacted:password-pair] {around}"
    )


def test_a_placeholder_that_only_looks_like_ours_is_redacted() -> None:
    assert REDACTOR.text("password=[redacted:email]") == "password=[redacted:email]"
    assert REDACTOR.text("password=[redacted:hunter2]") == "password=[redacted:password-pair]"


def test_more_finds_than_the_cap_hide_the_whole_text() -> None:
    pack = Detectors(SHIPPED)

    assert len(pack.find("a@b.example " * 1000)) == 1000
    with pytest.raises(Unscanned):
        pack.find("a@b.example " * 1001)
    with pytest.raises(Unscanned):
        pack.find("a@b.example password=x " * 501)
    with pytest.raises(Unscanned):
        pack.find("4111 1111 1111 1112 " * 10_001)
    with pytest.raises(Unscanned):
        pack.find("a" * ((1 << 20) + 1))


@pytest.mark.parametrize(
    "piece",
    [
        *("4111 ", "eyJhbGci.", "a@", "password:", "DE89 ", "-----BEGIN PRIVATE KEY-----", "sk-"),
        *("password=", "-----BEGIN ", '"a" == ', "cookie: a=b; ", "adzuna = '", "| key | a ", "\x1b[31m", "\x1b["),
        *(
            'a"\n"',
            '"a" + ',
            "use `aaaaaaaaaaaaaaaa` as ",
            "password.equals(",
            "secret: |\n ",
            "kind: Secret\ndata:\n a: b\n",
        ),
    ],
)
def test_a_text_made_to_be_slow_is_done_in_linear_time(piece: str) -> None:
    # It must end: a quadratic rule would take minutes for a megabyte, and the suite has a timeout.
    Redactor.default().redact(piece * (200_000 // len(piece)))


def test_a_second_pack_is_read_beside_the_first() -> None:
    redactor = Redactor.default(GOOD)

    assert redactor.redact({"pin": 1, "payload": {"x": {"answer": 42}}, "note": "badge-1234"}).value == {
        "pin": "[redacted:places]",
        "payload": {"x": {"answer": "[redacted:places]"}},
        "note": "badge-[redacted:badge]",
    }
    assert redactor.hash != REDACTOR.hash


def test_a_pack_may_have_only_places_or_no_rules_at_all() -> None:
    places = Redactor(read_packs(GOOD[: GOOD.index("[[detector]]")]))

    assert places.redact({"pin": 1, "note": "badge-1234"}).value == {"pin": "[redacted:places]", "note": "badge-1234"}
    assert Redactor(read_packs("version = 1")).redact({"password": "\ud800"}).value == {"password": UNSCANNED}


def test_the_hash_of_the_rules_changes_with_what_they_say_and_not_with_comments() -> None:
    assert read_packs(GOOD).hash == read_packs(f"# a comment\n{GOOD}").hash
    assert read_packs(GOOD).hash != read_packs(GOOD.replace("{4}", "{4,5}")).hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 2", "rule pack 1: version must be 1"),
        ("version = 1", "version = [", "rule pack 1 is not TOML"),
        ("version = 1", "version = 1\nextra = 1", "rule pack 1: unknown setting 'extra'"),
        ("version = 1", 'version = 1\nfield = "x"', "rule pack 1 is not TOML"),
        ("[[detector]]", "[detector]", r"'detector' must be written as \[\[detector\]\]"),
        ('id = "badge"', 'id = "Badge"', "a rule's id must be"),
        ('id = "badge"', 'id = "places"', "rule 'places' is defined twice"),
        ('id = "badge"', 'id = "unscanned"', "rule 'unscanned' is defined twice"),
        ('id = "badge"', 'id = "badge"\nflags = 1', "detector 'badge': unknown setting 'flags'"),
        ("badge-([0-9]{4})", "badge-(?=x)", "detector 'badge': RE2 does not accept the pattern"),
        ("badge-([0-9]{4})", "(badge)?", "detector 'badge': the pattern matches nothing at all"),
        ("badge-([0-9]{4})", "badge-([0-9]{5})", "detector 'badge': hit 1 is not found"),
        ("badge-([0-9]{4})", "badge-([0-9]{2})", "detector 'badge': miss 1 is found"),
        ("pattern = 'badge-([0-9]{4})'", "pattern = 4", "detector 'badge': 'pattern' must be a text"),
        ('keywords = ["badge-"]', 'keywords = ["card-"]', "detector 'badge': hit 1 is not found"),
        ('keywords = ["badge-"]', 'keywords = ["Badge-"]', "detector 'badge': keywords must be in lower case"),
        ('keywords = ["badge-"]', 'keywords = "badge-"', "detector 'badge': 'keywords' must be a list"),
        ('keywords = ["badge-"]', 'check = "magic"', "detector 'badge': 'check' must be one of"),
        ('keywords = ["badge-"]', 'entropy = "much"', "detector 'badge': 'entropy' must be a number"),
        ('keywords = ["badge-"]', "entropy = 2026-01-01", "detector 'badge': 'entropy' must be a number"),
        ('keywords = ["badge-"]', "entropy = 9.5", "detector 'badge': hit 1 is not found"),
        ('hit = [["badge", "-1234"]]', "hit = []", "detector 'badge': needs at least one 'hit'"),
        ('miss = ["badge-12"]', "", "detector 'badge': needs at least one 'miss'"),
        ('miss = ["badge-12"]', "miss = [3]", "'miss' must hold texts"),
        ('keys = ["*pin"]', 'keys = ["p*n"]', "field rule 'places': in a key"),
        ('keys = ["*pin"]', 'keys = ["*"]', "field rule 'places': in a key"),
        ('keys = ["*pin"]', 'keys = ["pin*"]', "field rule 'places': hit 1 is not found"),
        ('keys = ["*pin"]', 'keys = ["*pin*"]', "field rule 'places': miss 1 is found"),
        ('"/list/*/name"]\nhit', '"list"]\nhit', "field rule 'places': a pointer must begin with '/'"),
        ('"/list/*/name"]\nhit', '"/list/**/name"]\nhit', "field rule 'places': miss 3 is found"),
    ],
)
def test_a_pack_that_is_wrong_does_not_load_and_says_where(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(BadRules, match=message):
        Redactor(read_packs(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    "number", ["4111111111111111", "378282246310005", "6011 1111 1111 1117", "3530-1113-3330-0000"]
)
def test_a_card_needs_its_last_digit_right(number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)

    assert checks.luhn(number) == len(number)
    assert checks.luhn(wrong) is None


@pytest.mark.parametrize("account", ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "NO9386011117947"])
def test_an_account_needs_its_check_digits_right(account: str) -> None:
    assert checks.mod97(account) == len(account)
    assert checks.mod97(account[:2] + "00" + account[4:]) is None


def test_entropy_is_in_bits_a_character() -> None:
    assert values.entropy("aaaa") == 0
    assert values.entropy("abcd") == 2


@pytest.mark.parametrize("before", ["k", "9", "x_", "Token", "é"])
def test_a_token_with_a_long_prefix_is_found_inside_of_a_word(before: str) -> None:
    for token in ("ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "glpat-" + "Zx8Yw7Vu6Ts5Rq4Po3Nm"):
        assert REDACTOR.text(before + token).startswith(f"{before}[redacted:")


@pytest.mark.parametrize("pair", ["pwd=", "DB_PWD: ", "userPwd=", "db-pwd=", ";Pwd=", '"pwd": "'])
def test_a_password_is_found_under_its_short_name(pair: str) -> None:
    assert "hunter2" not in REDACTOR.text(f"x {pair}hunter2")


def test_a_digest_that_ends_in_the_short_name_is_none() -> None:
    for text in ("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLpwd=, next", "LPJNul/pwd=x", "aBc9pwd= x"):
        assert REDACTOR.text(text) == text


ALLOWANCE = """
version = 1
[[allow]]
id = "test-cards"
rules = ["card"]
patterns = ['4111 ?1111 ?1111 ?1111']
hit = ["4111 1111 1111 1111"]
miss = ["5555 5555 5555 4444"]
"""


def test_what_a_pack_allows_is_left_as_it_is_and_nothing_else() -> None:
    redactor = Redactor.default(ALLOWANCE)

    assert redactor.text("4111 1111 1111 1111, 5555555555554444") == "4111 1111 1111 1111, [redacted:card]"
    assert redactor.redact({"password": "4111 1111 1111 1111"}).value == {"password": "[redacted:secret-field]"}
    assert redactor.hash != REDACTOR.hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rules = ["card"]', 'rules = ["cards"]', "there is no detector 'cards'"),
        ('rules = ["card"]', "rules = []", "needs 'rules' and 'patterns'"),
        ("'4111 ?1111 ?1111 ?1111'", "", "needs 'rules' and 'patterns'"),
        ("?1111'", "?1112'", "hit 1 is not found"),
        ('miss = ["5555 5555 5555 4444"]', 'miss = ["4111111111111111"]', "miss 1 is found"),
        ('miss = ["5555 5555 5555 4444"]', "", "needs at least one 'miss'"),
        ("'4111 ?1111 ?1111 ?1111'", "'('", "RE2 does not accept"),
        ('id = "test-cards"', 'id = "card"', "'card' is defined twice"),
        ('rules = ["card"]', 'rules = ["card"]\nvalues = []', "unknown setting 'values'"),
    ],
)
def test_an_allowance_that_is_wrong_does_not_load(old: str, new: str, said: str) -> None:
    assert old in ALLOWANCE

    with pytest.raises(BadRules, match=said.replace("(", r"\(")):
        Redactor.default(ALLOWANCE.replace(old, new))


def test_a_rule_without_keywords_that_names_no_letters_is_found_encoded_too() -> None:
    anything = 'version=1\n[[detector]]\nid="any"\npattern="<([^<>]{6})>"\nhit=["<abcdef>"]\nmiss=["<a>"]'
    redactor = Redactor.default(anything)

    for text in ("say <größe!> now please", "say <abcdef> now please"):
        assert redactor.text(base64.b64encode(text.encode()).decode()) == "[redacted:any]"
