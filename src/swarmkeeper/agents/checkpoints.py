"""What an agent bot keeps as a checkpoint: the framework's state, and what is needed to know whether it still fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed
from swarmkeeper.sdk.context import Context

Json = Any
_FORMAT = 1  # of the checkpoint; one of another format is not used


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Makes and reads the checkpoints of one attempt.

    Attributes:
        adapter: its name; only the same adapter can use the state.
        round: of the work; a state of an earlier round led to the result that was sent back.
        answers: how many questions had been answered when the attempt began.
    """

    adapter: str
    round: int
    answers: int

    @classmethod
    def of(cls, adapter: str, context: Context) -> Wrapping:
        return cls(adapter, max((feedback.round for feedback in context.feedback), default=0), len(context.answers))

    def made(self, state: Json, question: AgentQuestion | None = None) -> Json:
        """Return the checkpoint for a state, and for the question that waits there."""
        asked = None
        if question is not None:
            asked = {"text": question.text, "choices": list(question.choices), "schema": question.schema}
        return {
            "agent_checkpoint": _FORMAT,
            "adapter": self.adapter,
            "round": self.round,
            "answers": self.answers,
            "question": asked,
            "state": state,
        }

    def read(self, checkpoint: Json, context: Context) -> Resumed | AgentQuestion | None:
        """Return where to continue; a question that was never asked, because the bot died before; None: start anew."""
        if not isinstance(checkpoint, Mapping) or checkpoint.get("agent_checkpoint") != _FORMAT:
            return None
        if checkpoint.get("adapter") != self.adapter or checkpoint.get("round") != self.round:
            return None
        asked, state = checkpoint.get("question"), checkpoint.get("state")
        if not isinstance(asked, Mapping):
            return Resumed(state)
        before = checkpoint.get("answers")
        if isinstance(before, int) and len(context.answers) > before:
            return Resumed(state, waited=True, answer=context.answers[-1].answer)
        return _question(asked)


def _question(asked: Mapping[str, Json]) -> AgentQuestion | None:
    """Return the question, if it still has its form: the checkpoint may have been written by any bot."""
    text, choices, schema = asked.get("text"), asked.get("choices"), asked.get("schema")
    if not isinstance(text, str) or not text or not isinstance(choices, list):
        return None
    if not all(isinstance(choice, str) for choice in choices) or not (schema is None or isinstance(schema, dict)):
        return None
    return AgentQuestion(text, tuple(choices), schema)
