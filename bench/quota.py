"""CPU quotas: each process of a server runs as on a core of its own, which is slower than those of the machine.

Linux control groups (version 1, the controller `cpu`) hold the quotas; it takes root to write them. With them, several
workers can be compared with one on a machine where the database and the load generator would take the cores otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import tree

CONTROLLER = Path("/sys/fs/cgroup/cpu")
PERIOD_US = 10_000  # short, so that a process does not wait long for its next share


@contextmanager
def quota(root: int, share: float) -> Iterator[None]:
    """Give each process of a tree a share of a core. RuntimeError where there are no quotas or no rights to them."""
    groups = []
    try:
        for pid in tree(root):
            group = CONTROLLER / f"roster-bench-{os.getpid()}-{pid}"
            group.mkdir()
            groups.append(group)
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * share)))
            (group / "cgroup.procs").write_text(str(pid))
        yield
    except OSError as error:
        raise RuntimeError(f"no CPU quotas on this machine: {error}") from error
    finally:
        for group in groups:
            for member in (group / "cgroup.procs").read_text().split():
                (CONTROLLER / "cgroup.procs").write_text(member)
            group.rmdir()
