"""Which usernames and email addresses are taken, and which username does an address give?"""

from __future__ import annotations

import re

import pytest

from service.errors import ErrorCode, Problem
from service.names import FORBIDDEN, UsernamePolicy, email_problems, generated_username, problems

POLICY = UsernamePolicy()


@pytest.mark.parametrize("username", ["ada", "Ada_Lovelace", "_x_", "123", "a" * 15, "rooty", "admin1"])
def test_a_good_username_has_no_problem(username: str) -> None:
    assert problems(username, POLICY, "username") == []


@pytest.mark.parametrize(
    ("username", "codes"),
    [
        ("", [ErrorCode.REQUIRED]),
        ("ab", [ErrorCode.TOO_SHORT]),
        ("a" * 16, [ErrorCode.TOO_LONG]),
        ("!" * 1_000_000, [ErrorCode.TOO_LONG]),
        ("a b", [ErrorCode.INVALID]),
        ("a.b", [ErrorCode.INVALID]),
        ("ada\n", [ErrorCode.INVALID]),
        ("müller", [ErrorCode.INVALID]),
        ("\u0430da", [ErrorCode.INVALID]),  # a Cyrillic a
        ("ada\x00", [ErrorCode.INVALID]),
        ("é", [ErrorCode.TOO_SHORT, ErrorCode.INVALID]),
        ("root", [ErrorCode.NOT_ALLOWED]),
        ("Administrator", [ErrorCode.NOT_ALLOWED]),
        ("SYSTEM", [ErrorCode.NOT_ALLOWED]),
    ],
)
def test_a_bad_username_has_the_problems_that_it_has(username: str, codes: list[ErrorCode]) -> None:
    found = problems(username, POLICY, "input", "username")
    assert [problem.code for problem in found] == codes
    assert {problem.field for problem in found} == {("input", "username")}


def test_a_problem_names_the_limit() -> None:
    assert problems("ab", UsernamePolicy(min_length=5), "username") == [
        Problem(ErrorCode.TOO_SHORT, "A username has at least 5 characters", ("username",))
    ]


def test_the_policy_decides() -> None:
    policy = UsernamePolicy(min_length=1, max_length=3, pattern=r"[a-zü.]+", forbidden=frozenset({"bob"}))
    assert problems("ü.", policy) == []
    assert problems("root"[:3], policy) == []
    assert [problem.code for problem in problems("Bob", policy)] == [ErrorCode.INVALID, ErrorCode.NOT_ALLOWED]


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_no_pattern_lets_in_what_the_database_cannot_keep(text: str) -> None:
    assert [problem.code for problem in problems(text, UsernamePolicy(pattern=r"[\s\S]+"))] == [ErrorCode.INVALID]


def test_a_forbidden_name_is_written_in_lower_case() -> None:
    assert len(FORBIDDEN) >= 40
    assert {"root", "admin", "administrator", "system"} <= FORBIDDEN
    assert all(name == name.casefold() for name in FORBIDDEN)


@pytest.mark.parametrize(
    ("email", "stem"),
    [
        ("ada@example.com", "ada"),
        ("Ada.Lovelace@example.com", "adalovelac"),
        ("müller@x", "muller"),
        ("straße@x", "strasse"),
        ("日本@x.jp", "user"),
        (".@x", "user"),
        ("_@x", "user"),
        ('"much.more unusual"@x', "muchmoreun"),
        ('"@"@x', "user"),
        ("a+tag@x", "atag"),
        ("root@x", "root"),
        ("\x00\ud800@x", "user"),
        ("no-at-sign", "noatsign"),
        ("", "user"),
    ],
)
def test_an_address_gives_a_valid_username(email: str, stem: str) -> None:
    username = generated_username(email, POLICY)
    assert re.fullmatch(rf"{stem}_[0-9a-z]{{4}}", username)
    assert problems(username, POLICY) == []


def test_an_address_gives_another_username_every_time() -> None:
    assert len({generated_username("ada@example.com", POLICY) for _ in range(50)}) > 45


