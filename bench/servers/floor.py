"""The floor: a bare ASGI application, held connections, prepared statements, orjson; no GraphQL and no credential."""

from __future__ import annotations

from typing import Any

from bench.servers import statements as sql
from bench.servers.asgi import application
from bench.servers.held import HeldPool

pool = HeldPool()


async def user(scope: dict[str, Any]) -> bytes:
    """Return one user."""
    held = await pool.idle.get()
    try:
        rows = await held.fetch(sql.USER, sql.arguments(scope["query_string"])["id"])
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_user(rows[0] if rows else None)


async def page(_scope: dict[str, Any]) -> bytes:
    """Return a page of users."""
    held = await pool.idle.get()
    try:
        rows = await held.fetch(sql.USERS_PAGE)
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_page(rows)


async def tree(_scope: dict[str, Any]) -> bytes:
    """Return a page of users and all that belongs to them."""
    held = await pool.idle.get()
    try:
        users = await held.fetch(sql.USERS_PAGE_WITH_PLAN)
        ids = sql.user_ids(users)
        plans = await held.fetch(sql.PLANS, sql.plan_ids(users))
        sessions = await held.fetch(sql.SESSIONS, ids)
        api_keys = await held.fetch(sql.API_KEYS, ids)
        ssh_keys = await held.fetch(sql.SSH_KEYS, ids)
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_tree(users, plans, sessions, api_keys, ssh_keys)


async def batch(scope: dict[str, Any]) -> bytes:
    """Return ten users, each with the sessions."""
    ids = sql.arguments(scope["query_string"])["ids"].split(",")
    held = await pool.idle.get()
    try:
        users = await held.fetch(sql.USERS, ids)
        sessions = await held.fetch(sql.SESSIONS, ids)
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_batch(ids, users, sessions)


async def update(scope: dict[str, Any]) -> bytes:
    """Change the first name of a user."""
    given = sql.arguments(scope["query_string"])
    held = await pool.idle.get()
    try:
        rows = await held.fetch(sql.UPDATE, given["id"], given["name"])
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_update(rows[0] if rows else None)


async def typename(_scope: dict[str, Any]) -> bytes:
    """Return the name of the root type."""
    return sql.TYPENAME


handlers = {"/w1": user, "/w2": page, "/w3": tree, "/w4": batch, "/w5": update, "/w6": typename}
app = application(handlers, pool.open, pool.close)
