"""Names of permissions in other systems, and the catalogue's names for the same.

SECURITY: a permission without an exact counterpart is not imported, because one that grants more than its name says
would be an escalation. Each is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from service.access.permissions import ADMIN, SERVER, canonical
from service.moving.sources.rows import Row

_SHOWN: Final = re.compile(r"[A-Za-z0-9._:*/-]{1,64}")
_MOST_SHOWN: Final = 20

_FILES: Final = tuple(sorted(name for name in SERVER if name.startswith("file.")))

# The groups of EcliPanel, one word each. What follows `stats` is the console, too, and so it has no counterpart.
ECLIPANEL_SERVER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "activity": ("activity.read",),
        "backups": tuple(sorted(name for name in SERVER if name.startswith("backup."))),
        "console": ("control.console", "websocket.connect"),
        "databases": ("database.create", "database.delete", "database.read", "database.update"),
        "files": _FILES,
        "network": tuple(sorted(name for name in SERVER if name.startswith("allocation."))),
        "power": ("control.restart", "control.start", "control.stop"),
        "schedules": tuple(sorted(name for name in SERVER if name.startswith("schedule."))),
        "settings": ("settings.reinstall", "settings.rename"),
        "startup": ("startup.read", "startup.update"),
        "subusers": ("user.create", "user.delete", "user.read", "user.update"),
        "subusersd": ("user.create", "user.delete", "user.read", "user.update"),
    }
)
ECLIPANEL_SERVER_ALL: Final = tuple(sorted({name for found in ECLIPANEL_SERVER.values() for name in found}))

ECLIPANEL_ADMIN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "admin:plans:delete": ("plans.delete",),
        "admin:plans:manage": ("plans.create", "plans.update"),
        "admin:servers:delete": ("servers.delete",),
        "admin:servers:read": ("servers.read",),
        "admin:user:edit": ("users.update",),
        "roles:*": ("roles.create", "roles.delete", "roles.read", "roles.update"),
        "roles:create": ("roles.create",),
        "roles:delete": ("roles.delete",),
        "roles:read": ("roles.read",),
        "servers:list": ("servers.read",),
        "users:delete": ("users.delete",),
        "users:read": ("users.read",),
        "users:suspend": ("users.suspend",),
        "users:write": ("users.update",),
    }
)

CALAGOPUS_ADMIN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "users.disable-two-factor": ("users.two-factor",),
        **{
            name: (name,)
            for name in ADMIN
            if name.startswith(("roles.", "servers.", "settings."))
            or name in {"users.create", "users.delete", "users.impersonate", "users.read", "users.update"}
        },
    }
)


def server_permission(name: str) -> tuple[str, ...]:
    """Return the server permission of Pterodactyl's or Calagopus's name, or nothing."""
    found = canonical(name)
    return (found,) if found in SERVER else ()


def translated(row: Row, column: str, given: Iterable[str], find: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """Return the catalogue's names of permissions, sorted, and report those without a counterpart."""
    found: set[str] = set()
    unknown: set[str] = set()
    for name in given:
        known = find(name)
        found.update(known)
        if not known:
            unknown.add(name if _SHOWN.fullmatch(name) else "(not a name)")
    if unknown:
        listed = ", ".join(sorted(unknown)[:_MOST_SHOWN]) + (", ..." if len(unknown) > _MOST_SHOWN else "")
        row.report(column, f"These permissions have no counterpart: {listed}.")
    return tuple(sorted(found))
