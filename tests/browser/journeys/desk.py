"""Costs, settings, evaluations and the simulator's page."""

import json
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.driving import at, given, journey, settled, sign_in, watched
from tests.browser.journeys.basics import fits
from tests.browser.journeys.views import barriers


@journey
def reads_what_it_cost(context: BrowserContext) -> None:
    """The figures are those of the API, in the order asked for; the address holds what is asked."""
    rows_by: dict[str, list[list[str]]] = json.loads(given.arguments[0])
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("c")
        expect(page.locator(".days rect").first).to_be_attached()
        for by, expected in rows_by.items():
            page.get_by_role("button", name=by, exact=True).click()
            expect(page.get_by_role("button", name=by, exact=True)).to_have_attribute("aria-pressed", "true")
            expect(page.locator("tbody tr")).to_have_count(min(25, len(expected)))
            more = page.get_by_role("button", name=f"and {len(expected) - 25} more")
            if len(expected) > 25:
                more.click()
            rows = [row.locator("th, td.num").all_inner_texts() for row in page.locator("tbody tr").all()]
            assert rows == expected, (by, rows, expected)
        page.get_by_role("button", name="tokens", exact=True).click()
        assert "unit=tokens" in page.url
        assert "by=label" in page.url, page.url
        page.get_by_label("from").fill("2026-01-01")
        page.get_by_label("to", exact=True).fill("2026-01-31")
        expect(page.get_by_text("No attempt from 2026-01-01 to 2026-01-31 says what it used.")).to_be_visible()
        assert "from=2026-01-01" in page.url
        page.reload()
        expect(page.get_by_text("No attempt from 2026-01-01 to 2026-01-31")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="7 days").click()
        expect(page.locator("tbody tr").first).to_be_visible()
        settled(page)


@journey
def reads_amounts_that_no_float_has(context: BrowserContext) -> None:
    """What the server says is shown to its last digit that is shown at all, and never rounded up."""
    amounts = {
        "cost_micro_usd": 1_999_999_999_999,
        "tokens": 9_007_199_254_740_991,
        "unpriced_tokens": 7,
        "attempts": 1,
    }
    report = {"by": "day", "first_day": "2026-11-28", "last_day": "2026-11-29", "total": amounts, "more": False}
    with watched(context) as page:
        page.route(
            "**/costs?*", lambda route: route.fulfill(json={**report, "items": [{"name": "2026-11-29", **amounts}]})
        )
        sign_in(page)
        at(page, "costs")
        expect(page.locator("tbody td.num")).to_have_text(["$1,999,999.99", "9,007,199,254,740,991", "1"])
        expect(page.locator(".sums")).to_contain_text("tokens without a price")


@journey
def makes_and_revokes_a_key(context: BrowserContext) -> None:
    """By keyboard alone: each key is shown once, and counts no more when it is revoked. It prints them."""
    (person,) = given.arguments
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=keys")
        create = page.get_by_role("button", name="Create a key…")
        create.focus()
        page.keyboard.press("Enter")
        page.get_by_role("combobox", name="Role").focus()
        page.keyboard.type("approver")
        expect(page.get_by_label("Person").locator("option", has_text=person)).to_have_count(1)  # they are read, too
        page.get_by_label("Person").focus()
        page.keyboard.type(person)
        page.get_by_label("Ends after days").focus()
        page.keyboard.type("30")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Copy the key now: it is shown once.")).to_be_visible()
        key = page.locator(".fresh code").inner_text()
        page.get_by_role("button", name="I have copied it").press("Enter")
        expect(page.get_by_text(key)).to_have_count(0)
        row = page.locator("tbody tr", has_text=person)
        expect(row).to_contain_text("approver")
        expect(row).to_contain_text("valid")
        row.get_by_role("button", name="Rotate…").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Rotate", exact=True).press("Enter")
        expect(page.locator(".fresh code")).to_contain_text("swk_")
        rotated = page.locator(".fresh code").inner_text()
        assert rotated != key
        page.get_by_role("button", name="I have copied it").press("Enter")
        row.get_by_role("button", name="Revoke…").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).press("Enter")
        expect(row).to_contain_text("revoked")
        print(json.dumps([key, rotated]))


