"""The types of settings that are more than a number or a choice; a wrong value is a ValueError with the reason."""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Final

from graphql import GraphQLError
from pydantic import AfterValidator, SecretStr

from service.countries import Countries
from service.database_url import servers
from service.identifiers import email_problems
from service.parsing import parse_url
from service.persisted import read_documents

SENDER: Final = re.compile(r"[^<>]*<[^<>\s]+>|[^<>\s]+")
SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+asyncpg://")
# SECURITY: neither a wildcard nor `null`, which pages in a sandbox have: answers are for the caller's session
ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?")


def _address(value: str) -> str:
    try:
        return parse_url(value).rstrip("/") if value else ""
    except GraphQLError as error:
        raise ValueError(f"is not valid: {error.message}") from None


def _documents(value: Path) -> Path:
    read_documents(value)
    return value


def _email(value: str) -> str:
    problems = email_problems(value, "email")[1]
    if problems:
        raise ValueError(problems[0].message)
    return value


def _geoip(value: Path) -> Path:
    Countries(value).close()
    return value


def _origins(value: str) -> str:
    found = sorted(filter(None, (part.strip() for part in value.split(","))))
    for origin in found:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin} is not an origin such as https://panel.example.org")
    return ",".join(found)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def _postgresql(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(SCHEMES):
        raise ValueError("must begin with postgresql://")
    servers(value.get_secret_value())
    return value


def _sender(value: str) -> str:
    if not SENDER.fullmatch(value) or not value.isprintable() or email_problems(parseaddr(value)[1], "email")[1]:
        raise ValueError("must be an address such as Roster <noreply@example.org>")
    return value


Address = Annotated[str, AfterValidator(_address)]
DocumentsFile = Annotated[Path, AfterValidator(_documents)]
Email = Annotated[str, AfterValidator(_email)]
GeoipFile = Annotated[Path, AfterValidator(_geoip)]
Origins = Annotated[str, AfterValidator(_origins)]
Pattern = Annotated[str, AfterValidator(_pattern)]
PostgresqlUrl = Annotated[SecretStr, AfterValidator(_postgresql)]
Sender = Annotated[str, AfterValidator(_sender)]
