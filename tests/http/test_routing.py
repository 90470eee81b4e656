"""`StrictRoute`: routes need a key by default, and keep nothing after the answer."""

import gc

import pytest
from fastapi import APIRouter
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.http.app import ROUTES
from swarmkeeper.http.dependencies import Call, get_principal
from swarmkeeper.http.routing import StrictRoute
from tests.http.conftest import Caller, path_of

# A link signs in without a key: the token in it is what `/session:redeem` looks at.
OPEN = {"/", "/docs", "/health", "/livez", "/metrics", "/openapi.json", "/readyz", "/session:redeem", "/version"}


def test_a_route_requires_a_key_by_default() -> None:
    router = APIRouter(route_class=StrictRoute)

    @router.get("/default")
    async def default() -> Response:
        raise AssertionError("it is not called")

    [route] = router.routes
    assert isinstance(route, StrictRoute)
    assert not route.open
    assert get_principal in [dependant.call for dependant in route.dependant.dependencies]
    assert {errors.AuthenticationFailed, errors.PermissionDenied} <= route.refusals


def test_only_these_routes_need_no_key() -> None:
    assert {route.path_format for route in ROUTES if route.open} == OPEN


async def test_other_routes_read_nothing_of_a_call_without_a_key(nobody: Caller) -> None:
    for route in ROUTES:
        if not route.open:
            answer = await nobody.call(route.method, f"{path_of(route)}?unknown=1", raw=b"no JSON")
            # 429: many calls without a key are slowed down.
            assert answer.status in (401, 429), route.path


@pytest.mark.parametrize("path", ["/tasks", "/tasks/tsk_0", "/bots?page_size=0", "/nowhere", "/health"])
async def test_a_request_leaves_nothing_for_the_garbage_collector(admin: Caller, path: str) -> None:
    await admin.get(path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await admin.get(path)
        left = sum(isinstance(each, Call) for each in gc.get_objects())
    finally:
        gc.enable()

    assert left == 0
