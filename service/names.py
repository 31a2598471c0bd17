"""Which usernames and email addresses may a person have?"""

from __future__ import annotations

import re
import secrets
import string
import unicodedata
from dataclasses import dataclass
from typing import Final

import email_validator

from service.errors import ErrorCode, Problem
from service.formats import UNSTORABLE

MAX_EMAIL_BYTES: Final = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets

# SECURITY: who bears one of these names is taken for the operator or for the software itself.
FORBIDDEN: Final = frozenset(
    (
        *("abuse", "account", "admin", "administrator", "anonymous", "api", "auth", "billing", "console", "daemon"),
        *("everyone", "graphql", "guest", "help", "helpdesk", "hostmaster", "localhost", "login", "mail", "moderator"),
        *("nobody", "noreply", "no_reply", "null", "official", "operator", "owner", "panel", "postmaster", "register"),
        *("root", "roster", "security", "server", "service", "staff", "sudo", "superuser", "support", "sysadmin"),
        *("system", "undefined", "webmaster", "www"),
    )
)

_STEM_LENGTH = 10
_TAIL_LENGTH = 4
_BASE36 = string.digits + string.ascii_lowercase

# Operators of private networks and tests use these: that no mail can reach them from outside is not ours to forbid.
# The list is the library's documented switch, and there is no narrower one.
for _name in ("invalid", "local", "localhost", "test"):
    if _name in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_name)


@dataclass(frozen=True)
class UsernamePolicy:
    """What a username must be: its length in characters, a pattern for the whole of it, and what is kept from people.

    A forbidden name, in lower case, is refused in any case. The root account that set-up creates does not pass here.
    """

    min_length: int = 3
    max_length: int = 15
    pattern: str = r"[A-Za-z0-9_]+"
    forbidden: frozenset[str] = FORBIDDEN


def problems(username: str, policy: UsernamePolicy, *field: str) -> list[Problem]:
    """Why a username is refused; nothing when it is good. Whether it is taken is for the database to say."""
    if not username:
        return [Problem(ErrorCode.REQUIRED, "A username is required", field)]
    if len(username) > policy.max_length:
        return [Problem(ErrorCode.TOO_LONG, f"A username has at most {policy.max_length} characters", field)]
    found = []
    if len(username) < policy.min_length:
        found.append(Problem(ErrorCode.TOO_SHORT, f"A username has at least {policy.min_length} characters", field))
    if UNSTORABLE.search(username) or not re.fullmatch(policy.pattern, username):
        found.append(Problem(ErrorCode.INVALID, f"A username must match {policy.pattern}", field))
    if username.casefold() in policy.forbidden:
        found.append(Problem(ErrorCode.NOT_ALLOWED, "This username is reserved", field))
    return found


def generated_username(email: str, policy: UsernamePolicy) -> str:
    """A username for one who is known by an email address only: the head of its local part, `_`, 4 random characters.

    It is valid for the policy whatever the address holds; it may be taken. For a pattern without `_` it is made of
    small letters and digits, of small letters or of digits; ValueError says that the pattern takes none of these.
    """
    local_part = email.rpartition("@")[0] or email
    ascii_text = unicodedata.normalize("NFKD", local_part.casefold()).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^a-z0-9_]", "", ascii_text)[:_STEM_LENGTH].strip("_") or "user"
    letters = re.sub(r"[^a-z]", "", stem)
    for head, separator, alphabet in (
        (stem, "_", _BASE36),
        (stem.replace("_", ""), "", _BASE36),
        (letters, "", string.ascii_lowercase),
        ("", "", string.digits),
    ):
        username = _completed(head, separator, alphabet, policy)
        if not problems(username, policy):
            return username
    raise ValueError(f"no username can be generated for the pattern {policy.pattern}")


def _completed(head: str, separator: str, alphabet: str, policy: UsernamePolicy) -> str:
    length = max(_TAIL_LENGTH, policy.min_length - len(head) - len(separator))
    tail = "".join(secrets.choice(alphabet) for _ in range(min(length, policy.max_length)))
    room = max(0, policy.max_length - len(separator) - len(tail))
    return (head[:room] + separator + tail)[-policy.max_length :]


def email_problems(email: str, *field: str) -> tuple[str | None, list[Problem]]:
    """The address in its normal form (RFC 6532: NFC, the domain in lower case and Unicode), or why it is refused.

    Nothing is looked up: that an address works is shown by the mail sent to it.
    """
    if not email:
        return None, [Problem(ErrorCode.REQUIRED, "An email address is required", field)]
    if len(email.encode("utf-8", "surrogatepass")) > MAX_EMAIL_BYTES:
        return None, [Problem(ErrorCode.TOO_LONG, f"An email address is at most {MAX_EMAIL_BYTES} bytes long", field)]
    if UNSTORABLE.search(email):
        return None, [Problem(ErrorCode.INVALID, "An email address must not hold control characters", field)]
    # A domain without a dot is a slip of the pen (`ada@gmail`), but for the one that set-ups and tests use.
    dotted = email.rpartition("@")[2].casefold() != "localhost"
    try:
        checked = email_validator.validate_email(
            email, check_deliverability=False, globally_deliverable=dotted, strict=True
        )
    except email_validator.EmailNotValidError as error:
        return None, [Problem(ErrorCode.INVALID, str(error).rstrip("."), field)]
    return checked.normalized, []
