"""Wallet entries: the ledger, which says who changed a balance, when, by how much, and why."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.scalars import BigInt
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User
    from service.types.wallet import Wallet


@entity(
    "One change of the balance of a wallet, stored permanently",
    Access(any="wallets.read", own="wallets.read"),
    by_id="wallet_entries_by_id",
    owner=("owner_id",),
)
class WalletEntry(Row, Node):
    """A row of `wallet_entries`; the database rejects its update and its deletion."""

    id: strawberry.ID = column("Id of the entry")
    amount_msat: BigInt = column("Change of the balance in millisatoshi, negative for a debit")
    balance_after_msat: BigInt = column("Balance of the wallet after the change, in millisatoshi")
    reason: str = column("Reason of the change")
    actor: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id", "actor_id", "User who made the change; null if the user was deleted"
    )
    actor_id: strawberry.ID | None = column(
        "Id of the user who made the change, also after the user was deleted; null for the service itself"
    )
    created_at: dt.datetime = column("Time of the change")
    wallet: Annotated[Wallet, strawberry.lazy("service.types.wallet")] = related(
        "wallets_by_id", "wallet_id", "Wallet whose balance was changed", required=True
    )
