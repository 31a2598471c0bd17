"""A door that stays open for a whole module, whose tests change nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.settings import Settings
from tests.conftest import TEMPLATE, Door, dropped, in_maintenance, named, opened_door

_numbers = itertools.count(1)


@asynccontextmanager
async def lasting_door(server_url: str, settings: Settings | None = None) -> AsyncIterator[Door]:
    """The service on a database of its own; the fixture `people` must have made the template."""
    name = f"roster_lasting_{os.getpid()}_{next(_numbers)}"
    await in_maintenance(server_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        async with opened_door(settings or Settings(), named(server_url, name)) as opened:
            yield opened
    finally:
        await dropped(server_url, name)
