"""Answers a question from the files of a folder. Each claim cites one of them, and a program looks the quotes up.

python research.py "How long does the battery last, and who repairs the lamp?" sources
"""

import os
import sys
from pathlib import Path

from swarmkeeper import Accept, Candidate, EvaluatorBot, Rework
from swarmkeeper.ai.folder_tools import NotReadable, ReadFolder
from swarmkeeper.swarm.bots import build
from swarmkeeper.swarm.file import load
from swarmkeeper.testing import run_swarm

HERE = Path(__file__).resolve().parent


class QuotesStand(EvaluatorBot):
    """Accepts a result only if each quote stands in the file that it names. No model can talk its way past this."""

    name = "quotes"

    def __init__(self, folder: Path) -> None:
        self.folder = ReadFolder(folder)

    async def review(self, candidate: Candidate) -> Accept | Rework:
        wrong = {}
        for key, result in candidate.results.items():
            problems = [problem for claim in result["claims"] if (problem := self.problem(claim))]
            if problems:
                wrong[key] = "Correct these claims, or leave them out:\n" + "\n".join(problems)
        if wrong:
            return Rework(wrong, reasons=["a quote does not stand in its source"])
        return Accept(reasons=["every quote stands in its source"])

    def problem(self, claim: dict[str, str]) -> str:
        try:
            text = self.folder.read(claim["source"], most=10_000_000).decode("utf-8", "replace")
        except NotReadable:
            return f"{claim['claim']}: there is no source {claim['source']}"
        if " ".join(claim["quote"].split()) in " ".join(text.split()):
            return ""
        return f"{claim['claim']}: {claim['source']} does not say {claim['quote']!r}"


def researched(question: str, folder: Path):
    """Run the swarm, and return its task."""
    swarm = load(HERE / "swarm.toml")
    task = {
        "title": question,
        "input": {"files": [entry.path for entry in ReadFolder(folder).entries()]},
        "quorum": {"accept": 2, "of": 2},  # the model's judgement and the program's: both have to accept
        "budget": swarm.swarm.budget.limits(),
    }
    return run_swarm([*build(swarm, files=folder), QuotesStand(folder)], [task], timeout_seconds=3_600)[0]


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    os.environ.setdefault("PYDANTIC_AI_NO_BANNER", "1")  # else it prints an advertisement
    task = researched(sys.argv[1], Path(sys.argv[2]))
    for report in (task.result or {}).values():
        print(report["answer"], "\n")
        for number, claim in enumerate(report["claims"], start=1):
            print(f'{number}. {claim["claim"]}\n   {claim["source"]}: "{claim["quote"]}"')
    cost = task.usage.cost_micro_usd / 1_000_000
    print(f"\n{task.outcome} in round {task.round}, {task.usage.tokens:,} tokens, ${cost:.2f}", file=sys.stderr)
    sys.exit(0 if task.outcome == "accepted" else 3)


if __name__ == "__main__":
    main()
