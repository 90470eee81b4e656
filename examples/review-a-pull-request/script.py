"""A script in place of a model, for a try without a key and for tests: it knows two faults, and understands nothing.

A real model takes its place by one line of swarm.toml: use = ["anthropic:claude-sonnet-4-5"]
"""

import json
import re

from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart

FAULTS = {
    r"def .*=\[\]": ("major", "The default list is made once, so all calls share it. Use None, and make it inside."),
    r"f\".*= '\{": ("blocker", "Values in the text of a query: anybody can inject SQL. Pass them as parameters."),
}


def data(messages, name):
    """Return the pieces of data of the prompt whose names begin so. They stand between marks."""
    prompt = messages[0].parts[-1].content
    found = re.findall(rf'<(data-\w+) name="({name}[^"]*)">\n(.*?)\n</\1>', prompt, re.DOTALL)
    return {called: json.loads(text) for _, called, text in found}


def answer(messages, info):
    """Answer as a model would: with a call of a tool, or with the fields of the output that is asked for."""
    tool = info.output_tools[0]
    fields = tool.parameters_json_schema["properties"]
    if "steps" in fields:
        said = plan(data(messages, "input")["input"]["files"])
    elif "judgements" in fields:
        said = verdict(data(messages, "result "))
    elif "advice" in fields:
        said = summary(list(data(messages, "result ").values()))
    else:
        read = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        if not read:
            file = messages[0].parts[-1].content.split()[1]  # "Review FILE"
            return ModelResponse(parts=[TextPart(f"I read {file}."), ToolCallPart("read_file", {"path": file})])
        said = review(read[0].content["text"])
    return ModelResponse(parts=[ToolCallPart(tool.name, said)])


def plan(files):
    diffs = [file for file in files if file.endswith(".diff")]
    steps = [
        {"key": f"file-{number}", "description": f"Review {file}", "skill": "review.file"}
        for number, file in enumerate(diffs, start=1)
    ]
    last = {"key": "summary", "description": "Sum up the review", "skill": "review.summary"}
    return {"steps": [*steps, {**last, "after": [step["key"] for step in steps]}]}


def review(diff):
    findings = [
        {"severity": severity, "quote": line[1:].strip(), "text": text}
        for line in diff.splitlines()
        if line.startswith("+") and not line.startswith("+++")
        for fault, (severity, text) in FAULTS.items()
        if re.search(fault, line)
    ]
    return {"file": re.search(r"^diff --git .* b/(.*)$", diff, re.MULTILINE)[1], "findings": findings}


def summary(reviews):
    findings = [{"file": review["file"], **finding} for review in reviews for finding in review["findings"]]
    findings.sort(key=lambda finding: ["blocker", "major", "minor"].index(finding["severity"]))
    bad = [finding for finding in findings if finding["severity"] != "minor"]
    return {
        "advice": "change" if bad else "merge",
        "summary": f"{len(reviews)} files were reviewed, and {len(findings)} faults were found.",
        "files": [review["file"] for review in reviews],
        "findings": findings,
    }


def verdict(results):
    [(name, result)] = [(name, result) for name, result in results.items() if "advice" in result]
    key = name.removeprefix("result ")
    quotes = [finding["quote"] for finding in result["findings"][:10]] or [result["summary"]]
    shown = [{"subtask": key, "quote": quote} for quote in quotes]
    advised = [{"subtask": key, "quote": result["advice"]}]
    judgements = [
        {"criterion": 1, "met": True, "reason": "Each finding quotes its line.", "evidence": shown},
        {"criterion": 2, "met": True, "reason": "The advice is what the severities demand.", "evidence": advised},
    ]
    return {"decision": "accept", "judgements": judgements}
