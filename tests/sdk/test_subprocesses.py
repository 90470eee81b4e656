"""`context.run`: it returns a command's result, and nothing that the command started outlives the attempt."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.sdk.context import Context, Outbox
from swarmkeeper.sdk.processes import subprocesses, supervisor
from swarmkeeper.sdk.processes.output import LineSplitter
from swarmkeeper.sdk.processes.subprocesses import CommandFailed, CommandTimedOut
from swarmkeeper.sim.kernel.loop import virtual_loop
from tests.sdk.alive import Alive, family


def progress_of(context: Context) -> dict[str, object]:
    """Return the progress in the next heartbeat."""
    return dict(Outbox(context).heartbeat().get("progress", {}))


pytestmark = pytest.mark.usefixtures("little_grace")


async def test_a_command_returns_its_exit_code_and_output(context: Context) -> None:
    result = await context.run("echo one; printf '\\033[31mtwo\\033[0m\\r\\n' >&2; exit 3")

    assert (result.code, result.ok) == (3, False)
    assert (result.stdout, result.stderr) == ("one\n", "\x1b[31mtwo\x1b[0m\r\n")
    progress = progress_of(context)
    assert sorted(progress["log"]) == ["one", "two"]  # type: ignore[call-overload]  # it is a list
    assert progress["message"] in ("one", "two")


async def test_a_list_of_words_bypasses_the_shell_and_log_false_logs_nothing(context: Context) -> None:
    result = await context.run(["echo", "$HOME; exit 1"], log=False)

    assert (result.code, result.stdout, result.command) == (0, "$HOME; exit 1\n", "echo '$HOME; exit 1'")
    assert progress_of(context) == {}


async def test_a_command_gets_its_input_folder_and_environment_and_not_the_bots_key(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMKEEPER_API_KEY", "k1")
    monkeypatch.setenv("SWARMKEEPER_BOOTSTRAP_KEY", "k2")
    monkeypatch.setenv("TAKEN", "away")

    result = await context.run(
        'cat; pwd; echo "$GIVEN${TAKEN-gone}${SWARMKEEPER_API_KEY-withheld}${SWARMKEEPER_BOOTSTRAP_KEY-too}"',
        input="in\n",
        cwd=tmp_path,
        env={"GIVEN": "given ", "TAKEN": None},
    )

    assert result.stdout == f"in\n{tmp_path}\ngiven gonewithheldtoo\n"
    assert (await context.run("cat")).stdout == ""


async def test_large_input_and_large_output_do_not_block_each_other(context: Context) -> None:
    text = "0123456789\n" * 50_000

    result = await context.run(["cat"], input=text, log=False)

    assert (result.stdout, result.stdout_truncated) == (text, False)
    assert (await context.run(["true"], input=text)).code == 0


async def test_of_long_output_the_beginning_and_the_end_are_kept(context: Context) -> None:
    result = await context.run(
        "echo begin; head -c 5000000 /dev/zero; echo; echo end; echo short >&2", output_bytes_max=100, log=False
    )

    assert result.stdout_truncated
    assert not result.stderr_truncated
    assert result.stdout.startswith("begin\n")
    assert result.stdout.endswith("\nend\n")
    assert "[4999911 bytes left out]" in result.stdout
    assert len(result.stdout) < 200


async def test_a_program_that_cannot_be_started_raises(context: Context, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await context.run(["no-such-program", "x"])
    with pytest.raises(FileNotFoundError):
        await context.run(["true"], cwd=tmp_path / "nowhere")
    with pytest.raises(PermissionError):
        await context.run([str(tmp_path)])
    nothing: list[str] = []
    for empty in ("", " ", nothing):
        with pytest.raises(ValueError, match="empty"):
            await context.run(empty)
    with pytest.raises(ValueError, match="timeout"):
        await context.run("true", timeout=0)


async def test_a_checked_command_that_fails_says_which_and_why(context: Context) -> None:
    with pytest.raises(CommandFailed) as failed:
        await context.run("echo well; echo the disk is full >&2; kill -SEGV $$", check=True)

    assert str(failed.value) == (
        "`echo well; echo the disk is full >&2; kill -SEGV $$` was ended by SIGSEGV: the disk is full"
    )
    assert failed.value.result.code == -signal.SIGSEGV


async def test_cancelling_a_command_kills_all_that_it_started(context: Context, alive: Alive) -> None:
    running = asyncio.create_task(context.run(family(alive.path)))
    assert await asyncio.to_thread(alive.hears) == "up"

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert alive.nobody()


async def test_a_command_has_time_to_clean_up_after_sigterm(
    context: Context, alive: Alive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 60)
    waits = f"trap 'echo goodbye; exit' TERM; exec 9>{alive.path}; echo up >&9; while :; do sleep 0.01; done"
    running = asyncio.create_task(context.run(waits))
    await asyncio.to_thread(alive.hears)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert progress_of(context)["message"] == "goodbye"


async def test_a_timed_out_command_is_killed_and_its_output_kept(context: Context, alive: Alive) -> None:
    with pytest.raises(CommandTimedOut) as timed_out:
        await context.run(f"exec 9>{alive.path}; echo working; (sleep 1000) & wait", timeout=0.3)

    assert alive.nobody()
    assert isinstance(timed_out.value, TimeoutError)
    assert timed_out.value.result.stdout == "working\n"
    assert str(timed_out.value).endswith("did not end within 0.3 s: working")


async def test_processes_that_a_command_leaves_behind_are_killed(context: Context, alive: Alive) -> None:
    result = await context.run(f"exec 9>{alive.path}; (trap '' TERM HUP; sleep 1000) & setsid sleep 1000 & echo done")

    assert (result.code, result.stdout) == (0, "done\n")
    assert alive.nobody()


def test_a_supervisor_finds_its_children_where_the_kernel_does_not_list_them() -> None:
    with subprocess.Popen(["sleep", "1000"]) as one, subprocess.Popen(["sleep", "1000"]) as other:
        try:
            assert {one.pid, other.pid} <= set(supervisor._children())
            assert {one.pid, other.pid} <= set(supervisor._children_among_all())
        finally:
            one.kill()
            other.kill()


async def test_a_command_that_kills_its_supervisor_is_killed(context: Context, alive: Alive) -> None:
    running = asyncio.create_task(context.run(f"exec 9>{alive.path}; echo up >&9; kill -KILL $PPID; sleep 1000"))
    await asyncio.to_thread(alive.hears)

    assert (await running).code == -signal.SIGKILL
    await asyncio.to_thread(alive.wait_until_dead)


async def test_a_command_that_stops_its_supervisor_is_killed(
    context: Context, alive: Alive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocesses, "SILENCE_SECONDS_MAX", 0.1)
    running = asyncio.create_task(context.run(f"exec 9>{alive.path}; kill -STOP $PPID; echo up >&9; sleep 1000"))
    await asyncio.to_thread(alive.hears)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await asyncio.to_thread(alive.wait_until_dead)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_command_that_cannot_be_started_leaves_no_file_open(context: Context) -> None:
    before = open_files()

    for command in (["no-such-program"], ["true"]):
        for folder in ("/nowhere", None):
            with contextlib.suppress(FileNotFoundError):
                await context.run(command, input="x", cwd=folder)

    assert open_files() <= before


def test_in_virtual_time_a_command_takes_no_time(context: Context) -> None:
    async def story() -> tuple[str, float]:
        before = asyncio.get_running_loop().time()
        ran = await context.run("sleep 0.01; echo here")
        return ran.stdout, asyncio.get_running_loop().time() - before

    loop = virtual_loop()
    try:
        assert loop.run_until_complete(story()) == ("here\n", 0.0)
    finally:
        loop.close()


def test_the_end_of_the_attempt_kills_its_commands_and_refuses_new_ones(context: Context, alive: Alive) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(context.run_sync, family(alive.path))
        alive.hears()

        Outbox(context).end_commands()

        assert isinstance(waiting.exception(30), asyncio.CancelledError)
    assert alive.nobody()
    with pytest.raises(asyncio.CancelledError):
        context.run_sync(["true"])


def test_code_called_again_in_its_attempt_may_run_commands_again(context: Context, alive: Alive) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(context.run_sync, family(alive.path))
        alive.hears()

        Outbox(context).kill_commands()

        assert isinstance(waiting.exception(30), asyncio.CancelledError)
    assert context.run_sync("echo again").stdout == "again\n"


async def test_run_sync_works_in_a_thread_and_is_refused_on_the_loop(context: Context) -> None:
    result = await asyncio.to_thread(context.run_sync, "echo hello")

    assert result.stdout == "hello\n"
    with pytest.raises(RuntimeError, match=r"await context\.run"):
        context.run_sync("echo hello")


def test_an_interrupt_kills_the_command_that_the_main_thread_waits_for(context: Context, alive: Alive) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        alive.hears()
        signal.pthread_kill(main, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        context.run_sync(family(alive.path))

    assert alive.nobody()
    other.join()


BOT = """
import asyncio, sys
from swarmkeeper.sdk.processes import subprocesses, supervisor
from swarmkeeper.sdk.context import Context

