"""What is served of an account: public fields, own fields, admin fields."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from service import permissions
from service.access import Access, Open, Public, expand
from service.context import Info
from service.fields import column, computed, entity, one, page
from service.pagination import Connection
from service.rows import Row
from service.scalars import JSON, URL, CountryCode, Permission
from service.types.node import Node
from service.types.plan import LIMITS, Plan, ResourceLimits, Tier
from service.types.role import ADMIN_ROLE, ROOT_ROLE, Role

if TYPE_CHECKING:
    from service.types.api_key import ApiKey
    from service.types.audit_event import AuditEvent
    from service.types.server import Server
    from service.types.session import Session
    from service.types.ssh_key import SshKey
    from service.types.subuser import Subuser

PUBLIC = Public()
PROFILE = Access(any="users.read", own="account.read")
# Age at which a person is of age where it is not 18 (facts of the EcliPanel family controls)
ADULT_AGE = {"AE": 21, "BH": 21, "CA": 19, "OM": 21, "TH": 20, "TW": 20}


@strawberry.type(description="Why and how long an account is suspended")
class Suspension(Open):
    """Value of User.suspension."""

    reason: str | None = strawberry.field(description="Reason that the suspending person gave")
    at: dt.datetime = strawberry.field(description="Timestamp of the suspension")
    until: dt.datetime | None = strawberry.field(
        description="Timestamp at which it lifts itself; null: until it is lifted"
    )
    by: User | None = one("users_by_id", "by_id", "User who suspended the account")
    by_id: strawberry.Private[str | None]


@strawberry.type(description="Postal address for invoices")
class BillingAddress(Open):
    """Value of User.billingAddress, kept as one jsonb column."""

    line1: str | None = strawberry.field(description="Street and number")
    line2: str | None = strawberry.field(description="Further line of the street address")
    company: str | None = strawberry.field(description="Name of the company")
    city: str | None = strawberry.field(description="City")
    state: str | None = strawberry.field(description="State or region")
    postal_code: str | None = strawberry.field(description="Postal code")
    country: CountryCode | None = strawberry.field(description="Country, ISO 3166-1 alpha-2")


def display_name(root: User) -> str:
    """Display name, else first and last name, else username."""
    full = " ".join(part for part in (root.first_name, root.last_name) if part)
    return root.display_name or full or root.username or "User"


def avatar_url(root: User) -> URL | None:
    """Gravatar by the SHA-256 of the lower-cased email address."""
    if root.email is None:
        return None
    return URL(
        f"https://gravatar.com/avatar/{hashlib.sha256(root.email.strip().lower().encode()).hexdigest()}?d=identicon"
    )


def is_admin(root: User) -> bool:
    """Whether the role is the built-in ADMIN or ROOT."""
    return root.role_id in {ADMIN_ROLE, ROOT_ROLE}


async def held_permissions(root: User, info: Info) -> list[Permission]:
    """What a session of the user holds everywhere: the role's permissions, and all on the own account."""
    role = await info.context.loaders.one("roles_by_id", root.role_id)
    return [Permission(name) for name in sorted((expand(role.permissions) & permissions.ADMIN) | permissions.ACCOUNT)]


def age(root: User) -> int | None:
    """Whole years since birth, in UTC."""
    born: dt.date | None = root.date_of_birth
    if born is None:
        return None
    today = dt.datetime.now(dt.UTC).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_child_account(root: User) -> bool | None:
    """Whether the age is below the adult age of the billing country; null without a date of birth."""
    years = age(root)
    return None if years is None else years < ADULT_AGE.get(root["billing_address"].get("country"), 18)


async def limits(root: User, info: Info) -> Any:
    """The plan's limits, with the user's own in their place."""
    plan = await info.context.loaders.one("plans_by_id", root.plan_id) if root.plan_id else None
    return dict.fromkeys(LIMITS) | (plan.limits if plan else {}) | root.limit_overrides


async def has_password(root: User, info: Info) -> bool:
    """Whether a password is set; its hash is in a table that no type maps."""
    return await info.context.loaders.one("passwords_by_user", root.id) is not None


def suspended(root: User) -> bool:
    """Whether a suspension is in force; it lifts itself at its end."""
    until = root.suspended_until
    return root.suspended_at is not None and (until is None or until > dt.datetime.now(dt.UTC))


