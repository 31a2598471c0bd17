"""The composition root: queries, mutations, types and directives become one schema, with the access rule of every
field.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import strawberry
from graphql import GraphQLNamedType, GraphQLObjectType, is_introspection_type
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import create_type
from strawberry.types.field import StrawberryField

from service import fields, queries
from service.access import OPEN, Access, Open, Ownership, Public, Rule
from service.guard import Guard
from service.mutations import (
    api_key,
    password,
    plan,
    profile,
    role,
    server,
    session,
    ssh_key,
    subuser,
    suspension,
    user,
)
from service.scalars import SCALARS, BigInt
from service.types.api_key import ApiKey
from service.types.audit_event import AuditEvent
from service.types.plan import Plan
from service.types.role import Role
from service.types.server import Server
from service.types.session import Session
from service.types.ssh_key import SshKey
from service.types.subuser import Subuser
from service.types.user import User

MUTATIONS = (user, suspension, plan, role, session, password, profile, api_key, ssh_key, server, subuser)
NODES = [ApiKey, AuditEvent, Plan, Role, Server, Session, SshKey, Subuser, User]


def _roots(*modules: ModuleType) -> list[StrawberryField]:
    return [item for module in modules for item in vars(module).values() if isinstance(item, StrawberryField)]


Query = create_type("Query", _roots(queries), description="What can be asked")
Mutation = create_type(
    "Mutation",
    _roots(*MUTATIONS),
    description="What can be changed. One `input` each: an absent field keeps its value, null clears it. What the "
    "caller can mend is told in the payload's `errors`; the mutation then changed nothing",
)


def create() -> strawberry.Schema:
    """The schema that is served and printed."""
    created = strawberry.Schema(
        Query,
        Mutation,
        types=[*NODES, BigInt],
        execution_context_class=Guard,
        config=StrawberryConfig(default_resolver=fields.read, scalar_map=dict(SCALARS)),
    )
    for directive in created._schema.directives:  # noqa: SLF001  (Strawberry has no public way to its types)
        # Strawberry drops what was said of a directive's arguments
        declared = directive.extensions.get("strawberry-definition")
        for field in declared.fields if declared is not None else ():
            directive.args[field.name].description = field.description
    return created


def rules_of(schema: strawberry.Schema) -> dict[tuple[str, str], Rule]:
    """The rule of every field by (type, field), and of every type that has one by (type, "").

    A field under neither @access nor @public is not in it, unless its type is Open; the guard refuses it and a test
    finds it.
    """
    rules: dict[tuple[str, str], Rule] = {}
    for name, graphql_type in schema._schema.type_map.items():  # noqa: SLF001  (Strawberry has no public way to its types)
        definition = _definition(graphql_type)
        if definition is None:
            continue
        ownership = getattr(definition.origin, "ownership", None)
        default = _declared(definition.directives, ownership)
        if default is None and issubclass(definition.origin, Open):
            default = OPEN
        if default is not None:
            rules[name, ""] = default
        for field in definition.fields:
            own = field.metadata.get("ownership", ownership)
            rule = _declared(field.directives, own) or default
            if rule is not None:
                rules[name, schema.config.name_converter.get_graphql_name(field)] = rule
    return rules


def _definition(graphql_type: GraphQLNamedType) -> Any:
    if not isinstance(graphql_type, GraphQLObjectType) or is_introspection_type(graphql_type):
        return None
    return graphql_type.extensions.get("strawberry-definition")


def _declared(directives: Any, ownership: Ownership | None) -> Rule | None:
    directive = next((item for item in directives or () if isinstance(item, Access | Public)), None)
    if directive is None:
        return None
    rule = Rule.of(directive, ownership)
    return OPEN if rule == OPEN else rule


schema = create()
RULES = rules_of(schema)


def printed() -> str:
    """The text of schema.graphql."""
    # Strawberry describes every directive but this one
    return (
        schema.as_str().replace("directive @oneOf", '"""Exactly one field of the input is given"""\ndirective @oneOf')
        + "\n"
    )
