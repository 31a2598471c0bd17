"""Writes: a change, its guards, and its audit event in one transaction, which commits all of them or nothing.

    async with write(info, "user.suspend") as change:
        user = await change.lock("lock_user", input.id)
        await change.require_not_above(user)
        changed = await change.run("suspend_user", id=user.id, ...)
        change.updated(user, changed)

Guards come first. The first statement that changes data raises every problem found so far. With it the credential of
the caller is read again, because locks may have waited, and once more with the event, the last statement before the
commit. Each reads what is committed when it begins (READ COMMITTED). If the caller may no longer change the data, the
transaction is rolled back. The credential's rows are not locked instead: all requests of a caller would write to them,
a demotion of the caller would wait for the caller's writes, and two users who change each other would deadlock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from service.access.actor import Actor, expand
from service.access.authenticate import ACTOR, actor_of
from service.access.authorize import Verdict, exceeding, require_still
from service.access.rules import OPEN, Rule
from service.audit import event_columns
from service.context import Context, Info, Request
from service.database.connection import Database
from service.database.constraints import rejected_constraints
from service.database.transaction import Transaction
from service.description import Description
from service.errors import ApiError, ApiErrorCode, ErrorCode, MutationRejected, Problems, reject
from service.write_limits import BYTES_PER_WRITE


class Write(Description):
    """One change inside one transaction, by one actor."""

    def __init__(
        self, event: str, actor: Actor, transaction: Transaction, request: Request | None, problems: Problems
    ) -> None:
        super().__init__(event, actor)
        self.problems = problems
        self.rule: Rule = OPEN
        self._context: Context | None = None
        self._transaction = transaction
        self._request = request
        self._changing = False
        self._relied_on: set[str] = set()
        self._ends_credential = False
        self.after_commit: list[Callable[[], None]] = []  # called once a mutation is committed

    @property
    def context(self) -> Context:
        """The context of the operation; a write of the service itself has none."""
        if self._context is None:
            raise RuntimeError(f"{self._event}: this write has no caller")
        return self._context

    def attach(self, context: Context, rule: Rule) -> None:
        """Connect the write to an operation, and to the rule of its mutation."""
        self._context, self.rule = context, rule

    # Statements

    async def run(self, statement: str, /, **parameters: Any) -> Any:
        """Run a statement inside the transaction. The first one that changes data ends the guards."""
        if self._changing or not self._transaction.statements[statement].changes_data:
            return await self._transaction.run(statement, **parameters)
        self.problems.raise_if_any()
        self._changing = True
        return await self._run_with_authority(statement, parameters)

    async def _run_with_authority(self, statement: str, parameters: dict[str, Any], *, ended: bool = False) -> Any:
        """Run a changing statement, and raise if the caller's credential as it is then no longer allows this write."""
        if self.actor.token_hash is None:
            return await self._transaction.run(statement, **parameters)
        token_hash = self.actor.token_hash
        result, row = await self._transaction.run_with_row(statement, ACTOR, token_hash=token_hash, **parameters)
        self._judge(row, ended=ended)
        return result

    async def lock(self, statement: str, row_id: str, *field: str) -> Any:
        """Return the target of the mutation, locked until commit. NOT_FOUND if the caller may not change it."""
        row = await self.run(statement, id=row_id)
        # SECURITY: a hidden object is reported like a missing one, because ids could be probed otherwise
        if row is None or not await self.context.viewer.can_reach(self.rule, row):
            raise reject(ErrorCode.NOT_FOUND, "This object does not exist.", *(field or ("id",)))
        return row

    async def lock_own_user(self) -> Any:
        """Return the caller's own user, locked until commit. UNAUTHENTICATED if it was deleted in the meantime."""
        user = await self.run("lock_user", id=self.actor.user_id)
        if user is None:
            raise ApiError(ApiErrorCode.UNAUTHENTICATED, "This account no longer exists.")
        return user

    # Guards

    def require_not_above(self, user: Any, *field: str) -> None:
        """Reject a user who holds more than the caller: a caller may only change users within their own permissions.

        `user` is a row of `lock_user`. The role is not locked, because many users share it.
        """
        self.require_held(user.role_permissions, "This user holds permissions that you do not hold", *field)

    async def require_owner_not_above(self, row: Any) -> None:
        """Reject another user's object whose owner holds more than the caller."""
        if row.user_id != self.actor.user_id:
            self.require_not_above(await self.run("lock_user", id=row.user_id))

    async def require_server_not_above(self, server: Any, *field: str) -> None:
        """Reject another user's server whose owner holds more than the caller."""
        if server.owner_id != self.actor.user_id:
            # Not locked, because the deletion of a user locks the user before the servers
            owner = await self.run("user_with_permissions", id=server.owner_id)
            if owner is not None:
                self.require_not_above(owner, *field)

    def require_held(self, permissions: Iterable[str], message: str, *field: str) -> None:
        """Reject admin permissions that the caller does not hold with this credential."""
        permissions = list(permissions)
        beyond = exceeding(permissions, self.actor.authority)
        if beyond:
            # SECURITY: the permissions of a role are named only to callers who may read roles
            named = self._context is not None and self._context.viewer.shows("Role", "permissions", own=False)
            names = f": {', '.join(sorted(beyond))}" if named else ""
            raise reject(ErrorCode.NOT_ALLOWED, f"{message}{names}.", *(field or ("id",)))
        self.relies_on(expand(permissions))

    def relies_on(self, permissions: Iterable[str]) -> None:
        """Require that the caller still holds the admin permissions among these when the data is changed."""
        self._relied_on.update(self.actor.authority.admin.intersection(permissions))

    def require_grantable(self, permissions: Iterable[str], *field: str) -> None:
        """Add a problem for admin permissions that the caller may not pass on to a role or a user."""
        permissions = list(permissions)
        try:
            self.require_held(permissions, "This requires permissions that you do not hold", *field)
        except MutationRejected as rejection:
            self.problems.extend(rejection.problems)
        else:
            if permissions:
                self.require_lasting_key("grant admin permissions", *field)

    def require_lasting_key(self, action: str, *field: str) -> None:
        """Add a problem if the caller uses an API key that expires or is limited to networks.

        SECURITY: such a key must not outlive its expiry or escape its networks by what it creates.
        """
        if self.actor.key_bounds is not None and self.actor.key_bounds.limited:
            message = f"An API key that expires or is limited to networks cannot {action}."
            self.problems.add(ErrorCode.NOT_ALLOWED, message, *field)

    def require_mutation(self, field_name: str, *field: str) -> None:
        """Add a problem if the caller may not run another mutation, because this one does the same."""
        rule = self.context.viewer.rule("Mutation", field_name)
        if self.context.viewer.verdict(rule) is Verdict.ALLOWED:
            self.relies_on([rule.any or ""])
        else:
            self.problems.add(ErrorCode.NOT_ALLOWED, f"This requires the permission {rule.any}.", *field)

    def _judge(self, row: Any, *, ended: bool) -> None:
        """Raise if the credential in a row of ACTOR does not allow this write; `ended` says that the write ended it."""
        actor = actor_of(row, self.actor.token_hash or b"", None if self._request is None else self._request.ip)
        if not ended:
            actor.require_valid()
        if not self._changed_own_authority and actor.rejection is None:
            require_still(self.rule, self.actor, actor, self._relied_on, ended=ended)

    # The event

    def act_as(self, actor: Actor) -> None:
        """Attribute the event to a user who has just signed in."""
        self.actor = actor

    def ends_own_credential(self) -> None:
        """Expect that the caller's own session or API key is no longer valid after this write."""
        self._ends_credential = True

    async def finish(self) -> None:
        """Write the event, and authenticate the caller again. RuntimeError without a description of the change."""
        if not self._described:
            raise RuntimeError(f"{self._event}: the write did not describe its change")
        self.problems.raise_if_any()
        if self._changes:
            columns = event_columns(self._event, self.actor, self._request, self._target, self._changes)
            await self._run_with_authority("create_audit_event", columns, ended=self._ends_credential)
        elif self.actor.token_hash is not None:
            row = await self._transaction.run(ACTOR, token_hash=self.actor.token_hash)
            self._judge(row, ended=self._ends_credential)


