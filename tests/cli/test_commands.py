"""Commands as people and scripts type them: their output and exit codes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from swarmkeeper.cli.commands import command_line
from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell

BOT = """
from swarmkeeper import Done, ExecutorBot, Failed, SubTask

class Echo(ExecutorBot):
    skills = {"echo"}

    def execute(self, subtask: SubTask):
        if subtask.input.get("fail"):
            return Failed("as it was told", kind="not_retryable")
        return Done({"said": subtask.input})
"""


@pytest.fixture(scope="module")
def echo(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bot")
    (folder / "echo_bot.py").write_text(BOT)
    environ = {"SWARMKEEPER_URL": running.url, "SWARMKEEPER_API_KEY": running.key}
    bot = Server("bot", "run", "echo_bot.py:Echo", "--name", "echo", folder=folder, environ=environ)
    yield bot
    assert bot.stop() == 0, bot.said()


def test_a_key_created_beside_a_running_server_works_at_once(shell: Shell, running: Running) -> None:
    made = shell(
        "key", "create", "--store", running.store, "--role", "bot:executor", "--bot", "counter", "--owner", "me",
        "--skills", "a, b", "--expires-days", "2", "--json",
    )  # fmt: skip

    assert made.code == 0
    assert set(made.json) == {"id", "key", "role"}
    shell.set(SWARMKEEPER_URL=running.url, SWARMKEEPER_API_KEY=made.json["key"])
    answer = shell("api", "POST", "/bots/register", "--data", '{"type": "Executor", "version": "1"}').json
    assert (answer["name"], answer["owner"], answer["skills"]) == ("counter", "me", ["a", "b"])
    shell.set(SWARMKEEPER_API_KEY=running.key)
    listed = [json.loads(line) for line in shell("key", "list", "--json").out.splitlines()]
    assert [bot["expires_at"] is not None for bot in listed if bot["id"] == made.json["id"]] == [True]


def test_key_create_creates_a_missing_store_and_prints_only_the_key(shell: Shell) -> None:
    made = shell("key", "create", "--store", "sqlite:///new.db", "--role", "admin", "--tenant", "acme")

    assert made.code == 0
    assert made.out.startswith("swk_")
    assert made.out.count("\n") == 1
    assert "only this once" in made.err
    assert (shell.folder / "new.db").stat().st_mode & 0o077 == 0
    assert shell("audit", "verify", "sqlite:///new.db").out == "audit log verified: 1 records\n"


@pytest.mark.parametrize(
    ("flags", "where"),
    [
        (["--role", "boss"], "/role"),
        (["--role", "client", "--bot", "x"], "/bot"),
        (["--role", "admin", "--expires-days", "-1"], "/expires_days"),
        (["--role", "admin", "--networks", "home"], "/networks/0"),
        (["--role", "admin", "--tenant", "a\x1bb"], "/tenant"),
        (["--role", "admin", "--owner", "a\u202eb"], "/owner"),
        (["--role", "bot:executor", "--bot", "a\u200bb"], "/bot"),
        (["--role", "bot:executor", "--skills", "x" * 200], "/skills/0"),
        (["--role", "bot:executor", "--skills", "x,a\x85b"], "/skills/1"),
    ],
)
def test_an_invalid_key_is_refused_with_the_place(shell: Shell, flags: list[str], where: str) -> None:
    said = shell("key", "create", "--store", "sqlite:///new.db", *flags)

    assert said.code == 2
    assert said.err.startswith("error[invalid]: ")
    assert f"where  {where}: " in said.err
    assert "\x1b" not in said.err


def test_a_key_is_rotated_and_revoked(at: Shell, running: Running) -> None:
    made = at("key", "create", "--store", running.store, "--role", "client", "--json").json

    rotated = at("key", "rotate", made["id"], "--json").json
    assert rotated["key"] != made["key"]
    assert at("key", "revoke", made["id"]).code == 0
    at.set(SWARMKEEPER_API_KEY=rotated["key"])
    assert at("task", "list").code == 4


def test_a_submitted_task_is_done_and_its_result_printed(at: Shell, echo: Server) -> None:
    (at.folder / "in.json").write_text('{"text": "hello"}')

    said = at("submit", "Echo", "--skill", "echo", "--input", "@in.json", "--no-review", "--wait")

    assert said.code == 0, said.err
    assert said.json == {"main": {"said": {"text": "hello"}}}
    task = said.err.split()[1]
    assert at("task", "result", task).json == said.json
    assert at("task", "result", task, "main").json == {"said": {"text": "hello"}}
    assert at("task", "get", task).out.startswith(f"{task}  accepted (ARCHIVED)  Echo\n")
    assert at("task", "get", task, "--json").json["outcome"] == "accepted"
    forged = at("submit", "Echo\nfailure: forged", "--no-review")
    assert (forged.code, "/title: must be one line" in forged.err) == (1, True), forged
    assert at("task", "graph", task).out.splitlines()[1].split()[:2] == ["main", "SUCCEEDED"]
    told = [json.loads(line) for line in at("task", "events", task, "--json").out.splitlines()]
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    cursors = [event["id"] for event in told]
    rest = at("task", "events", task, "--after", cursors[1]).out.splitlines()
    assert [line.split()[0] for line in rest] == cursors[2:]
    refused = at("task", "events", task, "--after", cursors[1][:4] + cursors[2][4:12] + cursors[1][12:])
    assert (refused.code, "/query/after" in refused.err) == (1, True), refused
    assert at("task", "events", task, "--follow").out.splitlines()[-1].split()[2] == "task.accepted"
    assert task in at("task", "list", "--outcome", "accepted", "--limit", "5").out
    assert "echo" in at("bot", "list").out


def test_a_failed_task_ends_with_3_and_says_why(at: Shell, echo: Server) -> None:
    said = at("submit", "Fail", "--skill", "echo", "--input", '{"fail": true}', "--no-review", "--wait")

    assert said.code == 3
    assert "[subtask_failed]" in said.err
    task = said.err.split()[1]
    assert at("task", "watch", task).code == 3
    assert at("task", "retry", task, "--reason", "again").code == 0


def test_watch_without_a_terminal_prints_a_line_for_each_change(at: Shell, echo: Server) -> None:
    said = at("submit", "Echo", "--skill", "echo", "--no-review", "--watch")

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[-1].split()[1:] == ["subtask", "main", "SUCCEEDED"]
    assert any("accepted (ARCHIVED)" in line for line in lines)
    assert "\x1b" not in said.out
    looks = at("submit", "Echo", "--skill", "echo", "--no-review", "--watch", "--json").out.splitlines()
    assert json.loads(looks[-1])["outcome"] == "accepted"


def test_a_task_comes_from_a_file(at: Shell) -> None:
    (at.folder / "task.json").write_text('{"title": "From JSON", "priority": 7}')
    (at.folder / "task.toml").write_text('title = "From TOML"\n[[subtasks]]\nkey = "a"\ndescription = "d"\n')
    (at.folder / "task.yaml").write_text("title: From YAML\nlabels: {a: b}\n")

    assert at("submit", "-f", "task.json", "--json").json["priority"] == 7
    assert at("submit", "-f", "task.toml", "--json").json["subtasks_total"] == 1
    assert at("submit", "-f", "task.yaml", "--json").json["labels"] == {"a": "b"}
    assert at("submit", "Another title", "-f", "task.json", "--label", "x:y", "--json").json["title"] == "Another title"


def test_pause_resume_cancel_retry_and_archive_a_task(at: Shell) -> None:
    task = at("submit", "Steer me", "--description", "slowly", "--priority", "3", "--idempotency-key", "k1").out.strip()

    assert (
        at("submit", "Steer me", "--description", "slowly", "--priority", "3", "--idempotency-key", "k1").out.strip()
        == task
    )
    assert "held: paused" in at("task", "pause", task).err
    assert at("task", "resume", task, "--json").json["holds"] == []
    assert at("task", "result", task).code == 6
    assert at("task", "cancel", task, "--reason", "enough").code == 0
    assert at("task", "archive", task, "--json").json["status"] == "ARCHIVED"
    refused = at("task", "cancel", at("submit", "x").out.strip())
    assert refused.code == 0
    conflict = at("task", "resume", task)
    assert (conflict.code, "error[illegal_transition]" in conflict.err) == (6, True)


def test_many_tasks_are_steered_at_once(at: Shell) -> None:
    tasks = [at("submit", "One of many", "--label", "many:yes").out.strip() for _ in range(2)]

    tried = at("task", "bulk", "cancel", "--label", "many:yes", "--dry-run")
    assert (tried.code, "cancel: 2 of 2 tasks would be done" in tried.out) == (0, True), tried
    assert at("task", "get", tasks[0], "--json").json["outcome"] is None
    done = at("task", "bulk", "cancel", *tasks, "--reason", "enough", "--json").json
    assert done["progress"] == {"total": 2, "done": 2, "refused": 0, "left": 0}
    refused = at("task", "bulk", "resume", *tasks, "tsk_none")
    assert refused.code == 6
    assert "not_found" in refused.out
    assert at("task", "bulk", "cancel", "--label", "many:yes", "--no-wait").out.startswith("opr_")
    for wrong in (["cancel"], ["erase", tasks[0]], ["cancel", tasks[0], "--label", "a:b"]):
        assert at("task", "bulk", *wrong).code == 2


def test_events_of_one_type_are_printed(at: Shell) -> None:
    task = at("submit", "Two events").out.strip()
    at("task", "cancel", task)

    said = at("task", "events", task, "--type", "task.submitted", "--json").out.splitlines()

    assert [json.loads(line)["type"] for line in said] == ["io.swarmkeeper.task.submitted.v1"]


def test_a_wait_that_times_out_exits_with_7(at: Shell) -> None:
    said = at("submit", "Nobody plans this", "--wait", "--timeout-seconds", "0.2")

    assert said.code == 7
    assert "swarmkeeper task watch tsk_" in said.err


def test_a_bot_with_stuck_code_is_shown_with_its_line(at: Shell) -> None:
    body = '{"type": "Executor", "version": "1", "name": "deaf", "skills": ["deaf"]}'
    bot = at("api", "POST", "/bots/register", "--data", body).json["id"]
    stuck = '{"stuck": [{"work_id": "sub_1", "seconds": 5, "where": "bot.py:3 in execute"}]}'

    at("api", "POST", f"/bots/{bot}:heartbeat", "--data", stuck)

    [line] = [line for line in at("bot", "list").out.splitlines() if bot in line]
    assert "active, stuck in bot.py:3 in execute since 2" in line
    assert "stuck in bot.py:3" in at("bot", "get", bot).out
    at("bot", "delete", bot)


def test_a_bot_is_drained_and_enabled(at: Shell) -> None:
    body = '{"type": "Planner", "version": "1", "name": "drained"}'
    bot = at("api", "POST", "/bots/register", "--data", body).json["id"]

    assert at("bot", "drain", bot, "--json").json["status"] == "draining"
    assert at("bot", "enable", bot, "--json").json["status"] == "active"
    assert at("bot", "get", bot).out.splitlines()[1].startswith(bot)


def test_errors_give_the_reason_and_a_fix(shell: Shell, running: Running) -> None:
    shell.set(SWARMKEEPER_URL=running.url)
    said = shell("task", "list")
    assert said.code == 4
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("error[unauthenticated]: ")
    assert any(line.startswith("  fix      pass a key") for line in lines)

    shell.set(SWARMKEEPER_API_KEY=running.key)
    assert shell("task", "get", "tsk_0000").code == 5
    assert shell("submit", "x", "--priority", "11").code == 1
    wrong = shell("submit", "x", "--priority", "11", "--json")
    assert json.loads(wrong.err)["error"]["facts"][0][1].startswith("/priority")
    shell.set(SWARMKEEPER_URL="http://127.0.0.1:9")
    assert shell("task", "list").code == 10


@pytest.mark.parametrize(
    "words",
    [
        ["task", "nothing"],
        ["submit"],
        ["submit", "x", "--input", "[1]"],
        ["submit", "x", "--input", "@nowhere.json"],
        ["submit", "x", "-f", "nowhere.json"],
        ["submit", "x", "--label", "novalue"],
        ["task", "list", "--order-by", "size"],
        ["api", "PUT", "/tasks"],
        ["api", "GET", "tasks"],
        ["bot", "run", "nowhere.py"],
        ["bot", "run", "json:Nothing"],
        ["serve", "--port", "many"],
        ["config", "explain", "prot"],
        ["completion", "tcsh"],
        ["audit", "verify", "http://127.0.0.1:7700"],
    ],
)
def test_usage_errors_exit_with_2(shell: Shell, words: list[str]) -> None:
    assert shell(*words).code == 2


def test_the_audit_log_is_listed_with_actors_and_actions(at: Shell) -> None:
    task = at("submit", "audited").out.strip()
    at("task", "cancel", task)

    listed = at("audit", "list", "--task", task)
    records = [json.loads(line) for line in at("audit", "list", "--task", task, "--json").out.splitlines()]
    (cancelled,) = at("audit", "list", "--task", task, "--action", "task.cancel").out.splitlines()

    assert [record["event"] for record in records] == ["task.submit", "task.cancel"]
    assert listed.out.splitlines()[1] == cancelled
    assert cancelled.split()[3:] == ["task.cancel", task, "accepted"]
    actor = records[0]["actor"]["id"]
    by_actor = at("audit", "list", "--actor", actor, "--after", str(records[0]["index"])).out
    assert cancelled in by_actor
    assert "task.submit" not in at("audit", "list", "--task", task, "--after", str(records[0]["index"])).out
    cut = records[1]["timestamp"]
    assert json.loads(at("audit", "list", "--task", task, "--until", cut, "--json").out) == records[0]
    since = at("audit", "list", "--task", task, "--since", cut, "--json").out.splitlines()
    assert [json.loads(line) for line in since] == records[1:]
    assert "RFC 3339" in at("audit", "list", "--since", "yesterday").err
    assert at("audit", "list", "--api-key", "swk_nobody").code == 4


def test_audit_verify_ends_with_0_1_or_2(shell: Shell) -> None:
    import apsw

    for _ in range(3):
        shell("key", "create", "--store", "sqlite:///a.db", "--role", "client")
    assert shell("audit", "verify", "sqlite:///a.db", "--json").json["records"] == 3

    connection = apsw.Connection("a.db")
    connection.execute("UPDATE audit_leaf SET actor = 'nobody' WHERE place = 1")
    tampered = shell("audit", "verify", "sqlite:///a.db")
    assert (tampered.code, "first bad index 1" in tampered.out) == (1, True)
    assert shell("doctor", "--deep", "--store", "sqlite:///a.db").code == 11
    connection.execute("DELETE FROM audit_leaf WHERE place >= 1")
    connection.close()
    incomplete = shell("audit", "verify", "sqlite:///a.db")
    assert (incomplete.code, "first bad index 1" in incomplete.out) == (2, True)
    assert shell("audit", "verify", "sqlite:///nowhere.db").code == 5


def test_doctor_and_migrate_on_a_healthy_store(shell: Shell) -> None:
    shell("key", "create", "--store", "sqlite:///a.db", "--role", "client")

    assert shell("doctor", "--store", "sqlite:///a.db").code == 0
    assert shell("doctor", "--deep", "--store", "sqlite:///a.db", "--json").json == {
        "healthy": True,
        "deep": True,
        "findings": [],
    }
    assert shell("migrate", "--store", "sqlite:///a.db", "--json").json == {"migrated": True}
    assert shell("migrate", "--store", "sqlite:///nowhere.db").code == 5


def test_an_older_store_is_refused_with_a_fix_and_migrated_with_a_copy(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmkeeper.storage.migration_files import Migration
    from swarmkeeper.storage.sqlite import migrations

    shell("key", "create", "--store", "sqlite:///a.db", "--role", "client")
    coming = [
        *migrations.known(),
        Migration(migrations.known()[-1].number + 1, "later", "CREATE TABLE later (x);"),
    ]
    monkeypatch.setattr(migrations, "known", lambda: coming)

    for words in (["serve", "--port", "0"], ["doctor"], ["key", "create", "--role", "client"]):
        refused = shell(*words, "--store", "sqlite:///a.db")
        assert (refused.code, "swarmkeeper migrate" in refused.err) == (6, True)
    assert shell("migrate", "--store", "sqlite:///a.db").code == 0

    assert shell("doctor", "--deep", "--store", "sqlite:///a.db").code == 0
    assert len([file for file in shell.folder.glob("a.db*") if file.suffix not in (".lock", ".pepper")]) == 2


def test_init_creates_a_project_and_never_overwrites(shell: Shell) -> None:
    from swarmkeeper.settings import SETTINGS

    assert shell("init").code == 0
    text = (shell.folder / "swarmkeeper.toml").read_text()
    assert [setting.name for setting in SETTINGS if not setting.secret and f"# {setting.name} = " not in text] == []
    (shell.folder / "swarmkeeper.toml").write_text(
        "\n".join(line[2:] for line in text.splitlines() if " = " in line and "file" not in line)
    )
    assert shell("config", "explain", "port").out.startswith("port = 7700   (swarmkeeper.toml: port)")
    assert shell("init").code == 6
    assert (shell.folder / "wordcount_bot.py").exists()


def test_config_explain_names_the_source_and_shows_no_secret(shell: Shell) -> None:
    (shell.folder / "swarmkeeper.toml").write_text("port = 1")
    shell.set(SWARMKEEPER_PORT="2", SWARMKEEPER_API_KEY="swk_secret")

    setting = shell("config", "explain", "port", "--json").json

    assert (setting["value"], setting["source"]) == ("2", "environment")
    assert [source["source"] for source in setting["given"]] == ["environment", "swarmkeeper.toml", "default"]
    assert "swk_secret" not in shell("config", "explain").out


def test_a_bad_settings_file_is_reported_with_its_place(shell: Shell) -> None:
    (shell.folder / "swarmkeeper.toml").write_text('prot = "swk_secret"')

    said = shell("task", "list")

    assert said.code == 2
    assert "swarmkeeper.toml: 'prot' is not a setting: did you mean 'port'?" in said.err


def test_completion_and_version(shell: Shell) -> None:
    assert "_SWARMKEEPER_COMPLETE" in shell("completion", "bash").out
    assert shell("version").out == "0.4.0\n"
    assert shell("version", "--json").json == {"version": "0.4.0"}


def test_every_flag_has_an_environment_variable(shell: Shell) -> None:
    shell.set(SWARMKEEPER_JSON="1")

    assert shell("version").json == {"version": "0.4.0"}


def test_a_bot_is_loaded_from_a_file_or_module_with_or_without_its_name(shell: Shell) -> None:
    from swarmkeeper.cli.bots import bot_files as bot

    (shell.folder / "alone.py").write_text(BOT)
    (shell.folder / "functions.py").write_text(
        "from swarmkeeper import executor, Done\n@executor(skills={'x'})\ndef one(subtask):\n    return Done({})\n"
    )

    assert type(bot.load("alone.py")).__name__ == "Echo"
    assert type(bot.load("alone:Echo")).__name__ == "Echo"
    assert bot.load("functions.py:one").skills == {"x"}
    assert bot.load("functions.py").skills == {"x"}


def test_text_of_others_cannot_control_the_terminal() -> None:
    from swarmkeeper.cli.framework.terminal import on_one_line, shown

    assert on_one_line("a\n  failure: b\x1b\u2028c") == "a\\n  failure: b\\x1b\\u2028c"
    assert shown("a\x1b]0;x\x07b\u202ec\x9bd\n") == "a\\x1b]0;x\\x07b\\u202ec\\x9bd\n"


def test_a_command_is_the_same_alone_as_it_is_among_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    whole = command_line()

    def help_of(line: Any, name: str) -> str:
        line.main([name, "-h"], prog_name="swarmkeeper", standalone_mode=False)
        return capsys.readouterr().out

    assert len(whole.commands) > 30
    for name in whole.commands:
        alone = command_line(name)
        assert list(alone.commands) == [name], "a start makes no more than it needs"
        assert help_of(alone, name) == help_of(whole, name)


@pytest.mark.parametrize("word", ["", "-h", "tasks", "--install-completion"])
def test_whoever_names_no_command_gets_all(word: str) -> None:
    assert list(command_line(word).commands) == list(command_line().commands)
