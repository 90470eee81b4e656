"""Routes of persons: create, list, rename, disable and enable them."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.persons.commands import CreatePerson, DisablePerson, EnablePerson, OnPerson, RenamePerson
from swarmkeeper.core.persons.reads import PERSON_ROW, PERSONS_PAGE
from swarmkeeper.core.persons.records import PersonRecord
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import Call, CurrentCall, Idempotency, NoBody, Permission, in_path, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.views import View
from swarmkeeper.wire import v1

router = APIRouter(tags=["persons"], route_class=StrictRoute)

PersonId = Annotated[str, in_path("A person's id.")]
_MANAGE = [Depends(Permission(Action.PERSON_MANAGE))]
_READ = [Depends(Permission(Action.PERSON_READ))]


async def _done(call: Call, command: CreatePerson | OnPerson, status: int = 200) -> Response:
    """Carry out a command on a person, and answer with the person."""
    answer = await call.services.engine.do(command)
    call.services.identity.forget_persons()
    with suppress(StoreUnavailable):  # then the next pass sees it
        await call.services.key_watch.check()
    person_id = answer if isinstance(answer, str) else answer.resource
    person = await call.after(lambda: _one(call.services.queries, call.by.tenant, person_id))
    return Json(person, status, replay_header(answer))


@router.post("/persons", response_model=v1.Person, status_code=201, dependencies=_MANAGE)
async def create_person(body: v1.PersonRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Create a person, to whom keys and sign-ins by token may belong."""
    return await _done(call, CreatePerson(by=call.by, idempotency=idempotency, trace=call.trace, name=body.name), 201)


@router.get("/persons", response_model=v1.PersonPage, dependencies=_READ)
async def list_persons(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List the persons of the tenant, the disabled ones, too."""
    after = views.read_token(query.page_token, str)[0] if query.page_token else ""
    return Json(await call.read(lambda reads: _page(reads.queries, call.by.tenant, after, query.page_size)))


@router.get(
    "/persons/{person_id:id}",
    response_model=v1.Person,
    dependencies=_READ,
    responses=refuses(errors.ResourceNotFound),
)
async def get_person(person_id: PersonId, call: CurrentCall) -> Response:
    """Read a person."""
    return Json(await call.read(lambda reads: _one(reads.queries, call.by.tenant, person_id)))


@router.post(
    "/persons/{person_id:id}:rename",
    response_model=v1.Person,
    dependencies=_MANAGE,
    responses=refuses(errors.ResourceNotFound),
)
async def rename_person(
    person_id: PersonId, body: v1.PersonRequest, call: CurrentCall, idempotency: Idempotency
) -> Response:
    """Give a person another name. Evidence keeps the id, and shows the new name."""
    return await _done(
        call, RenamePerson(by=call.by, idempotency=idempotency, trace=call.trace, person=person_id, name=body.name)
    )


@router.post(
    "/persons/{person_id:id}:disable",
    response_model=v1.Person,
    dependencies=_MANAGE,
    responses=refuses(errors.ResourceNotFound),
)
async def disable_person(person_id: PersonId, body: NoBody, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Refuse the keys and tokens of a person, at once and on every server within a second.

    Bots that have no key of others lose their leases; these do not count as crashes.
    """
    return await _done(call, DisablePerson(by=call.by, idempotency=idempotency, trace=call.trace, person=person_id))


@router.post(
    "/persons/{person_id:id}:enable",
    response_model=v1.Person,
    dependencies=_MANAGE,
    responses=refuses(errors.ResourceNotFound),
)
async def enable_person(person_id: PersonId, body: NoBody, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Accept the keys and tokens of a person again."""
    return await _done(call, EnablePerson(by=call.by, idempotency=idempotency, trace=call.trace, person=person_id))


async def _page(queries: Queries, tenant: str, after: str, size: int) -> View:
    found: list[PersonRecord] = await fetch(queries.reader, PERSONS_PAGE, tenant=tenant, after=after, limit=size + 1)
    more = len(found) > size
    return views.page(list(map(_view, found[:size])), views.token(found[size - 1].id) if more else "")


async def _one(queries: Queries, tenant: str, person_id: str) -> View:
    found: list[PersonRecord] = await fetch(queries.reader, PERSON_ROW, tenant=tenant, person=person_id)
    if not found:
        raise errors.ResourceNotFound("no such person")
    return _view(found[0])


def _view(person: PersonRecord) -> View:
    return {
        "id": person.id,
        "name": person.name,
        "created_at": views.time(person.created_at),
        "disabled_at": views.time(person.disabled_at),
    }
