"""Persisted documents: clients send the SHA-256 of a document in place of its text.

A trusted document is in the operator's file, as graphql-codegen and relay-compiler write it. Any other document is
registered by a client that sends hash and text together once (automatic persisted queries, as Apollo has them), and is
forgotten when others need its place.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from service.errors import ApiError, ApiErrorCode, bad_input

REGISTERED: Final = 1_000
CHARACTERS: Final = 4_000_000  # of all registered documents
LONGEST: Final = 100_000  # characters of a document that is registered
SHA_256: Final = re.compile(r"[0-9a-f]{64}")
VERSION: Final = 1


class PersistedDocuments:
    """The documents that one worker knows by their hash.

    `trusted` are texts by hash. With `only_trusted` no other document runs, and with `automatic` clients register
    documents.
    """

    def __init__(self, trusted: Mapping[str, str], *, only_trusted: bool = False, automatic: bool = True) -> None:
        self._trusted = dict(trusted)
        self._only_trusted = only_trusted
        self._automatic = automatic and not only_trusted
        self._registered: OrderedDict[str, str] = OrderedDict()  # the most recently used is the last
        self._characters = 0

    def __len__(self) -> int:
        """Return the number of registered documents."""
        return len(self._registered)

    def text_of(self, request: Mapping[str, Any]) -> Any:
        """Return the document of a request, which may be anything if the request has its text.

        ApiError for a hash that is not known, or not that of the text, and for a text that is not trusted.
        """
        text, digest = request.get("query"), hash_of(request)
        if digest is None:
            return text if text is None else self._checked(text)
        if text is None:
            return self._found(digest)
        text = self._checked(text)
        if isinstance(text, str):
            self._register(digest, text)
        return text

    def _checked(self, text: Any) -> Any:
        """Return a text that may run."""
        if self._only_trusted and not (isinstance(text, str) and self._is_trusted(text)):
            raise ApiError(ApiErrorCode.FORBIDDEN, "Only trusted documents run. Send the hash of one.")
        return text

    def _is_trusted(self, text: str) -> bool:
        return len(text) <= LONGEST and sha_256(text) in self._trusted

    def _found(self, digest: str) -> str:
        text = self._trusted.get(digest)
        if text is None:
            text = self._registered.get(digest)
            if text is None:
                # Apollo reads the code, urql the exact message; both then send hash and text
                if not self._automatic:
                    raise ApiError(ApiErrorCode.PERSISTED_QUERY_NOT_SUPPORTED, "PersistedQueryNotSupported")
                raise ApiError(ApiErrorCode.PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound")
            self._registered.move_to_end(digest)
        return text

    def _register(self, digest: str, text: str) -> None:
        if digest in self._registered and self._registered[digest] == text:
            return
        # SECURITY: otherwise a client could give the hash of another client's document a text of its own
        if sha_256(text) != digest:
            raise bad_input("sha256Hash is not the SHA-256 of the document.")
        if not self._automatic or digest in self._trusted or len(text) > LONGEST:
            return
        self._registered[digest] = text
        self._characters += len(text)
        while len(self._registered) > REGISTERED or self._characters > CHARACTERS:
            _, oldest = self._registered.popitem(last=False)
            self._characters -= len(oldest)


def hash_of(request: Mapping[str, Any]) -> str | None:
    """Return the hash that a request sends: `documentId`, or `extensions.persistedQuery.sha256Hash`.

    None without one. ApiError for a hash of another kind.
    """
    given, extensions = request.get("documentId"), request.get("extensions")
    if given is None and isinstance(extensions, dict) and extensions.get("persistedQuery") is not None:
        persisted = extensions["persistedQuery"]
        if not isinstance(persisted, dict) or persisted.get("version") != VERSION:
            raise bad_input("persistedQuery must have version 1 and sha256Hash.")
        given = persisted.get("sha256Hash", "")
    if given is None:
        return None
    digest = _digits_of(given) if isinstance(given, str) else ""
    if not SHA_256.fullmatch(digest):
        raise bad_input("The hash of a persisted document must be a SHA-256 in hexadecimal.")
    return digest


def _digits_of(name: str) -> str:
    """Return the digits of a hash that may have the name of its kind before it."""
    return name.lower().removeprefix("sha256:")


def sha_256(text: str) -> str:
    """Return the hash of a document."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_documents(file: Path) -> dict[str, str]:
    """Return the documents of a file, a JSON object of hash to text. ValueError for another file."""
    try:
        content = orjson.loads(file.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        raise ValueError("is not JSON") from None
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise ValueError("must be a JSON object of hash to text")
    found = {}
    for name, text in content.items():
        digest = _digits_of(name)
        if sha_256(text) != digest:
            raise ValueError(f"{name} is not the SHA-256 of its document")
        found[digest] = text
    return found
