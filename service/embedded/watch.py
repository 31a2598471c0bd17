"""A watcher that starts the embedded server again after it was killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.embedded.account import logger
from service.embedded.server import Embedded

INTERVAL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
GRACE_SECONDS = 5.0  # for a start in progress


@contextmanager
def watched(server: Embedded) -> Iterator[None]:
    """Start the server again whenever it was killed, until the end of the block.

    Each failed start doubles the pause before the next one.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(server, ended), name="embedded-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(GRACE_SECONDS)


def _watch(server: Embedded, ended: threading.Event) -> None:
    pause = INTERVAL_SECONDS
    while not ended.wait(pause):
        try:
            server.restart_if_killed()
        except Exception as error:  # the watch must not end
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            logger.error("the database could not be started again, the next attempt is in %.1f s: %s", pause, error)
        else:
            pause = INTERVAL_SECONDS
