"""Messages to bots about a task, from the command line."""

import json

from tests.cli.shell import Shell


def test_a_message_is_sent_as_text_or_from_a_file_and_read_again(at: Shell) -> None:
    task = at("submit", "Talk", "--skill", "nobody.has.this").out.strip()
    (at.folder / "said.json").write_text('{"page": 7}')

    first = at("task", "message", task, "look at\nchapter 3")
    second = at("task", "message", task, "@said.json", "--json")

    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("msg_")
    assert second.json["payload"] == {"page": 7}
    lines = at("task", "messages", task).out.splitlines()
    assert [line.split("  ", 2)[2] for line in lines] == ["look at\\nchapter 3", '{"page": 7}']
    after = at("task", "messages", task, "--after", first.out.strip(), "--json").out.splitlines()
    assert [json.loads(line)["id"] for line in after] == [second.json["id"]]


def test_a_message_for_a_bot_that_is_not_known_is_refused_with_the_place(at: Shell) -> None:
    task = at("submit", "Talk", "--skill", "nobody.has.this").out.strip()

    said = at("task", "message", task, "hello", "--to", "nobody")

    assert said.code == 1
    assert "/to_bot" in said.err


def test_a_file_without_an_object_is_a_usage_error(at: Shell) -> None:
    (at.folder / "list.json").write_text("[]")

    assert [at("task", "message", "tsk_0", name).code for name in ("@list.json", "@absent.json")] == [2, 2]
