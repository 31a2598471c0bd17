"""The rules for usernames and email addresses."""

from __future__ import annotations

import re
import secrets
import string
import unicodedata
from dataclasses import dataclass
from typing import Final

import email_validator
from langcodes import standardize_tag, tag_is_valid
from langcodes.tag_parser import LanguageTagError

from service import limits
from service.errors import ErrorCode, Problem
from service.parsing import UNSTORABLE

# SECURITY: a user with one of these names could pass for the operator or for the software itself
RESERVED: Final = frozenset(
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

# Operators of private networks and tests use these domains. The list is the library's documented switch.
for _name in ("invalid", "local", "localhost", "test"):
    if _name in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_name)


@dataclass(frozen=True)
class UsernamePolicy:
    """The operator's rules for usernames: lengths in characters, a pattern for the whole name, and reserved names.

    A reserved name, in lower case, is rejected in any case. The root account is created without this policy.
    """

    min_length: int = 3
    max_length: int = 15
    pattern: str = r"[A-Za-z0-9_]+"
    reserved: frozenset[str] = RESERVED


def fold(text: str) -> str:
    """Return the form in which names are compared, as the function `fold` of the database does."""
    return unicodedata.normalize("NFKC", text).replace("\u0130", "i\u0307").lower().replace("\u03c2", "\u03c3")


def username_problems(username: str, policy: UsernamePolicy, *field: str) -> list[Problem]:
    """Return why a username is rejected, or nothing. The database says whether it is taken."""
    if not username:
        return [Problem(ErrorCode.REQUIRED, "username must not be empty.", field)]
    if len(username) > policy.max_length:
        message = f"username must have at most {policy.max_length} characters."
        return [Problem(ErrorCode.TOO_LONG, message, field)]
    found = []
    if len(username) < policy.min_length:
        message = f"username must have at least {policy.min_length} characters."
        found.append(Problem(ErrorCode.TOO_SHORT, message, field))
    # A login with @ is looked up as an email address
    if "@" in username or UNSTORABLE.search(username) or not re.fullmatch(policy.pattern, username):
        message = f"username must match the pattern {policy.pattern} and must not contain @."
        found.append(Problem(ErrorCode.INVALID, message, field))
    if username.casefold() in policy.reserved:
        found.append(Problem(ErrorCode.NOT_ALLOWED, "This username is reserved.", field))
    return found


def generated_username(email: str, policy: UsernamePolicy) -> str | None:
    """Return a username for a user with only an email address, or None where the policy allows none.

    It is the start of the local part, `_`, and 4 random characters. For a pattern without `_` it consists of lower-case
    letters and digits, of lower-case letters, or of digits. It may be taken.
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
        if not username_problems(username, policy):
            return username
    return None


def _completed(head: str, separator: str, alphabet: str, policy: UsernamePolicy) -> str:
    length = max(_TAIL_LENGTH, policy.min_length - len(head) - len(separator))
    tail = "".join(secrets.choice(alphabet) for _ in range(min(length, policy.max_length)))
    room = max(0, policy.max_length - len(separator) - len(tail))
    return (head[:room] + separator + tail)[-policy.max_length :]


def email_problems(email: str, *field: str) -> tuple[str | None, list[Problem]]:
    """Return the address in its normal form (RFC 6532: NFC, the domain in lower case and Unicode), or its problems.

    Nothing is looked up: only a message that arrives proves that an address works.
    """
    if not email:
        return None, [Problem(ErrorCode.REQUIRED, "email must not be empty.", field)]
    if len(email.encode("utf-8", "surrogatepass")) > limits.EMAIL:
        return None, [Problem(ErrorCode.TOO_LONG, f"email must have at most {limits.EMAIL} bytes.", field)]
    if UNSTORABLE.search(email):
        return None, [Problem(ErrorCode.INVALID, "email must not contain control characters.", field)]
    # A domain without a dot is a typing error (`ada@gmail`), except the one that installations and tests use
    dotted = email.rpartition("@")[2].casefold() != "localhost"
    try:
        checked = email_validator.validate_email(
            email, check_deliverability=False, globally_deliverable=dotted, strict=True
        )
    except email_validator.EmailNotValidError as error:
        return None, [Problem(ErrorCode.INVALID, f"email is not valid: {str(error).rstrip('.')}.", field)]
    # SECURITY: a compatibility character has a counterpart that looks alike or equals it in lower case (U+03F4 and Θ),
    # and so has the dotted capital I: the address would be another mailbox's
    if unicodedata.normalize("NFKC", checked.normalized) != checked.normalized or "\u0130" in checked.normalized:
        return None, [Problem(ErrorCode.INVALID, "email must not contain compatibility characters.", field)]
    return checked.normalized, []


def language_problems(tag: str, *field: str) -> tuple[str | None, list[Problem]]:
    """Return a language tag in its canonical form (BCP 47), or its problems."""
    try:
        # The library also reads the underscores of POSIX locales, which BCP 47 does not have
        if "_" not in tag and tag_is_valid(tag):
            return standardize_tag(tag), []
    except LanguageTagError:
        pass
    return None, [Problem(ErrorCode.INVALID, "language must be a BCP 47 language tag, such as en or pt-BR.", field)]
