"""A bare ASGI application: a handler for each path, and no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[dict[str, Any]], Awaitable[bytes]]
Task: TypeAlias = Callable[[], Awaitable[None]]
JSON = (b"content-type", b"application/json")


def application(handlers: Mapping[str, Handler], start: Task, stop: Task) -> Any:
    """Return the application. `start` and `stop` run at its start and end."""

    async def lifespan(receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"].rpartition(".")[2]
            await (start if kind == "startup" else stop)()
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await lifespan(receive, send)
            return
        body = await handlers[scope["path"]](scope)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, length]})
        await send({"type": "http.response.body", "body": body})

    return app
