"""What is served of an audit event: who changed what, from which value to which."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access, Verdict
from service.context import Info
from service.fields import column, computed, entity, one
from service.rows import Row
from service.scalars import JSON, IPAddress
from service.types.node import Node
from service.visibility import visible_node

if TYPE_CHECKING:
    from service.types.user import User

# SECURITY: whom an event is about may read it, but not where its actor sat (CVE class of Pterodactyl 1.9.1)
BY_ACTOR = Access(any="audit.read", own="activity.read")
ACTOR = ("actor_id",)
# Columns that the schema shows under another name
FIELDS_OF_COLUMNS = {
    "limitOverrides": "limits",
    "planId": "plan",
    "roleId": "role",
    "suspendedAt": "suspension",
    "suspendedBy": "suspension",
    "suspendedReason": "suspension",
    "suspendedUntil": "suspension",
}


async def target(root: AuditEvent, info: Info) -> Node | None:
    """The object that was changed, where it is still there and the caller may see it."""
    return None if root.target_id is None else await visible_node(info.context, root.target_id, root.target_type)


def changes(root: AuditEvent, info: Info) -> JSON:
    """The changed fields.

    SECURITY: nobody learns from an event what the changed object itself hides from them: an administrator without
    users.billing no address, and whom it is about no externalId.
    """
    context, told = info.context, root["changes"]
    owned = context.actor.user_id is not None and root.owner_id == context.actor.user_id

    def shows(name: str) -> bool:
        rule = context.rules.get((root.target_type, FIELDS_OF_COLUMNS.get(name, name)))
        verdict = Verdict.ALLOWED if rule is None else context.decide(rule)
        return verdict is Verdict.ALLOWED or (verdict is Verdict.ROWS and owned)

    return JSON({name: change for name, change in told.items() if shows(name)})


@entity("One change, kept for good", Access(any="audit.read", own="activity.read"), owner=("actor_id", "owner_id"))
class AuditEvent(Row, Node):
    """A row of `audit_events`; the database refuses to change or remove one."""

    id: strawberry.ID = column("Id of the event")
    event: str = column('Name of the change, such as "user.suspend"')
    actor: Annotated[User, strawberry.lazy("service.types.user")] | None = one(
        "users_by_id", "actor_id", "User who made the change"
    )
    impersonator: Annotated[User, strawberry.lazy("service.types.user")] | None = one(
        "users_by_id", "impersonator_id", "User who acted in the actor's name"
    )
    credential: str | None = column(
        'Credential of the change, "session:" or "api-key:" and its id; without audit.read told only to the actor',
        BY_ACTOR,
        owner=ACTOR,
    )
    target: Node | None = computed(target, "Object that was changed; null when it is gone or not visible to the caller")
    target_id: strawberry.ID | None = column("Id of the object that was changed")
    changes: JSON | None = computed(changes, 'Changed fields, {field: {old, new}}; secrets read "[redacted]"')
    ip: IPAddress | None = column(
        "Address that the change came from; without audit.read told only to the actor", BY_ACTOR, owner=ACTOR
    )
    request_id: str | None = column(
        "Id of the HTTP request; without audit.read told only to the actor", BY_ACTOR, owner=ACTOR
    )
    created_at: dt.datetime = column("Timestamp of the change")
