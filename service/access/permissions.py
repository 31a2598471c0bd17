"""The catalogue of permissions.

A permission is a dotted name, `resource.action`. It belongs to one kind or to several: `servers.read` opens every
server to an administrator (ADMIN), and the user's own servers to an API key (ACCOUNT). Server permissions have the
names of Pterodactyl; Calagopus's names for the same permissions are accepted as aliases. A permission of the kinds
ADMIN and ACCOUNT is listed when a field requires it; those of the kind SERVER are for the hosting panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

import strawberry

if TYPE_CHECKING:
    from collections.abc import Mapping


@strawberry.enum(description="Kind of a permission")
class PermissionKind(Enum):
    """The objects that a permission applies to: every object, the caller's own account, or one server."""

    ADMIN = strawberry.enum_value("ADMIN", description="Applies to every object; granted by roles")
    ACCOUNT = strawberry.enum_value("ACCOUNT", description="Applies to your own account; every signed-in user holds it")
    SERVER = strawberry.enum_value(
        "SERVER", description="Applies to one server; its owner holds it, subusers if granted"
    )


@dataclass(frozen=True, slots=True)
class PermissionInfo:
    """One entry of the catalogue."""

    name: str
    description: str
    group: str
    kind: PermissionKind


_ADMIN = (
    ("audit.read", "Audit", "Read the audit events of every user"),
    ("ips.assign", "Dedicated IPs", "Assign dedicated IP addresses to users, and release them"),
    ("ips.read", "Dedicated IPs", "List dedicated IP addresses, and read those of any user"),
    ("plans.create", "Plans", "Create plans"),
    ("plans.delete", "Plans", "Delete plans that are not in use"),
    ("plans.update", "Plans", "Change plans and their limits"),
    ("roles.create", "Roles", "Create roles, within the caller's own permissions"),
    ("roles.delete", "Roles", "Delete roles that are not built in"),
    ("roles.read", "Roles", "List roles, their permissions and their users"),
    ("roles.update", "Roles", "Change roles, within the caller's own permissions"),
    ("servers.create", "Servers", "Create servers for any owner"),
    ("servers.delete", "Servers", "Delete any server"),
    ("servers.read", "Servers", "Read any server and its subusers, and list servers"),
    (
        "servers.update",
        "Servers",
        "Change and transfer any server, manage its subusers, and maintain the presets of permissions",
    ),
    ("settings.read", "Settings", "Read the features and the rules for registrations from countries"),
    ("settings.update", "Settings", "Switch features, and change the rules for registrations from countries"),
    ("users.billing", "Users", "Read the billing address of any user"),
    ("users.create", "Users", "Create users"),
    (
        "users.credentials",
        "Users",
        "List the API keys, SSH keys, and passkeys of any user; delete API keys and SSH keys",
    ),
    ("users.delete", "Users", "Delete users"),
    ("users.impersonate", "Users", "Act for an hour as a user who holds no more than you, by an autologin link"),
    ("users.password", "Users", "Set the password of any other user, which ends the user's sessions"),
    ("users.plan", "Users", "Change the plan of any user"),
    ("users.read", "Users", "Read any user, and list and search users"),
    ("users.sessions", "Users", "List and revoke the sessions of any user"),
    ("users.suspend", "Users", "Suspend and unsuspend users"),
    ("users.two-factor", "Users", "Reset the second factors of any other user, and delete single passkeys"),
    ("users.update", "Users", "Change the profile, role, and limits of any user"),
    ("wallets.adjust", "Wallets", "Change the balance of any user who holds no more"),
    ("wallets.read", "Wallets", "Read the wallets of any user, with their balances and entries"),
)

