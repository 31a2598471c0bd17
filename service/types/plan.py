"""Plans, and the resource limits that plans and users have."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access, Open, Public
from service.database.rows import Row
from service.fields import column, entity, page_of
from service.pagination import Connection
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@strawberry.enum(description="Tier of a plan, and of the accounts that have the plan")
class Tier(Enum):
    """Stored as text; a constraint has the same names."""

    FREE = strawberry.enum_value("FREE", description="Free of charge")
    PAID = strawberry.enum_value("PAID", description="Paid")
    EDUCATIONAL = strawberry.enum_value("EDUCATIONAL", description="For pupils, students, and teachers")
    ENTERPRISE = strawberry.enum_value("ENTERPRISE", description="With an individual contract")


@strawberry.type(description="Resources that a user may use; null means no limit")
class ResourceLimits(Open):
    """The value of a jsonb column, by the Python names of the fields."""

    memory_mb: int | None = column("Memory in MiB")
    disk_mb: int | None = column("Disk space in MiB")
    cpu_percent: int | None = column("CPU time in percent of one core")
    servers: int | None = column("Number of servers")
    databases: int | None = column("Number of databases")
    backups: int | None = column("Number of backups")
    websites: int | None = column("Number of websites")
    domains: int | None = column("Number of domains")
    emails: int | None = column("Number of mailboxes")
    ports: int | None = column("Number of ports")


def effective_limits(overrides: dict[str, int], plan_limits: dict[str, int] | None) -> dict[str, int]:
    """Return the limits of a user: those of the plan, if there is one, with the user's own in their place."""
    return (plan_limits or {}) | overrides


@entity("What an account includes", Public(), by_id="plans_by_id", audit_names={"default_plan": "is_default"})
class Plan(Row, Node):
    """A row of `plans`."""

    id: strawberry.ID = column("Id of the plan")
    name: str = column("Name of the plan, unique ignoring case")
    description: str | None = column("Description of the plan")
    tier: Tier = column("Tier of its users")
    is_default: bool = column("Indicates whether new users get this plan unless they are given another")
    limits: ResourceLimits = column("Resource limits of its users")
    users: Connection[Annotated[User, strawberry.lazy("service.types.user")]] | None = page_of(
        "users_by_plan",
        "Users that have the plan, in the order of their ids",
        Access(any="users.read"),
        forward_only=True,
    )
