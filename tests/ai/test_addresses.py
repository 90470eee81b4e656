"""A model at an address, over real HTTP: what is sent, that nothing is repeated in secret, and what an answer costs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError

from swarmkeeper.agents.faults import failure_of
from swarmkeeper.ai.asking import usage_of
from swarmkeeper.ai.models import ModelChoice, model_of

ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5.2",  # a server may call its model as it likes
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
}


class FakeProvider(ThreadingHTTPServer):
    """Answers with a status, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.seen: list[tuple[str, str | None, dict[str, Any]]] = []

    def choice(self, **more: Any) -> ModelChoice:
        return ModelChoice([f"http://127.0.0.1:{self.server_port}/v1#small"], **more)


class _Handler(BaseHTTPRequestHandler):
    server: FakeProvider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, self.headers["authorization"], body))
        answer = json.dumps(ANSWER if self.server.status == 200 else {"error": {"message": "wait"}}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        if self.server.status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        pass


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def asked(choice: ModelChoice, environ: dict[str, str]) -> Any:
    return asyncio.run(Agent(model_of(choice, environ)).run("hi"))


def test_an_address_gets_its_own_key_and_no_other(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-openai")

    asked(provider.choice(key_env="MINE"), {"MINE": "key-of-mine", "OPENAI_API_KEY": "key-of-openai"})
    asked(provider.choice(), {"OPENAI_API_KEY": "key-of-openai"})

    assert [(path, key) for path, key, _ in provider.seen] == [
        ("/v1/chat/completions", "Bearer key-of-mine"),
        ("/v1/chat/completions", "Bearer none"),
    ]
    assert provider.seen[0][2]["model"] == "small"


def test_an_answer_has_the_address_as_its_model_and_what_the_cache_had(provider: FakeProvider) -> None:
    response = asked(provider.choice(), {}).response

    used = usage_of(response)
    assert used.model == provider.choice().use[0]  # and so not the price of a provider's gpt-5.2
    assert (used.input_tokens, used.output_tokens, used.cache_read_tokens) == (20, 3, 8)


@pytest.mark.parametrize(("status", "kind", "wait"), [(429, "rate_limited", 7), (500, "retryable", None)])
def test_a_refused_request_is_sent_once_and_says_what_the_provider_said(
    provider: FakeProvider, status: int, kind: str, wait: float | None
) -> None:
    provider.status = status

    with pytest.raises(ModelHTTPError) as caught:
        asked(provider.choice(), {})

    assert len(provider.seen) == 1
    failed = failure_of(caught.value)
    assert failed is not None
    assert (failed.kind, failed.retry_after_seconds) == (kind, wait)
