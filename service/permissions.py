"""Which permissions exist, and what does each of them open?

A permission is a dotted name, `resource.action`. It belongs to one kind or to several: `servers.read` opens every
server to an administrator (ADMIN), and the owner's servers to an API key (ACCOUNT). Server permissions carry the names
of Pterodactyl; the names that Calagopus gives to the same rights are accepted as aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

import strawberry

if TYPE_CHECKING:
    from collections.abc import Mapping


@strawberry.enum(description="What a permission is about")
class PermissionKind(Enum):
    """What a permission is about: every object, one's own account, or one server."""

    ADMIN = strawberry.enum_value("ADMIN", description="Everybody's objects; roles grant it")
    ACCOUNT = strawberry.enum_value("ACCOUNT", description="One's own account; every signed-in person holds it")
    SERVER = strawberry.enum_value("SERVER", description="One server; its owner holds it, subusers as granted")


@dataclass(frozen=True, slots=True)
class PermissionInfo:
    """One entry of the catalogue."""

    name: str
    description: str
    group: str
    kind: PermissionKind


_ADMIN = (
    ("audit.read", "Audit", "Read the audit events of everybody"),
    ("ips.assign", "Dedicated IPs", "Assign dedicated IP addresses to users and release them"),
    ("ips.read", "Dedicated IPs", "List dedicated IP addresses and the users who hold them"),
    ("plans.create", "Plans", "Create plans"),
    ("plans.delete", "Plans", "Delete plans that nobody uses"),
    ("plans.update", "Plans", "Change plans and their limits"),
    ("roles.create", "Roles", "Create roles from permissions that one holds"),
    ("roles.delete", "Roles", "Delete roles that are not built in"),
    ("roles.read", "Roles", "List roles, their permissions and their users"),
    ("roles.update", "Roles", "Change roles within the permissions that one holds"),
    ("servers.create", "Servers", "Create servers for any owner"),
    ("servers.delete", "Servers", "Delete any server"),
    ("servers.read", "Servers", "Open any server and the list of its subusers"),
    ("servers.update", "Servers", "Change the subusers of any server"),
    ("settings.read", "Settings", "Read feature switches and country rules"),
    ("settings.update", "Settings", "Change feature switches and country rules"),
    ("users.billing", "Users", "Read the billing address of any user"),
    ("users.create", "Users", "Create users"),
    ("users.credentials", "Users", "List and delete the API keys and SSH keys of any user"),
    ("users.delete", "Users", "Delete users"),
    ("users.impersonate", "Users", "Make a link that signs in as another user"),
    ("users.password", "Users", "Set the password of any user and end that user's sessions"),
    ("users.plan", "Users", "Move users to another plan"),
    ("users.read", "Users", "Open any user and search the list of users"),
    ("users.sessions", "Users", "List and end the sessions of any user"),
    ("users.suspend", "Users", "Suspend users and lift suspensions"),
    ("users.two-factor", "Users", "Remove the two-factor authentication of any user"),
    ("users.update", "Users", "Change the profile, role and limits of any user"),
    ("wallets.adjust", "Wallets", "Credit and debit the default wallet of any user"),
    ("wallets.read", "Wallets", "Read the wallets and balances of any user"),
)

_ACCOUNT = (
    ("account.email", "Account", "Change the own email address"),
    ("account.password", "Account", "Change the own password"),
    ("account.read", "Account", "Read the own profile, plan and limits"),
    ("account.two-factor", "Account", "Set up and remove the own two-factor authentication"),
    ("account.update", "Account", "Change the own profile and settings"),
    ("activity.read", "Account", "Read the audit events of the own account"),
    ("api-keys.create", "API keys", "Create API keys within the permissions that one holds"),
    ("api-keys.delete", "API keys", "Delete own API keys"),
    ("api-keys.read", "API keys", "List own API keys, without their secrets"),
    ("api-keys.update", "API keys", "Change and rotate own API keys"),
    ("servers.read", "Servers", "Open the servers that one owns or is a subuser of"),
    ("sessions.delete", "Sessions", "End own sessions"),
    ("sessions.read", "Sessions", "List own sessions and issue access tokens for the current one"),
    ("ssh-keys.create", "SSH keys", "Add SSH keys"),
    ("ssh-keys.delete", "SSH keys", "Delete own SSH keys"),
    ("ssh-keys.read", "SSH keys", "List own SSH keys"),
    ("ssh-keys.update", "SSH keys", "Rename own SSH keys"),
    ("wallets.create", "Wallets", "Create wallets"),
    ("wallets.read", "Wallets", "Read own wallets, balances and ledger entries"),
)

