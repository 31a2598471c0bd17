"""The import of many users: `python -m bench.moving [--users N] [--repeat]`.

It makes a file in the service's own form, imports it into an empty database, and prints the times and the memory of the
import. Half of the users have an SSH key, a third a server, and a third of the servers a subuser.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from service.embedded import server

# bcrypt with the cost 10, as Pterodactyl makes it; no password is known for it
HASH: Final = "$2y$10$" + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0"
SSH_PREFIX: Final = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"


def lines(users: int) -> Iterator[dict[str, Any]]:
    """Yield the records of this many users; the same number gives the same records."""
    generator = random.Random(users)  # noqa: S311  (test data)
    yield {"type": "plan", "key": "plan", "name": "Imported", "tier": "PAID", "limits": {"servers": 5}}
    for number in range(users):
        yield {
            "type": "user",
            "key": f"u{number}",
            "username": f"user{number}",
            "email": f"user.{number}@example.org",
            "email_verified": True,
            "first_name": "Grete",
            "last_name": f"Müller {number}",
            "plan": "plan",
            "external_id": f"old:{number}",
            "created_at": f"202{number % 6}-03-01T12:00:00Z",
            "password_hash": HASH,
        }
    for number in range(0, users, 2):
        key = base64.b64encode(SSH_PREFIX + generator.randbytes(32)).decode()
        yield {"type": "ssh-key", "key": f"k{number}", "user": f"u{number}", "name": "laptop"} | {
            "public_key": f"ssh-ed25519 {key} laptop"
        }
    for number in range(0, users, 3):
        yield {"type": "server", "key": f"s{number}", "owner": f"u{number}", "name": f"server {number}"}
    for number in range(0, users - 1, 9):
        yield {"type": "subuser", "key": f"m{number}", "server": f"s{number}", "user": f"u{number + 1}"} | {
            "permissions": ["control.console", "file.read"]
        }


def write(path: Path, users: int) -> None:
    """Write the file of this many users."""
    with path.open("wb") as file:
        for line in lines(users):
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def main() -> None:
    """Measure an import, and with --repeat a second one, which changes nothing."""
    parser = argparse.ArgumentParser(prog="python -m bench.moving", description="Measure the import of many users.")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--repeat", action="store_true", help="import the same file a second time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "users.jsonl"
        write(path, options.users)
        embedded = server.start(Path(folder) / "data")
        try:
            _command(embedded.url, "migrate")
            for _ in range(2 if options.repeat else 1):
                _measure(embedded.url, path)
        finally:
            embedded.close()


def _measure(url: str, path: Path) -> None:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    output = _command(url, "import", "--from", "jsonl", str(path))
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(output)  # noqa: T201
    print(f"{seconds:.1f} s, {cpu:.1f} s CPU of the client, at most {after.ru_maxrss / 1024:.0f} MiB")  # noqa: T201


def _command(url: str, *arguments: str) -> str:
    environment = os.environ | {"ROSTER_DATABASE_URL": url}
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    main()
