"""Wallets: users create their own, and administrators change balances, always by an entry of the ledger."""

from __future__ import annotations

from typing import Any, Self

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import IDEMPOTENCY_KEY, NAME, Text, given, optional
from service.payloads import Payload, mutation, result
from service.scalars import BigInt
from service.types.wallet import Wallet
from service.types.wallet_entry import WalletEntry
from service.write import Write, write

MSAT = 1_000  # of a satoshi


@strawberry.input(description="New wallet of your own")
class CreateWalletInput:
    """Input of createWallet."""

    name: str = given("Name of the wallet", NAME)
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the same wallet; another input is rejected",
        IDEMPOTENCY_KEY,
    )


@strawberry.input(description="Change of a balance")
class AdjustBalanceInput:
    """Input of adjustBalance."""

    user_id: strawberry.ID = given("Id of the user")
    amount_sat: BigInt = given("Amount in satoshi to add, or to subtract if it is negative; not 0")
    reason: str = given("Reason, which the user can read", Text(limits.ADJUSTMENT_REASON, multiline=True, joiners=True))
    wallet_id: strawberry.ID | None = optional("Id of a wallet of the user; by default the default wallet")
    idempotency_key: str | None = optional(
        "A repeated request with this key, at any time, returns the same entry; another input is rejected",
        IDEMPOTENCY_KEY,
    )


@strawberry.type(description="Payload of createWallet")
class WalletPayload(Payload):
    """A wallet, or errors."""

    wallet: Wallet | None = result("Wallet as it is now")


@strawberry.type(description="Payload of adjustBalance")
class AdjustBalancePayload(Payload):
    """An entry with its wallet, or errors."""

    wallet: Wallet | None = result("Wallet as it is now")
    entry: WalletEntry | None = result("Entry of the ledger that the mutation added")
    new_balance_msat: BigInt | None = result("Balance of the wallet after the entry, in millisatoshi")

    @classmethod
    async def repeated(cls, info: Info, _name: str, row: Any) -> Self:
        """Return the payload with the entry that an earlier request added."""
        wallet = await info.context.loaders.one("wallets_by_id", row.wallet_id)
        return cls(wallet=wallet, entry=row, new_balance_msat=row.balance_after_msat)


@mutation(Access(own="wallets.create"), idempotent="wallet")
async def create_wallet(info: Info, input: CreateWalletInput) -> WalletPayload:
    """Create a wallet of your own, beside the default one. Its balance is 0."""
    async with write(info, "wallet.create") as change:
        # SECURITY: counted while the user is locked, because parallel requests could exceed the limit (CVE-2025-69198)
        user = await change.lock_own_user()
        if await change.run("count_wallets", user_id=user.id) >= limits.WALLETS_PER_USER:
            message = f"A user may have at most {limits.WALLETS_PER_USER} wallets."
            raise reject(ErrorCode.LIMIT_REACHED, message, "name")
        wallet = await change.run("create_wallet", user_id=user.id, name=input.name)
        change.created(wallet)
    return WalletPayload(wallet=wallet)


# SECURITY: an account that is left signed in, or a person who acts as another user, moves no money (ASVS 7.5.3)
@mutation(Access(any="wallets.adjust"), collects_problems=True, idempotent="entry", sensitive=True)
async def adjust_balance(info: Info, input: AdjustBalanceInput) -> AdjustBalancePayload:
    """Change the balance of a user who holds no permission that the caller does not hold, by an entry of the ledger."""
    if input.amount_sat == 0:
        info.problems.add(ErrorCode.INVALID, "amountSat must not be 0.", "amountSat")
    async with write(info, "wallet.adjust") as change:
        # SECURITY: the user is locked before the balance is read, because parallel debits could spend it twice
        user = await change.lock("lock_user", input.user_id, "userId")
        change.require_not_above(user, "userId")
        wallet = await change.run("lock_wallet", user_id=user.id, id=input.wallet_id or None)
        if wallet is None:
            change.problems.add(ErrorCode.NOT_FOUND, "The user has no such wallet.", "walletId")
        else:
            await _check_balance(change, wallet, input.amount_sat * MSAT)
        change.problems.raise_if_any()
        entry = await change.run(
            "create_wallet_entry",
            wallet_id=wallet.id,
            amount_msat=input.amount_sat * MSAT,
            reason=input.reason,
            actor_id=change.actor.user_id,
        )
        change.created(entry)
    wallet = await info.context.loaders.one("wallets_by_id", entry.wallet_id)
    return AdjustBalancePayload(wallet=wallet, entry=entry, new_balance_msat=entry.balance_after_msat)


async def _check_balance(change: Write, wallet: Any, amount_msat: int) -> None:
    """Add a problem if a balance, or the sum of the user's balances, would be beyond its bounds."""
    if wallet.balance_msat + amount_msat < 0:
        change.problems.add(ErrorCode.INSUFFICIENT_BALANCE, "The balance is too low.", "amountSat")
    if amount_msat > 0:
        [total] = await change.run("wallet_totals_by_user", keys=[wallet.user_id])
        if total["balance_msat"] + amount_msat > limits.SAFE_INTEGER:
            message = f"The balance of a user may be at most {limits.SAFE_INTEGER} millisatoshi."
            change.problems.add(ErrorCode.LIMIT_REACHED, message, "amountSat")
