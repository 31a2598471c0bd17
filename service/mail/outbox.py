"""The outbox: mail is stored with the change that causes it, so that it is sent if and only if the change is committed.

The sender takes it from there, see `sender`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import orjson

from service.write import Write


class Template(Enum):
    """The mails of the service; the value is the name of the template's files."""

    ACCOUNT_EXISTS = "account-exists"
    API_KEY_CREATED = "api-key-created"
    EMAIL_CHANGE = "email-change"
    EMAIL_CHANGED = "email-changed"
    EMAIL_VERIFICATION = "email-verification"
    INVITATION = "invitation"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  (not a password)
    PASSWORD_RESET = "password-reset"  # noqa: S105  (not a password)
    SERVER_SHARED = "server-shared"
    SSH_KEY_ADDED = "ssh-key-added"
    TWO_FACTOR_CHANGED = "two-factor-changed"


async def send_mail(change: Write, template: Template, user: Any, *, to: str | None = None, **values: Any) -> None:
    """Store a mail to a user, in the user's language; nothing for a user without an address.

    `to` is another address than the user's. `values` are those of the template; they are stored encrypted.
    """
    recipient = to or user.email
    if recipient is None:
        return
    content = orjson.dumps({"name": user.display_name or user.first_name or user.username or recipient, **values})
    await change.run(
        "create_mail",
        user_id=user.id,
        recipient=recipient,
        template=template.value,
        language=user.language,
        content=change.context.resources.encryption.encrypt(content),
    )