_ACCOUNT = (
    ("account.delete", "Account", "Delete your own account, and undo that"),
    ("account.email", "Account", "Change your own email address"),
    ("account.password", "Account", "Change your own password"),
    ("account.read", "Account", "Read your own profile, plan, and limits"),
    ("account.two-factor", "Account", "Read and change your own second factors and passkeys"),
    ("account.update", "Account", "Change your own profile and settings"),
    ("activity.read", "Account", "Read the audit events of your own account"),
    ("api-keys.create", "API keys", "Create API keys, within your own permissions"),
    ("api-keys.delete", "API keys", "Delete your own API keys"),
    ("api-keys.read", "API keys", "List your own API keys, without their secrets"),
    ("api-keys.update", "API keys", "Change and rotate your own API keys"),
    ("servers.read", "Servers", "Read the servers that one owns or is a subuser of"),
    ("sessions.delete", "Sessions", "End your own sessions"),
    ("sessions.read", "Sessions", "List your own sessions"),
    ("ssh-keys.create", "SSH keys", "Add SSH keys"),
    ("ssh-keys.delete", "SSH keys", "Delete your own SSH keys"),
    ("ssh-keys.read", "SSH keys", "List your own SSH keys"),
    ("ssh-keys.update", "SSH keys", "Rename your own SSH keys"),
    ("wallets.create", "Wallets", "Create wallets of your own"),
    ("wallets.read", "Wallets", "Read your own wallets, with their balances and entries"),
)

_SERVER = (
    ("activity.read", "Activity", "Read the activity log of the server"),
    ("allocation.create", "Allocations", "Add ports to the server"),
    ("allocation.delete", "Allocations", "Remove ports from the server"),
    ("allocation.read", "Allocations", "List all ports of the server, not only the primary one"),
    ("allocation.update", "Allocations", "Choose the primary port, and edit the notes of ports"),
    ("backup.create", "Backups", "Make backups"),
    ("backup.delete", "Backups", "Delete backups"),
    ("backup.download", "Backups", "Download backups, which hold every file of the server"),
    ("backup.read", "Backups", "List backups"),
    ("backup.restore", "Backups", "Restore a backup, which may replace every file of the server"),
    ("control.console", "Console", "Send commands to the console"),
    ("control.restart", "Console", "Restart the server, without leaving it stopped"),
    ("control.start", "Console", "Start the server"),
    ("control.stop", "Console", "Stop the server"),
    ("database.create", "Databases", "Create databases"),
    ("database.delete", "Databases", "Delete databases with their data"),
    ("database.read", "Databases", "List databases"),
    ("database.update", "Databases", "Rotate the password of a database"),
    ("database.view_password", "Databases", "Read the passwords of databases"),
    ("file.archive", "Files", "Create and extract archives"),
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
    ("startup.read", "Startup", "Read the start-up variables"),
    ("startup.update", "Startup", "Change the start-up variables"),
    ("user.create", "Subusers", "Add subusers, within your own permissions on the server"),
    ("user.delete", "Subusers", "Remove other subusers from the server"),
    ("user.read", "Subusers", "List subusers and their permissions"),
    ("user.update", "Subusers", "Change other subusers, within your own permissions on the server"),
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

# SECURITY: what a person who acts as another user never holds, because it would give lasting access to the account, or
# to a third one. The rest of the user's permissions is limited to what this person holds.
IMPERSONATE = "users.impersonate"
OWNER_ONLY: frozenset[str] = frozenset(
    {
        "account.delete",
        "account.email",
        "account.password",
        "account.two-factor",
        "api-keys.create",
        "api-keys.delete",
        "api-keys.update",
        "ssh-keys.create",
        "ssh-keys.delete",
        "ssh-keys.update",
        "users.credentials",
        "users.password",
        "users.two-factor",
        IMPERSONATE,
    }
)

# SECURITY: a permission of Calagopus without an exact counterpart (`backups.update`, `databases.recreate`,
# `startup.command`) has no alias, because an alias that grants more than its name says would be an escalation.
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
    """Return the catalogue's name of a permission or of its alias, or None for an unknown permission."""
    name = ALIASES.get(name, name)
    return name if name in NAMES else None
