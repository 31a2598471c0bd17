"""Random valid documents over a schema: the same seed gives the same document.

They have nested selections, aliases, repeated fields that merge, fragments, directives, arguments, and variables. The
mutations in them change nothing, see `document_mutations`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    MaxIntrospectionDepthRule,
    OverlappingFieldsCanBeMergedRule,
    get_named_type,
    is_interface_type,
    is_introspection_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)

from service.operations.variables import LiteralsOfCorrectType
from tests.document_mutations import SKIPPED, mutation_input
from tests.document_values import Known, Values

# The rules that an attempt may break: the names inside its fragments, wrong ids as literals, and deep introspection
UNCERTAIN = (OverlappingFieldsCanBeMergedRule, LiteralsOfCorrectType, MaxIntrospectionDepthRule)
MOST_FIELDS = 90  # a document has at most 1,000 tokens
MOST_LEVELS = 8
# As aliases, because they mean something in the statements of pages
SQL_NAMES = ("page", "list", "key", "text", "position", "row", "parents")
WITHOUT_FIELDS = "__typename"
# Fields of a page are selected often, so that a page is more than a number
FREQUENT = {
    "Query": ["users", "user", "me", "nodes", "node", "servers", "auditEvents", "roles", "plans"],
    "Mutation": ["updateProfile", "updateSettings", "updateUser"],
}
ARGUMENTS = {"filter": 0.35, "orderBy": 0.4, "first": 0.5, "last": 0.12, "after": 0.12, "before": 0.08, "search": 0.1}


@dataclass(frozen=True)
class Document:
    """A document, the name of the operation in it that runs, and its variables."""

    text: str
    operation: str | None
    variables: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.text}\noperation: {self.operation}\nvariables: {json.dumps(self.variables)}"


@dataclass
class _Scope:
    """The response names on one object: what each is selected with, and the scope of its own selections."""

    names: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    inner: dict[str, _Scope] = field(default_factory=dict)


def document(schema: GraphQLSchema, known: Known, seed: int) -> Document:
    """Return the document of a seed: the first one of its attempts that is valid."""
    for attempt in count():
        random = Random(f"{seed}/{attempt}")  # noqa: S311  (reproducible, not secret)
        found = _Generator(schema, known, random, seed).document()
        if not validate(schema, parse(found.text), UNCERTAIN):
            return found
    raise AssertionError


class _Generator:
    def __init__(self, schema: GraphQLSchema, known: Known, random: Random, turn: int) -> None:
        self._schema = schema
        self._known = known
        self._random = random
        self._values = Values(random, known)
        self._chance = self._values.chance
        self._left = random.randint(10, MOST_FIELDS)
        self._fragments: list[tuple[str, Any, str]] = []
        self._fragment_names = count()
        self._aliases = count()
        self._turn: int | None = turn  # chooses the first root field, so that each is used as often as others
        self._mutates = turn % 4 == 3
        self._introspects = self._chance(0.06)

    def document(self) -> Document:
        """Return a document, which may be invalid because of the names inside its fragments."""
        kind = "mutation" if self._mutates else "query"
        self._values.fixed = kind == "mutation"
        root: Any = self._schema.mutation_type if kind == "mutation" else self._schema.query_type
        body = self._selections(root, 0, _Scope())
        definitions = f"({', '.join(self._values.definitions)})" if self._values.definitions else ""
        name = "Main" if self._chance(0.5) else None
        operation = f"{kind}{f' {name}' if name else ''}{definitions} {body}"
        if kind == "query" and not definitions and name is None and self._chance(0.5):
            operation = body
        parts = [operation, *(f"fragment {each} on {on} {text}" for each, on, text in self._fragments)]
        if name is not None and self._chance(0.3):
            parts.append("query Other { me { id } }")
        elif self._chance(0.5):
            name = None
        self._random.shuffle(parts)
        return Document("\n".join(parts), name if name and self._needs_name(parts) else None, self._values.variables)

    def _needs_name(self, parts: list[str]) -> bool:
        return any(part.startswith("query Other") for part in parts) or self._chance(0.5)

    # Selections

    def _selections(self, parent: Any, level: int, scope: _Scope) -> str:
        plain = not is_interface_type(parent) and all(
            is_leaf_type(get_named_type(each.type)) for each in parent.fields.values()
        )
        least, most = (1, 4) if level == 0 else (1, 3) if plain else (2, 7)
        parts = [self._selection(parent, level, scope) for _ in range(self._random.randint(least, most))]
        found = [part for part in parts if part]
        return f"{{ {' '.join(found or [WITHOUT_FIELDS])} }}"

    def _selection(self, parent: Any, level: int, scope: _Scope) -> str:
        if self._left <= 0:
            return ""
        pick = self._random.random()
        on_interface = is_interface_type(parent)
        if pick < 0.04:
            self._left -= 1
            return WITHOUT_FIELDS
        if pick < (0.6 if on_interface else 0.12):
            return self._inline_fragment(parent, level, scope)
        if pick < (0.8 if on_interface else 0.22):
            return self._spread(parent, level)
        if pick < 0.32 and scope.names:
            return self._repeated(parent, level, scope)
        return self._field(parent, level, scope)

    def _directives(self) -> str:
        names = [name for name in ("skip", "include") if self._chance(0.05)]
        return "".join(self._values.condition(name, skip=self._chance(0.4)) for name in names)

    def _conditions(self, parent: Any) -> list[Any]:
        """Return the types that a fragment inside the type may be on."""
        if is_interface_type(parent):
            return [parent, *self._schema.get_possible_types(parent)]
        return [parent, *parent.interfaces]

    def _inline_fragment(self, parent: Any, level: int, scope: _Scope) -> str:
        inner = self._random.choice(self._conditions(parent))
        if is_interface_type(parent) and self._chance(0.7):
            # The types of the objects that are named, else that of most objects
            inner = self._schema.get_type(self._random.choice(self._values.types or ["User"]))
        condition = "" if inner is parent and self._chance(0.5) else f" on {inner}"
        return f"...{condition}{self._directives()} {self._selections(inner, max(level, 1), scope)}"

    def _spread(self, parent: Any, level: int) -> str:
        allowed = self._conditions(parent)
        known = [name for name, on, _ in self._fragments if on in allowed]
        if known and self._chance(0.6):
            return f"...{self._random.choice(known)}{self._directives()}"
        inner = self._random.choice(allowed)
        if inner in {self._schema.mutation_type, self._schema.query_type} and self._chance(0.5):
            return ""
        name = f"F{next(self._fragment_names)}"
        # Listed after it is complete, so that no fragment contains itself
        text = self._selections(inner, max(level, 1), _Scope())
        self._fragments.append((name, inner, text))
        return f"...{name}{self._directives()}"

    def _repeated(self, parent: Any, level: int, scope: _Scope) -> str:
        response = self._random.choice(list(scope.names))
        if scope.names[response][0] != parent.name:
            return ""
        return self._complete(parent, response, level, scope)

    def _field(self, parent: Any, level: int, scope: _Scope) -> str:
        name = self._name(parent, level)
        if name is None:
            return WITHOUT_FIELDS
        arguments = self._arguments(parent, name)
        response = name
        known = scope.names.get(name)
        if (
            (known is not None and known != (parent.name, name, arguments))
            or self._chance(0.1)
            or (arguments and self._chance(0.5))
        ):
            unused = [each for each in SQL_NAMES if each not in scope.names]
            response = self._random.choice(unused) if unused and self._chance(0.1) else f"a{next(self._aliases)}"
        elif self._chance(0.02):
            other = self._random.choice(list(parent.fields))
            response = response if other in scope.names else other
        scope.names[response] = (parent.name, name, arguments)
        return self._complete(parent, response, level, scope)

    def _name(self, parent: Any, level: int) -> str | None:
        """Return the name of a field, which has no selections where the document must not be deeper."""
        if level == 0 and self._introspects and parent is self._schema.query_type and self._chance(0.5):
            return self._random.choice(["__schema", "__type"])
        if level == 0 and self._turn is not None:
            turn, self._turn = self._turn // 4, None
            every: list[str] = list(parent.fields)
            return every[turn % len(every)]
        shallow = level >= MOST_LEVELS or self._left <= 1
        if is_introspection_type(parent):
            shallow = shallow or level >= 4
        leaves = [name for name, each in parent.fields.items() if is_leaf_type(get_named_type(each.type))]
        others = [name for name in parent.fields if name not in leaves]
        frequent = FREQUENT.get(parent.name) or [name for name in ("nodes", "edges", "node") if name in others]
        names = leaves if shallow and level > 0 else list(parent.fields)
        if not shallow and others and self._chance(0.6):
            names = frequent if frequent and self._chance(0.7 if level else 0.4) else others
        return self._random.choice(names) if names else None

    def _complete(self, parent: Any, response: str, level: int, scope: _Scope) -> str:
        """Return the field with its alias, directives, and selections."""
        self._left -= 1
        _, name, arguments = scope.names[response]
        found: Any = self._schema.get_field(parent, name)
        alias = "" if response == name else f"{response}: "
        skipped = parent is self._schema.mutation_type and name in SKIPPED
        directives = self._values.condition("skip", skip=True) if skipped else self._directives()
        inner = get_named_type(found.type)
        text = f"{alias}{name}{arguments}{directives}"
        if is_leaf_type(inner):
            return text
        return f"{text} {self._selections(inner, level + 1, scope.inner.setdefault(response, _Scope()))}"

    # Arguments

    def _arguments(self, parent: GraphQLObjectType, name: str) -> str:
        found: Any = self._schema.get_field(parent, name)
        owner = f"{parent}.{name}"
        parts = []
        for argument, declared in found.args.items():
            if not is_required_argument(declared) and not self._chance(ARGUMENTS.get(argument, 0.2)):
                continue
            value = self._values.value(declared.type, owner, argument)
            if parent is self._schema.mutation_type and name not in SKIPPED:
                value = mutation_input(name, value, self._known, self._random)
            text = self._values.text(value, declared.type, owner, argument)
            if text is not None:
                parts.append(f"{argument}: {text}")
        return f"({', '.join(parts)})" if parts else ""
