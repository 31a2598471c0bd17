"""The only way to a transaction: a Write holds its statements, its guards and its audit event together.

The audit event commits with the change or not at all. What must not happen before the commit (mail, events) goes on
`after_commit`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from strawberry.utils.str_converters import to_camel_case

from service.access import Rule, expand
from service.actor import Actor
from service.database import Transaction
from service.errors import ErrorCode, Fault, FaultCode, refuse
from service.rows import Row

if TYPE_CHECKING:
    from service.context import Context

REDACTED: Mapping[str, str] = {"old": "[redacted]", "new": "[redacted]"}
# What a reader of the audit log learns nothing from, and columns that a statement adds for its reader
_SILENT = frozenset({"key", "last_login_at", "position", "updated_at", "version"})
# jsonb columns that keep an input by the Python names of its fields
_INPUTS = frozenset({"billing_address", "limit_overrides", "limits"})


class Write:
    """One change inside one transaction, by one actor. Made by `Context.write`."""

    def __init__(self, context: Context, transaction: Transaction, event: str, rule: Rule) -> None:
        self.actor = context.actor
        self.rule = rule
        self.after_commit: list[Callable[[], Awaitable[None]]] = []
        self._context = context
        self._transaction = transaction
        self._event = event
        self._target: Row | None = None
        self._changes: dict[str, Any] = {}
        self._settled = False

    async def run(self, statement: str, /, **parameters: Any) -> Any:
        """Runs a statement by name inside the transaction."""
        return await self._transaction.run(statement, **parameters)

    async def lock(self, statement: str, row_id: str, *field: str) -> Any:
        """The target of the mutation, held until commit.

        NOT_FOUND where there is none or the caller may not touch it.
        """
        row = await self.run(statement, id=row_id)
        # SECURITY: what the caller may not reach is answered like what is not there, or ids could be probed
        if row is None or not await self._context.reaches(self.rule, row):
            raise refuse(ErrorCode.NOT_FOUND, "There is no such object", *(field or ("id",)))
        return row

    async def own_account(self) -> Any:
        """The caller's own account, held until commit; UNAUTHENTICATED when it was deleted meanwhile."""
        user = await self.run("lock_user", id=self.actor.user_id)
        if user is None:
            raise Fault(FaultCode.UNAUTHENTICATED, "This account is gone")
        return user

    async def not_above(self, user: Any, *field: str) -> None:
        """Refuses a target who holds more than the caller: nobody changes, suspends or deletes above what they hold."""
        role = await self.run("role_by_id", id=user.role_id)
        self.grants(role.permissions, *field)

    async def not_above_owner(self, row: Any) -> None:
        """Refuses somebody else's object whose owner holds more than the caller."""
        if row.user_id != self.actor.user_id:
            await self.not_above(await self.run("lock_user", id=row.user_id))

    async def not_above_server(self, server: Any, *field: str) -> None:
        """Refuses somebody else's server whose owner holds more than the caller."""
        if server.owner_id != self.actor.user_id:
            # Not locked: deleting an account locks it before its servers
            for owner in await self.run("users_by_id", keys=[server.owner_id]):
                await self.not_above(owner, *field)

    def by(self, actor: Actor) -> None:
        """The event is that of who just signed in."""
        self.actor = actor

    def grants(self, role_permissions: Iterable[str], *field: str) -> None:
        """Refuses admin permissions that the caller does not hold with this very credential."""
        beyond = expand(role_permissions) - self.actor.held.admin
        if beyond:
            names = ", ".join(sorted(beyond))
            raise refuse(
                ErrorCode.NOT_ALLOWED, f"This takes permissions that you do not hold: {names}", *(field or ("id",))
            )

    def created(self, row: Any, **further: Any) -> None:
        """The event tells of a new object."""
        made = {name: {"old": None, "new": value} for name, value in _visible(row).items() if value is not None}
        self._record(row, made | further)

    def changed(self, old: Any, new: Any, **further: Any) -> None:
        """The event tells what differs; where nothing does, there is no event. `further` adds what no column shows."""
        before, after = _visible(old), _visible(new)
        changes = {name: {"old": before[name], "new": after[name]} for name in after if before[name] != after[name]}
        self._record(new, changes | further)

    def deleted(self, row: Any, **further: Any) -> None:
        """The event tells of what is gone."""
        gone = {name: {"old": value, "new": None} for name, value in _visible(row).items() if value is not None}
        self._record(row, gone | further)

    def unchanged(self) -> None:
        """This request turned out to ask for nothing new."""
        self._settled = True

    def _record(self, row: Any, changes: dict[str, Any]) -> None:
        if self._settled:
            raise RuntimeError(f"{self._event}: a write has one event")
        self._settled = True
        self._target, self._changes = row, changes

    async def finish(self) -> None:
        """Writes the event; RuntimeError where the mutation forgot to say what it did."""
        if not self._settled:
            raise RuntimeError(f"{self._event}: the write did not say what it changed")
        if self._target is None or not self._changes:
            return
        columns = self._target.ownership.columns
        request = self._context.request
        await self.run(
            "create_audit_event",
            event=self._event,
            actor_id=self.actor.user_id,
            credential=self.actor.credential,
            target_type=type(self._target).__name__,
            target_id=self._target.id,
            owner_id=getattr(self._target, columns[0]) if columns else None,
            changes=self._changes,
            ip=request.ip,
            request_id=request.id,
        )


def _visible(row: Row) -> dict[str, Any]:
    """The columns that an event tells, by the names that the schema gives them."""
    return {
        to_camel_case(name): _renamed(value) if name in _INPUTS else value
        for name, value in row.items()
        if name not in _SILENT
    }


def _renamed(value: dict[str, Any]) -> dict[str, Any]:
    return {to_camel_case(name): item for name, item in value.items()}
