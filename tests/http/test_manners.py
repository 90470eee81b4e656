"""Rules for every call: strict bodies, no echo of input, request ids, versions, limits."""

import asyncio
import html
import json
import re

import pytest
from starlette.types import Message

from swarmkeeper.core.errors import Malformed, TooLarge
from swarmkeeper.http.intake.limits import read_body
from tests.http.conftest import Caller

SECRET = "AKIAQX4B7ZJ2M5N8P3RT-hunter2"
JSON = {"content-type": "application/json"}


def deep(levels: int) -> bytes:
    return b'{"title": "x", "input": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


BAD_BODIES: list[tuple[str, bytes, int, str, str | None]] = [
    ("no JSON", SECRET.encode(), 400, "malformed", None),
    ("empty", b"", 400, "malformed", None),
    ("not UTF-8", b'{"title": "\xff"}', 400, "malformed", None),
    ("a key twice", b'{"title": "a", "title": "b"}', 400, "malformed", "/title"),
    ("NaN", b'{"title": "a", "priority": NaN}', 400, "malformed", None),
    ("Infinity", b'{"title": "a", "priority": -Infinity}', 400, "malformed", None),
    ("too deep", deep(70), 400, "malformed", None),
    ("half a surrogate pair", b'{"title": "\\ud800"}', 400, "malformed", "/title"),
    ("U+0000", b'{"title": "a\\u0000b"}', 422, "invalid", "/title"),
    ("an integer too large", b'{"title": "a", "input": {"n": 9007199254740993}}', 422, "invalid", "/input/n"),
    ("a number too large", b'{"title": "a", "input": {"n": 1e999}}', 422, "invalid", "/input/n"),
    ("a list", b"[]", 422, "invalid", ""),
    ("a text for a number", b'{"title": "a", "priority": "5"}', 422, "invalid", "/priority"),
    ("a number for a text", b'{"title": 5}', 422, "invalid", "/title"),
    ("true for a number", b'{"title": "a", "priority": true}', 422, "invalid", "/priority"),
    ("an unknown field", b'{"title": "a", "titel": "b"}', 422, "invalid", "/titel"),
    ("too long a title", json.dumps({"title": SECRET * 40}).encode(), 422, "invalid", "/title"),
    ("too low", b'{"title": "a", "priority": -1}', 422, "invalid", "/priority"),
    ("a cycle", b'{"title": "a", "subtasks": [{"description": "", "depends_on": ["s1"]}]}', 422, "invalid_plan", None),
    ("no field at all", b"{}", 422, "invalid", "/title"),
]


@pytest.mark.parametrize(
    ("what", "body", "status", "code", "pointer"), BAD_BODIES, ids=[each[0] for each in BAD_BODIES]
)
async def test_an_invalid_body_is_refused_with_the_position_of_the_error(
    admin: Caller, what: str, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    answer = await admin.call("POST", "/tasks", raw=body, headers=JSON)

    assert (answer.status, answer.json["code"]) == (status, code)
    if pointer is not None:
        assert pointer in [each["pointer"] for each in answer.json["errors"]]
    assert SECRET.encode() not in answer.body
    assert (await admin.get("/health")).status == 200


async def test_names_of_unknown_fields_are_redacted_and_cut(admin: Caller) -> None:
    key = "ghp_" + "a1B2" * 9
    answer = await admin.post("/tasks", {"title": "x", key: 1, "n" * 500: 2})

    assert answer.status == 422
    assert key.encode() not in answer.body
    assert max(len(each["pointer"]) for each in answer.json["errors"]) <= 65


async def test_twenty_megabytes_are_refused_without_being_read(admin: Caller) -> None:
    declared = await admin.call("POST", "/tasks", raw=b"{", headers={**JSON, "content-length": str(20 << 20)})
    streamed = await admin.call("POST", "/tasks", raw=[b" " * (1 << 20)] * 20, headers=JSON)

    assert [declared.status, streamed.status] == [413, 413]
    assert streamed.json["code"] == "too_large"


async def test_an_endless_body_is_refused() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    with pytest.raises(TooLarge):
        await read_body({}, receive, 1 << 20)


async def test_only_task_and_result_bodies_may_be_long(admin: Caller) -> None:
    long = {"title": "x", "metadata": {}, "input": {"text": "a" * 900_000}, "description": "b" * 60_000}
    padding = b" " * (1 << 20)

    assert (await admin.post("/tasks", long)).status == 201
    taken = await admin.call("POST", "/tasks", raw=json.dumps({"title": "x"}).encode() + padding, headers=JSON)
    refused = await admin.call("POST", "/leases", raw=json.dumps({"bot_id": "b"}).encode() + padding, headers=JSON)
    assert [taken.status, refused.status] == [201, 413]


async def test_a_body_that_stops_arriving_is_refused() -> None:
    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    pieces = [b"{"]
    async with asyncio.timeout(5):
        with pytest.raises(Malformed, match="did not come"):
            await read_body({}, receive, 1 << 20, silence=0.01)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 201),
        ('Application/JSON;Charset="UTF-8"', 201),
        ("application/json; charset=utf-16", 415),
        ("application/json; v=1; charset=latin-1", 415),
    ],
)
async def test_a_body_in_another_charset_is_refused(admin: Caller, content_type: str, status: int) -> None:
    answer = await admin.call("POST", "/tasks", raw=b'{"title": "x"}', headers={"content-type": content_type})

    assert answer.status == status