def suspension(root: User) -> Suspension | None:
    """The suspension in force."""
    if not suspended(root):
        return None
    return Suspension(
        reason=root.suspended_reason, at=root.suspended_at, until=root.suspended_until, by_id=root.suspended_by
    )


@entity("A person with an account", owner=("id",))
class User(Row, Node):
    """A row of `users`."""

    id: strawberry.ID = column("Id of the user", PUBLIC)
    username: str | None = column("Name that the user signs in with, unique ignoring case", PUBLIC)
    display_name: str = computed(display_name, "Display name, else first and last name, else username", PUBLIC)
    avatar_url: URL | None = computed(
        avatar_url, "Picture at Gravatar, by the SHA-256 of the lower-cased email", PUBLIC
    )
    two_factor_enabled: bool = column("Indicates whether a second factor is asked at login", PUBLIC)
    created_at: dt.datetime = column("Timestamp of the account's creation", PUBLIC)
    email: str | None = column("Email address of the user, unique ignoring case", PROFILE)
    email_verified: bool | None = column("Indicates whether the user has proved to read mail at the address", PROFILE)
    first_name: str | None = column("First name of the user", PROFILE)
    last_name: str | None = column("Last name of the user", PROFILE)
    language: str | None = column("Language of the user, a BCP 47 tag", PROFILE)
    tier: Tier | None = column("Tier of the account", PROFILE)
    role: Role | None = one("roles_by_id", "role_id", "Role that decides the admin permissions", PROFILE)
    is_admin: bool | None = computed(is_admin, "Indicates whether the role is the built-in ADMIN or ROOT", PROFILE)
    permissions: list[Permission] | None = computed(
        held_permissions,
        "Admin permissions of the role, and the account permissions that every signed-in person holds",
        PROFILE,
    )
    date_of_birth: dt.date | None = column("Date of birth of the user", PROFILE)
    age: int | None = computed(age, "Age in whole years, in UTC", PROFILE)
    is_child_account: bool | None = computed(
        is_child_account,
        "Indicates whether the age is below the adult age of the billing country; null without a date",
        PROFILE,
    )
    billing_address: BillingAddress | None = column(
        "Address for invoices", Access(any="users.billing", own="account.read")
    )
    settings: JSON | None = column("Settings of the user's front end, an object", PROFILE)
    plan: Plan | None = one("plans_by_id", "plan_id", "Plan of the user", PROFILE)
    limits: ResourceLimits | None = computed(limits, "Limits of the plan, with the user's own in their place", PROFILE)
    has_password: bool | None = computed(has_password, "Indicates whether a password is set", PROFILE)
    suspended: bool | None = computed(suspended, "Indicates whether a suspension is in force", PROFILE)
    suspension: Suspension | None = computed(suspension, "Suspension in force", PROFILE)
    last_login_at: dt.datetime | None = column("Timestamp of the latest login", PROFILE)
    updated_at: dt.datetime | None = column("Timestamp of the latest change", PROFILE)
    version: int | None = column("Number that every change counts up, for optimistic writes", PROFILE)
    external_id: str | None = column("Id that another system gave the user", Access(any="users.read"))
    sessions: Connection[Annotated[Session, strawberry.lazy("service.types.session")]] | None = page(
        "sessions_by_user", "Live sessions of the user, newest first", Access(any="users.sessions", own="sessions.read")
    )
    api_keys: Connection[Annotated[ApiKey, strawberry.lazy("service.types.api_key")]] | None = page(
        "api_keys_by_user", "API keys of the user, newest first", Access(any="users.credentials", own="api-keys.read")
    )
    ssh_keys: Connection[Annotated[SshKey, strawberry.lazy("service.types.ssh_key")]] | None = page(
        "ssh_keys_by_user", "SSH keys of the user, newest first", Access(any="users.credentials", own="ssh-keys.read")
    )
    servers: Connection[Annotated[Server, strawberry.lazy("service.types.server")]] | None = page(
        "servers_by_owner", "Servers that the user owns, newest first", Access(any="servers.read", own="servers.read")
    )
    memberships: Connection[Annotated[Subuser, strawberry.lazy("service.types.subuser")]] | None = page(
        "memberships_by_user",
        "Memberships of the user on others' servers, newest first",
        Access(any="servers.read", own="servers.read"),
    )
    audit_events: Connection[Annotated[AuditEvent, strawberry.lazy("service.types.audit_event")]] | None = page(
        "audit_events_by_user",
        "What the user did and what was done to the user's things, newest first",
        Access(any="audit.read", own="activity.read"),
    )
