"""What stands around a GraphQL operation in HTTP (GraphQL over HTTP, draft of 2026-08): bodies in, media types and
statuses out.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from service.errors import Fault, FaultCode, bad_input

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
BODY_SECONDS = 15
# The draft says 422 where its audit tool still asks for 400; one place to follow it
INVALID_REQUEST_STATUS = 400
NOT_ACCEPTABLE = 406
# RFC 9110, section 12.4.2
QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
REFUSED = (0.0, 0)


class HttpError(Exception):
    """A request that no operation comes of: its status and its error."""

    def __init__(self, status: int, fault: Fault, **headers: str) -> None:
        super().__init__(fault.message)
        self.status = status
        self.fault = fault
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Operation:
    """One member of a request: a document, the name of its operation, its variables."""

    query: str
    name: str | None
    variables: dict[str, Any] | None


def media_type(request: Request) -> str:
    """The response's media type by the order of preference in Accept; HttpError 406 where none fits."""
    accepted = _accepted(request)
    # A client that sends a range alone may know nothing but the plain type
    plain = accepted.get(JSON) or accepted.get("application/*") or accepted.get("*/*")
    offers = [(plain, JSON), (accepted.get(GRAPHQL_RESPONSE), GRAPHQL_RESPONSE)]
    quality, name = max(((offer, name) for offer, name in offers if offer), default=(REFUSED, JSON))
    if quality[0] <= 0:
        raise HttpError(NOT_ACCEPTABLE, bad_input(f"Accept must allow {GRAPHQL_RESPONSE} or {JSON}"))
    return name


def _accepted(request: Request) -> dict[str, tuple[float, int]]:
    """How much each media range of Accept is wanted: its quality, then how early it stands; all where there is none."""
    wanted: dict[str, tuple[float, int]] = {}
    parts = [part for part in ",".join(request.headers.getlist("accept")).lower().split(",") if part.strip()]
    for position, part in enumerate(parts or ["*/*"]):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        wanted.setdefault(name, (float(weight) if QUALITY.fullmatch(weight) else 0.0, -position))
    return wanted


def prefers_html(request: Request) -> bool:
    """Whether a browser is asking for a page, not a program for data."""
    if request.method not in {"GET", "HEAD"} or "query" in request.query_params:
        return False
    accepted = _accepted(request)
    html = accepted.get("text/html", REFUSED)
    return html[0] > 0 and all(html > accepted.get(name, REFUSED) for name in (JSON, GRAPHQL_RESPONSE))


async def body(request: Request, limit: int) -> bytes:
    """The request's body; HttpError 413 as soon as it is over the limit, 408 when it does not come in time."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except TimeoutError:
        raise HttpError(408, bad_input("The body did not come in time"), Connection="close") from None


async def _read(request: Request, limit: int) -> bytes:
    """The request's body; HttpError 413 as soon as it is over the limit."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise HttpError(413, bad_input(f"A body may have {limit} bytes"), Connection="close")
            chunks.append(chunk)
    except ClientDisconnect:
        raise HttpError(400, bad_input("The body ended early")) from None
    return b"".join(chunks)


def decode(content: bytes) -> Any:
    """The JSON value of a body; HttpError 400 for anything else."""
    try:
        return orjson.loads(content)
    except (orjson.JSONDecodeError, RecursionError):
        raise HttpError(400, bad_input("The body is no JSON")) from None


def operations(value: Any, batch_limit: int) -> list[Operation | Fault]:
    """The operations of a body, one or a batch; a member of a batch that cannot be read is its own fault only."""
    if not isinstance(value, list):
        return [operation(value)]
    if not 1 <= len(value) <= batch_limit:
        fault = Fault(FaultCode.QUERY_TOO_COMPLEX, f"A batch may hold 1 to {batch_limit} operations", limit=batch_limit)
        raise HttpError(400, fault)
    if not all(isinstance(item, dict) for item in value):
        raise HttpError(400, bad_input("A batch is a list of JSON objects, each with a `query`"))
    return [_member(item) for item in value]


def _member(value: dict[str, Any]) -> Operation | Fault:
    # Clients lose the whole batch on any status but 200
    try:
        return operation(value)
    except HttpError as error:
        return error.fault


def operation(value: Any) -> Operation:
    """One operation of a body; unknown members are ignored."""
    if not isinstance(value, dict):
        raise HttpError(400, bad_input("A request is a JSON object with a `query`"))
    query, name = value.get("query"), value.get("operationName")
    variables, extensions = value.get("variables"), value.get("extensions")
    if query is None and isinstance(extensions, dict) and "persistedQuery" in extensions:
        # Apollo and urql send the text again when they read this message
        raise HttpError(400, Fault(FaultCode.PERSISTED_QUERY_NOT_SUPPORTED, "PersistedQueryNotSupported"))
    if not isinstance(query, str) or not query.strip():
        raise HttpError(400, bad_input("`query` must be the text of a document"))
    if not isinstance(name, str | None):
        raise HttpError(400, bad_input("`operationName` must be a string"))
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise HttpError(400, bad_input("`variables` and `extensions` must be objects"))
    return Operation(query, name or None, variables)


def from_query_string(request: Request) -> Operation:
    """The operation of a GET."""
    member: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if member.get(name):
            member[name] = decode(member[name].encode("utf-8", "surrogatepass"))
        else:
            member.pop(name, None)
    return operation(member)
