"""Sessions: a browser signs in and out, its cookie counts on our own pages alone, and ends with its key or person."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.access.identity import FAILURES_A_SECOND
from swarmkeeper.app import Orchestrator
from swarmkeeper.core.sessions.records import AGE_MAX, IDLE_MAX, OF_ONE_KEY_MAX
from tests.http.conftest import Answered, Caller
from tests.http.signed_in import HOST, PAGE, cookie_of, signed_in
from tests.http.town import Town, town
from tests.tokens.test_own import bearer, token_of

Json = Any
SECOND = 1_000_000


@pytest.fixture
def place() -> Iterator[Town]:
    with town(key_days=0, four_eyes=False, pepper="not in the store") as there:
        yield there


def browser(place: Town, role: str = "admin", **more: Any) -> Caller:
    return place.run(signed_in(place.person(role, **more).caller))


def get(place: Town, caller: Caller, path: str = "/session") -> Answered:
    return place.run(caller.get(path))


def sent(caller: Caller, **headers: str | None) -> Caller:
    """Return the caller with other headers; None leaves one out."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in {**caller.headers, **named}.items() if value is not None}
    return replace(caller, headers=kept)


def audited(place: Town, action: str) -> list[Json]:
    return list(place.admin.read(f"/audit?action={action}")["items"])


# ---- signing in and out --------------------------------------------------------------------------------------------


def test_a_browser_signs_in_with_a_key_and_says_who_it_is(place: Town) -> None:
    ann = place.admin.ok("/persons", {"name": "ann"})["id"]
    key = place.admin.ok("/keys", {"role": "approver", "person": ann})
    caller = place.run(signed_in(Caller(place.swarm.app, key["key"])))

    who = get(place, caller).json

    assert (who["role"], who["key_id"], who["person"], who["person_name"]) == ("approver", key["id"], ann, "ann")
    assert who["session_id"].startswith("ses_")
    assert "approval.decide" in who["may"]
    assert "key.manage" not in who["may"]
    assert place.admin.read("/session")["session_id"] is None


def test_signing_in_and_out_is_in_the_audit_log_with_the_key(place: Town) -> None:
    caller = browser(place, "viewer")
    who = get(place, caller).json
    assert place.run(caller.call("DELETE", "/session")).status == 204

    opened, ended = audited(place, "session.open")[-1], audited(place, "session.end")[-1]

    for record in (opened, ended):
        assert (record["resource"], record["actor"]["key"]) == (who["session_id"], who["key_id"])
        assert record["trace"] is not None


def test_a_session_that_was_ended_counts_no_more_and_others_do(place: Town) -> None:
    person = place.person("viewer")
    first, second = place.run(signed_in(person.caller)), place.run(signed_in(person.caller))

    answer = place.run(first.call("DELETE", "/session"))

    assert (answer.status, "Max-Age=0" in answer.headers["set-cookie"]) == (204, True)
    assert [get(place, each).status for each in (first, second)] == [401, 200]
    assert place.run(first.call("DELETE", "/session")).status == 401
    assert person.get("/tasks").status == 200


def test_the_browsers_of_a_key_are_listed_and_one_is_signed_out_by_another(place: Town) -> None:
    person = place.person("viewer")
    first, second = place.run(signed_in(person.caller)), place.run(signed_in(person.caller))
    browser(place, "viewer")  # of another key
    mine, lost = get(place, second).json["session_id"], get(place, first).json["session_id"]

    listed = get(place, second, "/sessions").json["items"]
    ended = place.run(second.call("DELETE", f"/sessions/{lost}"))

    assert {each["id"]: each["current"] for each in listed} == {mine: True, lost: False}
    assert all(each["created_at"] <= each["used_at"] < each["ends_at"] for each in listed)
    assert (ended.status, "set-cookie" in ended.headers) == (204, False)
    assert [get(place, each).status for each in (first, second)] == [401, 200]
    assert audited(place, "session.end")[-1]["resource"] == lost
    assert [each["id"] for each in get(place, second, "/sessions").json["items"]] == [mine]


