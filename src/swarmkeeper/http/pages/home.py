"""The page at /: what this server is, and the first steps. Like the page at /docs it has no scripts and no external
resources.
"""

from __future__ import annotations

from html import escape

from swarmkeeper.http.pages.docs import STYLE

_TASK = """{"title": "Say hello", "evaluation": "none", "subtasks": [
  {"key": "hello", "description": "Greet", "required_skills": ["greeting"], "input": {"name": "world"}}]}"""


def page(version: str, base: str) -> bytes:
    """Return the page as HTML; `base` is what the links begin with."""
    root = escape(base, quote=True)
    links = "".join(
        f"<tr><td><a href='{root}/{path}'>/{path}</a><td>{escape(words)}"
        for path, words in (
            ("docs", "every call and every error code, for people"),
            ("openapi.json", "the same for machines"),
            ("health", "whether it answers; /readyz says whether it takes work"),
        )
    )
    body = (
        f"<h1>swarmkeeper {escape(version)}</h1>"
        "<p>This is the API of a control plane for swarms of AI bots. Clients hand in a task, a planner bot makes a "
        "graph of subtasks, executor bots do them, an evaluator bot judges the result. The server decides who may do "
        "what and when, loses nothing, and can prove what happened.</p>"
        f"<table>{links}</table>"
        "<h2>Get a key</h2>"
        "<p>Every call for tasks, bots or keys needs one. Make it on the machine of the server, with the server's own "
        "store; it is shown once:</p>"
        f"<pre>{escape('swarmkeeper key create --role client --store sqlite:///PATH')}</pre>"
        "<p>An orchestrator that <code>swarmkeeper dev</code> has started printed its key as it began. There are eight "
        "roles: <code>swarmkeeper docs roles</code>.</p>"
        "<h2>Hand in a task, and look at it</h2>"
        f"<pre>{escape(_calls())}</pre>"
        "<p>It waits for a bot with the skill <code>greeting</code>. <code>swarmkeeper docs start</code> shows the few "
        "lines of Python that are one, <code>swarmkeeper docs bot-with-curl</code> a bot without Python, and "
        "<code>swarmkeeper docs</code> all pages there are.</p>"
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>swarmkeeper {escape(version)}</title><style>{STYLE}</style>{body}"
    ).encode()


def _calls() -> str:
    """Return example calls to type; the reader fills in address and key."""
    return (
        "export SWARMKEEPER_URL=…       # the address of this page\n"
        "export SWARMKEEPER_API_KEY=…   # the key\n\n"
        'curl "$SWARMKEEPER_URL/tasks" -H "X-API-KEY: $SWARMKEEPER_API_KEY" -H "Content-Type: application/json" \\\n'
        f"     --data '{_TASK}'\n"
        'curl "$SWARMKEEPER_URL/tasks" -H "X-API-KEY: $SWARMKEEPER_API_KEY"'
    )
