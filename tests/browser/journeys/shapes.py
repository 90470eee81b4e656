"""Where things are on the screen: what a picture shows at once, and what no other check sees."""

import json

from playwright.sync_api import BrowserContext, expect

from tests.browser.driving import NARROW, WIDE, at, evaluated, given, journey, settled, sign_in, watched

# Pairs of texts of which one lies over the other, and texts that are wider than their place. What a box cuts off is not
# on the screen.
OVERLAPS = """
(() => {
    const seen = [], found = [], walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    const within = (box, [left, top, right, bottom]) =>
        [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
    while (walk.nextNode()) {
        const text = walk.currentNode.data.trim(), parent = walk.currentNode.parentElement, range = new Range();
        if (!text || parent.closest("svg, option, [hidden]") || !parent.checkVisibility()) continue;
        range.selectNodeContents(walk.currentNode);
        for (const each of range.getClientRects()) {
            let box = [each.left, each.top + 2, each.right, each.bottom - 2];
            for (let up = parent; up; up = up.parentElement) {
                if (getComputedStyle(up).overflow !== "visible") box = within(up.getBoundingClientRect(), box);
            }
            const place = parent.closest("td, th, dt, dd, li, p, h1, h2, h3, button") ?? parent;
            if (box[2] > place.getBoundingClientRect().right + 1) found.push(`${text} / what is right of it`);
            if (box[2] - box[0] > 3 && box[3] - box[1] > 3) seen.push([text.slice(0, 40), box, walk.currentNode]);
        }
    }
    const pairs = seen.flatMap((one, at) => seen.slice(at + 1).map(other => [one, other]));
    pairs.forEach(([[a, [left, top, right, bottom], node], [b, other, second]]) => {
        const wide = Math.min(right, other[2]) - Math.max(left, other[0]);
        const high = Math.min(bottom, other[3]) - Math.max(top, other[1]);
        if (node !== second && wide > 1 && high > 1) found.push(`${a} / ${b}`);
    });
    return [seen.length, found];
})()
"""
# Of each row of a table: the heights at which the numbers of its cells stand, and the widest of these cells.
NUMBERS = """
[...document.querySelectorAll(".queues tbody tr")].map(row => {
    const cells = [...row.querySelectorAll("td.n")].map(cell => {
        const range = new Range();
        range.selectNodeContents(cell);
        return [Math.round(range.getBoundingClientRect().top), cell.clientWidth];
    });
    return [[...new Set(cells.map(([top]) => top))].length, Math.max(...cells.map(([, width]) => width))];
})
"""


@journey
def has_no_text_over_another(context: BrowserContext) -> None:
    size, *places = given.arguments
    with watched(context) as page:
        page.set_viewport_size(WIDE if size == "wide" else NARROW)
        sign_in(page)
        found = {}
        for place in places:
            at(page, place)
            settled(page)
            texts, over = evaluated(page, OVERLAPS)
            for _ in range(50):
                if texts > 2:
                    break
                page.wait_for_timeout(100)  # the file of the page comes late on a busy machine
                texts, over = evaluated(page, OVERLAPS)
            assert texts > 2, (place, texts)
            if over:
                found[place] = over
        assert not found, json.dumps(found, ensure_ascii=False)


@journey
def aligns_the_numbers_of_queues(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "queues")
        expect(page.locator(".queues tbody tr").first).to_be_visible()
        rows = evaluated(page, NUMBERS)
        assert len(rows) > 2, rows
        assert all(heights == 1 and widest < 160 for heights, widest in rows), rows
