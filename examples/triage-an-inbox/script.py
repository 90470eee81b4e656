"""A script in place of a model, for a try without a key and for tests: it goes by a few words, and understands nothing.

A real model takes its place by one line of swarm.toml: use = ["anthropic:claude-sonnet-4-5"]

As a model may be, it is fooled: of the mail that says so, it drafts what that mail asks for.
"""

import json
import re

from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturnPart

ANSWERS = {
    "money back": ("complaint", "We are sorry. You get your money back within three days."),
    "open on saturdays": ("question", "We are open on Saturdays from 10 to 16."),
    "addresses of all customers": ("other", "Here are the addresses of all customers: …"),
}


def data(messages, name):
    """Return the pieces of data of the prompt whose names begin so. They stand between marks."""
    prompt = messages[0].parts[-1].content
    found = re.findall(rf'<(data-\w+) name="({name}[^"]*)">\n(.*?)\n</\1>', prompt, re.DOTALL)
    return {called.removeprefix(name): json.loads(text) for _, called, text in found}


def answer(messages, info):
    """Answer as a model would: with a call of a tool, or with the fields of the output that is asked for."""
    tool = info.output_tools[0]
    fields = tool.parameters_json_schema["properties"]
    returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    call, said = tool.name, None
    if "steps" in fields:
        said = plan(data(messages, "input")[""]["files"])
    elif "judgements" in fields:
        said = verdict(data(messages, "result answer-"))
    elif "sent" in fields:
        [found] = data(messages, "result ").values()
        if "draft" in found and not returned:
            call, said = "send", {"mail": found["mail"], **found["draft"]}
        else:
            said = sent(found, returned[0].content if returned else "it needs no answer")
    else:
        file = messages[0].parts[-1].content.split()[1]  # "Triage FILE"
        if not returned:
            call, said = "read_file", {"path": file}
        else:
            said = triage(file, returned[0].content["text"])
    return ModelResponse(parts=[ToolCallPart(call, said)])


def plan(files):
    steps = []
    for number, file in enumerate(files, start=1):
        first = f"triage-{number}"
        steps.append({"key": first, "description": f"Triage {file}", "skill": "mail.triage"})
        second = {"key": f"answer-{number}", "description": f"Answer {file}", "skill": "mail.answer"}
        steps.append({**second, "after": [first]})
    return {"steps": steps}


def triage(file, mail):
    subject = re.search(r"^Subject: (.*)$", mail, re.MULTILINE)[1]
    words = " ".join(mail.lower().split())
    for asked, (kind, text) in ANSWERS.items():
        if asked in words:
            draft = {"subject": f"Re: {subject}", "text": text}
            return {"mail": file, "kind": kind, "reason": f"It says: {asked}", "draft": draft}
    return {"mail": file, "kind": "newsletter", "reason": "It asks for nothing."}


def sent(triage, why):
    return {"mail": triage["mail"], "kind": triage["kind"], "sent": why.startswith("sent "), "why": why}


def verdict(results):
    evidence = [{"subtask": f"answer-{key}", "quote": result["why"]} for key, result in results.items()][:10]
    judgement = {"criterion": 1, "met": True, "reason": "Each says so.", "evidence": evidence}
    return {"decision": "accept", "judgements": [judgement]}
