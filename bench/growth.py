"""Growth: what a request costs with more rows in its answer, and with more users in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from bench.contenders import CONTENDERS, ROSTER
from bench.database import Data
from bench.measure import MILLISECONDS, Figures, Meter
from bench.processes import Server
from bench.workloads import SCALARS, UPDATE, USER, Request, operation
from service import limits

PAGE = 100  # users of a page at most
ROWS = (10, 100, 1_000)
ROUNDS = 3
SMALL, LARGE = 10_000, 1_000_000  # users, to see growth
ROW_REQUESTS = 2_000  # rows of a round divided by rows of a request
USER_REQUESTS = 20
SERVERS = ("roster", "roster_core")


@dataclass
class Growth:
    """The figures, by number of rows and server, and by document and number of users."""

    rows: dict[tuple[int, str], Figures] = field(default_factory=lambda: defaultdict(Figures))
    users: dict[tuple[str, int], Figures] = field(default_factory=lambda: defaultdict(Figures))

    def lines(self) -> Iterable[str]:
        """Return the lines of the report."""
        yield "## Cost against rows\n"
        yield f"Users with 10 scalars; more than {PAGE} by aliases. Server CPU in microseconds for each row.\n"
        yield f"| rows | {' | '.join(SERVERS)} | database CPU |"
        yield "|---:|---:|---:|---:|"
        for count in ROWS:
            costs = [self.rows[count, name].server_ms / count * MILLISECONDS for name in SERVERS]
            database = self.rows[count, ROSTER].database_ms / count * MILLISECONDS
            yield f"| {count:,} | {' | '.join(f'{cost:.1f}' for cost in (*costs, database))} |"
        yield ""
        sizes = sorted({users for _, users in self.users})
        yield "## Cost against users\n"
        yield "This service, one connection: p50 of a request in ms / database CPU in ms.\n"
        yield f"| document | {' | '.join(f'{size:,} users' for size in sizes)} |"
        yield f"|---|{'---:|' * len(sizes)}"
        for name in dict.fromkeys(name for name, _ in self.users):
            cells = (self.users[name, size] for size in sizes)
            yield f"| {name} | {' | '.join(f'{cell.percentile(50):.2f} / {cell.database_ms:.2f}' for cell in cells)} |"
        yield ""


def measure_rows(growth: Growth, servers: Mapping[str, Server], data: Data, meter: Meter) -> None:
    """Measure answers of 10, 100, and 1,000 users."""
    for number in range(-1, ROUNDS):
        for count in ROWS:
            message = _request(_rows(count)).to_graphql(data.token)
            for name in SERVERS:
                figures = Figures() if number < 0 else growth.rows[count, name]  # the first round is not counted
                requests = max(ROW_REQUESTS // count, 4)
                meter.add_round(figures, servers[name], [message], count=requests, connections=4)


def measure_users(growth: Growth, databases: list[tuple[Data, Server]], meter: Meter) -> None:
    """Measure documents whose cost could depend on the number of users, on each database in turn."""
    for number in range(-1, ROUNDS):
        for name, build in DOCUMENTS.items():
            for data, server in databases:
                figures = Figures() if number < 0 else growth.users[name, data.users]
                messages = [_request(build(data, index)).to_graphql(data.token) for index in range(USER_REQUESTS)]
                meter.add_round(figures, server, messages, count=USER_REQUESTS, connections=1)


def start(data: Data, folder: Path) -> Server:
    """Start this service on a database."""
    inner = folder / str(data.users)
    inner.mkdir(exist_ok=True)
    return next(each for each in CONTENDERS if each.name == ROSTER).start(data, inner)


def _request(body: dict[str, object]) -> Request:
    return Request(orjson.dumps(body), "")


def _rows(count: int) -> dict[str, object]:
    size = min(count, PAGE)
    page = f"users(first: {size}, offset: %d) {{ nodes {{ {SCALARS} }} }}"
    pages = (f"p{start}: {page % start}" for start in range(0, count, size))
    return operation(f"{{ {' '.join(pages)} }}")


def _users(arguments: str, fields: str = "nodes { id username }") -> Callable[[Data, int], dict[str, object]]:
    def build(_data: Data, _index: int) -> dict[str, object]:
        return operation(f"{{ users({arguments}) {{ {fields} }} }}")

    return build


def _user(data: Data, index: int) -> dict[str, object]:
    return operation(USER, id=data.ids[index % len(data.ids)])


def _update(data: Data, index: int) -> dict[str, object]:
    return operation(UPDATE, id=data.ids[index % len(data.ids)], name=f"Growth{index}")


COUNT = "totalCount totalCountIsEstimate"
DOCUMENTS: dict[str, Callable[[Data, int], dict[str, object]]] = {
    "user by id": _user,
    "update of a user": _update,
    "page of 50, newest": _users("first: 50"),
    "page of 50, by username": _users("first: 50, orderBy: USERNAME_ASC"),
    # Both databases have more users than this
    "page of 50 at the largest offset": _users(f"first: 50, offset: {min(limits.OFFSET, SMALL - 50)}"),
    "count": _users("first: 1", COUNT),
    "rare search": _users('first: 20, search: "anna17"'),
    "common search, newest": _users('first: 20, search: "anna"'),
    "common search, by username": _users('first: 20, search: "anna", orderBy: USERNAME_ASC'),
    "common search, by username in reverse": _users('first: 20, search: "anna", orderBy: USERNAME_DESC'),
    "count of a common search": _users('first: 1, search: "anna"', COUNT),
    "filter: second factor": _users("first: 20, filter: {twoFactorEnabled: true}"),
    "filter: tier": _users("first: 20, filter: {tier: ENTERPRISE}"),
    "filter: tier, second factor, not verified": _users(
        "first: 20, filter: {tier: PAID, twoFactorEnabled: true, emailVerified: false}"
    ),
    "count of tier and not verified": _users("first: 1, filter: {tier: PAID, emailVerified: false}", COUNT),
    "filter: suspended, latest login first": _users(
        "first: 20, filter: {suspended: true}, orderBy: LAST_LOGIN_AT_DESC"
    ),
    "filter: last login long ago": _users('first: 20, filter: {lastLoginBefore: "2024-06-01T00:00:00Z"}'),
}
