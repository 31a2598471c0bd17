"""The comparison before the measurement: every server must return the same data."""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Mapping
from typing import Any

import orjson

from bench.contenders import FLOOR, Contender
from bench.database import Data
from bench.processes import Server
from bench.workloads import WORK_LOADS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
SAMPLES = 3
SECONDS = 30
SEED = 7
VERSION = "SELECT first_name, version FROM users WHERE id = $1::text::uuid"


class DifferentError(Exception):
    """Two servers return different data."""


def send(path: str, message: bytes) -> Any:
    """Return the JSON of the response to one request."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        client.connect(path)
        client.sendall(message.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:", 1))
        received = b""
        while chunk := client.recv(1 << 20):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise DifferentError(f"{path}: {received[:1000]!r}")
    return orjson.loads(body)


def comparable(value: Any) -> Any:
    """Return the value with its times as points in time, because their texts differ in form."""
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return dt.datetime.fromisoformat(value) if isinstance(value, str) and TIME.fullmatch(value) else value


def require_same(contenders: tuple[Contender, ...], servers: Mapping[str, Server], data: Data) -> dict[str, int]:
    """Raise DifferentError unless all servers return the same. Return the bytes of JSON of each work load."""
    sizes = {}
    for load in WORK_LOADS:
        for request in load.variants(data.ids, SEED, SAMPLES):
            expected = None
            for contender in sorted(contenders, key=lambda each: each.name != FLOOR):
                before = _version(data, request.path) if load.writes else None
                answer = send(servers[contender.name].socket, contender.message(request, data.token))
                sizes[load.name] = len(orjson.dumps(answer))
                if load.writes:
                    _require_written(contender.name, answer, before, _version(data, request.path))
                    answer["data"]["updateUser"]["user"].pop("version")
                found = comparable(answer)
                if expected is None:
                    expected = found
                elif found != expected:
                    raise DifferentError(f"{load.name}: {contender.name} returns {found}\nnot {expected}")
    return sizes


def _version(data: Data, path: str) -> Any:
    return tuple(data.fetch(VERSION, re.search("id=([^&]+)", path)[1])[0])  # type: ignore[index]


def _require_written(name: str, answer: Any, before: Any, after: Any) -> None:
    """Raise DifferentError unless the version counts the change. A name that is already set changes nothing."""
    user = answer["data"]["updateUser"]["user"]
    counted = after[1] == before[1] + (before[0] != after[0])
    if not counted or (user["firstName"], user["version"]) != after:
        raise DifferentError(f"{name}: an update of {before} to {after} returns {answer}")
