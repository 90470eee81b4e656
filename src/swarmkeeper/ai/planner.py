"""A planner whose plans come from a model. A cycle cannot be written: a step may name only earlier steps."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from swarmkeeper.agents.prompt import Prompt
from swarmkeeper.ai.asking import ModelWork, NotGood, ask
from swarmkeeper.sdk.answers import Failed, InvalidAnswer, Plan
from swarmkeeper.sdk.bots import PlannerBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.wire.requests import TaskDefinition

SUBTASKS_MAX = 40
_DESCRIPTION_LENGTH_MAX = 4_000
_INSTRUCTIONS = (
    "You plan work for a swarm of bots. Turn the task into steps that bots can do, each one piece of work with one "
    "result. Steps that do not need each other's results run at the same time, so write `after` only where a result is "
    "needed. The last step should make the result that was asked for."
)
# For a small model: fewer words, and fewer steps.
SMALL_STEPS_MAX = 3
_SMALL_INSTRUCTIONS = (
    "Split the task into two or three short steps. Each step is one sentence that says what to do. The last step makes "
    "the result that the task asks for.\n\n"
    "An example. Task: Make a visitor guide for the museum. Step 1: Find out what the museum shows. Step 2: Write the "
    "visitor guide."
)
# Three steps of this length are written in some 100 tokens. With 120 characters, some plans were cut off at the 150
# tokens that the local model may write, and each of the three attempts that follow ends the same way.
_SMALL_DESCRIPTION_LENGTH_MAX = 80
Skills = Mapping[str, str]  # each with what it is for; the text may be empty
SkillsNow = Callable[[], Awaitable[Skills]]


class DraftStep(BaseModel):
    """One step of the plan."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="A short name in lower case: read-notes.")]
    description: Annotated[
        str,
        Field(
            min_length=1,
            max_length=_DESCRIPTION_LENGTH_MAX,
            description="What to do, complete in itself: who does it sees only this, and the results of `after`.",
        ),
    ]
    after: Annotated[
        list[str],
        Field(description="Keys of earlier steps in this list whose results this step needs. Empty: it can begin."),
    ] = []
    uses_input: Annotated[bool, Field(description="Whether this step needs the input data of the task.")] = False


@dataclass(frozen=True, slots=True)
class PlanExample:
    """A plan that was good, to show the model what is meant.

    Attributes:
        steps: each with `key`, `description`, `after` and, if it needs one, `skill`.
    """

    task: str
    steps: Sequence[Mapping[str, Any]]


class ModelPlanner(PlannerBot):
    """A planner whose plans come from a model.

    Args:
        skills: the skills that steps may ask for, or a coroutine function that returns them for each plan. If there
            are none, steps ask for none.
        max_subtasks: of one plan.
        instructions: added to its own.
    """

    def __init__(
        self,
        work: ModelWork,
        *,
        skills: Skills | SkillsNow,
        max_subtasks: int = SUBTASKS_MAX,
        instructions: str = "",
        examples: Sequence[PlanExample] = (),
        name: str | None = None,
        planner_skills: Sequence[str] = (),
        capacity: int = 1,
    ) -> None:
        if max_subtasks < 1:
            raise ValueError("max_subtasks is at least 1")
        self._work, self._step_skills, self._most = work, skills, max_subtasks
        self._instructions, self._examples = instructions, tuple(examples)
        self.name, self.capacity, self.skills = name, capacity, frozenset(planner_skills)
        self.labels = work.labels

    async def plan(self, task: TaskDefinition, context: Context) -> Plan | Failed:
        skills = await self._step_skills() if callable(self._step_skills) else self._step_skills
        if self._work.small:
            return await ask(
                self._work,
                context,
                instructions=_SMALL_INSTRUCTIONS,
                prompt=f"Task: {task.title}\n{task.description}".strip(),
                shape=small_draft_of(skills, min(self._most, SMALL_STEPS_MAX)),
                made=lambda draft: plan_of(whole_draft(draft, skills), task, skills, self._most),
            )
        return await ask(
            self._work,
            context,
            instructions=self._told(skills),
            prompt=prompt_of(task, context),
            shape=draft_of(skills, self._most),
            made=lambda draft: plan_of(draft, task, skills, self._most),
        )

    def _told(self, skills: Skills) -> str:
        parts = [
            _INSTRUCTIONS,
            f"Write as few steps as the task needs, and at most {self._most}.",
        ]
        if skills:
            listed = "\n".join(f"- {name}: {about}" if about else f"- {name}" for name, about in sorted(skills.items()))
            parts.append(f"Each step needs exactly one of these skills; there are no others:\n{listed}")
        parts += [
            f"An example. Task: {example.task}\nIts steps: {json.dumps(list(example.steps), ensure_ascii=False)}"
            for example in self._examples
        ]
        return "\n\n".join([*parts, self._instructions] if self._instructions else parts)


