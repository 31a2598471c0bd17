"""What is served of the permission catalogue."""

from __future__ import annotations

import strawberry

from service.access import Public
from service.permissions import PermissionKind
from service.scalars import Permission


@strawberry.type(description="One entry of the permission catalogue", directives=[Public()])
class PermissionInfo:
    """Served from service.permissions.CATALOGUE."""

    name: Permission = strawberry.field(description="Name of the permission")
    description: str = strawberry.field(description="What the permission opens")
    group: str = strawberry.field(description="Heading to show the permission under")
    kind: PermissionKind = strawberry.field(description="What the permission is about")
