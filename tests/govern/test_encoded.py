"""Encoded secrets are found in each supported encoding; text that only looks encoded stays unchanged."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmkeeper.core import ids
from swarmkeeper.core.model import FieldRedaction
from swarmkeeper.govern.redaction import detectors, encoded
from swarmkeeper.govern.redaction.redactor import Redactor
from tests.examples import examples

REDACTOR = Redactor.default()
UNSCANNED = "[redacted:unscanned]"

# In parts, so that nobody's scanner takes the file for a leak.
SECRETS = {
    "password-pair": "password=" + "hunter2-Zx8Yw7",
    "aws-access-key": "AKIA" + "QYLPMN5HFIQR7XYA",
    "github-token": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "stripe-key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "url-password": "postgresql://app:" + "s3cr3t@db.example.com:5432/app",
    "private-key": "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END " + "PRIVATE KEY-----",
    "card": "card 4111 1111 " + "1111 1111 of Ada",
    "email": "ada.lovelace" + "@example.co.uk",
}


# The part of each that must never be shown.
KERNELS = {
    "password-pair": "hunter2",
    "aws-access-key": "HFIQR7",
    "github-token": "e42F292c",
    "stripe-key": "4eC39",
    "url-password": "s3cr3t",
    "private-key": "MIIEvQ",
    "card": "4111",
    "email": "lovelace",
}


def as_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def as_base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def as_percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def as_hex(text: str) -> str:
    return text.encode().hex()


def as_unicode_escapes(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def as_byte_escapes(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


WRITINGS: dict[str, Callable[[str], str]] = {
    "base64": as_base64,
    "base64url": as_base64url,
    "percent": as_percent,
    "hex": as_hex,
    "u-escapes": as_unicode_escapes,
    "x-escapes": as_byte_escapes,
    "base64 of base64": lambda text: as_base64(as_base64(text)),
    "percent of base64": lambda text: as_percent(as_base64(text)),
    "hex of u-escapes": lambda text: as_hex(as_unicode_escapes(text)),
}
LETTER_BY_LETTER = (as_percent, as_unicode_escapes, as_byte_escapes)


@pytest.mark.parametrize("sentence", ["{}", "The bot said: {} and went away.", "größe: <{}>\nand more", '{{"k":"{}"}}'])
@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS)
@pytest.mark.parametrize(("rule", "secret"), SECRETS.items(), ids=SECRETS)
def test_a_secret_is_found_in_any_writing_and_what_it_is_written_in_is_hidden(
    rule: str, secret: str, writing: Callable[[str], str], sentence: str
) -> None:
    before, after = sentence.format("|").split("|")

    redacted = REDACTOR.redact({"note": sentence.format(writing(secret)), "n": 1})
    shown = redacted.value["note"]

    assert redacted.fields == (FieldRedaction("/note", rule),)
    if writing in LETTER_BY_LETTER:
        assert writing(KERNELS[rule]) not in shown
        assert f"[redacted:{rule}]" in shown
        assert shown.startswith(before)
        assert shown.endswith(after)
    else:
        assert shown == f"{before}[redacted:{rule}]{after}"
    assert REDACTOR.redact(redacted.value).value == redacted.value


def test_a_run_is_hidden_whole_and_of_escapes_only_the_secret() -> None:
    assert REDACTOR.text(f"see {as_base64('mail a@b.example now')}!") == "see [redacted:email]!"
    assert REDACTOR.text(f"see {as_hex('mail a@b.example now')}!") == "see [redacted:email]!"
    assert REDACTOR.text("größe%20 password%3Dhunter2%26x=1") == "größe%20 password%3D[redacted:password-pair]%26x=1"
    assert REDACTOR.text(r"größe p\u0061ssword=hunter2 x") == r"größe p\u0061ssword=[redacted:password-pair] x"
    assert REDACTOR.text("password%3D%C3%BC%C3%BCx&y") == "password%3D[redacted:password-pair]&y"
    assert REDACTOR.text("password%3D%FF%FFx&y") == "password%3D[redacted:password-pair]&y"


@pytest.mark.parametrize("glued", ["", "a", "ab", "abc", "id/", "x_", "9"])
@pytest.mark.parametrize("writing", [as_base64url, as_hex])
def test_a_word_glued_to_a_run_does_not_hide_it(glued: str, writing: Callable[[str], str]) -> None:
    assert "[redacted:email]" in REDACTOR.text(glued + writing("please write to ada@example.com soon"))


@pytest.mark.parametrize("glued", ["w", "0", "5", "ab9", "x_w"])
def test_a_number_is_found_at_the_very_edge_of_a_run_whatever_is_glued_to_it(glued: str) -> None:
    for number in ("4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"):
        run = glued + as_base64url(number)
        assert "[redacted:" in REDACTOR.redact([run]).value[0]


@pytest.mark.parametrize("before", range(4))
def test_a_secret_is_found_wherever_it_stands_in_a_longer_encoded_text(before: int) -> None:
    assert REDACTOR.text(as_base64("x" * before + " password=hunter2, and more")) == "[redacted:password-pair]"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n"])
@pytest.mark.parametrize("width", [64, 76])
def test_a_wrapped_block_is_read_across_its_lines(width: int, newline: str) -> None:
    # The line break is inside `ghp_`, so no line alone matches.
    secret = " ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a "
    whole = as_base64(("x " * 40)[: width // 4 * 3 - 3] + secret + "y " * 30)
    block = newline.join(whole[at : at + width] for at in range(0, len(whole), width))

    assert REDACTOR.redact([f"see: {block} x"]).value == ["see: [redacted:github-token] x"]


def test_texts_side_by_side_are_not_read_as_one_block() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    hidden = as_base64("password=hunter2")

    assert REDACTOR.redact([digest, hidden, digest]).value == [digest, "[redacted:password-pair]", digest]
    assert REDACTOR.text(f"{digest}\n{hidden}\n{digest}") == f"{digest}\n[redacted:password-pair]\n{digest}"


def test_keys_of_objects_are_read_too() -> None:
    key = as_base64("mail a@b.example")

    assert REDACTOR.redact({key: 1}).value == {"[redacted:email]": 1}


def test_invisible_characters_do_not_hide_a_run_and_are_hidden_with_it() -> None:
    run = as_base64("mail a@b.example now")

    assert REDACTOR.text(f"é {run[:9]}\u200b{run[9:]} é") == "é [redacted:email] é"
    assert REDACTOR.text(f"é {as_base64('mail a@b.ex' + chr(0x200B) + 'ample now')} é") == "é [redacted:email] é"


def test_text_that_is_not_latin_is_read() -> None:
    assert REDACTOR.text(as_base64("数据处理完成数据处理完成 password=hunter2")) == "[redacted:password-pair]"


def test_two_levels_of_encoding_are_decoded_and_three_are_not() -> None:
    thrice = as_base64(as_base64(as_base64("password=hunter2")))

    assert REDACTOR.text(thrice) == thrice


def test_more_encoded_text_than_the_cap_hides_the_whole_text() -> None:
    most = encoded.DECODED_MAX
    for write in (as_base64, as_hex, as_percent, as_unicode_escapes):
        fits, more = write("a b " * (most // 4)), write("a b " * (most // 4) + "a b c d ")

        assert REDACTOR.redact([fits]).value == [fits]
        assert REDACTOR.redact({"a": f"x {more}", "b": "kept"}).value == {"a": UNSCANNED, "b": "kept"}
    assert REDACTOR.text("a b c d " * 9_000 + "%20") == UNSCANNED
    assert REDACTOR.text("a b c d " * 9_000 + "\n%20") != UNSCANNED
    with pytest.raises(detectors.Unscanned):
        REDACTOR.find(as_base64("a b c d " * 9_000))


def test_text_decoded_twice_counts_twice() -> None:
    inner = as_base64("a b " * 8_500)

    assert REDACTOR.text(as_base64(inner[:20_000])) != UNSCANNED
    assert REDACTOR.text(as_base64(inner)) == UNSCANNED


def test_more_finds_inside_than_the_cap_hide_the_whole_text() -> None:
    assert REDACTOR.text(as_base64("a@b.example " * 1_001)) == UNSCANNED
    assert REDACTOR.text(f"{as_base64('mail a@b.example')} " * 1_001) == UNSCANNED


SEEDS = st.binary(min_size=16, max_size=16)
TIMES = st.integers(1_790_000_000_000_000, 1_890_000_000_000_000)
PREFIXES = st.sampled_from(["tsk", "sub", "wrk", "bot", "evt", "aud", "apr", "msg", "key"])
IDS = st.one_of(
    st.builds(ids.timed, PREFIXES, TIMES, SEEDS, st.just("x")),
    st.builds(ids.secret, st.just("lse"), SEEDS, st.just("x")),
    st.uuids().map(str),
)
# Without `=` and `:`: a digest may end in `pwd`, which would then begin a password in plain text.
DIGESTS = st.builds(
    lambda seed, make: make(seed),
    SEEDS,
    st.sampled_from(
        [
            lambda seed: hashlib.sha256(seed).hexdigest(),
            lambda seed: hashlib.sha1(seed).hexdigest(),
            lambda seed: hashlib.md5(seed).hexdigest().upper(),
            lambda seed: f"sha256-{hashlib.sha256(seed).hexdigest()}",
            lambda seed: base64.b64encode(hashlib.sha256(seed).digest()).decode().rstrip("="),
            lambda seed: f"00-{hashlib.md5(seed).hexdigest()}-{seed.hex()[:16]}-01",
        ]
    ),
)


@given(st.lists(IDS | DIGESTS, min_size=1, max_size=12), st.sampled_from([" ", ", ", "\n", "/", "-"]))
@examples(400)
def test_ids_and_digests_pass_untouched(words: list[str], between: str) -> None:
    value = {"each": words, "all": between.join(words), words[0]: 1}

    redacted = REDACTOR.redact(value)

    assert redacted.value == value
    assert redacted.fields == ()


@given(st.randoms(use_true_random=False), st.integers(100, 20_000))
@examples(60)
def test_images_in_base64_pass_untouched(chance: object, size: int) -> None:
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n" + chance.randbytes(size)).decode()  # type: ignore[attr-defined]  # hypothesis types it as object

    assert REDACTOR.redact({"image": image}).value == {"image": image}


ANY_RUN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/-_=%\\ux \n", max_size=300)


def careful(text: str) -> list[str]:
    return [part.text for part in encoded.decoded(text, encoded.Budget())]


def inner(text: str) -> list[str]:
    return [reading for batch in encoded.batches(text.encode(), encoded.Budget()) for reading in batch.readings()]


@given(ANY_RUN | st.lists(st.binary(min_size=12, max_size=60).map(base64.b64encode).map(bytes.decode)).map(" ".join))
@example("\n".join([as_base64("x" * 48), as_base64("password=hunter2")]))
@example(as_hex("password=hunter2") + "a")
@example(r"\\\u0061 %41%C3%A9 \xe9")
def test_the_quick_check_decodes_everything_that_the_careful_one_does(text: str) -> None:
    slow, quick = careful(text), inner(text)

    for reading in slow:
        assert reading in quick or any(reading in one for one in quick)
    for batch in encoded.batches(text.encode(), encoded.Budget()):
        for reading in batch.readings():
            # Keywords are ASCII. Characters that fold to ASCII, or to nothing, need the careful check.
            for stretch in re.findall("[\0-\x7f]+", reading):
                assert stretch.encode() in batch.raw


@pytest.mark.parametrize("width", [64, 76])
def test_a_secret_that_lies_across_the_lines_of_a_block_is_in_no_line_and_is_found(width: int) -> None:
    # Only the whole block matches, none of its lines.
    secret = " ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a "
    whole = as_base64(("x " * 40)[: width // 4 * 3 - 3] + secret + "y " * 30)
    lines = [whole[at : at + width] for at in range(0, len(whole), width)]

    assert [REDACTOR.text(line) for line in lines] == lines
    assert REDACTOR.redact({"block": "\n".join(lines)}).value == {"block": "[redacted:github-token]"}
    assert REDACTOR.redact(lines).value == lines


@pytest.mark.parametrize("sign", ["\u00ad", "\u200b", "\u2060", "\ufeff", "\U000e0041"])
def test_invisible_characters_inside_of_what_is_encoded_hide_nothing(sign: str) -> None:
    for write in (as_base64, as_hex, as_percent, as_unicode_escapes if len(sign.encode()) < 4 else as_percent):
        shown = REDACTOR.redact([write(f"please pass{sign}word=hun{sign}ter2 now")]).value[0]
        assert "[redacted:password-pair]" in shown


@given(ANY_RUN)
@example("%")
@example("%4")
@example("\\u00")
@example("\\ud83d\\ude00 is no letter")
@example("A" * 17)
@example("=" * 40)
def test_any_run_can_be_read_and_reading_it_twice_changes_nothing(text: str) -> None:
    once = REDACTOR.redact([text])

    assert REDACTOR.redact(once.value).value == once.value
    assert once.value == [REDACTOR.text(text)]


def test_escapes_in_ordinary_text_are_left_as_they_are() -> None:
    for text in ("100%25 of it", "/a%20b?q=%C3%A9", json.dumps("größe 数据 😀"), r"C:\users\xavier", quote("a b/é&c")):
        assert REDACTOR.text(text) == text
