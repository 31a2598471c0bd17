"""An import from its files to the database: the next batch is read while the database stores this one."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from service.credentials.encryption import Encryption
from service.database.connection import Database
from service.database.servers import Connection
from service.database.transaction import Transaction
from service.identifiers import UsernamePolicy
from service.moving import staging
from service.moving.batches import Batch, batches
from service.moving.checks import Rules
from service.moving.csv_form import read_csv
from service.moving.load import Loader
from service.moving.own_form import read_own_form
from service.moving.records import Record
from service.moving.report import Report
from service.moving.sources import SOURCES
from service.moving.tables import LineFile, MovingError, TableFiles

FORMS: Final = ("csv", "jsonl")  # other than the tables of a system
SYSTEMS: Final = tuple(sorted((*SOURCES, *FORMS)))
NAME: Final = re.compile("[A-Za-z0-9_.-]{1,64}")
# Opens a progress bar of a length; its `update` advances it
Progress: TypeAlias = Callable[[int], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Options:
    """What to import. `source` tells apart several systems of the same kind."""

    system: str
    paths: Sequence[Path]
    source: str
    dry_run: bool
    allow_root: bool


class Import:
    """One run of an import."""

    def __init__(self, options: Options, report: Report) -> None:
        if not NAME.fullmatch(options.source):
            raise MovingError("the name of a source has 1 to 64 letters, digits, dots, dashes, and underscores")
        self.unread: list[str] = []
        self._options = options
        self._report = report
        self._tables: TableFiles | None = None
        self._files = self._opened()

    def _opened(self) -> Sequence[LineFile]:
        if self._options.system in FORMS:
            return [LineFile(path) for path in self._options.paths]
        self._tables = TableFiles(self._options.paths, self._report.of_source)
        return list(self._tables.files.values())

    def _records(self) -> Iterator[Record]:
        if self._tables is None:
            read = read_csv if self._options.system == "csv" else read_own_form
            return read(self._files, self._report.of_source)
        return SOURCES[self._options.system](self._tables, self._report.of_source)

    async def run(
        self, database: Database, usernames: UsernamePolicy, encryption: Encryption, progress: Progress
    ) -> None:
        """Import everything, or in a dry run find out what would be imported, and change nothing."""
        connection = await staging.connected(database.url)
        try:
            if not await Transaction(connection, database.statements).run("lock_import"):
                raise MovingError("another import is running")
            rules = Rules(usernames, encryption, self._options.allow_root, dt.datetime.now(dt.UTC))
            loader = Loader(
                connection,
                database.statements,
                self._options.source,
                self._report,
                by_name=self._options.system == "csv",
            )
            source = batches(self._records(), self._report, rules)
            with progress(sum(file.size for file in self._files)) as bar:
                if self._options.dry_run:
                    await self._rehearse(connection, loader, source, bar)
                else:
                    await self._load(loader, source, bar)
        finally:
            await connection.close()
        self.unread = [] if self._tables is None else self._tables.unread

    async def _rehearse(self, connection: Connection, loader: Loader, source: Iterator[Batch], bar: Any) -> None:
        """Do everything in one transaction, and roll it back."""
        transaction = connection.transaction()
        await transaction.start()
        try:
            await self._load(loader, source, bar)
        finally:
            await transaction.rollback()

    async def _load(self, loader: Loader, source: Iterator[Batch], bar: Any) -> None:
        done = 0
        batch = await asyncio.to_thread(next, source, None)
        while batch is not None:
            following = asyncio.create_task(asyncio.to_thread(next, source, None))
            try:
                await loader.load(batch)
            finally:
                next_batch = await following
            position = sum(file.position for file in self._files)
            bar.update(position - done)
            done, batch = position, next_batch
