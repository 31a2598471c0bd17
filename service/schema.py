"""The composition root: queries, mutations, types, and directives become one schema, with the rule of every field."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLNamedType, GraphQLObjectType, is_introspection_type
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import create_type
from strawberry.types.field import StrawberryField

from service.access.rules import OPEN, Access, Open, Ownership, Public, Rule
from service.compiler.kinds import ENTITIES, KIND, ROOT, value_of
from service.fields import OWNERSHIP, kind_of
from service.graphql_core.executor import AccessExecutor
from service.graphql_core.resolvers import resolver_of
from service.mutations import (
    access_token,
    account_deletion,
    api_key,
    autologin,
    dedicated_ip,
    email,
    feature,
    geo_rule,
    many_users,
    passkey,
    password,
    password_reset,
    permission_preset,
    personal_data,
    plan,
    profile,
    reauthentication,
    registration,
    role,
    server,
    session,
    ssh_key,
    subuser,
    suspension,
    two_factor,
    two_factor_login,
    user,
    wallet,
)
from service.queries import audit_event as audit_event_queries
from service.queries import dedicated_ip as dedicated_ip_queries
from service.queries import feature as feature_queries
from service.queries import geo_rule as geo_rule_queries
from service.queries import node as node_queries
from service.queries import permission as permission_queries
from service.queries import permission_preset as permission_preset_queries
from service.queries import plan as plan_queries
from service.queries import registration as registration_queries
from service.queries import role as role_queries
from service.queries import server as server_queries
from service.queries import session as session_queries
from service.queries import user as user_queries
from service.queries.user import USER_ORDERS
from service.scalars import SCALARS
from service.weights import WEIGHT

QUERIES = (
    user_queries,
    session_queries,
    node_queries,
    plan_queries,
    role_queries,
    permission_queries,
    server_queries,
    permission_preset_queries,
    dedicated_ip_queries,
    audit_event_queries,
    registration_queries,
    feature_queries,
    geo_rule_queries,
)
_SESSIONS = (session, two_factor_login, reauthentication, access_token, autologin)
_CREDENTIALS = (*_SESSIONS, password, two_factor, passkey, api_key, ssh_key)
_ACCOUNTS = (registration, email, password_reset, profile, personal_data, account_deletion)
MUTATIONS = (
    user,
    many_users,
    suspension,
    plan,
    role,
    feature,
    geo_rule,
    *_ACCOUNTS,
    *_CREDENTIALS,
    server,
    subuser,
    permission_preset,
    wallet,
    dedicated_ip,
)
# The orders of each list that has more than the order of its ids, so that their queries can be checked
ORDERS = {"list_users": tuple(USER_ORDERS.values())}
DESCRIPTION = """\
Roster manages users: accounts, roles, plans, suspension, sessions, second factors, passkeys, API keys, SSH keys,
servers and their subusers, wallets, and an audit log of all changes.

Sign in with the mutation `login`; a user with a second factor gets a challenge for `verifyTwoFactor` in place of a
session. A passkey signs in by `startPasskeyLogin` and `finishPasskeyLogin`. Browsers get a session cookie; other
clients send the returned token, or an API key, as `Authorization: Bearer <token>`. The description of a field ends with
the permission that it requires. A denied field is null and reported in `errors` as FORBIDDEN; an object that the caller
may not see is null, as if it did not exist. If a denied field is not nullable, the object around it is null.

Lists that can grow are connections: `first` and `after` page forward, `last` and `before` backward, at most 100 items.

A mutation takes an `input` and returns a payload. The payload's `errors` are problems that the caller can fix, each
with a code and the path of the field; then nothing was changed. If they are empty, the mutation was carried out, even
if the caller may not read the object in the payload. All other errors are top-level errors with a code in
`extensions.code`. Values that do not fit their type are listed in `extensions.problems`. A mutation on many users also
has `results`, with the errors of each user.

If the caller may not run one of the mutations of a document, none of them runs, and `data` is null. Mutations after a
login are decided one by one.
"""


def _roots(*modules: ModuleType) -> list[StrawberryField]:
    return [item for module in modules for item in vars(module).values() if isinstance(item, StrawberryField)]


Query = create_type("Query", _roots(*QUERIES), description="Reading operations")
Mutation = create_type(
    "Mutation",
    _roots(*MUTATIONS),
    description="Writing operations. In the input of an update, an absent field keeps its value, null clears it. What "
    "the caller can fix is in the payload's `errors`; then nothing was changed",
)


def create() -> strawberry.Schema:
    """Return the schema that is served and printed."""
    created = strawberry.Schema(
        Query,
        Mutation,
        types=[entity.row for entity in ENTITIES.values()],
        execution_context_class=AccessExecutor,
        config=StrawberryConfig(default_resolver=value_of, scalar_map=dict(SCALARS)),
    )
    core = created._schema  # noqa: SLF001  (Strawberry has no public access to its types)
    core.description = DESCRIPTION.strip()
    # Strawberry's function fails for lists and non-null types
    core.type_map["__Type"].fields["isOneOf"].resolve = is_one_of  # type: ignore[attr-defined]
    for directive in core.directives:
        # Strawberry drops the descriptions of a directive's arguments
        declared = directive.extensions.get("strawberry-definition")
        for field in declared.fields if declared is not None else ():
            directive.args[field.name].description = field.description
    for graphql_type in core.type_map.values():
        if isinstance(graphql_type, GraphQLInputObjectType):
            # Strawberry tells graphql-core nothing of this, which then validates no documents for it
            graphql_type.is_one_of = graphql_type.extensions["strawberry-definition"].is_one_of
        elif _definition(graphql_type) is not None:
            _resolve_by_kind(graphql_type)
    return created


def is_one_of(graphql_type: Any, _info: Any) -> bool | None:
    """Return `isOneOf` of a type in introspection."""
    return graphql_type.is_one_of if isinstance(graphql_type, GraphQLInputObjectType) else None


def _resolve_by_kind(graphql_type: Any) -> None:
    """Give every field its resolver by its kind, and the extensions that executors and cost limits read."""
    entity = ENTITIES.get(graphql_type.name)
    for field in graphql_type.fields.values():
        declared = field.extensions["strawberry-definition"]
        root = declared.metadata.get(ROOT)
        kind = kind_of(declared)
        if WEIGHT in declared.metadata:
            field.extensions[WEIGHT] = declared.metadata[WEIGHT]
        if root is not None:
            field.extensions[ROOT] = root
        elif kind is not None:
            field.extensions[KIND] = kind
            field.resolve = resolver_of(kind, entity)


def rules_of(schema: strawberry.Schema) -> dict[tuple[str, str], Rule]:
    """Return the rule of every field by (type, field), and of every type that has one by (type, "").

    A field under neither @access nor @public is missing here, unless its type is Open. Executors deny it, and a test
    reports it.
    """
    rules: dict[tuple[str, str], Rule] = {}
    for name, graphql_type in schema._schema.type_map.items():  # noqa: SLF001  (Strawberry has no public access to its types)
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
            own = field.metadata.get(OWNERSHIP, ownership)
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
    return None if directive is None else Rule.of(directive, ownership)


schema = create()
RULES = rules_of(schema)


def printed() -> str:
    """Return the text of schema.graphql."""
    body = schema.as_str()
    # Strawberry prints neither the description of the schema nor that of this directive
    described = body.replace("directive @oneOf", '"""Exactly one field of the input is given"""\ndirective @oneOf')
    return f'"""\n{DESCRIPTION}"""\nschema {{\n  query: Query\n  mutation: Mutation\n}}\n\n{described}\n'
