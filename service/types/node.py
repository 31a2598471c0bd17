"""The interface of every object with an id."""

from __future__ import annotations

import strawberry

from service.access.rules import Public
from service.fields import column


@strawberry.interface(
    description="Object with an id. An id is a UUID, unique over all types (RFC 9562; UUIDv7 for new objects); 32 hex "
    "digits without dashes are accepted",
    directives=[Public()],
)
class Node:
    """Relay's Node."""

    id: strawberry.ID = column("Id of the object", Public())


# asyncpg creates the rows itself, and accepts no class with an __init__ of its own
del Node.__init__
