"""The service's own form: JSON lines, each with a record. `type` names its kind, the other members are its fields.

Times are RFC 3339 texts, bytes are base64, and a field with its default is left out. The same record is always the same
line.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, cast, get_args, get_origin, get_type_hints

import orjson
from graphql import GraphQLError

from service.moving import records
from service.moving.records import RECORDS, Dropped, Record
from service.moving.tables import LineFile
from service.parsing import format_datetime, parse_date, parse_datetime

# The name of each record in the member `type`, in reports, and in the table of imported rows
KINDS: Final = {
    records.PlanRecord: "plan",
    records.RoleRecord: "role",
    records.UserRecord: "user",
    records.SshKeyRecord: "ssh-key",
    records.ApiKeyRecord: "api-key",
    records.PasskeyRecord: "passkey",
    records.WalletRecord: "wallet",
    records.ServerRecord: "server",
    records.SubuserRecord: "subuser",
}
_BY_NAME: Final = {name: record for record, name in KINDS.items()}


class FormError(Exception):
    """A line that is not a record; the message is a sentence for the report."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    required: bool
    default: Any
    read: Callable[[Any], Any]


def line_of(record: Record) -> bytes:
    """Return the line of a record."""
    found: dict[str, Any] = {"type": KINDS[type(record)]}
    for field in _fields(cast("Any", type(record))):
        value = getattr(record, field.name)
        if field.required or value != field.default:
            found[field.name] = _written(value)
    return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)


def record_of(value: dict[str, Any]) -> Record:
    """Return the record of a line. Raise FormError for any other object."""
    kind = value.pop("type", None)
    record = _BY_NAME.get(kind) if isinstance(kind, str) else None
    if record is None:
        raise FormError(f"type must be one of {', '.join(_BY_NAME)}.")
    given = {}
    for field in _fields(record):
        item = value.pop(field.name, None)
        if item is not None:
            try:
                given[field.name] = field.read(item)
            except (TypeError, ValueError, binascii.Error, GraphQLError):
                raise FormError(f"{field.name} has the wrong form.") from None
        elif field.required:
            raise FormError(f"{field.name} is missing.")
    if value:
        raise FormError(f"There is no field {', '.join(sorted(value))[:100]}.")
    return record(**given)  # type: ignore[no-any-return]


def read_own_form(files: Sequence[LineFile], dropped: Dropped) -> Iterator[Record]:
    """Yield the records of files in the service's own form, one file after the other."""
    for file in files:
        for number, value in file.objects(file.path.name, dropped):
            try:
                yield record_of(value)
            except FormError as error:
                dropped(file.path.name, f"line {number}", str(error))


@cache
def _fields(record: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(record)
    return tuple(_field(field, hints[field.name]) for field in dataclasses.fields(record))


def _field(field: dataclasses.Field[Any], hint: Any) -> _Field:
    if field.default_factory is not dataclasses.MISSING:
        default, required = field.default_factory(), False
    else:
        default, required = field.default, field.default is dataclasses.MISSING
    return _Field(field.name, required, default, _reader(hint))


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return the function that reads a value of a type; None is not among the values."""
    alternatives = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is tuple:
        item = _reader(get_args(hint)[0])
        return lambda value: tuple(item(each) for each in _typed(value, list))
    if len(alternatives) == 1:
        return _reader(alternatives[0])
    if hint is dt.datetime:
        return parse_datetime
    if hint is dt.date:
        return parse_date
    if hint is bytes:
        return lambda value: base64.b64decode(_typed(value, str), validate=True)
    expected = hint if isinstance(hint, type) else dict
    return lambda value: _typed(value, expected)


def _typed(value: Any, expected: type[Any]) -> Any:
    if type(value) is not expected:
        raise TypeError
    return value


def _written(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime):
        return format_datetime(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    return value


assert set(KINDS) == set(RECORDS)  # noqa: S101  (a record without a name could not be written)
