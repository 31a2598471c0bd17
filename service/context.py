"""The context of an operation: the caller, the loaders, and what all requests of a worker share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from service.access.actor import ANONYMOUS, Actor
from service.access.signing_keys import SigningKeys
from service.access.viewer import Rules, Viewer
from service.compiler.plan import PageText
from service.countries import Countries
from service.credentials.encryption import Encryption
from service.credentials.password_policy import PasswordPolicy
from service.credentials.passwords import PasswordHasher
from service.database.connection import Database
from service.database.loaders import Loaders
from service.errors import Problems
from service.identifiers import UsernamePolicy
from service.operations.cost import Budget
from service.settings import Settings
from service.write_limits import WriteLimits


async def _never() -> bool:
    return False


@dataclass(slots=True)
class Request:
    """What the service records of an HTTP request.

    `secure` says whether it came by https. `country` is what a trusted proxy says of the client. `is_gone` returns
    whether the client has closed the connection. `started` is when it came, by the monotonic clock.
    """

    id: str
    ip: str | None = None
    user_agent: str | None = None
    secure: bool = False
    is_gone: Callable[[], Awaitable[bool]] = _never
    country: str | None = None
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Resources:
    """What all requests of a worker share. `mail_stored` is set when there is new mail to send."""

    settings: Settings
    database: Database
    hasher: PasswordHasher
    encryption: Encryption
    signing_keys: SigningKeys
    usernames: UsernamePolicy
    passwords: PasswordPolicy
    countries: Countries
    writes: WriteLimits
    mail_stored: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What happened to the caller's session: a new token for `lifetime` seconds, or none after its end.

    Without a lifetime it is that of the settings.
    """

    token: str | None
    lifetime: float | None = None


@dataclass
class Context:
    """The state of one operation.

    `session_change` is set by a mutation that signs in or out, so that the cookie can follow.
    """

    resources: Resources
    request: Request
    loaders: Loaders
    rules: Rules
    budget: Budget
    viewer: Viewer
    session_change: SessionChange | None = None

    @classmethod
    def of(  # noqa: PLR0917
        cls, resources: Resources, request: Request, loaders: Loaders, rules: Rules, budget: Budget, actor: Actor
    ) -> Context:
        """Return the context of an actor's operation."""
        return cls(resources, request, loaders, rules, budget, Viewer(actor, rules, loaders))

    @property
    def actor(self) -> Actor:
        """The caller."""
        return self.viewer.actor

    def act_as(self, actor: Actor) -> None:
        """Continue the operation as another actor, or as the same with the authority of now."""
        self.viewer = Viewer(actor, self.rules, self.loaders)

    def sign_in(self, actor: Actor, session_token: str, lifetime: float | None = None) -> None:
        """Continue the operation as the actor of a session with a new token, which lives for `lifetime` seconds."""
        self.act_as(actor)
        self.session_change = SessionChange(session_token, lifetime)

    def sign_out(self) -> None:
        """Continue the operation without an actor, because its session has ended."""
        self.act_as(ANONYMOUS)
        self.session_change = SessionChange(None)


def info_of(context: Context, field: Any) -> Info:
    """Return what the function of a root field receives; `field` is that of the plan."""
    return Info(context, field.name, columns=field.columns, text=field.text)


def _all_columns(_type_name: str) -> None:
    return None


@dataclass(slots=True)
class Info:
    """What the function of a root field receives: the operation's context, and the field that runs.

    `problems` are those of the input so far. `idempotency` is the claim of a mutation with an idempotency key.
    `columns` returns what the document needs of the rows of a type, None for all columns; `text` is how PostgreSQL can
    write the field's page.
    """

    context: Context
    field_name: str
    problems: Problems = field(default_factory=Problems)
    idempotency: Any = None
    columns: Callable[[str], tuple[str, ...] | None] = _all_columns
    text: PageText | None = None
