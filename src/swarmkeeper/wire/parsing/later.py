"""Fields that the API knows before their feature exists: refused as `not_supported`, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from swarmkeeper.core.errors import Detail
from swarmkeeper.wire.problems import pointer
from swarmkeeper.wire.shapes import Request


class Later(NamedTuple):
    """A field whose feature this release does not have. An empty `field` means the whole `model`."""

    model: type[Request]
    field: str
    asked_for: Callable[[Any], bool]
    detail: str


# Empty today. Add a field here when the API knows it before its feature exists.
NOT_SUPPORTED: tuple[Later, ...] = ()


def not_supported(request: Request, at: tuple[str | int, ...] = ()) -> tuple[Detail, ...]:
    """Return the details for `NotSupported`: fields of a request that this release does not support."""
    return tuple(
        (pointer((*at, later.field) if later.field else at), "not_supported", later.detail)
        for later in NOT_SUPPORTED
        if isinstance(request, later.model)
        and later.asked_for(getattr(request, later.field) if later.field else request)
    )
