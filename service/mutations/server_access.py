"""What mutations on servers and subusers share: what a caller may do on a server, and pass on to other users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from service import limits
from service.access.actor import EVERYTHING
from service.access.authorize import Verdict
from service.access.permissions import SERVER
from service.errors import ErrorCode, reject
from service.inputs import UNSET, Items
from service.write import Write

ALWAYS = "websocket.connect"  # every subuser has it, as in Pterodactyl
PERMISSIONS = Items(limits.PERMISSIONS_PER_SUBUSER, least=1)


def everything_held(change: Write) -> frozenset[str]:
    """Return the server permissions that an administrator may pass on: all, or those that the API key in use lists."""
    # SECURITY: an administrator may do everything on a server, but an API key grants no more than it lists
    return change.actor.authority.on_server({EVERYTHING})


async def lock_server(change: Write, server_id: str, field: str) -> tuple[Any, frozenset[str]]:
    """Return the server, locked until commit, and what the caller may do there. The mutation's own access decides."""
    viewer = change.context.viewer
    server = await change.run("lock_server", id=server_id)
    if server is None or not await viewer.can_reach(change.rule, server):
        if server is not None and await viewer.visible("Server", [server]):
            raise reject(ErrorCode.NOT_ALLOWED, f"This requires the permission {change.rule.own} on the server.", field)
        raise reject(ErrorCode.NOT_FOUND, "This object does not exist.", field)
    if viewer.verdict(change.rule) is Verdict.ALLOWED:
        await change.require_server_not_above(server, field)
        return server, everything_held(change)
    share = await viewer.share(server.id)
    return server, frozenset() if share is None else change.actor.authority.on_server(share["permissions"])


async def check_bounds(change: Write, server_id: str, until: dt.datetime | None) -> None:
    """Add a problem for a membership beyond the caller's own, or beyond the API key that creates it."""
    viewer, bounds = change.context.viewer, change.actor.key_bounds
    if bounds is not None and bounds.allowed_ips:
        # SECURITY: the subuser could use the permissions from any network
        message = "An API key that is limited to networks cannot give access to a server."
        change.problems.add(ErrorCode.NOT_ALLOWED, message)
    share = None if viewer.verdict(change.rule) is Verdict.ALLOWED else await viewer.share(server_id)
    for latest, message in (
        (None if share is None else share["until"], "until must not be later than the end of your own membership."),
        (None if bounds is None else bounds.expires_at, "until must not be later than the expiry of the API key."),
    ):
        if latest is not None and (until is None or until > latest) and not change.problems.has("until"):
            change.problems.add(ErrorCode.NOT_ALLOWED, message, "until")
    if has_passed(until) and not change.problems.has("until"):
        # It was in the future when the request began, which may have waited for locks since
        change.problems.add(ErrorCode.INVALID, "until must be in the future.", "until")


def has_passed(until: dt.datetime | None) -> bool:
    """Return whether a time has come; the database compares times with the beginning of the transaction."""
    return until is not None and until <= dt.datetime.now(dt.UTC)


def granted(
    change: Write, requested: Iterable[str], held: frozenset[str], field_name: str = "permissions"
) -> list[str]:
    """Return the permissions to grant, in order and each once; add a problem for each that the caller cannot grant."""
    if change.problems.has(field_name):
        return []
    names = [str(name) for name in requested]
    for position, name in enumerate(names):
        field = (field_name, str(position))
        if name not in SERVER:
            change.problems.add(ErrorCode.INVALID, f"{name} is not a server permission.", *field)
        elif name not in held and name != ALWAYS:
            change.problems.add(ErrorCode.NOT_ALLOWED, f"You do not have {name} on this server.", *field)
    return sorted({*names, ALWAYS})


async def requested_permissions(change: Write, value: Any, held: frozenset[str]) -> list[str]:
    """Return the permissions of an input with either `permissions` or `presetId`; what is wrong is a problem.

    SECURITY: the permissions of a preset are judged like those of a list, and copied. If they were linked, a change of
    the preset would give a subuser more than the user who chose the preset may grant.
    """
    by_list, by_preset = (each not in (UNSET, None) for each in (value.permissions, value.preset_id))
    if by_list and by_preset:
        change.problems.add(ErrorCode.INVALID, "Give only one of permissions and presetId.", "presetId")
        return []
    if by_list:
        return granted(change, value.permissions, held)
    if not by_preset:
        change.problems.add(ErrorCode.REQUIRED, "Give either permissions or presetId.", "permissions")
        return []
    preset = await change.run("permission_preset_by_key", id=value.preset_id)
    viewer = change.context.viewer
    if preset is None or not await viewer.can_reach(viewer.rule("PermissionPreset", "permissions"), preset):
        change.problems.add(ErrorCode.NOT_FOUND, "This preset does not exist.", "presetId")
        return []
    beyond = frozenset(preset.permissions) - held - {ALWAYS}
    if beyond:
        message = f"The preset has permissions that you do not have on this server: {', '.join(sorted(beyond))}."
        change.problems.add(ErrorCode.NOT_ALLOWED, message, "presetId")
    return sorted({*preset.permissions, ALWAYS})


async def check_number_of_subusers(change: Write, server_id: str, field: str, *, leaving: int = 0) -> None:
    """Add a problem if the server, which is locked, has no room for another membership; `leaving` are about to end."""
    if await change.run("count_subusers", server_id=server_id) - leaving >= limits.SUBUSERS_PER_SERVER:
        message = f"A server may have at most {limits.SUBUSERS_PER_SERVER} subusers."
        change.problems.add(ErrorCode.LIMIT_REACHED, message, field)
