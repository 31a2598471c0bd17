"""The permission catalogue."""

from __future__ import annotations

import strawberry

from service.access.permissions import PermissionKind
from service.access.rules import Public
from service.fields import column
from service.scalars import Permission


@strawberry.type(description="Entry of the permission catalogue", directives=[Public()])
class PermissionInfo:
    """An entry of service.access.permissions.CATALOGUE."""

    name: Permission = column("Name of the permission")
    description: str = column("What the permission allows")
    group: str = column("Group under which interfaces show the permission")
    kind: PermissionKind = column("Kind of the permission")
