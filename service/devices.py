"""Names of devices, from User-Agent headers."""

from __future__ import annotations

from ua_parser import parse

from service import limits


def device_name(user_agent: str | None) -> str | None:
    """Return browser and system, such as "Firefox on Windows", else the name of the program; None without a header."""
    agent = (user_agent or "")[: limits.USER_AGENT].strip()
    if not agent:
        return None
    found = parse(agent)
    browser = found.user_agent.family if found.user_agent else None
    system = found.os.family if found.os else None
    program = next(iter(agent.replace("/", " ").split()), "")
    name = f"{browser} on {system}" if browser and system else browser or system or program
    return name[: limits.USER_AGENT] or None
