"""Other origins: only those that the operator allows, with their cookies."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.conftest import Client, Person
from tests.processes import command

PANEL = "https://panel.example.org"
ME = {"query": "{ me { username } }"}
SIGNED_IN = {"data": {"me": {"username": "alice"}}}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


def cors(response: httpx.Response) -> dict[str, str]:
    """Return the headers that concern other origins."""
    return {name: value for name, value in response.headers.items() if name.startswith("access-") or name == "vary"}


async def by_cookie(client: Client, person: Person, **headers: str) -> Any:
    """Return the answer to a request that a browser sends with the session cookie."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"cookie": f"roster={person.token}"}
    return (await client.http.post("/graphql", json=ME, headers=headers)).json()


class TestAllowed:
    """A service with two front ends of other origins."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(cors_origins=f"http://localhost:5173, {PANEL}")

    async def test_a_preflight_of_an_allowed_origin_is_answered_and_kept(self, client: Client) -> None:
        response = await client.http.options("/graphql", headers={"origin": PANEL} | PREFLIGHT)
        assert (response.status_code, response.content) == (204, b"")
        assert cors(response) == {
            "access-control-allow-credentials": "true",
            "access-control-allow-headers": "authorization, content-type, graphql-require-preflight, "
            "apollo-require-preflight, x-request-id",
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-origin": PANEL,
            "access-control-expose-headers": "x-request-id, retry-after",
            "access-control-max-age": "7200",
            "vary": "Origin",
        }

    @pytest.mark.parametrize(
        "origin", ["https://panel.example.org.evil.example", "https://evil.example", "null", "*", f"{PANEL}:8443", ""]
    )
    async def test_another_origin_gets_no_permission(self, client: Client, alice: Person, origin: str) -> None:
        preflight = await client.http.options("/graphql", headers={"origin": origin} | PREFLIGHT)
        assert (preflight.status_code, cors(preflight)) == (405, {"vary": "Origin"})
        response = await client.http.post("/graphql", json=ME, headers={"origin": origin})
        assert cors(response) == {"vary": "Origin"}
        answer = await by_cookie(client, alice, origin=origin, sec_fetch_site="cross-site")
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"

    async def test_a_page_of_an_allowed_origin_has_its_session(self, client: Client, alice: Person) -> None:
        assert await by_cookie(client, alice, origin=PANEL, sec_fetch_site="same-site") == SIGNED_IN
        wrong = await client.http.post("/graphql", content=b"{", headers={"origin": PANEL})
        assert cors(wrong)["access-control-allow-origin"] == PANEL, "the page can read errors, too"

    async def test_the_own_page_needs_no_permission(self, client: Client, alice: Person) -> None:
        assert await by_cookie(client, alice, origin="http://roster", sec_fetch_site="same-origin") == SIGNED_IN


async def test_without_the_setting_no_other_origin_is_allowed(client: Client, alice: Person) -> None:
    preflight = await client.http.options("/graphql", headers={"origin": PANEL} | PREFLIGHT)
    assert (preflight.status_code, cors(preflight)) == (405, {})
    answer = await by_cookie(client, alice, origin=PANEL, sec_fetch_site="same-site")
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "origins", ["*", "null", f"{PANEL}/", "panel.example.org", "https://*.example.org", "https://a:0", f"{PANEL},*"]
)
def test_only_an_exact_origin_is_accepted(origins: str) -> None:
    ended = command("settings", environment={"ROSTER_CORS_ORIGINS": origins})
    assert (ended.returncode, "is not an origin such as https://panel.example.org" in ended.stderr) == (2, True)
