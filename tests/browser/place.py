"""A real server on a socket, in a thread of its own, with something of everything that the dashboard shows."""

import asyncio
import atexit
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from swarmkeeper.core.ports import LogWriter
from swarmkeeper.http.intake.reader import InlineReader
from swarmkeeper.server import Served, serving
from swarmkeeper.settings import Settings
from tests.http.town import Person, Town

ROOT = Path(__file__).parents[2]
DRIVER_PYTHON = ROOT / ".venv-browser" / "bin" / "python"
DRIVER = ("-m", "tests.browser.driver")
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NO_BROWSER = (
    "there is no browser, so nothing of the dashboard was tested: install Debian's package `chromium`, or name a "
    "Chromium or Chrome in SWARMKEEPER_TEST_BROWSER"
)
JOURNEY_SECONDS = 110
STEP, ENDED = "step: ", "the journey has ended\n"  # as in driving.py, which needs playwright: it is not here

# What somebody may write to be run, to look like something else, or to break the page. The API refuses BIDI in titles
# and labels; descriptions, questions and outputs may have any character.
SCRIPT = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>{{constructor}}'
BIDI = "invoice\u202egnp.exe and \u2066hidden\u2069 \u200bparts"
LONG = "W" * 500
HOSTILE = (SCRIPT, BIDI, LONG)

Value = TypeVar("Value")


