"""Run one server in this process: `python -m bench.servers.run roster|floor|... SOCKET`."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

BACKLOG = 2048


def main() -> None:
    """Serve on a unix socket until SIGTERM."""
    name, path = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    if name == "roster":
        _serve_roster(listener)
        return
    config = uvicorn.Config(
        f"bench.servers.{name}:app", loop="uvloop", http="httptools", log_config=None, access_log=False,
        server_header=False,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])


def _serve_roster(listener: socket.socket) -> None:
    """Serve the service itself, as its command `serve` does after the migrations."""
    from service import logs, settings  # noqa: PLC0415
    from service.workers import serve  # noqa: PLC0415

    sys.path.insert(0, str(Path.cwd()))
    configured = settings.read()
    logs.configure(configured)
    serve(configured, os.environ["ROSTER_DATABASE_URL"], listener)


if __name__ == "__main__":
    main()
