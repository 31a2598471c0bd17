"""graphql-core's resolvers, made from the kinds of the fields."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from graphql import GraphQLResolveInfo

from service.compiler.kinds import VIEWER, Column, Computed, Counted, Entity, Kind, PageOf, Related, value_of
from service.errors import ApiError, ApiErrorCode
from service.nodes import find_nodes, load_related
from service.pagination import Page, Window

Resolver: TypeAlias = Callable[..., Any]


def resolver_of(kind: Kind, entity: Entity | None) -> Resolver:
    """Return the resolver of a field; `entity` is its type, None for a plain value type."""
    match kind:
        case Column():
            return _column(kind)
        case Computed():
            return _computed(kind, entity)
        case Related(many=True):
            return _list(kind)
        case Related():
            return _related(kind)
        case PageOf():
            return _page(kind)
        case Counted():
            return _counted(kind)


def _column(kind: Column) -> Resolver:
    def resolve(row: Any, _info: GraphQLResolveInfo[Any]) -> Any:
        return value_of(row, kind.name)

    return resolve


def _computed(kind: Computed, entity: Entity | None) -> Resolver:
    def need(row: Any, name: str, context: Any) -> Any:
        if name == VIEWER:
            return context.viewer
        relation, _, column = name.partition(".")
        if not column:
            return value_of(row, name)
        if entity is None:
            raise TypeError(f"{name}: only an entity has relations")
        return _column_of_related(entity.relation(relation), column, row, context)

    def resolve(row: Any, info: GraphQLResolveInfo[Any]) -> Any:
        values = [need(row, name, info.context) for name in kind.needs]
        if any("." in name for name in kind.needs):
            return _call(kind.function, values)
        return kind.function(*values)

    return resolve


async def _call(function: Callable[..., Any], values: list[Any]) -> Any:
    positions = [position for position, value in enumerate(values) if isinstance(value, Awaitable)]
    loaded = await asyncio.gather(*(values[position] for position in positions))
    for position, value in zip(positions, loaded, strict=True):
        values[position] = value
    return function(*values)


async def _column_of_related(kind: Related, column: str, row: Any, context: Any) -> Any:
    found = await _load(kind, row, context)
    return None if found is None else found[column]


async def _load(kind: Related, row: Any, context: Any) -> Any:
    key = value_of(row, kind.key)
    if key is None:
        return None
    if kind.statement is None:
        return (await find_nodes(context, [key], value_of(row, kind.type or ""))).get(key)
    rows = (await load_related(context, kind, (key,))).get(key)
    return rows[0] if rows else None


def _related(kind: Related) -> Resolver:
    async def resolve(row: Any, info: GraphQLResolveInfo[Any]) -> Any:
        found = await _load(kind, row, info.context)
        if found is None and kind.required:
            # Levels are read one after the other: both rows were deleted between the two reads
            raise ApiError(ApiErrorCode.UNAVAILABLE, "The object was deleted during the request. Try again.")
        return found

    return resolve


def _list(kind: Related) -> Resolver:
    async def resolve(row: Any, info: GraphQLResolveInfo[Any]) -> Any:
        key = value_of(row, kind.key)
        return (await load_related(info.context, kind, (key,))).get(key, [])

    return resolve


def _page(kind: PageOf) -> Resolver:
    async def resolve(row: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        window = Window.of(kind.statement, **arguments, descending=kind.descending)
        key, loaders = value_of(row, kind.key), info.context.loaders
        rows = await loaders.page(kind.statement, key, window)
        return Page(window, rows, partial(loaders.load_counts, kind.statement), key)

    return resolve


def _counted(kind: Counted) -> Resolver:
    async def resolve(page: Page, _info: GraphQLResolveInfo[Any]) -> Any:
        [count] = (await page.counts([page.key]))[page.key]
        return value_of(count, kind.name)

    return resolve
