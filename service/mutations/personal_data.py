"""What is kept about the caller, as one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import strawberry

from service import limits
from service.access.rules import Access
from service.attempts import EXPORT, begin_attempt
from service.context import Info
from service.errors import ApiError, ApiErrorCode
from service.inputs import camel_case
from service.mutations.guards import require_own_session
from service.pagination import Cursor
from service.payloads import Payload, mutation, result
from service.scalars import JSON
from service.write import write

FORMAT: Final = "roster-personal-data"
VERSION: Final = 1  # changes when a member is removed or means something else; members may be added
# jsonb columns with the names of Python; in the others a user has chosen the names
_STORED = frozenset({"billing_address", "limit_overrides", "plan_limits"})


@strawberry.type(description="Payload of exportMyData")
class ExportMyDataPayload(Payload):
    """A document, or errors."""

    document: JSON | None = result(
        f"What is kept about you. `format` is {FORMAT} and `version` {VERSION}; docs/accounts.md describes its "
        f"members. Each list has at most the {limits.PERSONAL_DATA_ROWS} newest items, and `truncated` names those "
        "that are longer. With `auditEventsCursor` as `after`, User.auditEvents has the earlier events"
    )


@mutation(Access(own="account.read"), sensitive=True)
async def export_my_data(info: Info) -> ExportMyDataPayload:
    """Export everything that is kept about you, without secrets and without the data of others (GDPR, 15 and 20).

    API keys and access tokens cannot export it. A user can do it 3 times, then once in 8 hours.
    """
    # SECURITY: the document has more than any single permission opens, so that a key with few must not get it
    require_own_session(info)
    user_id = info.context.actor.user_id
    # Of all sessions together, because another login gives another session
    await begin_attempt(info.context, EXPORT, account=f"export {user_id}")
    async with write(info, "user.export") as change:
        user = await change.lock_own_user()
        most = limits.PERSONAL_DATA_ROWS + 1
        found = await change.run("personal_data", id=user.id, most=most)
        if found["account"] is None:
            raise ApiError(ApiErrorCode.UNAUTHENTICATED, "This account no longer exists.")
        property_of_user = await change.run("personal_property", id=user.id, most=most)
        change.updated(user, user, export=(None, VERSION))
    return ExportMyDataPayload(document=JSON(document_of({**found, **property_of_user})))


def document_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the columns of `personal_data` and `personal_property`."""
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    truncated: list[str] = []
    for column, value in found.items():
        name = camel_case(column)
        if isinstance(value, list):
            document[name] = [_named(item) for item in value[: limits.PERSONAL_DATA_ROWS]]
            if len(value) > limits.PERSONAL_DATA_ROWS:
                truncated.append(name)
        else:
            document[name] = _named(value) if isinstance(value, dict) else value
    events = document["auditEvents"]
    last = Cursor("audit_events_by_user", None, events[-1]["id"]).encode() if "auditEvents" in truncated else None
    return document | {"truncated": truncated, "auditEventsCursor": last}


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names that the schema has."""
    return {
        camel_case(column): {camel_case(name): item for name, item in value.items()}
        if column in _STORED and value is not None
        else value
        for column, value in row.items()
    }
