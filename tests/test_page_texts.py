"""Pages as JSON text of the database: when they are, and that they are the same as those of rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import is_non_null_type

from service.compiler import compile as compiler
from service.compiler.kinds import ENTITIES, Column
from service.compiler.texts import TYPES
from service.database.connection import Database
from service.database.rows import Row
from service.schema import schema
from tests.conftest import Client, Person

TEXT = 'quote " slash \\ line\nend +00:00" ü 😀 \u2028'
INSERT = """INSERT INTO sessions (user_id, ip, user_agent, created_at, expires_at, idle_expires_at)
SELECT $1, '2001:db8::1', $2, moment, now() + interval '1 day', now() + interval '1 day'
FROM unnest(ARRAY['2026-03-01 12:30:00.5+00', '2026-03-01 12:30:00+02', '1999-12-31 23:59:59.123456-11']::timestamptz[])
  AS moment"""
SESSIONS = "sessions(first: 2) { nodes { __typename page: id ip agent: userAgent device createdAt lastSeenAt } }"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lists that were read as text so far."""
    found = list[str]()
    load = Database.load_texts

    def watched(self: Database, name: str, *arguments: Any, **named: Any) -> Any:
        found.append(name)
        return load(self, name, *arguments, **named)

    monkeypatch.setattr(Database, "load_texts", watched)
    return found


async def test_text_is_the_same_as_rows(
    client: Client, root: Person, alice: Person, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.rows(INSERT, alice.id, TEXT)
    document = f'{{ user(by: {{id: "{alice.id}"}}) {{ username {SESSIONS} apiKeys {{ n: nodes {{ id name }} }} }} }}'
    by_text = await client.data(document, by=root)
    assert sorted(texts) == ["api_keys_by_user", "sessions_by_user"]
    monkeypatch.setattr(compiler, "text_of", lambda _page: None)
    by_rows = await client.data(document + " ", by=root)  # another document, with a plan of its own
    assert len(texts) == 2
    assert json.dumps(by_text) == json.dumps(by_rows)
    assert by_text["user"]["sessions"]["nodes"][0]["agent"] == TEXT
    assert len(by_text["user"]["sessions"]["nodes"]) == 2
    assert by_text["user"]["apiKeys"] == {"n": []}


@pytest.mark.parametrize(
    "page",
    [
        "sessions(last: 2) { nodes { id } }",
        "sessions { nodes { id current } }",
        "sessions { nodes { id user { id } } }",
        "sessions { nodes { id } totalCount }",
        "sessions { edges { node { id } } }",
        f"sessions {{ nodes {{ {'a' * 64}: id }} }}",
        "apiKeys { nodes { permissions } }",
    ],
)
async def test_other_pages_are_read_as_rows(client: Client, root: Person, page: str, texts: list[str]) -> None:
    assert (await client.data(f"{{ me {{ {page} }} }}", by=root))["me"]
    assert texts == []


async def test_rows_that_must_be_looked_at_are_not_text(client: Client, alice: Person, texts: list[str]) -> None:
    found = await client.data("{ me { sessions { nodes { id } } } }", by=alice)
    assert len(found["me"]["sessions"]["nodes"]) == 1
    assert texts == []


async def test_columns_of_required_fields_are_never_null(client: Client) -> None:
    """PostgreSQL would write null where the type does not allow it."""
    columns = {
        (row["table_name"], row["column_name"])
        for row in await client.rows(
            "SELECT table_name, column_name FROM information_schema.columns WHERE is_nullable = 'YES'"
        )
    }
    checked = 0
    for name, entity in ENTITIES.items():
        table = entity.by_id.removesuffix("_by_id")
        for field in schema._schema.type_map[name].fields.values():  # type: ignore[attr-defined]  # noqa: SLF001
            kind = field.extensions.get("kind")
            if not isinstance(kind, Column) or not is_non_null_type(field.type):
                continue
            if getattr(field.type.of_type, "name", "") in TYPES | {"DateTime", "Tier"}:
                assert (table, kind.name) not in columns, f"{table}.{kind.name}"
                checked += 1
    assert checked > 30
    assert all(issubclass(entity.row, Row) for entity in ENTITIES.values())


async def test_a_whole_list_is_text_in_its_order(client: Client, root: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list[str | None]()
    read = Database.read_page_text

    async def watched(self: Database, *arguments: Any) -> str | None:
        found.append(await read(self, *arguments))
        return found[-1]

    monkeypatch.setattr(Database, "read_page_text", watched)
    selection = "{ nodes { position: username page: id list: email key: tier createdAt lastLoginAt twoFactorEnabled } }"
    for arguments in ("(first: 3)", "(orderBy: USERNAME_ASC, offset: 1)", '(search: "no such user")'):
        document = f"{{ users{arguments} {selection} }}"
        with monkeypatch.context() as patch:
            patch.setattr(compiler, "text_of", lambda _page: None)
            by_rows = await client.data(document, by=root)
        by_text = await client.data(document + " ", by=root)
        assert json.dumps(by_text) == json.dumps(by_rows)
    assert len(found) == 3
    assert found[2] is None
