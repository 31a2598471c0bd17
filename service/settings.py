"""The operator's settings: environment variables `ROSTER_*`, checked once at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service import limits
from service.credentials.password_policy import PasswordPolicy, password_problems
from service.setting_types import (
    Address,
    DocumentsFile,
    Email,
    GeoipFile,
    Origins,
    Pattern,
    PostgresqlUrl,
    Sender,
)
from service.smtp_url import smtp_server

PASSWORD_RULES = {"password_min_length", "password_min_score"}


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them."""


class Settings(BaseSettings):
    """Every setting, with its default and description."""

    model_config = SettingsConfigDict(env_prefix="ROSTER_", env_ignore_empty=True, frozen=True)

    access_token_lifetime: Annotated[
        int, Field(ge=300, le=limits.ACCESS_TOKEN, description="Seconds after which an access token (JWT) expires")
    ] = 600
    address_connection_limit: Annotated[
        int, Field(ge=1, description="Open connections of one address, per worker; trusted proxies have no limit")
    ] = 500
    audit_retention_months: Annotated[
        int | None,
        Field(ge=1, le=1200, description="Whole months for which audit events are kept; default: for ever"),
    ] = None
    batch_limit: Annotated[int, Field(ge=1, le=1000, description="Operations in one HTTP batch")] = 20
    body_limit: Annotated[int, Field(ge=1024, description="Bytes of a request body")] = 1_048_576
    compiled: Annotated[
        bool, Field(description="Run documents by compiled plans; without them graphql-core runs all documents")
    ] = True
    connection_limit: Annotated[
        int, Field(ge=1, description="Open connections, per worker; fewer if the system allows fewer descriptors")
    ] = 10_000
    cookie_secure: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether the session cookie is Secure and has the prefix __Host-; auto: if the request is https"
        ),
    ] = "auto"
    cors_origins: Annotated[
        Origins,
        Field(description="Origins of front ends that may call the service from a browser, separated by commas"),
    ] = ""
    country_header: Annotated[
        str,
        Field(
            pattern="^[A-Za-z0-9-]*$",
            description="Header in which a trusted proxy sends the client's country, such as CF-IPCountry",
        ),
    ] = ""
    data_dir: Annotated[Path, Field(description="Folder of the embedded PostgreSQL")] = Path(".data")
    database_url: Annotated[
        PostgresqlUrl | None,
        Field(description="PostgreSQL 15 or newer, several servers as host1:5432,host2:5432; default: an embedded one"),
    ] = None
    deletion_grace_days: Annotated[
        int,
        Field(
            ge=0,
            le=365,
            description="Days in which people can undo the deletion of their account; so long the audit log keeps the "
            "personal data of users that administrators have deleted",
        ),
    ] = 14
    encryption_keys: Annotated[
        SecretStr | None,
        Field(
            description="Keys that encrypt stored secrets, the newest first, separated by commas; all workers need the "
            "same; default: one in a file of the data folder"
        ),
    ] = None
    geoip_file: Annotated[
        GeoipFile | None, Field(description="MaxMind DB file that has the country of an address; read at the start")
    ] = None
    graphiql: Annotated[bool, Field(description="Serve GraphiQL to browsers at /graphql")] = True
    hash_queue: Annotated[int, Field(ge=1, description="Password hashes that may wait; more are rejected")] = 512
    hash_threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=64,
            description="Threads that hash passwords, per worker, at low priority; default: number of cores / workers",
        ),
    ] = None
    host: Annotated[str, Field(min_length=1, description="Address to listen on")] = "127.0.0.1"
    impersonation_lifetime: Annotated[
        int, Field(ge=60, le=3600, description="Seconds after which a session of an autologin link expires")
    ] = 3600
    introspection: Annotated[bool, Field(description="Answer introspection queries")] = True
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="Format of log lines; auto: text on a terminal, else JSON")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Lowest level that is logged")
    ] = "info"
    mail_from: Annotated[
        Sender | None,
        Field(description="Sender of mail, such as Roster <noreply@example.org>; the name is that of the service"),
    ] = None
    node_limit: Annotated[int, Field(ge=100, description="Objects that one request may return")] = 10_000
    password_min_length: Annotated[int, Field(ge=8, le=64, description="Shortest new password, in characters")] = 8
    password_min_score: Annotated[int, Field(ge=0, le=4, description="Lowest zxcvbn score of a new password")] = 2
    persisted_queries: Annotated[
        bool, Field(description="Let clients register documents, and send their hash from then on")
    ] = True
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on")] = 8000
    prepare: Annotated[
        bool, Field(description="Prepare statements by name; false for a pooler that does not keep them")
    ] = True
    public_url: Annotated[
        Address, Field(description="Address of this service in links of mails; default: http://localhost:PORT")
    ] = ""
    readers: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Connections for reads, per worker: a quarter for rows by key, a quarter for lists by parent",
        ),
    ] = 4
    root_email: Annotated[
        Email | None, Field(description="Email address of the root account that the first start creates")
    ] = None
    root_password: Annotated[
        SecretStr | None,
        Field(description="Password of the root account; without it, one is generated and printed once"),
    ] = None
    root_mutation_limit: Annotated[int, Field(ge=1, description="Mutations in one document")] = 10
    session_idle: Annotated[
        int, Field(ge=60, le=31_536_000, description="Seconds after which an unused session expires")
    ] = 604_800
    session_lifetime: Annotated[
        int, Field(ge=60, le=315_360_000, description="Seconds after which a session expires")
    ] = 2_592_000
    smtp_url: Annotated[
        SecretStr | None,
        Field(
            description="Server that sends mail: smtp://user:password@host:587 with STARTTLS, or smtps://; its "
            "certificate is verified (a CA of your own: SSL_CERT_FILE); without it, mail is kept, see `mail`"
        ),
    ] = None
    statement_limit: Annotated[
        int,
        Field(ge=100, description="Weight of a request's statements: look-up 1, list 8, count 8, search or offset 16"),
    ] = 500
    token_limit: Annotated[int, Field(ge=200, description="Lexical tokens of a document")] = 1_000
    trusted_documents: Annotated[
        DocumentsFile | None, Field(description="JSON file of trusted documents: an object of SHA-256 to text")
    ] = None
    trusted_documents_only: Annotated[
        bool,
        Field(
            description="Run no documents but those of ROSTER_TRUSTED_DOCUMENTS; GraphiQL does not work then",
        ),
    ] = False
    trusted_proxies: Annotated[
        str, Field(description="Addresses of proxies whose X-Forwarded-For and -Proto are trusted, separated by commas")
    ] = ""
    username_max_length: Annotated[int, Field(ge=3, le=limits.USERNAME, description="Longest username")] = 15
    username_min_length: Annotated[int, Field(ge=1, le=15, description="Shortest username")] = 3
    username_pattern: Annotated[
        Pattern, Field(description="Regular expression for the whole username; @ is never allowed")
    ] = "[A-Za-z0-9_]+"
    workers: Annotated[int, Field(ge=1, le=64, description="Number of worker processes")] = 1
    writes_per_hour: Annotated[
        int,
        Field(
            ge=60,
            description="Changes that one account may make in an hour, per worker; ten times as many with admin "
            "permissions",
        ),
    ] = 3_600
    writers: Annotated[int, Field(ge=1, le=64, description="Connections for writes, per worker")] = 8

    @field_validator("trusted_documents_only")
    @classmethod
    def _has_trusted_documents(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("trusted_documents", "") is None:
            raise ValueError("requires ROSTER_TRUSTED_DOCUMENTS")
        return value

    @field_validator("username_min_length")
    @classmethod
    def _is_at_most_the_maximum(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("username_max_length", value):
            raise ValueError("exceeds ROSTER_USERNAME_MAX_LENGTH")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp_server(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            smtp_server(value.get_secret_value())
            if info.data.get("mail_from", "") is None:
                raise ValueError("requires ROSTER_MAIL_FROM")
        return value

    @field_validator("root_password")
    @classmethod
    def _is_strong(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        given = {name.removeprefix("password_"): rule for name, rule in info.data.items() if name in PASSWORD_RULES}
        words = ["root", info.data.get("root_email") or ""]
        problems = password_problems(value.get_secret_value(), words, PasswordPolicy(**given)) if value else []
        if problems:
            raise ValueError(problems[0].message)
        return value

    @property
    def postgresql_url(self) -> str | None:
        """The URL of the configured database in the form that both drivers read."""
        if self.database_url is None:
            return None
        scheme, _, rest = self.database_url.get_secret_value().partition("://")
        return f"postgresql://{rest}" if scheme in {"postgres", "postgresql+asyncpg"} else f"{scheme}://{rest}"


def read() -> Settings:
    """Return the settings of the environment.

    Raise SettingsError, which names every wrong setting without its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_line(item) for item in error.errors())) from None


def _line(item: Any) -> str:
    message = item["msg"].removeprefix("Value error, ")
    return ": ".join((*(f"ROSTER_{str(place).upper()}" for place in item["loc"]), message))
