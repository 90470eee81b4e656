"""The frame of all pages: keys that lead to pages, the palette, the zone of times, and what screen readers are told."""

import re
import time

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.driving import (
    TOO_WIDE,
    at,
    evaluated,
    given,
    journey,
    let_happen,
    read_again,
    settled,
    sign_in,
    watched,
)

TOLD = "document.querySelector('.frame > [role=status]').textContent.trim()"


@journey
def finds_and_does_by_the_palette(context: BrowserContext) -> None:
    """By keyboard alone: a page, a task by words of its title, tasks and decisions by id, an action of the page."""
    title, task, approval = given.arguments
    with watched(context) as page:
        page.route("**/ui/palette.js", _slowly)
        sign_in(page)
        at(page, "inbox")
        settled(page)
        field = page.get_by_role("combobox", name="Search or run a command")
        options = page.get_by_role("option")

        page.keyboard.press("Control+k")
        page.keyboard.type("go")  # before the palette is loaded
        expect(field).to_be_focused()
        expect(field).to_have_value("go")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

        _ask(page, "task")
        expect(options.first).to_have_attribute("aria-selected", "true")
        assert options.first.get_attribute("id") == field.get_attribute("aria-activedescendant")
        page.keyboard.press("Enter")
        expect(page.get_by_role("table", name="Tasks")).to_be_visible()

        # Words in any order, the last one begun.
        first, *_, last = title.split()
        _ask(page, f"{last} {first[:3]}")
        expect(page.get_by_role("option", name=title)).to_be_visible()
        for _ in range(20):
            if page.get_by_role("option", name=title).get_attribute("aria-selected") == "true":
                break
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()

        _ask(page, approval)
        page.keyboard.press("Enter")
        expect(page.locator("#question")).to_be_visible()
        _ask(page, task)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"#/tasks/{task}$"))

        at(page, "tasks")
        settled(page)
        _ask(page, "failed only")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page).to_have_url(re.compile("status%3Afailed"))

        _ask(page, "zzzz")
        expect(page.get_by_role("option")).to_have_count(1)
        expect(options.first).to_contain_text("List all tasks with")
        page.keyboard.press("Escape")

        page.set_viewport_size({"width": 320, "height": 640})
        _ask(page, title)
        expect(page.get_by_role("option", name=title)).to_be_visible()
        assert evaluated(page, TOO_WIDE) <= 0
        assert evaluated(page, "document.querySelector('dialog').getBoundingClientRect().right <= innerWidth")


def _slowly(route: Route) -> None:
    time.sleep(0.5)
    route.continue_()


def _ask(page: Page, text: str) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
    page.keyboard.type(text)


@journey
def goes_to_each_page_by_two_keys(context: BrowserContext) -> None:
    """Every page of the rail has keys of its own, which the help names; the title says where one is."""
    with watched(context) as page:
        sign_in(page)
        settled(page)
        links = page.get_by_role("navigation", name="Pages").locator("li a")
        names = [each.split("\n")[0] for each in links.all_inner_texts()]
        assert names[:2] == ["Inbox", "Tasks"], names
        page.keyboard.press("?")
        rows = [each.inner_text() for each in page.locator(".keys > div").all()]
        keys = {name: row.split()[:2] for name in names for row in rows if row.endswith(f"go to {name}")}
        page.keyboard.press("Escape")
        assert sorted(keys) == sorted(names), keys
        for name in reversed(names):
            for key in keys[name]:
                page.keyboard.press(key)
            expect(page.locator(".rail [aria-current=page]")).to_contain_text(name)
            expect(page).to_have_title(f"(3) {name} · swarmkeeper")


@journey
def shows_times_in_the_zone_that_is_wanted(context: BrowserContext) -> None:
    with watched(context) as page:
        context.new_cdp_session(page).send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
        sign_in(page)
        at(page, f"inbox?approval={given.arguments[0]}")
        time = page.locator(".decision time").first
        expect(time).to_contain_text("UTC+5:30")
        local = time.inner_text()
        page.get_by_role("button", name="Times in local time").click()
        expect(time).to_contain_text("UTC")
        assert time.inner_text() != local
        assert "+" not in time.inner_text()
        page.reload()
        expect(time).to_contain_text("UTC")
        assert "+" not in time.inner_text(), "the choice is kept"
        page.keyboard.press("?")
        page.get_by_role("checkbox", name="times in UTC").press("Space")
        page.keyboard.press("Escape")
        expect(time).to_have_text(local)


@journey
def tells_changes_to_who_does_not_see_them(context: BrowserContext) -> None:
    """A polite live region says what has changed, once; a countdown is not told each second."""

    def refuse(route: Route) -> None:
        route.fulfill(status=503, body='{"code": "overloaded", "detail": "busy"}')

    with watched(context) as page:
        sign_in(page)
        at(page, "tasks")
        settled(page)
        told = page.locator(".frame > [role=status]")
        expect(told).to_have_attribute("aria-live", "polite")
        let_happen("one more approval")
        expect(told).to_have_text("4 need you.")
        expect(page.locator(".badge")).to_have_text("4")

        page.route("**/tasks?*", refuse)
        bar = page.locator(".disconnected")
        for _ in range(4):  # the pauses get longer
            read_again(context, page)
            page.wait_for_timeout(300)
        expect(bar).to_be_visible()
        expect(told).to_have_text("Connection lost. Actions are off.")
        assert (
            evaluated(page, "document.querySelectorAll('.disconnected[role], .disconnected [role=status]').length") == 0
        )
        page.unroute_all()
        page.get_by_role("button", name="Try now").click()
        expect(bar).to_have_count(0, timeout=1_000)
        expect(told).to_have_text("Live again.")
