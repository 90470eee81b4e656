"""Pages hear of changes by one stream: in all tabs, in browsers that lack much, through the death of the server."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swarmkeeper.core.errors import RateLimited
from swarmkeeper.core.model import Principal
from tests.acceptance.server import Caller, Server
from tests.browser.place import RealTown, drive, drive_at, furnish, subtask
from tests.http.signed_in import signed_in


def followers(town: RealTown) -> int:
    return town.swarm.quotas.followers.total


def soon(true: Callable[[], bool]) -> None:
    """Wait until it is true."""
    for _ in range(100):
        if true():
            return
        threading.Event().wait(0.1)
    raise AssertionError(true)


def another_task(town: RealTown) -> None:
    town.submit(["a"], title="the newest of all")


def test_seven_tabs_share_one_stream_and_are_signed_out_together(town: RealTown) -> None:
    furnish(town)

    def one() -> None:
        assert followers(town) == 1

    def none() -> None:
        soon(lambda: followers(town) == 0)

    steps = {"count followers": one, "another task": lambda: another_task(town), "nobody follows": none}
    drive("shares_one_stream_among_seven_tabs", town, steps=steps)

    assert 'path="/ui/csp-reports"' not in town.swarm._metrics.text(None)[0].decode()


def test_a_browser_that_lacks_much_shows_and_does_the_same(town: RealTown) -> None:
    furnish(town)

    drive("works_in_a_browser_that_lacks_much", town, steps={"another task": lambda: another_task(town)})


def test_all_that_is_shown_is_read_again_when_a_lost_stream_is_back(town: RealTown) -> None:
    changes = town.swarm.changes

    def refuse(by: Principal) -> None:
        raise RateLimited("no stream now", retry_after=1)

    async def cut() -> None:
        changes.check = refuse  # type: ignore[method-assign]  # until it is deleted below
        changes._stop()

    def mend() -> None:
        town.run(signed_in(town.admin.caller))
        del changes.check

    steps = {"cut the stream": lambda: town.run(cut()), "somebody signs in, and streams": mend}
    drive("reads_all_again_when_the_stream_is_back", town, steps=steps)


def test_at_an_address_without_tls_the_page_says_what_to_do_instead(town: RealTown) -> None:
    drive("says_where_nobody_can_sign_in", town)


class Swarm:
    """Submits tasks and works on them, whether the server lives or not."""

    def __init__(self, server: Server) -> None:
        self.call = Caller(server, server.key("admin"))
        bot = Caller(server, server.key("bot:executor", bot="writer"))
        body = {"type": "Executor", "version": "1.0", "capacity": 8, "skills": ["write"]}
        self.bot, self.id = bot, bot.post("/bots/register", body)["id"]
        self.ended = threading.Event()
        self.submitted = 0

    def submit(self, title: str, skill: str = "write") -> str:
        body = {"title": title, "subtasks": [subtask("a", skill=skill), subtask("b", ("a",), skill=skill)]}
        answer = self.call.insist(
            "POST", "/tasks", {**body, "evaluation": "none"}, idempotency_key=f"submission-of-{title}".replace(" ", "-")
        )
        assert answer.is_success, answer.text
        self.submitted += 1
        return str(answer.json()["id"])

    def work(self) -> None:
        asked = {"bot_id": self.id, "max": 8, "wait_seconds": 0}
        leases = self.bot.insist("POST", "/leases", asked).json().get("leases", [])
        for lease in leases:
            body = {"bot_id": self.id, "lease_id": lease["lease_id"], "status": "succeeded", "output": 1}
            self.bot.insist("POST", f"/tasks/{lease['task_id']}/results", body)

    @contextmanager
    def working(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            thread.join(60)

    def _run(self) -> None:
        while not self.ended.wait(0.3):
            if self.submitted < 30:
                self.submit(f"task {self.submitted}")
            self.work()

    def tasks(self) -> list[Any]:
        return list(self.call.get("/tasks?order_by=created_at&page_size=200")["items"])


def test_a_page_goes_on_after_kill_9_of_the_server_with_nothing_doubled_or_lost(tmp_path: Path) -> None:
    with Server(tmp_path / "store.db") as server:
        swarm = Swarm(server)
        swarm.submit("done before")
        swarm.work()
        open_task = swarm.submit("for nobody", skill="ocr")

        def work_to_the_end() -> str:
            swarm.ended.set()
            swarm.submit("the last")
            for _ in range(60):
                swarm.work()
                tasks = swarm.tasks()
                if sum(each["outcome"] is None for each in tasks) == 1:
                    break
            return json.dumps([[each["title"], WORDS[each["status"]]] for each in tasks])

        steps = {
            "an open task": lambda: f"tasks/{open_task}",
            "kill -9": server.kill,
            "start again": server.start,
            "work to the end": work_to_the_end,
        }
        with swarm.working():
            drive_at(server.url, server.key("admin"), "lives_through_the_death_of_the_server", steps=steps)

        assert len(swarm.tasks()) == swarm.submitted


WORDS = {"CREATED": "created", "PLANNED": "planned", "IN_PROGRESS": "in progress", "ARCHIVED": "archived"}
