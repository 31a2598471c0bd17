"""Users: public fields, fields for the user, and fields for administrators."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from service.access import permissions as catalogue
from service.access.actor import expand
from service.access.rules import Access, Open, Public
from service.compiler.kinds import Related
from service.database.rows import Row
from service.fields import column, computed, entity, page_of, related, related_list
from service.limits import DEDICATED_IPS_PER_USER, WALLETS_PER_USER
from service.pagination import Connection
from service.scalars import JSON, URL, BigInt, CountryCode, Permission
from service.types.node import Node
from service.types.plan import Plan, ResourceLimits, Tier, effective_limits
from service.types.role import ADMIN_ROLE, ROOT_ROLE, Role

if TYPE_CHECKING:
    from service.types.api_key import ApiKey
    from service.types.audit_event import AuditEvent
    from service.types.dedicated_ip import DedicatedIp
    from service.types.passkey import Passkey
    from service.types.plan_period import PlanPeriod
    from service.types.server import Server
    from service.types.session import Session
    from service.types.ssh_key import SshKey
    from service.types.subuser import Subuser
    from service.types.wallet import Wallet

PUBLIC = Public()
PROFILE = Access(any="users.read", own="account.read")
# Countries where a person is not of age at 18 (as in EcliPanel)
ADULT_AGE = 18
ADULT_AGES = {"AE": 21, "BH": 21, "CA": 19, "OM": 21, "TH": 20, "TW": 20}


@strawberry.type(description="Reason and duration of an account's suspension")
class Suspension(Open):
    """The value of User.suspension."""

    reason: str | None = column("Reason, as given by the user who suspended the account")
    at: dt.datetime = column("Time when the suspension began")
    until: dt.datetime | None = column("Time when the suspension ends by itself; null if it must be lifted")
    by: User | None = related("users_by_id", "by", "User who suspended the account; null if that user was deleted")


@strawberry.type(description="Postal address for invoices")
class BillingAddress(Open):
    """The value of User.billingAddress, stored in one jsonb column."""

    line1: str | None = column("Street and number")
    line2: str | None = column("Second line of the street address")
    company: str | None = column("Name of the company")
    city: str | None = column("City")
    state: str | None = column("State or region")
    postal_code: str | None = column("Postal code")
    country: CountryCode | None = column("Country, ISO 3166-1 alpha-2")


def shown_name(display_name: str | None, first_name: str | None, last_name: str | None, username: str | None) -> str:
    """Return the display name, else first and last name, else the username."""
    return display_name or " ".join(part for part in (first_name, last_name) if part) or username or "User"


def avatar_url(email: str | None) -> URL | None:
    """Return the address of the Gravatar image, by the SHA-256 of the lower-case email address."""
    if email is None:
        return None
    digest = hashlib.sha256(email.strip().lower().encode()).hexdigest()
    return URL(f"https://gravatar.com/avatar/{digest}?d=identicon")


def is_admin(role_id: str) -> bool:
    """Return whether the role is the built-in ADMIN or ROOT."""
    return role_id in {ADMIN_ROLE, ROOT_ROLE}


def session_permissions(role_permissions: list[str] | None) -> list[Permission]:
    """Return what a session of the user may do: the role's permissions, and all on the user's own account."""
    held = (expand(role_permissions or ()) & catalogue.ADMIN) | catalogue.ACCOUNT
    return [Permission(name) for name in sorted(held)]


def age(date_of_birth: dt.date | None) -> int | None:
    """Return the full years since birth, in UTC."""
    if date_of_birth is None:
        return None
    today = dt.datetime.now(dt.UTC).date()
    birthday_to_come = (today.month, today.day) < (date_of_birth.month, date_of_birth.day)
    return today.year - date_of_birth.year - birthday_to_come


def is_child(date_of_birth: dt.date | None, billing_address: dict[str, Any]) -> bool | None:
    """Return whether the user is below the adult age of the billing country; None without a date of birth."""
    years = age(date_of_birth)
    return None if years is None else years < ADULT_AGES.get(billing_address.get("country", ""), ADULT_AGE)


def is_set(changed_at: dt.datetime | None) -> bool:
    """Return whether there is a password; its hash is in a table that no type maps."""
    return changed_at is not None


def total(value: int | None) -> int | None:
    """Return a total of the user's wallets; None if the user was deleted during the request."""
    return value


