"""How the service comes up and goes down: one process, or several behind one socket."""

from __future__ import annotations

import errno
import os
import signal
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.settings import Settings

GRACE_SECONDS = 10
BACKLOG = 2048


class AddressError(Exception):
    """The address cannot be listened on."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket; AddressError says in one line why there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        why = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise AddressError(f"cannot listen on {host}:{port}: {why} (ROSTER_HOST, ROSTER_PORT)") from None
    found.set_inheritable(True)
    return found


def serve(settings: Settings, url: str, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; requests under way get their answers, at most for GRACE_SECONDS."""
    # Workers are made anew and read their settings from the environment
    os.environ["ROSTER_DATABASE_URL"] = url
    config = uvicorn.Config(
        "service.app:create",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http="httptools",
        server_header=False,
        # SECURITY: X-Forwarded-* is believed from these addresses only, or anybody could name any address as their own
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again when it is done; the end was asked for, so it is no failure
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _ignore)
    if settings.workers == 1:
        server.run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()


def _ignore(_number: int, _frame: object) -> None:
    """The end was asked for."""