def test_sessions_of_other_keys_are_not_there_to_be_ended_and_nothing_is_recorded(place: Town) -> None:
    mine, other = browser(place), browser(place)
    theirs = get(place, other).json["session_id"]

    for session in (theirs, "ses_none"):
        answer = place.run(mine.call("DELETE", f"/sessions/{session}"))
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    assert get(place, other).status == 200
    assert audited(place, "session.end") == []


@pytest.mark.parametrize("bounds", [{"role": "viewer"}, {}])
def test_a_token_sees_and_ends_only_the_sessions_that_it_opened_and_its_key_all(place: Town, bounds: Json) -> None:
    key = place.person("operator").caller
    by_token, other = (bearer(place.swarm, place.run(token_of(key, expires_seconds=s, **bounds))) for s in (900, 901))
    of_key, mine, theirs = (place.run(signed_in(caller)) for caller in (key, by_token, other))
    names = {
        each: get(place, browser).json["session_id"]
        for each, browser in zip("kmt", (of_key, mine, theirs), strict=True)
    }

    def listed(caller: Caller) -> set[str]:
        return {each["id"] for each in get(place, caller, "/sessions").json["items"]}

    assert [listed(caller) for caller in (key, of_key)] == [set(names.values())] * 2
    assert [listed(caller) for caller in (by_token, mine)] == [{names["m"]}] * 2
    for session in (names["k"], names["t"]):
        assert place.run(by_token.call("DELETE", f"/sessions/{session}")).status == 404
    assert [get(place, each).status for each in (of_key, mine, theirs)] == [200] * 3
    assert place.run(by_token.call("DELETE", f"/sessions/{names['m']}")).status == 204
    assert place.run(key.call("DELETE", f"/sessions/{names['t']}")).status == 204
    assert [get(place, each).status for each in (of_key, mine, theirs)] == [200, 401, 401]