def is_suspended(suspended_at: dt.datetime | None, suspended_until: dt.datetime | None) -> bool:
    """Return whether a suspension is in force; it ends by itself at its end."""
    return suspended_at is not None and (suspended_until is None or suspended_until > dt.datetime.now(dt.UTC))


def suspension(
    reason: str | None, suspended_at: dt.datetime | None, suspended_until: dt.datetime | None, suspended_by: str | None
) -> dict[str, Any] | None:
    """Return the suspension in force."""
    if not is_suspended(suspended_at, suspended_until):
        return None
    return {"reason": reason, "at": suspended_at, "until": suspended_until, "by": suspended_by}


@entity(
    "A person with an account",
    by_id="users_by_id",
    owner=("id",),
    relations={
        "password": Related("id", "passwords_by_user"),
        "wallet_totals": Related("id", "wallet_totals_by_user"),
    },
    audit_names={
        "authenticator": "has_password",
        "autologinLink": "sessions",
        "export": "has_password",
        "mail": "email",
        "password": "has_password",
        "recovery_codes": "has_password",
        "subusers": "servers",
    },
)
class User(Row, Node):
    """A row of `users`."""

    id: strawberry.ID = column("Id of the user", PUBLIC)
    username: str | None = column("Name to sign in with, unique ignoring case", PUBLIC)
    display_name: str = computed(
        shown_name,
        "Display name, else first and last name, else username",
        PUBLIC,
        needs=("display_name", "first_name", "last_name", "username"),
    )
    avatar_url: URL | None = computed(
        avatar_url, "Image at Gravatar, by the SHA-256 of the lower-case email address", PUBLIC, needs=("email",)
    )
    two_factor_enabled: bool = column(
        "Indicates whether login requires a second factor: a confirmed authenticator app, or a passkey", PUBLIC
    )
    created_at: dt.datetime = column("Time when the account was created", PUBLIC)
    email: str | None = column("Email address, unique ignoring case", PROFILE)
    email_verified: bool | None = column("Indicates whether the user confirmed the email address", PROFILE)
    pending_email: str | None = column("New email address that the user has not confirmed yet", PROFILE)
    first_name: str | None = column("First name", PROFILE)
    last_name: str | None = column("Last name", PROFILE)
    language: str | None = column("Language, a BCP 47 tag", PROFILE)
    tier: Tier | None = column("Tier of the account", PROFILE)
    role: Role | None = related("roles_by_id", "role_id", "Role, which has the admin permissions", PROFILE)
    is_admin: bool | None = computed(
        is_admin, "Indicates whether the role is the built-in ADMIN or ROOT", PROFILE, needs=("role_id",)
    )
    permissions: list[Permission] | None = computed(
        session_permissions,
        "Admin permissions of the role, and the account permissions that every signed-in user has",
        PROFILE,
        needs=("role.permissions",),
    )
    date_of_birth: dt.date | None = column("Date of birth", PROFILE)
    age: int | None = computed(age, "Age in full years today (UTC)", PROFILE, needs=("date_of_birth",))
    is_child_account: bool | None = computed(
        is_child,
        "Indicates whether the user is below the adult age of the billing country; null without a date of birth",
        PROFILE,
        needs=("date_of_birth", "billing_address"),
    )
    billing_address: BillingAddress | None = column(
        "Address for invoices", Access(any="users.billing", own="account.read")
    )
    settings: JSON | None = column("Settings of the user's front end, an object", PROFILE)
    plan: Plan | None = related("plans_by_id", "plan_id", "Plan", PROFILE)
    plan_history: Connection[Annotated[PlanPeriod, strawberry.lazy("service.types.plan_period")]] | None = page_of(
        "plan_periods_by_user", "Plans that the user had and has, newest first", PROFILE
    )
    limits: ResourceLimits | None = computed(
        effective_limits,
        "Resource limits of the plan, with the user's own in their place",
        PROFILE,
        needs=("limit_overrides", "plan.limits"),
    )
    has_password: bool | None = computed(
        is_set, "Indicates whether a password is set", PROFILE, needs=("password.changed_at",)
    )
    suspended: bool | None = computed(
        is_suspended,
        "Indicates whether a suspension is in force",
        PROFILE,
        needs=("suspended_at", "suspended_until"),
    )
    suspension: Suspension | None = computed(
        suspension,
        "Suspension in force",
        PROFILE,
        needs=("suspended_reason", "suspended_at", "suspended_until", "suspended_by"),
    )
    deletion_scheduled_at: dt.datetime | None = column(
        "Time after which the account is erased; null unless the user has deleted it", PROFILE
    )
    last_login_at: dt.datetime | None = column("Time of the last login", PROFILE)
    updated_at: dt.datetime | None = column("Time of the last change", PROFILE)
    version: int | None = column("Number that every change increments, for optimistic locking", PROFILE)
    external_id: str | None = column("Id that another system gave the user", Access(any="users.read"))
    sessions: Connection[Annotated[Session, strawberry.lazy("service.types.session")]] | None = page_of(
        "sessions_by_user", "Live sessions, newest first", Access(any="users.sessions", own="sessions.read")
    )
    api_keys: Connection[Annotated[ApiKey, strawberry.lazy("service.types.api_key")]] | None = page_of(
        "api_keys_by_user", "API keys, newest first", Access(any="users.credentials", own="api-keys.read")
    )
    ssh_keys: Connection[Annotated[SshKey, strawberry.lazy("service.types.ssh_key")]] | None = page_of(
        "ssh_keys_by_user", "SSH keys, newest first", Access(any="users.credentials", own="ssh-keys.read")
    )
    passkeys: Connection[Annotated[Passkey, strawberry.lazy("service.types.passkey")]] | None = page_of(
        "passkeys_by_user", "Passkeys, newest first", Access(any="users.credentials", own="account.two-factor")
    )
    servers: Connection[Annotated[Server, strawberry.lazy("service.types.server")]] | None = page_of(
        "servers_by_owner", "Servers that the user owns, newest first", Access(any="servers.read", own="servers.read")
    )
    memberships: Connection[Annotated[Subuser, strawberry.lazy("service.types.subuser")]] | None = page_of(
        "memberships_by_user",
        "Memberships on servers of other users, newest first",
        Access(any="servers.read", own="servers.read"),
    )
    wallets: list[Annotated[Wallet, strawberry.lazy("service.types.wallet")]] | None = related_list(
        "wallets_by_user",
        "id",
        "Wallets, the default one first",
        Access(any="wallets.read", own="wallets.read"),
        most=WALLETS_PER_USER,
    )
    wallet_count: int | None = computed(
        total, "Number of wallets, at least 1", PROFILE, needs=("wallet_totals.number",)
    )
    balance_msat: BigInt | None = computed(
        total,
        "Sum of the balances of the wallets, in millisatoshi",
        Access(any="wallets.read", own="wallets.read"),
        needs=("wallet_totals.balance_msat",),
    )
    dedicated_ips: list[Annotated[DedicatedIp, strawberry.lazy("service.types.dedicated_ip")]] | None = related_list(
        "dedicated_ips_by_user",
        "id",
        f"Dedicated IP addresses in their order, at most {DEDICATED_IPS_PER_USER}",
        Access(any="ips.read", own="account.read"),
        most=DEDICATED_IPS_PER_USER,
    )
    audit_events: Connection[Annotated[AuditEvent, strawberry.lazy("service.types.audit_event")]] | None = page_of(
        "audit_events_by_user",
        "Events that the user caused, and events on the user's objects, newest first",
        Access(any="audit.read", own="activity.read"),
    )
