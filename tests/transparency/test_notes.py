"""Signed notes and checkpoints: those that others have published, and notes that somebody has changed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.transparency import checkpoints, notes
from swarmkeeper.transparency.checkpoints import Head
from swarmkeeper.transparency.notes import COSIGNATURE, BadKey, BadNote, SigningKey, VerifierKey

# Of Go's package golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
SAID = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = (
    f"{SAID}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# Of the specification c2sp.org/signed-note.
EXAMPLE = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
HEAD = Head("swarm.example.org/acme", 7, bytes(range(32)))


def key(name: str = "swarm.example.org/acme", seed: int = 1, algorithm: int = notes.ED25519) -> SigningKey:
    return notes.new_key(name, bytes([seed]) * 32, algorithm)


@pytest.mark.parametrize(("known", "note"), [(NEUMANN, SIGNED), (EXAMPLE, EXAMPLE_NOTE)])
def test_notes_that_others_have_published_are_verified(known: str, note: str) -> None:
    verifier = VerifierKey.parse(known)

    assert notes.verify(notes.parse(note.encode()), [verifier]) == [verifier]
    assert str(verifier) == known
    assert str(notes.parse(note.encode())) == note


def test_a_note_is_signed_as_go_signs_it() -> None:
    secret = SigningKey.parse(NEUMANN_SECRET)

    assert str(notes.sign(SAID, [secret])) == SIGNED
    assert str(secret.verifier) == NEUMANN
    assert secret.secret() == NEUMANN_SECRET
    assert "AYEKFA" not in repr(secret)


@given(st.integers(0, len(SIGNED.encode()) - 1), st.integers(1, 255))
def test_a_note_with_any_byte_changed_is_refused(at: int, by: int) -> None:
    changed = bytearray(SIGNED.encode())
    changed[at] ^= by

    with pytest.raises(BadNote):
        notes.verify(notes.parse(bytes(changed)), [VerifierKey.parse(NEUMANN)])


@pytest.mark.parametrize(
    ("note", "says"),
    [
        (SAID, "an empty line, and signatures"),
        (SIGNED.replace("— ", "-- "), "an em dash"),
        (SIGNED.replace("think", "th\tink"), "lines of text"),
        (SIGNED[:-1], "an empty line, and signatures"),
        (SIGNED.replace("x08go/", "x08go_"), "base64"),
        (SIGNED.replace("PeterNeumann x", "Peter+Neumann x"), "without spaces and plus"),
        (SAID + "\n— PeterNeumann x08go===\n", "base64"),
        ("x" * (notes.NOTE_MAX + 1), "at most"),
        (SIGNED + "— a AAAAAAAA\n" * 100, "at most 100 signatures"),
    ],
)
def test_what_is_no_note_is_refused_with_the_reason(note: str, says: str) -> None:
    with pytest.raises(BadNote, match=says):
        notes.parse(note.encode())


def test_signatures_of_unknown_keys_do_not_count_and_do_not_harm() -> None:
    known, other = key(), key(seed=2)
    note = notes.sign("text\n", [other, known])

    assert notes.verify(note, [known.verifier]) == [known.verifier]
    with pytest.raises(BadNote, match="not signed by somebody"):
        notes.verify(note, [key("somebody", 3).verifier])


def test_a_wrong_signature_of_one_known_key_refuses_the_note_although_another_is_right() -> None:
    known, other = key(), key(seed=2)
    note = notes.sign("text\n", [known, other])
    spoilt = dataclasses.replace(note.signatures[1], signature=note.signatures[0].signature)

    half_right = dataclasses.replace(note, signatures=(note.signatures[0], spoilt))
    with pytest.raises(BadNote, match="is wrong"):
        notes.verify(half_right, [known.verifier, other.verifier])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NEUMANN.replace("c74f", "c74e"), "the id in this verifier key"),
        (NEUMANN.replace("Neumann", "Neuman"), "the id in this verifier key"),
        (NEUMANN[:-4], "not one of Ed25519"),
        ("PeterNeumann", "not one of Ed25519"),
        ("PeterNeumann+c74f20a3+A", "name"),
        (NEUMANN.replace("+AR", "+BR"), "not one of Ed25519"),
    ],
)
def test_a_key_that_was_copied_wrongly_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadKey, match=says):
        VerifierKey.parse(text)


def test_a_message_about_a_signing_key_does_not_show_it() -> None:
    with pytest.raises(BadKey) as refused:
        SigningKey.parse(NEUMANN_SECRET[:-4])

    assert "AYEKFA" not in str(refused.value)


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_a_checkpoint_has_name_size_and_root_and_both_keys_while_one_replaces_the_other() -> None:
    old, new = key("swarm.example.org"), key("swarm.example.org", 2)
    data = str(checkpoints.sign(HEAD, [old, new])).encode()

    for known in (old, new):
        head, note = checkpoints.verified(data, [known.named(HEAD.origin).verifier])
        assert head == HEAD
        assert note.text == "swarm.example.org/acme\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


def test_the_checkpoint_of_another_log_is_refused_though_the_key_is_known() -> None:
    signed = checkpoints.sign(dataclasses.replace(HEAD, origin="swarm.example.org/other"), [key()])
    other = key("swarm.example.org/other").verifier

    with pytest.raises(BadNote, match="and not of"):
        checkpoints.verified(str(signed).encode(), [other], HEAD.origin)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n07\n" + "A" * 43 + "=\n",
        "origin\n-7\n" + "A" * 43 + "=\n",
        "origin\n٧\n" + "A" * 43 + "=\n",
        "origin\n7\n" + "A" * 42 + "\n",
        "origin\n7\nAA==\n",
        "origin\n7\n",
        "origin\n7\n\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        checkpoints.parse(notes.sign(text, [key()]))


def test_a_witness_signs_the_time_too() -> None:
    witness = key("witness.example.org/one", 3, COSIGNATURE)
    note = checkpoints.sign(HEAD, [key()])
    cosigned = note.with_signatures([checkpoints.cosign(note, witness, 1_679_315_147)])
    read = notes.parse(str(cosigned).encode())

    assert checkpoints.cosigned_at(read, witness.verifier) == 1_679_315_147
    assert checkpoints.cosigned_at(note, witness.verifier) is None
    later = dataclasses.replace(
        read.signatures[1], signature=(1_679_315_148).to_bytes(8) + read.signatures[1].signature[8:]
    )
    with pytest.raises(BadNote, match="the cosignature of"):
        checkpoints.cosigned_at(dataclasses.replace(read, signatures=(later,)), witness.verifier)
