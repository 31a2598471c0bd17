"""Do the rooms of the house open in one direction, and is every file small enough to have one subject?"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SERVICE = REPOSITORY / "service"
MODULES = sorted(SERVICE.rglob("*.py"))
# A request goes down; a module imports from the layers below its own only. A package is written with a dot at its end.
LAYERS = (
    ("__main__",),
    ("commands.",),
    ("app", "diagnosis", "seeding"),
    ("http",),
    ("documents",),
    ("schema",),
    ("guard",),
    ("mutations.", "queries"),
    ("accounts", "credentials", "house", "idempotency", "people"),
    ("seed_rows",),
    ("types.",),
    ("fields", "visibility"),
    ("context",),
    ("write",),
    ("actor",),
    ("loaders",),
    ("migrations", "snapshot"),
    ("database",),
    ("readers",),
)
# They import nothing from the house but each other
LEAVES = frozenset({
    "access", "cost", "embedded", "embedded_cluster", "embedded_reach", "embedded_user", "envelope", "errors",
    "formats", "graphiql", "inputs", "logs", "names", "pagination", "passwords", "payloads", "permissions",
    "repetition", "rows", "scalars", "secrets", "seed_names", "serving", "settings", "ssh", "statements",
})  # fmt: skip
# Modules of these packages may import each other, as leaves may
PACKAGES = ("commands.", "mutations.", "types.")
# Annotations only: types refer to each other in circles, and a Write to the Context that makes it
UPWARD_ANNOTATIONS = {("write", "context")}
CEILING = 300
GENERATED = {REPOSITORY / "sql" / "schema.sql"}
# Stems that belong to no table of their own
WITHOUT_TABLE = {
    "mutations": {"password", "profile", "suspension"},
    "types": {"node", "payload", "permission_info"},
}

Imports = Mapping[str, set[str]]


def name_of(path: Path) -> str:
    """The module's name within the service."""
    return ".".join(path.relative_to(SERVICE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def package_of(name: str) -> str:
    return f"{name.partition('.')[0]}."


NAMES = {name_of(path) for path in MODULES}


def imported(nodes: Iterable[ast.AST], *, annotations: bool) -> Iterator[str]:
    """The modules of the service that the nodes import, at whatever depth, for their annotations only or not."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            if annotations:
                yield from imported(node.body, annotations=False)
        elif isinstance(node, ast.ImportFrom) and not annotations and (node.module or "").split(".")[0] == "service":
            inside = (node.module or "").removeprefix("service").removeprefix(".")
            for alias in node.names:
                full = f"{inside}.{alias.name}" if inside else alias.name
                yield full if full in NAMES else inside
        elif isinstance(node, ast.Import) and not annotations:
            yield from (a.name.removeprefix("service.") for a in node.names if a.name.split(".")[0] == "service")
        else:
            yield from imported(ast.iter_child_nodes(node), annotations=annotations)


def imports(*, annotations: bool) -> Imports:
    found = {}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name_of(path)] = set(imported(tree.body, annotations=annotations)) - {""}
    return found


def layer(name: str) -> int | None:
    """The number of the module's layer, from the top; None for one that is on no list."""
    if name in LEAVES:
        return len(LAYERS)
    return next((n for n, names in enumerate(LAYERS) if name in names or package_of(name) in names), None)


def upward(found: Imports) -> list[str]:
    """Imports that do not lead down."""
    wrong = []
    for name, targets in found.items():
        own = layer(name)
        for target in sorted(targets):
            below = layer(target)
            peers = own == below and (name in LEAVES or package_of(name) in PACKAGES)
            if own is None or below is None or not (below > own or peers):
                wrong.append(f"{name} imports {target}")
    return wrong


def test_every_module_has_its_layer() -> None:
    assert [name for name in sorted(NAMES) if name and layer(name) is None] == [], "put it into LAYERS or LEAVES"
    assert sorted(name for name in LEAVES if name not in NAMES) == []


def test_imports_lead_down() -> None:
    assert upward(imports(annotations=False)) == []


def test_an_import_that_leads_up_is_found() -> None:
    assert upward({"actor": {"context"}, "errors": {"database"}, "types.user": {"types.plan", "fields"}}) == [
        "actor imports context",
        "errors imports database",
    ]
    source = "def f():\n    from service.types import user\n    import service.http\n"
    assert set(imported(ast.parse(source).body, annotations=False)) == {"types.user", "http"}


def test_annotations_lead_up_from_types_only() -> None:
    found = imports(annotations=True)
    leading_up = {(name, target) for name, targets in found.items() for target in targets if upward({name: {target}})}
    assert leading_up == UPWARD_ANNOTATIONS
    assert all(target.startswith("types.") for name in found if name.startswith("types.") for target in found[name])


def test_no_module_imports_itself_by_a_detour() -> None:
    assert len(list(TopologicalSorter(imports(annotations=False)).static_order())) >= len(MODULES)


def written() -> list[Path]:
    folders = ("service", "sql", "tests", "bench")
    found = [path for folder in folders for end in ("py", "sql") for path in (REPOSITORY / folder).rglob(f"*.{end}")]
    return sorted(set(found) - GENERATED)


@pytest.mark.parametrize("path", written(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_has_one_subject(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= CEILING, f"{path.relative_to(REPOSITORY)} has {lines} lines: split it by subject"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_says_which_question_it_answers(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = text.split("\n\n")[0]
    assert first.endswith((".", "?")), f"{path.relative_to(REPOSITORY)}: {first!r}"


def test_only_the_database_knows_the_transaction_layer() -> None:
    users = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            users |= {path for name in names if name.partition(".")[0] == "databases"}
    assert users == {SERVICE / "database.py"}


def test_no_loader_outlives_its_request() -> None:
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                assert not ast.unparse(node.value.func).endswith(("Loaders", "DataLoader")), path.name


@pytest.mark.parametrize("room", ["mutations", "types"])
def test_an_entity_has_the_same_stem_in_every_room(room: str) -> None:
    stems = {path.stem for path in (SERVICE / room).glob("*.py")} - {"__init__"}
    tables = {path.stem for path in (REPOSITORY / "sql" / "queries").glob("*.sql")}
    assert stems - tables == WITHOUT_TABLE[room]
