"""Audit events: who changed what, from which value to which."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from service.access.rules import Access
from service.access.viewer import Viewer
from service.compiler.kinds import ENTITIES, VIEWER
from service.database.rows import Row
from service.fields import column, computed, entity, related, related_node
from service.scalars import JSON, IPAddress
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User

# SECURITY: the user of an event's target may read it, but not the address of its actor (see Pterodactyl 1.9.1)
BY_ACTOR = Access(any="audit.read", own="activity.read")
ACTOR = ("actor_id",)


def visible_changes(changes: dict[str, Any], target_type: str | None, owner_id: str | None, viewer: Viewer) -> JSON:
    """Return the changes that the caller may read.

    SECURITY: a value requires the access of the field that shows it. An administrator without users.billing sees no
    address, and a user sees no externalId of their own. An unknown name is hidden.
    """
    own = viewer.actor.user_id is not None and owner_id == viewer.actor.user_id
    if target_type is None:
        return JSON(changes if viewer.shows("AuditEvent", "event", own=False) else {})
    return JSON({name: change for name, change in changes.items() if _is_visible(target_type, name, viewer, own=own)})


def _is_visible(type_name: str, name: str, viewer: Viewer, *, own: bool) -> bool:
    """Return whether the caller may read a name of the changes; `user.email` is a field of the user of the object."""
    relation, _, field = name.rpartition(".")
    if relation and not _is_visible(type_name, relation, viewer, own=own):
        return False
    entity_name = "User" if relation else type_name
    found = ENTITIES.get(entity_name)
    shown = None if found is None else found.audited.get(field)
    return shown is not None and viewer.shows(entity_name, shown, own=own)


@entity(
    "One change, stored permanently",
    Access(any="audit.read", own="activity.read"),
    by_id="audit_events_by_id",
    owner=("actor_id", "owner_id"),
)
class AuditEvent(Row, Node):
    """A row of `audit_events`; the database rejects its update and its deletion."""

    id: strawberry.ID = column("Id of the event")
    event: str = column('Name of the event, such as "user.suspend"')
    actor: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id", "actor_id", "User who made the change; null if the user was deleted"
    )
    actor_id: strawberry.ID | None = column(
        "Id of the user who made the change, also after the user was deleted; null for the service itself"
    )
    impersonator: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id", "impersonator_id", "User who acted as the actor"
    )
    impersonator_id: strawberry.ID | None = column(
        "Id of the user who acted as the actor, also after this user was deleted"
    )
    credential: str | None = column(
        'Credential that was used, "session:" or "api-key:" and its id, or the part of the service that acted; without '
        "audit.read only the actor sees it",
        BY_ACTOR,
        owner=ACTOR,
    )
    target: Node | None = related_node(
        "target_id", "target_type", "Object that was changed; null if it was deleted or the caller may not see it"
    )
    target_id: strawberry.ID | None = column("Id of the object that was changed")
    target_type: str | None = column('Type of the object that was changed, such as "User"')
    changes: JSON | None = computed(
        visible_changes,
        'Changed fields as {field: {old, new}}; secrets are "[redacted]", and fields that the caller may not read are '
        "left out",
        needs=("changes", "target_type", "owner_id", VIEWER),
    )
    ip: IPAddress | None = column(
        "Address that the change came from; without audit.read only the actor sees it", BY_ACTOR, owner=ACTOR
    )
    request_id: str | None = column(
        "Id of the HTTP request; without audit.read only the actor sees it", BY_ACTOR, owner=ACTOR
    )
    created_at: dt.datetime = column("Time of the change")