@pytest.mark.parametrize("email", ["müller@x", "日本@x.jp", "a@x", "1234567890@x", "a_b_c_d_e_f@x"])
@pytest.mark.parametrize(
    "policy",
    [
        UsernamePolicy(max_length=4),
        UsernamePolicy(max_length=5),
        UsernamePolicy(max_length=8),
        UsernamePolicy(min_length=12),
        UsernamePolicy(min_length=30, max_length=40),
        UsernamePolicy(pattern=r"[a-z0-9]+"),
        UsernamePolicy(pattern=r"[a-z]+"),
        UsernamePolicy(pattern=r"[a-z][a-z0-9]*"),
        UsernamePolicy(pattern=r"[0-9]+"),
    ],
    ids=repr,
)
def test_the_generated_username_is_valid_for_any_usual_policy(email: str, policy: UsernamePolicy) -> None:
    assert problems(generated_username(email, policy), policy) == []


def test_a_pattern_that_nothing_generated_fits_is_named() -> None:
    with pytest.raises(ValueError, match=r"no username can be generated for the pattern \[A-Z\]\+"):
        generated_username("ada@example.com", UsernamePolicy(pattern="[A-Z]+"))


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+panel@EXAMPLE.com", "Ada.Lovelace+panel@example.com"),
        ("mu\u0308ller@MÜLLER.de", "müller@müller.de"),
        ("ada@xn--mller-kva.de", "ada@müller.de"),
        ("日本@日本.jp", "日本@日本.jp"),
        ("a@b.test", "a@b.test"),
        ("a@b.example", "a@b.example"),
        ("a@b.invalid", "a@b.invalid"),
        ("a@b.local", "a@b.local"),
        ("a@b.localhost", "a@b.localhost"),
        ("root@localhost", "root@localhost"),
        ("a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 58, "de"]), None),
    ],
)
def test_a_good_address_comes_in_its_normal_form(given: str, normal: str | None) -> None:
    assert email_problems(given, "email") == (normal or given, [])


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("", ErrorCode.REQUIRED),
        ("a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 59, "de"]), ErrorCode.TOO_LONG),
        ("a@" + "b" * 1_000_000, ErrorCode.TOO_LONG),
        ("a" * 65 + "@example.com", ErrorCode.INVALID),
        ("ü" * 30 + "@" + ".".join(["ü" * 50] * 3) + ".de", ErrorCode.TOO_LONG),
        ("ada", ErrorCode.INVALID),
        ("@", ErrorCode.INVALID),
        ("ada@", ErrorCode.INVALID),
        ("@example.com", ErrorCode.INVALID),
        ("ada@gmail", ErrorCode.INVALID),
        ("ada@1.2.3.4", ErrorCode.INVALID),
        ("ada@[192.0.2.1]", ErrorCode.INVALID),
        ("ada@example..com", ErrorCode.INVALID),
        ("a@b@example.com", ErrorCode.INVALID),
        ("ada lovelace@example.com", ErrorCode.INVALID),
        (" ada@example.com", ErrorCode.INVALID),
        ("ada@example.com\n", ErrorCode.INVALID),
        ("ada@example.com\r\nBcc: bob@example.com", ErrorCode.INVALID),
        ("a\x07da@example.com", ErrorCode.INVALID),
        ("ada\x00@example.com", ErrorCode.INVALID),
        ("ada\ud800@example.com", ErrorCode.INVALID),
        ("ada\u202e@example.com", ErrorCode.INVALID),
        ("Ada <ada@example.com>", ErrorCode.INVALID),
        ('"ada lovelace"@example.com', ErrorCode.INVALID),
    ],
)
def test_a_bad_address_has_a_problem_that_says_why(email: str, code: ErrorCode) -> None:
    address, (problem,) = email_problems(email, "email")
    assert address is None
    assert problem.code is code
    assert problem.field == ("email",)
    assert re.match(r"(An|The|There|Quoting|A|After) .*[^.]$", problem.message)
