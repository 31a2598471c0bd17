"""Presets: named lists of server permissions."""

from __future__ import annotations

import datetime as dt

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity
from service.scalars import Permission
from service.types.node import Node


@entity(
    "A named list of server permissions, which memberships are created from. A membership gets a copy: a later change "
    "of the preset does not change it, because it could give a subuser more than the user who chose the preset holds",
    Access(any="servers.read", own="servers.read"),
    by_id="permission_presets_by_id",
    common=True,
)
class PermissionPreset(Row, Node):
    """A row of `permission_presets`."""

    id: strawberry.ID = column("Id of the preset")
    name: str = column("Name of the preset, unique ignoring case")
    description: str | None = column("Description of the preset")
    permissions: list[Permission] = column("Server permissions that a membership gets")
    created_at: dt.datetime = column("Time when the preset was created")
