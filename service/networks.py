"""Networks that API keys are limited to, and addresses of hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
# The blocks of the special-purpose address registries (RFC 6890) that have no host, or none beyond one link
NOT_ASSIGNABLE = "unspecified (0.0.0.0/8, ::), loopback, link-local, site-local, multicast, and reserved addresses"
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
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


def canonical_address(text: str) -> Address:
    """Return an address in its one form: an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is the IPv4 address."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def is_assignable(address: Address) -> bool:
    """Return whether an address can be that of one host: not what NOT_ASSIGNABLE names."""
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or getattr(address, "is_site_local", False)
        or address in THIS_NETWORK
    )


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
