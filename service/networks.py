"""Networks that API keys are limited to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
MAPPED_PREFIX = 96  # ::ffff:0:0/96 are the IPv4 addresses
CUSTOMER_PREFIX = 64  # of IPv6


def canonical_networks(networks: Iterable[str]) -> list[str]:
    """Return each network once. An IPv4-mapped IPv6 network (RFC 4291, 2.5.5.2) becomes the IPv4 network."""
    found = set()
    for text in networks:
        network = ipaddress.ip_network(text)
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped is not None and network.prefixlen >= MAPPED_PREFIX:
            network = ipaddress.ip_network((mapped, network.prefixlen - MAPPED_PREFIX))
        found.add(str(network))
    return sorted(found)


def all_within(networks: Sequence[str], outer: Sequence[str]) -> bool:
    """Return whether every network lies within one of the outer networks. Without outer networks, all do."""
    if not outer:
        return True
    allowed = [ipaddress.ip_network(network) for network in outer]
    return bool(networks) and all(_is_within(ipaddress.ip_network(network), allowed) for network in networks)


def _is_within(network: Network, allowed: Sequence[Network]) -> bool:
    return any(
        network.version == outer.version and network.subnet_of(outer)  # type: ignore[arg-type]
        for outer in allowed
    )


def customer_network(address: str | None) -> str | None:
    """Return what stands for a client: the IPv4 address, or the IPv6 network that a provider gives to one customer.

    SECURITY: a customer could otherwise use another IPv6 address for each attempt.
    """
    if address is None or ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/{CUSTOMER_PREFIX}", strict=False))
