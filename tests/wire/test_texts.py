"""Lines contain no control, direction or invisible characters; addresses are web addresses."""

import re
import unicodedata
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.errors import Invalid
from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.wire import shapes, v1
from swarmkeeper.wire.messages import MessageRequest
from swarmkeeper.wire.shapes import read, read_answer

BAD = [
    "a\x00b",
    "a\nb",
    "a\tb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x85b",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\ufeffb",
    "a\u2028b",
]
GOOD = ["Grüße", "東京\u3000計画", "a\u00a0b", "👩‍🚀", "می‌خواهم", "a b", "ab.c-d_e:f/g"]

SUBTASK = {"description": ""}
# (record, a valid body, the path of a line in it)
PLACES: list[tuple[Any, dict[str, Any], tuple[str | int, ...]]] = [
    (v1.TaskDefinition, {"title": "t"}, ("title",)),
    (v1.TaskDefinition, {"title": "t", "labels": {"k": "v"}}, ("labels", "k")),
    (v1.TaskDefinition, {"title": "t", "planner_skills": ["s"]}, ("planner_skills", 0)),
    (v1.TaskDefinition, {"title": "t", "evaluator_skills": ["s"]}, ("evaluator_skills", 0)),
    (
        v1.TaskDefinition,
        {"title": "t", "subtasks": [{**SUBTASK, "required_skills": ["s"]}]},
        ("subtasks", 0, "required_skills", 0),
    ),
    (v1.TaskDefinition, {"title": "t", "subtasks": [{**SUBTASK, "assign_to": "b"}]}, ("subtasks", 0, "assign_to")),
    (
        v1.TaskDefinition,
        {"title": "t", "subtasks": [{**SUBTASK, "depends_on": ["a"]}]},
        ("subtasks", 0, "depends_on", 0),
    ),
    (v1.TaskPatch, {"labels": {"k": "v"}}, ("labels", "k")),
    (v1.BotInfo, {"type": "Executor", "version": "1"}, ("version",)),
    (v1.BotInfo, {"type": "Executor", "version": "1", "name": "n"}, ("name",)),
    (v1.BotInfo, {"type": "Executor", "version": "1", "instance": "i"}, ("instance",)),
    (v1.BotInfo, {"type": "Executor", "version": "1", "skills": ["s"]}, ("skills", 0)),
    (v1.BotInfo, {"type": "Executor", "version": "1", "labels": {"k": "v"}}, ("labels", "k")),
    (v1.KeyRequest, {"role": "admin", "owner": "o"}, ("owner",)),
    (v1.KeyRequest, {"role": "admin", "bot": "b"}, ("bot",)),
    (v1.KeyRequest, {"role": "admin", "skills": ["s"]}, ("skills", 0)),
    (v1.LeaseRequest, {"bot_id": "b", "claim_id": "c"}, ("claim_id",)),
    (v1.LeaseRequest, {"bot_id": "b", "skills": ["s"]}, ("skills", 0)),
    (MessageRequest, {"to_bot": "b"}, ("to_bot",)),
]


def put(body: Any, place: tuple[str | int, ...], text: str) -> Any:
    """Return a copy of the body with `text` at a path."""
    head, *rest = place
    changed: Any = list(body) if isinstance(body, list) else dict(body)
    changed[head] = put(body[head], tuple(rest), text) if rest else text
    return changed


@pytest.mark.parametrize(("record", "body", "place"), PLACES, ids=[f"{case[0].__name__}-{case[2]}" for case in PLACES])
def test_a_line_has_no_invisible_characters(record: Any, body: dict[str, Any], place: tuple[str | int, ...]) -> None:
    for text in GOOD:
        read(record, put(body, place, text))
    for text in BAD:
        with pytest.raises(Invalid) as refused:
            read(record, put(body, place, text))
        ((pointer, code, words),) = refused.value.details
        assert code == "character"
        assert pointer.startswith("/" + str(place[0]))
        assert "one line" in words


@pytest.mark.parametrize("bad", BAD)
def test_label_names_are_lines_too(bad: str) -> None:
    with pytest.raises(Invalid):
        read(v1.TaskDefinition, {"title": "t", "labels": {bad: "v"}})


def test_texts_of_several_lines_are_unchanged() -> None:
    text = "one\n\ttwo\u202e"

    task = read(v1.TaskDefinition, {"title": "t", "description": text, "acceptance_criteria": [text]})

    assert (task.description, task.acceptance_criteria) == (text, [text])


@given(st.text(max_size=20))
def test_the_schema_accepts_the_same_lines_as_the_server(text: str) -> None:
    by_schema = re.search(shapes._LINE_PATTERN, text) is not None

    # Python's `$` also matches before a last line end, which ECMA's does not.
    assert is_line(text) == (by_schema and not text.endswith("\n"))


@given(st.characters())
def test_no_control_character_is_in_a_line(character: str) -> None:
    if unicodedata.category(character) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in (
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    ):
        assert not is_line(character)


def test_text_that_an_older_version_accepted_can_be_read() -> None:
    shown = read_answer(v1.BotInfo, {"type": "Executor", "version": "1\n", "endpoint": "javascript:1"})

    assert (shown.version, shown.endpoint) == ("1\n", "javascript:1")


@pytest.mark.parametrize("url", ["http://bot:8080/", "https://[::1]/x?y=1#z", "HTTPS://a.example", "http://10.0.0.1"])
def test_an_endpoint_is_an_http_url(url: str) -> None:
    assert read(v1.BotInfo, {"type": "Executor", "version": "1", "endpoint": url}).endpoint == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript://a.example/%0aalert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://a.example",
        "//a.example",
        "a.example",
        "http://",
        "http://user:password@a.example",
        "http://a.example/\n",
        "http://a.example/ b",
        " http://a.example",
        "http://a.example\\@b.example",
        "",
    ],
)
def test_any_other_endpoint_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(v1.BotInfo, {"type": "Executor", "version": "1", "endpoint": url})

    assert [detail[:2] for detail in refused.value.details] == [("/endpoint", "not_allowed")]


def test_every_text_type_allows_one_line_or_several_on_purpose() -> None:
    """A new text type must follow one of the two rules."""
    several = {"Description", "Text"}
    kinds = {name for name, kind in vars(shapes).items() if name[0].isupper() and get_args(kind)[:1] == (str,)} - {
        "Object"
    }
    lines = {name for name in kinds if any(part is shapes._Line for part in get_args(getattr(shapes, name)))}

    assert kinds - lines - several == {"WebAddress", "Id"}  # what an id names is looked up
    assert lines == {"Title", "Name", "NameOrNone"}
