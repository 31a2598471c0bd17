"""A MaxMind DB file for tests: https://maxmind.github.io/MaxMind-DB/."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RECORD_BITS = 24
TEXT, UINT16, UINT32, MAP, ARRAY, UINT64 = 2, 5, 6, 7, 11, 9
NUMBERS = {"node_count": UINT32, "build_epoch": UINT64}


def _control(kind: int, size: int) -> bytes:
    assert size < 285
    first, rest = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return (bytes([kind << 5 | first]) if kind < 8 else bytes([first, kind - 7])) + rest


def _encoded(value: Any, kind: int = UINT16) -> bytes:
    if isinstance(value, dict):
        parts = (_encoded(name) + _encoded(item, NUMBERS.get(name, UINT16)) for name, item in value.items())
        return _control(MAP, len(value)) + b"".join(parts)
    if isinstance(value, list):
        return _control(ARRAY, len(value)) + b"".join(map(_encoded, value))
    if isinstance(value, str):
        return _control(TEXT, len(value.encode())) + value.encode()
    raw: bytes = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(raw)) + raw


def write_mmdb(path: Path, networks: Mapping[str, Any]) -> Path:
    """Write a file with a record for each IPv4 network, and return its path."""
    nodes: list[list[Any]] = [[None, None]]
    data, places = b"", {}
    for text, record in networks.items():
        network = ipaddress.IPv4Network(text)
        places[text] = len(data)
        data += _encoded(record)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in map(int, bits[:-1]):
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
        nodes[node][int(bits[-1])] = text
    count = len(nodes)

    def record_of(target: Any) -> bytes:
        number = count if target is None else target if isinstance(target, int) else count + 16 + places[target]
        return int(number).to_bytes(RECORD_BITS // 8, "big")

    tree = b"".join(record_of(left) + record_of(right) for left, right in nodes)
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "database_type": "Test-Country",
        "description": {"en": "test"},
        "ip_version": 4,
        "languages": ["en"],
        "node_count": count,
        "record_size": RECORD_BITS,
    }
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata))
    return path
