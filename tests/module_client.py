"""A client for a whole module, for tests that change nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.settings import Settings
from tests.conftest import PROCESS, TEMPLATE, Client, dropped, in_maintenance, named, opened_client

_numbers = itertools.count(1)


@asynccontextmanager
async def module_client(server_url: str, settings: Settings | None = None) -> AsyncIterator[Client]:
    """Return a client on a database of its own; the fixture `people` must have created the template."""
    name = f"roster_module_{PROCESS}_{os.getpid()}_{next(_numbers)}"
    await in_maintenance(server_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        async with opened_client(settings or Settings(), named(server_url, name)) as opened:
            yield opened
    finally:
        await dropped(server_url, name)
