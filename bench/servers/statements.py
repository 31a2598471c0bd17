"""The SQL statements of the servers that are compared with the service, and the objects of their rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import asyncpg
import orjson

Rows: TypeAlias = list[Any]
Object: TypeAlias = dict[str, Any]

PAGE = 50  # users of a page
CHILDREN = 20  # sessions, API keys, and SSH keys of a user at most: the default size of a page

USER_COLUMNS = """users.id::text AS id, users.username, users.email, users.email_verified AS "emailVerified",
users.first_name AS "firstName", users.last_name AS "lastName", users.language, users.tier,
users.two_factor_enabled AS "twoFactorEnabled", users.created_at AS "createdAt\""""
SESSION_COLUMNS = """sessions.id::text AS id, host(sessions.ip) AS ip, sessions.device,
sessions.created_at AS "createdAt", sessions.last_seen_at AS "lastSeenAt\""""
API_KEY_COLUMNS = """api_keys.id::text AS id, api_keys.name, api_keys.prefix, api_keys.created_at AS "createdAt",
api_keys.last_used_at AS "lastUsedAt\""""
SSH_KEY_COLUMNS = """ssh_keys.id::text AS id, ssh_keys.name, ssh_keys.type, ssh_keys.fingerprint,
ssh_keys.created_at AS "createdAt\""""


def _children(table: str, columns: str, condition: str = "TRUE") -> str:
    """Return the statement of the newest rows of each user in the array $1, with the user's id as `key`."""
    return f"""
SELECT parents.key::text AS key, page.*
FROM unnest($1::uuid[]) AS parents (key)
CROSS JOIN LATERAL (
  SELECT {columns} FROM {table}
  WHERE {table}.user_id = parents.key AND {condition}
  ORDER BY {table}.id DESC LIMIT {CHILDREN}
) AS page
"""  # noqa: S608


LIVE = "sessions.ended_at IS NULL AND sessions.expires_at > now() AND sessions.idle_expires_at > now()"
SUSPENDED = "users.suspended_at IS NOT NULL AND (users.suspended_until IS NULL OR users.suspended_until > now())"

USER = f"SELECT {USER_COLUMNS} FROM users WHERE users.id = $1"  # noqa: S608
USERS = f"SELECT {USER_COLUMNS} FROM users WHERE users.id = ANY($1::uuid[])"  # noqa: S608
NEWEST = f"FROM users ORDER BY users.created_at DESC, users.id DESC LIMIT {PAGE}"
USERS_PAGE = f"SELECT {USER_COLUMNS} {NEWEST}"
USERS_PAGE_WITH_PLAN = f"SELECT {USER_COLUMNS}, users.plan_id::text AS plan {NEWEST}"
PLANS = """
SELECT plans.id::text AS id, plans.name, plans.description, plans.tier, plans.is_default AS "isDefault"
FROM plans WHERE plans.id = ANY($1::uuid[])
"""
SESSIONS = _children("sessions", SESSION_COLUMNS, LIVE)
API_KEYS = _children("api_keys", API_KEY_COLUMNS)
SSH_KEYS = _children("ssh_keys", SSH_KEY_COLUMNS)
UPDATE = 'UPDATE users SET first_name = $2 WHERE id = $1 RETURNING id::text AS id, first_name AS "firstName", version'

CREDENTIALS = f"""
SELECT session_tokens.hash AS key, users.id::text AS user_id, sessions.id::text AS session_id, roles.permissions,
  NOT ({LIVE}) AS expired, {SUSPENDED} AS suspended
FROM session_tokens
JOIN sessions ON session_tokens.session_id = sessions.id
JOIN users ON sessions.user_id = users.id
JOIN roles ON users.role_id = roles.id
WHERE session_tokens.hash = ANY($1::bytea[])
"""  # noqa: S608
LOCK = """
SELECT users.first_name, users.version, roles.permissions
FROM users JOIN roles ON users.role_id = roles.id WHERE users.id = $1 FOR NO KEY UPDATE OF users
"""
AUDIT = """
INSERT INTO audit_events (event, actor_id, credential, target_type, target_id, owner_id, changes)
VALUES ('user.update', $1, $2, 'User', $3, $3, $4)
"""


def dumps(value: Any) -> bytes:
    """Return JSON in which times are in UTC and end with Z."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def grouped(rows: Iterable[asyncpg.Record]) -> dict[Any, list[Object]]:
    """Return the objects of each key."""
    groups: dict[Any, list[Object]] = {}
    for row in rows:
        item = dict(row)
        groups.setdefault(item.pop("key"), []).append(item)
    return groups


def answer_of_user(row: asyncpg.Record | None) -> bytes:
    """Return the answer with one user."""
    return dumps({"data": {"user": None if row is None else dict(row)}})


def answer_of_page(rows: Rows) -> bytes:
    """Return the answer with a page of users."""
    return dumps({"data": {"users": {"nodes": [dict(row) for row in rows]}}})


def answer_of_tree(users: Rows, plans: Rows, sessions: Rows, api_keys: Rows, ssh_keys: Rows) -> bytes:
    """Return the answer with a page of users and all that belongs to them."""
    plan_of = {row["id"]: dict(row) for row in plans}
    children = [
        (name, grouped(rows)) for name, rows in (("sessions", sessions), ("apiKeys", api_keys), ("sshKeys", ssh_keys))
    ]
    nodes = []
    for row in users:
        user = dict(row)
        user["plan"] = plan_of.get(user["plan"])
        for name, groups in children:
            user[name] = {"nodes": groups.get(user["id"], [])}
        nodes.append(user)
    return dumps({"data": {"users": {"nodes": nodes}}})


def answer_of_batch(ids: list[str], users: Rows, sessions: Rows) -> bytes:
    """Return the answers of a batch, each with one user and the sessions."""
    user_of = {row["id"]: dict(row) for row in users}
    sessions_of = grouped(sessions)
    for key, user in user_of.items():
        user["sessions"] = {"nodes": sessions_of.get(key, [])}
    return dumps([{"data": {"user": user_of.get(key)}} for key in ids])


def answer_of_update(row: asyncpg.Record | None) -> bytes:
    """Return the answer with the changed user."""
    return dumps({"data": {"updateUser": {"user": None if row is None else dict(row), "errors": []}}})


def arguments(query: bytes) -> dict[str, str]:
    """Return the arguments of a query string without escapes."""
    return dict(part.split("=", 1) for part in query.decode().split("&") if part)


def plan_ids(users: Rows) -> list[str]:
    """Return the ids of the users' plans."""
    return list({row["plan"] for row in users if row["plan"] is not None})


def user_ids(users: Rows) -> list[str]:
    """Return the ids of the users."""
    return [row["id"] for row in users]


TYPENAME = b'{"data":{"__typename":"Query"}}'
