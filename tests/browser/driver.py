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

# What a browser with windows makes for each of them, and nobody sees here. Measured with Chromium 156: a context whose
# page signs in takes 1.4 s of the processor with it, and 0.7 s without. The first two are pages of the address bar's
# list, in a process of their own, and the third one makes such pages before they are asked for. The fourth one keeps a
# process ready for the next page of a context, which has only one.
WINDOWS = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "PreloadTopChromeWebUI", "SpareRendererForSitePerProcess")
# A browser heeds only the last list that it is given, so this one repeats what playwright's own switches off.
OFF_ANYWAY = (
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch", "TcpPortRandomizationWin",
    "ThirdPartyStoragePartitioning",
)  # fmt: skip

for room in pkgutil.iter_modules([str(Path(__file__).parent / "journeys")]):
    importlib.import_module(f"tests.browser.journeys.{room.name}")  # it adds its journeys


def main(program: str) -> None:
    # As root, as in containers, a browser cannot make its sandbox. It sees only our own pages.
    arguments = [f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    arguments += [f"--disable-features={','.join(OFF_ANYWAY + WINDOWS)}"]
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


if __name__ == "__main__":
    main(*sys.argv[1:])
