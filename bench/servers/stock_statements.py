"""The statements of the stock Strawberry server, whose columns are the Python names of its fields."""

from __future__ import annotations

import re

from bench.servers import statements


def _python_names(sql: str) -> str:
    return re.sub(r'AS "(\w+)"', lambda found: "AS " + re.sub("([A-Z])", r"_\1", found[1]).lower(), sql)


COLUMNS = _python_names(statements.USER_COLUMNS) + ", users.version, users.plan_id::text AS plan_id"
USERS = f"SELECT {COLUMNS} FROM users WHERE users.id = ANY($1::uuid[])"  # noqa: S608
PAGE = f"SELECT {COLUMNS} FROM users ORDER BY users.created_at DESC, users.id DESC LIMIT $1"  # noqa: S608
UPDATE = f"UPDATE users SET first_name = $2 WHERE id = $1 RETURNING {COLUMNS}"  # noqa: S608
PLANS = _python_names(statements.PLANS)
SESSIONS = _python_names(statements.SESSIONS)
API_KEYS = _python_names(statements.API_KEYS)
SSH_KEYS = _python_names(statements.SSH_KEYS)
