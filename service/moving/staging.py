"""The connection of an import: COPY into temporary tables, and rows from there into the tables of the service.

COPY accepts values only in binary form, so an import opens its own connection, whose codecs have this form.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import orjson

from service.database.connection import json_text
from service.database.rows import record_class
from service.database.servers import Connection
from service.moving.checks import Item
from service.moving.kinds import KINDS, Kind

SESSION = {
    "application_name": "roster import",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    "statement_timeout": "0",
    "timezone": "UTC",
}
# The default wallets of new users that keep their ids
WALLETS = """
INSERT INTO wallets (id, user_id, owner_id, name, is_default, created_at)
SELECT given.id, made.id, made.id, 'Default', TRUE, given.created_at
FROM unnest(CAST($1 AS uuid[]), CAST($2 AS uuid[]), CAST($3 AS timestamptz[])) AS given (user_id, id, created_at)
INNER JOIN made ON given.user_id = made.id
"""
_JSONB_VERSION = b"\x01"
_FAMILIES = {4: 2, 6: 3}  # PostgreSQL's numbers
_VERSIONS = {number: version for version, number in _FAMILIES.items()}


async def connected(url: str) -> Connection:
    """Return a connection with binary codecs for the values that `Database` has, and empty staging tables."""
    connection = await asyncpg.connect(url, server_settings=SESSION)
    for name, encoder, decoder in (
        ("uuid", lambda text: bytes.fromhex(text.replace("-", "")), _uuid_text),
        ("jsonb", lambda value: _JSONB_VERSION + json_text(value).encode(), lambda data: orjson.loads(data[1:])),
        ("cidr", _network_bytes, _network_text),
        ("inet", _network_bytes, _network_text),
    ):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encoder, decoder=decoder, format="binary")
    for kind in KINDS:
        columns = ", ".join(kind.columns)
        await connection.execute(
            f"CREATE TEMPORARY TABLE {_staged(kind)} AS SELECT {columns} FROM {kind.table} WITH NO DATA"  # noqa: S608
        )
    return connection


async def copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Copy rows into a table."""
    await connection.copy_records_to_table(table, columns=columns, records=rows)


async def insert(connection: Connection, kind: Kind, items: Sequence[Item]) -> list[Any]:
    """Insert those rows that collide with no other, and return them. All rows are then in the staging table."""
    await connection.execute(f"TRUNCATE {_staged(kind)}")
    rows = ([item.columns[name] for name in kind.columns] for item in items)
    await copy(connection, _staged(kind), kind.columns, rows)
    columns = ", ".join(kind.columns)
    sql = f"""
    INSERT INTO {kind.table} ({columns}) SELECT {columns} FROM {_staged(kind)}
    ON CONFLICT DO NOTHING RETURNING {kind.table}.*
    """  # noqa: S608
    wallets = [
        (item.columns["id"], *item.beside["default_wallet"]) for item in items if item.beside.get("default_wallet")
    ]
    if not wallets:
        return list(await connection.fetch(sql, record_class=record_class(kind.row)))
    # In the same statement, because the database creates the other default wallets at its end
    sql = f"WITH made AS ({sql}), wallets_made AS ({WALLETS}) SELECT made.* FROM made"  # noqa: S608
    return list(
        await connection.fetch(sql, *map(list, zip(*wallets, strict=True)), record_class=record_class(kind.row))
    )


async def collisions(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return for each staged row what another row has as well, with the id of that row."""
    found: dict[str, list[tuple[str, str]]] = {}
    for what, condition in kind.unique.items():
        sql = f"""
        SELECT s.id, o.id AS other FROM {_staged(kind)} AS s INNER JOIN {kind.table} AS o ON {condition}
        WHERE s.id = ANY($1)
        """  # noqa: S608
        for row in await connection.fetch(sql, ids):
            found.setdefault(row["id"], []).append((what, row["other"]))
    return found


async def numbers(connection: Connection, kind: Kind, parents: Sequence[str]) -> dict[str, int]:
    """Return how many rows there are for each value of the column that limits their number."""
    if kind.most is None:
        return {}
    column = kind.most.column
    sql = f"""
    SELECT {column} AS parent, count(*) AS number FROM {kind.table}
    WHERE {column} = ANY($1) AND {kind.most.counted} GROUP BY {column}
    """  # noqa: S608
    return {row["parent"]: row["number"] for row in await connection.fetch(sql, parents)}


async def remove(connection: Connection, kind: Kind, ids: Sequence[str]) -> None:
    """Remove rows that were inserted in this transaction."""
    await connection.execute(f"DELETE FROM {kind.table} WHERE id = ANY($1)", ids)  # noqa: S608


def _staged(kind: Kind) -> str:
    return f"staged_{kind.table}"


def _uuid_text(data: bytes) -> str:
    digits = data.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _network_bytes(text: str) -> bytes:
    """Return the binary form of a network (network_send in PostgreSQL's network.c)."""
    network = ipaddress.ip_network(text)
    packed = network.network_address.packed
    return bytes((_FAMILIES[network.version], network.prefixlen, 1, len(packed))) + packed


def _network_text(data: bytes) -> str:
    address = ipaddress.ip_address(data[4:])
    return str(ipaddress.ip_network((address, data[1])))
