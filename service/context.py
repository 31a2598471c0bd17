"""What a resolver has at hand: the caller, the loaders, and the way to write. One Context serves one operation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
import strawberry

from service.access import OPEN, Ownership, Rule, Verdict, decide, opens, owns
from service.actor import Actor, judged_again
from service.cost import Budget
from service.database import Database
from service.errors import CONSTRAINTS, Refused
from service.loaders import Loaders
from service.names import UsernamePolicy
from service.passwords import PasswordHasher, PasswordPolicy
from service.settings import Settings
from service.write import Write

Rules: TypeAlias = Mapping[tuple[str, str], Rule]


@dataclass(frozen=True, slots=True)
class Request:
    """What the door knows of an HTTP request; `secure` says whether it came by https."""

    id: str
    ip: str | None = None
    user_agent: str | None = None
    secure: bool = False


@dataclass(frozen=True, slots=True)
class House:
    """What all requests of a worker share."""

    settings: Settings
    database: Database
    hasher: PasswordHasher
    usernames: UsernamePolicy
    passwords: PasswordPolicy


@dataclass
class Context:
    """State of one operation. `session_token` is set by those who sign in (a token) or out (empty), for the cookie."""

    house: House
    request: Request
    actor: Actor
    loaders: Loaders
    rules: Rules
    budget: Budget
    session_token: str | None = None
    verdicts: dict[Rule, Verdict] = field(default_factory=dict)

    def become(self, actor: Actor, session_token: str) -> None:
        """From here on the operation is that of another caller, and the cookie follows."""
        self.actor = actor
        self.session_token = session_token
        self.verdicts.clear()

    def decide(self, rule: Rule) -> Verdict:
        """What the rule means for the caller, before any row is seen."""
        verdict = self.verdicts.get(rule)
        if verdict is None:
            verdict = self.verdicts[rule] = decide(rule, self.actor.held)
        return verdict

    def belongs(self, own: str, row: Any, ownership: Ownership) -> bool | Awaitable[bool]:
        """Whether the row belongs to the caller, as far as the permission `own` asks."""
        if owns(row, ownership, self.actor.user_id, self.actor.role_id):
            return True
        return self._shares(own, getattr(row, ownership.server)) if ownership.server else False

    async def reaches(self, rule: Rule, row: Any) -> bool:
        """Whether the caller may see or touch the row under the rule."""
        verdict = self.decide(rule)
        if verdict is not Verdict.ROWS or rule.own is None:
            return verdict is Verdict.ALLOWED
        belongs = self.belongs(rule.own, row, row.ownership)
        return belongs if isinstance(belongs, bool) else await belongs

    async def on_server(self, server_id: str) -> frozenset[str]:
        """What the caller may do on the server as its owner or as a subuser."""
        shared = await self.share(server_id)
        return frozenset() if shared is None else self.actor.held.on_server(shared["permissions"])

    async def share(self, server_id: str) -> Any:
        """The caller's own part in the server, `permissions` and `until`; None without one."""
        if self.actor.user_id is None:
            return None
        return await self.loaders.one("server_permissions", server_id, viewer=self.actor.user_id)

    async def _shares(self, own: str, server_id: str) -> bool:
        shared = await self.share(server_id)
        return opens(own, None if shared is None else shared["permissions"], self.actor.held)

    async def _judge_again(self, rule: Rule) -> None:
        """A request may wait long before it writes: its credential counts as it does now, not as at its start."""
        if self.actor.hash is None:
            return
        self.actor = await judged_again(self.house.database, self.actor, ip=self.request.ip)
        self.actor.insist()
        self.verdicts.clear()
        if self.decide(rule) is Verdict.REFUSED:
            raise self.actor.denial(rule.any or rule.own)

    @asynccontextmanager
    async def write(self, info: Info, event: str) -> AsyncIterator[Write]:
        """The only way to a transaction.

        Commits the change together with its audit event, then runs what waited for it.
        """
        rule = self.rules.get(("Mutation", info.field_name), OPEN)
        # What was read before the locks are held may be old
        self.loaders.forget()
        try:
            async with self.house.database.transaction() as transaction:
                await self._judge_again(rule)
                write = Write(self, transaction, event, rule)
                yield write
                await write.finish()
                # SECURITY: the locks may have been waited for; whoever was suspended, signed out or deleted meanwhile
                # changes nothing any more. Asked outside the transaction, which may end the very session itself.
                if self.actor.hash is not None:
                    (await judged_again(self.house.database, self.actor, ip=self.request.ip)).insist()
        except asyncpg.IntegrityConstraintViolationError as error:
            problem = CONSTRAINTS.get(error.constraint_name or "")
            if problem is None:
                raise
            raise Refused(problem) from error
        finally:
            self.loaders.forget()
        for step in write.after_commit:
            await step()


Info: TypeAlias = strawberry.Info[Context, None]
