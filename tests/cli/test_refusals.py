"""Errors around a command (arguments, files, store, terminal) are reported in one shape, never as a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarmkeeper.cli.framework import terminal
from tests.cli.conftest import Running
from tests.cli.shell import Said, Server, Shell

NEEDY = """from swarmkeeper import *
class Needy(ExecutorBot):
    skills = {'x'}
    def __init__(self):
        raise RuntimeError('no luck')
    def execute(self, subtask): ...
"""
PLAN = {"title": "t", "subtasks": [{"key": "a", "description": "d"}]}


def refused(said: Said, exit_code: int, code: str) -> None:
    """Check that there is one error in the shape of all, and nothing on stdout."""
    assert (said.code, said.out) == (exit_code, ""), said.err
    assert said.err.startswith(f"error[{code}]: "), said.err
    assert "Traceback" not in said.err


# ---- what was typed --------------------------------------------------------------------------------------------------


def test_a_skill_is_refused_if_the_file_has_subtasks(at: Shell) -> None:
    (at.folder / "plan.json").write_text(json.dumps(PLAN))

    refused(at("submit", "-f", "plan.json", "--skill", "q"), 2, "skill")
    assert at("submit", "-f", "plan.json").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["task", "get", ""],
        ["task", "get", ".."],
        ["task", "cancel", ""],
        ["task", "get", "\udcff"],
        ["bot", "get", ""],
        ["task", "list", "--label", "\udcff:x"],
    ],
)
def test_an_invalid_id_is_refused(at: Shell, words: list[str]) -> None:
    refused(at(*words), 2, "invalid")


def test_a_key_that_does_not_fit_a_header_is_refused_and_not_repeated(at: Shell) -> None:
    for key in ("ключ", "swk_a b", "swk_\x07"):
        said = at("task", "list", "--api-key", key)
        refused(said, 2, "invalid")
        assert key not in said.err
    (at.folder / "two.key").write_text("swk_one\nswk_two\n")
    (at.folder / "bytes.key").write_bytes(b"\x7fELF\xff\xfe\x00")
    at.set(SWARMKEEPER_API_KEY="")
    for file in ("two.key", "bytes.key"):
        said = at("task", "list", "--api-key-file", file)
        refused(said, 2, "invalid")
        assert "swk_one" not in said.err
        assert "file" in said.err
    (at.folder / "bot.py").write_text("from swarmkeeper import *\n@executor(skills={'x'})\ndef a(subtask): ...\n")
    refused(at("bot", "run", "bot.py", "--api-key-file", "two.key"), 2, "invalid")
    refused(at("bot", "run", "bot.py", "--api-key-file", "nowhere.key"), 1, "key_file")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nan.json", '{"title": "t", "input": {"x": NaN}}'),
        ("infinite.json", '{"title": "t", "input": {"x": 1e999}}'),
        ("half.json", '{"title": "t", "description": "secret\\ud800"}'),
        ("day.toml", 'title = "t"\n[input]\nday = 2026-01-01\n'),
    ],
)
def test_a_task_that_json_cannot_represent_is_refused(at: Shell, name: str, text: str) -> None:
    (at.folder / name).write_text(text)

    said = at("submit", "-f", name)

    refused(said, 2, "not_json")
    assert "secret" not in said.err
    if name.endswith(".json"):
        refused(at("api", "POST", "/tasks", "--data", f"@{name}"), 2, "not_json")


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf", "-inf"])
def test_a_timeout_must_be_a_number_of_seconds(shell: Shell, seconds: str) -> None:
    for words in (["submit", "x", "--wait"], ["task", "watch", "tsk_1"], ["demo", "."]):
        said = shell(*words, "--timeout-seconds", seconds)
        assert said.code == 2, said
        assert "--timeout-seconds" in said.err


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("x = 1\n\nimport nothing_of_this_name\n", 3, "nothing_of_this_name"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        (NEEDY, 5, "no luck"),
    ],
)
def test_a_bot_that_cannot_be_loaded_is_reported_with_file_and_line(
    shell: Shell, text: str, line: int, says: str
) -> None:
    (shell.folder / "broken_bot.py").write_text(text)

    for target in ("broken_bot.py", "broken_bot:Needy"):
        sys.modules.pop("broken_bot", None)
        said = shell("bot", "run", target)
        refused(said, 1, "bot_fails")
        assert f"broken_bot.py, line {line}" in said.err
        assert says in said.err


def test_init_exits_with_2_if_a_file_is_in_the_way(shell: Shell) -> None:
    (shell.folder / "file").write_text("mine")

    refused(shell("init", "file"), 2, "folder")
    assert (shell.folder / "file").read_text() == "mine"


# ---- the store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [100, 4096, 20_000])
def test_a_damaged_store_is_reported_with_a_fix(shell: Shell, kept: int) -> None:
    shell("key", "create", "--store", "sqlite:///a.db", "--role", "admin")
    file = shell.folder / "a.db"
    file.write_bytes(file.read_bytes()[:kept])

    for words in (["serve", "--port", "0"], ["key", "create", "--role", "client"], ["migrate"]):
        said = shell(*words, "--store", "sqlite:///a.db")
        assert "Traceback" not in said.err
        if said.code == 0:  # this command does not read the lost part
            continue
        refused(said, 1, "store_damaged")
        assert "  why " in said.err
        assert "  fix " in said.err
    audit = shell("audit", "verify", "sqlite:///a.db")
    assert (audit.code, audit.out.startswith("audit log tampered: ")) == (1, True), audit
    sound = shell("doctor", "--deep", "--store", "sqlite:///a.db")
    assert (sound.code, "cannot be read" in sound.out) == (11, True), sound


def test_an_emptied_file_is_not_a_store(shell: Shell) -> None:
    shell("key", "create", "--store", "sqlite:///a.db", "--role", "admin")
    (shell.folder / "a.db").write_bytes(b"")

    refused(shell("audit", "verify", "sqlite:///a.db"), 5, "no_store")
    refused(shell("doctor", "--deep", "--store", "sqlite:///a.db"), 5, "no_store")
    refused(shell("migrate", "--store", "sqlite:///a.db"), 5, "no_store")
    assert (shell.folder / "a.db").read_bytes() == b""


def test_no_key_is_created_in_a_store_in_memory(shell: Shell) -> None:
    said = shell("key", "create", "--store", "sqlite://:memory:", "--role", "admin")

    refused(said, 2, "store_in_memory")


# ---- servers ---------------------------------------------------------------------------------------------------------


def test_api_prints_text_unchanged(at: Shell, running: Running) -> None:
    metrics = at("api", "GET", "/metrics")
    assert (metrics.code, metrics.out.startswith("# ")) == (0, True), metrics
    docs = at("api", "GET", "/docs")
    assert (docs.code, docs.out.lower().startswith("<!doctype html>")) == (0, True)
    assert at("api", "GET", "/health").json["status"] == "ok"


def test_the_command_that_dev_suggests_works(shell: Shell) -> None:
    dev = Server("dev", "--port", "0", folder=shell.folder)
    try:
        assert dev.process.stdout is not None
        line = next(line for line in iter(dev.process.stdout.readline, "") if line.startswith("try "))
        words = line.removeprefix("try ").split("   in another terminal")[0].split()
        assert words[0] == "swarmkeeper"
        said = shell(*words[1:], "--timeout-seconds", "60")
        assert said.code == 0, said.err
    finally:
        dev.stop()


def test_demo_of_an_empty_directory_starts_nothing(shell: Shell) -> None:
    (shell.folder / "empty").mkdir()
    (shell.folder / "tmp").mkdir()
    run = Server("demo", "empty", folder=shell.folder, environ={"TMPDIR": str(shell.folder / "tmp")})

    assert run.end() == 2
    assert "error[nothing_to_review]: nothing to review" in run.said()
    assert list((shell.folder / "tmp").iterdir()) == []


# ---- the terminal ----------------------------------------------------------------------------------------------------

INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from swarmkeeper.cli.main import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "swarmkeeper.cli.framework.terminal", "swarmkeeper.settings"])
def test_an_interrupt_while_the_command_loads_is_silent(module: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, module]
    run = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)

    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")


def test_json_output_cannot_control_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"a": "\x9b31m \u202e \x7f \x1b \ud800", "b": "日本 é 🙂"}

    terminal.say_json(answer)

    said = capsys.readouterr().out
    assert json.loads(said) == answer
    assert "日本 é 🙂" in said
    assert all(letter.isprintable() for letter in said.strip())


def in_process(folder: Path, environ: dict[str, str], *words: str) -> Said:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
    command = [sys.executable, "-m", "swarmkeeper.cli", *words]
    run = subprocess.run(command, capture_output=True, check=False, cwd=folder, env={**clean, **environ}, timeout=60)
    return Said(run.returncode, run.stdout.decode("ascii"), run.stderr.decode("ascii"))


def test_a_title_that_the_terminal_cannot_show_is_escaped(at: Shell, running: Running) -> None:
    task = at("submit", "日本語").out.strip()
    environ = {
        "PYTHONIOENCODING": "ascii",
        "SWARMKEEPER_URL": running.url,
        "SWARMKEEPER_API_KEY": running.key,
    }

    said = in_process(at.folder, environ, "task", "get", task)

    assert (said.code, "\\u65e5\\u672c\\u8a9e" in said.out) == (0, True), said


def test_help_is_shown_in_an_ascii_locale(tmp_path: Path) -> None:
    environ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}

    for words in (["--help"], ["submit", "--help"]):
        said = in_process(tmp_path, environ, *words)
        assert (said.code, "Usage" in said.out) == (0, True), said


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "words", "message"),
    [
        (
            "bomb.yaml",
            LAUGHS,
            ("submit", "-f", "bomb.yaml"),
            "the file cannot be read as YAML: it is too large",
        ),
        ("deep.yaml", "- " * 5_000, ("submit", "-f", "deep.yaml"), "the file cannot be read as YAML: it is nested"),
        ("deep.json", "[" * 99_999, ("submit", "-f", "deep.json"), "the file cannot be read as JSON: it is nested"),
        ("long.json", " " * (16 << 20) + "{}", ("submit", "-f", "long.json"), "the file is longer than 16 MiB"),
        ("deep.json", "[" * 99_999, ("submit", "x", "--input", "@deep.json"), "--input cannot be read as JSON: it is"),
        ("deep.json", "[" * 99_999, ("api", "POST", "/tasks", "--data", "@deep.json"), "--data cannot be read as JSON"),
        ("deep.json", "[" * 99_999, ("task", "message", "tsk_1", "@deep.json"), "the file cannot be read as JSON"),
        ("deep.json", "[" * 99_999, ("simulate", "--replay", "deep.json"), "it is nested too deeply"),
        ("latin.json", "", ("submit", "-f", "latin.json"), "the file is not UTF-8"),
    ],
    ids=lambda value: None if isinstance(value, tuple) else str(value)[:12],
)
def test_a_hostile_file_ends_a_command_with_one_error(
    shell: Shell, name: str, content: str, words: tuple[str, ...], message: str
) -> None:
    (shell.folder / name).write_bytes(content.encode() or b"\xff")

    said = shell(*words)

    assert said.code == 2, said
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_command_that_reports_an_error_of_its_store_does_not_import_the_server() -> None:
    """The server's modules take a second: three times as long as all else that such a command does."""
    code = (
        "import sys\n"
        "from swarmkeeper.cli.framework.running import of_store\n"
        "from swarmkeeper.core.ports import StoreUnavailable\n"
        "print(of_store(StoreUnavailable('x')).code, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    told, *imported = done.stdout.split()
    assert told == "store_unavailable"
    assert {"fastapi", "swarmkeeper.app", "swarmkeeper.server"}.isdisjoint(imported)
