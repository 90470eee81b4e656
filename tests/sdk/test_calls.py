"""One call: what is retried, what is not, and with which key."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import settings
from swarmkeeper.sdk.connection.calls import URL_DEFAULT, Calls, encode
from swarmkeeper.sdk.errors import (
    Busy,
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    ServerFault,
    Unauthenticated,
    Unreachable,
    error_from,
)
from tests.sdk.script import LOST, Answer, Script, refusal, task, virtually


def test_a_submission_whose_reply_was_lost_is_sent_again_with_the_same_key() -> None:
    script = Script()
    script.on("POST", "/tasks", LOST, Answer(task(), 201))

    made = virtually(script.client().submit("Count"))

    first, second = script.to("POST", "/tasks")
    assert made.id == "tsk_1"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body == {"title": "Count"}


def test_two_submissions_have_two_keys() -> None:
    script = Script()
    script.on("POST", "/tasks", Answer(task(), 201))
    client = script.client()

    async def story() -> None:
        await client.submit("Count")
        await client.submit("Count")
        await client.submit("Count", idempotency_key="mine")

    virtually(story())

    first, second, third = [call.headers["idempotency-key"] for call in script.to("POST", "/tasks")]
    assert first != second
    assert third == "mine"


def test_a_retry_waits_as_long_as_the_server_asks() -> None:
    script = Script()
    script.on("GET", "/tasks/tsk_1", refusal(503, "overloaded", retryable=True, headers={"retry-after": "7"}), task())

    virtually(script.client().get("tsk_1"))

    first, second = script.to("GET", "/tasks/tsk_1")
    assert 7 <= second.at - first.at < 8


def test_retries_stop_after_thirty_seconds() -> None:
    script = Script()
    script.on("GET", "/tasks/tsk_1", LOST)

    with pytest.raises(Unreachable):
        virtually(script.client().get("tsk_1"))

    calls = script.to("GET", "/tasks/tsk_1")
    assert len(calls) > 5
    assert calls[-1].at - calls[0].at <= 30


@pytest.mark.parametrize(
    ("status", "code", "family"),
    [
        (401, "unauthenticated", Unauthenticated),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (409, "task_closed", Conflict),
        (422, "invalid", Refused),
        (500, "internal", ServerFault),
    ],
)
def test_a_refusal_that_would_repeat_is_not_retried(status: int, code: str, family: type[Exception]) -> None:
    script = Script()
    script.on("GET", "/tasks/tsk_1", refusal(status, code))

    with pytest.raises(family) as caught:
        virtually(script.client().get("tsk_1"))

    assert len(script.calls) == 1
    assert caught.value.code == code  # type: ignore[attr-defined]  # every family is an ApiError
    assert f"it is {code}" in str(caught.value)


def test_an_error_lists_the_place_of_each_problem() -> None:
    script = Script()
    errors = [{"pointer": "/title", "code": "required", "detail": "is required"}]
    script.on("POST", "/tasks", Answer({"code": "invalid", "detail": "no", "errors": errors}, 422))

    with pytest.raises(Refused, match="/title: is required"):
        virtually(script.client().submit({}))


def test_a_gateways_error_is_retried() -> None:
    script = Script()
    script.on("GET", "/tasks/tsk_1", Answer(b"<h1>Bad Gateway</h1>", 502), task())

    assert virtually(script.client().get("tsk_1")).id == "tsk_1"


def test_an_answer_that_is_not_json_asks_about_the_url() -> None:
    script = Script()
    script.on("GET", "/health", Answer(b"<h1>Welcome to nginx</h1>"))

    with pytest.raises(Unreachable, match="is this the orchestrator's URL"):
        virtually(script.client().health())


def test_a_rotated_key_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old\n", encoding="utf-8")
    script = Script()

    def answer(call: Any) -> Any:
        if call.headers["x-api-key"] == "new":
            return task()
        file.write_text("new", encoding="utf-8")
        return refusal(401, "unauthenticated")

    script.on("GET", "/tasks/tsk_1", answer)

    assert virtually(script.client(api_key=None, api_key_file=file).get("tsk_1")).id == "tsk_1"


def test_an_unchanged_key_file_is_not_retried(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old", encoding="utf-8")
    script = Script()
    script.on("GET", "/tasks/tsk_1", refusal(401, "unauthenticated"))

    with pytest.raises(Unauthenticated):
        virtually(script.client(api_key=None, api_key_file=file).get("tsk_1"))

    assert len(script.calls) == 1


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SWARMKEEPER_URL", "SWARMKEEPER_API_KEY", "SWARMKEEPER_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert Calls().url == URL_DEFAULT
    assert Calls().credential.value is None

    (tmp_path / "key").write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv("SWARMKEEPER_API_KEY_FILE", str(tmp_path / "key"))
    assert Calls().credential.value == "from-file"

    monkeypatch.setenv("SWARMKEEPER_URL", "http://swarm.example/")
    monkeypatch.setenv("SWARMKEEPER_API_KEY", "from-value")
    assert Calls().url == "http://swarm.example"
    assert Calls().credential.value == "from-value"
    assert Calls("http://other.example", api_key="passed").credential.value == "passed"


def test_url_and_key_come_from_the_dev_folder_as_for_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SWARMKEEPER_URL", "SWARMKEEPER_API_KEY", "SWARMKEEPER_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swarmkeeper.toml").write_text('url = "http://far.example"\napi_key = "far"\n', encoding="utf-8")
    assert (Calls().url, Calls().credential.value) == ("http://far.example", "far")

    (tmp_path / ".swarmkeeper").mkdir()
    (tmp_path / ".swarmkeeper" / "admin.key").write_text("near\n", encoding="utf-8")
    (tmp_path / ".swarmkeeper" / "settings.toml").write_text(
        'url = "http://127.0.0.1:7711"\napi_key_file = ".swarmkeeper/admin.key"\n', encoding="utf-8"
    )

    found = Calls()

    assert (found.url, found.credential.value) == ("http://127.0.0.1:7711", "near")
    assert found.url == settings.read(folder=tmp_path, environ={}).settings.url
    (tmp_path / ".swarmkeeper" / "admin.key").write_text("rotated\n", encoding="utf-8")
    assert found.credential.reread()
    (tmp_path / ".swarmkeeper" / "admin.key").write_text("near\n", encoding="utf-8")
    # The nearest file wins. A file's key is sent only to the URL in that file.
    assert Calls(api_key="passed").credential.value == "passed"
    assert Calls("http://far.example").credential.value == "far"
    assert Calls("http://elsewhere.example").credential.value is None
    assert Calls("http://127.0.0.1:7711/").credential.value == "near"
    monkeypatch.setenv("SWARMKEEPER_URL", "http://elsewhere.example")
    assert (Calls().url, Calls().credential.value) == ("http://elsewhere.example", None)
    monkeypatch.setenv("SWARMKEEPER_API_KEY", "from-value")
    assert Calls().credential.value == "from-value"
    assert Script().client(api_key=None).calls.credential.value == "from-value"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("url = 7", "settings.toml: url: expected a string"),
        ("url =", "not TOML"),
        ('api_key="k"\napi_key_file="f"', "cannot be used together"),
    ],
)
def test_an_invalid_dev_folder_is_an_error_only_if_it_is_needed(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarmkeeper").mkdir()
    (tmp_path / ".swarmkeeper" / "settings.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        Calls()
    assert Calls("http://swarm.example", api_key="k").credential.value == "k"


@pytest.mark.parametrize("url", ["swarm.example:7700", "ftp://swarm.example", "http://user:pass@swarm.example"])
def test_an_invalid_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Calls(url)


def test_a_value_without_a_json_form_is_refused_before_it_is_sent() -> None:
    for value in (float("nan"), "\ud800", {1, 2}, object()):
        with pytest.raises((ValueError, TypeError)):
            encode({"value": value})


def test_the_status_decides_the_class_of_an_error_not_its_code() -> None:
    assert isinstance(error_from(409, {"code": "lease_lost"}, {}), Conflict)
    assert isinstance(error_from(503, {"code": "overloaded"}, {}), Busy)
    assert isinstance(error_from(422, {"code": "invalid_plan"}, {}), Refused)
    assert isinstance(error_from(429, {"code": "something_new"}, {}), Busy)
    assert isinstance(error_from(422, {"code": "something_new"}, {}), Refused)


def test_two_clients_with_the_same_seed_pause_for_the_same_times() -> None:
    def pauses() -> list[float]:
        script = Script()
        script.on("GET", "/health", LOST)
        with pytest.raises(Unreachable):
            virtually(script.client().health())
        return [call.at for call in script.calls]

    assert pauses() == pauses()


def test_a_client_can_be_made_outside_an_event_loop() -> None:
    script = Script()
    script.on("GET", "/health", {"status": "ok"})
    client = script.client()

    assert asyncio.run(client.health()).status == "ok"
    assert asyncio.run(client.health()).status == "ok"
