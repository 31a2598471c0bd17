"""How the operator sets the service up: `ROSTER_*` variables, checked once at the start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """One line for each setting that cannot be used."""


class Settings(BaseSettings):
    """Every setting, its default, and what it does."""

    model_config = SettingsConfigDict(env_prefix="ROSTER_", env_ignore_empty=True, frozen=True)

    batch_limit: Annotated[int, Field(ge=1, le=1000, description="Operations in one HTTP batch")] = 20
    body_limit: Annotated[int, Field(ge=1024, description="Bytes of a request's body")] = 1_048_576
    cookie_secure: Annotated[
        Literal["auto", "always", "never"],
        Field(description="When the session cookie is Secure and __Host-: auto looks at the request's scheme"),
    ] = "auto"
    data_dir: Annotated[Path, Field(description="Folder of the embedded PostgreSQL")] = Path(".data")
    database_url: Annotated[
        SecretStr | None, Field(description="PostgreSQL 15 or newer; without it an embedded server is started")
    ] = None
    graphiql: Annotated[bool, Field(description="Serve GraphiQL to browsers at /graphql")] = True
    hash_queue: Annotated[int, Field(ge=1, description="Password hashes that may wait; more are refused")] = 512
    hash_threads: Annotated[int | None, Field(ge=1, le=64, description="Threads that hash; default: cores - 1")] = None
    host: Annotated[str, Field(min_length=1, description="Address to listen on")] = "127.0.0.1"
    introspection: Annotated[bool, Field(description="Answer introspection queries")] = True
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="Log lines: auto is text on a terminal")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least level that is logged")
    ] = "info"
    node_limit: Annotated[int, Field(ge=100, description="Objects that one query may ask for at most")] = 50_000
    password_min_length: Annotated[int, Field(ge=8, le=64, description="Characters of a new password")] = 8
    password_min_score: Annotated[int, Field(ge=0, le=4, description="zxcvbn score of a new password")] = 2
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on")] = 8000
    readers: Annotated[int, Field(ge=1, le=64, description="Connections held for reads, for each worker")] = 4
    root_email: Annotated[str | None, Field(description="Address of the root account that a first start makes")] = None
    root_password: Annotated[
        SecretStr | None, Field(description="Password of that account; without it one is made and printed once")
    ] = None
    root_mutation_limit: Annotated[int, Field(ge=1, description="Mutations in one document")] = 10
    session_idle: Annotated[
        int, Field(ge=60, le=31_536_000, description="Seconds after which an unused session ends")
    ] = 604_800
    session_lifetime: Annotated[int, Field(ge=60, le=315_360_000, description="Seconds after which a session ends")] = (
        2_592_000
    )
    token_limit: Annotated[int, Field(ge=200, description="Lexical tokens of a document")] = 1_000
    trusted_proxies: Annotated[
        str, Field(description="Addresses of proxies whose X-Forwarded-For and -Proto count, with commas between")
    ] = ""
    username_max_length: Annotated[int, Field(ge=3, le=191, description="Characters of a username")] = 15
    username_min_length: Annotated[int, Field(ge=1, le=15, description="Characters of a username")] = 3
    username_pattern: Annotated[str, Field(description="Regular expression that a whole username fits")] = (
        "[A-Za-z0-9_]+"
    )
    workers: Annotated[int, Field(ge=1, le=64, description="Processes that serve")] = 1
    writers: Annotated[int, Field(ge=1, le=64, description="Connections for writes, for each worker")] = 8

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://", "postgresql+asyncpg://")
        if value is None:
            return None
        if not value.get_secret_value().startswith(schemes):
            raise ValueError("must begin with postgresql://")
        try:
            _ = urlsplit(value.get_secret_value()).port
        except ValueError:
            # The reason would quote a piece of the password
            raise ValueError("is no address: / : @ in a password are written %2F %3A %40") from None
        return value

    @model_validator(mode="after")
    def _usernames_are_possible(self) -> Settings:
        if self.username_min_length > self.username_max_length:
            raise ValueError("ROSTER_USERNAME_MIN_LENGTH is above ROSTER_USERNAME_MAX_LENGTH")
        try:
            re.compile(self.username_pattern)
        except re.error as error:
            raise ValueError(f"ROSTER_USERNAME_PATTERN is no regular expression: {error}") from None
        return self

    @property
    def postgresql_url(self) -> str | None:
        """The address of the given database in the spelling that both drivers read."""
        if self.database_url is None:
            return None
        scheme, _, rest = self.database_url.get_secret_value().partition("://")
        return f"postgresql://{rest}" if scheme in {"postgres", "postgresql+asyncpg"} else f"{scheme}://{rest}"


def read() -> Settings:
    """The settings of the environment; SettingsError says which of them are wrong, without their values."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            ": ".join((*(f"ROSTER_{str(at).upper()}" for at in item["loc"]), item["msg"])) for item in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None
