"""The caller of an operation as the executors see it: decisions on fields and rows, each made once."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeAlias

from service.access.actor import Actor
from service.access.authorize import Verdict, decide, denial, opens_by_share, owns
from service.access.rules import CLOSED, Rule
from service.database.loaders import Loaders
from service.errors import ApiError

# The rule of every field by (type, field), and of every type with a rule by (type, "")
Rules: TypeAlias = Mapping[tuple[str, str], Rule]


class Viewer:
    """An actor with the rules of the schema, and the loaders for the servers that the actor has a share in."""

    def __init__(self, actor: Actor, rules: Rules, loaders: Loaders) -> None:
        self.actor = actor
        self._rules = rules
        self._loaders = loaders
        self._verdicts: dict[Rule, Verdict] = {}

    def rule(self, type_name: str, field_name: str = "") -> Rule:
        """Return the rule of a field, or of a type. What is not declared is closed."""
        return self._rules.get((type_name, field_name), CLOSED)

    def verdict(self, rule: Rule) -> Verdict:
        """Return what the rule means for the actor."""
        verdict = self._verdicts.get(rule)
        if verdict is None:
            verdict = self._verdicts[rule] = decide(rule, self.actor.authority)
        return verdict

    def denial(self, rule: Rule, row: Any = None) -> ApiError:
        """Return the error of a field that the actor may not read."""
        return denial(self.actor, rule, row)

    def shows(self, type_name: str, field_name: str, *, own: bool) -> bool:
        """Return whether the actor could read a field of an object, which belongs to the actor or does not."""
        verdict = self.verdict(self.rule(type_name, field_name))
        return verdict is Verdict.ALLOWED or (own and verdict is Verdict.OWN_ROWS)

    def reaches(self, rule: Rule, row: Any) -> bool | Awaitable[bool]:
        """Return whether the actor may read or change a row under the rule. Only shares in servers must be awaited."""
        verdict = self.verdict(rule)
        if verdict is not Verdict.OWN_ROWS:
            return verdict is Verdict.ALLOWED
        ownership = rule.ownership or row.ownership
        if owns(self.actor, row, ownership):
            return True
        return self._reaches_by_share(rule, row[ownership.server]) if ownership.server else False

    async def can_reach(self, rule: Rule, row: Any) -> bool:
        """Return whether the actor may read or change a row under the rule."""
        reaches = self.reaches(rule, row)
        return reaches if isinstance(reaches, bool) else await reaches

    async def visible(self, type_name: str, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of a type that the actor may see at all: by the rule of the type, else by that of `node`.

        The shares in the servers of all rows are read in one statement.
        """
        rule = self._rules.get((type_name, ""), self.rule("Query", "node"))
        verdict = self.verdict(rule)
        if verdict is not Verdict.OWN_ROWS or not rows:
            return rows if verdict is Verdict.ALLOWED else ()
        ownership = rule.ownership or rows[0].ownership
        seen = [owns(self.actor, row, ownership) for row in rows]
        if ownership.server is not None and self.actor.user_id is not None and not all(seen):
            servers = [row[ownership.server] for row, own in zip(rows, seen, strict=True) if not own]
            shares = await self._loaders.load("shares_by_server", servers, viewer=self.actor.user_id)
            held = {server: share[0]["permissions"] for server, share in shares.items()}
            seen = [
                own or opens_by_share(rule, held.get(row[ownership.server]), self.actor.authority)
                for row, own in zip(rows, seen, strict=True)
            ]
        return [row for row, is_seen in zip(rows, seen, strict=True) if is_seen]

    async def share(self, server_id: str) -> Any:
        """Return the actor's share in a server, with `permissions` and `until`; None without one."""
        if self.actor.user_id is None:
            return None
        return await self._loaders.one("shares_by_server", server_id, viewer=self.actor.user_id)

    async def _reaches_by_share(self, rule: Rule, server_id: str) -> bool:
        share = await self.share(server_id)
        return opens_by_share(rule, None if share is None else share["permissions"], self.actor.authority)
