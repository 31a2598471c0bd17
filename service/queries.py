"""What can be asked at the root."""

from __future__ import annotations

import asyncio
import datetime as dt
from enum import Enum
from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET

from service import names, permissions
from service.access import Access, Public
from service.context import Info
from service.errors import Refused, bad_input
from service.fields import After, Before, First, Last
from service.inputs import Text, check, optional
from service.pagination import Connection, Page, Window
from service.payloads import query
from service.permissions import PermissionKind
from service.ssh import normalise_fingerprint
from service.types.audit_event import AuditEvent
from service.types.node import Node
from service.types.permission_info import PermissionInfo
from service.types.plan import Plan, Tier
from service.types.role import Role
from service.types.server import Server
from service.types.user import User
from service.visibility import visible_node

SEARCH = Text(0, 128)
MOST_IDS = 100
SELF = Access(any="users.read", own="account.read")
KEY = Text(1, 512)


@strawberry.input(description="One exact key of a user", one_of=True)
class UserBy:
    """Exactly one of its fields is given."""

    id: strawberry.ID | None = optional("Id of the user")
    username: str | None = optional("Whole username, ignoring case", KEY)
    email: str | None = optional("Whole email address, ignoring case", KEY)
    external_id: str | None = optional("Id that another system gave the user", KEY)
    ssh_fingerprint: str | None = optional('Fingerprint of one of the user\'s SSH keys, with or without "SHA256:"', KEY)


@strawberry.input(description="Which users to list; every field that is given must fit")
class UserFilter:
    """Filter of `users`."""

    tier: Tier | None = optional("Users of this tier")
    role_id: strawberry.ID | None = optional("Users with this role")
    plan_id: strawberry.ID | None = optional("Users with this plan")
    suspended: bool | None = optional("Users whose suspension is in force, or is not")
    two_factor_enabled: bool | None = optional("Users with a second factor, or without")
    email_verified: bool | None = optional("Users whose address is verified, or is not")
    created_after: dt.datetime | None = optional("Users created after this time")
    created_before: dt.datetime | None = optional("Users created before this time")


@strawberry.enum(description="Order of a list of users")
class UserOrder(Enum):
    """The value names a statement of sql/queries/user_list.sql."""

    CREATED_AT_ASC = strawberry.enum_value("created_at_asc", description="Oldest account first")
    CREATED_AT_DESC = strawberry.enum_value("created_at_desc", description="Newest account first")
    USERNAME_ASC = strawberry.enum_value("username_asc", description="By username, ignoring case")
    USERNAME_DESC = strawberry.enum_value("username_desc", description="By username backwards, ignoring case")
    EMAIL_ASC = strawberry.enum_value("email_asc", description="By email address, ignoring case")
    EMAIL_DESC = strawberry.enum_value("email_desc", description="By email address backwards, ignoring case")
    LAST_LOGIN_AT_DESC = strawberry.enum_value(
        "last_login_at_desc", description="Latest login first; those who never signed in come last"
    )


@strawberry.input(description="Which audit events to list; every field that is given must fit")
class AuditFilter:
    """Filter of `auditEvents`."""

    event: str | None = optional('Events of this name, such as "user.suspend"', Text(1, 64))
    actor_id: strawberry.ID | None = optional("Events that this user made")
    target_id: strawberry.ID | None = optional("Events on this object")
    after: dt.datetime | None = optional("Events after this time")
    before: dt.datetime | None = optional("Events before this time")


@query(Public())
async def me(info: Info) -> User | None:
    """Caller of the request; a credential that does not count is told, no credential at all is null."""
    actor = info.context.actor
    if actor.refusal is not None:
        raise actor.refusal
    return None if actor.user_id is None else await info.context.loaders.one("users_by_id", actor.user_id)


@query(SELF)
async def user(info: Info, by: Annotated[UserBy, strawberry.argument(description="Key of the user")]) -> User | None:
    """One user by an exact key; null where there is none or the caller may not see them."""
    _check(by, "by")
    name, key = next((name, value) for name, value in vars(by).items() if value is not UNSET)
    if name == "ssh_fingerprint":
        key = normalise_fingerprint(key)
        if key is None:
            return None
    if name == "email":
        key = names.email_problems(key)[0] or key  # as addresses are kept
    row = await info.context.loaders.one(f"users_by_{name}", key)
    rule = info.context.rules["Query", "user"]
    return row if row is not None and await info.context.reaches(rule, row) else None


def _check(value: UserBy | AuditFilter, argument: str) -> None:
    """Refuses an input that breaks its limits; a read has no payload to say so in."""
    try:
        check(value)
    except Refused as refusal:
        raise bad_input(str(refusal), argument=argument) from refusal


