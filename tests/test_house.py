"""The house is as it is laid out: which room may import what, read from the code itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "s2_mitm"

# Room → the rooms, and the packages, that it may import. A module beside the rooms is one too.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "s2": (set(), {"jsonschema", "jsonschema_rs", "pydantic", "s2python"}),
    "history": ({"s2"}, {"alembic", "psycopg", "sqlalchemy"}),
    "render": ({"s2"}, {"click", "rich"}),
    "replay": ({"s2", "history", "render"}, {"click", "mitmproxy"}),
    "proxy": (
        {"s2", "history", "render"},
        {"click", "mitmproxy", "prometheus_client", "websockets", "wsproto"},
    ),
    "demo": ({"s2", "history"}, {"click", "pydantic", "rich", "s2python", "websockets"}),
    "addon": ({"s2", "history", "render", "proxy"}, {"mitmproxy"}),
    "cli": (
        {"s2", "history", "render", "replay", "proxy", "demo", "addon"},
        {"click", "mitmproxy", "rich"},
    ),
}

# Of the standard library, what would give the protocol a clock, a socket or a file of its own.
NOT_FOR_THE_PROTOCOL = {
    *("asyncio", "http", "logging", "multiprocessing", "os", "queue", "random", "selectors"),
    *("shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"),
    *("urllib", "uuid"),
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_what_it_may(path: Path) -> None:
    room = room_of(path)
    rooms, packages = ROOMS[room]
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "s2_mitm":
            assert not rest or rest[0] in {room, "__version__", *rooms}, name
        elif top not in sys.stdlib_module_names:
            assert top in packages, name


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if room_of(path) == "s2"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_the_protocol_has_no_clock_no_socket_and_no_thread(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & NOT_FOR_THE_PROTOCOL == set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"now", "utcnow", "today"}


def test_no_room_is_built_that_is_not_laid_out() -> None:
    assert {room_of(path) for path in modules()} <= ROOMS.keys()


def test_the_rooms_lead_in_one_direction() -> None:
    done: set[str] = set()
    while len(done) < len(ROOMS):
        next_rooms = {room for room, (needs, _) in ROOMS.items() if needs <= done} - done
        assert next_rooms, f"{ROOMS.keys() - done} need each other"
        done |= next_rooms


@pytest.mark.parametrize("room", sorted(room for room in ROOMS if (PACKAGE / room).is_dir()))
def test_every_room_says_what_it_is_for(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_what_is_imported_is_declared() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower().replace("-", "_")
    distribution = {"s2python": "s2_python"}
    # These two come with what is declared, and are of one piece with it.
    with_others = {"pydantic", "wsproto"}
    for package in {each for _, packages in ROOMS.values() for each in packages} - with_others:
        assert f'"{distribution.get(package, package)}' in project, package
