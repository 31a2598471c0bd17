"""The constraints of the database, each with the problem that a client receives for its violation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from service.errors import ErrorCode, MutationRejected, Problem


def _taken(field: str, what: str) -> Problem:
    return Problem(ErrorCode.TAKEN, f"This {what} is already taken.", (field,))


def _length(field: str) -> Problem:
    return Problem(ErrorCode.INVALID, f"{field} is too short or too long.", (field,))


def _missing(field: str, what: str) -> Problem:
    return Problem(ErrorCode.NOT_FOUND, f"This {what} does not exist.", (field,))


def _invalid(field: str) -> Problem:
    return Problem(ErrorCode.INVALID, f"{field} is not valid.", (field,))


def _in_use(message: str) -> Problem:
    return Problem(ErrorCode.IN_USE, message, ("id",))


CONSTRAINTS = {
    "api_key_secrets_api_key_id_fkey": _missing("id", "API key"),
    "api_keys_name_key": _taken("name", "name of an API key"),
    "api_keys_name_length": _length("name"),
    "api_keys_user_id_fkey": _missing("userId", "user"),
    "credentials_user_id_fkey": _missing("userId", "user"),
    "dedicated_ips_address_host": _invalid("address"),
    "dedicated_ips_address_key": _taken("address", "address"),
    "dedicated_ips_assignment_complete": _invalid("userId"),
    "dedicated_ips_user_id_fkey": _missing("userId", "user"),
    "geo_rules_country_code": _invalid("country"),
    "geo_rules_minimum_age_range": _invalid("minimumAge"),
    "invitations_user_id_fkey": _missing("userId", "user"),
    "mails_user_id_fkey": _missing("userId", "user"),
    "one_time_tokens_user_id_fkey": _missing("userId", "user"),
    "passkeys_credential_id_key": Problem(ErrorCode.TAKEN, "This passkey is already registered.", ("credential",)),
    "passkeys_name_key": _taken("name", "name of a passkey"),
    "passkeys_name_length": _length("name"),
    "passkeys_user_id_fkey": _missing("userId", "user"),
    "permission_presets_description_length": _length("description"),
    "permission_presets_name_key": _taken("name", "name of a preset"),
    "permission_presets_name_length": _length("name"),
    "plan_periods_current_key": Problem(
        ErrorCode.CONFLICT, "The plan of the user was changed at the same time.", ("planId",)
    ),
    "plan_periods_user_id_fkey": _missing("userId", "user"),
    "plans_default_key": Problem(
        ErrorCode.CONFLICT, "Another plan became the default plan at the same time.", ("isDefault",)
    ),
    "plans_description_length": _length("description"),
    "plans_limits_object": _invalid("limits"),
    "plans_name_key": _taken("name", "name of a plan"),
    "plans_name_length": _length("name"),
    "plans_tier_known": _invalid("tier"),
    "recovery_codes_user_id_fkey": _missing("userId", "user"),
    "roles_description_length": _length("description"),
    "roles_name_key": _taken("name", "name of a role"),
    "roles_name_length": _length("name"),
    "servers_external_id_key": _taken("externalId", "external id"),
    "servers_external_id_length": _length("externalId"),
    "servers_name_length": _length("name"),
    "servers_owner_id_fkey": _in_use("The user owns servers. Set cascade to delete them, too."),
    "servers_pkey": _taken("id", "id"),
    "session_tokens_session_id_fkey": _missing("id", "session"),
    "sessions_device_length": Problem(ErrorCode.TOO_LONG, "The User-Agent header is too long."),
    "sessions_user_agent_length": Problem(ErrorCode.TOO_LONG, "The User-Agent header is too long."),
    "sessions_user_id_fkey": _missing("userId", "user"),
    "signing_keys_current_key": Problem(ErrorCode.CONFLICT, "Another signing key was created at the same time."),
    "ssh_keys_fingerprint_key": Problem(ErrorCode.TAKEN, "You already have this SSH key.", ("publicKey",)),
    "ssh_keys_name_key": _taken("name", "name of an SSH key"),
    "ssh_keys_name_length": _length("name"),
    "ssh_keys_public_key_length": _length("publicKey"),
    "ssh_keys_user_id_fkey": _missing("userId", "user"),
    "subusers_server_id_fkey": _missing("serverId", "server"),
    "subusers_server_id_user_id_key": Problem(
        ErrorCode.CONFLICT, "This person already has access to the server.", ("email",)
    ),
    "subusers_user_id_fkey": _missing("email", "user"),
    "two_factor_secrets_user_id_fkey": _missing("userId", "user"),
    "users_billing_address_object": _invalid("billingAddress"),
    "users_display_name_length": _length("displayName"),
    "users_email_key": _taken("email", "email address"),
    "users_email_length": _length("email"),
    "users_external_id_key": _taken("externalId", "external id"),
    "users_external_id_length": _length("externalId"),
    "users_first_name_length": _length("firstName"),
    "users_language_length": _length("language"),
    "users_last_name_length": _length("lastName"),
    "users_limit_overrides_object": _invalid("limits"),
    "users_pending_email_length": _length("email"),
    "users_pkey": _taken("id", "id"),
    "users_plan_id_fkey": _in_use("Users have this plan."),
    "users_role_id_fkey": _in_use("Users have this role."),
    "users_settings_object": Problem(ErrorCode.TOO_LONG, "Settings must not exceed 16 KiB.", ("patch",)),
    "users_suspended_reason_length": _length("reason"),
    "users_suspension_complete": _invalid("reason"),
    "users_tier_known": _invalid("tier"),
    "users_username_key": _taken("username", "username"),
    "users_username_length": _length("username"),
    "wallet_entries_amount_not_zero": _invalid("amountSat"),
    "wallet_entries_balance_after_consistent": _invalid("amountSat"),
    "wallet_entries_reason_length": _length("reason"),
    "wallet_entries_wallet_id_fkey": _missing("walletId", "wallet"),
    "wallets_balance_most": Problem(ErrorCode.LIMIT_REACHED, "The balance is too high.", ("amountSat",)),
    "wallets_balance_not_negative": Problem(ErrorCode.INSUFFICIENT_BALANCE, "The balance is too low.", ("amountSat",)),
    "wallets_closed_complete": _missing("walletId", "wallet"),
    "wallets_default_key": Problem(ErrorCode.CONFLICT, "The user already has a default wallet."),
    "wallets_name_length": _length("name"),
    "wallets_owner_same": _invalid("userId"),
    "wallets_total_most": Problem(ErrorCode.LIMIT_REACHED, "The balance of the user is too high.", ("amountSat",)),
    "wallets_user_id_fkey": _missing("userId", "user"),
}


@contextmanager
def rejected_constraints() -> Iterator[None]:
    """Turn a violated constraint of the database into the problem that the client receives."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        problem = CONSTRAINTS.get(error.constraint_name or "")
        if problem is None:
            raise
        raise MutationRejected(problem) from error
