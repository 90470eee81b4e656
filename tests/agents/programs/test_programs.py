"""What a program gets, and that a hostile one is bounded: prompt, environment, time, output, processes."""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.agents.programs import command_bot
from swarmkeeper.agents.programs.words import PROMPT_WORD_BYTES_MAX
from swarmkeeper.sdk.answers import Done, Later
from swarmkeeper.sdk.context import Outbox
from tests.agents.programs.conftest import STAND_IN, Programs, Repo, Steps
from tests.sdk.alive import Alive


def got(programs: Programs, *words: str, text: str = "Do it.", **settings: Any) -> dict[str, Any]:
    """Run the stand-in and return what it got."""
    told = programs.folder / "told"
    context = settings.pop("context", None)
    programs.done(programs.bot([["tell", str(told)]], *words, **settings), text=text, context=context)
    found: dict[str, Any] = json.loads(told.read_text())
    return found


# ---- the prompt


def test_the_prompt_is_a_word_or_stdin_or_a_file(programs: Programs) -> None:
    assert got(programs, "-p", "{prompt}")["words"] == ["-p", "Do it."]
    assert got(programs, "-p", "{prompt}")["stdin"] == ""
    assert got(programs, "-p", "--task={prompt}!")["words"] == ["-p", "--task=Do it.!"]
    assert got(programs)["stdin"] == "Do it."

    shown = programs.done(programs.bot({"": [["show", "/dev/stdin"]]}))
    assert shown["text"] == "Do it.\n"


def test_a_prompt_file_holds_the_prompt_for_its_owner_alone(programs: Programs) -> None:
    script = programs.folder / "show.sh"
    script.write_text('#!/bin/sh\nstat -c %a "$1"; cat "$1"\n')
    script.chmod(0o755)
    bot = command_bot([str(script), "{prompt_file}"], skills={"code"}, home=programs.home)

    assert programs.done(bot) == {"text": "600\nDo it."}


@pytest.mark.parametrize("text", ["--dangerously-skip-permissions", "-", "-rf /"])
def test_a_prompt_that_begins_with_a_dash_is_no_option(programs: Programs, text: str) -> None:
    assert got(programs, "{prompt}", text=text)["words"] == [f" {text}"]


def test_places_and_shell_signs_in_a_prompt_are_text(programs: Programs) -> None:
    text = "{session} {prompt_file} {prompt} $(touch x) `id` ; \\ ' \" \n {other}"

    assert got(programs, "-p", "{prompt}", "{other}", '{"a": 1}', text=text)["words"] == [
        "-p", text, "{other}", '{"a": 1}',
    ]  # fmt: skip


def big(programs: Programs, *words: str, **settings: Any) -> Any:
    context = programs.context(upstream={f"s{number}": "x" * 40_000 for number in range(50)})
    bot = programs.bot([["tell", str(programs.folder / "told")]], *words, **settings)
    return programs.answer(bot, {"text": "y" * 40_000}, context=context)


def test_a_prompt_too_long_for_a_word_goes_through_a_file_or_stdin_or_is_refused(programs: Programs) -> None:
    told = programs.folder / "told"

    refused = big(programs, "{prompt}")
    assert (refused.kind, "stdin" in refused.why, told.exists()) == ("not_retryable", True, False)

    assert isinstance(big(programs), Done)
    assert len(json.loads(told.read_text())["stdin"]) > PROMPT_WORD_BYTES_MAX

    failed = big(programs, "{prompt}", reads="claude")
    assert "without a result" in failed.why
    assert json.loads(told.read_text())["words"][0].startswith("Your task is in the file /")


def test_a_prompt_of_two_megabytes_reaches_a_program_that_never_reads_it(programs: Programs) -> None:
    from swarmkeeper.agents.programs.words import call_of

    text = "x" * 2_000_000
    call = call_of(["cat"], text, prompt_file=Path("/p"), session=None, reads_files=False)

    assert call.stdin == text
    context = programs.context()
    ran = context.run_sync(["cat"], input=call.stdin, log=False, output_bytes_max=4_000_000)
    assert ran.stdout == text
    assert context.run_sync(["true"], input=call.stdin).ok


# ---- the environment


