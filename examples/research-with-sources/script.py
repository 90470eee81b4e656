"""A script in place of a model, for a try without a key and for tests: it looks for words, and understands nothing.

A real model takes its place by one line of swarm.toml: use = ["anthropic:claude-sonnet-4-5"]

As a model may, it adds to its report what no source says, and takes it out when it is told so.
"""

import json
import re

from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturnPart

INVENTED = {"claim": "The lamp is waterproof.", "source": "manual.md", "quote": "The lamp is waterproof to 10 metres."}


def data(messages, name):
    """Return the pieces of data of the prompt whose names begin so. They stand between marks."""
    prompt = messages[0].parts[-1].content
    found = re.findall(rf'<(data-\w+) name="({name}[^"]*)">\n(.*?)\n</\1>', prompt, re.DOTALL)
    return {called.removeprefix(name): text for _, called, text in found}


def answer(messages, info):
    """Answer as a model would: with a call of a tool, or with the fields of the output that is asked for."""
    tool = info.output_tools[0]
    fields = tool.parameters_json_schema["properties"]
    prompt = messages[0].parts[-1].content
    results = {key: json.loads(text) for key, text in data(messages, "result ").items()}
    returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    call = tool.name
    if "steps" in fields:
        said = plan(prompt.split("\n\n")[1])  # the first paragraph says what to do, the second is the task
    elif "judgements" in fields:
        said = verdict(results)
    elif prompt.startswith("Report"):
        said = report(results, told=bool(data(messages, "feedback")))
    elif not returned:
        call, said = "search_files", {"text": max(re.findall(r"\w+", prompt.split("\n")[0]), key=len)}
    else:
        said = found(returned[0].content)
    return ModelResponse(parts=[ToolCallPart(call, said)])


def plan(question):
    parts = [part.strip(" ?.\n") for part in question.split(", and ")]
    steps = [
        {"key": f"find-{number}", "description": f"Find: {part}", "skill": "research.find"}
        for number, part in enumerate(parts, start=1)
    ]
    last = {"key": "report", "description": "Report what was found", "skill": "research.report"}
    return {"steps": [*steps, {**last, "after": [step["key"] for step in steps]}]}


def found(lines):
    claims = []
    for line in lines:
        source, _, text = line.split(":", 2)
        claims.append({"claim": text.strip(), "source": source, "quote": text.strip()})
    return {"answer": f"{len(claims)} places say something about it.", "claims": claims}


def report(results, told):
    claims = [claim for result in results.values() for claim in result["claims"]] + ([] if told else [INVENTED])
    return {"answer": " ".join(claim["claim"] for claim in claims), "claims": claims}


def verdict(results):
    quote = results["report"]["claims"][0]["claim"]
    judgement = {
        "criterion": 1,
        "met": True,
        "reason": "It answers.",
        "evidence": [{"subtask": "report", "quote": quote}],
    }
    return {"decision": "accept", "judgements": [judgement]}
