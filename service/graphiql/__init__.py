"""The browser console: its page, its assets, and their HTTP headers.

`dist/` is built by `console/` and committed. It contains `index.html` and one gzip file for each asset, whose name
changes with its content. Everything is loaded from the service's own origin, and requests go only there.
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

from service.page_headers import protecting

# SECURITY: the page uses the session cookie of its user, so a script, frame, or form from another origin would act as
# that user. Inline styles are allowed, because the editor does not start without them.
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

_PAGE_HEADERS = protecting(CONTENT_SECURITY_POLICY)

_ASSET_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # SECURITY: a worker is subject to the policy of its own response, not to that of the page that started it.
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
    """Return the page, and the assets by their names in requests (1.5 MiB in total)."""
    dist = files(__name__) / "dist"
    assets: dict[str, _Asset] = {}
    for file in dist.iterdir():
        if file.name.endswith(".gz"):
            name = file.name.removesuffix(".gz")
            assets[name] = _Asset(file.read_bytes(), _MEDIA_TYPES[PurePath(name).suffix])
    return (dist / "index.html").read_bytes(), assets


_PAGE, _ASSETS = _load()


def page(request: Request) -> Response:
    """Return GraphiQL: 200 `text/html`, never cached, with a policy that blocks every other origin.

    Its route has the path of the GraphQL endpoint, because the page sends its requests to its own address.
    """
    return Response(_PAGE, media_type="text/html", headers=_PAGE_HEADERS)


async def asset(request: Request) -> Response:
    """Return one file of the page, by its hashed name in the path parameter `path`.

    The response is 200 with the whole file, gzipped if the client accepts it, and 404 for an unknown name. A Range is
    ignored, as RFC 9110, section 14.2, allows.
    """
    # SECURITY: the path is only a key of a table that is built at import, and never a file name, so `..` has no effect.
    found = _ASSETS.get(request.path_params["path"])
    if found is None:
        # During an update, another worker may already have a release with this name, so the response is not cached.
        return PlainTextResponse("Not Found", 404, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    if _accepts_gzip(request.headers.getlist("accept-encoding")):
        return Response(found.compressed, 200, {**_ASSET_HEADERS, "Content-Encoding": "gzip"}, found.media_type)
    body = await run_in_threadpool(gzip.decompress, found.compressed)
    return Response(body, 200, _ASSET_HEADERS, found.media_type)


def _accepts_gzip(fields: list[str]) -> bool:
    """Return whether `Accept-Encoding` (RFC 9110, section 12.5.3) allows gzip. Without the header, it does not."""
    accepted: dict[str, bool] = {}
    for member in ",".join(fields).lower().split(","):
        coding, _, weight = (part.strip() for part in member.partition(";"))
        accepted[coding] = _ZERO_WEIGHT.fullmatch(weight) is None
    return accepted.get("gzip", accepted.get("*", False))


routes: list[Route] = [Route("/graphiql/{path:path}", asset, methods=["GET"])]
