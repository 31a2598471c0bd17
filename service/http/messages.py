"""Messages of GraphQL over HTTP (draft of 2026-08): bodies in, media types and statuses out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from service.errors import ApiError, ApiErrorCode, bad_input
from service.http.deadlines import Deadlines
from service.http.errors import HttpError
from service.http.request import HttpRequest
from service.operations.phases import Operation, Rejected
from service.persisted import PersistedDocuments

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
# The draft requires 422, while its audit tool still requires 400
INVALID_REQUEST_STATUS = 400
NOT_ACCEPTABLE = 406
# RFC 9110, section 12.4.2
QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
NOT_ACCEPTED = (0.0, 0)
DOCUMENTS = frozenset({"documentId", "extensions", "query"})  # what names a document in a query string


@dataclass(slots=True)
class Message:
    """The operations of a request; `batch` says whether they came as an array."""

    operations: list[Operation | Rejected]
    batch: bool = False


@lru_cache(256)
def media_type(accept: str) -> str:
    """Return the media type of the response by the preferences in Accept. HttpError 406 if none is acceptable."""
    accepted = _accepted(accept)
    # A client that sends only a range may not know the GraphQL media type
    plain = accepted.get(JSON) or accepted.get("application/*") or accepted.get("*/*")
    offers = [(plain, JSON), (accepted.get(GRAPHQL_RESPONSE), GRAPHQL_RESPONSE)]
    quality, name = max(((offer, name) for offer, name in offers if offer), default=(NOT_ACCEPTED, JSON))
    if quality[0] <= 0:
        raise HttpError(NOT_ACCEPTABLE, bad_input(f"Accept must allow {GRAPHQL_RESPONSE} or {JSON}."))
    return name


def _accepted(accept: str) -> dict[str, tuple[float, int]]:
    """Return the preference for each media range of Accept: its quality, then its position; all without the header."""
    wanted: dict[str, tuple[float, int]] = {}
    parts = [part for part in accept.split(",") if part.strip()]
    for position, part in enumerate(parts or ["*/*"]):
        name, *parameters = (piece.strip() for piece in part.lower().split(";"))
        weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        wanted.setdefault(name, (float(weight) if QUALITY.fullmatch(weight) else 0.0, -position))
    return wanted


def prefers_html(http: HttpRequest) -> bool:
    """Return whether a browser requests a page, and not a program data."""
    if http.method not in {"GET", "HEAD"} or not DOCUMENTS.isdisjoint(_query_string(http)):
        return False
    accepted = _accepted(http.header(b"accept"))
    html = accepted.get("text/html", NOT_ACCEPTED)
    return html[0] > 0 and all(html > accepted.get(name, NOT_ACCEPTED) for name in (JSON, GRAPHQL_RESPONSE))


async def read_message(
    http: HttpRequest, deadlines: Deadlines, documents: PersistedDocuments, *, body_limit: int, batch_limit: int
) -> Message:
    """Return the operations of a request. HttpError if there are none to execute."""
    content_type = http.header(b"content-type").partition(";")[0].strip().lower()
    if http.method in {"GET", "HEAD"}:
        # SECURITY: with the content type of a body a foreign page can send a GET without a preflight
        # (GHSA-9q82-xgwf-vj6h)
        if content_type not in {"", JSON}:
            raise HttpError(415, bad_input("A GET must not have a content type."))
        return Message([_from_query_string(http, documents)])
    if http.method != "POST":
        raise HttpError(405, bad_input("Use GET or POST."), Allow="GET, HEAD, POST")
    # SECURITY: a foreign page can send forms and plain text without a preflight, but not JSON, so nothing else is
    # executed
    if content_type != JSON:
        raise HttpError(415, bad_input("The content type must be application/json."))
    # RFC 9110, section 8.4
    if http.header(b"content-encoding").strip().lower() not in {"", "identity"}:
        raise HttpError(415, bad_input("The body must not be compressed."), **{"Accept-Encoding": "identity"})
    value = _decode(await http.body(body_limit, deadlines))
    return Message(_operations(value, documents, batch_limit), isinstance(value, list))


def _decode(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except (orjson.JSONDecodeError, RecursionError):
        raise HttpError(400, bad_input("The body is not JSON.")) from None


def _operations(value: Any, documents: PersistedDocuments, batch_limit: int) -> list[Operation | Rejected]:
    if not isinstance(value, list):
        return [_operation(value, documents)]
    if not 1 <= len(value) <= batch_limit:
        message = f"A batch must have 1 to {batch_limit} operations."
        raise HttpError(400, ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, limit=batch_limit))
    if not all(isinstance(item, dict) for item in value):
        raise HttpError(400, bad_input("A batch must be a list of JSON objects, each with a query."))
    return [_member(item, documents) for item in value]


def _member(value: dict[str, Any], documents: PersistedDocuments) -> Operation | Rejected:
    # Clients lose the whole batch on any status except 200
    try:
        return _operation(value, documents)
    except HttpError as error:
        return Rejected([error.error])


def _operation(value: Any, documents: PersistedDocuments) -> Operation | Rejected:
    """Return one operation of a body; unknown members are ignored."""
    if not isinstance(value, dict):
        raise HttpError(400, bad_input("A request must be a JSON object with a query."))
    name, variables, extensions = value.get("operationName"), value.get("variables"), value.get("extensions")
    try:
        text = documents.text_of(value)
    except ApiError as error:
        return Rejected([error])
    if not isinstance(text, str) or not text.strip():
        raise HttpError(400, bad_input("query must be the text of a document."))
    if not isinstance(name, str | None):
        raise HttpError(400, bad_input("operationName must be a string."))
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise HttpError(400, bad_input("variables and extensions must be objects."))
    return Operation(text, name or None, variables)


def _query_string(http: HttpRequest) -> QueryParams:
    return QueryParams(http.scope["query_string"])


def _from_query_string(http: HttpRequest, documents: PersistedDocuments) -> Operation | Rejected:
    member: dict[str, Any] = dict(_query_string(http))
    for name in ("variables", "extensions"):
        if member.get(name):
            member[name] = _decode(member[name].encode("utf-8", "surrogatepass"))
        else:
            member.pop(name, None)
    return _operation(member, documents)
