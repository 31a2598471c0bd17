"""Users that are imported: what their records may have, and what is left out."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from graphql import GraphQLError

from service import limits
from service.credentials import foreign_hashes
from service.credentials.encryption import EncryptionError
from service.credentials.totp import is_secret
from service.identifiers import email_problems, language_problems, username_problems
from service.inputs import EXTERNAL_ID, LIMIT, PERSON_NAME, Text
from service.moving.checks import Check, Item, NotTaken
from service.moving.records import UserRecord
from service.parsing import parse_country_code, parse_id, parse_json
from service.types.plan import Tier
from service.types.role import ADMIN_ROLE, ROOT_ROLE, STAFF_ROLE, USER_ROLE
from service.user_input import BillingAddressInput

BUILTIN_ROLES: Final = {"USER": USER_ROLE, "STAFF": STAFF_ROLE, "ADMIN": ADMIN_ROLE, "ROOT": ROOT_ROLE}
USERNAME: Final = Text(limits.USERNAME)
REASON: Final = Text(limits.SUSPENSION_REASON, least=0, multiline=True, joiners=True)
SETTINGS_BYTES: Final = 16_384  # as the constraint says
RECOVERY_DIGEST: Final = 32
_TIERS: Final[frozenset[str]] = frozenset(str(tier.value) for tier in Tier)
_ADDRESS: Final = {
    field.python_name: field.metadata.get(LIMIT)
    for field in BillingAddressInput.__strawberry_definition__.fields  # type: ignore[attr-defined]
}


def check_user(record: UserRecord, check: Check) -> Item:
    """Return the item of a user who has a username or an email address."""
    role_id, role_key = _role(record, check)
    username = _username(record, check, trusted=role_id in {ADMIN_ROLE, ROOT_ROLE})
    email = _email(record, check)
    if username is None and email is None:
        raise NotTaken("The user has no username and no email address that can be used.")
    columns = {
        "username": username,
        "email": email,
        "email_verified": record.email_verified and email is not None,
        "first_name": check.value("first_name", record.first_name or None, PERSON_NAME),
        "last_name": check.value("last_name", record.last_name or None, PERSON_NAME),
        "display_name": check.value("display_name", record.display_name or None, PERSON_NAME),
        "language": _language(record, check),
        "tier": _tier(record, check),
        "role_id": role_id,
        "plan_id": None,
        "date_of_birth": _date_of_birth(record, check),
        "billing_address": _billing_address(record, check),
        "settings": _settings(record, check),
        "limit_overrides": check.limits(record.limits),
        "external_id": check.value("external_id", record.external_id or None, EXTERNAL_ID),
        "last_login_at": check.time("last_login_at", record.last_login_at),
        **_suspension(record, check),
    }
    references = {} if record.plan is None else {"plan_id": record.plan}
    if role_key is not None:
        references["role_id"] = role_key
    item = check.item(record, columns, **references)
    secret = _two_factor_secret(record, check)
    columns = item.columns
    columns["two_factor_enabled"] = secret is not None
    columns["updated_at"] = check.rules.now
    item.beside = {
        "password": _password_hash(record, check),
        "password_changed_at": check.time("password_changed_at", record.password_changed_at) or check.rules.now,
        "authenticator": secret,
        "default_wallet": _default_wallet(record, check),
        "recovery_codes": [code for code in record.recovery_codes if len(code) == RECOVERY_DIGEST],
    }
    return item


def _role(record: UserRecord, check: Check) -> tuple[str, str | None]:
    """Return the id of a built-in role; USER together with the key of a role that was imported."""
    role_id = BUILTIN_ROLES.get(record.role)
    if role_id is None:
        return USER_ROLE, record.role
    if role_id == ROOT_ROLE and not check.rules.allow_root:
        # SECURITY: a file must not be enough to take over the service. ROOT is above all that ADMIN may change.
        check.part("The role ROOT requires --allow-root. The user gets the role USER.")
        return USER_ROLE, None
    return role_id, None


def _username(record: UserRecord, check: Check, *, trusted: bool) -> str | None:
    """Return the username, which may break the policy, so that the person can sign in as before.

    SECURITY: a name with @ would be looked up as an email address. A reserved name passes for the operator's, so only
    administrators keep one.
    """
    username: str | None = check.value("username", record.username or None, USERNAME)
    if username is None:
        return None
    if "@" in username:
        check.part("username must not contain @. It is left out; the email address is used to sign in.")
        return None
    if username.casefold() in check.rules.usernames.reserved:
        if not trusted:
            check.part("username is reserved. It is left out; the email address is used to sign in.")
            return None
        return username
    problems = username_problems(username, check.rules.usernames)
    if problems:
        check.part(f"{problems[0].message} It is kept.")
    return username


def _email(record: UserRecord, check: Check) -> str | None:
    if not record.email:
        return None
    email, problems = email_problems(record.email.strip(), "email")
    if problems:
        check.part(f"{problems[0].message} It is left out.")
    return email


def _language(record: UserRecord, check: Check) -> str:
    tag, problems = language_problems(record.language)
    if tag is None or len(tag) > limits.LANGUAGE:
        check.part(f"{problems[0].message if problems else 'language is too long.'} The user gets en.")
        return "en"
    return tag


def _tier(record: UserRecord, check: Check) -> str | None:
    """Return the tier; None for that of the plan."""
    if record.tier is None or record.tier in _TIERS:
        return record.tier
    check.part("tier is not known. It is left out.")
    return None


def _date_of_birth(record: UserRecord, check: Check) -> dt.date | None:
    born = record.date_of_birth
    if born is not None and not 0 <= check.rules.now.year - born.year <= limits.AGE:
        check.part("date_of_birth is not that of a living person. It is left out.")
        return None
    return born


def _billing_address(record: UserRecord, check: Check) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in record.billing_address.items():
        if not value:
            continue
        if name == "country":
            try:
                found[name] = parse_country_code(value)
            except GraphQLError:
                check.part("The country is not an ISO 3166-1 alpha-2 code. It is left out.")
        elif name in _ADDRESS and _ADDRESS[name] is not None:
            kept = check.value(name, value, _ADDRESS[name])
            if kept is not None:
                found[name] = kept
        else:
            check.part(f"A billing address has no {name[:50]}. It is left out.")
    return found


def _settings(record: UserRecord, check: Check) -> dict[str, Any]:
    settings = dict(record.settings)
    try:
        parse_json(settings)
    except GraphQLError as error:
        check.part(f"settings: {error.message} They are left out.")
        return {}
    # PostgreSQL's own text has spaces after colons and commas: the constraint counts it
    if len(settings) > limits.SETTINGS_MEMBERS or len(str(settings).encode()) > SETTINGS_BYTES:
        check.part("settings are too large. They are left out.")
        return {}
    return settings


def _suspension(record: UserRecord, check: Check) -> dict[str, Any]:
    at = check.time("suspended_at", record.suspended_at)
    columns = dict.fromkeys(("suspended_at", "suspended_until", "suspended_reason", "suspended_by"))
    if record.suspended_at is None:
        return columns
    # A suspension without a usable start must not be lost
    columns |= {"suspended_at": at or check.rules.now}
    columns["suspended_until"] = check.moment("suspended_until", record.suspended_until)
    columns["suspended_reason"] = check.value("suspended_reason", record.suspended_reason or None, REASON)
    if record.suspended_by is not None:
        try:
            columns["suspended_by"] = parse_id(record.suspended_by)
        except GraphQLError:
            check.part("suspended_by is not an id. It is left out.")
    return columns


def _password_hash(record: UserRecord, check: Check) -> str | None:
    if not record.password_hash:
        return None
    if not foreign_hashes.is_supported(record.password_hash):
        # SECURITY: the hash itself is in no report
        check.part("The password hash has a form or a cost that is not supported. The user has no password.")
        return None
    return record.password_hash


def _default_wallet(record: UserRecord, check: Check) -> tuple[str, dt.datetime] | None:
    """Return the id and the time of the default wallet; without an id, the database makes one."""
    if record.default_wallet_id is None:
        return None
    created = check.time("default_wallet_created_at", record.default_wallet_created_at) or check.rules.now
    return check.new_id(record.default_wallet_id, created)[0], created


def _two_factor_secret(record: UserRecord, check: Check) -> bytes | None:
    """Return the secret of the authenticator app, encrypted."""
    encrypted = record.encrypted_two_factor_secret
    if encrypted is not None:
        try:
            if is_secret(check.rules.encryption.decrypt(encrypted.encode()).decode("utf-8", "replace")):
                return encrypted.encode()
        except EncryptionError:
            pass
        check.part("No encryption key fits the two-factor secret: add the key of the other service. It is left out.")
        return None
    if not record.two_factor_secret:
        return None
    secret = "".join(record.two_factor_secret.split()).upper().rstrip("=")
    if not is_secret(secret):
        check.part("The two-factor secret is not base32 of at least 80 bits. It is left out.")
        return None
    return check.rules.encryption.encrypt(secret.encode())
