"""The wallets of the command `seed`: each account has a default wallet, and the balances are those of the ledger."""

from __future__ import annotations

from tests.test_seed import empty_database, seed, value

USERS = 400
SUMS = "SELECT wallet_id, sum(amount_msat) AS total FROM wallet_entries GROUP BY wallet_id"
DIFFERING = (
    f"SELECT count(*) FROM wallets LEFT JOIN ({SUMS}) AS s ON wallet_id = id WHERE balance_msat <> coalesce(total, 0)"  # noqa: S608
)


async def test_each_account_has_a_default_wallet_whose_balance_is_that_of_the_ledger(server_url: str) -> None:
    async with empty_database(server_url, "seeded_wallets") as url:
        # The second run adds its rows with the indexes in place
        for arguments in (("--users", str(USERS), "--seed", "1"), ("--users", "20", "--seed", "2")):
            ended = await seed(url, *arguments)
            assert (ended.returncode, ended.stderr) == (0, "")
        assert await value(url, "SELECT count(*) FROM wallets WHERE is_default") == USERS + 20
        assert await value(url, "SELECT count(DISTINCT user_id) FROM wallets WHERE is_default") == USERS + 20
        assert await value(url, "SELECT count(*) FROM wallets WHERE NOT is_default") > 10
        assert await value(url, "SELECT count(*) FROM wallet_entries") > USERS // 2
        assert await value(url, DIFFERING) == 0
