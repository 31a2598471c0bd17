"""The URL of a PostgreSQL database: its servers, in the order in which they are tried.

The forms are those of libpq: `postgresql://user:password@host1:port1,host2:port2/database?parameter=value`, or with the
servers as parameters, `postgresql:///database?host=/run/postgresql&port=5432`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]+))?")
LAST_PORT = 65535
NOT_A_URL = "is not a URL; write / : @ in a password as %2F %3A %40"
TWO_PLACES = "has servers in two places: write each port after its host, like host1:5432,host2:5432"
# The service writes, and reads must not be behind its writes
ROLES = ("any", "primary", "read-write")


@dataclass(frozen=True, slots=True)
class Server:
    """The address of a server; None stands for the driver's default. A host that begins with / is a socket folder."""

    host: str | None = None
    port: int | None = None


def servers(url: str) -> tuple[Server, ...]:
    """Return the servers of a URL. Raise ValueError with a sentence that quotes nothing of the URL."""
    try:
        parts = urlsplit(url)
        given = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    except ValueError:
        raise ValueError(NOT_A_URL) from None
    if parts.netloc.count("@") > 1:
        raise ValueError(NOT_A_URL)
    if given.get("target_session_attrs", "any") not in ROLES:
        raise ValueError(f"target_session_attrs must be one of {', '.join(ROLES)}, because the service writes")
    listed = parts.netloc.rpartition("@")[2]
    if not listed:
        return _from_parameters(given.get("host"), given.get("port"))
    if "port" in given or "host" in given:
        raise ValueError(TWO_PLACES)
    return tuple(_server(unquote(item)) for item in listed.split(","))


def _from_parameters(hosts: str | None, ports: str | None) -> tuple[Server, ...]:
    found = [_server(host) for host in hosts.split(",")] if hosts else [Server()]
    if not ports:
        return tuple(found)
    numbers = [_port(port) for port in ports.split(",")]
    if len(numbers) not in (1, len(found)):
        raise ValueError("must have one port for all hosts, or one for each")
    if any(server.port for server in found):
        raise ValueError(TWO_PLACES)
    numbers = numbers * len(found) if len(numbers) == 1 else numbers
    return tuple(Server(server.host, port) for server, port in zip(found, numbers, strict=True))


def _server(text: str) -> Server:
    if text.startswith("/"):
        return Server(text)
    match = HOST.fullmatch(text)
    if match is None:
        raise ValueError(NOT_A_URL)
    return Server(match["ipv6"] or match["name"], _port(match["port"]) if match["port"] else None)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LAST_PORT:
        raise ValueError(f"a port must be between 1 and {LAST_PORT}")
    return int(text)
