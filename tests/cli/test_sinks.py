"""`sinks check` and `sinks status`."""

import json
from pathlib import Path

from tests.cli.shell import Shell


def file_of(folder: Path, *tables: str) -> str:
    (folder / "sinks.toml").write_text("\n".join(tables))
    return "sinks.toml"


FILE = '[sink.file]\nkind = "jsonl"\npath = "audit.jsonl"\nrequired = true\n'
GONE = '[sink.siem]\nkind = "syslog"\nhost = "127.0.0.1"\nport = 1\ninsecure = true\n'


def test_check_sends_a_test_record_to_each_sink(shell: Shell, tmp_path: Path) -> None:
    file = file_of(shell.folder, FILE)

    checked = shell("sinks", "check", file)

    (line,) = (shell.folder / "audit.jsonl").read_text().splitlines()
    assert checked.code == 0, checked.err
    assert "ok" in checked.out
    assert json.loads(line)["type"] == "io.swarmkeeper.audit.test.v1"


def test_check_says_which_sink_does_not_answer(shell: Shell) -> None:
    file = file_of(shell.folder, FILE, GONE)

    checked = shell("sinks", "check", file, "--json")

    good, bad = map(json.loads, checked.out.splitlines())
    assert checked.code == 1
    assert (good["sink"], good["ok"]) == ("file", True)
    assert (bad["sink"], bad["ok"], bad["place"]) == ("siem", False, "tcp://127.0.0.1:1")
    assert "refused" in bad["problem"].lower()


def test_a_wrong_file_is_refused_with_its_place(shell: Shell) -> None:
    checked = shell("sinks", "check", file_of(shell.folder, "[sink.a]\nkind = 'x'\n"))

    assert checked.code == 2
    assert "sinks.toml: [sink.a] kind: expected one of" in checked.err


def test_status_shows_what_each_sink_lacks(shell: Shell) -> None:
    file = file_of(shell.folder, FILE)
    assert shell("key", "create", "--store", "sqlite:///s.db", "--role", "admin").code == 0

    shown = shell("sinks", "status", "--store", "sqlite:///s.db", "--sinks", file, "--json")

    assert shown.code == 0, shown.err
    assert (shown.json["sink"], shown.json["required"], shown.json["behind_records"]) == ("file", True, 1)
    assert shell("sinks", "status", "--store", "sqlite:///s.db").code == 2
