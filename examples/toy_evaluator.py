"""An evaluator in twenty lines: counts again, and asks for rework if the total differs."""

from swarmkeeper import Accept, Candidate, Rework, evaluator, run


@evaluator(skills={"toy.judge"}, dedicated=True)
async def judge(candidate: Candidate) -> Accept | Rework:
    expected = sum(len(text.split()) for text in candidate.task.input["texts"])
    counted = candidate.results["total"]["words"]
    if counted == expected:
        return Accept(score=1.0, reasons=[f"{expected} words, counted twice"])
    reason = f"{counted} words were counted, and there are {expected}"
    return Rework(targets={"total": reason}, reasons=[reason])


run(judge)
