"""Files of JSON lines, plain or compressed by gzip, and the exported tables of another system among them.

A file is read one line at a time, and a line has a longest length, so that a file of any size needs little memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

import orjson

from service.moving.records import Dropped

LONGEST_LINE: Final = 1_048_576  # bytes; the settings and the address of a user are much shorter
SUFFIXES: Final = (".jsonl", ".jsonl.gz")
_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"\xef\xbb\xbf"  # the byte order mark that some programs write first


class MovingError(Exception):
    """Files that cannot be imported, or a file that cannot be written; the message is one line."""


class LineFile:
    """The lines of one file, of which `position` bytes have been read. Compression is recognized by the content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                self._compressed = file.read(len(_GZIP)) == _GZIP
        except OSError as error:
            raise MovingError(f"{path} cannot be read: {error.strerror}") from None

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield each line that is not blank, with its number. A line that is too long is None."""
        try:
            with self.path.open("rb") as raw:
                # SECURITY: a small file can have a huge content, so it is decompressed in small steps
                file: Any = gzip.GzipFile(fileobj=raw) if self._compressed else raw
                for number, line in enumerate(_bounded(file), start=1):
                    self.position = max(self.position, raw.tell())
                    text = line.removeprefix(_MARK) if number == 1 and line is not None else line
                    if text is None or text.strip():
                        yield number, text
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise MovingError(f"{self.path} is not a complete gzip file") from None
        except OSError as error:
            raise MovingError(f"{self.path} cannot be read: {error.strerror}") from None

    def objects(self, table: str, dropped: Dropped) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the object of each line, with the number of the line. Any other line is dropped."""
        for number, line in self.lines():
            try:
                value = None if line is None else orjson.loads(line)
            except orjson.JSONDecodeError:
                dropped(table, f"line {number}", "The line is not JSON.")
                continue
            if isinstance(value, dict):
                yield number, value
            elif line is None:
                dropped(table, f"line {number}", f"The line is longer than {LONGEST_LINE} bytes.")
            else:
                dropped(table, f"line {number}", "The line is not a JSON object.")


class TableFiles:
    """The exported tables of another system: one file of JSON lines for each table, named after it."""

    def __init__(self, paths: Sequence[Path], dropped: Dropped) -> None:
        """`paths` are files, and folders with files. Raise MovingError for names that do not tell the table."""
        self._dropped = dropped
        self._files: dict[str, LineFile] = {}
        self._unread: set[str] = set()
        for path in _files_of(paths):
            table = path.name.removesuffix(".gz").removesuffix(".jsonl")
            if table in self._files:
                raise MovingError(f"{self._files[table].path} and {path} are both of the table {table}")
            self._files[table] = LineFile(path)
        self._unread = set(self._files)

    @property
    def files(self) -> Mapping[str, LineFile]:
        """The file of each table."""
        return MappingProxyType(self._files)

    @property
    def unread(self) -> list[str]:
        """The tables that have a file, but were not asked for."""
        return sorted(self._unread)

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table in the order of its file; nothing if there is no file of it."""
        self._unread.discard(table)
        file = self._files.get(table)
        if file is not None:
            for _number, row in file.objects(table, self._dropped):
                yield row


def _bounded(file: IO[bytes]) -> Iterator[bytes | None]:
    """Yield the lines of a file; None for one that is too long, of which no more is kept."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        yield None


def _files_of(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES))
            if not found:
                raise MovingError(f"{path} has no files <table>.jsonl or <table>.jsonl.gz")
            yield from found
        elif path.name.endswith(SUFFIXES):
            yield path
        else:
            raise MovingError(f"{path} is not named after a table: <table>.jsonl or <table>.jsonl.gz")
