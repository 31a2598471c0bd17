"""GraphiQL: the page and its assets are complete, come from this origin only, and have a strict policy."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from graphql import parse
from starlette.applications import Starlette
from starlette.routing import Route

from service import graphiql

ROOT = Path(__file__).parent.parent
DIST = ROOT / "service" / "graphiql" / "dist"
NAMES = sorted(file.name.removesuffix(".gz") for file in DIST.glob("*.gz"))
REFERENCE = re.compile(rb"[\w.-]+-[0-9A-Z]{8}\.(?:js|css|ttf|txt|woff2)\b")
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the page and its assets."""
    app = Starlette(routes=[Route("/graphql", graphiql.page), *graphiql.routes])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://roster.example") as client:
        yield client


def content(name: str) -> bytes:
    """Return an asset without compression."""
    return gzip.decompress((DIST / f"{name}.gz").read_bytes())


def references(text: bytes) -> set[str]:
    """Return the names of assets in a text."""
    return {name.decode() for name in REFERENCE.findall(text)}


async def test_the_page_is_html_that_is_neither_cached_nor_framed(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql")

    assert response.status_code == 200
    assert "<title>Roster GraphiQL</title>" in response.text
    assert dict(response.headers) == {
        "cache-control": "no-store",
        "content-length": str(len(response.content)),
        "content-security-policy": graphiql.CONTENT_SECURITY_POLICY,
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


def test_the_policy_allows_this_origin_and_inline_styles_only() -> None:
    assert dict(rule.split(" ", 1) for rule in graphiql.CONTENT_SECURITY_POLICY.split("; ")) == {
        "base-uri": "'none'",
        "connect-src": "'self'",
        "default-src": "'none'",
        "font-src": "'self' data:",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "img-src": "'self' data:",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "worker-src": "'self'",
    }


async def test_the_page_loads_nothing_but_assets_of_this_service(client: httpx.AsyncClient) -> None:
    html = (await client.get("/graphql")).text

    links = re.findall(r'(?:href|src|data-\w+-worker)="([^"]*)"', html)
    assert len(links) > 5
    assert [link for link in links if not re.fullmatch(r"graphiql/[\w.-]+|data:image/svg\+xml,.*", link)] == []
    assert "<style" not in html
    assert re.findall(r"<script(?![^>]* src=)", html) == []


def test_the_built_files_are_those_that_the_page_and_the_assets_name() -> None:
    named = references((DIST / "index.html").read_bytes()).union(*(references(content(name)) for name in NAMES))

    assert named == set(NAMES)


def test_the_page_starts_three_workers() -> None:
    workers = re.findall(r'data-\w+-worker="graphiql/(\w+)\.worker-', (DIST / "index.html").read_text())

    assert workers == ["editor", "graphql", "json"]


@pytest.mark.parametrize("name", NAMES)
async def test_an_asset_is_the_same_with_and_without_gzip(client: httpx.AsyncClient, name: str) -> None:
    zipped = await client.get(f"/graphiql/{name}", headers={"accept-encoding": "br, gzip;q=0.8"})
    plain = await client.get(f"/graphiql/{name}", headers={"accept-encoding": "identity"})

    assert (zipped.status_code, plain.status_code) == (200, 200)
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zipped.content == plain.content == content(name)
    for response in (zipped, plain):
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"] == MEDIA_TYPES[Path(name).suffix]
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("deflate, *", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("", None),
        ("br", None),
        ("gzip;q=0", None),
        ("*, gzip; q=0.000", None),
    ],
)
async def test_gzip_is_sent_to_clients_that_accept_it(
    client: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    response = await client.get(f"/graphiql/{NAMES[0]}", headers={"accept-encoding": accepted})

    assert response.headers.get("content-encoding") == encoding


async def test_a_client_without_accept_encoding_gets_no_compression(client: httpx.AsyncClient) -> None:
    del client.headers["accept-encoding"]

    response = await client.get(f"/graphiql/{NAMES[0]}")

    assert "content-encoding" not in response.headers
    assert response.content == content(NAMES[0])


async def test_head_has_the_headers_of_get(client: httpx.AsyncClient) -> None:
    for path in ("/graphql", f"/graphiql/{NAMES[0]}"):
        get, head = await client.get(path), await client.head(path)

        assert head.status_code == 200
        assert dict(head.headers) == dict(get.headers)


async def test_a_range_gets_the_whole_asset(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/graphiql/{NAMES[0]}", headers={"range": "bytes=0-1,5-6,-1"})

    assert response.status_code == 200
    assert response.content == content(NAMES[0])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "index.html",
        "__init__.py",
        "main-00000000.js",
        f"{NAMES[0]}.gz",
        f"/{NAMES[0]}",
        f"{NAMES[0]}%00",
        f"x%2f..%2f{NAMES[0]}",
        "..%2f__init__.py",
        "%2e%2e/%2e%2e/pyproject.toml",
        "..%5c__init__.py",
        "%252e%252e%252f__init__.py",
        "%2fetc%2fpasswd",
    ],
)
async def test_an_unknown_name_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(f"/graphiql/{path}")

    assert response.status_code == 404
    assert response.text == "Not Found"
    assert response.headers["cache-control"] == "no-store"


async def test_an_asset_cannot_be_posted(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"/graphiql/{NAMES[0]}")).status_code == 405


def test_the_build_writes_no_time_or_name_into_gzip() -> None:
    for name in NAMES:
        header = (DIST / f"{name}.gz").read_bytes()[:10]
        assert header == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff", name


def test_a_first_visit_opens_the_tabs_of_the_console_source() -> None:
    [bundle] = [content(name).decode() for name in NAMES if re.fullmatch(r"main-\w+\.js", name)]
    tabs = [file.read_text() for file in (ROOT / "console" / "src" / "tabs").glob("*.graphql")]

    assert len(tabs) == 10
    for tab in tabs:
        assert parse(tab).definitions
        assert tab.replace("`", r"\`").replace("${", r"\${") in bundle


def test_the_licences_of_the_bundled_packages_are_shipped() -> None:
    [notices] = [content(name).decode() for name in NAMES if name.startswith("NOTICES-")]

    for package in ("graphiql", "monaco-editor", "react", "@fontsource/roboto", "@fontsource/fira-code", "prettier"):
        assert re.search(rf"^{package} \d[\w.-]+ \(\S+\)$", notices, re.MULTILINE), package
    assert "Permission is hereby granted, free of charge" in notices
    assert "SIL OPEN FONT LICENSE" in notices.upper()


def test_the_console_is_small_and_has_no_source_map() -> None:
    assert sum(file.stat().st_size for file in DIST.iterdir()) < 2 * 1024 * 1024
    assert [file.name for file in DIST.iterdir() if file.suffix not in {".gz", ".html"}] == []
    assert [name for name in NAMES if b"sourceMappingURL=" in content(name)] == []
