"""The measurement: rounds in which each server in turn gets the same number of requests."""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.contenders import Contender
from bench.database import Data
from bench.load import LoadGenerator
from bench.processes import Server, cpu_between, cpu_times
from bench.workloads import WORK_LOADS, WorkLoad

MILLISECONDS = 1000.0
FEWEST = 16  # requests of a round, so that every connection has some
WARM_UP = 32  # requests at once


@dataclass
class Figures:
    """What one server did for one work load: a number for each round, and the time of each request."""

    server_cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def server_ms(self) -> float:
        """The server's CPU time for a request, the median of the rounds."""
        return statistics.median(self.server_cpu)

    @property
    def database_ms(self) -> float:
        """The database's CPU time for a request, the median of the rounds."""
        return statistics.median(self.database_cpu) if self.database_cpu else float("nan")

    @property
    def per_second(self) -> float:
        """Requests in a second, the median of the rounds."""
        return statistics.median(self.rate)

    def percentile(self, percent: int) -> float:
        """Return the time in milliseconds that `percent` of the requests do not exceed."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * MILLISECONDS


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    connections: tuple[int, ...]
    rounds: int
    share: float  # of the requests of a work load
    warm_up_seconds: float  # of each server and work load

    def requests(self, load: WorkLoad) -> int:
        """Return the number of requests of a round."""
        return max(int(load.requests * self.share), FEWEST)


Results = dict[tuple[int, str, str], Figures]  # by connections, work load, and server


@dataclass(frozen=True)
class Meter:
    """What a round needs: the load generator, and the process id of PostgreSQL if it runs on this machine."""

    generator: LoadGenerator
    postmaster: int | None

    def add_round(
        self, figures: Figures, server: Server, messages: list[bytes], *, count: int, connections: int
    ) -> None:
        """Send the requests of one round, and add what they cost."""
        root = server.process.pid
        server_before = cpu_times(root)
        database_before = cpu_times(self.postmaster) if self.postmaster else {}
        seconds, times = self.generator.run(server.socket, messages, count, connections)
        server_cpu = cpu_between(server_before, cpu_times(root))
        figures.server_cpu.append(server_cpu / count * MILLISECONDS)
        if self.postmaster:
            database_cpu = cpu_between(database_before, cpu_times(self.postmaster))
            figures.database_cpu.append(database_cpu / count * MILLISECONDS)
        figures.rate.append(count / seconds)
        figures.times += times

    def warm_up(self, server: Server, messages: list[bytes], seconds: float, connections: int) -> None:
        """Send requests until statements are prepared, caches are full, and just-in-time compilers have compiled."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.generator.run(server.socket, messages, WARM_UP, connections)


def measure(
    contenders: tuple[Contender, ...], servers: Mapping[str, Server], data: Data, *, effort: Effort, meter: Meter
) -> Results:
    """Return the figures of all servers, work loads, and numbers of connections."""
    results: Results = defaultdict(Figures)
    for load in WORK_LOADS:
        count = effort.requests(load)
        for contender in contenders:
            messages = [contender.message(request, data.token) for request in load.variants(data.ids, 0)]
            seconds = effort.warm_up_seconds * contender.warm_up
            meter.warm_up(servers[contender.name], messages, seconds, max(effort.connections))
        for connections in effort.connections:
            for number in range(effort.rounds):
                requests = load.variants(data.ids, number + 1)
                turn = number % len(contenders)  # not always the same server after the same other
                for contender in (*contenders[turn:], *contenders[:turn]):
                    messages = [contender.message(request, data.token) for request in requests]
                    figures = results[connections, load.name, contender.name]
                    server = servers[contender.name]
                    meter.add_round(figures, server, messages, count=count, connections=connections)
            print(f"measured {load.name} at {connections} connections", file=sys.stderr)  # noqa: T201
    return dict(results)
