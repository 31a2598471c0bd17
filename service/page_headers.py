"""The headers that protect the HTML pages of the service (ASVS 5.0, 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def protecting(policy: str) -> Mapping[str, str]:
    """Return the headers of a page with a Content-Security-Policy; no cache may keep it."""
    return MappingProxyType(
        {
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
    )
