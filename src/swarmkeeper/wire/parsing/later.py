"""Fields that the API knows before their feature is there: refused as `not_supported`, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from swarmkeeper.core.errors import Detail
from swarmkeeper.wire.problems import pointer
from swarmkeeper.wire.shapes import Request


class Later(NamedTuple):
    """A field whose feature this release does not have; `model` alone, where `field` is empty, is one as a whole."""

    model: type[Request]
    field: str
    asked_for: Callable[[Any], bool]
    detail: str


# All that is known today is there; a field that is known before its feature is goes here.
NOT_SUPPORTED: tuple[Later, ...] = ()


def not_supported(request: Request, at: tuple[str | int, ...] = ()) -> tuple[Detail, ...]:
    """What of a request this release does not have: for `NotSupported`, where there is any."""
    return tuple(
        (pointer((*at, later.field) if later.field else at), "not_supported", later.detail)
        for later in NOT_SUPPORTED
        if isinstance(request, later.model)
        and later.asked_for(getattr(request, later.field) if later.field else request)
    )
