"""Dedicated IP addresses of users: assign and release."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.database.constraints import CONSTRAINTS
from service.errors import ErrorCode, MutationRejected, reject
from service.inputs import given
from service.networks import NOT_ASSIGNABLE, canonical_address, is_assignable
from service.payloads import Payload, mutation, result
from service.scalars import IPAddress
from service.types.dedicated_ip import DedicatedIp
from service.write import Write, write


@strawberry.input(description="Address to assign to a user")
class AssignDedicatedIpInput:
    """Input of assignDedicatedIp."""

    user_id: strawberry.ID = given("Id of the user")
    address: IPAddress = given(
        f"IPv4 or IPv6 address of one host. {NOT_ASSIGNABLE[0].upper()}{NOT_ASSIGNABLE[1:]} are rejected; private ones "
        "are allowed"
    )


@strawberry.input(description="Address to release")
class ReleaseDedicatedIpInput:
    """Input of releaseDedicatedIp."""

    address: IPAddress = given("Address that belongs to a user")


@strawberry.type(description="Payload of a mutation on a dedicated IP address")
class DedicatedIpPayload(Payload):
    """An address, or errors."""

    dedicated_ip: DedicatedIp | None = result("Address as it is now")


@mutation(Access(any="ips.assign"), collects_problems=True)
async def assign_dedicated_ip(info: Info, input: AssignDedicatedIpInput) -> DedicatedIpPayload:
    """Assign an address that belongs to no user, new or released. TAKEN if it belongs to another user."""
    address = canonical_address(input.address)
    if not is_assignable(address):
        info.problems.add(ErrorCode.INVALID, f"address must be that of a host: not among {NOT_ASSIGNABLE}.", "address")
    async with write(info, "dedicated-ip.assign") as change:
        user = await change.lock("lock_user", input.user_id, "userId")
        change.require_not_above(user, "userId")
        if await change.run("count_dedicated_ips", user_id=user.id) >= limits.DEDICATED_IPS_PER_USER:
            message = f"A user may have at most {limits.DEDICATED_IPS_PER_USER} dedicated IP addresses."
            change.problems.add(ErrorCode.LIMIT_REACHED, message, "userId")
        present = await change.run("lock_dedicated_ip", address=str(address))
        if present is not None and present.user_id == user.id:
            raise reject(ErrorCode.ALREADY_DONE, "This user has the address already.", "address")
        if present is not None and present.user_id is not None:
            raise MutationRejected(CONSTRAINTS["dedicated_ips_address_key"])
        assigned = await change.run("assign_dedicated_ip", address=str(address), user_id=user.id)
        if assigned is None:  # to another user at the same time
            raise MutationRejected(CONSTRAINTS["dedicated_ips_address_key"])
        if present is None:
            change.created(assigned)
        else:
            change.updated(present, assigned)
    return DedicatedIpPayload(dedicated_ip=assigned)


@mutation(Access(any="ips.assign"))
async def release_dedicated_ip(info: Info, input: ReleaseDedicatedIpInput) -> DedicatedIpPayload:
    """Take an address from its user, so that it can be assigned again. ALREADY_DONE if it belongs to no user."""
    async with write(info, "dedicated-ip.release") as change:
        present = await _lock_with_user(change, str(canonical_address(input.address)))
        released = await change.run("release_dedicated_ip", id=present.id)
        change.updated(present, released)
    return DedicatedIpPayload(dedicated_ip=released)


async def _lock_with_user(change: Write, address: str) -> Any:
    """Return an assigned address, locked after its user, as everywhere, because two requests could deadlock otherwise.

    SECURITY: the user who is locked and compared with the caller is the one who has the address once it is locked.
    """
    found = await change.run("dedicated_ip_by_address", address=address)
    if found is not None and found.user_id is not None:
        user = await change.run("lock_user", id=found.user_id)
        if user is not None:  # deleted in the meantime otherwise, which has released the address
            change.require_not_above(user, "address")
    present = None if found is None else await change.run("lock_dedicated_ip", address=address)
    if present is None:
        raise reject(ErrorCode.NOT_FOUND, "This address was never assigned.", "address")
    if present.user_id is None:
        raise reject(ErrorCode.ALREADY_DONE, "This address belongs to no user.", "address")
    if present.user_id != found.user_id:
        raise reject(ErrorCode.CONFLICT, "The address was assigned to another user at the same time.", "address")
    return present
