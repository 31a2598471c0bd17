"""The report: docs/performance.md, with a table for each kind of figure, and its chart."""

from __future__ import annotations

import datetime as dt
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import chart, goals
from bench.contenders import COALESCED, FLOOR, ROSTER, Contender
from bench.growth import Growth
from bench.measure import Effort, Figures, Results
from bench.workloads import WORK_LOADS

DOCS = Path(__file__).parent.parent / "docs"
TEXTS = {"request", "server", "CPU of the"}  # second columns that are not numbers
LEAST_DATABASE_MS = 0.005
NAMES = [load.name for load in WORK_LOADS]

HEAD = """# Performance

`make bench` writes this file. All servers run on one machine and one database, each as one process, and are measured
in turns: {rounds} rounds for each work load and number of connections. Absolute times differ between machines and
hours, so only the ratios within one run count. This run: {day}, {users:,} users, {cores} cores, Python {python}{quick}.

Before the measurement the answers of all servers are compared. This service checks the credential of each request, as
in production, and writes its log. CPU time is that of all processes of a server, in user and kernel mode, the median of
the rounds.

![Server CPU time as a multiple of the floor](performance.svg)
"""


@dataclass(frozen=True)
class Report:
    """All that was measured."""

    contenders: tuple[Contender, ...]
    results: Results
    memory: Mapping[str, float]  # MB
    sizes: Mapping[str, int]  # bytes of JSON
    users: int
    effort: Effort
    growth: Growth

    def figures(self, connections: int, load: str, name: str) -> Figures:
        """Return the figures of one server for one work load."""
        return self.results[connections, load, name]

    def ratio(self, connections: int, load: str, name: str, base: str) -> float:
        """Return the server's CPU time as a multiple of that of another."""
        figures, other = self.figures(connections, load, name), self.figures(connections, load, base)
        return figures.server_ms / other.server_ms

    def write(self, *, quick: bool) -> Path:
        """Write the file and the chart; return the path of the file."""
        DOCS.mkdir(exist_ok=True)
        connections = goals.MAIN if goals.MAIN in self.effort.connections else max(self.effort.connections)
        (DOCS / "performance.svg").write_text(self._chart(connections), encoding="utf-8")
        path = DOCS / "performance.md"
        path.write_text("\n".join(self._lines(connections, quick=quick)), encoding="utf-8")
        return path

    def _lines(self, connections: int, *, quick: bool) -> Iterable[str]:
        yield HEAD.format(
            rounds=self.effort.rounds,
            day=dt.datetime.now(dt.UTC).date(),
            users=self.users,
            cores=os.cpu_count(),
            python=platform.python_version(),
            quick=". A quick run: its figures are rough" if quick else "",
        )
        rows = [[load.name, load.text, f"{self.sizes[load.name]:,}"] for load in WORK_LOADS]
        yield from table("Work loads", ["", "request", "bytes of JSON"], rows)
        rows = [[each.name, each.text, number(self.memory[each.name])] for each in self.contenders]
        yield from table("Servers", ["", "server", "memory in MB at the end"], rows)
        yield from self._table(f"Server CPU, ms a request, {connections} connections", connections, _server)
        yield from self._table(f"Database CPU, ms a request, {connections} connections", connections, _database)
        header = ["", "CPU of the", "compared with", "connections", "most", "measured", "met"]
        yield from table("Goals, as multiples", header, list(goals.rows(self.results)))
        yield from self._ratios()
        for each in self.effort.connections:
            yield from self._table(f"Requests a second, {each} connections", each, _rate)
            yield from self._table(f"Time of a request, p50 / p99 in ms, {each} connections", each, _times)
        yield from self.growth.lines()

    def _table(self, title: str, connections: int, text: Callable[[Figures], str]) -> Iterable[str]:
        rows = [
            [each.name, *(text(self.figures(connections, load, each.name)) for load in NAMES)]
            for each in self.contenders
        ]
        yield from table(title, ["", *NAMES], rows)

    def _ratios(self) -> Iterable[str]:
        names = {each.name for each in self.contenders}
        rows = []
        for base in (FLOOR, COALESCED, "starlette", "mercurius", "stock", "roster_core"):
            for each in self.effort.connections:
                if base in names:
                    ratios = [number(self.ratio(each, load, ROSTER, base)) for load in NAMES]
                    rows.append([base, str(each), *ratios])
        yield from table(
            "Server CPU of this service as a multiple of the others'", ["compared with", "connections", *NAMES], rows
        )
        rows = []
        for base in (FLOOR, COALESCED):
            for each in self.effort.connections:
                rows.append([base, str(each), *(self._database_ratio(each, load, base) for load in NAMES)])
        yield from table("Database CPU of this service as a multiple", ["compared with", "connections", *NAMES], rows)

    def _database_ratio(self, connections: int, load: str, base: str) -> str:
        other = self.figures(connections, load, base).database_ms
        # Without a statement, only the background of the database is left
        if other < LEAST_DATABASE_MS:
            return "-"
        return number(self.figures(connections, load, ROSTER).database_ms / other)

    def _chart(self, connections: int) -> str:
        bars = {
            each.name: [self.ratio(connections, load, each.name, FLOOR) for load in NAMES] for each in self.contenders
        }
        title = f"Server CPU time of a request as a multiple of the floor, {connections} connections"
        return chart.grouped_bars(title, NAMES, bars)


def _server(figures: Figures) -> str:
    return number(figures.server_ms)


def _database(figures: Figures) -> str:
    return number(figures.database_ms)


def _rate(figures: Figures) -> str:
    return f"{figures.per_second:,.0f}"


def _times(figures: Figures) -> str:
    return f"{number(figures.percentile(50))} / {number(figures.percentile(99))}"


def number(value: float) -> str:
    """Return a number with three digits that matter, or fewer."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    decimals = min(max(2 - math.floor(math.log10(abs(value))), 0), 3)
    return f"{value:,.{decimals}f}"


def table(title: str, header: list[str], rows: list[list[str]]) -> Iterable[str]:
    """Return the lines of a section with a table; columns after the first are aligned to the right."""
    yield f"## {title}\n"
    yield f"| {' | '.join(header)} |"
    yield f"|---|{'---|' if header[1] in TEXTS else '---:|'}{'---:|' * (len(header) - 2)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