@query(Access(any="users.read"))
async def users(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    offset: Annotated[int | None, strawberry.argument(description="Items to skip, for numbered pages")] = None,
    search: Annotated[str | None, strawberry.argument(description="Part of a username, email address or name")] = None,
    filter: Annotated[UserFilter | None, strawberry.argument(description="Which users to list")] = None,
    order_by: Annotated[UserOrder | None, strawberry.argument(description="Order; newest first by default")] = None,
) -> Connection[User] | None:
    """Users by search, filter and order; keyset both ways."""
    order = str((order_by or UserOrder.CREATED_AT_DESC).value)
    window = Window.of(order, first, after, last, before, offset=offset, positions=True)
    given_filter = {name: None if value is UNSET else value for name, value in vars(filter or UserFilter()).items()}
    if isinstance(given_filter["tier"], Tier):
        given_filter["tier"] = given_filter["tier"].value
    parameters = given_filter | {"search": _pattern(search)}
    column, _, direction = order.rpartition("_")
    descending = direction == "desc"
    low, high = (window.before, window.after) if descending else (window.after, window.before)
    scan = "desc" if descending is not window.backward else "asc"
    rows = await info.context.house.database.read(
        f"list_users_by_{column}_{scan}",
        low=low and low.position,
        low_id=low and low.id,
        high=high and high.position,
        high_id=high and high.id,
        offset=window.offset,
        limit=window.size + 1,
        **parameters,
    )
    return Page(window, rows, lambda: info.context.house.database.read("count_users", **parameters))  # type: ignore[return-value]


def _pattern(search: str | None) -> str | None:
    text = (search or "").strip()
    problem = SEARCH.problem(text, ())
    if problem is not None:
        raise bad_input(problem.message, argument="search")
    # The database turns it to lower case, as it does with what it is compared to
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if text else None


@query(SELF)
async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the object")]
) -> Node | None:
    """Any object by its id, if the caller may see it."""
    return await visible_node(info.context, id)  # type: ignore[no-any-return]


@query(SELF)
async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of the objects, at most 100")]
) -> list[Node | None]:
    """Objects by their ids, in the order of the ids; null for what is not there or not visible."""
    if len(ids) > MOST_IDS:
        raise bad_input(f"`ids` takes {MOST_IDS} ids at most", argument="ids")
    return list(await asyncio.gather(*(visible_node(info.context, key) for key in ids)))


@query(Public())
async def plans(info: Info) -> list[Plan]:
    """Every plan, oldest first."""
    return await info.context.house.database.read("list_plans")  # type: ignore[no-any-return]


@query(Access(any="roles.read"))
async def roles(info: Info) -> list[Role]:
    """Every role, built-in ones first."""
    return await info.context.house.database.read("list_roles")  # type: ignore[no-any-return]


@query(Public())
def permission_catalog(
    kind: Annotated[PermissionKind | None, strawberry.argument(description="Only permissions of this kind")] = None,
) -> list[PermissionInfo]:
    """Every permission that there is."""
    return [entry for entry in permissions.CATALOGUE if kind is None or entry.kind is kind]  # type: ignore[misc]


@query(Access(any="servers.read", own="servers.read"))
async def server(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the server")]
) -> Server | None:
    """One server, if the caller owns it, shares it or may read all."""
    row = await info.context.loaders.one("servers_by_id", id)
    rule = info.context.rules["Query", "server"]
    return row if row is not None and await info.context.reaches(rule, row) else None


@query(Access(any="servers.read"))
async def servers(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> Connection[Server] | None:
    """Every server, newest first."""
    window = Window.of("servers", first, after, last, before)
    return cast("Connection[Server]", await _by_id(info, window, "servers", {}))


@query(Access(any="audit.read"))
async def audit_events(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Annotated[AuditFilter | None, strawberry.argument(description="Which events to list")] = None,
) -> Connection[AuditEvent] | None:
    """Every audit event that fits, newest first."""
    given_filter = filter or AuditFilter()
    _check(given_filter, "filter")
    window = Window.of("audit_events", first, after, last, before)
    parameters = {name: None if value is UNSET else value for name, value in vars(given_filter).items()}
    return cast("Connection[AuditEvent]", await _by_id(info, window, "audit_events", parameters))


async def _by_id(info: Info, window: Window, name: str, parameters: dict[str, Any]) -> Any:
    read = info.context.house.database.read
    span = window.ids(descending=True)
    scan = "asc" if span.pop("ascending") else "desc"
    rows = await read(f"list_{name}_{scan}", **parameters, **span)
    return Page(window, rows, lambda: read(f"count_{name}", **parameters))
