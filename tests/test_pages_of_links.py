"""The pages of the links in mails: from this origin only, in two languages, and without any effect of a GET."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from service import pages
from service.errors import ApiErrorCode, ErrorCode
from service.links import AUTOLOGIN, CONFIRM_EMAIL, INVITATION, RESET_PASSWORD, UNDO_EMAIL, VERIFY_EMAIL
from tests.conftest import Client, Person
from tests.links import last_mail, request_verification, use
from tests.sdl import SDL

SCRIPT = (Path(pages.__file__).parent / "account.js").read_text("utf-8")
LINKS = (AUTOLOGIN, CONFIRM_EMAIL, INVITATION, RESET_PASSWORD, UNDO_EMAIL, VERIFY_EMAIL)
# What a person may get from the mutations of the pages
CODES = {
    *("CONFLICT", "EXPIRED", "INVALID", "REQUIRED", "TOO_LONG", "TOO_SHORT", "WEAK_PASSWORD", "WRONG_CREDENTIALS"),
    *("FEATURE_DISABLED", "INTERNAL", "RATE_LIMITED", "UNAVAILABLE", "USER_SUSPENDED"),
}


def test_every_link_has_a_page() -> None:
    assert {f"account/{name}" for name in pages.NAMES} == set(LINKS)


@pytest.mark.parametrize("name", pages.NAMES)
async def test_a_page_is_neither_cached_nor_framed_and_sends_no_referrer(client: Client, name: str) -> None:
    response = await client.http.get(f"/account/{name}")
    assert response.status_code == 200
    assert dict(response.headers) == {
        "cache-control": "no-store",
        "content-language": "en",
        "content-length": str(len(response.content)),
        "content-security-policy": pages.CONTENT_SECURITY_POLICY,
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "vary": "Accept-Language",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    assert "set-cookie" not in response.headers


def test_the_policy_allows_this_origin_only() -> None:
    assert dict(rule.split(" ", 1) for rule in pages.CONTENT_SECURITY_POLICY.split("; ")) == {
        "base-uri": "'none'",
        "connect-src": "'self'",
        "default-src": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
    }


@pytest.mark.parametrize("name", pages.NAMES)
async def test_a_page_has_one_script_and_one_style_of_this_service(client: Client, name: str) -> None:
    html = (await client.http.get(f"/account/{name}")).text
    assert re.findall(r'(?:href|src|action)="([^"]*)"', html) == ["account.css", "account.js"]
    assert "<style" not in html
    assert re.search(r"\son\w+=|\sstyle=|javascript:", html) is None
    for asset, media_type in (("account.css", "text/css"), ("account.js", "text/javascript")):
        response = await client.http.get(f"/account/{asset}")
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", pages.NAMES)
async def test_a_page_can_be_used_without_seeing_it(client: Client, name: str) -> None:
    html = (await client.http.get(f"/account/{name}")).text
    assert '<html lang="en">' in html
    assert len(re.findall(r"<h1>[^<]+</h1>", html)) == len(re.findall(r"<main>", html)) == 1
    inputs = re.findall(r'<input id="(\w+)"', html)
    assert re.findall(r'<label for="(\w+)">[^<]+</label>', html) == inputs
    assert html.count("<input") == len(inputs) == html.count("autocomplete=")
    assert 'role="alert"' in html
    assert "<noscript>" in html


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE", "de"),
        ("fr, en;q=0.7, de;q=0.9", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr", "en"),
        ("", "en"),
        ("de;q=0", "en"),
        ("de;q=x,en;q=0.1", "en"),
        ("*", "en"),
        ("../de", "en"),
    ],
)
async def test_a_page_has_the_language_of_the_browser(client: Client, header: str, language: str) -> None:
    response = await client.http.get("/account/verify-email", headers={"accept-language": header})
    assert response.headers["content-language"] == language
    assert f'<html lang="{language}">' in response.text
    assert pages.TEXTS[language]["pages"]["verify-email"]["title"] in response.text


def shape(value: Any) -> Any:
    return {name: shape(item) for name, item in value.items()} if isinstance(value, dict) else type(value)


def test_every_language_has_every_text() -> None:
    english = pages.TEXTS["en"]
    assert {"en", "de"} <= pages.TEXTS.keys()
    for language, texts in pages.TEXTS.items():
        assert shape({**texts, "errors": None}) == shape({**english, "errors": None})
        # The messages of the service itself are in English
        assert language == "en" or {*texts["errors"], "EXPIRED"} >= CODES
        assert "{wait}" in texts["errors"]["RATE_LIMITED"]
        assert english["errors"].keys() <= texts["errors"].keys()
    assert {code.value for code in (*ErrorCode, *ApiErrorCode)} >= CODES


async def test_another_page_does_not_exist(client: Client) -> None:
    for path in ("/account/", "/account/x", "/account/page.html", "/account/texts/en.json", "/account/..%2fapp.py"):
        response = await client.http.get(path)
        assert response.status_code == 404
    assert (await client.http.post("/account/verify-email")).status_code == 405
    assert (await client.http.head("/account/verify-email")).status_code == 200


def test_the_documents_of_the_script_are_valid() -> None:
    answer = re.findall(r"const ANSWER = '([^']+)'", SCRIPT)[0]
    documents = dict(re.findall(r"'(\w+)': `(mutation[^`]+)`", SCRIPT))
    assert documents.keys() == {"autologin", "request", "reset", "undo", "verify"}
    assert SDL.mutation_type is not None
    if "openAutologinLink" not in SDL.mutation_type.fields:
        del documents["autologin"]
    for document in documents.values():
        assert validate(SDL, parse(document.replace("${ANSWER}", answer))) == []
    used = set(re.findall(r"'([a-z-]+)': '(\w+)'", SCRIPT))
    assert {page for page, _ in used} == set(pages.NAMES)
    assert {action for _, action in used} <= {"autologin", "reset", "undo", "verify"}


async def test_a_get_of_a_link_does_not_use_its_token(client: Client, alice: Person) -> None:
    # Mail scanners open every link of a mail
    assert await request_verification(client, alice) == []
    url = (await last_mail(client, "alice@roster.test")).values["url"].replace("http://localhost:8000", "")
    before = await client.rows("SELECT count(*) FROM one_time_tokens")
    for method in ("GET", "HEAD"):
        assert (await client.http.request(method, url)).status_code == 200
    assert await client.rows("SELECT count(*) FROM one_time_tokens") == before
    assert await use(client, "verifyEmail", url.partition("#")[2]) == []


async def test_no_log_line_has_the_token_of_a_link(
    client: Client, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await request_verification(client, alice) == []
    mail = await last_mail(client, "alice@roster.test")
    await client.http.get(mail.values["url"].replace("http://localhost:8000", ""))
    assert await use(client, "verifyEmail", mail.token) == []
    logged = "".join(capsys.readouterr())
    assert "/account/verify-email" in logged
    assert mail.token not in logged


def test_the_script_has_no_word_of_a_person() -> None:
    # Every text is in the files of the languages
    assert re.findall(r"textContent = '[^']+'", SCRIPT) == []
