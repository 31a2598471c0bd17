"""Roles: named sets of admin permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import permissions
from service.access.actor import expand
from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, computed, entity, page_of
from service.pagination import Connection
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User

# Built-in roles have the same ids in every database (sql/migrations/0002_roles_and_plans.sql)
USER_ROLE = "00000000-0000-7000-8000-000000000001"
STAFF_ROLE = "00000000-0000-7000-8000-000000000002"
ADMIN_ROLE = "00000000-0000-7000-8000-000000000003"
ROOT_ROLE = "00000000-0000-7000-8000-000000000004"


def role_permissions(held: list[str]) -> list[Permission]:
    """Return the admin permissions of a role, those of ROOT in full."""
    return [Permission(name) for name in sorted(expand(held) & permissions.ADMIN)]


@entity(
    "A named set of admin permissions",
    Access(any="roles.read", own="account.read"),
    by_id="roles_by_id",
    role="id",
)
class Role(Row, Node):
    """A row of `roles`."""

    id: strawberry.ID = column("Id of the role")
    name: str = column("Name of the role, unique ignoring case")
    description: str | None = column("Description of the role")
    builtin: bool = column("Indicates whether the role is built in and cannot be changed")
    permissions: list[Permission] = computed(
        role_permissions, "Admin permissions of users with the role", needs=("permissions",)
    )
    require_two_factor: bool = column("Indicates whether users with the role must have a second factor")
    users: Connection[Annotated[User, strawberry.lazy("service.types.user")]] | None = page_of(
        "users_by_role",
        "Users that have the role, in the order of their ids",
        Access(any="users.read"),
        forward_only=True,
    )