@pytest.mark.parametrize("passed", [IDLE_MAX, AGE_MAX])
def test_a_session_that_counts_no_more_is_not_listed(place: Town, passed: int) -> None:
    person = place.person("viewer")
    place.run(signed_in(person.caller))
    assert len(get(place, person.caller, "/sessions").json["items"]) == 1

    place.advance(passed // SECOND)

    assert get(place, person.caller, "/sessions").json["items"] == []


def test_who_has_a_key_has_no_session_to_end_and_a_session_opens_no_other(place: Town) -> None:
    assert place.run(place.admin.caller.call("DELETE", "/session")).status == 404
    assert place.run(browser(place).post("/session")).status == 422


def test_bots_sign_in_to_no_session(place: Town) -> None:
    bot = place.bot("Executor")
    page = Caller(place.swarm.app, bot.person.caller.key, PAGE)

    assert place.run(page.post("/session")).status == 403


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(place: Town) -> None:
    page = Caller(place.swarm.app, place.admin.caller.key, PAGE)
    secure = {**PAGE, "host": "swarm.example", "origin": "https://swarm.example"}
    over_tls = Caller(place.swarm.app, place.admin.caller.key, secure)

    plain, tls = (place.run(each.post("/session")).headers["set-cookie"] for each in (page, over_tls))

    for cookie in (plain, tls):
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert tls.startswith("__Host-swarmkeeper-")
    assert tls.endswith("; Secure")
    # Not all browsers take a Secure cookie at http://127.0.0.1.
    assert plain.startswith("swarmkeeper-")
    assert "Secure" not in plain


def test_two_servers_on_one_machine_have_two_cookies(place: Town) -> None:
    other = {**PAGE, "host": "127.0.0.1:8322", "origin": "http://127.0.0.1:8322"}

    names = {
        cookie_of(place.run(Caller(place.swarm.app, place.admin.caller.key, page).post("/session"))).partition("=")[0]
        for page in (PAGE, other)
    }

    assert len(names) == 2


def test_the_store_has_neither_the_cookie_nor_anything_that_signs_in(place: Town) -> None:
    caller = browser(place)
    cookie = caller.headers["cookie"].partition("=")[2]

    (row,) = place.run(place.swarm.store.read("session_row", {"session": get(place, caller).json["session_id"]}))

    assert cookie not in repr(row)
    assert cookie.encode() not in repr(row).encode()


# ---- whose pages may use a cookie ----------------------------------------------------------------------------------


ELSEWHERE: dict[str, dict[str, str | None]] = {
    "another site": {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
    "another site that hides its name": {"sec_fetch_site": "cross-site", "origin": "null"},
    "a neighbour on the same site": {"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:9999"},
    "the address bar": {"sec_fetch_site": "none", "origin": None},
    "no browser at all": {"sec_fetch_site": None, "origin": None},
    "another origin, from an old browser": {"sec_fetch_site": None, "origin": "http://127.0.0.1:9999"},
    "another scheme": {"sec_fetch_site": None, "origin": f"ftp://{HOST}"},
    "headers that disagree": {"sec_fetch_site": "same-origin", "origin": "https://evil.example"},
    "headers that disagree in the other way": {"sec_fetch_site": "cross-site"},
}


@pytest.mark.parametrize("whence", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_cookie_does_not_count_with_a_call_of(place: Town, whence: str, method: str) -> None:
    caller = browser(place)
    path = {"GET": "/tasks", "POST": "/persons"}[method]
    body = {"name": "mallory"} if method == "POST" else None

    answer = place.run(sent(caller, **ELSEWHERE[whence]).call(method, path, body))

    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert place.admin.read("/persons")["items"] == []
    assert place.run(caller.call(method, path, body)).status in (200, 201)


@pytest.mark.parametrize("headers", [{"sec_fetch_site": None}, {"origin": None}])
def test_either_header_alone_says_that_a_page_is_ours(place: Town, headers: dict[str, str | None]) -> None:
    assert get(place, sent(browser(place), **headers)).status == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", None])
def test_with_a_cookie_nothing_is_changed_by_what_a_form_can_send(place: Town, kind: str | None) -> None:
    task = place.submit(["a"])
    caller = sent(browser(place), content_type=kind)

    answer = place.run(caller.call("POST", f"/tasks/{task}:cancel"))

    assert answer.status == 401
    assert place.task(task)["outcome"] is None
    assert get(place, caller).status == 200


def test_a_name_that_leads_to_this_machine_is_not_ours(place: Town) -> None:
    """DNS rebinding: the page of another site has our address, and its own name."""
    named = {**PAGE, "host": "evil.example:8321", "origin": "http://evil.example:8321"}
    page = Caller(place.swarm.app, place.admin.caller.key, named)

    answer = place.run(page.post("/session"))

    assert (answer.status, "set-cookie" in answer.headers) == (422, False)
    stolen = sent(browser(place), host="evil.example:8321", origin="http://evil.example:8321")
    assert get(place, stolen).status == 401


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "127.1.2.3:80", "[::1]:8321"])
def test_names_and_addresses_of_this_machine_are_ours(place: Town, host: str) -> None:
    page = {**PAGE, "host": host, "origin": f"http://{host}"}

    assert get(place, place.run(signed_in(place.admin.caller, page))).status == 200


def test_with_a_public_url_only_its_pages_and_those_of_this_machine_are_ours() -> None:
    with town(public_url="https://swarm.example/sub") as place:
        inside = {**PAGE, "host": "internal:8000", "origin": "https://swarm.example"}
        other = {**PAGE, "host": "internal:8000", "origin": "https://internal:8000"}

        caller = place.run(signed_in(place.admin.caller, inside))

        assert caller.headers["cookie"].startswith("__Host-")
        assert get(place, caller).status == 200
        assert get(place, sent(caller, origin="https://internal:8000")).status == 401
        assert place.run(Caller(place.swarm.app, place.admin.caller.key, other).post("/session")).status == 422
        assert get(place, place.run(signed_in(place.admin.caller))).status == 200


@pytest.mark.parametrize("whence", ELSEWHERE)
def test_no_page_but_ours_signs_a_browser_in(place: Town, whence: str) -> None:
    page = sent(Caller(place.swarm.app, place.admin.caller.key, PAGE), **ELSEWHERE[whence])

    answer = place.run(page.post("/session"))

    assert (answer.status, "set-cookie" in answer.headers) == (422, False)


def test_a_key_or_token_comes_before_the_cookie(place: Town) -> None:
    caller = browser(place, "viewer")
    key = place.admin.caller.key
    assert key is not None

    assert place.run(sent(caller, x_api_key=key).get("/session")).json["role"] == "admin"
    assert place.run(sent(caller, x_api_key="swk_wrong").get("/session")).status == 401
    assert place.run(sent(caller, authorization="Basic eA==").get("/session")).status == 401


def test_cookies_of_other_programs_are_passed_over(place: Town) -> None:
    caller = browser(place)
    own = caller.headers["cookie"]

    for around in (f'a="b c; {own}', f"{own}; x", f"=; ;;{own};é=1"):
        assert get(place, sent(caller, cookie=around)).status == 200, around
    assert get(place, sent(caller, cookie="theme=dark")).status == 401


def test_a_cookie_that_is_made_up_is_refused_and_slowed_down(place: Town) -> None:
    caller = browser(place)
    name = caller.headers["cookie"].partition("=")[0]
    wrong = replace(sent(caller, cookie=f"{name}=made-up"), client="10.0.0.1")

    answers = [get(place, wrong).status for _ in range(FAILURES_A_SECOND + 5)]

    assert answers[:FAILURES_A_SECOND] == [401] * FAILURES_A_SECOND
    assert answers[-1] == 429
    assert get(place, caller).status == 200
    assert get(place, sent(caller, cookie=f"{name}={'x' * 10_000}")).status == 401
    place.advance(2)
    assert audited(place, "access.refused")[-1]["payload"]["source"] == "10.0.0.1"


# ---- how long a session lasts --------------------------------------------------------------------------------------


def test_a_session_ends_after_twelve_hours_without_a_call(place: Town) -> None:
    used, unused = browser(place), browser(place)

    place.advance(IDLE_MAX // SECOND - 120)
    assert get(place, used).status == 200
    place.advance(61)  # the use is noted within a minute
    place.advance(120)

    assert [get(place, each).status for each in (used, unused)] == [200, 401]
    place.advance(IDLE_MAX // SECOND)
    assert get(place, used).status == 401


def test_a_session_ends_after_a_week_however_much_it_is_used(place: Town) -> None:
    caller = browser(place)
    hours = AGE_MAX // SECOND // 3600

    for _ in range(0, hours - 6, 6):
        place.advance(6 * 3600)
        place.advance(61)
        assert get(place, caller).status == 200
    place.advance(6 * 3600)

    assert get(place, caller).status == 401


def test_a_session_ends_with_its_key(place: Town) -> None:
    key = place.admin.ok("/keys", {"role": "viewer"})
    caller = place.run(signed_in(Caller(place.swarm.app, key["key"])))

    place.admin.ok(f"/keys/{key['id']}:revoke")

    assert get(place, caller).status == 401


def test_a_session_ends_with_the_secret_that_opened_it(place: Town) -> None:
    """Who rotates a key because it leaked puts out whoever signed in with it."""
    key = place.admin.ok("/keys", {"role": "viewer"})
    caller = place.run(signed_in(Caller(place.swarm.app, key["key"])))

    new = place.admin.ok(f"/keys/{key['id']}:rotate", {"overlap_seconds": 60})

    assert get(place, caller).status == 200
    place.advance(61)
    assert get(place, caller).status == 401
    assert get(place, place.run(signed_in(Caller(place.swarm.app, new["key"])))).status == 200


def test_a_session_ends_with_its_person(place: Town) -> None:
    ann = place.admin.ok("/persons", {"name": "ann"})["id"]
    key = place.admin.ok("/keys", {"role": "viewer", "person": ann})
    caller = place.run(signed_in(Caller(place.swarm.app, key["key"])))

    place.admin.ok(f"/persons/{ann}:disable")
    assert get(place, caller).status == 401
    place.admin.ok(f"/persons/{ann}:enable")
    assert get(place, caller).status == 200


def test_a_session_counts_only_from_where_its_key_may_be_used(place: Town) -> None:
    key = place.admin.ok("/keys", {"role": "viewer", "networks": ["127.0.0.0/8"]})
    caller = place.run(signed_in(Caller(place.swarm.app, key["key"])))

    assert get(place, caller).status == 200
    assert get(place, replace(caller, client="192.0.2.1")).status == 401


def test_a_session_that_a_token_opened_is_worth_what_the_token_is_and_ends_with_it(place: Town) -> None:
    token = place.admin.ok("/token", {"role": "viewer", "expires_seconds": 600})["token"]
    caller = place.run(signed_in(Caller(place.swarm.app, headers={"authorization": f"Bearer {token}"})))

    assert get(place, caller).json["role"] == "viewer"
    ends = place.clock.now() // SECOND + 600
    assert audited(place, "session.open")[-1]["payload"]["expires_at"] == ends
    assert place.run(caller.post("/keys", {"role": "admin"})).status == 403
    place.advance(599)
    assert get(place, caller).status == 200
    place.advance(1)
    assert get(place, caller).status == 401


def test_a_token_for_one_task_signs_no_browser_in(place: Town) -> None:
    task = place.submit(["a"])
    token = place.admin.ok("/token", {"task": task})["token"]
    page = Caller(place.swarm.app, headers={**PAGE, "authorization": f"Bearer {token}"})

    assert place.run(page.post("/session")).status == 403


def test_a_session_outlives_a_restart_of_the_server(tmp_path: Any) -> None:
    async def story() -> None:
        from swarmkeeper.settings import Settings

        settings = Settings(store=f"sqlite:///{tmp_path}/store.db", log_level="error")
        async with Orchestrator(settings) as swarm:
            caller = await signed_in(Caller(swarm.app, await swarm.make_key("admin")))
        async with Orchestrator(settings) as swarm:
            assert (await replace(caller, app=swarm.app).get("/session")).status == 200

    asyncio.run(story())


def test_a_stream_ends_within_a_second_of_its_session(place: Town) -> None:
    person = place.person("operator")
    first, second = (place.run(signed_in(person.caller)) for _ in range(2))
    task = place.submit(["a"])

    async def story() -> tuple[bool, bool]:
        pieces: list[asyncio.Queue[Any]] = [asyncio.Queue(), asyncio.Queue()]
        streams = [
            asyncio.ensure_future(
                each.stream("GET", f"/tasks/{task}/events", None, queue, headers={"accept": "text/event-stream"})
            )
            for each, queue in zip((first, second), pieces, strict=True)
        ]
        await asyncio.sleep(0.5)
        await first.call("DELETE", "/session")
        await asyncio.sleep(1.5)
        ended = streams[0].done(), streams[1].done()
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        return ended

    assert place.run(story()) == (True, False)


def test_a_key_has_no_more_than_twenty_sessions_and_the_oldest_ends(place: Town) -> None:
    person, other = place.person("viewer"), browser(place, "viewer")
    callers = []
    for _ in range(OF_ONE_KEY_MAX + 1):
        callers.append(place.run(signed_in(person.caller)))
        place.advance(1)

    assert [get(place, each).status for each in callers] == [401] + [200] * OF_ONE_KEY_MAX
    assert get(place, other).status == 200


def test_sessions_that_nobody_uses_leave_the_store(place: Town) -> None:
    old = get(place, browser(place)).json["session_id"]
    place.advance(IDLE_MAX // SECOND + 61)

    browser(place)

    assert place.run(place.swarm.store.read("session_row", {"session": old})) == []


# ---- what somebody with the store alone can do ---------------------------------------------------------------------


@pytest.mark.parametrize("column", ["key_id", "public_id", "secret_digest", "tenant", "login", "seal"])
def test_a_row_that_is_changed_in_the_store_signs_nobody_in(tmp_path: Any, column: str) -> None:
    """Who writes the store, and has no pepper, cannot turn an own session into an administrator's."""
    import apsw

    from swarmkeeper.settings import Settings

    async def story() -> None:
        file = tmp_path / "store.db"
        settings = Settings(store=f"sqlite:///{file}", log_level="error")
        async with Orchestrator(settings) as swarm:
            mallory = await signed_in(Caller(swarm.app, await swarm.make_key("viewer")))
            await signed_in(Caller(swarm.app, await swarm.make_key("admin")))
        connection = apsw.Connection(str(file))
        ids = [row[0] for row in connection.execute("SELECT id FROM session ORDER BY created_at, id")]
        theirs = connection.execute(f"SELECT {column} FROM session WHERE id = ?", (ids[1],)).get
        changed = {"tenant": "acme", "login": "{}"}.get(column, theirs)
        connection.execute(f"UPDATE session SET {column} = ? WHERE id = ?", (changed, ids[0]))
        connection.close()
        async with Orchestrator(settings) as swarm:
            assert (await replace(mallory, app=swarm.app).get("/session")).status == 401

    asyncio.run(story())


# ---- links that sign in once ---------------------------------------------------------------------------------------


def redeemed(place: Town, token: str, **headers: str | None) -> Answered:
    page = sent(Caller(place.swarm.app, headers={**PAGE, "authorization": f"Bearer {token}"}), **headers)
    return place.run(page.post("/session:redeem"))


def link(place: Town) -> str:
    key = place.admin.caller.key
    assert key is not None
    return place.run(place.swarm.one_time_token(key))


def test_a_link_signs_in_once(place: Town) -> None:
    token = link(place)

    first, second = redeemed(place, token), redeemed(place, token)

    assert (first.status, second.status) == (201, 401)
    caller = Caller(place.swarm.app, headers={**PAGE, "cookie": cookie_of(first)})
    assert get(place, caller).json["role"] == "admin"


def test_a_link_is_good_for_a_minute(place: Town) -> None:
    early, late = link(place), link(place)

    place.advance(59)
    assert redeemed(place, early).status == 201
    place.advance(1)
    assert redeemed(place, late).status == 401


def test_a_page_of_another_site_does_not_spend_a_link(place: Town) -> None:
    token = link(place)

    assert redeemed(place, token, origin="https://evil.example", sec_fetch_site="cross-site").status == 422
    assert redeemed(place, token).status == 201


def test_guessing_links_is_slowed_down(place: Town) -> None:
    answers = [redeemed(place, f"guess-{number}").status for number in range(FAILURES_A_SECOND + 5)]

    assert (answers[0], answers[-1]) == (401, 429)


def test_the_token_of_a_link_is_good_for_nothing_else(place: Town) -> None:
    caller = Caller(place.swarm.app, headers={"authorization": f"Bearer {link(place)}"})

    assert get(place, caller, "/tasks").status == 401


def test_a_link_of_a_key_that_was_revoked_since_signs_nobody_in(place: Town) -> None:
    key = place.admin.ok("/keys", {"role": "viewer"})
    token = place.run(place.swarm.one_time_token(key["key"]))

    place.admin.ok(f"/keys/{key['id']}:revoke")

    assert redeemed(place, token).status == 401
