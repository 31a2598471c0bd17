"""What is served of a role: a name for a set of admin permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access, expand
from service.fields import column, computed, entity, forward_page
from service.pagination import Connection
from service.permissions import ADMIN
from service.rows import Row
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User

# Built-in roles have the same ids everywhere (sql/migrations/0002_roles_and_plans.sql)
USER_ROLE = "00000000-0000-7000-8000-000000000001"
ADMIN_ROLE = "00000000-0000-7000-8000-000000000003"
ROOT_ROLE = "00000000-0000-7000-8000-000000000004"


def granted(root: Role) -> list[Permission]:
    """The admin permissions of the role, those of ROOT written out."""
    return [Permission(name) for name in sorted(expand(root.permissions) & ADMIN)]


@entity("A set of admin permissions under a name", Access(any="roles.read", own="account.read"), role="id")
class Role(Row, Node):
    """A row of `roles`."""

    id: strawberry.ID = column("Id of the role")
    name: str = column("Name of the role, unique ignoring case")
    description: str | None = column("Description of the role")
    builtin: bool = column("Indicates whether the role belongs to the service and cannot be changed")
    permissions: list[Permission] = computed(granted, "Admin permissions of those who have the role")
    require_two_factor: bool = column("Indicates whether those who have the role must have a second factor")
    users: Connection[Annotated[User, strawberry.lazy("service.types.user")]] | None = forward_page(
        "users_by_role", "Users that have the role, in the order of their ids", Access(any="users.read")
    )
