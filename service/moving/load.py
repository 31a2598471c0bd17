"""Loading of batches: each is a transaction with its rows, their audit events, and the keys that they were made of.

A row is made once: its key is stored with it, and a later import finds the key. So an import that was stopped, in
whatever way, is run again to go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from service.access.actor import system_actor
from service.audit import REDACTED, created, event_columns, target_of
from service.database.servers import Connection
from service.database.statements import Statement
from service.database.transaction import Transaction
from service.moving import staging
from service.moving.batches import Batch
from service.moving.beside import store_beside
from service.moving.checks import Item
from service.moving.kinds import Kind
from service.moving.report import Report
from service.moving.wallets import adopt, is_adopted, with_wallets
from service.types.plan import effective_limits

ACTOR: Final = system_actor("command:import")
EVENT_COLUMNS: Final = ("event", "credential", "target_type", "target_id", "owner_id", "changes")
# What the database, or the codecs of its values, may reject in a single row
UNFIT: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    OverflowError,
)


class Loader:
    """Loads the batches of one source. `by_name` says that plans and roles are named, and not imported."""

    def __init__(
        self,
        connection: Connection,
        statements: Mapping[str, Statement],
        source: str,
        report: Report,
        *,
        by_name: bool = False,
    ) -> None:
        self._connection = connection
        self._transaction = Transaction(connection, statements)
        self._source = source
        self._report = report
        self._by_name = by_name

    async def load(self, batch: Batch) -> None:
        """Load a batch, in one transaction."""
        async with self._connection.transaction():
            for kind, items in batch:
                await self._resolve_optional(kind, items)
                fresh = await self._without_known(kind, items)
                fresh = await self._with_references(kind, fresh)
                await self._insert(kind, await self._with_free_ids(kind, fresh))

    async def _without_known(self, kind: Kind, items: Sequence[Item]) -> list[Item]:
        """Return the items whose keys were not imported before; of several with the same key the first."""
        known = set(await self._ids(kind.name, [item.key for item in items]))
        self._report.count(kind.name, "known", sum(item.key in known for item in items))
        fresh: dict[str, Item] = {}
        for item in items:
            if item.key in fresh:
                self._report.collides(kind.name, item.key, "An earlier row has the same key.")
            elif item.key not in known:
                fresh[item.key] = item
        return list(fresh.values())

    async def _ids(self, kind: str, keys: Sequence[str]) -> dict[str, str]:
        run = self._transaction.run
        if self._by_name and kind in {"plan", "role"}:
            rows = await run("plans_by_name" if kind == "plan" else "custom_roles_by_name", keys=keys)
        else:
            erased = {_erased(key): key for key in keys}
            rows = await run("imported_objects", source=self._source, kind=kind, keys=[*keys, *erased])
            return {erased.get(row["key"], row["key"]): row["id"] for row in rows}
        return {row["key"]: row["id"] for row in rows}

    async def _with_references(self, kind: Kind, items: Sequence[Item]) -> list[Item]:
        """Return the items whose references were found, with the ids."""
        missing: dict[str, str] = {}
        for column, target in kind.references.items():
            if column not in kind.optional:
                for item in await self._resolve(column, target, items):
                    reason = f"The {target} {item.references[column][:100]} does not exist, or was not taken."
                    missing.setdefault(item.key, reason)
        for key, reason in missing.items():
            self._report.dropped(kind.name, key, reason)
        found = [item for item in items if item.key not in missing]
        await self._complete(kind, found)
        if kind.name == "wallet":
            return await with_wallets(self._transaction, found, self._report)
        return [item for item in found if "owner_id" not in item.beside or self._is_not_owner(kind, item)]

    async def _resolve_optional(self, kind: Kind, items: Sequence[Item]) -> None:
        """Resolve the references that may be left out; those of known rows, too, so that each report is complete."""
        for column in sorted(kind.optional):
            target = kind.references[column]
            for item in await self._resolve(column, target, items):
                name = item.references[column][:100]
                reason = f"The {target} {name} does not exist, or was not taken. It is left out."
                self._report.part(kind.name, item.key, reason)

    async def _resolve(self, column: str, target: str, items: Sequence[Item]) -> list[Item]:
        """Set a column of the items to the ids of what they name; return the items whose record was not found."""
        naming = [item for item in items if column in item.references]
        wanted = {item.references[column] for item in naming}
        ids = await self._existing(target, await self._ids(target, list(wanted))) if wanted else {}
        missing = []
        for item in naming:
            found = ids.get(item.references[column])
            if found is None:
                missing.append(item)
            else:
                item.columns[column] = found
        return missing

    async def _existing(self, kind: str, ids: Mapping[str, str]) -> dict[str, str]:
        """Return the ids of objects that were not deleted since; users and servers are locked from then on."""
        statements = {"plan": "plans_by_id", "role": "roles_by_id"}
        if kind in statements:
            rows = await self._transaction.run(statements[kind], keys=list(ids.values()))
        else:
            rows = await self._transaction.run(f"lock_{kind}s", ids=list(ids.values()))
        there = {row["id"] for row in rows}
        return {key: found for key, found in ids.items() if found in there}

    async def _complete(self, kind: Kind, items: Sequence[Item]) -> None:
        """Add what other rows decide: the tier of a user, whether a plan is the default, the owner of a server."""
        if kind.name == "user":
            plans = {item.columns["plan_id"] for item in items} - {None}
            tiers = {plan.id: plan.tier for plan in await self._transaction.run("plans_by_id", keys=list(plans))}
            for item in items:
                item.columns["tier"] = item.columns["tier"] or tiers.get(item.columns["plan_id"], "FREE")
        elif kind.name == "plan":
            default = await self._transaction.run("default_plan")
            for item in items:
                if item.columns["is_default"] and default is not None:
                    item.columns["is_default"] = False
                    self._report.part(kind.name, item.key, "There is a default plan. This one is not the default.")
                elif item.columns["is_default"]:
                    default = item
        elif kind.name == "subuser":
            servers = await self._transaction.run("lock_servers", ids=[item.columns["server_id"] for item in items])
            owners = {server["id"]: server["owner_id"] for server in servers}
            for item in items:
                item.beside["owner_id"] = owners[item.columns["server_id"]]

    def _is_not_owner(self, kind: Kind, item: Item) -> bool:
        if item.beside["owner_id"] != item.columns["user_id"]:
            return True
        self._report.dropped(kind.name, item.key, "The user owns the server.")
        return False

    async def _with_free_ids(self, kind: Kind, items: Sequence[Item]) -> list[Item]:
        """Return the items whose ids, and the hashes of whose keys, belong to no object of any type."""
        kept = [item.columns["id"] for item in items if item.kept_id]
        used = {row["key"] for row in await self._transaction.run("types_by_id", keys=kept)} if kept else set()
        hashes = [item.beside["hash"] for item in items if "hash" in item.beside]
        if hashes:
            used |= {row["hash"] for row in await self._transaction.run("api_key_hashes", digests=hashes)}
        free = []
        for item in items:
            values = {item.columns["id"], item.beside.get("hash", item.columns["id"])}
            if values.isdisjoint(used):
                free.append(item)
                used |= values
            else:
                self._report.collides(kind.name, item.key, "Another object has the same id, or the same secret.")
        return free

    async def _insert(self, kind: Kind, items: Sequence[Item]) -> None:
        """Insert the rows of the items. Those that the database rejects are found by halves, and reported."""
        if not items:
            return
        try:
            async with self._connection.transaction():
                rows = await staging.insert(self._connection, kind, [item for item in items if not is_adopted(item)])
                rows += await adopt(self._transaction, [item for item in items if is_adopted(item)])
                beyond = await self._beyond_limits(kind, rows)
                rows = [row for row in rows if row["id"] not in beyond]
                made = {row["id"]: row for row in rows}
                new = [item for item in items if item.columns["id"] in made]
                await store_beside(self._transaction, kind, new)
                await self._remember(kind, new)
                await self._log(kind, new, made)
        except UNFIT as error:
            if len(items) > 1:
                half = len(items) // 2
                await self._insert(kind, items[:half])
                await self._insert(kind, items[half:])
                return
            reason = getattr(error, "constraint_name", None) or type(error).__name__
            self._report.dropped(kind.name, items[0].key, f"The database does not accept the row: {reason}.")
            return
        self._report.count(kind.name, "new", len(new))
        await self._report_others(kind, [item for item in items if item.columns["id"] not in made], beyond)

    async def _beyond_limits(self, kind: Kind, rows: Sequence[Any]) -> set[str]:
        """Remove the rows beyond the limit of their user or server, the last ones first; return their ids."""
        most = kind.most
        if most is None or not rows:
            return set()
        parents = list({row[most.column] for row in rows})
        limit = await self._limits(parents) if most.number is None else dict.fromkeys(parents, most.number)
        counted = await staging.numbers(self._connection, kind, parents)
        beyond: set[str] = set()
        for row in reversed(rows):
            parent = row[most.column]
            if parent in limit and counted.get(parent, 0) > limit[parent]:
                beyond.add(row["id"])
                counted[parent] -= 1
        if beyond:
            await staging.remove(self._connection, kind, list(beyond))
        return beyond

    async def _limits(self, owners: Sequence[str]) -> dict[str, int]:
        """Return the largest number of servers of the users who have one."""
        users = await self._transaction.run("lock_users", ids=owners)
        plans = {
            plan.id: plan
            for plan in await self._transaction.run(
                "plans_by_id", keys=list({user["plan_id"] for user in users} - {None})
            )
        }
        found = {}
        for user in users:
            plan = plans.get(user["plan_id"])
            most = effective_limits(user["limit_overrides"], None if plan is None else plan.limits).get("servers")
            if most is not None:
                found[user["id"]] = most
        return found

    async def _remember(self, kind: Kind, items: Iterable[Item]) -> None:
        rows = ((self._source, kind.name, item.key, item.columns["id"]) for item in items)
        await staging.copy(self._connection, "imported_rows", ("source", "kind", "key", "object_id"), rows)

    async def _log(self, kind: Kind, items: Iterable[Item], rows: Mapping[str, Any]) -> None:
        """Write an event for each object, as every change has one. Secrets are not in it."""
        events = []
        for item in items:
            row = rows[item.columns["id"]]
            secrets = {name: REDACTED for name in ("password", "authenticator") if item.beside.get(name)}
            changed = created(row) | {name: {"old": None, "new": value} for name, value in secrets.items()}
            if "balance" in item.beside:
                changed["balanceMsat"] = {"old": None, "new": item.beside["balance"]}
            columns = event_columns(f"{kind.name}.import", ACTOR, None, target_of(row), changed)
            events.append([columns[name] for name in EVENT_COLUMNS])
        await staging.copy(self._connection, "audit_events", EVENT_COLUMNS, events)

    async def _report_others(self, kind: Kind, items: Sequence[Item], beyond: set[str]) -> None:
        """Report why items have no row."""
        others = [item for item in items if item.columns["id"] not in beyond]
        found = (
            await staging.collisions(self._connection, kind, [item.columns["id"] for item in others]) if others else {}
        )
        for item in items:
            if item.columns["id"] in beyond:
                reason = "LIMIT_REACHED: the limits allow no more."
                self._report.dropped(kind.name, item.key, reason)
                continue
            taken = found.get(item.columns["id"], [])
            reasons = " ".join(f"The {what} is taken by {other}." for what, other in taken)
            self._report.collides(kind.name, item.key, reasons or "Another row was made at the same time.")


def _erased(key: str) -> str:
    """Return what `erased_key` of the database makes of the key of a deleted user."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest}"
