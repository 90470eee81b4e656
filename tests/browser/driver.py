"""Drives a browser through journeys; run by place.py in .venv-browser, which has playwright and nothing of ours.

Its argument is the program of the browser. Each line of its input is a journey: JSON, the fields of `Given`. A journey
has a context of its own: with no cookies, no cache and nothing else of the journeys before it. When it is done, `ENDED`
is printed. A journey that fails ends this process, and the browser with it.
"""

import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.driving import ELSEWHERE, ENDED, JOURNEYS, WIDE, given

for room in pkgutil.iter_modules([str(Path(__file__).parent / "journeys")]):
    importlib.import_module(f"tests.browser.journeys.{room.name}")  # it adds its journeys


def main(program: str) -> None:
    # As root, as in containers, a browser cannot make its sandbox. It sees only our own pages.
    arguments = [f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        while line := sys.stdin.readline():
            vars(given).update(json.loads(line))
            bypass = given.journey.endswith(("no_barrier", "makes_pictures", "pictures_lists", "shows_every_state"))
            context = browser.new_context(viewport=WIDE, bypass_csp=bypass, reduced_motion="reduce")
            context.set_default_timeout(15_000)
            JOURNEYS[given.journey](context)
            context.close()
            print(ENDED, flush=True)
        browser.close()


main(*sys.argv[1:])
