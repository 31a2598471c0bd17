"""The catalogue of permissions: complete, described, and used."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from service.access.permissions import (
    ACCOUNT,
    ADMIN,
    ALIASES,
    CATALOGUE,
    NAMES,
    SERVER,
    PermissionInfo,
    PermissionKind,
    canonical,
)
from service.schema import RULES
from tests.conftest import Client, Person


def dotted(table: str) -> set[str]:
    """Return the names of a table with lines `resource: action action`."""
    lines = (line.split(": ") for line in table.strip().splitlines())
    return {f"{resource.strip()}.{action}" for resource, actions in lines for action in actions.split()}


# The names are a part of the API: a role or key that has one must keep its meaning
KNOWN_ADMIN = dotted("""
    audit: read
    ips: assign read
    plans: create delete update
    roles: create delete read update
    servers: create delete read update
    settings: read update
    users: billing create credentials delete impersonate password plan read sessions suspend two-factor update
    wallets: adjust read
""")
KNOWN_ACCOUNT = dotted("""
    account: delete email password read two-factor update
    activity: read
    api-keys: create delete read update
    servers: read
    sessions: delete read
    ssh-keys: create delete read update
    wallets: create read
""")

# The subuser permissions of Pterodactyl, app/Models/Permission.php
PTERODACTYL = dotted("""
    activity: read
    allocation: create delete read update
    backup: create delete download read restore
    control: console restart start stop
    database: create delete read update view_password
    file: archive create delete read read-content sftp update
    schedule: create delete read update
    settings: reinstall rename
    startup: docker-image read update
    user: create delete read update
    websocket: connect
""")


def required() -> set[str]:
    """Return the permissions that fields of the schema require."""
    return {name for rule in RULES.values() for name in (rule.any, rule.own) if name}


def test_every_admin_and_account_permission_is_required_by_a_field() -> None:
    assert (ADMIN | ACCOUNT) - required() == set()


async def test_the_built_in_roles_have_permissions_of_the_catalogue(client: Client, root: Person) -> None:
    roles = (await client.data("{ roles { name builtin permissions } }", by=root))["roles"]
    by_name = {role["name"]: set(role["permissions"]) for role in roles if role["builtin"]}
    assert by_name.keys() == {"USER", "STAFF", "ADMIN", "ROOT"}
    assert (by_name["USER"], by_name["ADMIN"], by_name["ROOT"]) == (set(), set(ADMIN), set(ADMIN))
    assert by_name["STAFF"] < ADMIN


def names_of(kind: PermissionKind) -> list[str]:
    return [info.name for info in CATALOGUE if info.kind is kind]


def test_the_admin_permissions_keep_their_names() -> None:
    assert ADMIN == KNOWN_ADMIN


def test_the_account_permissions_keep_their_names() -> None:
    assert ACCOUNT == KNOWN_ACCOUNT


def test_the_server_permissions_are_those_of_pterodactyl() -> None:
    assert SERVER == PTERODACTYL
    assert len(SERVER) == 40


@pytest.mark.parametrize("kind", PermissionKind)
def test_the_names_of_a_kind_are_unique_and_sorted(kind: PermissionKind) -> None:
    assert names_of(kind) == sorted(set(names_of(kind)))


def test_the_catalogue_has_every_name_of_the_three_sets() -> None:
    assert set(names_of(PermissionKind.ADMIN)) == ADMIN
    assert set(names_of(PermissionKind.ACCOUNT)) == ACCOUNT
    assert set(names_of(PermissionKind.SERVER)) == SERVER
    assert {info.name for info in CATALOGUE} == NAMES


def test_the_catalogue_is_sorted_by_kind() -> None:
    changes = [(a.kind, b.kind) for a, b in pairwise(CATALOGUE) if a.kind is not b.kind]
    assert changes == [
        (PermissionKind.ADMIN, PermissionKind.ACCOUNT),
        (PermissionKind.ACCOUNT, PermissionKind.SERVER),
    ]


def test_a_name_that_two_kinds_share_has_two_descriptions() -> None:
    shared = (ADMIN & ACCOUNT) | (ACCOUNT & SERVER) | (ADMIN & SERVER)
    assert shared == {"activity.read", "servers.read", "wallets.read"}
    for name in shared:
        described = [info.description for info in CATALOGUE if info.name == name]
        assert len(described) == len(set(described)) == 2


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: f"{info.kind.name}-{info.name}")
def test_an_entry_has_a_readable_description_and_group(info: PermissionInfo) -> None:
    assert re.fullmatch(r"[A-Z][^.]{8,}[^. ]", info.description)
    assert re.fullmatch(r"[A-Z]\w+( \w+)?", info.group)


def test_an_alias_is_not_a_name_of_the_catalogue() -> None:
    assert not ALIASES.keys() & NAMES


def test_an_alias_stands_for_a_server_permission() -> None:
    assert set(ALIASES.values()) <= SERVER


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("users.read", "users.read"),
        ("user.read", "user.read"),
        ("subusers.read", "user.read"),
        ("control.read-console", "websocket.connect"),
        ("databases.read-password", "database.view_password"),
        ("settings.install", "settings.reinstall"),
        ("files.read-content", "file.read-content"),
    ],
)
def test_a_known_permission_has_a_canonical_name(given: str, expected: str) -> None:
    assert canonical(given) == expected


@pytest.mark.parametrize(
    "name",
    # Permissions of Calagopus without a counterpart, a name from a manual that does not exist, and similar names
    [
        "backups.update",
        "databases.recreate",
        "files.query-raw",
        "startup.command",
        "activity.read-ip",
        "file.write",
        "Users.Read",
        "users.read ",
        "users.*",
        "*",
        "",
    ],
)
def test_an_unknown_permission_has_no_canonical_name(name: str) -> None:
    assert canonical(name) is None
