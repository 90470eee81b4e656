"""Drives a browser through a journey; run by place.py in .venv-browser, which has playwright and nothing of ours.

Arguments: the browser's program, the file of axe-core, the server's address, a key, the journey, and what it needs.
"""

import os

from playwright.sync_api import sync_playwright

from tests.browser.driving import ELSEWHERE, JOURNEY, JOURNEYS, PROGRAM, WIDE
from tests.browser.journeys import (
    account,
    audit,
    basics,
    desk,
    frame,
    gallery,
    inbox,
    lists,
    roles,
    streams,
    stuck,
    task,
    views,
)

_ = (
    account,
    audit,
    basics,
    desk,
    frame,
    gallery,
    inbox,
    lists,
    roles,
    streams,
    stuck,
    task,
    views,
)  # they add their journeys


def main() -> None:
    # As root, as in containers, a browser cannot make its sandbox. It sees only our own pages.
    arguments = [f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    bypass = JOURNEY.endswith(("no_barrier", "makes_pictures", "pictures_lists", "shows_every_state"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=arguments)
        context = browser.new_context(viewport=WIDE, bypass_csp=bypass, reduced_motion="reduce")
        context.set_default_timeout(15_000)
        try:
            JOURNEYS[JOURNEY](context)
        finally:
            context.close()
            browser.close()


main()