def prompt_of(task: TaskDefinition, context: Context) -> str:
    """Return the prompt for a plan of this task."""
    criteria = "".join(f"\n- {text}" for text in task.acceptance_criteria)
    wanted = f"\n\nThe result will be judged by:{criteria}" if criteria else ""
    return Prompt(
        description=f"Plan this task.\n\n{task.title}\n{task.description}".rstrip() + wanted,
        input=task.input,
        feedback=tuple(feedback.text for feedback in context.feedback),
        answers=tuple((answered.question, answered.answer) for answered in context.answers),
    ).text()


def draft_of(skills: Skills, most: int) -> type[BaseModel]:
    """Return the type of a plan as the model writes it: these skills alone, and at most so many steps."""
    step: Any = DraftStep
    if skills:
        kind: Any = Literal[tuple(sorted(skills))]
        skill: Any = Annotated[kind, Field(description="The skill that does it.")]
        step = create_model("DraftStep", __base__=DraftStep, skill=(skill, ...))
    steps: Any = Annotated[list[step], Field(min_length=1, max_length=most)]
    return create_model("PlanDraft", __config__=ConfigDict(extra="forbid"), steps=(steps, ...))


def small_draft_of(skills: Skills, most: int) -> type[BaseModel]:
    """Return the type of a plan in which no cycle, no unknown skill and no unknown step can be written.

    Each step is a property of its own, and names of the steps before it are all that its `after` can hold.
    """
    fields: dict[str, Any] = {}
    for number in range(1, most + 1):
        text = Field(min_length=8, max_length=_SMALL_DESCRIPTION_LENGTH_MAX)
        step: dict[str, Any] = {"description": (Annotated[str, text], ...)}
        if len(skills) > 1:
            step["skill"] = (Literal[tuple(sorted(skills))], ...)
        if number > 1:
            earlier: Any = Literal[tuple(f"step-{before}" for before in range(1, number))]
            # At least one: a weak model then writes steps that follow from each other.
            step["after"] = (Annotated[list[earlier], Field(min_length=1, max_length=number - 1)], ...)
        made: Any = create_model(f"Step{number}", __config__=ConfigDict(extra="forbid"), **step)
        fields[f"step_{number}"] = (made, ...) if number <= 2 else (made | None, None)
    return create_model("SmallPlanDraft", __config__=ConfigDict(extra="forbid"), **fields)


@dataclass(frozen=True, slots=True)
class WholeDraft:
    """The steps of a small draft, as an ordinary draft has them."""

    steps: Sequence[WholeStep]


@dataclass(frozen=True, slots=True)
class WholeStep:
    """One of them. What a small draft does not say follows from the rest."""

    key: str
    description: str
    after: Sequence[str]
    skill: str | None
    uses_input: bool = True


def whole_draft(draft: BaseModel, skills: Skills) -> WholeDraft:
    """Return the draft that a small one stands for."""
    only = next(iter(skills)) if len(skills) == 1 else None
    steps: list[WholeStep] = []
    for number, name in enumerate(type(draft).model_fields, start=1):
        written: Any = getattr(draft, name)
        if written is not None:
            known = {step.key for step in steps}
            after = [key for key in getattr(written, "after", ()) if key in known]
            skill = getattr(written, "skill", only)
            steps.append(WholeStep(f"step-{number}", written.description, after, skill))
    return WholeDraft(steps)


def plan_of(draft: Any, task: TaskDefinition, skills: Skills, most: int) -> Plan:
    """Return the plan that a model has written.

    Raises:
        NotGood: with every rule that it breaks.
    """
    problems = _broken_rules(draft.steps, skills, most)
    if problems:
        raise NotGood(problems)
    goal = f"{task.title}\n{task.description}".strip()
    try:
        return Plan([_subtask(step, goal, task.input) for step in draft.steps])
    except InvalidAnswer as error:
        raise NotGood([str(problem) for problem in error.problems] or [str(error)]) from None


def _broken_rules(steps: Sequence[Any], skills: Skills, most: int) -> list[str]:
    problems = []
    if len(steps) > most:
        problems.append(f"the plan has {len(steps)} steps: at most {most} are allowed")
    earlier: list[str] = []
    for step in steps:
        if step.key in earlier:
            problems.append(f"there are two steps {step.key}")
        problems += [
            f"step {step.key}: `after` names {key!r}, which is not an earlier step"
            for key in step.after
            if key not in earlier
        ]
        skill = getattr(step, "skill", None)
        if skills and skill not in skills:
            problems.append(f"step {step.key}: there is no skill {skill!r}")
        earlier.append(step.key)
    return problems


def _subtask(step: Any, goal: str, given: Mapping[str, Any]) -> dict[str, Any]:
    subtask: dict[str, Any] = {
        "key": step.key,
        "description": step.description,
        "depends_on": list(dict.fromkeys(step.after)),
        "input": {"goal": goal, **({"input": dict(given)} if step.uses_input and given else {})},
    }
    if (skill := getattr(step, "skill", None)) is not None:
        subtask["required_skills"] = [skill]
    return subtask
