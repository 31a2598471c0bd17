"""The export of one's own data: it is complete, has nothing of others, and no new table or column is forgotten."""

from __future__ import annotations

import json
from typing import Any

from service import limits
from service.inputs import camel_case
from tests.conftest import PASSWORD, Client, Person
from tests.leaving import exported
from tests.links import confirmed
from tests.objects import create_objects
from tests.second_factors import codes, with_app

# The columns of every table that exportMyData exports, with the member of the document that has its rows
EXPORTED = {
    "api_keys": ("apiKeys", "id name prefix permissions allowed_ips created_at last_used_at expires_at"),
    "audit_events": (
        "auditEvents",
        "id event actor_id impersonator_id credential target_type target_id changes ip request_id created_at",
    ),
    "credentials": ("passwords", "changed_at"),
    "dedicated_ips": ("dedicatedIps", "id address assigned_at"),
    "idempotency_keys": ("idempotencyKeys", "operation result_id created_at"),
    "invitations": ("invitations", "expires_at"),
    "mails": (
        "mails",
        "id recipient template language tries next_try_at created_at sent_at failed_at problem",
    ),
    "one_time_tokens": ("links", "purpose created_at expires_at"),
    "passkeys": ("passkeys", "id name sign_count transports created_at last_used_at"),
    "plan_periods": ("planPeriods", "id plan_id plan_name started_at ended_at"),
    "registrations": ("registrations", "email created_at expires_at"),
    "servers": ("servers", "id name external_id created_at"),
    "sessions": (
        "sessions",
        "id ip user_agent device created_at last_seen_at idle_expires_at expires_at ended_at authenticated_at "
        "impersonator_id",
    ),
    "ssh_keys": ("sshKeys", "id name type fingerprint public_key created_at last_used_at"),
    "subusers": ("memberships", "id server_id permissions until created_at"),
    "two_factor_secrets": ("authenticatorApps", "pending_until"),
    "users": (
        "account",
        "id username email email_verified pending_email first_name last_name display_name language tier role_id "
        "plan_id date_of_birth billing_address settings limit_overrides two_factor_enabled external_id suspended_at "
        "suspended_reason suspended_until deletion_scheduled_at last_login_at version created_at updated_at",
    ),
    "wallet_entries": ("walletEntries", "id wallet_id amount_msat balance_after_msat reason created_at"),
    "wallets": ("wallets", "id name is_default balance_msat created_at"),
}
OWN = "the account itself"
HASH = "only its hash is stored, and it opens something"
OTHER = "it is of another person"
# Why the other columns of these tables are not exported
NOT_EXPORTED = {
    "api_keys.user_id": OWN,
    "audit_events.owner_id": OWN,
    "credentials.password_hash": HASH,
    "credentials.user_id": OWN,
    "dedicated_ips.user_id": OWN,
    "idempotency_keys.actor_id": OWN,
    "idempotency_keys.fingerprint": "a hash of an input",
    "idempotency_keys.key_hash": HASH,
    "invitations.user_id": OWN,
    "mails.content": "it is encrypted, and has links that open the account; the mail itself was sent to the person",
    "mails.user_id": OWN,
    "one_time_tokens.data": "ids, and an address of the account that is exported elsewhere; the rest is of others",
    "one_time_tokens.hash": HASH,
    "one_time_tokens.user_id": OWN,
    "passkeys.credential_id": "an identifier of the device, which says nothing about the person",
    "passkeys.public_key": "a key of the device, which says nothing about the person",
    "passkeys.user_id": OWN,
    "plan_periods.changed_by": OTHER,
    "plan_periods.user_id": OWN,
    "registrations.columns": "entered by a stranger who had the address: it may be the data of another person",
    "registrations.hash": HASH,
    "registrations.password_hash": HASH,
    "servers.owner_id": OWN,
    "sessions.impersonator_api_key_id": OTHER,
    "sessions.impersonator_session_id": OTHER,
    "sessions.user_id": OWN,
    "ssh_keys.user_id": OWN,
    "subusers.user_id": "the account itself; of memberships on its servers it is exported",
    "two_factor_secrets.last_step": "the time of the last code, which must not be used again",
    "two_factor_secrets.pending_secret": "a secret",
    "two_factor_secrets.secret": "a secret; that there is one is exported",
    "two_factor_secrets.user_id": OWN,
    "users.search_text": "made of the names and the address",
    "users.suspended_by": OTHER,
    "wallet_entries.actor_id": OTHER,
    "wallet_entries.balance_before_msat": "the balance after, without the amount",
    "wallet_entries.owner_id": OWN,
    "wallets.closed_at": "the wallets of an account that exists are open",
    "wallets.owner_id": OWN,
    "wallets.user_id": OWN,
}
# Tables without a person, or without more than another table has
WITHOUT_PERSON = {
    "api_key_secrets": HASH,
    "attempts": "hashes of what was attempted, for 30 days at most",
    "erasures": "deleted users, who cannot export",
    "features": "settings of the operator",
    "geo_rules": "settings of the operator",
    "imported_rows": "keys of another system; those of deleted users are hashes",
    "migrations": "the history of the schema",
    "permission_presets": "settings of the operator",
    "plans": "of all users; the name and limits of the own plan are exported",
    "recovery_codes": "hashes; their number is exported",
    "retired_usernames": "keyed hashes, which belong to no user",
    "roles": "of all users; the name of the own role is exported",
    "session_tokens": HASH,
    "signing_keys": "of the service",
}
COLUMNS = """SELECT c.table_name || '.' || c.column_name AS name FROM information_schema.columns AS c
  JOIN information_schema.tables AS t USING (table_schema, table_name)
  WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"""
