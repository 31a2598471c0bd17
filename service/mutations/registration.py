"""Registrations: accounts that people create for themselves."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import strawberry

from service import limits
from service.access.rules import Public
from service.attempts import REGISTER, Attempt, begin_attempt
from service.context import Info
from service.credentials.password_policy import password_problems
from service.credentials.tokens import TokenKind, digest, new_token
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.features import Flag, require_feature
from service.identifiers import fold
from service.inputs import PASSWORD, PERSON_NAME, UNSET, given, optional
from service.links import RESET_PASSWORD, VERIFY_EMAIL, link
from service.mail.outbox import Template, send_mail
from service.mutations.guards import expired
from service.payloads import mutation
from service.registration_rules import RegistrationRule, country_of, registration_rule
from service.retired_usernames import check_retired
from service.scalars import CountryCode
from service.types.payload import UserPayload
from service.types.user import age
from service.user_creation import create_account, free_username, password_event
from service.user_input import EMAIL, LANGUAGE, USERNAME, check_taken, hashed_password, password_words, user_columns
from service.write import Write, write


@strawberry.input(
    description="Account that a person creates for themselves. It exists once verifyEmail was run with the token of "
    "the link that is sent to the address. The answer does not tell whether the address has an account already: its "
    "owner gets a mail. Another request sends another link"
)
class RegisterInput:
    """Input of register."""

    email: str = given("Email address, unique ignoring case; a link that is sent there confirms it", EMAIL)
    password: str = given("Password", PASSWORD)
    username: str | None = optional(
        "Name to sign in with, unique ignoring case; by default one is made of the email address", USERNAME
    )
    first_name: str | None = optional("First name", PERSON_NAME)
    last_name: str | None = optional("Last name", PERSON_NAME)
    date_of_birth: dt.date | None = optional("Date of birth; required where registrationPolicy says so")
    country: CountryCode | None = optional(
        "Country of the person, also for the billing address. Its rule applies; by default that of the country of "
        "the client's address"
    )
    language: str | None = optional("Language, a BCP 47 tag; en by default", LANGUAGE)


@dataclass(frozen=True, slots=True)
class Registrant:
    """The recipient of a mail who has no account yet.

    SECURITY: it has no names, because a person who registers a stranger's address could write an advertisement there.
    """

    email: str
    language: str
    display_name: None = None
    first_name: None = None
    id: None = None
    username: None = None


@mutation(Public(), collects_problems=True)
async def register(info: Info, input: RegisterInput) -> UserPayload:
    """Request an account for yourself; verifyEmail creates it. `user` is always null.

    There is no account before, so that no other person can occupy an address or a username.
    """
    context, resources = info.context, info.context.resources
    await require_feature(resources.database, Flag.REGISTRATION)
    rule = await registration_rule(resources.database, country_of(context, input.country or None))
    if rule.blocked:
        raise ApiError(ApiErrorCode.GEO_BLOCKED, "Registrations from this country are not possible.")
    columns = _columns(info, input, rule)
    # A value of the wrong form does not count, so that a person can correct it
    if info.problems:
        # SECURITY: without a count the password is not rated, because that takes up to 20 ms
        if not info.problems.has("password"):
            policy = replace(resources.passwords, min_score=0)
            info.problems.extend(password_problems(input.password, password_words(columns), policy, "password"))
        info.problems.raise_if_any()
    await begin_attempt(context, REGISTER, account=fold(columns.get("email") or input.email))
    # Usernames are public, so the answer may tell that one is taken. SECURITY: addresses are not
    await check_taken(resources.database.read, {"username": columns.get("username")}, info.problems)
    await check_retired(resources.database.read, resources.encryption, columns, info.problems)
    # SECURITY: a known address takes a hash and the same statements as well, because the time would tell the difference
    # (ASVS 6.3.8)
    password_hash = await hashed_password(resources, input.password, password_words(columns), info.problems, "password")
    async with write(info, "registration.create") as change:
        change.problems.raise_if_any()
        await _store(change, columns, str(password_hash))
    return UserPayload()


def _columns(info: Info, input: RegisterInput, rule: RegistrationRule) -> dict[str, Any]:
    """Return the columns of the user, and add what is wrong with the input to the problems."""
    if input.username is None:
        input.username = UNSET
    given_columns = user_columns(info.context.resources, input, info.problems)
    columns = {name: value for name, value in given_columns.items() if value is not None}
    if input.country:
        columns["billing_address"] = {"country": input.country}
    if info.problems.has("dateOfBirth"):
        return columns
    years = age(input.date_of_birth or None)
    if years is None:
        if rule.date_of_birth_required:
            info.problems.add(ErrorCode.REQUIRED, "dateOfBirth must be given.", "dateOfBirth")
    elif years < rule.minimum_age:
        message = f"You must be at least {rule.minimum_age} years old."
        info.problems.add(ErrorCode.AGE_RESTRICTED, message, "dateOfBirth")
    return columns


async def _store(change: Write, columns: dict[str, Any], password_hash: str) -> None:
    """Store a registration and the mail to its address.

    The registration with a known address has expired already, and its token is in no mail.
    """
    email, settings = columns["email"], change.context.resources.settings
    known = await change.run("users_by_email", keys=[email])
    token = new_token(TokenKind.ONE_TIME)
    await change.run(
        "create_registration",
        hash=digest(token),
        email=email,
        columns=columns,
        password_hash=password_hash,
        lifetime=0.0 if known else float(limits.VERIFICATION),
    )
    if known:
        await send_mail(change, Template.ACCOUNT_EXISTS, known[0], url=link(settings, RESET_PASSWORD))
        change.updated(known[0], known[0], mail=(None, Template.ACCOUNT_EXISTS.value))
    else:
        registrant = Registrant(email, columns.get("language", "en"))
        await send_mail(change, Template.EMAIL_VERIFICATION, registrant, url=link(settings, VERIFY_EMAIL, token))
        change.added(mail=Template.EMAIL_VERIFICATION.value)


async def confirm_registration(info: Info, attempt: Attempt, token: str) -> Any:
    """Create the account of a registration by the token of its mail, and return the user. EXPIRED for another token."""
    resources = info.context.resources
    token_hash = digest(token)
    registration = await resources.database.read("registration_by_hash", hash=token_hash)
    if registration is None:
        raise expired()
    await require_feature(resources.database, Flag.REGISTRATION)
    email, columns = registration["email"], {**registration["columns"], "email_verified": True}
    async with write(info, "user.register") as change:
        await change.run("lock_email", email=email)
        if await change.run("consume_registration", hash=token_hash) is None:
            raise expired()
        name = columns.get("username")
        taken = await change.run("taken_user_keys", id=None, username=name, email=email, external_id=None)
        if taken["email"]:
            # The owner of the address is reading this
            message = "An account with this address was created in the meantime. Reset its password to sign in."
            raise reject(ErrorCode.CONFLICT, message, "token")
        if name is None or taken["username"]:
            columns["username"] = await free_username(change, email, resources.usernames)
        user = await create_account(change, columns, password_hash=registration["password_hash"])
        await change.run("delete_registrations_by_email", email=email)
        await attempt.succeeded(change.run)
        change.created(user, **password_event(registration["password_hash"]))
    return user