def test_the_program_gets_what_is_named_and_nothing_else(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMKEEPER_API_KEY", "swk_the_bots_own_key")
    monkeypatch.setenv("SWARMKEEPER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("COPY_OF_KEY", "Bearer swk_the_bots_own_key")
    monkeypatch.setenv("SWARMKEEPER_TOKEN", "the.bots.token")
    monkeypatch.setenv("COPY_OF_TOKEN", "Bearer the.bots.token")
    monkeypatch.setenv("NAMED", "yes")
    monkeypatch.setenv("OTHER", "no")

    found = got(
        programs, env={"NAMED": None, "COPY_OF_KEY": None, "COPY_OF_TOKEN": None, "GIVEN": "text", "ABSENT": None}
    )["environment"]

    assert found["NAMED"] == "yes"
    assert found["GIVEN"] == "text"
    assert not {"SWARMKEEPER_API_KEY", "SWARMKEEPER_URL", "COPY_OF_KEY", "OTHER", "ABSENT"} & set(found)
    assert "swk_the_bots_own_key" not in json.dumps(found)
    assert "the.bots.token" not in json.dumps(found)
    known = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "NAMED", "GIVEN", "PWD"}
    known |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"}
    assert {name for name in found if not name.startswith(("LC_", "GIT_CONFIG_"))} <= known


def test_a_trace_is_passed_on(programs: Programs) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert got(programs, context=programs.context(traceparent=trace))["environment"]["TRACEPARENT"] == trace


def test_a_key_that_the_program_prints_is_hidden_everywhere(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-very-secret-value")
    context = programs.context()
    say: Steps = [["text", "key sk-very-secret-value"], ["stderr", "sk-very-secret-value"]]

    output = programs.done(programs.bot(say, env=["PROVIDER_API_KEY"]), context=context)
    failed = programs.failed(programs.bot([*say, ["exit", 1]], env=["PROVIDER_API_KEY"]))
    value = programs.done(programs.bot([["text", '{"a": ["sk-very-secret-value"]}']], env=["PROVIDER_API_KEY"]))

    assert output == {"text": "key [hidden: PROVIDER_API_KEY]\n"}
    assert value == {"a": ["[hidden: PROVIDER_API_KEY]"]}
    assert "secret-value" not in failed.why + json.dumps(Outbox(context).heartbeat())


def test_a_checkout_cannot_bring_the_program(programs: Programs, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit("agent", "#!/bin/sh\necho hostile\n")
    (repo.path / "agent").chmod(0o755)
    repo.git("commit", "-qam", "executable")
    monkeypatch.setenv("PATH", ".::/usr/bin:/bin")
    monkeypatch.chdir(repo.path)
    bot = command_bot(["agent"], skills={"code"}, home=programs.home, worktree=True, roots=[repo.path.parent])

    answer = programs.answer(bot, {"repository": "app"})

    assert isinstance(answer, Later), answer
    assert "'agent' is not on this bot's machine" in answer.why


# ---- bounds


def test_a_program_that_runs_too_long_is_killed_though_it_ignores_sigterm(programs: Programs, alive: Alive) -> None:
    script: Steps = [["ignore", "SIGTERM"], ["fork", str(alive.path)], ["hold", str(alive.path)]]

    failed = programs.failed(programs.bot(script, timeout_seconds=1))

    assert (failed.kind, "longer than its 1 s" in failed.why) == ("retryable", True)
    assert alive.nobody()
    assert programs.left() == []


def test_a_program_that_prints_without_end_is_killed(programs: Programs, alive: Alive) -> None:
    script: Steps = [["fork", str(alive.path)], ["flood", 1 << 40]]

    for reads in ("text", "claude", "json", None):
        failed = programs.failed(programs.bot(script, output_bytes_max=20_000_000, reads=reads))
        assert (failed.kind, "20,000,000 bytes" in failed.why) == ("not_retryable", True)
    assert alive.nobody()


def test_one_endless_line_needs_no_memory(programs: Programs) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bot = programs.bot([["shell", "head -c 300000000 /dev/zero >&2"], ["text", "x"]])
    programs.done(bot)
    shell = command_bot(["sh", "-c", "head -c 200000000 /dev/zero"], skills={"code"}, home=programs.home)
    output = programs.done(shell)

    assert len(output["text"]) <= 300_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_process_left_behind_is_killed_and_the_answer_counts(programs: Programs, alive: Alive) -> None:
    output = programs.done(programs.bot([["fork", str(alive.path)], ["text", "done"]]))

    assert output["text"] == "done\n"
    assert alive.nobody()


def test_a_program_that_closes_its_stdout_and_goes_on_is_waited_for(programs: Programs) -> None:
    script: Steps = [["text", "before"], ["close", 1], ["sleep", 0.5], ["exit", 4]]

    assert "exit code 4" in programs.failed(programs.bot(script)).why


def test_a_cancelled_attempt_kills_the_program_and_removes_the_checkout(
    programs: Programs, repo: Repo, alive: Alive
) -> None:
    context = programs.context()
    script: Steps = [
        ["ignore", "SIGTERM"],
        ["write", "a.txt", "half"],
        ["fork", str(alive.path)],
        ["hold", str(alive.path)],
    ]
    bot = programs.bot(script, worktree=True, roots=[repo.path.parent])
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            programs.answer(bot, {"repository": "app"}, context=context)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    alive.hears()
    Outbox(context).cancel()
    thread.join()

    assert [type(error) for error in raised] == [asyncio.CancelledError]
    assert alive.nobody()
    assert (repo.branches(), repo.worktrees(), programs.left()) == (["main"], [], [])


def test_without_a_checkout_the_program_runs_in_an_empty_folder_or_in_the_authors(programs: Programs) -> None:
    first = got(programs)["folder"]

    assert not Path(first).exists()
    assert first.startswith(str(programs.home))
    assert got(programs, folder=programs.folder)["folder"] == str(programs.folder)


def test_a_program_that_cannot_be_started_is_a_failure(programs: Programs) -> None:
    broken = programs.folder / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)

    assert "cannot be started" in programs.failed(
        command_bot([str(broken)], skills={"code"}, home=programs.home)
    ).why  # fmt: skip


# ---- sessions


def resuming(programs: Programs, script: dict[str, Steps], **settings: Any) -> Any:
    return programs.bot(script, resume=["--resume", "{session}"], reads="claude", **settings)


START = ["event", {"type": "system", "subtype": "init", "session_id": "ses-1"}]
END = ["event", {"type": "result", "subtype": "success", "is_error": False, "result": "done", "session_id": "ses-1"}]


def test_an_interrupted_session_goes_on_with_its_files(programs: Programs, repo: Repo) -> None:
    told = programs.folder / "told"
    script: dict[str, Steps] = {
        "--resume": [["tell", str(told)], START, ["shell", "cat half.txt; echo rest >> half.txt"], END],
        "": [START, ["write", "half.txt", "half\n"], ["exit", 1]],
    }
    bot = resuming(programs, script, worktree=True, roots=[repo.path.parent])
    context = programs.context()
    programs.failed(bot, {"repository": "app"}, context=context)
    checkpoint = Outbox(context).heartbeat()["checkpoint"]

    output = programs.done(bot, {"repository": "app"}, context=programs.context(attempt=2, resumed_from=checkpoint))

    assert json.loads(told.read_text())["words"] == ["--resume", "ses-1"]
    assert repo.git("show", f"{output['commit']}:half.txt") == "half\nrest"
    assert output["base"] == repo.git("rev-parse", "main")
    assert repo.git("for-each-ref", "refs/swarmkeeper") == ""


def test_a_session_whose_files_are_lost_begins_anew(programs: Programs, repo: Repo) -> None:
    bot = resuming(programs, {"--resume": [["exit", 9]], "": [START, END]}, worktree=True, roots=[repo.path.parent])
    kept = {"program": sys.executable, "host": __import__("socket").gethostname(), "session": "ses-1"}

    output = programs.done(bot, {"repository": "app"}, context=programs.context(resumed_from=kept))

    assert output["text"] == "done"


def test_a_session_that_the_program_forgot_begins_anew_in_the_same_attempt(programs: Programs) -> None:
    forgot: Steps = [["stderr", "No conversation found with session ID: ses-1"], ["exit", 1]]
    kept = {"program": sys.executable, "host": __import__("socket").gethostname(), "session": "ses-1"}

    output = programs.done(
        resuming(programs, {"--resume": forgot, "": [START, END]}), context=programs.context(resumed_from=kept)
    )

    assert output["text"] == "done"


@pytest.mark.parametrize(
    "kept",
    [
        7,
        {"session": "ses-1"},
        {"program": sys.executable, "host": "elsewhere", "session": "ses-1"},
        {"program": "other", "host": "", "session": "ses-1"},
        {"program": sys.executable, "host": "", "session": "--dangerously-skip-permissions"},
        {"program": sys.executable, "host": "", "session": "../../etc/passwd"},
        {"program": sys.executable, "host": "", "session": ["ses-1"]},
    ],
)
def test_a_checkpoint_that_is_not_this_programs_session_is_not_used(programs: Programs, kept: Any) -> None:
    if isinstance(kept, dict) and kept.get("host") == "":
        kept["host"] = __import__("socket").gethostname()
    bot = resuming(programs, {"--resume": [["exit", 9]], "": [START, END]})

    assert programs.done(bot, context=programs.context(resumed_from=kept))["text"] == "done"


def test_a_session_named_like_an_option_is_not_kept(programs: Programs) -> None:
    context = programs.context()
    odd = ["event", {"type": "system", "subtype": "init", "session_id": "--yolo"}]
    end = ["event", {"type": "result", "subtype": "success", "result": "x"}]

    assert programs.done(resuming(programs, {"": [odd, end]}), context=context) == {"text": "x"}
    assert "checkpoint" not in Outbox(context).heartbeat()


def test_resume_words_go_before_a_double_dash_or_are_the_whole_command() -> None:
    from swarmkeeper.agents.programs.words import resumed_command

    assert resumed_command(["a", "-p", "--", "{prompt}"], ["-r", "{session}"]) == (
        "a", "-p", "-r", "{session}", "--", "{prompt}",
    )  # fmt: skip
    assert resumed_command(["a", "x"], ["a", "resume", "{session}"]) == ("a", "resume", "{session}")


# ---- what an author may write


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"command": "claude -p {prompt}"}, "list of words"),
        ({"command": []}, "empty"),
        ({"command": ["a", 3]}, "one of them is a int"),
        ({"command": ["a\0"]}, "NUL"),
        ({"command": ["{prompt}"]}, "no task may choose it"),
        ({"skills": set()}, "at least one"),
        ({"skills": "code"}, "at least one"),
        ({"reads": "xml"}, "reads is one of"),
        ({"env": "PATH"}, "list of names"),
        ({"env": ["SWARMKEEPER_API_KEY"]}, "never gets the bot's own"),
        ({"env": ["swarmkeeper_url"]}, "never gets the bot's own"),
        ({"env": ["A=B"]}, "no variable"),
        ({"env": {"A": 3}}, "is a text"),
        ({"resume": ["--resume"]}, "{session}"),
        ({"resume": "--resume {session}"}, "list of words"),
        ({"roots": ["/tmp"]}, "without worktree=True"),
        ({"roots": ["/no/such"], "worktree": True}, "does not exist"),
        ({"roots": "/tmp", "worktree": True}, "list of folders"),
        ({"hooks": True}, "without worktree=True"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"output_bytes_max": 0}, "number of bytes"),
        ({"diff_bytes_max": True}, "number of bytes"),
        ({"exits": {0: "retryable"}}, "0 is never a failure"),
        ({"exits": {1: "maybe"}}, "exits[1]"),
        ({"author": ("a", "b>\nc")}, "author"),
        ({"isolation": "process"}, "no setting 'isolation'"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name(wrong: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"command": ["true"], "skills": {"code"}} | wrong

    with pytest.raises((TypeError, ValueError)) as refused:
        command_bot(given.pop("command"), **given)
    assert says in str(refused.value)


def test_a_relative_program_is_found_from_the_bots_folder(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    script = programs.folder / "agent.sh"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    monkeypatch.chdir(programs.folder)
    bot = command_bot(["./agent.sh"], skills={"code"}, home=programs.home)
    monkeypatch.chdir("/")

    assert programs.done(bot) == {"text": "hello\n"}
    assert (bot.source_name(), STAND_IN.exists()) == ("agent", True)
