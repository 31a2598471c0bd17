"""The data that generated documents are run on: objects of every type, callers of every kind, and damaged rows."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.clean_up import clean_up
from service.settings import Settings
from tests.conftest import (
    PASSWORD,
    PROCESS,
    TEMPLATE,
    Client,
    Person,
    dropped,
    in_maintenance,
    named,
    opened_client,
)
from tests.document_mutations import PROFILE, SETTINGS
from tests.document_values import Known
from tests.documents import Document
from tests.objects import create_objects
from tests.sameness import Answer, differences

_numbers = itertools.count(1)
TABLES = {
    "ApiKey": "api_keys",
    "AuditEvent": "audit_events",
    "DedicatedIp": "dedicated_ips",
    "PermissionPreset": "permission_presets",
    "Plan": "plans",
    "PlanPeriod": "plan_periods",
    "Role": "roles",
    "Server": "servers",
    "Session": "sessions",
    "SshKey": "ssh_keys",
    "Subuser": "subusers",
    "User": "users",
    "Wallet": "wallets",
    "WalletEntry": "wallet_entries",
}
MORE = """
WITH people AS (
  INSERT INTO users (username, email, first_name, external_id, tier, plan_id, date_of_birth, billing_address,
    limit_overrides, suspended_at, suspended_reason, suspended_until, suspended_by, last_login_at, created_at)
  SELECT 'more' || n, CASE WHEN n % 3 > 0 THEN 'more' || n || '@roster.test' END, CASE WHEN n % 2 = 0 THEN 'Ünal' END,
    CASE WHEN n % 4 = 0 THEN 'ext-' || n END, (ARRAY['FREE', 'PAID', 'EDUCATIONAL', 'ENTERPRISE'])[n % 4 + 1],
    CASE WHEN n % 2 = 1 THEN plans.id END, CASE WHEN n % 3 = 1 THEN CAST('2012-05-01' AS date) END,
    CASE WHEN n % 2 = 1 THEN CAST('{"country": "AT", "city": "Graz"}' AS jsonb) ELSE '{}' END,
    CASE WHEN n = 3 THEN CAST('{"servers": 9}' AS jsonb) ELSE '{}' END,
    CASE WHEN n IN (2, 5, 6) THEN CAST('2026-01-01' AS timestamptz) END, CASE WHEN n = 2 THEN 'unpaid' END,
    CASE n WHEN 5 THEN CAST('2099-01-01' AS timestamptz) WHEN 6 THEN '2026-02-01' END,
    CASE WHEN n = 2 THEN roots.id END,
    CASE WHEN n % 2 = 0 THEN CAST('2026-03-01' AS timestamptz) + n * interval '1 h' END,
    CAST('2025-06-01' AS timestamptz) + n / 2 * interval '1 day'
  FROM generate_series(1, 8) AS n
  CROSS JOIN (SELECT id FROM plans ORDER BY id LIMIT 1) AS plans
  CROSS JOIN (SELECT id FROM users WHERE username = 'root') AS roots
  RETURNING id, username
),
machines AS (
  INSERT INTO servers (name, owner_id, external_id) SELECT 'server' || n, people.id, people.username || '/' || n
  FROM people, generate_series(1, 2) AS n WHERE people.username < 'more5' RETURNING id, owner_id, name
),
members AS (
  INSERT INTO subusers (server_id, user_id, permissions, until)
  SELECT machines.id, users.id, '{control.start,user.read}', CAST('2099-01-01' AS timestamptz)
  FROM machines, users WHERE users.username IN ('bob', 'sue', 'dora') AND machines.name = 'server1' RETURNING id
),
signed AS (
  INSERT INTO sessions (user_id, expires_at, idle_expires_at, ip, device)
  SELECT people.id, CAST('2099-01-01' AS timestamptz), CAST('2099-01-01' AS timestamptz), '192.0.2.7', 'Phone'
  FROM people, generate_series(1, 2) AS n RETURNING id
),
addresses AS (
  INSERT INTO dedicated_ips (address, user_id, assigned_at)
  SELECT CAST('10.0.0.' || n AS inet), users.id, CASE WHEN users.id IS NOT NULL THEN now() END
  FROM generate_series(1, 9) AS n
  LEFT JOIN users ON users.username = (ARRAY['bob', 'sue', 'root'])[n % 4 + 1] RETURNING id
),
keys AS (
  INSERT INTO api_keys (user_id, name, prefix, allowed_ips) SELECT people.id, 'key' || n, 'rstk_', '{10.0.0.0/8}'
  FROM people, generate_series(1, 3) AS n WHERE people.username > 'more4' RETURNING id
)
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
SELECT people.id, 'key' || n, 'ssh-ed25519', 'SHA256:' || people.id || n, 'ssh-ed25519 AAAA'
FROM people, generate_series(1, 3) AS n WHERE people.username < 'more4'
"""
# Some users have several wallets, of which some have entries; two users were deleted
WALLETS = (
    """INSERT INTO wallets (user_id, owner_id, name) SELECT users.id, users.id, 'wallet' || n
    FROM users, generate_series(1, 2) AS n WHERE users.username IN ('more1', 'more2', 'more3', 'bob')""",
    """INSERT INTO wallet_entries (wallet_id, amount_msat, reason, actor_id)
    SELECT wallets.id, 1000 * n, 'Entry ' || n, CASE WHEN n % 2 = 0 THEN wallets.user_id ELSE users.id END
    FROM wallets, users, generate_series(1, 4) AS n WHERE wallets.name <> 'wallet2' AND users.username = 'more8'""",
    "DELETE FROM users WHERE username IN ('more7', 'more8')",
)
# Authentication records the use of credentials that were not used for a minute: these are used in the future
FREEZE = (
    "UPDATE sessions SET last_seen_at = '2090-01-01', idle_expires_at = '2099-01-01', expires_at = '2099-01-01'",
    "UPDATE api_keys SET last_used_at = '2090-01-01'",
)
# Values that no request can store: a computation of each kind fails, and fields that are not nullable are null
# No caller has a damaged profile, which an update with the values of before would repair
DAMAGE = (
    "UPDATE users SET billing_address = '{\"country\": [1], \"city\": {}}' WHERE username IN ('more1', 'more3')",
    "UPDATE users SET limit_overrides = '{\"servers\": \"many\"}' WHERE username IN ('more2', 'bob')",
    "UPDATE plans SET limits = '{\"servers\": 1.5}'",
    "UPDATE api_keys SET permissions = '{users.read,NULL}' WHERE name IN ('key1', 'golden')",
    "UPDATE subusers SET permissions = '{NULL}' WHERE id = (SELECT id FROM subusers ORDER BY id LIMIT 1)",
    "ALTER TABLE servers ALTER COLUMN name DROP NOT NULL",
    "UPDATE servers SET name = NULL WHERE name IN ('server1', 'web')",
    "ALTER TABLE roles ALTER COLUMN require_two_factor DROP NOT NULL",
    "UPDATE roles SET require_two_factor = NULL WHERE builtin",
    "ALTER TABLE sessions ALTER COLUMN created_at DROP NOT NULL",
    "UPDATE sessions SET created_at = NULL WHERE device = 'Phone'",
    "ALTER TABLE users ALTER COLUMN two_factor_enabled DROP NOT NULL",
    "UPDATE users SET two_factor_enabled = NULL WHERE username IN ('more3', 'stella')",
    "ALTER TABLE wallets DISABLE TRIGGER USER",
    "ALTER TABLE wallets ALTER COLUMN name DROP NOT NULL",
    "UPDATE wallets SET name = NULL WHERE name = 'wallet1'",
    "ALTER TABLE servers DROP CONSTRAINT servers_owner_id_fkey",
    "UPDATE servers SET owner_id = gen_random_uuid() WHERE name = 'server2'",
)
# Documents must not change these
STATE = """SELECT (SELECT count(*) FROM audit_events) AS events, (SELECT count(*) FROM users) AS users,
  (SELECT sum(version) FROM users) AS versions, (SELECT count(*) FROM sessions WHERE ended_at IS NULL) AS sessions,
  (SELECT count(*) FROM api_keys) AS api_keys, (SELECT count(*) FROM ssh_keys) AS ssh_keys,
  (SELECT count(*) FROM servers) AS servers, (SELECT count(*) FROM subusers) AS subusers,
  (SELECT count(*) FROM dedicated_ips) AS dedicated_ips, (SELECT count(*) FROM plan_periods) AS plan_periods,
  (SELECT count(*) FROM roles) AS roles, (SELECT count(*) FROM plans) AS plans,
  (SELECT count(*) FROM wallets) AS wallets, (SELECT count(*) FROM wallet_entries) AS wallet_entries,
  (SELECT count(*) FROM idempotency_keys) AS idempotency_keys, (SELECT max(last_seen_at) FROM sessions) AS seen,
  (SELECT max(last_used_at) FROM api_keys) AS used"""
CURSORS = """
fragment P on PageInfo { startCursor endCursor }
fragment S on SubuserConnection { edges { cursor } pageInfo { ...P } }
fragment U on UserConnection { edges { cursor } pageInfo { ...P } }
{
  a: users(first: 5) { ...U } b: users(first: 5, orderBy: USERNAME_ASC) { ...U }
  c: users(first: 5, orderBy: EMAIL_DESC) { ...U } d: users(first: 5, orderBy: LAST_LOGIN_AT_DESC) { ...U }
  servers(first: 5) { edges { cursor node { subusers { ...S } } } }
  auditEvents(first: 9) { edges { cursor } } dedicatedIps(first: 5) { edges { cursor } }
  roles { users { ...U } } plans { users { ...U } }
  users { nodes {
    sessions { edges { cursor } } apiKeys { edges { cursor } } sshKeys { edges { cursor } }
    servers { edges { cursor } } memberships { ...S } auditEvents { edges { cursor } }
    wallets { entries { edges { cursor } } }
    planHistory { edges { cursor } }
  } }
}
"""
# The fields whose lists have the cursors that CURSORS finds below a key of the answer
LISTS = {
    "a": "Query.users",
    "b": "Query.users",
    "c": "Query.users",
    "d": "Query.users",
    "auditEvents": "Query.auditEvents",
    "dedicatedIps": "Query.dedicatedIps",
    "plans.users": "Plan.users",
    "roles.users": "Role.users",
    "servers": "Query.servers",
    "subusers": "Server.subusers",
    **{f"users.{name}": f"User.{name}" for name in ("sessions", "apiKeys", "sshKeys", "servers", "memberships")},
    "users.auditEvents": "User.auditEvents",
    "wallets.entries": "Wallet.entries",
    "users.planHistory": "User.planHistory",
}


async def fill(client: Client, people: dict[str, Person]) -> dict[str, str | None]:
    """Create the objects, and return the token of every caller."""
    objects = await create_objects(client, people)
    callers = dict(objects.callers)
    admin = people["adam"]
    role = {"name": "Desk", "permissions": ["users.read", "servers.read"]}
    made = await client.mutate("createRole", role, "role { id }", by=admin)
    for name, role_id in (("dora", made["role"]["id"]), ("sam", None)):
        account = {"username": name, "email": f"{name}@roster.test", "password": PASSWORD, "roleId": role_id}
        user = (await client.mutate("createUser", account, "user { id }", by=admin))["user"]
        login = await client.mutate("login", {"login": name, "password": PASSWORD}, "token", by=None)
        callers[name] = login["token"]
    key = await client.mutate(
        "createApiKey", {"name": "read", "permissions": ["account.read", "users.read"]}, "secret", by=callers["dora"]
    )
    callers |= {"dora-key": key["secret"], "wrong": "rsts_wrong"}
    for statement in (MORE, *WALLETS):
        await client.rows(statement)
    for token in callers.values():
        document = "mutation ($p: UpdateProfileInput!, $s: JSON!) "
        document += "{ updateProfile(input: $p) { errors { code } } updateSettings(input: {patch: $s}) { __typename } }"
        await client.execute(document, {"p": PROFILE, "s": SETTINGS}, by=token)
    await client.mutate("suspendUser", {"id": user["id"], "reason": "unpaid"}, "user { id }", by=admin)
    for statement in FREEZE:
        await client.rows(statement)
    # Later clean-ups then find nothing, and write no event
    await clean_up(client.resources.database)
    client.http.cookies.clear()
    return callers


async def known(client: Client, root: Person) -> Known:
    """Return what documents may name of the data."""
    ids = {}
    for name, table in TABLES.items():
        rows = await client.rows(f"SELECT CAST(id AS text) AS id FROM {table} ORDER BY id")  # noqa: S608  (constant)
        ids[name] = [row["id"] for row in rows]
    users = await client.rows("SELECT username, email, external_id FROM users ORDER BY id")
    fingerprints = await client.rows("SELECT fingerprint FROM ssh_keys ORDER BY id")
    texts = {
        "UserBy.username": [row["username"] for row in users if row["username"]],
        "UserBy.email": [row["email"] for row in users if row["email"]],
        "UserBy.externalId": [row["external_id"] for row in users if row["external_id"]],
        "UserBy.sshFingerprint": [row["fingerprint"] for row in fingerprints],
        "ServerFilter.externalId": ["more1/1", "node-1"],
    }
    cursors: dict[str, list[str]] = {}
    _collect(await client.data(CURSORS, by=root), (), cursors)
    return Known(ids, cursors, texts)


def _collect(value: Any, path: tuple[str, ...], cursors: dict[str, list[str]]) -> None:
    """Add the cursors below a value of the answer to those of their lists; `path` is that of the list."""
    if isinstance(value, list):
        for item in value:
            _collect(item, path, cursors)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in {"cursor", "startCursor", "endCursor"} and item is not None:
                cursors.setdefault(LISTS.get(".".join(path[-2:])) or LISTS[path[-1]], []).append(item)
            else:
                _collect(item, path if key in {"edges", "nodes", "node", "pageInfo"} else (*path, key), cursors)


@dataclass
class Pair:
    """Two applications on one database, one of which compiles documents; the callers; and what documents can name."""

    compiled: Client
    executed: Client
    callers: dict[str, str | None]
    known: Known

    async def answers(self, found: Document, caller: str) -> tuple[Answer, Answer]:
        """Return the answers of both applications."""
        return await answer(self.executed, found, self.callers[caller]), await answer(
            self.compiled, found, self.callers[caller]
        )

    async def compare(self, found: Document, caller: str, label: str = "") -> tuple[Answer, Answer]:
        """Return the answers of both applications, which must be the same."""
        executed, compiled = await self.answers(found, caller)
        lines = differences(executed, compiled)
        assert not lines, "\n".join([f"{label} by {caller}", str(found), *lines])
        return executed, compiled


async def answer(client: Client, found: Document, token: str | None) -> Answer:
    """Return the body of the response, with its status."""
    client.http.cookies.clear()
    body = {"query": found.text, "variables": found.variables, "operationName": found.operation}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    response = await client.http.post("/graphql", json=body, headers=headers)
    parsed: Answer = response.json()
    return parsed | {"status": response.status_code}


@asynccontextmanager
async def opened_pair(server_url: str, people: dict[str, Person], *, damaged: bool = False) -> AsyncIterator[Pair]:
    """Return two applications on a new database with all objects, some of them with damaged rows."""
    database = f"roster_same_{PROCESS}_{os.getpid()}_{next(_numbers)}"
    url = named(server_url, database)
    await in_maintenance(server_url, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    try:
        async with opened_client(Settings(compiled=False, readers=2, writers=2), url) as executed:
            callers = await fill(executed, people)
            for statement in DAMAGE if damaged else ():
                await executed.rows(statement)
            found = await known(executed, people["root"])
            async with opened_client(Settings(compiled=True, readers=2, writers=2), url) as compiled:
                yield Pair(compiled, executed, callers, found)
    finally:
        await dropped(server_url, database)
