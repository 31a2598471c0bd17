"""The rules for usernames and email addresses, generated usernames, and the normal form of names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.errors import ErrorCode, Problem
from service.identifiers import (
    RESERVED,
    UsernamePolicy,
    email_problems,
    generated_username,
    language_problems,
    username_problems,
)
from tests.conftest import Client, Person

POLICY = UsernamePolicy()


@pytest.mark.parametrize("username", ["ada", "Ada_Lovelace", "_x_", "123", "a" * 15, "rooty", "admin1"])
def test_a_good_username_has_no_problem(username: str) -> None:
    assert username_problems(username, POLICY, "username") == []


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
def test_a_bad_username_has_every_problem_that_applies(username: str, codes: list[ErrorCode]) -> None:
    found = username_problems(username, POLICY, "input", "username")
    assert [problem.code for problem in found] == codes
    assert {problem.field for problem in found} == {("input", "username")}


def test_a_problem_names_the_limit() -> None:
    assert username_problems("ab", UsernamePolicy(min_length=5), "username") == [
        Problem(ErrorCode.TOO_SHORT, "username must have at least 5 characters.", ("username",))
    ]


def test_the_policy_sets_the_limits() -> None:
    policy = UsernamePolicy(min_length=1, max_length=3, pattern=r"[a-zü.]+", reserved=frozenset({"bob"}))
    assert username_problems("ü.", policy) == []
    assert username_problems("root"[:3], policy) == []
    assert [problem.code for problem in username_problems("Bob", policy)] == [ErrorCode.INVALID, ErrorCode.NOT_ALLOWED]


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_no_pattern_allows_what_the_database_cannot_store(text: str) -> None:
    assert [problem.code for problem in username_problems(text, UsernamePolicy(pattern=r"[\s\S]+"))] == [
        ErrorCode.INVALID
    ]


def test_reserved_names_are_in_lower_case() -> None:
    assert len(RESERVED) >= 40
    assert {"root", "admin", "administrator", "system"} <= RESERVED
    assert all(name == name.casefold() for name in RESERVED)


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
def test_a_valid_username_is_generated_from_an_address(email: str, stem: str) -> None:
    username = str(generated_username(email, POLICY))
    assert re.fullmatch(rf"{stem}_[0-9a-z]{{4}}", username)
    assert username_problems(username, POLICY) == []


def test_generated_usernames_differ() -> None:
    assert len({generated_username("ada@example.com", POLICY) for _ in range(50)}) > 45


@pytest.mark.parametrize("email", ["müller@x", "日本@x.jp", "a@x", "1234567890@x", "a_b_c_d_e_f@x"])
@pytest.mark.parametrize(
    "policy",
    [
        *(UsernamePolicy(max_length=length) for length in (4, 5, 8)),
        UsernamePolicy(min_length=12),
        UsernamePolicy(min_length=30, max_length=40),
        *(UsernamePolicy(pattern=pattern) for pattern in (r"[a-z0-9]+", r"[a-z]+", r"[a-z][a-z0-9]*", r"[0-9]+")),
    ],
    ids=lambda policy: policy.pattern,
)
def test_the_generated_username_is_valid_for_any_usual_policy(email: str, policy: UsernamePolicy) -> None:
    username = generated_username(email, policy)
    assert username is not None
    assert username_problems(username, policy) == []


def test_no_username_is_generated_for_a_pattern_that_none_matches() -> None:
    assert generated_username("ada@example.com", UsernamePolicy(pattern="[A-Z]+")) is None


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+panel@EXAMPLE.com", "Ada.Lovelace+panel@example.com"),
        ("mu\u0308ller@MÜLLER.de", "müller@müller.de"),
        ("ada@xn--mller-kva.de", "ada@müller.de"),
        ("\u212aelvin@example.com", "Kelvin@example.com"),  # the Kelvin sign is K in every normal form
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
def test_a_good_address_is_returned_in_its_normal_form(given: str, normal: str | None) -> None:
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
        ("\uff41da@example.com", ErrorCode.INVALID),  # a full-width a
        ("\u03f4da@example.com", ErrorCode.INVALID),  # a symbol whose lower case is theta
        ("ﬁrst@example.com", ErrorCode.INVALID),  # a ligature
        ("\u0130da@example.com", ErrorCode.INVALID),  # the dotted capital I
        ("ada\u200b@example.com", ErrorCode.INVALID),
        ("ada\u00ad@example.com", ErrorCode.INVALID),
    ],
)
def test_a_bad_address_has_a_problem_that_says_why(email: str, code: ErrorCode) -> None:
    address, (problem,) = email_problems(email, "email")
    assert address is None
    assert problem.code is code
    assert problem.field == ("email",)
    assert re.fullmatch(r"email (is not valid: [A-Z].*[^.]|must (not|have) .*[^.])\.", problem.message)


def test_a_language_is_returned_in_its_canonical_form() -> None:
    canonical = {"EN": "en", "pt-br": "pt-BR", "ZH-hant-TW": "zh-Hant-TW", "iw": "he", "de-AT": "de-AT"}
    assert {tag: language_problems(tag, "language") for tag in canonical} == {t: (c, []) for t, c in canonical.items()}
    for tag in ("", "e", "12", "english", "en-", "-en", "e\u0301n", "en\n", " en", "en\x00"):
        language, [problem] = language_problems(tag, "language")
        assert (language, problem.code, problem.field) == (None, ErrorCode.INVALID, ("language",))


# Each mutation that sets a name, the rest of its input, the field of the name, and the object of its payload
NAMES: dict[str, tuple[dict[str, Any], str, str]] = {
    "createRole": ({"permissions": []}, "name", "role"),
    "createPlan": ({"tier": "FREE"}, "name", "plan"),
    "updateProfile": ({}, "firstName", "user"),
}
UNIQUE = ("createRole", "createPlan")


async def named(client: Client, by: Person, field: str, name: str) -> str | list[tuple[str, list[str]]]:
    """Return the name that the mutation stored, or the codes and fields of the errors."""
    rest, name_field, obj = NAMES[field]
    payload = await client.mutate(field, rest | {name_field: name}, f"{obj} {{ {name_field} }}", by=by)
    found = payload[obj]
    return found[name_field] if found else [(error["code"], error["field"]) for error in payload["errors"]]


@pytest.mark.parametrize("field", NAMES)
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Kelvin ", "Kelvin"),
        ("\u00a0Kelvin\u3000", "Kelvin"),
        ("Kel \u00a0\u2003vin", "Kel vin"),
        ("Kel\tvin", "Kel vin"),
        ("Kel\nvin", "Kel vin"),
        ("Kel\r\nvin", "Kel vin"),
        ("Kel\u2028vin", "Kel vin"),
        ("\u212aelvin", "Kelvin"),  # the Kelvin sign
        ("Zoe\u0308", "Zoë"),
        ("\u1111\u1171\u11b6", "\ud4db"),
        ("\uff2belvin", "\uff2belvin"),  # full-width letters are compared, but not stored, like others
        ("ﬁ ß İ ς", "ﬁ ß İ ς"),
        ("e\u0301" * 255, "é" * 255),
        (" " * 400 + "x" * 255 + " " * 300, "x" * 255),
    ],
)
async def test_a_name_is_stored_in_its_normal_form(
    client: Client, root: Person, field: str, given: str, stored: str
) -> None:
    assert await named(client, root, field, given) == stored


@pytest.mark.parametrize("field", UNIQUE)
async def test_names_that_look_alike_are_one_name(client: Client, root: Person, field: str) -> None:
    for name, others in {
        "Kelvin": ["kelvin", "KELVIN ", "\u00a0kelvin", "\u212aELVIN", "\uff2b\uff45lvin", "\U0001d40aelvin"],
        "Zoë": ["zoe\u0308", "ZOË", "ZOE\u0308\u00a0"],
        "Straße": ["STRA\u1e9eE", "straße"],
        "Σίσυφος": ["σίσυφοσ", "ΣΊΣΥΦΟΣ", "\u03a3\u0399\u0301\u03a3\u03a5\u03a6\u039f\u03a3"],
        "İpek": ["i\u0307pek", "I\u0307PEK"],
        "Kel vin": ["kel  vin", "kel\u00a0vin", "Kel\tvin"],
    }.items():
        assert await named(client, root, field, name) == name
        for other in others:
            assert (other, await named(client, root, field, other)) == (other, [("TAKEN", ["name"])])
    for name in ("Kelv\u0131n", "Zoe", "Strasse", "Ipek", "Kel-vin"):
        assert await named(client, root, field, name) == name


@pytest.mark.parametrize("field", NAMES)
async def test_a_name_has_no_invisible_characters(client: Client, root: Person, field: str) -> None:
    path = [NAMES[field][1]]
    for (
        character
    ) in "\u200b\u200e\u202e\u2066\u2060\ufeff\u00ad\u034f\u3164\u2800\U000e0041\ufff9\ufffc\U0001d159\ue000\uffff":
        for name in (f"{character}Kelvin", f"Kel{character}vin", f"Kelvin{character}", character):
            assert (ascii(name), await named(client, root, field, name)) == (ascii(name), [("INVALID", path)])
    for character in "\x00\x07\x1b\x7f\x85\x9b":
        assert await named(client, root, field, f"Kel{character}vin") == [("INVALID", path)]


async def test_joiners_are_allowed_inside_the_words_of_a_persons_name(client: Client, root: Person) -> None:
    joined = (
        "\u0915\u094d\u200d\u0937",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f467",
        "\u2764\ufe0f",
    )
    for name in joined:
        assert await named(client, root, "updateProfile", name) == name
        for field in UNIQUE:
            assert await named(client, root, field, name) == [("INVALID", ["name"])]
    for name in ("\u200dKelvin", "Kelvin\u200d", "Kel \u200dvin", "Kel\u200c\u200dvin", "\u200d", "\ufe0fKelvin"):
        assert await named(client, root, "updateProfile", name) == [("INVALID", ["firstName"])]


async def test_a_role_and_a_plan_are_found_by_any_form_of_their_names(
    client: Client, root: Person, bob: Person
) -> None:
    assert (
        await named(client, root, "createRole", "Zoë Σ") == await named(client, root, "createPlan", "Zoë Σ") == "Zoë Σ"
    )
    for name in ("ZOE\u0308 \u03c2", " zoë\u00a0\u03c3 ", "\uff3aoë\tΣ"):
        await client.rows("UPDATE users SET role_id = DEFAULT, plan_id = NULL WHERE id = $1", bob.id)
        value = {"id": bob.id, "roleName": name, "planName": name}
        payload = await client.mutate("updateUser", value, "user { role { name } plan { name } }", by=root)
        assert payload == {"user": {"role": {"name": "Zoë Σ"}, "plan": {"name": "Zoë Σ"}}, "errors": []}