class Proxied:
    """What a proxy does that serves the application below a path."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(self._prefix) if scope["path"].startswith(self._prefix) else "/elsewhere"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


class RealTown(Town):
    """As `Town`, but time is real, and there is a socket.

    Args:
        prefix: what a proxy in front adds to all paths, and takes away from calls without telling the server.
    """

    def __init__(self, prefix: str = "", **settings: Any) -> None:
        self._prefix = prefix
        self._real = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._real.run_forever, daemon=True)
        self._settings = Settings(store="sqlite://:memory:", log_level="error", port=0, four_eyes=False, **settings)

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, self._real).result(60)

    @property
    def url(self) -> str:
        return self.served.url + self._prefix

    @contextmanager
    def opened(self) -> Iterator["RealTown"]:
        self._thread.start()
        server = serving(self._settings, around=partial(Proxied, prefix=self._prefix))
        with pytest.MonkeyPatch.context() as patch:
            # Long bodies are read here: the start of a process that reads them takes as long as furnishing a server.
            patch.setattr("swarmkeeper.app.ProcessReader", _reads_here)
            self.served: Served = self.run(server.__aenter__())
        self.swarm = self.served.swarm
        try:
            self.client, self.approver, self.admin = (self.person(role) for role in ("client", "approver", "admin"))
            yield self
        finally:
            self.run(server.__aexit__(None, None, None))
            self._real.call_soon_threadsafe(self._real.stop)
            self._thread.join(10)

    def key(self, person: Person) -> str:
        assert person.caller.key is not None
        return person.caller.key


def _reads_here(_: LogWriter) -> InlineReader:
    return InlineReader()


@contextmanager
def real_town(prefix: str = "", **settings: Any) -> Iterator[RealTown]:
    with RealTown(prefix, **settings).opened() as place:
        yield place


def subtask(key: str, after: tuple[str, ...] = (), skill: str = "write", **more: Any) -> dict[str, Any]:
    return {"key": key, "description": f"Do {key}", "depends_on": list(after), "required_skills": [skill], **more}


def furnish(place: RealTown) -> dict[str, str]:
    """Submit and carry out tasks; return the ids of those that tests and pictures name."""
    made: dict[str, str] = {}
    writer = place.bot("Executor", "writer", skills=["write", "fetch"])
    judge = place.bot("Evaluator", "critic")
    ledger = [subtask("dump", skill="fetch"), subtask("load", ("dump",)), subtask("switch", ("load",))]
    made["plan"] = place.submit(ledger, title="Move billing to the new ledger", approval="plan", evaluation="none")

    notes = [
        *(subtask(key, skill="fetch") for key in ("diff", "issues")),
        subtask("images", skill="fetch", on_failure="continue", max_attempts=1),
        subtask("draft", ("diff", "issues"), depends_on=["diff", "issues", {"key": "images", "when": "done"}]),
        *(subtask(key, ("draft",)) for key in ("short", "post")),
        subtask("page", ("short", "post")),
    ]
    labels = {"team": "docs", "env": "prod"}
    made["final"] = place.submit(notes, title="Release notes for version 1.2", labels=labels, approval="final")
    for _ in range(5):
        for lease in writer.leases(8):
            if lease["task_id"] != made["final"]:
                writer.release(lease)
            elif lease["subtask"]["key"] == "images":
                writer.report(lease, error={"class": "not_retryable", "message": "HTTP 404: the page is gone"})
            else:
                text = {"text": "A draft of the release notes. " * 4, "links": ["#120", "#121", "#122"]}
                writer.report(lease, output=text, usage={"tokens": 1_204, "cost_micro_usd": 5_130})
    for lease in judge.leases(8):
        judge.judge(lease, score=0.93, reasons=["Sources are given", "The style guide is kept"])

    mail = [subtask("pick", skill="fetch")]
    made["question"] = place.submit(mail, title="Spring campaign: mail to 1,204 customers", evaluation="none")
    (lease,) = writer.leases()
    writer.ask(
        lease, "Which hero picture for the release page?", choices=["forest", "harbour"], expires_in_seconds=3_600
    )

    made["running"] = place.submit(
        [subtask("one"), subtask("two", ("one",))],
        title="Translate the handbook",
        labels={"team": "docs"},
        evaluation="none",
    )
    writer.leases()
    for number in range(4):
        pages = [subtask(f"p{page}", skill="ocr") for page in range(12)]
        made["stuck"] = place.submit(pages, title=f"Scan of archive box {number + 1}", labels={"box": str(number + 1)})
    for number in range(3):
        bad = place.submit(
            [subtask("parse", skill="fetch", max_attempts=1)], title=f"Parse invoice {9540 + number}", evaluation="none"
        )
        for lease in writer.leases(8):
            if lease["task_id"] == bad:
                writer.report(lease, error={"class": "not_retryable", "message": "KeyError: 'total' (at parse.py:12)"})
        made["failed"] = bad
    filing: dict[str, Any] = {
        "subtasks": [subtask("file", skill="fetch")],
        "labels": {"team": "money"},
        "evaluation": "none",
    }
    numbers = {place.submit(title=f"File invoice {number}", **filing): number for number in range(40)}
    while numbers:
        for lease in writer.leases(8):
            number = numbers.pop(lease["task_id"])
            writer.report(lease, output={"filed": number}, usage={"tokens": 90, "cost_micro_usd": 910})
    shards = [subtask(f"n{at}", (f"n{at - 50}",) if at >= 50 else (), skill="shard") for at in range(400)]
    made["big"] = place.submit(shards, title="Index 400 shards", labels={"team": "search"}, evaluation="none")
    return made


def _title(text: str) -> str:
    return text if text.isprintable() else "plain"


def submit_hostile(place: RealTown) -> list[str]:
    """Submit tasks whose every text is hostile; return their ids."""
    made = []
    bot = place.bot("Executor", "mallory", skills=["evil"])
    for text in HOSTILE:
        task = place.submit(
            [subtask("a", skill="evil", description=text), subtask("b", ("a",), skill="evil", description=text)],
            title=_title(text), description=text, labels={"note": _title(text)[:100]}, evaluation="none",
        )  # fmt: skip
        (lease,) = bot.leases()
        bot.report(lease, output={"html": text, text[:60]: [text] * 50})
        (lease,) = bot.leases()
        bot.ask(lease, text, choices=[text[:100], "no"])
        made.append(task)
    return made


def browser() -> str:
    """Return the program of a browser.

    Raises:
        AssertionError: there is none.
    """
    named = os.environ.get("SWARMKEEPER_TEST_BROWSER", "")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, NO_BROWSER
    return found


def drive(
    journey: str,
    place: RealTown,
    *arguments: str,
    key: str | None = None,
    steps: Mapping[str, Callable[[], object]] | None = None,
) -> str:
    """Let a browser make a journey; return what it says.

    Raises:
        AssertionError: something on the way was not as it should be.
    """
    return drive_at(place.url, place.key(place.admin) if key is None else key, journey, *arguments, steps=steps)


def drive_at(
    url: str, key: str, journey: str, *arguments: str, steps: Mapping[str, Callable[[], object]] | None = None
) -> str:
    """As `drive`, at any server.

    Args:
        steps: what happens at the server when the journey asks for it by `let_happen`, by name.
    """
    global _driver
    if _driver is None or _driver.process.poll() is not None:
        _driver = Driver()
    given = {"axe": str(AXE), "url": url, "key": key, "journey": journey, "arguments": arguments}
    return _driver.make(json.dumps(given), steps or {})


class Driver:
    """A process with a browser that makes one journey after the other, because it takes seconds to start."""

    def __init__(self) -> None:
        assert DRIVER_PYTHON.exists(), "there is no .venv-browser: run make setup"
        assert AXE.exists(), "there is no dashboard/node_modules: run make setup"
        self._errors = TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            [DRIVER_PYTHON, *DRIVER, browser()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        atexit.register(self._end)

    def make(self, journey: str, steps: Mapping[str, Callable[[], object]]) -> str:
        """Make a journey and return what it says.

        Raises:
            AssertionError: it failed. Then the process has ended, with its browser.
        """
        assert self.process.stdout is not None
        late = threading.Timer(JOURNEY_SECONDS, self.process.kill)
        late.start()
        said: list[str] = []
        try:
            self._tell(journey)
            for line in self.process.stdout:
                if line == ENDED:
                    return "".join(said)
                if line.startswith(STEP):
                    done = steps[line.removeprefix(STEP).strip()]()
                    self._tell("" if done is None else str(done))
                else:
                    said.append(line)
        except BaseException:
            self._end()  # a step has failed: the journey must not go on
            raise
        finally:
            late.cancel()
        self._end()
        self._errors.seek(0)
        raise AssertionError(self._errors.read()[-6_000:] + "".join(said)[-2_000:])

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _end(self) -> None:
        """Let it close its browser; if it is in the middle of a journey, it fails and does the same."""
        atexit.unregister(self._end)
        with suppress(BrokenPipeError), self.process.stdin or nullcontext():
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_driver: Driver | None = None
