"""The policy for new passwords."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from service.credentials import password_policy
from service.credentials.password_policy import PasswordPolicy, blocklist, password_problems, strength
from service.errors import ErrorCode

POLICY = PasswordPolicy()
CONTEXT = ["ada_lovelace", "countess@analytical.example", "Ada", "King-Noel"]
GOOD = "kitten-table-7"


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
    assert password_problems(password, CONTEXT, POLICY, "password") == []


REJECTED = [
    ("", ErrorCode.TOO_SHORT, "A password must have at least 8 characters."),
    ("xK9#mQ2", ErrorCode.TOO_SHORT, "A password must have at least 8 characters."),
    ("🔑" * 7, ErrorCode.TOO_SHORT, "A password must have at least 8 characters."),
    ("kitten-table-7 " * 40, ErrorCode.TOO_LONG, "A password must have at most 512 characters."),
    ("kitten-\x00table-7", ErrorCode.INVALID, "A password must not contain NUL or unpaired surrogates."),
    ("kitten-\ud800table-7", ErrorCode.INVALID, "A password must not contain NUL or unpaired surrogates."),
    ("iloveyou1", ErrorCode.WEAK_PASSWORD, "This is one of the most common passwords."),
    ("QwertyUiop", ErrorCode.WEAK_PASSWORD, "This is one of the most common passwords."),
    *(
        (password, ErrorCode.WEAK_PASSWORD, "This password is mostly your own name or address.")
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
    ("aaaaaaaaaaaa", ErrorCode.WEAK_PASSWORD, 'This password is easy to guess. Repeats like "aaa" are easy to guess.'),
    (
        "mnbvcxz12",
        ErrorCode.WEAK_PASSWORD,
        "This password is easy to guess. This is similar to a commonly used password.",
    ),
]


@pytest.mark.parametrize(("password", "code", "message"), REJECTED)
def test_a_bad_password_has_one_problem_with_a_reason(password: str, code: ErrorCode, message: str) -> None:
    (problem,) = password_problems(password, CONTEXT, POLICY, "password")
    assert problem.code is code
    assert problem.message == message
    assert problem.field == ("password",)


def test_the_policy_has_the_limits() -> None:
    policy = PasswordPolicy(min_length=12, max_length=20, min_score=4)
    assert [problem.code for problem in password_problems("xK9#mQ2$vL", [], policy)] == [ErrorCode.TOO_SHORT]
    assert [problem.code for problem in password_problems("x" * 21, [], policy)] == [ErrorCode.TOO_LONG]
    assert [problem.code for problem in password_problems("lampwindows1", [], policy)] == [ErrorCode.WEAK_PASSWORD]
    assert password_problems("lampwindows1", [], PasswordPolicy(min_score=0)) == []


def test_a_malformed_context_is_ignored() -> None:
    assert password_problems(GOOD, ["\ud800", "", "@", "\x00", "x" * 10_000], POLICY) == []


def test_the_score_is_lower_with_knowledge_of_the_user() -> None:
    assert strength("Mirabel-Tuesday", []) > strength("Mirabel-Tuesday", ["mirabel", "tuesday"])


@pytest.mark.parametrize("alphabet", ["4@8({[<369|1!0$5+7%2z", "1|7!", "1|7", "0123456789", "abcdefgh"])
def test_the_score_of_a_long_password_takes_little_time(alphabet: str) -> None:
    # zxcvbn itself takes over a second for 512 characters of the first alphabet, and 0.5 s for 72
    password = "".join(random.Random(1).choices(alphabet, k=512))  # noqa: S311
    strength(password, [])
    started = time.thread_time()
    strength(password, [])
    assert time.thread_time() - started < 0.1


def test_the_blocklist_has_thousands_of_common_passwords() -> None:
    assert len(blocklist()) > 3000
    assert {"password", "12345678", "iloveyou", "trustno1"} <= blocklist()
    assert all(entry == entry.casefold() and len(entry) >= 8 and " " not in entry for entry in blocklist())


def test_the_blocklist_is_sorted_and_names_its_source_and_license() -> None:
    lines = Path(password_policy.__file__).with_name("blocklist.txt").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("# ") and line != "#"]
    assert entries == sorted(blocklist())
    assert "zxcvbn" in lines[1]
    assert "MIT License" in lines[3]