@journey
def keeps_persons(context: BrowserContext) -> None:
    """A person is added, renamed, disabled and enabled again."""
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=persons")
        page.get_by_role("button", name="Add a person…").click()
        page.get_by_label("Name", exact=True).fill("Mary Shelley")
        page.keyboard.press("Enter")
        row = page.locator("tbody tr", has_text="Mary")
        expect(row).to_contain_text("active")
        row.get_by_role("button", name="Rename…").click()
        page.get_by_label("Name", exact=True).fill("Mary W. Shelley")
        page.keyboard.press("Enter")
        expect(row).to_contain_text("Mary W. Shelley")
        row.get_by_role("button", name="Disable…").click()
        page.get_by_role("dialog").get_by_role("button", name="Disable", exact=True).click()
        expect(row).to_contain_text("disabled")
        row.get_by_role("button", name="Enable").click()
        expect(row).to_contain_text("active")


@journey
def stops_a_bot_and_lets_it_work_again(context: BrowserContext) -> None:
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=stops")
        expect(page.get_by_role("heading", name="Nothing is stopped.")).to_be_visible()
        page.get_by_role("button", name="Stop something…").click()
        page.get_by_label("Name", exact=True).fill(given.arguments[0])
        page.get_by_label("Reason").fill("it writes nonsense")
        page.keyboard.press("Enter")
        row = page.locator("tbody tr")
        expect(row).to_contain_text(f"bot {given.arguments[0]}")
        expect(row).to_contain_text("it writes nonsense")
        row.get_by_role("button", name="Lift…").click()
        page.get_by_role("dialog").get_by_role("button", name="Lift", exact=True).click()
        expect(page.get_by_role("heading", name="Nothing is stopped.")).to_be_visible()


@journey
def tests_the_redaction(context: BrowserContext) -> None:
    """A text and a value; nothing of either is in the address, or kept by the browser."""
    with watched(context) as page:
        sign_in(page)
        at(page, "settings?part=redaction")
        field, redact = page.get_by_label("A text, or JSON"), page.get_by_role("button", name="Redact", exact=True)
        field.fill(json.dumps({"password": given.arguments[0], "note": "hello"}))
        redact.click()
        shown = page.get_by_role("region", name="Redacted", exact=True)
        expect(shown).to_contain_text("hello")
        expect(shown).not_to_contain_text(given.arguments[0])
        expect(page.get_by_role("region", name="What was hidden")).to_contain_text("/password")
        field.fill("nothing to see")
        redact.click()
        expect(page.get_by_role("heading", name="Nothing is hidden.")).to_be_visible()
        assert given.arguments[0] not in page.url


@journey
def chooses_how_it_looks(context: BrowserContext) -> None:
    """Theme, zone of times and single letters are kept; nothing else is."""
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("s")
        page.get_by_role("radio", name="dark").check()
        page.get_by_role("radio", name="UTC").check()
        page.get_by_label("single letters are keys").uncheck()
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.get_by_role("radio", name="UTC")).to_be_checked()
        page.locator("main").focus()
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.get_by_role("heading", name="How it looks")).to_be_visible()
        expect(page.get_by_text("Your session")).to_be_visible()


@journey
def reads_what_evaluators_said(context: BrowserContext) -> None:
    """Decisions with their votes, the newest first; the verdicts behind one; and who said what, on request."""
    title, counted = given.arguments
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("e")
        expect(page.locator("a.record").first).to_contain_text("2 accept, 1 reject")
        page.keyboard.press("j")
        expect(page.locator("#review")).to_have_text("Whole task: accept")
        expect(page.get_by_role("link", name=title)).to_be_visible()
        cards = page.locator(".detail .card")
        expect(cards).to_have_count(3)
        expect(cards.filter(has_text="The tone is wrong")).to_contain_text("reject judge-2 · score 0.25")
        expect(page.locator(".sums")).to_contain_text("all voted alike")
        page.get_by_role("button", name="Count by evaluator").press("Enter")
        rows = page.get_by_role("region", name="By evaluator").locator("tbody tr")
        expect(rows.first).to_be_visible()
        found = {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows.all()}
        expected = json.loads(counted)
        assert {name: found[name] for name in expected} == expected, found
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        expect(page.locator("#review")).to_have_count(0)