subprocesses.GRACE_SECONDS = 0.1
about = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)
asyncio.run(about.run(sys.argv[1]))
"""


def test_killing_a_bot_kills_its_commands(alive: Alive) -> None:
    bot = subprocess.Popen([sys.executable, "-c", BOT, family(alive.path)])
    alive.hears()

    bot.kill()
    bot.wait()

    alive.wait_until_dead()


@given(pieces=st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r\n", b"a\xc3\xa9"])))
def test_lines_do_not_depend_on_how_the_bytes_are_split(pieces: list[bytes]) -> None:
    def lines(parts: list[bytes]) -> list[str]:
        found: list[str] = []
        reader = LineSplitter(found.append)
        for part in parts:
            reader.add(part)
        reader.end()
        return found

    assert lines(pieces) == lines([b"".join(pieces)])
    assert all(line.isprintable() or "\t" in line or not line.isascii() for line in lines(pieces))


async def test_a_command_reads_its_output_while_it_runs_and_does_not_log_it(context: Context) -> None:
    pieces: list[bytes] = []

    result = await context.run("echo one; echo two >&2", on_stdout=pieces.append)

    assert (b"".join(pieces), result.stdout) == (b"one\n", "one\n")
    assert progress_of(context)["log"] == ["two"]


async def test_a_reader_that_raises_ends_the_command_with_all_that_it_started(context: Context, alive: Alive) -> None:
    def refuse(data: bytes) -> None:
        raise ValueError(data[:3])

    started = family(alive.path).removesuffix("wait\n")
    with pytest.raises(ValueError, match="xxx"):
        await context.run(f"{started} sleep 0.3; while :; do echo xxx; done", on_stdout=refuse)

    assert alive.nobody()


async def test_a_command_can_get_a_bare_environment(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "no")

    result = await context.run(["/usr/bin/env"], env={"A": "b", "C": None}, inherit_env=False)

    # Python itself, which runs the supervisor, may set its locale.
    assert [line for line in result.stdout.splitlines() if not line.startswith("LC_CTYPE=")] == ["A=b"]
