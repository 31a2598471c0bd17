"""Are passwords hashed as agreed, off the event loop, and refused when they are weak?"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import argon2
import pytest

from service import passwords
from service.errors import ErrorCode, Fault, FaultCode
from service.passwords import PasswordHasher, PasswordPolicy, blocklist, problems, strength

POLICY = PasswordPolicy()
CONTEXT = ["ada_lovelace", "countess@analytical.example", "Ada", "King-Noel"]
GOOD = "kitten-table-7"


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    hasher = PasswordHasher(threads=2, queue_limit=16)
    yield hasher
    hasher.close()


async def test_a_password_is_kept_as_argon2id_with_the_owasp_parameters(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert argon2.extract_parameters(stored).salt_len == 16
    assert argon2.extract_parameters(stored).hash_len == 32
    assert not hasher.needs_rehash(stored)


async def test_the_right_password_is_told_from_a_wrong_one(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)
    assert await hasher.verify(stored, GOOD)
    assert not await hasher.verify(stored, GOOD + " ")
    assert not await hasher.verify(stored, GOOD.upper())
    assert not await hasher.verify(stored, "")


async def test_the_same_password_is_kept_differently_every_time(hasher: PasswordHasher) -> None:
    assert await hasher.hash(GOOD) != await hasher.hash(GOOD)


@pytest.mark.parametrize("length", [72, 128, 512])
async def test_a_long_password_is_never_cut(hasher: PasswordHasher, length: int) -> None:
    head = "a" * length
    assert not await hasher.verify(await hasher.hash(head + "tail"), head)
    assert not await hasher.verify(await hasher.hash(head), head + "tail")


@pytest.mark.parametrize("password", ["Zoë pässwörd", "🔑🔑🔑🔑", "before\x00after", "\ud800"])
async def test_any_text_can_be_verified(hasher: PasswordHasher, password: str) -> None:
    stored = await hasher.hash(password)
    assert await hasher.verify(stored, password)
    assert not await hasher.verify(stored, password[:-1])


async def test_nobody_has_a_password_that_matches(hasher: PasswordHasher) -> None:
    assert not await hasher.verify(None, GOOD)
    assert not await hasher.verify(None, "")


async def test_an_unknown_account_costs_what_a_known_one_costs(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)

    async def seconds_of_cpu(of: str | None) -> float:
        started = time.process_time()
        for _ in range(8):
            await hasher.verify(of, "wrong")
        return time.process_time() - started

    assert 0.5 < await seconds_of_cpu(None) / await seconds_of_cpu(stored) < 2


MALFORMED = [
    "",
    "hunter2",
    "$2y$10$" + "a" * 53,
    "$argon2id$",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$",
    "$argon2id$v=19$m=x,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA",
    "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$\u00e9",
    "\ud800",
]


@pytest.mark.parametrize("stored", MALFORMED)
async def test_a_malformed_hash_matches_nothing_and_is_to_be_made_anew(hasher: PasswordHasher, stored: str) -> None:
    assert not await hasher.verify(stored, GOOD)
    assert hasher.needs_rehash(stored)


@pytest.mark.parametrize(
    "other", [argon2.PasswordHasher(2, 8192, 1), argon2.PasswordHasher(1, 19456, 1), argon2.PasswordHasher(2, 19456, 2)]
)
async def test_a_hash_with_other_parameters_is_good_and_to_be_made_anew(
    hasher: PasswordHasher, other: argon2.PasswordHasher
) -> None:
    stored = other.hash(GOOD)
    assert await hasher.verify(stored, GOOD)
    assert hasher.needs_rehash(stored)


async def test_a_fingerprint_depends_on_the_data_and_the_salt(hasher: PasswordHasher) -> None:
    fingerprint = await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdef")
    assert len(fingerprint) == 32
    assert fingerprint == await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdef")
    assert fingerprint != await hasher.fingerprint(b'{"password": "y"}', b"0123456789abcdef")
    assert fingerprint != await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdeF")


async def test_a_fingerprint_takes_a_salt_of_sixteen_bytes(hasher: PasswordHasher) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        await hasher.fingerprint(b"data", b"0123456789abcde")


@pytest.mark.parametrize(
    "work",
    [
        lambda hasher: hasher.hash(GOOD),
        lambda hasher: hasher.verify(None, GOOD),
        lambda hasher: hasher.fingerprint(b"data", b"0123456789abcdef"),
    ],
    ids=["hash", "verify", "fingerprint"],
)
async def test_the_event_loop_goes_on_while_a_hash_is_computed(
    hasher: PasswordHasher, work: Callable[[PasswordHasher], Awaitable[object]]
) -> None:
    task = asyncio.ensure_future(work(hasher))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    assert turns > 20


async def test_a_call_beyond_the_queue_is_told_when_to_come_back() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=2)
    calls = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Fault) as refused:
        await hasher.hash(GOOD)
    assert refused.value.extensions == {"code": FaultCode.RATE_LIMITED.value, "retryAfter": 1}
    assert len(set(await asyncio.gather(*calls))) == 3
    assert await hasher.hash(GOOD)
    hasher.close()


async def test_a_caller_who_leaves_the_queue_gives_its_place_back() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=1)
    running, waiting = (asyncio.create_task(hasher.hash(GOOD)) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert await asyncio.create_task(hasher.hash(GOOD))
    assert await running
    assert waiting.cancelled()
    hasher.close()


async def test_callers_who_leave_while_their_hash_runs_use_no_place_up() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=0)
    for _ in range(3):
        call = asyncio.create_task(hasher.hash(GOOD))
        await asyncio.sleep(0.005)
        call.cancel()
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await hasher.hash(GOOD)
                    break
                except Fault:
                    await asyncio.sleep(0.005)
    hasher.close()


async def test_a_closed_hasher_refuses_work() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=0)
    hasher.close()
    for _ in range(2):  # the second call shows that the first gave its place back
        with pytest.raises(RuntimeError, match="shutdown"):
            await hasher.hash(GOOD)


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "correct horse battery staple",
        "xK9#mQ2$vL",
        "日本語のパスワードです",
        "Пароль для кота Васьки",
        "pass\tword \u202e🔑 with controls",
        "1!0$5+7%2z@8({[<369|" * 20,
        "lovelace likes warm tea",
    ],
)
def test_a_good_password_has_no_problem(password: str) -> None:
    assert problems(password, CONTEXT, POLICY, "password") == []


REFUSED = [
    ("", ErrorCode.TOO_SHORT, "A password has at least 8 characters"),
    ("xK9#mQ2", ErrorCode.TOO_SHORT, "A password has at least 8 characters"),
    ("🔑" * 7, ErrorCode.TOO_SHORT, "A password has at least 8 characters"),
    ("kitten-table-7 " * 40, ErrorCode.TOO_LONG, "A password has at most 512 characters"),
    ("kitten-\x00table-7", ErrorCode.INVALID, "A password must not hold NUL or unpaired surrogates"),
    ("kitten-\ud800table-7", ErrorCode.INVALID, "A password must not hold NUL or unpaired surrogates"),
    ("iloveyou1", ErrorCode.WEAK_PASSWORD, "This is one of the most common passwords"),
    ("QwertyUiop", ErrorCode.WEAK_PASSWORD, "This is one of the most common passwords"),
    *(
        (password, ErrorCode.WEAK_PASSWORD, "This password holds little but your own name or address")
        for password in (
            "ada_lovelace",
            "Ada_Lovelace1815!",
            "lovelace-2024",
            "Countess@Analytical.Example",
            "analytical1!",
            "countess#9Kq",
            "noelnoelnoel",
        )
    ),
    ("aaaaaaaaaaaa", ErrorCode.WEAK_PASSWORD, 'This password is easy to guess. Repeats like "aaa" are easy to guess'),
    ("mnbvcxz12", ErrorCode.WEAK_PASSWORD, "This password is easy to guess. "),
]


@pytest.mark.parametrize(("password", "code", "message"), REFUSED)
def test_a_bad_password_has_one_problem_that_says_why(password: str, code: ErrorCode, message: str) -> None:
    (problem,) = problems(password, CONTEXT, POLICY, "password")
    assert problem.code is code
    assert problem.message.startswith(message)
    assert not problem.message.endswith(".")
    assert problem.field == ("password",)


def test_the_policy_sets_the_bounds() -> None:
    policy = PasswordPolicy(min_length=12, max_length=20, min_score=4)
    assert [problem.code for problem in problems("xK9#mQ2$vL", [], policy)] == [ErrorCode.TOO_SHORT]
    assert [problem.code for problem in problems("x" * 21, [], policy)] == [ErrorCode.TOO_LONG]
    assert [problem.code for problem in problems("lampwindows1", [], policy)] == [ErrorCode.WEAK_PASSWORD]
    assert problems("lampwindows1", [], PasswordPolicy(min_score=0)) == []


def test_a_malformed_context_is_no_obstacle() -> None:
    assert problems(GOOD, ["\ud800", "", "@", "\x00", "x" * 10_000], POLICY) == []


def test_the_score_falls_for_one_who_knows_the_person() -> None:
    assert strength("Mirabel-Tuesday", []) > strength("Mirabel-Tuesday", ["mirabel", "tuesday"])


@pytest.mark.parametrize("alphabet", ["4@8({[<369|1!0$5+7%2z", "1|7!", "1|7", "0123456789", "abcdefgh"])
def test_the_score_of_the_longest_password_is_cheap(alphabet: str) -> None:
    # zxcvbn itself takes a second and more for 512 of the first alphabet, 0.5 s for 72 of them.
    password = "".join(random.Random(1).choices(alphabet, k=512))  # noqa: S311
    strength(password, [])
    started = time.thread_time()
    strength(password, [])
    assert time.thread_time() - started < 0.1


def test_the_blocklist_holds_thousands_of_common_passwords() -> None:
    assert len(blocklist()) > 3000
    assert {"password", "12345678", "iloveyou", "trustno1"} <= blocklist()
    assert all(entry == entry.casefold() and len(entry) >= 8 and " " not in entry for entry in blocklist())


def test_the_file_of_the_blocklist_is_sorted_and_names_its_source_and_licence() -> None:
    lines = Path(passwords.__file__).with_name("blocklist.txt").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("# ") and line != "#"]
    assert entries == sorted(blocklist())
    assert "zxcvbn" in lines[1]
    assert "MIT License" in lines[3]
