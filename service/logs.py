"""The log of the service: structured lines, without secrets."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo

from service.settings import Settings

# SECURITY: values with such a name are secrets or may contain one, so they are never logged
_SECRET = ("authorization", "cookie", "password", "secret", "token", "variables")


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in _SECRET):
            event[name] = "[redacted]"
    return event


def trace(exc_info: ExcInfo) -> str:
    """Return the stack and the type of an error and of the errors that caused it, oldest first.

    SECURITY: messages are left out. Those of PostgreSQL quote whole rows, with password hashes, and others quote their
    arguments.
    """
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.insert(0, "".join(traceback.format_tb(error.__traceback__)) + _kind(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(parts)


def _kind(error: BaseException) -> str:
    """Return the type of an error, and the names that PostgreSQL adds to it."""
    names = {name: getattr(error, name, None) for name in ("sqlstate", "constraint_name", "table_name", "column_name")}
    details = ", ".join(f"{name}={value}" for name, value in names.items() if isinstance(value, str))
    return f"{type(error).__module__}.{type(error).__qualname__}" + (f" ({details})" if details else "")


def _trace_as_text(output: TextIO, exc_info: ExcInfo) -> None:
    output.write("\n" + trace(exc_info))


class _Lines:
    """Writes the lines of requests as JSON; those of one turn of the event loop leave in one system call."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Write a line at the end of the turn."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        text, self._lines = "".join(self._lines), []
        self._output.write(text)
        self._output.flush()


class _Requests:
    """The log of requests: `lines` is set if its lines are JSON, which is then written without structlog."""

    lines: _Lines | None = None
    enabled = True


_requests = _Requests()
_request_log = structlog.get_logger("roster.request")


def request(  # noqa: PLR0917
    method: str, path: str, ms: float, status: int, request_id: str | None, client_request_id: str | None
) -> None:
    """Log a request: never a header, a query string, or a body. `path` is quoted, and the ids have no quotes."""
    if not _requests.enabled:
        return
    if _requests.lines is None:
        given = {} if client_request_id is None else {"client_request_id": client_request_id}
        _request_log.info("request", method=method, path=path, ms=ms, status=status, request_id=request_id, **given)
        return
    moment = datetime.now(UTC).isoformat()[:-6]
    further = "" if client_request_id is None else f', "client_request_id": "{client_request_id}"'
    own = "null" if request_id is None else f'"{request_id}"'
    _requests.lines.add(
        f'{{"method": "{method}", "path": "{path}", "ms": {ms}, "status": {status}, "request_id": {own}{further}, '
        f'"event": "request", "level": "info", "logger": "roster.request", "timestamp": "{moment}Z"}}\n'
    )


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's loggers. Lines go to standard error."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    renderer: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=_trace_as_text)]
        if as_text
        else [structlog.processors.ExceptionRenderer(trace), structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    _requests.lines = None if as_text else _Lines(sys.stderr)
    _requests.enabled = root.level <= logging.INFO
    # The routine messages of these libraries only repeat what the service logs itself
    for name in ("databases", "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(max(logging.WARNING, root.level))
