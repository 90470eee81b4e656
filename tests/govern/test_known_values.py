"""A value that is known to be secret is found in every form, wherever it is, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import Json, Redacted
from swarmkeeper.govern import known_values
from swarmkeeper.govern.known_values import RULE, KnownValues, TooManyValues
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.redaction.tags import Tags, TenantTags
from swarmkeeper.govern.rulebook import Rulebook

PLAIN = "correct horse/battery+staple"  # no rule knows it


class Knowing:
    """A redactor, and what one tenant knows."""

    def __init__(self, *values: str) -> None:
        self.redactor, self.known = Redactor.default(), KnownValues()
        self.known.add(values)

    def redact(self, value: Json) -> Redacted:
        return self.redactor.redact(value, known=self.known)

    def text(self, value: str, tags: TenantTags | None = None) -> str:
        return self.redactor.text(value, tags=tags, known=self.known)


def knowing(*values: str) -> Knowing:
    return Knowing(*values)


FORMS = {
    "plain": PLAIN,
    "base64": base64.b64encode(PLAIN.encode()).decode(),
    "base64 after one byte": base64.b64encode(b"x" + PLAIN.encode() + b"yz").decode(),
    "base64 after two bytes": base64.b64encode(b"xx" + PLAIN.encode() + b"y").decode(),
    "base64 for URLs": base64.urlsafe_b64encode(b"\xff\xfe" + PLAIN.encode()).decode(),
    "percent": quote(PLAIN, safe=""),
    "percent in lower case": quote(PLAIN, safe="").replace("%2F", "%2f"),
    "a form": quote_plus(PLAIN),
    "every byte in percent": "".join(f"%{byte:02X}" for byte in PLAIN.encode()),
    "hexadecimal": PLAIN.encode().hex(),
    "hexadecimal in capitals": PLAIN.encode().hex().upper(),
    "JSON": json.dumps(PLAIN),
    "JSON in JSON": json.dumps(json.dumps({"a": PLAIN})),
    "escapes": "".join(f"\\u{ord(letter):04x}" for letter in PLAIN),
    "HTML": html.escape(PLAIN),
    "base64 of base64": base64.b64encode(base64.b64encode(PLAIN.encode())).decode(),
    "hexadecimal of base64": base64.b64encode(PLAIN.encode()).hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_released_value_is_hidden_in_every_form(form: str) -> None:
    redactor = knowing(PLAIN)

    shown = redactor.redact({"message": f"it says {FORMS[form]} here"})

    assert [field.rule for field in shown.fields] == [RULE], shown.value
    assert FORMS[form] not in json.dumps(shown.value)


@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_a_value_too_short_for_the_decoders_is_hidden_in_base64_at_each_offset(before: str) -> None:
    encoded = base64.b64encode(f"{before}hunter22".encode()).decode().rstrip("=")
    assert Redactor.default().redact({"a": encoded}).fields == ()

    assert [field.rule for field in knowing("hunter22").redact({"a": encoded}).fields] == [RULE]


def test_before_its_release_a_value_without_a_form_of_its_own_is_not_hidden() -> None:
    assert knowing("another value").redact({"a": PLAIN}).fields == ()


def test_what_was_found_harmless_before_the_release_is_hidden_after_it() -> None:
    redactor = knowing()
    sent = {"a": "hunter22", "hunter22": 1}
    assert redactor.redact(sent).fields == ()

    redactor.known.add(["hunter22"])

    assert "hunter22" not in json.dumps(redactor.redact(sent).value)


def test_a_value_that_comes_as_a_number_is_hidden() -> None:
    redactor = knowing("83514027")

    shown = redactor.redact({"pin": [83514027, -83514027, 83514028]})

    assert shown.value == {"pin": [f"[redacted:{RULE}]", f"[redacted:{RULE}]", 83514028]}


def test_each_long_line_of_a_value_is_hidden_by_itself() -> None:
    redactor = knowing("first line of a letter\nsecond line of a letter\nshort")

    assert redactor.text("got: second line of a letter") == f"got: [redacted:{RULE}]"
    assert redactor.text("short") == "short"


def test_values_that_contain_each_other_are_hidden_whole() -> None:
    redactor = knowing("swordfish", "my swordfish is old", "is old and blue")

    assert redactor.text("my swordfish is old and blue!") == f"[redacted:{RULE}]!"


def test_equal_values_of_a_tenant_have_one_tag_in_placeholder_and_audit() -> None:
    tags = Tags(b"pepper").of("acme")
    value = "kD93-fj2L_0qpZ77x!"

    assert knowing(value).text(value, tags=tags) == f"[redacted:{RULE}:{tags.mark(value)}]"


def test_the_values_stay_known_when_the_rules_change() -> None:
    rules = Rulebook(Redactor.default())
    rules.known.add("acme", [PLAIN])
    before = rules.in_force()

    rules.change(Redactor.default())

    assert PLAIN not in rules.text(PLAIN, tenant="acme")
    assert PLAIN not in before.text(PLAIN, tenant="acme")


def test_a_value_that_is_forgotten_is_shown_and_all_others_stay_hidden() -> None:
    redactor = knowing("first value", "second value")
    assert redactor.redact({"a": "first value"}).fields != ()

    redactor.known.forget(["first value"])

    assert redactor.redact({"a": "first value"}).fields == ()
    assert redactor.redact({"a": "second value"}).fields != ()


def test_redacting_twice_changes_nothing_even_if_a_value_is_a_word_of_placeholders() -> None:
    redactor = knowing("redacted", "released")

    once = redactor.text("it was released")

    assert redactor.text(once) == once


def test_short_and_endless_values_cannot_be_known() -> None:
    for value in ("seven77", "x" * (known_values.VALUE_MAX + 1)):
        with pytest.raises(ValueError, match="characters"):
            KnownValues().add([value])


def test_no_more_values_are_known_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_values, "VALUES_MAX", 10)
    known = KnownValues()
    known.add([f"value number {n}" for n in range(10)])

    with pytest.raises(TooManyValues):
        known.add(["one too many"])
    known.add(["value number 3"])

    assert len(known) == 10


@given(
    values=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=20), min_size=1, max_size=12
    ),
    around=st.text(max_size=20),
    data=st.data(),
)
def test_each_of_many_values_is_found_by_its_forms(values: list[str], around: str, data: st.DataObject) -> None:
    known = KnownValues()
    for value in values:  # one by one, so that layers are made and joined
        known.add([value])
    value = data.draw(st.sampled_from(values))
    form = data.draw(st.sampled_from(sorted(known_values.forms(value))))
    text = around.encode("utf-8", "replace") + form + around.encode("utf-8", "replace")

    assert any(text[start:end] == form or len(form) < end - start for start, end, _ in known.spans(text))


@given(st.binary(max_size=200))
def test_whatever_is_found_is_a_form_of_a_value(data: bytes) -> None:
    known = KnownValues()
    known.add(["aaaaaaaa", "0123456789abcdef"])

    for start, end, value in known.spans(data):
        assert data[start:end] in known_values.forms(value)


def test_a_text_that_begins_like_many_values_everywhere_is_not_shown_and_takes_no_time() -> None:
    begin = "-----BEGIN PRIVATE"
    values = [f"{begin} KEY-----{number:06d}" for number in range(500)]
    redactor = knowing(*values)
    hostile = f"{begin} " * 20_000

    began = time.process_time()
    assert redactor.redact(hostile).value == "[redacted:unscanned]"
    assert time.process_time() - began < 10  # with ten times the values and the text, comparing all takes minutes
    assert redactor.redact(f"{begin} KEY").value == f"{begin} KEY"
    assert values[7] not in str(redactor.redact(f"it is {values[7]}").value)


# ---- tenants ---------------------------------------------------------------------------------------------------------


def of_two_tenants() -> Rulebook:
    """Rules in which acme knows a value, and globex another."""
    rules = Rulebook(Redactor.default())
    rules.known.add("acme", [PLAIN, "83514027"])
    rules.known.add("globex", ["swordfish"])
    return rules


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_hidden_in_text_of_its_tenant_and_shown_in_that_of_others(form: str) -> None:
    rules = of_two_tenants()
    sent = {"message": f"it says {FORMS[form]} here", PLAIN: 83514027}

    for tenant in ("globex", "initech", ""):
        shown = rules.redact(sent, tenant=tenant)
        assert (shown.value, shown.fields) == (sent, ())
        assert rules.text(FORMS[form], tenant=tenant) == FORMS[form]

    hidden = rules.redact(sent, tenant="acme")
    assert [field.rule for field in hidden.fields] == [RULE] * 3, hidden.value


def test_what_another_tenant_sent_before_is_no_reason_to_show_it() -> None:
    rules = of_two_tenants()
    sent = {"a": "swordfish", "swordfish": 1}

    assert rules.redact(sent, tenant="acme").fields == ()
    assert len(rules.redact(sent, tenant="globex").fields) == 2
    assert rules.redact(sent, tenant="acme").fields == ()


def test_text_of_no_tenant_hides_what_any_of_them_knows() -> None:
    rules = of_two_tenants()

    shown = rules.redact({"a": f"{PLAIN} and swordfish", "b": 83514027}, tenant=None)

    hidden = f"[redacted:{RULE}]"
    assert shown.value == {"a": f"{hidden} and {hidden}", "b": hidden}
    rules.known.add("initech", ["another value"])
    assert rules.text("another value", tenant=None) == hidden


def test_names_in_errors_hide_what_their_tenant_knows() -> None:
    rules = of_two_tenants()
    schema: dict[str, Json] = {"properties": {"swordfish": {"type": "null"}}}

    def pointer(tenant: str) -> str:
        return rules.check_answer(schema, {"swordfish": 1}, tenant=tenant)[0][0]

    assert pointer("acme") == "/answer/swordfish"
    assert pointer("globex") == f"/answer/[redacted:{RULE}]"


def test_a_tenant_that_fills_its_room_takes_none_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_values, "VALUES_MAX", 3)
    rules = of_two_tenants()
    rules.known.add("globex", ["value number 1", "value number 2"])
    with pytest.raises(TooManyValues):
        rules.known.add("globex", ["value number 3"])

    rules.known.add("acme", ["value number 3"])

    assert rules.text("value number 3", tenant="acme") == f"[redacted:{RULE}]"
    assert rules.text(PLAIN, tenant="acme") == f"[redacted:{RULE}]"
    assert rules.text("value number 3", tenant="globex") == "value number 3"


def test_a_value_of_two_tenants_that_one_forgets_stays_hidden_for_the_other() -> None:
    rules = of_two_tenants()
    rules.known.add("globex", [PLAIN])

    rules.known.forget("acme", [PLAIN])

    assert rules.text(PLAIN, tenant="acme") == PLAIN
    assert rules.text(PLAIN, tenant="globex") == f"[redacted:{RULE}]"
    assert rules.text(PLAIN, tenant=None) == f"[redacted:{RULE}]"


def test_only_the_log_metrics_of_all_tenants_and_doctor_redact_text_of_no_tenant() -> None:
    source = Path(known_values.__file__).parents[1]
    places = {
        str(file.relative_to(source))
        for file in source.rglob("*.py")
        if "tenant=None)" in file.read_text(encoding="utf-8") and "redact(" in file.read_text(encoding="utf-8")
    }

    assert places == {"observe/logs.py", "offline/doctor.py"}
