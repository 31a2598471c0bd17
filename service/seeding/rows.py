"""The sample rows of `seed`.

The same Recipe always gives the same rows: random numbers depend only on its seed, and times only on its day. In a row,
a time is a number of microseconds since 1970, an id is the 32 digits of a UUID, and addresses and JSON values are text.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

from service.credentials.tokens import ALPHABET, VISIBLE_LENGTH, TokenKind
from service.devices import device_name
from service.seeding import ledger, words
from service.seeding.ids import generator_of, uuid7
from service.types.role import ADMIN_ROLE, STAFF_ROLE, USER_ROLE

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]
Batch: TypeAlias = dict[str, list[Row]]

# In the order that the foreign keys require; with their wallets before them, users get no other default wallet
TABLES: Final = (
    *("wallets", "users", "credentials", "sessions", "session_tokens", "api_keys", "api_key_secrets", "ssh_keys"),
    *("servers", "subusers", "wallet_entries"),
)
BATCH: Final = 2_500  # users whose rows are in memory at the same time
MAX_NUMBER: Final = 99_999_999  # with 7 letters before it, 15 characters: the default policy's longest username
DAY: Final = 86_400_000_000
SPAN: Final = 3 * 365 * DAY
SESSION_SPAN: Final = 45 * DAY  # the service deletes sessions some time after their end
SESSION_LIFETIME: Final = 30 * DAY
FIRST_BIRTH, LAST_BIRTH = dt.date(1950, 1, 1).toordinal(), dt.date(2004, 1, 1).toordinal()

# Positions of administrators and staff, among the oldest accounts
ADMINS, STAFFERS = range(0, 500, 100), range(1, 1000, 40)

# Weighted choices: the number of objects of a user, and the plan
SESSIONS = (0,) * 37 + (1,) * 30 + (2,) * 15 + (3,) * 12 + (4,) * 6
API_KEYS = (0,) * 65 + (1,) * 23 + (2,) * 9 + (3,) * 3
SSH_KEYS = (0,) * 50 + (1,) * 33 + (2,) * 14 + (3,) * 3
SERVERS = (0,) * 60 + (1,) * 25 + (2,) * 11 + (3,) * 4
SUBUSERS = (0,) * 65 + (1,) * 22 + (2,) * 9 + (3,) * 4
PLANS = (0,) * 70 + (1,) * 18 + (2,) * 10 + (3,) * 2

# The bytes before the 32 bytes of a key (RFC 8709, section 4)
SSH_PREFIX = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"


@dataclass(frozen=True)
class Recipe:
    """The input that determines the rows.

    All times are before `day`, except ends in the future. `plans` are the ids and tiers of four plans, the cheapest
    first. Accounts are numbered from `first_number`, without the numbers in `taken`.
    """

    seed: int
    users: int
    day: int
    plans: Sequence[tuple[str, str]]
    password_hash: str | None
    first_number: int
    taken: frozenset[int]


def batches(recipe: Recipe) -> Iterator[Batch]:
    """Yield the rows by table, for BATCH users at a time, the oldest accounts first."""
    rows = _Rows(recipe)
    for first in range(0, recipe.users, BATCH):
        yield rows.of(range(first, min(first + BATCH, recipe.users)))


_device = cache(device_name)


class _Rows:
    """The rows of one account after another. One place adds the rows of a table, so that they have the same columns."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._end = recipe.day
        self._step = SPAN / recipe.users
        self._random = generator_of("roster seed", recipe.seed)
        self._draw = self._random.random
        self._numbers = (number for number in itertools.count(recipe.first_number) if number not in recipe.taken)
        self._first_admin: str | None = None
        self._batch: Batch = {}

    def of(self, positions: range) -> Batch:
        """Return the rows of the accounts at these positions, and of the memberships between them."""
        self._batch = {table: [] for table in TABLES}
        for position in positions:
            self._account(position)
        self._subusers()
        return self._batch

    def _add(self, table: str, **row: Any) -> None:
        self._batch[table].append(row)

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self._draw() * len(items))]

    def _happens(self, share: float) -> bool:
        return self._draw() < share

    def _between(self, low: int, high: int) -> int:
        return low + int(self._draw() * (high - low))

    def _maybe(self, share: float, low: int, high: int) -> int | None:
        return self._between(low, high) if self._draw() < share else None

    def _new(self, created: int) -> Row:
        return {"id": uuid7(created, self._random), "created_at": created}

    def _account(self, position: int) -> None:
        created = self._end - SPAN + int(self._step * (position + self._draw()))
        number, row = next(self._numbers), self._new(created)
        user_id = row["id"]
        self._first_admin = self._first_admin or user_id
        role = ADMIN_ROLE if position in ADMINS else STAFF_ROLE if position in STAFFERS else USER_ROLE
        since = self._maybe(0.015, created, self._end) if role == USER_ROLE else None
        until = None if since is None else self._maybe(0.6, since, self._end + 60 * DAY)
        suspended = since is not None and (until is None or until > self._end)
        last_login = None if suspended else self._sessions(user_id, created)
        if last_login is None:
            last_login = self._maybe(0.8, created, max(created, self._end - SESSION_SPAN))
        changed = since or self._maybe(0.3, created, self._end)
        plan_id, tier = self._recipe.plans[self._pick(PLANS)]
        self._add(
            "users",
            **row,
            **self._person(number),
            role_id=role,
            plan_id=plan_id,
            tier="EDUCATIONAL" if tier == "FREE" and self._happens(0.05) else tier,
            settings=self._pick(words.SETTINGS),
            limit_overrides='{"servers": 10}' if self._happens(0.02) else "{}",
            external_id=f"whmcs-{number}" if self._happens(0.3) else None,
            suspended_at=since,
            suspended_reason=None if since is None else self._pick(words.SUSPENSION_REASONS),
            suspended_until=until,
            suspended_by=None if since is None else self._first_admin,
            last_login_at=last_login,
            version=1 if changed is None else 2 + int(self._draw() * 4),
            updated_at=changed or created,
        )
        if self._recipe.password_hash is not None:
            password_hash = self._recipe.password_hash
            self._add("credentials", user_id=user_id, password_hash=password_hash, changed_at=created)
        self._api_keys(user_id, created)
        self._ssh_keys(user_id, created)
        self._servers(user_id, created, number)
        for wallet in ledger.wallets(user_id, created, self._end, self._random):
            self._batch["wallets"].append(wallet)
            self._batch["wallet_entries"].extend(ledger.entries(wallet, self._end, self._random))

    def _person(self, number: int) -> Row:
        """Return the columns of a person. The number makes the username and the email address unique."""
        culture = self._pick(words.CULTURES)
        first, first_latin = self._pick(culture.first_names)
        last, last_latin = self._pick(culture.last_names)
        email = f"{first_latin}.{last_latin}{number}@{self._pick(words.DOMAINS)}" if self._happens(0.97) else None
        return {
            "username": f"{self._pick(words.stems(first_latin, last_latin))}{number}",
            "email": email,
            "email_verified": email is not None and self._happens(0.85),
            "first_name": first,
            "last_name": last,
            "display_name": f"{first} {last[0]}." if self._happens(0.25) else None,
            "language": culture.language,
            "date_of_birth": (
                dt.date.fromordinal(self._between(FIRST_BIRTH, LAST_BIRTH)) if self._happens(0.6) else None
            ),
            "billing_address": self._address(culture, last),
        }

    def _address(self, culture: words.Culture, last: str) -> str:
        """Return an address as JSON text; no word of the lists needs escaping."""
        if self._happens(0.2):
            return f'{{"country": "{culture.country}"}}'
        number, street = 1 + int(self._draw() * 180), self._pick(culture.streets)
        line = f"{number} {street}" if culture.number_first else f"{street} {number}"
        city, code = self._pick(culture.cities)
        company = f'"company": "{last} & Co.", ' if self._happens(0.08) else ""
        return (
            f'{{{company}"line1": "{line}", "city": "{city}", "postal_code": "{code}", "country": "{culture.country}"}}'
        )

    def _sessions(self, user_id: str, created: int) -> int | None:
        """Add the sessions of an account, and return when the latest one was opened."""
        latest = None
        for _ in range(self._pick(SESSIONS)):
            opened = self._between(max(created, self._end - SESSION_SPAN), self._end)
            last_use = min(opened + SESSION_LIFETIME, self._end)
            ended = self._maybe(0.25, opened, last_use)
            session, agent = self._new(opened), self._pick(words.USER_AGENTS)
            self._add(
                "sessions",
                **session,
                user_id=user_id,
                ip=self._pick(words.ADDRESSES),
                user_agent=agent,
                device=_device(agent),
                idle_expires_at=opened + SESSION_LIFETIME,
                authenticated_at=opened,
                last_seen_at=self._between(opened, ended or last_use),
                expires_at=opened + SESSION_LIFETIME,
                ended_at=ended,
            )
            self._add("session_tokens", hash=self._digest(), session_id=session["id"])
            latest = max(latest or 0, opened)
        return latest

    def _digest(self) -> bytes:
        # SECURITY: the digest itself is random. If it were computed from a generated token, a person who knows the seed
        # could generate the token again and sign in with it. No token can be found for a random digest.
        return self._random.randbytes(32)

    def _api_keys(self, user_id: str, created: int) -> None:
        offset = int(self._draw() * len(words.API_KEY_NAMES))
        for index in range(self._pick(API_KEYS)):
            added = self._between(created, self._end)
            key, expires = self._new(added), self._maybe(0.4, added, self._end + 365 * DAY)
            self._add(
                "api_keys",
                **key,
                user_id=user_id,
                name=words.API_KEY_NAMES[(offset + index) % len(words.API_KEY_NAMES)],
                prefix=TokenKind.API_KEY.value + "".join(self._random.choices(ALPHABET, k=VISIBLE_LENGTH)),
                permissions=self._pick(words.API_KEY_PERMISSIONS),
                allowed_ips=self._pick(words.NETWORKS) if self._happens(0.15) else (),
                last_used_at=self._maybe(0.7, added, min(expires or self._end, self._end)),
                expires_at=expires,
            )
            self._add("api_key_secrets", hash=self._digest(), api_key_id=key["id"])

    def _ssh_keys(self, user_id: str, created: int) -> None:
        offset = int(self._draw() * len(words.MACHINES))
        for index in range(self._pick(SSH_KEYS)):
            added = self._between(created, self._end)
            name = words.MACHINES[(offset + index) % len(words.MACHINES)]
            blob = SSH_PREFIX + self._random.randbytes(32)
            fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            self._add(
                "ssh_keys",
                **self._new(added),
                user_id=user_id,
                name=name,
                type="ssh-ed25519",
                fingerprint=f"SHA256:{fingerprint}",
                public_key=f"ssh-ed25519 {base64.b64encode(blob).decode()} {name}",
                last_used_at=self._maybe(0.6, added, self._end),
            )

    def _servers(self, user_id: str, created: int, number: int) -> None:
        for index in range(1, self._pick(SERVERS) + 1):
            self._add(
                "servers",
                **self._new(self._between(created, self._end)),
                name=f"{self._pick(words.SERVER_NAMES)} {index}",
                external_id=f"vm-{number}-{index}" if self._happens(0.5) else None,
                owner_id=user_id,
            )

    def _subusers(self) -> None:
        """Add memberships of users of the batch on servers of other users of the batch."""
        people = self._batch["users"]
        for server in self._batch["servers"]:
            members = {server["owner_id"]}
            for _ in range(self._pick(SUBUSERS)):
                person = self._pick(people)
                if person["id"] in members:
                    continue
                members.add(person["id"])
                joined = self._between(max(server["created_at"], person["created_at"]), self._end)
                self._add(
                    "subusers",
                    **self._new(joined),
                    server_id=server["id"],
                    user_id=person["id"],
                    permissions=self._pick(words.SERVER_PERMISSIONS),
                    until=self._maybe(0.1, joined, self._end + 90 * DAY),
                )