@asynccontextmanager
async def write(info: Info, event: str) -> AsyncIterator[Write]:
    """Open the transaction of a mutation; `event` names its audit event. Commit at the end of the block.

    A violated constraint becomes the problem that `errors.CONSTRAINTS` has for it.
    """
    context = info.context
    user_id, admin = context.actor.user_id, bool(context.actor.authority.admin)
    if user_id is not None:
        context.resources.writes.count(user_id, admin=admin)
    # What was read before the locks are held may be outdated
    context.loaders.forget()
    try:
        with rejected_constraints():
            async with context.resources.database.transaction() as transaction:
                change = Write(event, context.actor, transaction, context.request, info.problems)
                change.attach(context, context.viewer.rule("Mutation", info.field_name))
                if info.idempotency is not None:
                    await info.idempotency.claim(transaction.run, change.actor.user_id)
                yield change
                await change.finish()
                if user_id is not None and change.event_size >= BYTES_PER_WRITE:
                    context.resources.writes.count(user_id, change.event_size, admin=admin)
                if info.idempotency is not None and change.target_id is not None:
                    await info.idempotency.complete(transaction.run, change.actor.user_id, change.target_id)
            for action in change.after_commit:
                action()
    finally:
        context.loaders.forget()


@asynccontextmanager
async def write_as(actor: Actor, database: Database, event: str) -> AsyncIterator[Write]:
    """Open the transaction of a command or job of the service itself, see `access.actor.system_actor`."""
    with rejected_constraints():
        async with database.transaction() as transaction, writing(actor, transaction, event) as change:
            yield change


@asynccontextmanager
async def writing(actor: Actor, transaction: Transaction, event: str) -> AsyncIterator[Write]:
    """Write with an event inside a transaction that the caller has opened."""
    change = Write(event, actor, transaction, None, Problems())
    yield change
    await change.finish()
