"""The forms of a database URL: which servers it names, and the reason for which a wrong one is rejected."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from service.database_url import NOT_A_URL, TWO_PLACES, Server, servers
from service.settings import Settings

SERVERS = {
    "postgresql://u:p@h1/db": [Server("h1")],
    "postgresql://u:p%40%2F@h1:5433/db?sslmode=require": [Server("h1", 5433)],
    "postgresql://u@h1:5432,h2:5433/db": [Server("h1", 5432), Server("h2", 5433)],
    "postgresql://h1,h2:5433,[::1]:5434/db": [Server("h1"), Server("h2", 5433), Server("::1", 5434)],
    "postgresql://u@%2Frun%2Fpostgresql/db": [Server("/run/postgresql")],
    "postgresql://u@/db?host=/run/postgresql&port=5433": [Server("/run/postgresql", 5433)],
    "postgresql:///db?host=h1,h2&port=5432,5433": [Server("h1", 5432), Server("h2", 5433)],
    "postgresql:///db?host=h1,h2&port=5433": [Server("h1", 5433), Server("h2", 5433)],
    "postgresql:///db?host=h1:5432,h2:5433&target_session_attrs=primary": [Server("h1", 5432), Server("h2", 5433)],
    "postgresql:///db": [Server()],
}
PORT = "a port must be between 1 and 65535"
WRONG = {
    "postgresql://u:p@ss@h1/db": NOT_A_URL,
    "postgresql://a:b/c@h/d": NOT_A_URL,
    "postgresql://u@h1,,h2/db": NOT_A_URL,
    "postgresql://u@h1:x/db": NOT_A_URL,
    "postgresql://u@[::1/db": NOT_A_URL,
    "postgresql://u@h1/db?sslmode": NOT_A_URL,
    "postgresql://u@h1:99999/db": PORT,
    "postgresql://u@h1:0/db": PORT,
    "postgresql:///db?host=h1&port=x": PORT,
    "postgresql://h1,h2/db?port=5433": TWO_PLACES,
    "postgresql://h1/db?host=h2": TWO_PLACES,
    "postgresql:///db?host=h1:5432&port=5432": TWO_PLACES,
    "postgresql:///db?host=h1,h2&port=1,2,3": "must have one port for all hosts, or one for each",
    "postgresql://h1,h2/db?target_session_attrs=standby": (
        "target_session_attrs must be one of any, primary, read-write, because the service writes"
    ),
}


@pytest.mark.parametrize("url", SERVERS)
def test_a_url_names_its_servers(url: str) -> None:
    assert list(servers(url)) == SERVERS[url]
    assert Settings(database_url=SecretStr(url)).postgresql_url == url


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_rejected_with_its_reason(url: str) -> None:
    with pytest.raises(ValidationError) as error:
        Settings(database_url=SecretStr(url))
    assert [item["msg"] for item in error.value.errors()] == [f"Value error, {WRONG[url]}"]
