"""`BotProfile`, the base class of all bots: the settings of a bot and the hooks that its author may write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from swarmkeeper.sdk.answers import Answer

if TYPE_CHECKING:
    from swarmkeeper.sdk.context import Context
    from swarmkeeper.wire.answers import BotMessage


class BotProfile:
    """The settings and hooks of a bot."""

    type: ClassVar[Literal["Planner", "Executor", "Evaluator"]]
    kind: ClassVar[Literal["plan", "execute", "review"]]  # of its work
    method: ClassVar[str]  # the method that its author writes

    name: str | None = None  # None: the name its key is bound to, else the name of its class or function
    # Distinguishes processes with one name, such as a pod's name; each gets its own work. None: host and process id.
    instance: str | None = None
    version: str = "1.0"
    skills: Collection[str] = frozenset()
    capacity: int = 1  # how many leases it holds at a time
    dedicated: bool = False  # True: takes only work that requires one of its skills
    endpoint: str | None = None
    labels: Mapping[str, str] = {}
    lease_seconds: int | None = None  # None: the orchestrator's setting

    _of_function = False

    # ---- hooks

    def before_submit(self, result: Answer) -> Answer:
        """Check or redact an answer before it leaves this process; return the answer to send. May be a coroutine.

        Also gets failures, whose text holds the exception's message. If it raises, nothing of the answer is sent.
        """
        return result

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Called when something happens to this bot, for your own audit or trace. Must not block.

        Kinds: registered, leased, submitted, refused, released, lost, cancelled, failed, message, draining, trouble.
        """

    def on_message(self, message: BotMessage, context: Context) -> Any:
        """Called with a message about the work in progress. May be a coroutine; a plain function must not block.

        Runs on the author's event loop beside the work: once in each attempt for each message of the task, in order.
        Messages arrive with heartbeats, so work that ends at once may miss them. If this raises, the work goes on.
        """

    def has_hook(self, name: str) -> bool:
        """Whether the author wrote this hook."""
        return name in vars(self) or getattr(type(self), name) is not getattr(BotProfile, name)

    def source_name(self) -> str | None:
        """Return the name of the bot's function or class; None if it has none, like a lambda."""
        made_of = getattr(self, self.method) if self._of_function else type(self)
        name = getattr(made_of, "__name__", "")
        return name if name.isidentifier() else None
