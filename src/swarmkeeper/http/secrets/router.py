"""Routes for secrets. A value is only in the answer to a bot that holds the lease, and in the request that puts it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.secrets.reads import KnownSecretRow
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall, LeaseId, Permission
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads import views
from swarmkeeper.reads.views import View
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import rfc3339

router = APIRouter(tags=["secrets"], route_class=StrictRoute)

_NAME = "[A-Za-z0-9._/-]{1,200}"


class SecretConvertor(StringConvertor):
    """Matches the name of a secret, roughly: the broker refuses what is none."""

    regex = _NAME


register_url_convertor("secret", SecretConvertor())
SecretName = Annotated[str, Path(description="The name of a secret.", json_schema_extra={"pattern": f"^{_NAME}$"})]


@router.post(
    "/leases/{lease_id:id}/secrets:resolve",
    response_model=v1.ResolvedSecrets,
    dependencies=[Depends(Permission(Action.SECRET_RESOLVE))],
    responses=refuses(
        errors.LeaseLost,
        errors.NotSupported,
        errors.RateLimited,
        errors.SecretNotFound,
        errors.SecretsUnavailable,
    ),
)
async def resolve_secrets(lease_id: LeaseId, body: v1.ResolveSecrets, call: CurrentCall) -> Response:
    """Get the values of secrets that the inputs of the leased work refer to with `secret://`.

    All or none. Each value that is released is counted and recorded in the audit log, and hidden from then on wherever
    it appears in what the server records.
    """
    values = await call.services.secrets.resolve(call.by, lease_id, body.names, call.trace)
    return Json({"secrets": [{"name": name, "value": value} for name, value in zip(body.names, values, strict=True)]})


@router.get(
    "/secrets",
    response_model=v1.SecretPage,
    dependencies=[Depends(Permission(Action.SECRET_READ))],
)
async def list_secrets(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List secrets of the tenant: those that the server keeps, and those that were released from other back ends."""
    name, version = views.read_token(query.page_token, str, str) if query.page_token else ("", "")
    rows = await call.services.secrets.page(call.by.tenant, (name, version), query.page_size + 1)
    shown = [_view(row) for row in rows[: query.page_size]]
    more = len(rows) > query.page_size
    return Json(views.page(shown, views.token(shown[-1]["name"], shown[-1]["version"]) if more else ""))


@router.put(
    "/secrets/{name:secret}",
    response_model=v1.SecretState,
    dependencies=[Depends(Permission(Action.SECRET_MANAGE))],
    responses=refuses(errors.NotSupported, errors.ResourceNotFound),
)
async def put_secret(name: SecretName, body: v1.SecretValue, call: CurrentCall) -> Response:
    """Keep a value as the newest version of a secret. The version before it stays until it is retired.

    The value that is the newest already makes no new version, so the call is safe to repeat.
    """
    version = await call.services.secrets.put(call.by, name, body.value, call.trace)
    return Json({"name": name, "version": version})


@router.post(
    "/secrets:retire",
    response_model=v1.SecretState,
    dependencies=[Depends(Permission(Action.SECRET_MANAGE))],
    responses=refuses(errors.NotSupported, errors.ResourceNotFound),
)
async def retire_secret(body: v1.SecretAction, call: CurrentCall) -> Response:
    """Remove the versions of a secret before the newest."""
    return Json({"name": body.name, "version": await call.services.secrets.retire(call.by, body.name, call.trace)})


@router.delete(
    "/secrets/{name:secret}",
    status_code=204,
    dependencies=[Depends(Permission(Action.SECRET_MANAGE))],
    responses=refuses(errors.NotSupported, errors.ResourceNotFound),
)
async def delete_secret(name: SecretName, call: CurrentCall) -> Response:
    """Remove a secret that the server keeps. What was released of it stays hidden in what the server records."""
    await call.services.secrets.delete(call.by, name, call.trace)
    return Response(status_code=204)


def _view(row: KnownSecretRow) -> View:
    return {
        "name": row.name,
        "version": row.version,
        "backend": row.source,
        "created_at": None if row.created_at is None else rfc3339(row.created_at),
        "released_at": None if row.released_at is None else rfc3339(row.released_at),
        "released": row.released,
    }
