"""The page at /: what this server is, and the first steps. Like /docs it has no scripts and no external resources."""

from __future__ import annotations

from html import escape

from swarmkeeper.http.pages.docs import STYLE

# Example calls to type; the reader fills in address and key.
_CALLS = """\
export SWARMKEEPER_URL=…       # the address of this page
export SWARMKEEPER_API_KEY=…   # the key

curl "$SWARMKEEPER_URL/tasks" -H "X-API-KEY: $SWARMKEEPER_API_KEY" -H "Content-Type: application/json" \\
     --data '{"title": "Say hello", "evaluation": "none", "subtasks": [
  {"key": "hello", "description": "Greet", "required_skills": ["greeting"], "input": {"name": "world"}}]}'
curl "$SWARMKEEPER_URL/tasks" -H "X-API-KEY: $SWARMKEEPER_API_KEY" """


def page(version: str, base: str) -> bytes:
    """Return the page as HTML; `base` is the prefix of its links."""
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
        "<p>This is the API of a control plane for swarms of AI bots. A client submits a task, a planner bot plans its "
        "subtasks, executor bots do them, and an evaluator bot reviews the result. The server decides who may do what "
        "and when, loses nothing, and can prove what happened.</p>"
        f"<table>{links}</table>"
        "<h2>Get a key</h2>"
        "<p>Every call for tasks, bots or keys needs a key. Create one on the server's machine, with the server's "
        "store; it is shown once:</p>"
        f"<pre>{escape('swarmkeeper key create --role client --store sqlite:///PATH')}</pre>"
        "<p><code>swarmkeeper dev</code> prints its key when it starts. There are nine roles: "
        "<code>swarmkeeper docs roles</code>.</p>"
        "<h2>Submit a task, and list tasks</h2>"
        f"<pre>{escape(_CALLS)}</pre>"
        "<p>The task waits for a bot with the skill <code>greeting</code>. <code>swarmkeeper docs start</code> shows "
        "such a bot in a few lines of Python, <code>swarmkeeper docs bot-with-curl</code> a bot without Python; "
        "<code>swarmkeeper docs</code> lists all pages.</p>"
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>swarmkeeper {escape(version)}</title><style>{STYLE}</style>{body}"
    ).encode()
