"""Which bytes the browser console consists of, and under which headers they are sent.

`dist/` is built by `console/` and committed: `index.html`, and one gzip file per asset under a name that changes with
its content. Nothing in it comes from, or calls, any origin but the service's own.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

# SECURITY: the page acts with the session cookie of whoever looks at it, so a script, frame or form that came from
# anywhere else would act as that person. Inline styles are let in because the editor does not start without them.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # SECURITY: a worker obeys the policy of its own response, not that of the page that started it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}

_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}

_ZERO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class _Asset:
    compressed: bytes
    media_type: str


def _load() -> tuple[bytes, dict[str, _Asset]]:
    """The page, and the assets by the name they are asked for (1.5 MiB in all)."""
    dist = files(__name__) / "dist"
    assets: dict[str, _Asset] = {}
    for file in dist.iterdir():
        if file.name.endswith(".gz"):
            name = file.name.removesuffix(".gz")
            assets[name] = _Asset(file.read_bytes(), _MEDIA_TYPES[PurePath(name).suffix])
    return (dist / "index.html").read_bytes(), assets


_PAGE, _ASSETS = _load()


def page(request: Request) -> Response:
    """GraphiQL, for the path that GraphQL requests are posted to: the page posts to its own address.

    Out: 200 `text/html`, never cached, with the policy that keeps everything of foreign origin away.
    """
    return Response(_PAGE, media_type="text/html", headers=_PAGE_HEADERS)


async def asset(request: Request) -> Response:
    """One file of the page, by its hashed name in the path parameter `path`.

    Out: 200 with the whole file (a Range is ignored, as RFC 9110 section 14.2 allows), gzipped when the client accepts
    that; 404 for any name that is not in the table.
    """
    # SECURITY: the path is a key of a table made at import and never reaches the file system, so `..` leads nowhere.
    found = _ASSETS.get(request.path_params["path"])
    if found is None:
        # Another worker may already run the release that has this name: no cache may keep the answer.
        return PlainTextResponse("Not Found", 404, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    if _accepts_gzip(request.headers.getlist("accept-encoding")):
        return Response(found.compressed, 200, {**_ASSET_HEADERS, "Content-Encoding": "gzip"}, found.media_type)
    body = await run_in_threadpool(gzip.decompress, found.compressed)
    return Response(body, 200, _ASSET_HEADERS, found.media_type)


def _accepts_gzip(fields: list[str]) -> bool:
    """Whether `Accept-Encoding` (RFC 9110 section 12.5.3) admits gzip; a client that sends none gets plain bytes."""
    accepted: dict[str, bool] = {}
    for member in ",".join(fields).lower().split(","):
        coding, _, weight = (part.strip() for part in member.partition(";"))
        accepted[coding] = _ZERO_WEIGHT.fullmatch(weight) is None
    return accepted.get("gzip", accepted.get("*", False))


routes: list[Route] = [Route("/graphiql/{path:path}", asset, methods=["GET"])]
