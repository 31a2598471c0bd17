"""The pages of the links in mails, which people open in a browser.

    /account/verify-email, confirm-email, undo-email, reset-password, invitation, autologin

A page reads the token from the fragment of its address, removes it there, and runs the mutation when the person presses
the button. SECURITY: mail scanners open links, so that a GET must not use up a token. A language is a file in `texts`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.page_headers import protecting

NAMES: Final = ("autologin", "confirm-email", "invitation", "reset-password", "undo-email", "verify-email")
DEFAULT_LANGUAGE: Final = "en"
# SECURITY: the page has a token, so that neither a script nor a frame of another origin may come near it
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = protecting(CONTENT_SECURITY_POLICY)
_ASSETS: Final = {"account.css": "text/css", "account.js": "text/javascript"}
_FOLDER = files(__name__)


def _texts() -> dict[str, dict[str, Any]]:
    """Return the texts by their language."""
    found = (file for file in (_FOLDER / "texts").iterdir() if file.name.endswith(".json"))
    return {file.name.removesuffix(".json"): json.loads(file.read_text("utf-8")) for file in found}


def _rendered() -> dict[tuple[str, str], str]:
    """Return every page by its name and its language."""
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (_FOLDER / "page.html").read_text("utf-8")
    )
    return {
        (name, language): template.render(name=name, language=language, texts=texts, page=texts["pages"][name])
        for language, texts in TEXTS.items()
        for name in NAMES
    }


TEXTS: Final = _texts()
_PAGES: Final = _rendered()


def preferred_language(header: str) -> str:
    """Return the language of an Accept-Language header (RFC 9110, section 12.5.4) that is preferred of those here."""
    best, weight = DEFAULT_LANGUAGE, 0.0
    for member in header.split(","):
        tag, _, parameter = member.partition(";")
        language = tag.strip().partition("-")[0].lower()
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if language in TEXTS and weight < quality <= 1:
            best, weight = language, quality
    return best


async def page(request: Request) -> Response:
    """Return a page, in the language that the browser prefers."""
    language = preferred_language(request.headers.get("accept-language", ""))
    found = _PAGES.get((request.path_params["name"], language))
    if found is None:
        return PlainTextResponse("Not Found", 404, HEADERS)
    return Response(
        found, media_type="text/html", headers={**HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
    )


def _asset(name: str) -> Route:
    content = (_FOLDER / name).read_bytes()

    async def asset(_request: Request) -> Response:
        return Response(content, media_type=_ASSETS[name], headers=HEADERS)

    return Route(f"/account/{name}", asset, methods=["GET"])


routes: list[Route] = [*(_asset(name) for name in _ASSETS), Route("/account/{name}", page, methods=["GET"])]
