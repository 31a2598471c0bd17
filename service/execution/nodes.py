"""Look-up of objects by id, whatever their type. An id without an object and one of a hidden object are both null."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from service.database.loaders import Loaders
from service.execution.kinds import ENTITIES
from service.execution.viewer import Viewer


class NodeContext(Protocol):
    """What a look-up needs of an operation's context."""

    @property
    def viewer(self) -> Viewer:
        """The caller."""

    @property
    def loaders(self) -> Loaders:
        """The loaders of the request."""


async def find_node(context: NodeContext, node_id: str, type_name: str | None = None) -> Any:
    """Return the object with the id, of the given type or of any, or None.

    SECURITY: each type has its own statement and its own rule, so that an id never opens an object of another type
    (CVE-2025-22151).
    """
    names: Sequence[str] = list(ENTITIES) if type_name is None else [type_name]
    known = [name for name in names if name in ENTITIES]
    rows = await asyncio.gather(*(context.loaders.one(ENTITIES[name].by_id, node_id) for name in known))
    for name, row in zip(known, rows, strict=True):
        if row is not None:
            return row if await context.viewer.can_see(name, row) else None
    return None
