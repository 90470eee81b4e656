"""What all journeys of a browser share: what they are given, signing in, and what is watched meanwhile.

Whatever the journey, it fails if the page asks for anything elsewhere, breaks its own Content-Security-Policy, or
throws an error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, expect

ELSEWHERE = "swarm.example"  # a name that leads to the server, and that a browser takes for another machine's
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
THEMES = ("light", "dark")
# Reports of the policy reach the page as events, also those that the server would only count.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective + " " + e.blockedURI));
"""
# How many pixels the page is wider than the screen, or a part of it is wider than its own place. What is made to scroll
# sideways is a stop of the tab key; toolbars, tabs and pictures scroll to what has the focus in them.
TOO_WIDE = """
Math.max(document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll("main, main *, dialog *")]
    .filter(each => each.tabIndex !== 0 && !each.matches("[role=toolbar], .tabs, .graph, .stages"))
    .filter(each => ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .map(each => each.scrollWidth - each.clientWidth))
"""
# The part of a page that is too wide, to be found by whoever reads the test's message.
WIDEST = """
[...document.querySelectorAll("main, main *, dialog *")].filter(each => each.scrollWidth > each.clientWidth + 1)
    .filter(each => each.tabIndex !== 0 && ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .map(each => `${each.tagName}.${each.className}`).join(" ")
"""
# The names of all that a page can keep in a browser, but the cookie.
KEPT = """
Promise.all([indexedDB.databases(), caches.keys()]).then(([databases, kept]) => JSON.stringify(
    [...Object.keys(localStorage), ...Object.keys(sessionStorage), ...databases.map(each => each.name), ...kept]))
"""
SHOWS_FOCUS = """
(e => e === document.body || getComputedStyle(e).outlineStyle !== "none" || e.className)(document.activeElement)
"""

REFUSALS = (
    "Failed to load resource: the server responded with a status of",
    "Failed to load resource: net::ERR_CONNECTION_",
    "Failed to load resource: net::ERR_EMPTY_RESPONSE",
    "Failed to load resource: net::ERR_INCOMPLETE_CHUNKED_ENCODING",
)
STEP = "step: "  # begins a line that asks the test to do something
ENDED = "the journey has ended"


@dataclass
class Given:
    """What the journey that is being made was given."""

    axe: str = ""  # the file of axe-core
    url: str = ""  # of the server
    key: str = ""
    journey: str = ""
    arguments: list[str] = field(default_factory=list)

    @property
    def ui(self) -> str:
        return f"{self.url}/ui/"


given = Given()

Journey = Callable[[BrowserContext], None]
JOURNEYS: dict[str, Journey] = {}


def journey(function: Journey) -> Journey:
    JOURNEYS[function.__name__] = function
    return function


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    """Open a page, and check at the end that it did nothing that it must not."""
    page = context.new_page()
    troubles: list[str] = []
    page.add_init_script(WATCH)
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("request", lambda request: None if _is_ours(request.url) else troubles.append(f"asked {request.url}"))
    page.on(
        "console",
        lambda line: (
            troubles.append(f"console: {line.text}") if line.type == "error" and not _is_refusal(line.text) else None
        ),
    )
    yield page
    # By the protocol itself: playwright's `evaluate` uses eval, which the policy forbids.
    devtools = context.new_cdp_session(page)
    found = devtools.send("Runtime.evaluate", {"expression": "JSON.stringify([violations, window.ran])"})
    violations, ran = json.loads(found["result"]["value"])
    assert violations == [], violations
    assert ran is None, "a script from a title ran"
    assert troubles == [], troubles


def _is_refusal(line: str) -> bool:
    """Whether the browser only notes that a call was refused, or had no answer; the page shows that itself."""
    return line.startswith(REFUSALS)


def _is_ours(url: str) -> bool:
    return urlsplit(url).netloc == urlsplit(given.url).netloc


def sign_in(page: Page) -> None:
    """Sign in by keyboard. The key is put in at once: a letter typed costs a picture. `refuses_a_wrong_key` types."""
    page.goto(given.ui)
    expect(page.get_by_label("API key or token")).to_be_focused()
    page.keyboard.insert_text(given.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


def at(page: Page, place: str) -> None:
    page.goto(f"{given.ui}#/{place}")


def leave(page: Page) -> None:
    """Go where the dashboard is not, so that it is opened anew next. `about:blank` would take another process."""
    page.goto(f"{given.ui}icon.svg")


def settled(page: Page) -> None:
    """Wait until a page shows what it has read: the stream of changes keeps its connection busy for ever."""
    page.wait_for_timeout(100)
    expect(page.locator("#main")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".skeleton")).to_have_count(0)


def read_again(context: BrowserContext, page: Page) -> None:
    """Let the page read what it shows, as when a laptop has a network again."""
    context.new_cdp_session(page).send("Runtime.evaluate", {"expression": "dispatchEvent(new Event('online'))"})


def let_happen(step: str) -> str:
    """Let the test do what it has for this step, at the server; return what it has to say of it."""
    print(f"{STEP}{step}", flush=True)
    return sys.stdin.readline().strip()


def evaluated(page: Page, expression: str) -> Any:
    """Return what an expression is in the page. By the protocol: playwright's own way is forbidden by the policy."""
    devtools = page.context.new_cdp_session(page)
    found = devtools.send("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
    assert "exceptionDetails" not in found, found
    return found["result"].get("value")
