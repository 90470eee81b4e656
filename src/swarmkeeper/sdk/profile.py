"""`BotProfile`: the attributes of a bot and the hooks that its author may write; the base class of all bots."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from swarmkeeper.sdk.answers import Answer

if TYPE_CHECKING:
    from swarmkeeper.sdk.context import Context
    from swarmkeeper.wire.answers import BotMessage


class BotProfile:
    type: ClassVar[Literal["Planner", "Executor", "Evaluator"]]
    kind: ClassVar[Literal["plan", "execute", "review"]]  # of the work it takes
    method: ClassVar[str]  # the one that its author writes

    name: str | None = None  # None: the one its key is bound to, else what its class or function is called
    # Tells processes of one name apart, such as a pod's name; each is given work of its own. None: host and process.
    instance: str | None = None
    version: str = "1.0"
    skills: Collection[str] = frozenset()
    capacity: int = 1  # how much work it holds at a time
    dedicated: bool = False  # True: takes only work that requires one of its skills
    endpoint: str | None = None
    labels: Mapping[str, str] = {}
    lease_seconds: int | None = None  # None: as the orchestrator has it

    _of_function = False

    # ---- hooks

    def before_submit(self, result: Answer) -> Answer:
        """Last look at an answer before it leaves this process: redact what must not. May be a coroutine.

        Sees failures too, whose text holds the message of the exception. If it raises, nothing of the answer leaves.
        """
        return result

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Something happened to this bot: for an audit or a trace in a system of your own. Must not block.

        Kinds: registered, leased, submitted, refused, released, lost, cancelled, failed, message, draining, trouble.
        """

    def on_message(self, message: BotMessage, context: Context) -> Any:
        """Somebody told this bot something about the work that it is at. May be a coroutine; else it must not block.

        Called beside the work, on the runner's loop: for each of the task's messages once in each attempt, in order.
        Messages come with heartbeats, so that work which is done at once may end before any. If this raises, the work
        goes on.
        """

    def has_hook(self, name: str) -> bool:
        """Whether the author wrote this hook."""
        return name in vars(self) or getattr(type(self), name) is not getattr(BotProfile, name)

    def source_name(self) -> str | None:
        """The name of the bot's function, or else of its class; None if it has none, as a lambda."""
        made_of = getattr(self, self.method) if self._of_function else type(self)
        name = getattr(made_of, "__name__", "")
        return name if name.isidentifier() else None
