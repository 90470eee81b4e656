"""Callers with the cookie of a session, which say that they are pages of the server, as browsers do."""

from tests.http.conftest import Answered, Caller

HOST = "127.0.0.1:8321"
ORIGIN = f"http://{HOST}"
# What a browser sends with a call of a page of ours.
PAGE = {"host": HOST, "origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": "application/json"}


def cookie_of(answer: Answered) -> str:
    """Return the cookie that an answer sets, as it is sent back."""
    return answer.headers["set-cookie"].partition(";")[0]


async def signed_in(caller: Caller, page: dict[str, str] | None = None) -> Caller:
    """Open a session; return a caller that has its cookie, and neither key nor token."""
    page = PAGE if page is None else page
    with_credential = Caller(caller.app, caller.key, {**caller.headers, **page}, caller.client)
    answer = await with_credential.post("/session")
    assert answer.status == 201, answer.json
    return Caller(caller.app, None, {**page, "cookie": cookie_of(answer)}, caller.client)
