"""The outbox: mail is stored with the change that causes it, so that it is sent if and only if the change is committed.

The sender takes it from there, see `sender`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import Enum
from typing import Any

import orjson

from service import limits
from service.write import Write


class Template(Enum):
    """The mails of the service; the value is the name of the template's file."""

    ACCOUNT_CREATED = "account-created"
    ACCOUNT_DELETION = "account-deletion"
    ACCOUNT_EXISTS = "account-exists"
    ACCOUNT_KEPT = "account-kept"
    API_KEY_CREATED = "api-key-created"
    EMAIL_CHANGE = "email-change"
    EMAIL_CHANGED = "email-changed"
    EMAIL_VERIFICATION = "email-verification"
    INVITATION = "invitation"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  (not a password)
    PASSWORD_RESET = "password-reset"  # noqa: S105  (not a password)
    SERVER_RECEIVED = "server-received"
    SERVER_REMOVED = "server-removed"
    SERVER_SHARED = "server-shared"
    SERVER_TRANSFERRED = "server-transferred"
    SSH_KEY_ADDED = "ssh-key-added"
    TWO_FACTOR_CHANGED = "two-factor-changed"


# The values that each template takes, besides `name`. `by` and `ip` may be None; `time` and `due` are in UTC.
VALUES: Mapping[Template, frozenset[str]] = {
    Template.ACCOUNT_CREATED: frozenset({"url"}),
    Template.ACCOUNT_DELETION: frozenset({"due", "url", "ip", "time"}),
    Template.ACCOUNT_EXISTS: frozenset({"url"}),
    Template.ACCOUNT_KEPT: frozenset({"ip", "time"}),
    Template.API_KEY_CREATED: frozenset({"key_name", "ip", "time"}),
    Template.EMAIL_CHANGE: frozenset({"url", "email"}),
    Template.EMAIL_CHANGED: frozenset({"url", "email"}),
    Template.EMAIL_VERIFICATION: frozenset({"url"}),
    Template.INVITATION: frozenset({"url"}),
    Template.PASSWORD_CHANGED: frozenset({"ip", "time"}),
    Template.PASSWORD_RESET: frozenset({"url"}),
    Template.SERVER_RECEIVED: frozenset({"server_name"}),
    Template.SERVER_REMOVED: frozenset({"server_name"}),
    Template.SERVER_SHARED: frozenset({"server_name", "by"}),
    Template.SERVER_TRANSFERRED: frozenset({"server_name", "keeps_access"}),
    Template.SSH_KEY_ADDED: frozenset({"key_name", "fingerprint", "ip", "time"}),
    Template.TWO_FACTOR_CHANGED: frozenset({"what", "ip", "time"}),
}


async def send_mail(change: Write, template: Template, user: Any, *, to: str | None = None, **values: Any) -> None:
    """Store a mail to a user, in the user's language; nothing for a user without an address.

    `to` is another address than the user's. `values` are those of the template; they are stored encrypted.
    SECURITY: a recipient gets a limited number of one kind in an hour, because other users can cause mail, for example
    by sharing a server again and again.
    """
    if values.keys() != VALUES[template]:
        raise RuntimeError(f"{template.name} takes the values {', '.join(sorted(VALUES[template]))}")
    recipient = to or user.email
    if recipient is None:
        return
    content = orjson.dumps({"name": user.display_name or user.first_name or user.username or recipient, **values})
    resources = change.context.resources
    await change.run(
        "create_mail",
        user_id=user.id,
        recipient=recipient,
        template=template.value,
        language=user.language,
        content=resources.encryption.encrypt(content),
        most=limits.MAILS_PER_HOUR,
    )
    change.after_commit.append(resources.mail_stored.set)


def where_and_when(change: Write, *, own: bool = True) -> dict[str, Any]:
    """Return the values `ip` and `time` of a notice.

    SECURITY: it has no address of another person, such as an administrator (`own` is false).
    """
    return {"ip": change.context.request.ip if own else None, "time": dt.datetime.now(dt.UTC)}
