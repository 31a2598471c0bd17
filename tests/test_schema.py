"""The schema: described, with a rule for every field, with limits, and equal to schema.graphql."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest
import strawberry
from graphql import (
    DirectiveNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_specified_directive,
    is_specified_scalar_type,
)

from service.access import permissions
from service.access.rules import Open
from service.compiler.kinds import ENTITIES, Column, Computed, PageOf, Related
from service.fields import kind_of
from service.inputs import ExactText, Items, Text
from service.schema import RULES, printed, rules_of, schema
from tests.conftest import REPOSITORY, Client, Person
from tests.sdl import INPUTS, OBJECTS, SDL, limit_of

PERMISSIONS = permissions.NAMES | permissions.ALIASES.keys()
# The only permission that code may name: every subuser has it
NAMED = {"websocket.connect"}


def test_schema_graphql_is_current() -> None:
    assert (REPOSITORY / "schema.graphql").read_text(encoding="utf-8") == printed(), "run `python -m service schema`"


def descriptions(given: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Yield everything that can have a description, with its description."""
    for name, graphql_type in given.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(graphql_type):
            continue
        yield name, graphql_type.description
        for field_name, field in getattr(graphql_type, "fields", {}).items():
            yield f"{name}.{field_name}", field.description
            for argument_name, argument in getattr(field, "args", {}).items():
                yield f"{name}.{field_name}({argument_name}:)", argument.description
        for value_name, value in getattr(graphql_type, "values", {}).items():
            yield f"{name}.{value_name}", value.description
    for directive in given.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description
            for argument_name, argument in directive.args.items():
                yield f"@{directive.name}({argument_name}:)", argument.description


def test_everything_is_described() -> None:
    assert [name for name, text in descriptions(SDL) if not text] == []


def test_a_description_has_no_final_period() -> None:
    assert [name for name, text in descriptions(SDL) if text and not re.fullmatch(r"(?s)\S.*[^.\s]", text)] == []


def test_the_schema_has_a_description() -> None:
    assert SDL.description is not None
    for word in ("login", "Bearer", "errors", "extensions.code", "first", "after"):
        assert word in SDL.description


def test_a_description_names_the_required_permissions() -> None:
    """Introspection has no directives, so clients read the permissions in the descriptions."""
    for name, directive in directives():
        type_name, _, field_name = name.partition(".")
        described = SDL.type_map[type_name]
        text = described.fields[field_name].description if field_name else described.description  # type: ignore[attr-defined]
        for argument in directive.arguments or ():
            permission = permissions.canonical(argument.value.value)  # type: ignore[attr-defined]
            assert f"{permission}" in (text or ""), name


def test_every_scalar_is_specified() -> None:
    scalars = [found for found in SDL.type_map.values() if isinstance(found, GraphQLScalarType)]
    own = {found.name: found.specified_by_url for found in scalars if not is_specified_scalar_type(found)}
    assert {name for name, url in own.items() if url is None} == {"Permission"}  # permissionCatalog specifies it


def test_every_field_of_an_object_type_has_one_of_the_four_kinds() -> None:
    kinds = (Column, Computed, Related, PageOf)
    for found in OBJECTS:
        definition = schema.get_type_by_name(found.name)
        for field in definition.fields:  # type: ignore[union-attr]
            if found.name in {"Query", "Mutation"} or found.name.endswith(("Connection", "Edge")):
                continue
            assert isinstance(kind_of(field), kinds), f"{found.name}.{field.python_name}"


def test_a_computed_field_is_a_plain_function_of_its_needs() -> None:
    for entity in ENTITIES.values():
        for name, kind in entity.kinds.items():
            if isinstance(kind, Computed):
                assert not inspect.iscoroutinefunction(kind.function), name
                assert len(inspect.signature(kind.function).parameters) == len(kind.needs), f"{entity.name}.{name}"


def undeclared(given: strawberry.Schema) -> list[str]:
    """Return the fields of object types without a rule."""
    found = build_schema(given.as_str()).type_map.values()
    rules = rules_of(given)
    return [
        f"{graphql_type.name}.{name}"
        for graphql_type in found
        if isinstance(graphql_type, GraphQLObjectType) and not graphql_type.name.startswith("__")
        for name in graphql_type.fields
        if (graphql_type.name, name) not in rules
    ]


def test_every_field_has_a_rule_or_an_open_type() -> None:
    assert undeclared(schema) == []


@strawberry.type
class Forgotten:
    secret: str


@strawberry.type
class Opened(Open):
    title: str


@strawberry.type
class Roots:
    forgotten: Forgotten
    opened: Opened


def test_a_field_without_a_rule_is_found() -> None:
    assert undeclared(strawberry.Schema(Roots)) == ["Forgotten.secret", "Roots.forgotten", "Roots.opened"]


def test_only_types_without_an_identity_are_open() -> None:
    plain = {"BillingAddress", "PageInfo", "RegistrationPolicy", "ResourceLimits", "Suspension"}
    plain |= {"UserError", "UserResult"}
    opened = {
        found.name
        for found in OBJECTS
        if found.ast_node is not None
        and not found.ast_node.directives
        and not any(field.ast_node is not None and field.ast_node.directives for field in found.fields.values())
    }
    assert {name for name in opened if not name.endswith(("Payload", "Connection", "Edge"))} == plain


