"""The application: which view is shown, its keys, and when it is read again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import ContentSwitcher, DataTable, Input, Static

from swarmkeeper.cli.framework.terminal import on_one_line
from swarmkeeper.cli.tasks.query_line import toggled
from swarmkeeper.cli.top import reading
from swarmkeeper.cli.top.following import Lost, follow
from swarmkeeper.cli.top.views import InboxView, Rows, TasksView, TaskView
from swarmkeeper.cli.top.words import now
from swarmkeeper.sdk.errors import ApiError, Conflict

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.insight.changes import ChangesTold
    from swarmkeeper.wire.people import Approval

GAP_SECONDS = 0.5  # between two reads, whatever is told
TRY_SECONDS = 3.0  # until what was refused is read again
G_SECONDS = 1.5  # for the second letter of `g t`
HELP = (
    "j k next, previous · Enter open · g i inbox · g t tasks · / query · ! failed only · a x 1-9 decide · "
    "Esc back · q quit"
)
STALE = "It has changed since you read it. Read it again; Enter says that you have."


KEYS = {
    "j": "step(1)",
    "k": "step(-1)",
    "g": "begin_going",
    "i": "go_after_g('inbox')",
    "t": "go_after_g('tasks')",
    "slash": "write",
    "exclamation_mark": "failed_only",
    "a": "approve",
    "x": "reject",
    **{str(digit): f"answer({digit})" for digit in range(1, 10)},
    "question_mark": "keys",
    "escape": "back",
    "q": "quit",
}


class TopApp(App[None]):
    """Shows a swarm.

    Args:
        client: of the server; it must not repeat calls that fail.
        line: the query line to begin with; without one, it begins with the inbox.
    """

    TITLE = "swarmkeeper"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { overflow: hidden; }
    ContentSwitcher { height: 1fr; }
    #bar, #foot, #tasks-foot { height: 1; padding: 0 1; }
    #bar { background: $panel; }
    DataTable { height: 1fr; }
    #inbox-rows { width: 3fr; }
    #decision { width: 4fr; padding: 0 1; border-left: solid $panel; }
    #reason { display: none; }
    #reason.asked { display: block; }
    #query { height: 1; border: none; padding: 0 1; }
    #reason { border: round $warning; }
    #problems { padding: 0 1; display: none; }
    #task-head { height: auto; max-height: 12; padding: 0 1 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action) for key, action in KEYS.items()]

    def __init__(self, client: Client, line: str = "") -> None:
        super().__init__()
        self._client, self.line = client, line
        self.view = "tasks" if line else "inbox"
        self.task_id = ""
        self.lost: Lost | None = Lost("connecting", None)
        self._told: ChangesTold | None = None
        self._dirty = asyncio.Event()
        self._only_failed = False
        self._shown: Approval | None = None  # what a person has before them: nothing else is ever signed
        self._unread = False  # it has changed, and nobody said yet that they have read it
        self._notice = ""
        self._g_at = -G_SECONDS

    def compose(self) -> ComposeResult:
        yield Static(id="bar", markup=False)
        with ContentSwitcher(initial=self.view):
            yield InboxView(id="inbox")
            yield TasksView(id="tasks")
            yield TaskView(id="task")
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        self.query_one("#query", Input).value = self.line
        self._follow()
        self._read_for_ever()
        self.set_interval(1, self._draw_bars)
        self.show(self.view)

    # ---- reading -----------------------------------------------------------------------------------------------------

    def _hear(self, told: ChangesTold) -> None:
        self._told = told
        self._dirty.set()

    def _connect(self, lost: Lost | None) -> None:
        self.lost = lost
        if lost is None:
            self._dirty.set()  # what was read before may be old
        self._draw_bars()

    @work(group="following")
    async def _follow(self) -> None:
        await follow(self._client, self._hear, self._connect)

    @work(group="reading")
    async def _read_for_ever(self) -> None:
        with suppress(NoMatches):  # the program ends: what would show it is gone, and so below
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                try:
                    await self._read()
                except ApiError as error:
                    self._say(error.detail)
                    self.set_timer(TRY_SECONDS, self._dirty.set)
                await asyncio.sleep(GAP_SECONDS)

    async def _read(self) -> None:
        view, line, task_id = self.view, self.line, self.task_id
        if view == "inbox":
            found = await reading.inbox(self._client)
            self.query_one(InboxView).put(found)
            await self._show_decision()
        elif view == "tasks":
            listed = await reading.tasks(self._client, line)
            if self.line == line:
                self.query_one(TasksView).put(listed)
        else:
            task = await reading.task(self._client, task_id)
            if self.task_id == task_id:
                self.query_one(TaskView).put(task, self._only_failed)
        self._say("")

    async def _show_decision(self) -> None:
        """Show the chosen approval with its whole subject; what a person is reading is not exchanged below them."""
        inbox = self.query_one(InboxView)
        listed = inbox.approval
        if listed is None:
            self._shown, self._unread = None, False
        elif self._shown is None or self._shown.id != listed.id:
            self._shown, self._unread = await self._client.approval(listed.id), False
        elif self._shown.subject_hash != listed.subject_hash:
            fresh = await self._client.approval(listed.id)  # the list may be the older of the two
            self._unread = self._unread or fresh.subject_hash != self._shown.subject_hash
            self._shown = fresh
        inbox.show(self._shown, STALE if self._unread else "")

    @work(group="decision", exclusive=True)
    async def _look_at_chosen(self) -> None:
        with suppress(NoMatches):
            try:
                await self._show_decision()
            except ApiError as error:
                self._say(error.detail)

    # ---- what is around ----------------------------------------------------------------------------------------------

    def _say(self, notice: str) -> None:
        self._notice = notice
        self._draw_bars()

    def _draw_bars(self) -> None:
        needs = self._told.approvals_open if self._told else None
        names = {"inbox": f"Inbox {needs}" if needs else "Inbox", "tasks": "Tasks", "task": "Task"}
        parts: list[tuple[str, str]] = [("swarmkeeper  ", "bold")]
        for view, name in names.items():
            parts += [(f" {name} ", "reverse" if view == self.view else ""), (" ", "")]
        with suppress(NoMatches):
            self.query_one("#bar", Static).update(Text.assemble(*parts, self._live()))
            self.query_one("#foot", Static).update(
                Text(on_one_line(self._notice) or HELP, "yellow" if self._notice else "dim")
            )

    def _live(self) -> tuple[str, str]:
        if self.lost is None:
            return "● live", "green"
        if self.lost.retry_at is None:
            return f"○ {on_one_line(self.lost.why)}", "dim"
        left = max(0, round(self.lost.retry_at - asyncio.get_running_loop().time()))
        return f"✗ no answer, next try in {left} s; actions are off", "red"

    # ---- moving ------------------------------------------------------------------------------------------------------

    def show(self, view: str) -> None:
        self.view = view
        self.query_one(ContentSwitcher).current = view
        self.query_one(f"#{view}").query_one(Rows).focus()
        self._dirty.set()
        self._draw_bars()

    def action_step(self, by: int) -> None:
        table = self.query_one(f"#{self.view}").query_one(Rows)
        table.move_cursor(row=table.cursor_row + by)

    def action_begin_going(self) -> None:
        self._g_at = asyncio.get_running_loop().time()

    def action_go_after_g(self, view: str) -> None:
        if asyncio.get_running_loop().time() - self._g_at < G_SECONDS:
            self.show(view)

    def action_write(self) -> None:
        self.show("tasks")
        self.query_one("#query", Input).focus()

    def action_failed_only(self) -> None:
        if self.view == "task":
            self._only_failed = not self._only_failed
            self._dirty.set()
        else:
            self._ask_for(toggled(self.line, "status:failed"))

    async def action_back(self) -> None:
        reason = self.query_one("#reason", Input)
        if reason.has_class("asked") or self.query_one("#query", Input).has_focus:
            reason.remove_class("asked")
            self.show(self.view)
        elif self.view == "task":
            self.show("tasks")
        elif self.view == "tasks" and self.line:
            self._ask_for("")

    def action_keys(self) -> None:
        self._say("" if self._notice else f"The keys: {HELP}")

    def _ask_for(self, line: str) -> None:
        self.line = line
        self.query_one("#query", Input).value = line
        self.show("tasks")

    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        name = str(event.row_key.value)
        if event.data_table.id == "task-rows":
            self.task_id, self._only_failed = name, False
            self.query_one("#subtask-rows", Rows).clear()
            self.show("task")
        elif name.startswith("failed "):
            day = now() - timedelta(days=1)
            self._ask_for(f"status:failed after:{day:%Y-%m-%dT%H:%MZ}")
        elif self._unread:
            self._unread = False
            self.query_one(InboxView).show(self._shown)

    async def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.data_table.id == "inbox-rows" and self.query_one(InboxView).found is not None:
            self._look_at_chosen()

    # ---- deciding ----------------------------------------------------------------------------------------------------

    def _decidable(self) -> Approval | None:
        """Return what a person sees now and may decide on; say why not, if not."""
        chosen = self.query_one(InboxView).approval if self.view == "inbox" else None
        if chosen is None or self._shown is None or chosen.id != self._shown.id:
            return None
        if self.lost is not None:
            self._say("The server does not answer: nothing was sent.")
        elif self._unread:
            self._say(STALE)
        else:
            return self._shown
        return None

    async def action_approve(self) -> None:
        approval = self._decidable()
        if approval is not None:
            await self._decide(approval, self._client.approve(approval.id, approval.subject_hash), "Approved.")

    async def action_answer(self, number: int) -> None:
        approval = self._decidable()
        if approval is not None and number <= len(approval.choices):
            answer = approval.choices[number - 1]
            await self._decide(approval, self._client.answer(approval.id, answer), f"Answered: {answer}")

    def action_reject(self) -> None:
        if self._decidable() is not None:
            reason = self.query_one("#reason", Input)
            reason.add_class("asked")
            reason.focus()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "query":
            self._ask_for(event.value.strip())
            return
        approval = self._decidable()
        if approval is not None and event.value.strip():
            event.input.remove_class("asked")
            await self._decide(approval, self._client.reject(approval.id, event.value.strip()), "Rejected.")
            event.input.value = ""
            self.show("inbox")

    async def _decide(self, approval: Approval, sending: Awaitable[object], done: str) -> None:
        """Send a decision once. If the subject has changed, show what it is now, and send nothing again."""
        try:
            await sending
        except Conflict as error:
            self._shown = await self._client.approval(approval.id)
            self._unread = self._shown.subject_hash != approval.subject_hash
            self.query_one(InboxView).show(self._shown, STALE if self._unread else "")
            self._say(f"Not done: {error.detail}")
        except ApiError as error:
            self._say(f"Not done: {error.detail}")
        else:
            self._shown = None
            self._say(done)
            self._dirty.set()
