"""The ledger against a model: random sequences of operations give the balances that plain arithmetic gives."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Client, Person
from tests.wallets import MOST_MSAT, adjust, codes, require_consistent

MOST_WALLETS = 20
MOST_SAT = MOST_MSAT // 1_000
_numbers = itertools.count()
STATE = """query ($id: ID!) { user(by: {id: $id}) { walletCount balanceMsat
  wallets { id balanceMsat isDefault entries(first: 100) { totalCount nodes { id amountMsat balanceAfterMsat } } }
} }"""

AMOUNTS = st.one_of(
    st.integers(-50, 50),
    st.integers(-3, 3).map(lambda number: MOST_SAT + number),
    st.integers(-3, 3).map(lambda number: -MOST_SAT + number),
    st.sampled_from([MOST_MSAT, -MOST_MSAT, MOST_SAT // 2, -MOST_SAT // 2]),
)
ADJUST = st.fixed_dictionaries(
    {
        "amount": AMOUNTS,
        # The position of a wallet among those that there are, none for the default one
        "wallet": st.none() | st.integers(0, 5),
        "key": st.none() | st.sampled_from("abc"),
        "reason": st.sampled_from(["x", "y"]),
    }
)
CREATE = st.just({"create": True})
OPERATIONS = st.lists(ADJUST | ADJUST | ADJUST | CREATE, min_size=1, max_size=14)


@dataclass
class Model:
    """What the ledger of one user must be: the entries of each wallet, and the earlier requests by key."""

    wallets: dict[str, list[int]]
    keys: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)

    @property
    def default(self) -> str:
        """The id of the default wallet."""
        return next(iter(self.wallets))

    def expected(self, operation: dict[str, Any], wallet: str, given: tuple[Any, ...]) -> list[str]:
        """Return the errors of a change that does not repeat an earlier one."""
        known = self.keys.get(operation["key"] or "")
        if known is not None and known[0] != given:
            return ["IDEMPOTENCY_MISMATCH idempotencyKey"]
        amount = operation["amount"] * 1_000
        if amount == 0:
            return ["INVALID amountSat"]
        if sum(self.wallets[wallet]) + amount < 0:
            return ["INSUFFICIENT_BALANCE amountSat"]
        if amount > 0 and sum(map(sum, self.wallets.values())) + amount > MOST_MSAT:
            return ["LIMIT_REACHED amountSat"]
        return []


async def run(client: Client, admin: Person, user: Person, model: Model, operation: dict[str, Any]) -> None:
    """Run an operation on the service and on the model, and compare the answers."""
    if "create" in operation:
        # Only the user creates wallets, who does not sign in here
        [row] = await client.rows(
            "INSERT INTO wallets (user_id, owner_id, name) VALUES ($1, $1, 'w') RETURNING CAST(id AS text) AS id",
            user.id,
        )
        model.wallets[row["id"]] = []
        return
    position, more = operation["wallet"], dict[str, Any]()
    wallet = model.default if position is None else list(model.wallets)[position % len(model.wallets)]
    if position is not None:
        more["walletId"] = wallet
    if operation["key"] is not None:
        more["idempotencyKey"] = operation["key"]
    given_input = (operation["amount"], operation["reason"], more.get("walletId"))
    payload = await adjust(client, admin, user, operation["amount"], reason=operation["reason"], **more)
    known = model.keys.get(operation["key"] or "")
    # An amount of 0 is rejected before its key is looked at, and no key has one
    if known is not None and known[0] == given_input:
        assert (payload["entry"], payload["newBalanceMsat"]) == (known[1]["entry"], known[1]["newBalanceMsat"])
        assert payload["wallet"] == {"id": wallet, "balanceMsat": sum(model.wallets[wallet])}
        return
    expected = model.expected(operation, wallet, given_input)
    assert codes(payload) == expected
    if expected:
        assert (payload["entry"], payload["newBalanceMsat"], payload["wallet"]) == (None, None, None)
        return
    model.wallets[wallet].append(operation["amount"] * 1_000)
    assert payload["newBalanceMsat"] == payload["wallet"]["balanceMsat"] == sum(model.wallets[wallet])
    assert payload["entry"]["amountMsat"] == operation["amount"] * 1_000
    if operation["key"] is not None:
        model.keys[operation["key"]] = (given_input, payload)


@given(operations=OPERATIONS)
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_operations_gives_the_balances_of_the_model(
    client: Client, admin: Person, operations: list[dict[str, Any]]
) -> None:
    # A new user for each sequence; the keys of the administrator start anew with it
    await client.rows("DELETE FROM idempotency_keys")
    [row] = await client.rows(
        "INSERT INTO users (username) VALUES ($1) RETURNING CAST(id AS text) AS id", f"model{next(_numbers)}"
    )
    user = Person(row["id"], "", "")
    [first] = await client.rows("SELECT CAST(id AS text) AS id FROM wallets WHERE user_id = $1", user.id)
    model = Model({first["id"]: []})
    for operation in operations:
        await run(client, admin, user, model, operation)
    found = (await client.data(STATE, {"id": user.id}, by=admin))["user"]
    assert found["walletCount"] == len(model.wallets)
    assert found["balanceMsat"] == sum(map(sum, model.wallets.values())) <= MOST_MSAT
    assert [each["id"] for each in found["wallets"]] == list(model.wallets)
    for each in found["wallets"]:
        amounts = model.wallets[each["id"]]
        assert each["isDefault"] is (each["id"] == model.default)
        assert each["balanceMsat"] == sum(amounts)
        oldest_first = each["entries"]["nodes"][::-1]
        assert [node["amountMsat"] for node in oldest_first] == amounts
        assert [node["balanceAfterMsat"] for node in oldest_first] == list(itertools.accumulate(amounts))
    await require_consistent(client)
