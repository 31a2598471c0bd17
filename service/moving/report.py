"""What an import did with each row: numbers by kind, and a file with what was not taken."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import orjson

from service.moving.tables import MovingError

COLUMNS: Final = ("read", "new", "known", "collides", "dropped")
LONGEST_KEY: Final = 200  # characters; a key is from a file, and may be anything


class Report:
    """The numbers of an import, and the lines of its report file. Two threads use it."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.parts = 0
        self._file = file
        self._lock = threading.Lock()

    def count(self, kind: str, what: str, number: int = 1) -> None:
        """Add to a number of a kind, such as the new ones."""
        with self._lock:
            self.counts[kind][what] += number

    def of_source(self, table: str, key: str, reason: str, *, taken: bool = False) -> None:
        """Report a row of a file that does not become a record; `taken` says that only a part of it does not."""
        if taken:
            self.part(table, key, reason)
            return
        self.count(f"table:{table}", "dropped")
        self._write(table, key, reason, taken=False)

    def dropped(self, table: str, key: str, reason: str) -> None:
        """Report a record that is not taken, because of what it is."""
        self.count(table, "dropped")
        self._write(table, key, reason, taken=False)

    def collides(self, table: str, key: str, reason: str) -> None:
        """Report a row that is not taken, because of another one."""
        self.count(table, "collides")
        self._write(table, key, reason, taken=False)

    def part(self, table: str, key: str, reason: str) -> None:
        """Report a part of a row: the row is taken without it, or with it changed."""
        with self._lock:
            self.parts += 1
        self._write(table, key, reason, taken=True)

    def lines(self) -> Iterator[str]:
        """Yield the lines of a table: what, and the number of rows by what was done with them."""
        width = max(map(len, ("kind", *self.counts)))
        yield f"{'kind':<{width}} {' '.join(f'{name:>9}' for name in COLUMNS)}"
        for kind, numbers in self.counts.items():
            yield f"{kind:<{width}} {' '.join(f'{numbers[name]:>9}' for name in COLUMNS)}"
        if self.parts:
            yield f"{self.parts} parts of rows were left out or changed"

    def _write(self, table: str, key: str, reason: str, *, taken: bool) -> None:
        if self._file is not None:
            shown = key[:LONGEST_KEY].encode("utf-8", "replace").decode()
            line = {"table": table, "key": shown, "reason": reason, "taken": taken}
            text = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
            with self._lock:
                self._file.write(text)


@contextmanager
def private_file(path: Path, *, whole: bool) -> Iterator[IO[bytes]]:
    """Yield a new file that only its owner can read. Raise MovingError if it cannot be created.

    `whole` says that the file appears only when it is complete; a former one stays until then.

    SECURITY: a former file is replaced, so that neither its permissions nor a link to another file apply.
    """
    used = path.with_name(f".{path.name}.{os.getpid()}") if whole else path
    try:
        if not whole:
            used.unlink(missing_ok=True)
        descriptor = os.open(used, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MovingError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if whole:
            used.replace(path)
    except BaseException:
        if whole:
            used.unlink(missing_ok=True)
        raise
