"""Requests that are not executed: their status and their error."""

from __future__ import annotations

from service.errors import ApiError


class HttpError(Exception):
    """A request without an operation: its status and its error."""

    def __init__(self, status: int, error: ApiError, **headers: str) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
