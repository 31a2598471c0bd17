"""The processes of the service: one, or several that share a socket."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
from functools import partial

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service.http.protocol import Connections, Protocol
from service.http.proxies import trusted_hosts
from service.settings import Settings

GRACE_SECONDS = 10
BACKLOG = 2048
HEALTH_CHECK_SECONDS = 30  # then a worker is replaced; on a busy machine one that starts does not answer within seconds

OTHER_DESCRIPTORS = 100  # for the database, for files, and for connections that are about to be closed


class AddressError(Exception):
    """The service cannot listen on the address; the message is one line."""


class WorkerError(Exception):
    """A worker cannot start; the message is one line."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raise AddressError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise AddressError(f"cannot listen on {host}:{port}: {reason} (ROSTER_HOST, ROSTER_PORT)") from None
    listener.set_inheritable(True)
    return listener


def serve(settings: Settings, url: str, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, and then wait at most GRACE_SECONDS for the requests in progress.

    Raise WorkerError if a worker cannot start.
    """
    # Workers are new processes, which read their settings from the environment
    os.environ["ROSTER_DATABASE_URL"] = url
    config = uvicorn.Config(
        "service.app:create",
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="uvloop",
        http=partial(Protocol, open_connections=_connections(settings)),  # type: ignore[arg-type]
        ws="none",
        server_header=False,
        proxy_headers=False,  # see `http.proxies`
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=HEALTH_CHECK_SECONDS,
    )
    server = uvicorn.Server(config)
    # After a graceful stop, uvicorn raises the signal again; ignore it, so that the exit code is 0
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _ignore)
    if settings.workers == 1:
        server.run(sockets=[listener])
        return
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise WorkerError("a worker could not start; its log has the reason")


def _connections(settings: Settings) -> Connections:
    """Return the limits of a worker's connections. Raise the limit of descriptors as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # workers inherit it
    limit = settings.connection_limit
    if most != resource.RLIM_INFINITY:
        limit = max(1, min(limit, most - OTHER_DESCRIPTORS))
    return Connections(limit, settings.address_connection_limit, trusted_hosts(settings.trusted_proxies))


def _ignore(_number: int, _frame: object) -> None:
    """Ignore a signal."""
