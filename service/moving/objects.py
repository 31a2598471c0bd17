"""Plans, roles, keys, servers, and subusers that are imported: what their records may have."""

from __future__ import annotations

import re
from typing import Final

from graphql import GraphQLError

from service import limits
from service.access.permissions import ADMIN, NAMES, SERVER
from service.credentials.ssh_keys import parse_public_key
from service.credentials.tokens import VISIBLE_LENGTH, TokenKind
from service.inputs import DESCRIPTION, EXTERNAL_ID, KEY_NAME, NAME, PERSON_NAME
from service.moving.checks import Check, Item, NotTaken
from service.moving.records import (
    ApiKeyRecord,
    PasskeyRecord,
    PlanRecord,
    RoleRecord,
    ServerRecord,
    SshKeyRecord,
    SubuserRecord,
    WalletRecord,
)
from service.networks import canonical_networks
from service.parsing import parse_cidr
from service.types.plan import Tier

ALWAYS: Final = "websocket.connect"  # every subuser has it, as in Pterodactyl
PREFIX: Final = re.compile(rf"{TokenKind.API_KEY.value}[0-9A-Za-z]{{{VISIBLE_LENGTH}}}")
DIGEST: Final = 32
_TIERS: Final[frozenset[str]] = frozenset(str(tier.value) for tier in Tier)


def check_plan(record: PlanRecord, check: Check) -> Item:
    """Return the item of a plan."""
    name = check.name(record.name, NAME)
    tier = record.tier
    if tier not in _TIERS:
        check.part("tier is not known. The plan gets FREE.")
        tier = str(Tier.FREE.value)
    columns = {
        "name": name,
        "description": check.value("description", record.description or None, DESCRIPTION) or None,
        "tier": tier,
        "is_default": record.is_default,
        "limits": check.limits(record.limits),
    }
    return check.item(record, columns)


def check_role(record: RoleRecord, check: Check) -> Item:
    """Return the item of a role with admin permissions."""
    name = check.name(record.name, NAME)
    columns = {
        "name": name,
        "description": check.value("description", record.description or None, DESCRIPTION) or None,
        # SECURITY: `*`, which makes the role ROOT, is not in the catalogue
        "permissions": check.permissions(record.permissions, ADMIN, limits.PERMISSIONS_PER_ROLE),
        "require_two_factor": record.require_two_factor,
    }
    return check.item(record, columns)


def check_ssh_key(record: SshKeyRecord, check: Check) -> Item:
    """Return the item of an SSH key."""
    name = check.name(record.name, KEY_NAME)
    if len(record.public_key) > limits.SSH_PUBLIC_KEY:
        raise NotTaken(f"The key is longer than {limits.SSH_PUBLIC_KEY} characters.")
    try:
        key = parse_public_key(record.public_key)
    except ValueError as error:
        raise NotTaken(str(error)) from None
    columns = {
        "name": name,
        "type": key.type,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "last_used_at": check.time("last_used_at", record.last_used_at),
    }
    return check.item(record, columns, user_id=record.user)


def check_api_key(record: ApiKeyRecord, check: Check) -> Item:
    """Return the item of an API key of another instance of this service."""
    name = check.name(record.name, KEY_NAME)
    if not PREFIX.fullmatch(record.prefix) or len(record.hash) != DIGEST:
        raise NotTaken("The key has a form that this service does not accept. The user needs a new one.")
    expires = check.moment("expires_at", record.expires_at)
    if record.expires_at is not None and (expires is None or expires <= check.rules.now):
        raise NotTaken("The key has expired.")
    try:
        networks = canonical_networks(parse_cidr(network) for network in record.allowed_ips)
    except GraphQLError:
        # SECURITY: without the networks that cannot be read, the key would be valid everywhere
        raise NotTaken("allowed_ips are not networks.") from None
    if len(networks) > limits.NETWORKS_PER_API_KEY:
        raise NotTaken(f"A key may have at most {limits.NETWORKS_PER_API_KEY} networks.")
    columns = {
        "name": name,
        "prefix": record.prefix,
        "permissions": check.permissions(record.permissions, NAMES, limits.PERMISSIONS_PER_API_KEY),
        "allowed_ips": networks,
        "last_used_at": check.time("last_used_at", record.last_used_at),
        "expires_at": expires,
    }
    item = check.item(record, columns, user_id=record.user)
    item.beside["hash"] = record.hash
    return item


def check_passkey(record: PasskeyRecord, check: Check) -> Item:
    """Return the item of a passkey."""
    name = check.name(record.name, KEY_NAME)
    if not 0 <= record.sign_count <= limits.SAFE_INTEGER or not record.credential_id or not record.public_key:
        raise NotTaken("The passkey is damaged.")
    columns = {
        "name": name,
        "credential_id": record.credential_id,
        "public_key": record.public_key,
        "sign_count": record.sign_count,
        "transports": list(record.transports)[:10],
        "last_used_at": check.time("last_used_at", record.last_used_at),
    }
    return check.item(record, columns, user_id=record.user)


def check_server(record: ServerRecord, check: Check) -> Item:
    """Return the item of a server."""
    name = check.name(record.name, PERSON_NAME)
    columns = {"name": name, "external_id": check.value("external_id", record.external_id or None, EXTERNAL_ID)}
    return check.item(record, columns, owner_id=record.owner)


def check_subuser(record: SubuserRecord, check: Check) -> Item:
    """Return the item of a membership in force."""
    until = check.moment("until", record.until)
    if record.until is not None and (until is None or until <= check.rules.now):
        # SECURITY: without its end, the membership would not expire
        raise NotTaken("The membership has expired.")
    names = check.permissions(record.permissions, SERVER, limits.PERMISSIONS_PER_SUBUSER)
    columns = {"permissions": sorted({*names, ALWAYS}), "until": until}
    return check.item(record, columns, server_id=record.server, user_id=record.user)


def check_wallet(record: WalletRecord, check: Check) -> Item:
    """Return the item of a wallet, whose balance becomes an entry of the ledger."""
    name = check.name(record.name, NAME)
    balance = record.balance_msat
    if balance > limits.SAFE_INTEGER:
        raise NotTaken(f"The balance exceeds {limits.SAFE_INTEGER} msat.")
    if balance < 0:
        check.part(f"The balance is {balance} msat. A balance cannot be negative: the wallet is empty.")
        balance = 0
    item = check.item(record, {"owner_id": None, "name": name, "is_default": False}, user_id=record.user)
    item.beside |= {"default": record.is_default, "balance": balance}
    return item
