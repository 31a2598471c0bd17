"""One worker and two: requests a second, and CPU time a request, on the same database.

Usage: python -m bench.workers [--users N] [--share S]   (it starts its own database and services)

Two workers double the rate where cores are free. Where the workers, the database, and the load generator share two
cores, the rate cannot show that. With `--share 0.2` each worker gets a fifth of a core, so that neither the database
nor the load generator is the limit. The CPU time a request is the same if workers do not hinder each other.
"""

from __future__ import annotations

import argparse
import os
import statistics
from contextlib import ExitStack

from bench import database
from bench.contenders import roster
from bench.load import LoadGenerator
from bench.measure import Figures, Meter
from bench.processes import end_on_signal
from bench.quota import quota
from bench.workloads import WORK_LOADS

LOADS = ("W1", "W3", "W4")
CONNECTIONS = 32  # of each worker
ROUNDS = 5
WARM_UP_SECONDS = 2.0


def main() -> None:
    """Print a line for each work load."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description="Compare one worker with two.")
    parser.add_argument("--users", type=int, default=2_000, help="users of the database")
    parser.add_argument("--share", type=float, help="share of a core for each worker, by CPU quotas")
    options = parser.parse_args()
    end_on_signal()
    with ExitStack() as stack:
        data, folder = stack.enter_context(database.started(options.users))
        servers = {}
        for workers in (1, 2):
            servers[workers] = roster(f"workers_{workers}", ROSTER_WORKERS=str(workers))(data, folder)
            stack.callback(servers[workers].stop)
            if options.share is not None:
                stack.enter_context(quota(servers[workers].process.pid, options.share))
        generator = LoadGenerator.start()
        stack.callback(generator.close)
        meter = Meter(generator, data.postmaster)
        limit = "" if options.share is None else f", {options.share:.0%} of a core for each worker"
        print(f"{os.cpu_count()} cores{limit}, {CONNECTIONS} connections for each worker; medians of {ROUNDS} rounds")  # noqa: T201
        print("| | requests a second: 1, 2 workers | ratio | server CPU, ms a request: 1, 2 | ratio |")  # noqa: T201
        print("|---|---:|---:|---:|---:|")  # noqa: T201
        for load in (each for each in WORK_LOADS if each.name in LOADS):
            messages = [request.to_graphql(data.token) for request in load.variants(data.ids, 1)]
            figures = {workers: Figures() for workers in servers}
            for workers, server in servers.items():
                meter.warm_up(server, messages, WARM_UP_SECONDS, CONNECTIONS * workers)
            for _ in range(ROUNDS):
                for workers, server in servers.items():
                    meter.add_round(
                        figures[workers], server, messages, count=load.requests, connections=CONNECTIONS * workers
                    )
            one, two = figures[1], figures[2]
            rates = [statistics.median(each.rate) for each in (one, two)]
            rate = f"{rates[0]:,.0f}, {rates[1]:,.0f} | {rates[1] / rates[0]:.2f}"
            cpu = f"{one.server_ms:.3f}, {two.server_ms:.3f} | {two.server_ms / one.server_ms:.2f}"
            print(f"| {load.name} | {rate} | {cpu} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