# Tables with a reference to users, the id of a user, or an address
REFERENCES = """SELECT c.table_name FROM information_schema.columns AS c
  WHERE c.table_schema = 'public'
    AND (c.column_name ~ '(^|_)(user|owner|actor|impersonator)_id$' OR c.column_name ~ '(^|_)(email|recipient|ip|ips)$'
      OR c.udt_name IN ('inet', 'cidr', '_inet', '_cidr'))
    AND c.table_name <> 'actors'
  UNION
  SELECT CAST(CAST(o.conrelid AS regclass) AS text) FROM pg_constraint AS o
  WHERE o.contype = 'f' AND o.confrelid = CAST('users' AS regclass)
  UNION SELECT 'users'"""
LISTED = {f"{table}.{column}" for table, (_, columns) in EXPORTED.items() for column in columns.split()}
OF_PERSON = {
    "audit_events": "$1 IN (t.actor_id, t.owner_id)",
    "idempotency_keys": "t.actor_id = $1",
    "registrations": "t.email = 'alice@roster.test' AND CAST($1 AS uuid) IS NOT NULL",
    "servers": "t.owner_id = $1",
    "users": "t.id = $1",
    "wallet_entries": "t.owner_id = $1",
}


async def unlisted(client: Client) -> list[str]:
    """Return the columns of the database that are on none of the lists."""
    live = {row["name"] for row in await client.rows(COLUMNS)}
    return sorted(name for name in live - LISTED - NOT_EXPORTED.keys() if name.partition(".")[0] not in WITHOUT_PERSON)


async def test_every_column_of_the_database_is_exported_or_has_a_reason_not_to_be(client: Client) -> None:
    assert await unlisted(client) == [], "export them in personal_data.sql, or say why not"
    live = {row["name"] for row in await client.rows(COLUMNS)}
    assert LISTED & NOT_EXPORTED.keys() == set()
    assert EXPORTED.keys() & WITHOUT_PERSON.keys() == set()
    assert sorted((LISTED | NOT_EXPORTED.keys()) - live) == []
    assert sorted(WITHOUT_PERSON.keys() - {name.partition(".")[0] for name in live}) == []


async def test_a_new_table_or_column_is_found(client: Client) -> None:
    await client.rows("ALTER TABLE users ADD COLUMN shoe_size integer")
    await client.rows("CREATE TABLE parcels (user_id uuid)")
    assert await unlisted(client) == ["parcels.user_id", "users.shoe_size"]


async def test_a_table_without_a_person_refers_to_no_user_and_holds_no_address(client: Client) -> None:
    rows = await client.rows(REFERENCES)
    assert {row["table_name"] for row in rows} >= {"users", "sessions", "api_keys", "audit_events"}
    # Their rows are counted, or belong to users who are gone
    assert {row["table_name"] for row in rows} & WITHOUT_PERSON.keys() == {"erasures", "recovery_codes"}


async def filled(client: Client, people: dict[str, Person]) -> str:
    """Give Alice rows in every table; return the token of a session."""
    alice = people["alice"]
    await confirmed(client, alice)
    await create_objects(client, people)
    await with_app(client, alice)
    await client.mutate("updateSettings", {"patch": {"snake_case": {"deep_er": 1}}}, "", by=alice)
    server = await client.mutate(
        "createServer", {"name": "bobs", "ownerId": people["bob"].id}, "server { id }", by=people["root"]
    )
    value = {"serverId": server["server"]["id"], "email": "alice@roster.test", "permissions": ["user.read"]}
    assert codes(await client.mutate("createSubuser", value, "", by=people["bob"])) == []
    await client.mutate("requestPasswordReset", {"email": "alice@roster.test"}, "")
    credit = {"userId": alice.id, "amountSat": 21, "reason": "Credit"}
    assert codes(await client.mutate("adjustBalance", credit, "", by=people["root"])) == []
    address = {"userId": alice.id, "address": "203.0.113.9"}
    assert codes(await client.mutate("assignDedicatedIp", address, "", by=people["root"])) == []
    await client.rows("INSERT INTO plan_periods (user_id, plan_name, ended_at) VALUES ($1, 'Small', now())", alice.id)
    await client.rows("INSERT INTO idempotency_keys VALUES ($1, 'createServer', 'k', 'f', $1)", alice.id)
    await client.rows("INSERT INTO invitations VALUES ($1, now())", alice.id)
    await client.rows(
        "INSERT INTO registrations VALUES ('h', 'alice@roster.test', '{\"first_name\": \"Stranger\"}', 'x', now(), now())"  # noqa: E501
    )
    await client.rows(
        "UPDATE users SET suspended_at = now(), suspended_until = now(), suspended_reason = 'late' WHERE id = $1",
        alice.id,
    )
    return alice.token