_SERVER = (
    ("activity.read", "Activity", "Read the activity log of the server"),
    ("allocation.create", "Allocations", "Add ports to the server"),
    ("allocation.delete", "Allocations", "Remove ports from the server"),
    ("allocation.read", "Allocations", "See all ports of the server, not only the primary one"),
    ("allocation.update", "Allocations", "Choose the primary port and edit the notes of ports"),
    ("backup.create", "Backups", "Make backups"),
    ("backup.delete", "Backups", "Delete backups"),
    ("backup.download", "Backups", "Download backups, which hold every file of the server"),
    ("backup.read", "Backups", "List backups"),
    ("backup.restore", "Backups", "Restore a backup, which may replace every file of the server"),
    ("control.console", "Console", "Send commands to the console"),
    ("control.restart", "Console", "Restart the server, without a way to leave it stopped"),
    ("control.start", "Console", "Start the server"),
    ("control.stop", "Console", "Stop the server"),
    ("database.create", "Databases", "Create databases"),
    ("database.delete", "Databases", "Delete databases with their data"),
    ("database.read", "Databases", "List databases"),
    ("database.update", "Databases", "Rotate the password of a database"),
    ("database.view_password", "Databases", "See the passwords of databases"),
    ("file.archive", "Files", "Pack files into archives and unpack archives"),
    ("file.create", "Files", "Create and upload files and folders"),
    ("file.delete", "Files", "Delete files and folders"),
    ("file.read", "Files", "List folders, without opening the files in them"),
    ("file.read-content", "Files", "Open and download files"),
    ("file.sftp", "Files", "Connect by SFTP, within the other file permissions"),
    ("file.update", "Files", "Edit files and folders"),
    ("schedule.create", "Schedules", "Create schedules"),
    ("schedule.delete", "Schedules", "Delete schedules"),
    ("schedule.read", "Schedules", "List schedules and their tasks"),
    ("schedule.update", "Schedules", "Change schedules and their tasks"),
    ("settings.reinstall", "Settings", "Reinstall the server"),
    ("settings.rename", "Settings", "Rename the server and edit its description"),
    ("startup.docker-image", "Startup", "Choose the container image that the server runs"),
    ("startup.read", "Startup", "See the start-up variables"),
    ("startup.update", "Startup", "Change the start-up variables"),
    ("user.create", "Subusers", "Invite subusers, with permissions that one holds on the server"),
    ("user.delete", "Subusers", "Remove other subusers from the server"),
    ("user.read", "Subusers", "List subusers and their permissions"),
    ("user.update", "Subusers", "Change other subusers, within the permissions that one holds on the server"),
    ("websocket.connect", "Console", "Watch the console output and the live statistics"),
)

CATALOGUE: tuple[PermissionInfo, ...] = tuple(
    PermissionInfo(name=name, description=description, group=group, kind=kind)
    for kind, entries in (
        (PermissionKind.ADMIN, _ADMIN),
        (PermissionKind.ACCOUNT, _ACCOUNT),
        (PermissionKind.SERVER, _SERVER),
    )
    for name, group, description in entries
)

ADMIN: frozenset[str] = frozenset(name for name, _, _ in _ADMIN)
ACCOUNT: frozenset[str] = frozenset(name for name, _, _ in _ACCOUNT)
SERVER: frozenset[str] = frozenset(name for name, _, _ in _SERVER)
NAMES: frozenset[str] = ADMIN | ACCOUNT | SERVER

# A right of Calagopus that is wider or narrower than every right here (`backups.update`, `databases.recreate`,
# `startup.command`) has no entry: an alias that grants more than its name says would be an escalation.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "allocations.create": "allocation.create",
        "allocations.delete": "allocation.delete",
        "allocations.read": "allocation.read",
        "allocations.update": "allocation.update",
        "backups.create": "backup.create",
        "backups.delete": "backup.delete",
        "backups.download": "backup.download",
        "backups.read": "backup.read",
        "backups.restore": "backup.restore",
        "control.read-console": "websocket.connect",
        "databases.create": "database.create",
        "databases.delete": "database.delete",
        "databases.read": "database.read",
        "databases.read-password": "database.view_password",
        "databases.update": "database.update",
        "files.archive": "file.archive",
        "files.create": "file.create",
        "files.delete": "file.delete",
        "files.read": "file.read",
        "files.read-content": "file.read-content",
        "files.sftp": "file.sftp",
        "files.update": "file.update",
        "schedules.create": "schedule.create",
        "schedules.delete": "schedule.delete",
        "schedules.read": "schedule.read",
        "schedules.update": "schedule.update",
        "settings.install": "settings.reinstall",
        "subusers.create": "user.create",
        "subusers.delete": "user.delete",
        "subusers.read": "user.read",
        "subusers.update": "user.update",
    }
)


def canonical(name: str) -> str | None:
    """The catalogue's name for `name`: itself, what it is an alias of, or None for an unknown permission."""
    name = ALIASES.get(name, name)
    return name if name in NAMES else None
