"""The country of a client: from the file of an operator, or the header of a proxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.countries import Countries
from service.settings import Settings
from tests.conftest import Person, opened_client
from tests.mmdb import write_mmdb
from tests.test_features import policy, set_rule


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_mmdb(
        tmp_path / "country.mmdb",
        {
            "192.0.2.0/25": {"country": {"iso_code": "AT", "names": {"en": "Austria"}}},
            "192.0.2.128/26": {"country": {"iso_code": "ZZ"}},
            "192.0.2.192/26": {"continent": {"code": "EU"}},
            "198.51.100.0/24": {"country": "AT"},
        },
    )


def test_the_country_of_an_address_is_that_of_the_file(file: Path) -> None:
    countries = Countries(file)
    found = {
        address: countries.of_address(address)
        for address in (
            "192.0.2.1",
            "192.0.2.127",
            "192.0.2.130",
            "192.0.2.200",
            "198.51.100.1",
            "8.8.8.8",
            "2001:db8::1",
        )
    }
    countries.close()
    assert found == dict.fromkeys(found) | {"192.0.2.1": "AT", "192.0.2.127": "AT"}
    assert Countries(None).of_address("192.0.2.1") is None
    assert Countries(None).of_address(None) is None


async def test_the_file_decides_after_the_input_and_before_the_header(
    database_url: str, file: Path, root: Person
) -> None:
    async with opened_client(Settings(geoip_file=file, country_header="CF-IPCountry"), database_url) as client:
        await set_rule(client, root, country="AT", registrationBlocked=True)
        assert (await policy(client))["blockedReason"] == "GEO_BLOCKED"
        assert (await policy(client, "DE"))["blockedReason"] is None
        headers = {"cf-ipcountry": "DE"}
        body = {"query": "{ registrationPolicy { blockedReason } }"}
        answer = await client.http.post("/graphql", json=body, headers=headers)
        assert answer.json()["data"]["registrationPolicy"] == {"blockedReason": "GEO_BLOCKED"}
        value = '{email: "nina@roster.test", password: "a-quite-unusual-walrus-77"}'
        answer = await client.http.post(
            "/graphql", json={"query": f"mutation {{ register(input: {value}) {{ __typename }} }}"}
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "GEO_BLOCKED"


@pytest.mark.parametrize("content", [None, b"", b"not a database"])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "country.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValidationError, match="is not a readable MaxMind DB file"):
        Settings(geoip_file=path)


@pytest.mark.parametrize("header", ["a b", "a:b", "ä", "a\n"])
def test_a_country_header_that_is_not_a_header_stops_the_start(header: str) -> None:
    with pytest.raises(ValidationError):
        Settings(country_header=header)