async def test_every_value_of_the_listed_columns_is_in_the_document(client: Client, people: dict[str, Person]) -> None:
    token = await filled(client, people)
    alice = people["alice"]
    document = await exported(client, token)
    assert (document["format"], document["version"], document["truncated"]) == ("roster-personal-data", 1, [])
    for table, (member, columns) in EXPORTED.items():
        where = OF_PERSON.get(table, "t.user_id = $1")
        rows = await client.rows(f"SELECT to_jsonb(t) AS row FROM {table} AS t WHERE {where}", alice.id)  # noqa: S608
        assert rows, f"{table}: nothing to compare"
        shown = [document[member]] if isinstance(document[member], dict) else document[member]
        for item in (found["row"] for found in rows):
            if table == "audit_events" and item["event"] == "user.export":
                continue  # that of this export
            expected = {camel_case(name): value_of(table, name, item, alice) for name in columns.split()}
            assert any(contains(each, expected) for each in shown), (
                table,
                expected,
            )
    assert document["unusedRecoveryCodes"] == limits.RECOVERY_CODES
    assert document["account"]["billingAddress"]["postalCode"] == "1010"
    assert document["account"]["settings"] == {"snake_case": {"deep_er": 1}}
    assert document["membershipsOnOwnServers"]


def contains(row: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in expected.items())


def value_of(table: str, name: str, row: dict[str, Any], person: Person) -> Any:
    """Return how a value is exported: without what is of another person."""
    value = row[name]
    if name in {"billing_address", "limit_overrides"}:
        return {camel_case(member): item for member, item in value.items()}
    if table == "audit_events":
        if name in {"credential", "ip", "request_id"} and row["actor_id"] != person.id:
            return None
        if name == "changes" and row["owner_id"] != person.id:
            return {}
    return value


async def test_no_secret_and_nothing_of_another_person_is_exported(client: Client, people: dict[str, Person]) -> None:
    token = await filled(client, people)
    root, bob = people["root"], people["bob"]
    await client.rows(
        "UPDATE users SET first_name = 'BobFirst', settings = '{\"x\": \"BobSetting\"}' WHERE id = $1", bob.id
    )
    insert = "INSERT INTO audit_events (event, actor_id, owner_id, ip, request_id, credential, changes) VALUES "
    await client.rows(
        insert + "('a', $1, $2, '203.0.113.1', 'r-root', 'session:root', '{\"firstName\": {\"new\": \"Alice\"}}'), "
        "('b', $2, $3, '203.0.113.2', 'r-own', 'session:own', '{\"firstName\": {\"new\": \"BobFirst\"}}'), "
        "('c', $3, $3, '203.0.113.3', 'r-bob', 'session:bob', '{\"firstName\": {\"new\": \"BobSecond\"}}')",
        root.id,
        people["alice"].id,
        bob.id,
    )
    await client.rows(
        "INSERT INTO sessions (user_id, impersonator_id, ip, user_agent, expires_at, idle_expires_at) "
        "VALUES ($1, $2, '203.0.113.4', 'RootBrowser', now(), now())",
        people["alice"].id,
        root.id,
    )
    text = json.dumps(await exported(client, token))
    assert "203.0.113.2" in text
    for foreign in ("BobFirst", "BobSetting", "BobSecond", "203.0.113.1", "203.0.113.3", "203.0.113.4", "RootBrowser"):
        assert foreign not in text, foreign
    for foreign in ("r-root", "r-bob", "session:root", "bob@roster.test", "root@roster.test", "Stranger"):
        assert foreign not in text, foreign
    secrets = await client.rows(
        "SELECT encode(hash, 'hex') AS secret FROM session_tokens "
        "UNION SELECT encode(hash, 'hex') FROM api_key_secrets "
        "UNION SELECT password_hash FROM credentials UNION SELECT encode(hash, 'hex') FROM recovery_codes"
    )
    assert len(secrets) > 10
    for row in secrets:
        assert row["secret"] not in text
    for hidden in (PASSWORD, "argon2", "rsto_", token):
        assert hidden not in text
