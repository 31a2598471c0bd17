"""What is served of a plan, and the limits that plans and users share."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access, Open, Public
from service.fields import column, entity, forward_page
from service.pagination import Connection
from service.rows import Row
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@strawberry.enum(description="Tier of a plan and of the accounts that have it")
class Tier(Enum):
    """Kept as text; a constraint knows the same names."""

    FREE = strawberry.enum_value("FREE", description="Free of charge")
    PAID = strawberry.enum_value("PAID", description="Paid for")
    EDUCATIONAL = strawberry.enum_value("EDUCATIONAL", description="For pupils, students and teachers")
    ENTERPRISE = strawberry.enum_value("ENTERPRISE", description="Under a contract of its own")


@strawberry.type(description="How much a user may use; null means no limit")
class ResourceLimits(Open):
    """Value kept in jsonb columns, by the fields' Python names."""

    memory_mb: int | None = strawberry.field(description="Memory in MiB")
    disk_mb: int | None = strawberry.field(description="Disk in MiB")
    cpu_percent: int | None = strawberry.field(description="Processor time in percent of one core")
    servers: int | None = strawberry.field(description="Number of servers")
    databases: int | None = strawberry.field(description="Number of databases")
    backups: int | None = strawberry.field(description="Number of backups")
    websites: int | None = strawberry.field(description="Number of websites")
    domains: int | None = strawberry.field(description="Number of domains")
    emails: int | None = strawberry.field(description="Number of mailboxes")
    ports: int | None = strawberry.field(description="Number of ports")


LIMITS = tuple(field.python_name for field in ResourceLimits.__strawberry_definition__.fields)  # type: ignore[attr-defined]


@entity("What an account gets", Public())
class Plan(Row, Node):
    """A row of `plans`."""

    id: strawberry.ID = column("Id of the plan")
    name: str = column("Name of the plan, unique ignoring case")
    description: str | None = column("Description of the plan")
    tier: Tier = column("Tier that its users get")
    is_default: bool = column("Indicates whether new users get this plan when they get no other")
    limits: ResourceLimits = column("Limits of its users")
    users: Connection[Annotated[User, strawberry.lazy("service.types.user")]] | None = forward_page(
        "users_by_plan", "Users that have the plan, in the order of their ids", Access(any="users.read")
    )
