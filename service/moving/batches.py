"""Batches of checked records, which are in memory only for one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from service.moving.checks import Check, Item, NotTaken, Rules
from service.moving.kinds import BY_RECORD, KINDS, Kind
from service.moving.records import Record
from service.moving.report import Report

BATCH: Final = 2_000  # records of one kind
Batch: TypeAlias = list[tuple[Kind, list[Item]]]


def batches(records: Iterable[Record], report: Report, rules: Rules) -> Iterator[Batch]:
    """Yield the items of the records. In a batch, and over all batches, an item follows those that it names."""
    waiting: dict[Kind, list[Item]] = {kind: [] for kind in KINDS}
    for record in records:
        kind = BY_RECORD[type(record)]
        report.count(kind.name, "read")
        try:
            waiting[kind].append(kind.check(record, Check(kind.name, record.key, report, rules)))
        except NotTaken as reason:
            report.dropped(kind.name, record.key, str(reason))
        if len(waiting[kind]) >= BATCH:
            yield [(each, items) for each, items in waiting.items() if items]
            waiting = {each: [] for each in KINDS}
    yield [(each, items) for each, items in waiting.items() if items]
