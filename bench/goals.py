"""The goals for the service, as multiples of what another server costs in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.contenders import COALESCED, FLOOR, ROSTER
from bench.measure import Results

MERCURIUS = "mercurius"
MAIN = 16  # connections
MOST_DATABASE_MS = 0.6  # more than the floor that W3 may use in the database, where the server saves more


@dataclass(frozen=True)
class Goal:
    """The most that the service may cost."""

    load: str
    base: str
    most: float
    connections: int = MAIN
    database: bool = False

    def cost(self, results: Results, name: str) -> float:
        """Return the CPU time of a server in ms a request."""
        figures = results[self.connections, self.load, name]
        return figures.database_ms if self.database else figures.server_ms

    def is_met(self, results: Results) -> bool:
        """Return whether the service reaches the goal."""
        own, other = self.cost(results, ROSTER), self.cost(results, self.base)
        if own <= self.most * other:
            return True
        server = Goal(self.load, self.base, self.most, self.connections)
        saved = server.cost(results, self.base) - server.cost(results, ROSTER)
        return self.database and self.load == "W3" and own - other <= min(MOST_DATABASE_MS, saved)


GOALS = (
    *(Goal(load, FLOOR, most) for load, most in (("W1", 1.0), ("W2", 1.2), ("W3", 1.0), ("W4", 1.0), ("W6", 1.5))),
    Goal("W5", COALESCED, 1.3),
    *(Goal(load, MERCURIUS, 1.0) for load in ("W1", "W2", "W3", "W4", "W6")),
    *(Goal(load, FLOOR, 2.5, connections=1) for load in ("W1", "W2", "W3", "W4")),
    *(Goal(load, FLOOR, 1.3, database=True) for load in ("W1", "W2", "W3", "W4")),
    # The floor has neither an audit row nor a credential
    *(Goal(load, COALESCED, 1.3, database=True) for load in ("W5", "W6")),
)


def rows(results: Results) -> Iterator[list[str]]:
    """Yield a row for each goal that the run measured."""
    for goal in GOALS:
        measured = {(goal.connections, goal.load, name) for name in (ROSTER, goal.base)}
        if not measured <= results.keys():
            continue
        other = goal.cost(results, goal.base)
        ratio = f"{goal.cost(results, ROSTER) / other:.2f}" if other > 0 else "-"
        kind = "database" if goal.database else "server"
        met = "yes" if goal.is_met(results) else "no"
        yield [goal.load, kind, goal.base, str(goal.connections), f"{goal.most:.1f}", ratio, met]
