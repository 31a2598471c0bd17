"""Processes: their CPU time and memory, read from the kernel, and the servers that the benchmark starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 15
READY_SECONDS = 60
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 1_000_000


def tree(root: int) -> list[int]:
    """Return the ids of a process and of its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has ended
            children.setdefault(parent, []).append(int(entry.name))
    found, remaining = [], [root]
    while remaining:
        found.append(remaining.pop())
        remaining += children.get(found[-1], [])
    return found


def cpu_times(root: int) -> dict[int, float]:
    """Return the CPU seconds of each process of a tree, in user and kernel mode, of all of its threads."""
    times = {}
    for pid in tree(root):
        try:
            times[pid] = time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
        except OSError:
            continue
    return times


def cpu_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Return the CPU seconds between two readings."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def memory(root: int) -> float:
    """Return the resident memory of a tree, in MB."""
    pages = 0
    for pid in tree(root):
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * PAGE_BYTES / MEGABYTE


def server_of(backend: int) -> int | None:
    """Return the id of the PostgreSQL server of a backend process, or None if it is not a process of this machine."""
    try:
        if not Path(f"/proc/{backend}/cmdline").read_bytes().startswith(b"postgres"):
            return None
        return int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def end_on_signal() -> None:
    """Raise SystemExit on SIGTERM and SIGHUP, so that all that was started is ended."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, end)


@dataclass
class Server:
    """A running server that listens on a unix socket; `log` has what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    socket: str
    log: Path

    @classmethod
    def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Server:
        """Start the server, and wait until it accepts connections."""
        path, log = folder / f"{name}.sock", folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [*command, str(path)], env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        server = cls(name, process, str(path), log)
        try:
            server._wait()
        except BaseException:
            server.stop()
            raise
        return server

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(READY_SECONDS)
                    client.connect(self.socket)
                    client.sendall(request)
                    if client.recv(16):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """End the process, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
