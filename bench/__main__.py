"""The benchmark: `make bench`, or `python -m bench [--quick] [--users N] [--growth]`.

All servers run on the same database. They are measured in turns within one run, because absolute times differ between
machines and hours; only ratios count.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import database
from bench.contenders import ROSTER, available
from bench.growth import LARGE, SMALL, Growth, measure_rows, measure_users, start
from bench.load import LoadGenerator
from bench.measure import Effort, Meter, measure
from bench.processes import end_on_signal, memory
from bench.report import Report
from bench.sameness import require_same

QUICK = Effort(connections=(1, 16), rounds=3, share=0.2, warm_up_seconds=0.3)
FULL = Effort(connections=(1, 16, 64), rounds=5, share=1.0, warm_up_seconds=1.0)


def main() -> None:
    """Measure, and write docs/performance.md and docs/performance.svg."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare the service with other servers.")
    parser.add_argument("--quick", action="store_true", help="few requests, 2,000 users, no 64 connections")
    parser.add_argument("--users", type=int, default=None, help="users of the database; 100,000 by default")
    parser.add_argument("--growth", action="store_true", help="measure with 1,000,000 users, too")
    options = parser.parse_args()
    end_on_signal()
    effort = QUICK if options.quick else FULL
    users = options.users or (2_000 if options.quick else 100_000)
    contenders = available()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = stack.enter_context(database.running(folder))
        data = database.seeded(url, users)
        stack.callback(database.drop, data, url)
        servers = {}
        for contender in contenders:
            servers[contender.name] = contender.start(data, folder)
            stack.callback(servers[contender.name].stop)
        generator = LoadGenerator.start()
        stack.callback(generator.close)
        meter = Meter(generator, data.postmaster)
        sizes = require_same(contenders, servers, data)
        results = measure(contenders, servers, data, effort=effort, meter=meter)
        megabytes = {name: memory(server.process.pid) for name, server in servers.items()}
        growth = Growth()
        measure_rows(growth, servers, data, meter)
        databases = [(data, servers[ROSTER])]
        sizes_of_growth = ([] if options.quick else [SMALL]) + ([LARGE] if options.growth else [])
        for size in sizes_of_growth:
            if size == users:
                continue
            other = database.seeded(url, size)
            stack.callback(database.drop, other, url)
            server = start(other, folder)
            stack.callback(server.stop)
            databases.append((other, server))
        measure_users(growth, databases, meter)
        report = Report(contenders, results, megabytes, sizes, users, effort, growth)
        print(f"wrote {report.write(quick=options.quick)}")  # noqa: T201


if __name__ == "__main__":
    main()
