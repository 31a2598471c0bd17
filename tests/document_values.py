"""Arguments of generated documents: values of every input type, written as literals or passed as variables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLInputField,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)

MISSING_ID = "01890000-0000-7000-8000-00000000dead"
MISSING_VERSION = 999_999
TOO_LONG = "x" * 300
PAST, FUTURE = "2001-01-01T00:00:00Z", "2099-01-01T00:00:00+02:00"
# The type of the object that an argument or an input field names by its id; the others name an object of any type
TYPE_OF_ID = {
    "ownerId": "User",
    "actorId": "User",
    "userId": "User",
    "roleId": "Role",
    "planId": "Plan",
    "presetId": "PermissionPreset",
    "serverId": "Server",
    "Query.server": "Server",
    "UserFilter.ids": "User",
    "ServerFilter.ids": "Server",
    "UserBy.id": "User",
}
TEXTS: dict[str, list[str]] = {
    "event": ["user.update", "user.", "ssh-key.create", "nothing"],
    "language": ["en", "de"],
    "name": ["Small", "web", "laptop"],
    "password": ["short"],
    "newPassword": ["short"],
    "currentPassword": ["wrong-password-1"],
    "search": ["a", "ali", "%", "web", ""],
    "targetType": ["User", "Server", "Nothing"],
    "Query.__type": ["User", "Node", "UserFilter", "Tier", "ID", "Nothing"],
}
SCALARS: dict[str, list[Any]] = {
    "BigInt": [0, -1, 21, 9_007_199_254_740_991],
    "Boolean": [True, False],
    "CIDR": ["10.0.0.0/8", "2001:db8::/32"],
    "CountryCode": ["AT", "CA"],
    "Date": ["1990-02-28"],
    "DateTime": [PAST, FUTURE, "2026-03-01T12:30:00.5Z"],
    "Float": [0.5],
    "IPAddress": ["198.51.100.9", "2001:db8::1", "::ffff:198.51.100.7"],
    "Int": [0, 1, 7, 4096],
    "JSON": [{"theme": "dark"}, {}, [1, "a", None], "text", 1.5],
    "Permission": ["users.read", "control.console", "account.read"],
    "String": ["text", "ünï", "two words"],
}


@dataclass(frozen=True)
class Known:
    """Values of the data that documents can name: ids by type, cursors by list, and texts by argument."""

    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cursors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Values:
    """The values and the variables of one document."""

    def __init__(self, random: Random, known: Known) -> None:
        self._random = random
        self._known = known
        self._reusable: list[tuple[str, str, str]] = []
        self.types: list[str] = []  # of the objects that the arguments name
        self.definitions: list[str] = []
        self.variables: dict[str, Any] = {}
        # Documents that change data have fixed values, so that every run does the same
        self.fixed = False

    def chance(self, probability: float) -> bool:
        """Return True with the probability."""
        return self._random.random() < probability

    def value(self, declared: Any, owner: str, name: str) -> Any:
        """Return a random value of an argument of a field, or of a field of an input type."""
        if is_non_null_type(declared):
            return self._value(declared.of_type, owner, name)
        return None if self.chance(0.08) else self._value(declared, owner, name)

    def _value(self, declared: Any, owner: str, name: str) -> Any:
        if is_list_type(declared):
            return [self.value(declared.of_type, owner, name) for _ in range(self._random.choice([0, 1, 1, 2, 3]))]
        if is_enum_type(declared):
            return self._random.choice(list(declared.values))
        if is_input_object_type(declared):
            return self._input(declared)
        return self._scalar(declared.name, owner, name)

    def _scalar(self, declared: str, owner: str, name: str) -> Any:
        if declared == "ID":
            return self._id(owner, name)
        if name in {"after", "before"}:
            return self._cursor(owner)
        if name in {"first", "last", "offset"}:
            return self._random.choice([0, -1, 101]) if self.chance(0.06) else self._random.choice([1, 2, 3, 5, 20])
        keys = (f"{owner}.{name}", owner, name) if declared == "String" else ()
        texts = next((found for key in keys if (found := [*self._known.texts.get(key, ()), *TEXTS.get(key, ())])), None)
        return self._random.choice(texts or SCALARS[declared])

    def _input(self, declared: Any) -> dict[str, Any]:
        if declared.is_one_of:
            name = self._random.choice(list(declared.fields))
            return {name: self._value(declared.fields[name].type, declared.name, name)}
        # A filter by many fields finds nothing
        share = min(0.4, 2 / len(declared.fields)) if declared.name.endswith("Filter") else 0.5
        return {
            name: self.value(each.type, declared.name, name)
            for name, each in declared.fields.items()
            if is_required_input_field(each) or self.chance(share)
        }

    def _id(self, owner: str, name: str) -> str:
        kind = TYPE_OF_ID.get(f"{owner}.{name}") or TYPE_OF_ID.get(owner) or TYPE_OF_ID.get(name)
        # Each type first, so that types with few objects are named as often as others
        kind = kind or self._random.choice([*self._known.ids, "User"])
        self.types.append(kind)
        found = self._random.choice([*self._known.ids.get(kind, ())] or [MISSING_ID])
        if self.chance(0.1):
            return MISSING_ID
        if self.chance(0.03):
            return "not-an-id"
        return found.replace("-", "").upper() if self.chance(0.05) else found

    def _cursor(self, owner: str) -> str:
        own = self._known.cursors.get(owner) or ["WyJ1c2VycyJd"]
        every = [each for cursors in self._known.cursors.values() for each in cursors] or own
        pick = self._random.random()
        return "nonsense" if pick < 0.06 else self._random.choice(list(own if pick < 0.88 else every))

    # The text

    def text(self, value: Any, declared: Any, owner: str, name: str, *, required: bool = False) -> str | None:
        """Return the value as a literal, which may have variables inside, or as a variable; None if it is absent."""
        if self.chance(0.3):
            return self._variable(value, declared, f"{owner}.{name}", required=required)
        return self._literal(value, declared, owner, name)

    def _literal(self, value: Any, declared: Any, owner: str = "", name: str = "") -> str:
        """Return a literal; with an owner, it may have variables inside."""
        declared = get_nullable_type(declared)
        if value is None:
            return "null"
        if is_list_type(declared):
            found = [self._inside(item, declared.of_type, owner, name) for item in value]
            items = [item for item in found if item is not None]
            return items[0] if len(items) == 1 and items[0][0] not in "$n" and self.chance(0.2) else _list(items)
        if is_input_object_type(declared):
            return self._object(value, declared, nested=bool(owner))
        if is_enum_type(declared):
            return str(value)
        if isinstance(value, str) and value.isalnum() and self.chance(0.05):
            return f'"""{value}"""'
        return json_literal(value)

    def _inside(self, value: Any, declared: Any, owner: str, name: str) -> str | None:
        if not owner:
            return self._literal(value, declared)
        return self.text(value, declared, owner, name) if self.chance(0.5) else self._literal(value, declared)

    def _object(self, value: dict[str, Any], declared: Any, *, nested: bool) -> str:
        found = []
        for name, item in value.items():
            each: GraphQLInputField = declared.fields[name]
            text = (
                self.text(item, each.type, declared.name, name, required=declared.is_one_of)
                if nested
                else self._literal(item, each.type)
            )
            if text is not None:
                found.append(f"{name}: {text}")
        return f"{{{', '.join(found)}}}"

    def _variable(self, value: Any, declared: Any, key: str, *, required: bool) -> str | None:
        """Return a variable with the value, one of its default values, or one that is used already.

        None if the list around it must not have it.
        """
        required = required or is_non_null_type(declared)
        nullable = str(get_nullable_type(declared))
        allowed = {f"{nullable}!"} if required else {nullable, f"{nullable}!"}
        known = [name for kind, used, name in self._reusable if kind in allowed and used == key]
        if known and not self.fixed and self.chance(0.4):
            return f"${self._random.choice(known)}"
        name = f"v{len(self.definitions)}"
        kind = f"{nullable}!" if required or (value is not None and self.chance(0.25)) else nullable
        default = f" = {self._literal(value, declared)}"
        mode = self._random.random()
        if self.fixed or mode < 0.55 or (value is None and kind[-1] == "!"):
            self.variables[name] = value
            default = ""
        elif mode < 0.7:
            self.variables[name] = value
        elif mode > 0.93 and kind[-1] != "!":
            self.variables[name] = None
        elif mode > 0.85 and kind[-1] != "!":
            default = ""
        elif mode > 0.83 and is_non_null_type(declared):
            # A nullable variable with a default may be used where null is not allowed
            self.variables[name], kind = None, nullable
        self.definitions.append(f"${name}: {kind}{default}")
        self._reusable.append((kind, key, name))
        return f"${name}"

    def condition(self, directive: str, *, skip: bool) -> str:
        """Return @skip or @include with a literal or a variable; `skip` says whether the selection is left out."""
        value = skip if directive == "skip" else not skip
        if self.chance(0.5):
            return f" @{directive}(if: {json.dumps(value)})"
        name = f"v{len(self.definitions)}"
        if self.chance(0.3):
            self.definitions.append(f"${name}: Boolean! = {json.dumps(value)}")
        else:
            self.definitions.append(f"${name}: Boolean!")
            self.variables[name] = value
        return f" @{directive}(if: ${name})"


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]"


def json_literal(value: Any) -> str:
    """Return a JSON value as a GraphQL literal."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {json_literal(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return _list([json_literal(item) for item in value])
    return json.dumps(value, ensure_ascii=False)