@pytest.mark.parametrize("path", ["/health", "/tasks", "/tasks/tsk_1", "/leases/lse_1:release", "/tasks/tsk_1:cancel"])
async def test_a_path_with_a_line_end_does_not_match(admin: Caller, path: str) -> None:
    nowhere = await admin.get("/nowhere")

    for method in ("GET", "POST"):
        answer = await admin.call(method, path + "%0a", {} if method == "POST" else None)
        assert (answer.status, answer.json["detail"]) == (404, nowhere.json["detail"])


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
async def test_a_compressed_body_is_refused(admin: Caller, encoding: str) -> None:
    answer = await admin.call("POST", "/tasks", raw=b"\x1f\x8b", headers={**JSON, "content-encoding": encoding})

    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/tasks?page_sise=3", "/query/page_sise"),
        ("/tasks?page_size=0", "/query/page_size"),
        ("/tasks?page_size=501", "/query/page_size"),
        ("/tasks?page_size=five", "/query/page_size"),
        ("/tasks?page_size=5&page_size=6", "/query/page_size"),
        ("/tasks?status=DONE", "/query/status/0"),
        ("/tasks?label=nocolon", "/query/label/0"),
        ("/tasks?created_after=yesterday", "/query/created_after"),
        ("/tasks?created_after=2026-02-30T00:00:00Z", "/query/created_after"),
        ("/tasks?order_by=title", "/query/order_by"),
        ("/tasks?page_token=zzz", "/query/page_token"),
        ("/tasks/tsk_0?wait_seconds=61", "/query/wait_seconds"),
        ("/tasks/tsk_0?until=later", "/query/until"),
        ("/events?after=-1", "/query/after"),
        ("/events?page_token=%00", "/query/page_token"),
        ("/bots?api_key=x", "/query/api_key"),
    ],
)
async def test_an_invalid_query_is_refused_with_the_name_of_its_field(admin: Caller, path: str, pointer: str) -> None:
    answer = await admin.get(path)

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


async def test_an_unknown_status_is_refused_without_repeating_it(admin: Caller) -> None:
    (error,) = (await admin.get("/tasks?status=foo")).json["errors"]

    assert (error["pointer"], error["code"]) == ("/query/status/0", "not_allowed")
    assert error["detail"] == "must be one of the values of this field"


async def test_a_query_that_is_not_utf8_is_malformed(admin: Caller) -> None:
    assert (await admin.get("/tasks?label=%ff%fe")).json["code"] == "malformed"


async def test_every_answer_names_its_request_its_trace_and_the_version(admin: Caller, nobody: Caller) -> None:
    for answer in [await admin.get("/tasks"), await nobody.get("/nowhere"), await nobody.get("/health")]:
        assert answer.headers["api-version"] == "1"
        assert re.fullmatch(r"req_[0-9A-Z]{26}", answer.headers["x-request-id"])
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", answer.headers["traceparent"])
        assert answer.headers["cache-control"] == "no-store"