@journey
def writes_the_command_of_a_simulation(context: BrowserContext) -> None:
    """The form is in the address; the command follows it. A report is read here, and sent nowhere."""
    report, broken, other = given.arguments
    sent: list[str] = []
    with watched(context) as page:
        sign_in(page)
        page.keyboard.press("g")
        page.keyboard.press("m")
        code = page.locator(".command code").first
        expect(code).to_have_text("swarmkeeper simulate standard")
        page.get_by_label("Scenario").fill("research")
        page.get_by_label("Seeds").fill("20")
        page.get_by_role("button", name="net", exact=True).click()
        page.get_by_role("button", name="bot", exact=True).click()
        page.get_by_label("write report.json").check()
        shown = "swarmkeeper simulate research --seeds 20 --faults net,bot --report report.json"
        expect(code).to_have_text(shown)
        page.reload()
        expect(code).to_have_text(shown)
        page.get_by_label("What is real").select_option("process")
        expect(page.get_by_label("write report.json")).to_be_disabled()
        expect(code).to_have_text("swarmkeeper simulate research --seeds 20 --faults net,bot --level process")
        page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
        page.get_by_label("Open report.json…").set_input_files(report)
        expect(page.locator(".verdict")).to_contain_text("No invariant was broken in 2 runs")
        expect(page.get_by_role("region", name="Runs").locator("tbody tr")).to_have_count(2)
        page.get_by_label("Open report.json…").set_input_files(broken)
        expect(page.locator(".verdict")).to_contain_text("1 of 2 runs broke an invariant.")
        expect(page.locator(".trouble")).to_contain_text("Seed 2: 2.fence")
        expect(page.locator(".trouble")).to_contain_text("--replay 2")
        page.get_by_label("Open report.json…").set_input_files(other)
        expect(page.get_by_role("alert")).to_contain_text("is no report.")
        assert sent == [], sent


@journey
def dialogs_have_no_barrier(context: BrowserContext) -> None:
    """Each dialog of the settings, and a proof."""
    found: list[str] = []
    script = Path(given.axe).read_text(encoding="utf-8")
    page = context.new_page()
    sign_in(page)
    opened = (
        ("keys", "Create a key…"),
        ("keys", "Revoke…"),
        ("persons", "Add a person…"),
        ("stops", "Stop something…"),
    )
    for part, name in opened:
        at(page, f"settings?part={part}")
        page.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        found += barriers(page, script, name)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    at(page, "audit?record=1")
    expect(page.locator("#record")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(".verdict")).to_be_visible()
    found += barriers(page, script, "proof")
    assert found == [], "\n".join(found)


@journey
def looks_at_hostile_texts_of_the_desk(context: BrowserContext) -> None:
    """What evaluators, persons and files say is shown as text, and widens nothing."""
    report, *places = given.arguments
    with watched(context) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        sign_in(page)
        for place in places:
            at(page, place)
            settled(page)
            fits(page, place)
        at(page, "evaluations")
        page.locator("a.record").first.click()
        expect(page.locator(".said").first).to_contain_text("\\u202e")
        fits(page, "a review")
        page.get_by_role("link", name="Evaluations").last.click()
        page.get_by_role("button", name="Count by evaluator").click()
        expect(page.get_by_role("region", name="By evaluator")).to_be_visible()
        at(page, "simulate")
        page.get_by_label("Open report.json…").set_input_files(report)
        expect(page.locator(".verdict")).to_contain_text("1 of 1 runs broke an invariant.")
        expect(page.get_by_text("\\u202e").first).to_be_visible()
        fits(page, "a report")
