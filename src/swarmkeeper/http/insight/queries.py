"""The query models of the routes for dashboards; see http/queries.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.http.queries import PageQuery, ShortText


class VerdictsQuery(PageQuery):
    subtask: Annotated[ShortText, Field(description="On the subtask with this key.", examples=["write"])] | None = None
