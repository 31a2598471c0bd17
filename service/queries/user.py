"""Users: the caller, one user by an exact key, and the list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated

import strawberry

from service import limits
from service.access.rules import Access, Public
from service.context import Info
from service.credentials.ssh_keys import normalized_fingerprint
from service.database.pages import Order
from service.identifiers import email_problems
from service.inputs import ExactText, optional
from service.nodes import wanted
from service.pagination import Connection, Window
from service.payloads import query
from service.queries.arguments import After, Before, First, Last, checked, list_page, search_text
from service.types.user import User
from service.user_filter import BY_CREATED_AT, UserFilter, list_filters
from service.weights import LIST, OFFSET, SEARCH

KEY = ExactText(limits.LOOKUP_KEY)


@strawberry.input(description="One exact key of a user", one_of=True)
class UserBy:
    """Exactly one of its fields is given."""

    id: strawberry.ID | None = optional("Id of the user")
    username: str | None = optional("Complete username, ignoring case", KEY)
    email: str | None = optional("Complete email address, ignoring case", KEY)
    external_id: str | None = optional("Id that another system gave the user. Requires users.read", KEY)
    ssh_fingerprint: str | None = optional(
        'Fingerprint of an SSH key, with or without "SHA256:"; no user if several users have the key. Requires '
        "users.credentials, or ssh-keys.read on your own account",
        KEY,
    )


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a user is found by a key: the statement, and the field whose access the look-up requires.

    SECURITY: a look-up confirms a value, so it requires what reading the value would require.
    """

    statement: str
    field: tuple[str, str]


LOOKUPS = {
    "id": Lookup("users_by_id", ("User", "id")),
    "username": Lookup("users_by_username", ("User", "username")),
    "email": Lookup("users_by_email", ("User", "email")),
    "external_id": Lookup("users_by_external_id", ("User", "externalId")),
    "ssh_fingerprint": Lookup("users_by_ssh_fingerprint", ("User", "sshKeys")),
}


@strawberry.enum(description="Order of the list of users")
class UserOrder(Enum):
    """The value names an order of USER_ORDERS and its direction."""

    CREATED_AT_ASC = strawberry.enum_value("created_at asc", description="Oldest account first")
    CREATED_AT_DESC = strawberry.enum_value("created_at desc", description="Newest account first")
    USERNAME_ASC = strawberry.enum_value("username asc", description="By username, ignoring case")
    USERNAME_DESC = strawberry.enum_value("username desc", description="By username in reverse, ignoring case")
    EMAIL_ASC = strawberry.enum_value("email asc", description="By email address, ignoring case")
    EMAIL_DESC = strawberry.enum_value("email desc", description="By email address in reverse, ignoring case")
    LAST_LOGIN_AT_DESC = strawberry.enum_value(
        "last_login_at desc", description="Latest login first; users who never signed in come last"
    )


USER_ORDERS = {
    "created_at": BY_CREATED_AT,
    "email": Order("by_email"),
    "last_login_at": Order("by_last_login_at", "timestamptz"),
    "username": Order("by_username"),
}


@query(Public())
def me(info: Info) -> User | None:
    """Caller of the request; null without a credential, an error for a credential that is not valid."""
    actor = info.context.actor
    actor.require_valid()
    return None if actor.user_id is None else wanted("users_by_id", actor.user_id)


@query(Access(any="users.read", own="account.read"))
def user(info: Info, by: Annotated[UserBy, strawberry.argument(description="Key of the user")]) -> User | None:
    """User with an exact key; null if there is none, or if the caller may not read the user or the key."""
    [(name, key)] = checked(by, "by").items()
    found = _stored_form(name, key)
    if found is None:
        return None
    lookup, viewer = LOOKUPS[name], info.context.viewer
    rules = viewer.rule("Query", "user"), viewer.rule(*lookup.field)
    return wanted(lookup.statement, found, *rules)  # type: ignore[no-any-return]


def _stored_form(name: str, key: str) -> str | None:
    """Return the key as the database stores it; None if no user can have it."""
    if name == "ssh_fingerprint":
        return normalized_fingerprint(key)
    return email_problems(key)[0] if name == "email" else key


@query(Access(any="users.read"), weight=replace(LIST, arguments={"search": SEARCH, "offset": OFFSET}))
async def users(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    offset: Annotated[
        int | None,
        strawberry.argument(
            description=f"Number of items to skip, for numbered pages; at most {limits.OFFSET:,}. Cursors reach further"
        ),
    ] = None,
    search: Annotated[
        str | None, strawberry.argument(description="Part of a username, email address, or name, ignoring case")
    ] = None,
    filter: Annotated[UserFilter | None, strawberry.argument(description="Which users to list")] = None,
    order_by: Annotated[UserOrder | None, strawberry.argument(description="Order; newest first by default")] = None,
) -> Connection[User] | None:
    """List of users, with search, filter, and order."""
    name = str((order_by or UserOrder.CREATED_AT_DESC).value)
    column, _, direction = name.partition(" ")
    window = Window.of(
        name, first, after, last, before, offset=offset, order=USER_ORDERS[column], descending=direction == "desc"
    )
    given = filter or UserFilter()
    checked(given, "filter")
    return await list_page(info, "list_users", window, list_filters(given, search_text(search)))  # type: ignore[no-any-return]
