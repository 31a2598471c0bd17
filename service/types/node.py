"""What every object with an identity has in common."""

from __future__ import annotations

import strawberry

from service.access import Public
from service.fields import column


@strawberry.interface(
    description="Object with an identity. An id is a UUID, unique over all types (RFC 9562; UUIDv7 for new "
    "objects); 32 hex digits without dashes are accepted",
    directives=[Public()],
)
class Node:
    """Relay's Node."""

    id: strawberry.ID = column("Id of the object", Public())


# asyncpg makes rows itself and takes no class with an __init__ of its own
del Node.__init__
