"""The order of the modules, the size of the files, and the words of the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SERVICE = REPOSITORY / "service"
MODULES = sorted(SERVICE.rglob("*.py"))
# A module imports only from the lines below its own, or from its own package, annotations included. A package has a dot
# at its end; a module that is listed by itself has that place, and not the place of its package.
LAYERS = (
    ("__main__",),
    ("commands.",),
    ("workers",),
    ("app",),
    ("http.",),
    ("schema",),
    ("mutations.", "queries."),
    ("bootstrap",),
    ("moving.",),
    ("quotas", "user_creation"),
    ("seeding.",),
    ("user_filter", "user_input"),
    ("types.",),
    ("payloads",),
    ("fields",),
    ("resources",),
    ("two_factor",),
    ("clean_up", "mail.", "rejections", "sessions", "signing_keys"),
    ("retired_usernames",),
    ("write",),
    ("description",),
    ("attempts", "audit", "features", "idempotency", "registration_rules"),
    ("context",),
    ("execution.",),
    ("graphql_core.",),
    ("nodes", "pagination"),
    ("compiler.",),
    ("operations.",),
    ("scalars",),
    ("access.authenticate", "access.viewer"),
    ("access.signing_keys",),
    ("database.",),
    ("access.authorize",),
    ("access.actor",),
    ("access.rules",),
    ("access.permissions",),
    ("links", "logs"),
    ("settings",),
    ("setting_types",),
    ("embedded.", "graphiql", "pages"),
    ("one_time",),
    ("credentials.", "countries", "database_url", "devices", "identifiers", "inputs", "persisted", "smtp_url"),
    ("networks",),
    ("parsing",),
    ("write_limits",),
    ("errors",),
    ("limits", "page_headers", "turns", "weights"),
)
CEILING = 300
GENERATED = {REPOSITORY / "sql" / "schema.sql"}
# Stems that belong to no table of their own
WITHOUT_TABLE = {
    "mutations": {
        "access_token",
        "autologin",
        "email",
        "guards",
        "many_users",
        "own_password",
        "password",
        "password_reset",
        "profile",
        "reauthentication",
        "server_access",
        "selection",
        "references",
        "suspension",
        "two_factor_login",
    },
    "queries": {"arguments", "node", "permission"},
    "types": {"node", "payload", "permission_info"},
}
# Words that are hard to read for engineers with plain English, and the standard ones in their place
WORDS = {
    r"refus(e|es|ed|al|als|ing)\b": "deny, reject",
    r"mend(s|ed|ing)?\b": "fix",
    r"told\b": "report",
    r"lean(s|ed|t|ing)? on\b": "depend on",
    r"(hang(s|ing)?|hung) on\b": "depend on",
    r"(hold(s|ing)?|held) against\b": "compare with",
    r"(stand(s|ing)?|stood) in\b": "replace",
    r"(com(e|es|ing)|came) of\b": "result from",
    r"whoever\b": "a caller who",
    # In quotes it is the name of an account of the operating system
    r"(?<!\")(no|some|any)body\b": "no user, a user",
    r"whom\b": "who",
    r"anew\b": "again",
    r"thereby\b": "so",
    r"any more\b": "no longer",
    r"(lie(s)?|lay) ahead\b": "be in the future",
    r"in the eyes of\b": "for",
    r"(giv(e|es|ing)|gave) up\b": "time out, stop",
    r"at hand\b": "ready, present",
    r"well-nigh|ere|hence|whence|hither|thither\b": "so",
    r"(?<!there )is no (?!longer|two)[a-z]+\b": "is not a",
}

Imports = Mapping[str, set[str]]


def name_of(path: Path) -> str:
    """Return the module's name within the service."""
    return ".".join(path.relative_to(SERVICE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def package_of(name: str) -> str:
    return f"{name.partition('.')[0]}."


NAMES = {name_of(path) for path in MODULES}


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the modules of the service that the nodes import, at any depth, also for annotations only."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "service":
            inside = (node.module or "").removeprefix("service").removeprefix(".")
            for alias in node.names:
                full = f"{inside}.{alias.name}" if inside else alias.name
                yield full if full in NAMES else inside
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("service.") for a in node.names if a.name.split(".")[0] == "service")
        else:
            yield from imported(ast.iter_child_nodes(node))


def imports() -> Imports:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    return {name_of(path): set(imported(tree.body)) - {""} for path, tree in trees.items()}


def layer(name: str) -> int | None:
    """Return the number of the module's layer, from the top; None for a module that is not listed."""
    by_itself = next((number for number, names in enumerate(LAYERS) if name in names), None)
    if by_itself is not None:
        return by_itself
    return next((number for number, names in enumerate(LAYERS) if package_of(name) in names), None)


def upward(found: Imports) -> list[str]:
    """Return the imports that do not go down."""
    return [
        f"{name} imports {other}"
        for name, others in sorted(found.items())
        for other in sorted(others)
        if (layer(name) or 0) > (layer(other) or 0)
        or (layer(name) == layer(other) and (package_of(name) != package_of(other) or "." not in name))
    ]


def test_every_module_has_a_layer() -> None:
    packages = {name.rpartition(".")[0] for name in NAMES}
    assert [name for name in sorted(NAMES - packages) if layer(name) is None] == []


def test_imports_go_down() -> None:
    assert upward(imports()) == []


def test_an_upward_import_is_found() -> None:
    found = {"write": {"fields"}, "types.user": {"types.role", "context"}, "execution.plan": {"context"}}
    assert upward(found) == ["execution.plan imports context", "write imports fields"]
    assert upward({"access.rules": {"access.authenticate"}}) == ["access.rules imports access.authenticate"]


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    # Types refer to each other in annotations, because a graph of types has circles
    found = {name: others for name, others in imports().items() if package_of(name) != "types."}
    TopologicalSorter(found).prepare()


def test_an_import_inside_a_function_is_found() -> None:
    source = "def f():\n    from service.types import user\n    import service.http.endpoint\n"
    assert set(imported(ast.parse(source).body)) == {"types.user", "http.endpoint"}


def sources() -> list[Path]:
    """Return the files that people write."""
    folders = ("service/**/*.py", "tests/*.py", "bench/*.py", "sql/**/*.sql", "console/src/**/*.*")
    return sorted(path for folder in folders for path in REPOSITORY.glob(folder) if path not in GENERATED)


def test_every_file_is_small_enough_for_one_subject() -> None:
    lengths = {str(path.relative_to(REPOSITORY)): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 150
    assert {name: length for name, length in lengths.items() if length > CEILING} == {}


def test_sql_has_lines_of_at_most_120_characters() -> None:
    long = [
        f"{path.name}:{number}"
        for path in sources()
        if path.suffix == ".sql"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if len(line) > 120
    ]
    assert long == []


@pytest.mark.parametrize("package", ["types", "queries", "mutations"])
def test_an_entity_has_the_same_stem_everywhere(package: str) -> None:
    tables = {path.stem for path in (REPOSITORY / "sql" / "queries").glob("*.sql")}
    stems = {path.stem for path in (SERVICE / package).glob("[a-z]*.py")}
    assert stems - tables - WITHOUT_TABLE[package] == set()


def words_in(text: str) -> list[str]:
    """Return the words of the list that a text contains."""
    return [found[0] for pattern in WORDS for found in re.finditer(rf"(?i)\b(?:{pattern})", text)]


def test_the_words_are_plain() -> None:
    folders = [*sources(), REPOSITORY / "schema.graphql", REPOSITORY / "README.md", *REPOSITORY.glob("docs/*.md")]
    lists = {"words.py", "blocklist.txt", "test_architecture.py"}  # names of people and places, passwords, this list
    found = {
        f"{path.relative_to(REPOSITORY)}:{number}": words
        for path in folders
        if path.name not in lists and path.is_file()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if (words := words_in(line))
    }
    assert found == {}


def test_a_word_of_the_list_is_found() -> None:
    assert sorted(words_in("Whoever is told, mends it.")) == ["Whoever", "mends", "told"]
    assert words_in("This session is no longer valid; it depends on the embedded server.") == []
