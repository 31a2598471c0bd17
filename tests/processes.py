"""The service as operators run it: as a process, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parent.parent
ADDRESS = re.compile(r"at (http://\S+)/graphql")


@dataclass
class ServiceProcess:
    """A running service."""

    process: subprocess.Popen[str]
    url: str
    output: list[str]

    def execute(self, query: str, variables: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        """Execute an operation on a new connection, so that any worker may respond."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        answer: dict[str, Any] = httpx.post(f"{self.url}/graphql", json=body, headers=headers, timeout=20).json()
        return answer

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send the signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def command(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the service to its end."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=REPOSITORY,
        env=clean_environment() | (environment or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Return the environment without the settings of the person who runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")}


@contextmanager
def running_service(*arguments: str, **settings: str) -> Iterator[ServiceProcess]:
    """Return a service on a free port; `settings` are ROSTER_* variables without their prefix."""
    environment = clean_environment() | {f"ROSTER_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    output: list[str] = []
    try:
        assert process.stdout is not None
        url = None
        for line in process.stdout:
            output.append(line)
            found = ADDRESS.search(line)
            if found:
                url = found[1]
                break
        assert url is not None, f"the service ended with {process.wait()}: {output}"
        wait_until_ready(url)
        yield ServiceProcess(process, url, output)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def wait_until_ready(url: str, seconds: float = 60) -> None:
    """Wait until /health/ready returns 200."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the service is not ready"
        time.sleep(0.05)
