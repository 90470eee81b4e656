"""The inbox: what it asks the server for, what it shows of a decision, and what it says when there is nothing to do."""

import re

from playwright.sync_api import BrowserContext, Request, expect

from tests.browser.driving import at, given, journey, let_happen, settled, sign_in, watched


@journey
def decides_with_all_facts(context: BrowserContext) -> None:
    """By keyboard alone: a result with its verdict and output, then a question with the key of a choice."""
    final, question = given.arguments
    with watched(context) as page:
        sign_in(page)
        at(page, "inbox")
        settled(page)
        asked: list[str] = []

        def note(request: Request) -> None:
            path = request.url.removeprefix(given.url)
            if not path.startswith("/ui/"):
                asked.append(path)

        page.on("request", note)
        page.reload()
        expect(page.locator("#stuck")).to_be_visible()
        settled(page)
        reads = [path for path in asked if not path.startswith(("/changes", "/session"))]
        assert len(reads) <= 4, reads

        at(page, f"inbox?approval={final}")
        shown = page.locator(".decision")
        for words in (
            "Accept this result?",
            "$0.0307 · 7,224 tokens",
            "score 0.93",
            "Sources are given",
            "counts as rejected",
        ):
            expect(shown).to_contain_text(words)
        expect(shown.get_by_role("region", name="Output of page")).to_contain_text("A draft of the release notes.")
        expect(shown.locator(".facts .hash")).to_have_text(re.compile("^[0-9a-f]{64}$"))
        page.keyboard.press("a")
        expect(page.locator("a.entry[aria-current=true]")).to_have_attribute("href", re.compile(question))
        expect(shown).to_contain_text("Which hero picture for the release page?")
        page.keyboard.press("2")
        expect(page.locator(".badge")).to_have_text("1")

        page.locator("section[aria-labelledby=failed] a.entry").click()
        expect(shown).to_contain_text("KeyError: 'total' (at parse.py:12)")
        expect(shown.locator(".of-tasks li")).to_have_count(3)
        page.get_by_role("link", name="All that failed so, of the tasks of a day").press("Enter")
        assert "error%3A%22KeyError+total+at+parse%22" in page.url, page.url
        expect(page.locator(".task-row a")).to_have_count(3)


@journey
def is_quiet_or_says_who_may_see_it(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        main = page.locator("#main")
        expect(main).to_contain_text("Nothing needs you. No task is open.")
        expect(main.get_by_role("button", name="Copy: swarmkeeper submit")).to_be_visible()
        expect(page.locator(".badge")).to_have_count(0)
        let_happen("a bot works")
        expect(main).to_contain_text("Nothing needs you. 1 task is open, bots work on 1 of their parts.")
        page.get_by_role("button", name="Sign out").click()
        client = let_happen("the key of a client")
        page.get_by_label("API key or token").fill(client)
        page.keyboard.press("Enter")
        expect(main).to_contain_text("approval.read: approver, operator, viewer, auditor, admin")
        expect(main).to_contain_text("skill.read: operator, approver, viewer, auditor, admin")
        expect(main.locator("[role=alert]")).to_have_count(0)
        page.goto(f"{given.ui}#/inbox?row=gone")
        expect(page.locator(".decision")).to_contain_text("This waits no more.")