def test_an_interface_has_no_rule_of_its_own() -> None:
    """The rule of the implementation decides."""
    for interface in SDL.type_map.values():
        if isinstance(interface, GraphQLInterfaceType):
            for name in interface.fields:
                for implementation in SDL.get_implementations(interface).objects:
                    assert (implementation.name, name) in RULES
                assert (interface.name, name) not in RULES


def directives() -> Iterator[tuple[str, DirectiveNode]]:
    for found in OBJECTS:
        nodes = [(found.name, found.ast_node), *((f"{found.name}.{n}", f.ast_node) for n, f in found.fields.items())]
        for name, node in nodes:
            yield from ((name, directive) for directive in (node.directives if node and node.directives else ()))


def test_the_declared_permissions_are_in_the_catalogue() -> None:
    own = permissions.ACCOUNT | permissions.SERVER
    for name, directive in directives():
        for argument in directive.arguments or ():
            permission = argument.value.value  # type: ignore[attr-defined]
            known = permissions.ADMIN if argument.name.value == "any" else own
            assert permissions.canonical(permission) in known, (name, permission)


def function_strings(source: str) -> Iterator[str]:
    """Yield the texts inside functions, except the names of audit events; decorators are not inside."""
    tree = ast.parse(source)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        events = {
            argument
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"write", "write_as"}
            for argument in node.args
        }
        for statement in function.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in events:
                    yield node.value


def test_no_function_names_a_permission() -> None:
    checked = [path for path in (REPOSITORY / "service").rglob("*.py") if path.parent.name != "seeding"]  # sample data
    assert {"viewer.py", "subuser.py", "user.py"} <= {path.name for path in checked}
    for path in checked:
        named = PERMISSIONS.intersection(function_strings(path.read_text(encoding="utf-8"))) - NAMED
        assert named == set(), f"{path.name} names {named}"


def test_a_permission_inside_a_function_is_found() -> None:
    source = '@mutation(Access(any="users.read"))\ndef f():\n    write(info, "user.update")\n    g("users.delete")\n'
    assert PERMISSIONS.intersection(function_strings(source)) == {"users.delete"}


def test_a_mutation_has_at_most_one_input_and_a_nullable_payload_with_errors() -> None:
    assert SDL.mutation_type is not None
    for name, field in SDL.mutation_type.fields.items():
        arguments = {each: get_named_type(argument.type).name for each, argument in field.args.items()}
        assert set(arguments) <= {"input"}, name
        assert all(each.endswith("Input") for each in arguments.values()), name
        payload = get_nullable_type(field.type)
        assert not isinstance(field.type, GraphQLNonNull), name
        assert isinstance(payload, GraphQLObjectType), name
        assert payload.name.endswith("Payload"), name
        assert str(payload.fields["errors"].type) == "[UserError!]!", name


def test_every_field_of_a_payload_except_errors_is_nullable() -> None:
    for found in OBJECTS:
        if found.name.endswith("Payload"):
            required = {name for name, field in found.fields.items() if isinstance(field.type, GraphQLNonNull)}
            assert required == {"errors"}, found.name


@pytest.mark.parametrize("found", INPUTS, ids=lambda found: found.name)
def test_every_text_and_list_of_an_input_has_a_limit(found: GraphQLInputObjectType) -> None:
    for name, field in found.fields.items():
        nullable = get_nullable_type(field.type)
        if isinstance(nullable, GraphQLList):
            assert isinstance(limit_of(found.name, name), Items), name
        elif nullable.name == "String":
            assert isinstance(limit_of(found.name, name), Text | ExactText), name


async def test_a_text_or_list_argument_beyond_its_limit_is_rejected(client: Client, root: Person) -> None:
    documents = {
        ("String", "search"): f'{{ users(search: "{"x" * 129}") {{ totalCount }} }}',
        ("String", "after"): f'{{ users(after: "{"x" * 50_000}") {{ totalCount }} }}',
        ("String", "before"): f'{{ users(last: 1, before: "{"x" * 50_000}") {{ totalCount }} }}',
        ("[ID!]!", "ids"): "{ nodes(ids: [" + f'"{root.id}"' * 101 + "]) { id } }",
    }
    given = {
        (str(argument.type), name)
        for found in OBJECTS
        for field in found.fields.values()
        for name, argument in field.args.items()
        if isinstance(get_nullable_type(argument.type), GraphQLList) or get_named_type(argument.type).name == "String"
    }
    assert given == set(documents)
    for (_, name), document in documents.items():
        errors = (await client.execute(document, by=root))["errors"]
        assert [error["extensions"] for error in errors] == [{"code": "BAD_USER_INPUT", "argument": name}]


async def test_an_enum_has_the_same_values_as_its_constraint(client: Client) -> None:
    rows = await client.rows(
        "SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conname LIKE '%_known'"
    )
    known = {row["conname"]: set(re.findall(r"'(\w+)'::text", row["definition"])) for row in rows}
    tier = SDL.type_map["Tier"]
    assert isinstance(tier, GraphQLEnumType)
    assert known == {name: set(tier.values) for name in ("plans_tier_known", "users_tier_known")}
