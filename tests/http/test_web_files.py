"""The dashboard's files: how they are served, what they may do in a browser, and how large they are."""

import gzip
import re

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.web.files import POLICY, REPORTS, web_files
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller

FIRST_LOAD = ("index.html", "app.js", "runtime.js", "app.css", "icon.svg")
# Each further page is loaded when it is opened; tests/browser/test_opening.py bounds what each page loads in all.
FIRST_LOAD_BYTES, PAGE_BYTES, ALL_BYTES = 38 * 1024, 11 * 1024, 110 * 1024
MAKES_CODE = r"dangerouslySetInnerHTML|\.(?:inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\("


def test_the_first_load_is_at_most_38_kib_each_further_file_11_and_all_110() -> None:
    packed = {name: len(file.packed) for name, file in web_files().items()}

    assert sum(packed[name] for name in FIRST_LOAD) <= FIRST_LOAD_BYTES
    assert max(size for name, size in packed.items() if name not in FIRST_LOAD) <= PAGE_BYTES
    assert sum(packed.values()) <= ALL_BYTES


async def test_the_page_asks_for_nothing_but_these_files_beside_it(nobody: Caller) -> None:
    page = await nobody.get("/ui/")
    asked = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())

    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert sorted(asked) == sorted(set(FIRST_LOAD) - {"index.html"})
    for name in asked:
        assert (await nobody.get(f"/ui/{name}")).status == 200


def test_no_file_names_another_place_to_load_from() -> None:
    for name, file in web_files().items():
        found = set(re.findall(r"https?://[^\s\"'`<>)]+", file.body.decode())) - {"http://www.w3.org/2000/svg"}
        # Licences name their authors; Preact names the spaces of XML.
        allowed = name == "licences.txt" or all(each.startswith("http://www.w3.org/") for each in found)
        assert allowed, (name, found)


def test_no_file_makes_code_or_markup_of_text() -> None:
    """What Trusted Types would refuse is not even tried. Preact itself can, if it is asked to."""
    for name, file in web_files().items():
        if name.endswith(".js") and name != "runtime.js":  # that is Preact alone
            ours = file.body.decode().partition("// src/")[2]
            assert ours
            assert re.findall(MAKES_CODE, ours) == [], name


def test_the_only_text_that_becomes_code_is_the_address_of_an_own_worker() -> None:
    everything = "".join(file.body.decode() for name, file in web_files().items() if name.endswith(".js"))

    assert everything.count("createPolicy(") == 1
    assert everything.count("createScriptURL(") == 1
    assert set(re.findall(r"scriptUrl\((.*?)\)", everything)) <= {"name", '"worker.js"', '"tree.js"'}


async def test_every_file_forbids_what_it_does_not_need(nobody: Caller) -> None:
    for name in ("", *web_files()):
        headers = (await nobody.get(f"/ui/{name}")).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-cache"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_policy_allows_our_own_and_nothing_else() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))

    assert rules.pop("report-uri") == REPORTS
    assert rules.pop("require-trusted-types-for") == "'script'"
    assert rules.pop("trusted-types") == "swarmkeeper"
    assert set(rules.values()) == {"'none'", "'self'"}
    assert [rules[name] for name in ("default-src", "frame-ancestors", "base-uri")] == ["'none'"] * 3


async def test_a_file_that_has_not_changed_is_not_sent_again(nobody: Caller) -> None:
    first = await nobody.get("/ui/app.js")
    packed = await nobody.get("/ui/app.js", accept_encoding="br, gzip;q=0.5")

    again = await nobody.get("/ui/app.js", if_none_match=f'"x", {first.headers["etag"]}')
    other = await nobody.get("/ui/app.js", if_none_match=packed.headers["etag"])

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status, len(other.body)) == (200, len(first.body))


@pytest.mark.parametrize(
    ("accepted", "packs"), [("gzip", True), ("*", True), ("br", False), ("gzip;q=0", False), ("", False)]
)
async def test_a_file_is_packed_for_who_can_unpack_it(nobody: Caller, accepted: str, packs: bool) -> None:
    plain = await nobody.get("/ui/app.css")

    sent = await nobody.get("/ui/app.css", accept_encoding=accepted)

    assert sent.headers["vary"] == "Accept-Encoding"
    assert (sent.headers.get("content-encoding") == "gzip") is packs
    assert (gzip.decompress(sent.body) if packs else sent.body) == plain.body
    assert len(sent.body) == int(sent.headers["content-length"])


@pytest.mark.parametrize(
    "name", ["nothing.js", "../web/app.js", "..%2fpy.typed", "index.html/", "%00", ".", "app.js%0a"]
)
async def test_there_are_no_other_files(nobody: Caller, name: str) -> None:
    answer = await nobody.get(f"/ui/{name}")

    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_files_are_only_read(nobody: Caller) -> None:
    assert (await nobody.post("/ui/app.js")).status == 405
    head = await nobody.call("HEAD", "/ui/app.js")
    assert (head.status, head.body) == (200, b"")


async def test_reports_of_browsers_are_counted_by_the_metrics(swarm: Orchestrator, nobody: Caller) -> None:
    report = b'{"csp-report": {"blocked-uri": "https://evil.example"}}'

    answer = await nobody.call("POST", f"/ui/{REPORTS}", raw=report, headers={"content-type": "application/csp-report"})

    assert answer.status == 204
    text = swarm._metrics.text(None)[0].decode()
    assert re.search(rf'requests_total{{[^}}]*"/ui/{REPORTS}"[^}}]*}} 1\.0', text), text


async def test_the_root_leads_to_the_dashboard_below_any_path(nobody: Caller) -> None:
    root, bare = await nobody.get("/"), await nobody.get("/ui")

    # Relative: a proxy may have removed the first part of the path.
    assert (root.status, root.headers["location"]) == (307, "ui/")
    assert (bare.status, bare.headers["location"]) == (307, "ui/")


async def test_the_root_leads_to_where_the_settings_say_the_api_is() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", log_level="error", root_path="/swarm")) as swarm:
        assert (await Caller(swarm.app).get("/")).headers["location"] == "/swarm/ui/"
        assert (await Caller(swarm.app).get("/swarm/ui/app.css")).status in (200, 404)
