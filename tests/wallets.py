"""What tests of wallets share: balances, entries, and the comparison of both."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.conftest import Client, Person

MOST_MSAT = 2**53 - 1
PAYLOAD = "newBalanceMsat wallet { id balanceMsat } entry { id amountMsat balanceAfterMsat reason }"
# Users without exactly one default wallet, and wallets whose balance is not that of their entries
WRONG = """
SELECT users.id FROM users LEFT JOIN wallets ON wallets.user_id = users.id AND wallets.is_default
GROUP BY users.id HAVING count(wallets.id) <> 1
UNION ALL
SELECT wallets.id FROM wallets
LEFT JOIN (
  SELECT wallet_id, sum(amount_msat) AS total, min(balance_after_msat) AS lowest FROM wallet_entries GROUP BY wallet_id
) AS sums ON sums.wallet_id = wallets.id
WHERE wallets.balance_msat <> coalesce(sums.total, 0) OR sums.lowest < 0
UNION ALL
SELECT later.id FROM (
  SELECT id, balance_before_msat, lag(balance_after_msat, 1, 0) OVER (PARTITION BY wallet_id ORDER BY id) AS expected
  FROM wallet_entries
) AS later WHERE later.balance_before_msat <> later.expected
"""


async def patient(
    client: Client, field: str, value: dict[str, Any], selection: str, by: Person | str
) -> dict[str, Any]:
    """Return the payload of a mutation, which is repeated while the service is too busy and has changed nothing."""
    call = f"{field}(input: $input) {{ {selection} errors {{ code message field }} }}"
    document = f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {call} }}"
    for _ in range(100):
        answer = await client.execute(document, {"input": value}, by=by)
        if [error["extensions"]["code"] for error in answer.get("errors", [])] != ["UNAVAILABLE"]:
            break
        await asyncio.sleep(0.1)
    assert "errors" not in answer, answer["errors"]
    payload: dict[str, Any] = answer["data"][field]
    return payload


async def adjust(client: Client, by: Person | str, user: Person, amount: int, **more: Any) -> dict[str, Any]:
    """Return the payload of adjustBalance."""
    value = {"userId": user.id, "amountSat": amount, "reason": "Test"} | more
    return await patient(client, "adjustBalance", value, PAYLOAD, by)


def codes(payload: dict[str, Any]) -> list[str]:
    """Return the code and the field of each error of a payload."""
    return [" ".join([error["code"], *(error["field"] or [])]) for error in payload["errors"]]


def outcomes(payloads: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each error was answered, "done" without one."""
    return Counter((codes(payload) or ["done"])[0] for payload in payloads)


async def default_wallet(client: Client, user: Person) -> Any:
    """Return the row of the default wallet, also of a deleted user."""
    [row] = await client.rows("SELECT * FROM wallets WHERE owner_id = $1 AND is_default", user.id)
    return row


async def require_consistent(client: Client) -> None:
    """Compare all balances with the ledger, and all users with their default wallets."""
    assert await client.rows(WRONG) == []
