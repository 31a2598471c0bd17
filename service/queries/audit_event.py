"""Audit events."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.inputs import ExactText, Items, optional
from service.pagination import Connection, Window
from service.payloads import query
from service.queries.arguments import After, Before, First, Last, checked, list_page
from service.types.audit_event import AuditEvent
from service.weights import LIST


@strawberry.input(description="Which audit events to list; every given field must match")
class AuditFilter:
    """Filter of `auditEvents`."""

    event: list[str] | None = optional(
        'Events with any of these names, such as "user.suspend"; "user." matches all names that begin with it',
        Items(limits.FILTER_VALUES, text=ExactText(limits.EVENT_NAME)),
    )
    actor_id: strawberry.ID | None = optional("Events that this user caused")
    target_id: strawberry.ID | None = optional("Events on this object")
    target_type: str | None = optional('Events on objects of this type, such as "User"', ExactText(limits.EVENT_NAME))
    created_after: dt.datetime | None = optional("Events after this time")
    created_before: dt.datetime | None = optional("Events before this time")


@query(Access(any="audit.read"), weight=LIST)
async def audit_events(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Annotated[AuditFilter | None, strawberry.argument(description="Which events to list")] = None,
) -> Connection[AuditEvent] | None:
    """List of audit events, newest first, with filter."""
    window = Window.of("audit_events", first, after, last, before)
    return await list_page(info, "list_audit_events", window, _filters(filter))  # type: ignore[no-any-return]


def _filters(given: AuditFilter | None) -> dict[str, Any]:
    found = checked(given or AuditFilter(), "filter")
    prefixes = [name for name in found.get("event", ()) if name.endswith(".")]
    if prefixes:
        found |= {"event_prefix": prefixes, "names": found.pop("event")}
    return found
