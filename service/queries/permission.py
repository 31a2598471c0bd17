"""The permission catalogue."""

from __future__ import annotations

from typing import Annotated

import strawberry

from service.access import permissions
from service.access.permissions import PermissionKind
from service.access.rules import Public
from service.context import Info
from service.payloads import query
from service.types.permission_info import PermissionInfo
from service.weights import Weight


@query(Public(), weight=Weight(items=len(permissions.CATALOGUE)))
def permission_catalog(
    info: Info,
    kind: Annotated[PermissionKind | None, strawberry.argument(description="Only permissions of this kind")] = None,
) -> list[PermissionInfo]:
    """All permissions."""
    return [entry for entry in permissions.CATALOGUE if kind is None or entry.kind is kind]  # type: ignore[misc]
