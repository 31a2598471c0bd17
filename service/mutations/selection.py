"""The users that a mutation on many of them selects, and the change of one after the other.

Each user is changed in a transaction of its own, by the same function as in the mutation on one user, with its guards
and its event. So no transaction holds two users: mutations that overlap wait for each other but cannot deadlock, a user
who cannot be changed stops no other one, and what is done stays done, whatever comes later.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import asyncpg
import strawberry
import structlog

from service import limits
from service.access.authenticate import authenticate_again
from service.access.authorize import Verdict
from service.access.rules import Open
from service.context import Info
from service.database.pages import Bounds
from service.errors import ApiError, ApiErrorCode, ErrorCode, MutationRejected, Problem, Problems, reject
from service.fields import column
from service.inputs import UNSET, ExactText, Items, Number, normalized, optional
from service.operations.responses import UNAVAILABLE
from service.payloads import Payload, UserError, result
from service.types.user import User
from service.user_filter import BY_CREATED_AT, UserFilter, list_filters

# The fields of the mutations on one user that name this user
OF_ONE_USER: Final = frozenset({"id", "userId", "version"})
# What the database has rolled back, because it was in the way of another transaction
IN_THE_WAY: Final = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)
BUSY = "Another request holds this user. Try again."
UNCERTAIN = "The database did not answer, so that the user may have been changed or not. Read the user, and try again."
UNREACHABLE = "The service is temporarily unavailable, and did not reach this user. Try again."
TOO_LATE = "The time of the request was over before this user. Try again with the users that are left."
log = structlog.get_logger("roster.graphql")


@strawberry.input
class UserSelectionInput:
    """Base of the inputs of mutations on many users."""

    ids: list[strawberry.ID] | None = optional(
        f"Ids of at most {limits.USERS_AT_ONCE} users. Give either ids, or a filter or search",
        Items(limits.USERS_AT_ONCE, least=1),
    )
    filter: UserFilter | None = optional(
        f"Which users to change, as in `users`; at most {limits.USERS_AT_ONCE} may match. Requires users.read"
    )
    search: str | None = optional(
        "Part of a username, email address, or name, as in `users`; with a filter both must match. Requires users.read",
        ExactText(limits.SEARCH, least=0),
    )
    expected_count: int | None = optional(
        "Number of users that the caller expects to change; EXPECTED_COUNT_MISMATCH if it is another one, and nothing "
        "is changed. Required with a filter or search",
        Number(0, limits.INT32),
    )


@strawberry.type(description="What a mutation on many users did with one of them")
class UserResult(Open):
    """Not by the name `id`, because clients would merge the results of two mutations on one user."""

    user_id: strawberry.ID = column("Id of the user")
    errors: list[UserError] = column("Why the user was not changed; empty if the mutation was carried out on the user")


@strawberry.type
class ResultsPayload(Payload):
    """Base of the payloads of mutations on many users. `errors` are those of the input as a whole."""

    results: list[UserResult] | None = result(
        "What was done with each user, in the order of `ids`, or newest first with a filter; a repeated id counts once",
        items=limits.USERS_AT_ONCE,
    )


@strawberry.type(description="Payload of a mutation that changes many users. Without `errors`, `results` has them")
class UsersPayload(ResultsPayload):
    """The users that were changed and the result of each user, or errors."""

    users: list[User] | None = result("Users that were changed, as they are now", items=limits.USERS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Selected:
    """A user to change: where the input names the user, and for a filter the version that has matched."""

    id: str
    field: tuple[str, ...]
    version: int | None = None


Change: TypeAlias = Callable[[Info, Selected], Awaitable[Any]]


@dataclass(slots=True)
class _Progress:
    """What a mutation has done so far, and why it does not go on."""

    changed: list[Any] = field(default_factory=list)
    results: list[UserResult] = field(default_factory=list)
    stop: tuple[ErrorCode, str] | None = None

    def report(self, user: Selected, problems: Iterable[Problem]) -> None:
        """Add the result of a user: without problems the user was changed."""
        self.results.append(
            UserResult(user_id=strawberry.ID(user.id), errors=[UserError.of(each) for each in problems])
        )


async def selected_users(info: Info, value: UserSelectionInput) -> list[Selected]:
    """Return the users that an input selects. Raise all problems of the input, and those of the selection."""
    _check(info, value)
    info.problems.raise_if_any()
    if value.ids:
        users = [Selected(each, ("ids", str(value.ids.index(each)))) for each in dict.fromkeys(value.ids)]
    else:
        users = await _matching(info, value)
    if value.expected_count not in {UNSET, None, len(users)}:
        raise _mismatch(len(users))
    return users


def _check(info: Info, value: UserSelectionInput) -> None:
    by_ids, named = isinstance(value.ids, list), _named(value)
    if named is None:
        if not by_ids:
            info.problems.add(ErrorCode.REQUIRED, "Give ids, or a filter.", "ids")
        return
    if by_ids:
        info.problems.add(ErrorCode.INVALID, "Give either ids or a filter.", named)
    if value.expected_count in {UNSET, None}:
        info.problems.add(ErrorCode.REQUIRED, "expectedCount is required with a filter.", "expectedCount")
    # SECURITY: a filter confirms what it compares, so it requires what the list of users requires
    rule = info.context.viewer.rule("Query", "users")
    if info.context.viewer.verdict(rule) is not Verdict.ALLOWED:
        info.problems.add(ErrorCode.NOT_ALLOWED, f"This requires the permission {rule.any}.", named)


def _named(value: UserSelectionInput) -> str | None:
    """Return the field that selects users by what they are; None without one. An empty search selects none."""
    return "filter" if value.filter else "search" if normalized(value.search or "") else None


async def _matching(info: Info, value: UserSelectionInput) -> list[Selected]:
    """Return the users that match a filter, newest first. LIMIT_REACHED if there are too many."""
    database, bounds = info.context.resources.database, Bounds(BY_CREATED_AT)
    filters = list_filters(value.filter or UserFilter(), normalized(value.search or "") or None)
    rows = await database.read_page(
        "list_users", bounds, filters, {"limit": limits.USERS_AT_ONCE + 1}, ("id", "version")
    )
    named = _named(value) or ""
    if len(rows) > limits.USERS_AT_ONCE:
        message = f"More than {limits.USERS_AT_ONCE} users match. At most so many are changed at once."
        raise reject(ErrorCode.LIMIT_REACHED, message, named)
    return [Selected(row.id, (named,), row.version) for row in rows]


def _mismatch(count: int) -> MutationRejected:
    message = f"{count} users match." if count != 1 else "1 user matches."
    return reject(ErrorCode.EXPECTED_COUNT_MISMATCH, message, "expectedCount")


async def change_each(info: Info, users: Sequence[Selected], change: Change) -> tuple[list[Any], list[UserResult]]:
    """Change one user after the other; return what `change` returned for those that were changed, and all results.

    What is wrong with the input as a whole is raised if nothing was changed, and so is what ends the request.
    """
    progress, latest = _Progress(), info.context.request.started + limits.USERS_AT_ONCE_TIME
    for user in users:
        if progress.stop is None and time.monotonic() > latest:
            progress.stop = ErrorCode.LIMIT_REACHED, TOO_LATE
        if progress.stop is None:
            await _change_one(info, user, change, progress)
        else:
            code, message = progress.stop
            progress.report(user, [Problem(code, message, user.field)])
    return progress.changed, progress.results


async def _change_one(info: Info, user: Selected, change: Change, progress: _Progress) -> None:
    own = replace(info, problems=Problems())
    try:
        changed = await change(own, user)
    except MutationRejected as rejection:
        problems = [_of_user(each, user) for each in dict.fromkeys((*own.problems, *rejection.problems))]
        # Guards of the user are raised, and what is wrong with the rest of the input is collected: see `Write`
        if own.problems and not progress.changed:
            raise MutationRejected(*problems) from None
        progress.report(user, problems)
    except IN_THE_WAY:
        progress.report(user, [Problem(ErrorCode.CONFLICT, BUSY, user.field)])
    except ApiError as error:
        if not progress.changed:
            raise
        limited = error.code is ApiErrorCode.RATE_LIMITED
        progress.stop = ErrorCode.LIMIT_REACHED if limited else ErrorCode.NOT_ALLOWED, error.message
        progress.report(user, [Problem(*progress.stop, user.field)])
        # SECURITY: the rest of the operation, such as the fields of the payload, is for the caller as of now
        actor, request = info.context.actor, info.context.request
        info.context.act_as(await authenticate_again(info.context.resources.database.read, actor, ip=request.ip))
    except UNAVAILABLE as error:
        if not progress.changed:
            raise
        log.warning("unavailable", request_id=info.context.request.id, path=info.field_name, error=type(error).__name__)
        progress.stop = ErrorCode.LIMIT_REACHED, UNREACHABLE
        progress.report(user, [Problem(ErrorCode.CONFLICT, UNCERTAIN, user.field)])
    else:
        progress.changed.append(changed)
        progress.report(user, ())


def _of_user(problem: Problem, user: Selected) -> Problem:
    """Return a problem of the mutation on one user with the path of the user in this input."""
    named = problem.field and problem.field[0] not in OF_ONE_USER
    return problem if named else replace(problem, field=user.field)
