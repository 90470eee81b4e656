"""What an adapter of a framework has to offer. The common part (`AgentBot`) does everything else.

An adapter knows one framework: how to start an agent, to follow it, and to continue it from a state. It imports the
framework only in its functions, because a bot has one framework and not all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.agents.run import AgentRun

Json = Any


@dataclass(frozen=True, slots=True)
class AgentQuestion:
    """What an agent wants to know from a person: a tool call to approve, or an interrupt.

    Attributes:
        text: what the person reads.
        choices: the possible answers, if there are only these.
        schema: a JSON Schema of the answer, if it has one.
    """

    text: str
    choices: tuple[str, ...] = ()
    schema: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """How a run ended: with an output, or with a question.

    Attributes:
        output: any Python value; the common part makes JSON of it.
        question: if it is set, the run waits for a person, and `state` is where it goes on.
        state: JSON, from which any other bot with the same agent can continue; it holds no object and no path.
        silent_cap: the framework ended the run at a limit of its own, and the output is no result. The text says so.
    """

    output: object = None
    question: AgentQuestion | None = None
    state: Json = None
    silent_cap: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an earlier attempt stopped.

    Attributes:
        state: what it gave to `AgentRun.checkpoint`, or as the state of its question.
        waited: whether it stopped with a question.
        answer: the answer to that question, from a person.
    """

    state: Json
    waited: bool = False
    answer: Json = None


class StaleState(Exception):
    """An adapter cannot use the state of an earlier attempt, of another version perhaps. The agent starts anew."""


class Adapter(Protocol):
    """One framework."""

    name: str  # in checkpoints: a state is only given to the adapter that made it

    def accepts(self, agent: object) -> bool:
        """Whether this is an agent of the framework. It must not import the framework: look at the type's module."""
        ...

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        """Run the agent to its end, or to its next question. It is called on the bot's own loop.

        Report everything to `run` while it happens: `run.request()` before each model request, `run.used(…)` after it,
        `run.tool(…)` and `run.tool_ended(…)` around tools, `run.checkpoint(…)` when there is a state to continue from.
        `request` and `tool` raise `CapReached`: let it pass. A cancellation is asyncio's: end the framework's run by
        its own means, and let it pass.

        Args:
            resumed: None: start from the beginning, with `prompt`.

        Raises:
            StaleState: `resumed.state` cannot be used; nothing has been done yet.
            Exception: any error of the framework or the provider; the common part knows what they mean.
        """
        ...
