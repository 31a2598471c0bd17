"""Wallets: what a user has, in thousandths of a satoshi."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, page_of, related
from service.pagination import Connection
from service.scalars import BigInt
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User
    from service.types.wallet_entry import WalletEntry


@entity(
    "A balance of a user, with the ledger of its changes. It is closed when the user is deleted, and stays readable",
    Access(any="wallets.read", own="wallets.read"),
    by_id="wallets_by_id",
    owner=("user_id",),
)
class Wallet(Row, Node):
    """A row of `wallets`."""

    id: strawberry.ID = column("Id of the wallet")
    name: str = column("Name of the wallet")
    is_default: bool = column("Indicates whether it is the user's default wallet; each user has exactly one")
    balance_msat: BigInt = column("Balance in millisatoshi, never below 0; that of the last entry")
    entries: Connection[Annotated[WalletEntry, strawberry.lazy("service.types.wallet_entry")]] | None = page_of(
        "wallet_entries_by_wallet", "Changes of the balance, newest first"
    )
    user: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id", "user_id", "User that the wallet belongs to; null once the user is deleted"
    )
    owner_id: strawberry.ID = column("Id of the user that the wallet belongs to, also after the user was deleted")
    created_at: dt.datetime = column("Time when the wallet was created")
    closed_at: dt.datetime | None = column("Time when the wallet was closed, because the user was deleted")