async def test_a_callers_request_id_and_trace_are_kept_if_valid(nobody: Caller) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    kept = await nobody.get("/health", x_request_id="mine-1", traceparent=trace)
    replaced = await nobody.get(
        "/health", x_request_id='"><script>', traceparent="00-" + "0" * 32 + "-" + "1" * 16 + "-01"
    )
    secret = await nobody.get("/health", x_request_id="ghp_" + "a1B2" * 9)

    assert (kept.headers["x-request-id"], kept.headers["traceparent"]) == ("mine-1", trace)
    assert replaced.headers["x-request-id"].startswith("req_")
    assert "0" * 32 not in replaced.headers["traceparent"]
    assert secret.headers["x-request-id"].startswith("req_")


async def test_a_key_may_be_in_either_header_but_the_two_must_not_differ(admin: Caller, nobody: Caller) -> None:
    key = str(admin.key)
    bearer = await nobody.get("/tasks", authorization=f"Bearer {key}")
    both = await nobody.get("/tasks", authorization=f"Bearer {key}", x_api_key=key)
    differing = await nobody.get("/tasks", authorization="Bearer x", x_api_key=key)
    basic = await nobody.get("/tasks", authorization=f"Basic {key}")

    assert [each.status for each in (bearer, both, differing, basic)] == [200, 200, 401, 401]
    assert basic.headers["www-authenticate"].startswith("Bearer")


async def test_the_body_of_an_unauthenticated_call_is_not_read(nobody: Caller) -> None:
    assert (await nobody.call("POST", "/tasks", raw=b"{", headers=JSON)).status == 401


async def test_a_list_continues_where_the_previous_page_ended(admin: Caller) -> None:
    for n in range(5):
        await admin.post("/tasks", {"title": f"t{n}", "labels": {"parity": "odd" if n % 2 else "even"}})

    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = (await admin.get(f"/tasks?page_size=2&order_by=created_at&page_token={token}")).json
        seen += [task["title"] for task in page["items"]]
        token = page["next_page_token"]
    even = (await admin.get("/tasks?label=parity:even&status=CREATED&status=FAILED")).json["items"]

    assert (seen, token) == (["t0", "t1", "t2", "t3", "t4"], "")
    assert [task["title"] for task in even] == ["t4", "t2", "t0"]


async def test_head_answers_as_get_without_the_body(admin: Caller) -> None:
    answer = await admin.call("HEAD", "/health")

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_links_begin_with_the_address_that_the_caller_sees(admin: Caller) -> None:
    parts = admin.app.state.services  # type: ignore[attr-defined]  # the app is a FastAPI
    object.__setattr__(parts.limits, "public_url", "https://swarm.example/x/")

    made = await admin.post("/tasks", {"title": "x"})
    lost = await admin.get("/tasks/tsk_0")

    assert made.headers["location"] == f"https://swarm.example/x/tasks/{made.json['id']}"
    assert lost.json["type"] == "https://swarm.example/x/docs#not_found"


async def test_the_documentation_page_loads_nothing_from_other_hosts(nobody: Caller) -> None:
    page = await nobody.get("/docs")

    assert page.status == 200
    assert b"/tasks/{task_id}/results" in page.body
    assert b"lease_lost" in page.body
    assert not re.search(rb"(src|href)=['\"]?https?:|<script", page.body)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_calls_on_the_home_page_work(nobody: Caller, admin: Caller) -> None:
    page = await nobody.get("/")

    assert (page.status, page.headers["location"]) == (307, "ui/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == (await nobody.get("/docs")).headers["content-security-policy"]
    assert not re.search(rb"(src|href)=['\"]?https?:|<script", page.body)
    text = html.unescape(page.body.decode())
    assert nobody.app.state.services.version in text  # type: ignore[attr-defined]  # the app is a FastAPI
    for link in re.findall(r"href='([^']*)'", text):
        assert (await nobody.get(link)).status == 200
    [task] = re.findall(r"--data '([^']*)'", text)
    assert (await admin.post("/tasks", json.loads(task))).status == 201


async def test_links_on_the_home_page_begin_with_the_public_url(nobody: Caller) -> None:
    parts = nobody.app.state.services  # type: ignore[attr-defined]  # the app is a FastAPI
    object.__setattr__(parts.limits, "public_url", "https://swarm.example/x/")

    page = await nobody.get("/")

    assert b"href='https://swarm.example/x/docs'" in page.body
