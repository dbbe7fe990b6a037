"""The house is as its map says: which room may import what, and the steps of the ways.

The map is `s2_mitm/README.md`; `.github/CONTRIBUTING.md` names files and functions like it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "s2_mitm"
MAP = PACKAGE / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"

# Of the standard library, what would give the protocol a clock, a socket or a file of its own.
NOT_FOR_THE_PROTOCOL = {
    *("asyncio", "http", "logging", "multiprocessing", "os", "queue", "random", "selectors"),
    *("shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"),
    *("urllib", "uuid"),
}


@dataclass(frozen=True)
class Room:
    """A row of the map: a file, or a folder (a slash at the end), and what it may import."""

    name: str
    rooms: frozenset[str]
    packages: frozenset[str]


def rooms() -> dict[str, Room]:
    """The rooms of the map by their names: files, and folders with a slash at the end."""
    text = MAP.read_text(encoding="utf-8").partition("## Rooms")[2].partition("\n## ")[0]
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            name, _, others, packages = (cell.strip() for cell in line.strip("|").split("|"))
            ticked = [frozenset(re.findall("`([^`]+)`", cell)) for cell in (others, packages)]
            found[name.strip("`")] = Room(name.strip("`"), *ticked)
    return found


ROOMS = rooms()


def needed(room: Room) -> set[str]:
    """The names of the rooms that a room may import; ``s2/*`` are all whose names begin so."""
    return {
        name
        for name in ROOMS
        for other in room.rooms
        if name == other or (other.endswith("/*") and name.startswith(other[:-1]))
    }


def room_of(path: Path) -> Room | None:
    """The room of a module: of all that it is in, that with the longest name."""
    place = path.relative_to(PACKAGE).as_posix()
    around = [name for name in ROOMS if place == name or place.startswith(f"{name.rstrip('/')}/")]
    return ROOMS[max(around, key=len)] if around else None


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def of_module(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def imported(path: Path) -> tuple[str, ...]:
    """The full names of all that a module imports, wherever in it that stands."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def module_of(name: str) -> Path | None:
    """The module of ours that an imported name is, or is in; None for the package itself."""
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:length])
        for module in (path.with_suffix(".py"), path / "__init__.py"):
            if module.is_file():
                return module
    return None


EACH_MODULE = pytest.mark.parametrize("path", modules(), ids=of_module)


@EACH_MODULE
def test_a_room_imports_what_it_may(path: Path) -> None:
    room = room_of(path)
    assert room, f"the map has no room for {of_module(path)}"
    for name in imported(path):
        if name.split(".")[0] == "s2_mitm":
            module = module_of(name)
            other = room_of(module) if module else None
            may = other in (None, room) or (other is not None and other.name in needed(room))
            assert may, f"{room.name} may not import {name}"
        elif name.split(".")[0] not in sys.stdlib_module_names:
            assert name.split(".")[0] in room.packages, name


@pytest.mark.parametrize(
    "path", [path for path in modules() if of_module(path).startswith("s2/")], ids=of_module
)
def test_the_protocol_has_no_clock_no_socket_and_no_thread(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & NOT_FOR_THE_PROTOCOL == set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"now", "utcnow", "today"}


def test_every_room_of_the_map_is_there() -> None:
    for name, room in ROOMS.items():
        assert (PACKAGE / name).exists(), name
        for other in room.rooms:
            assert other in ROOMS or f"{other.removesuffix('*')}" in ROOMS, other


def test_the_rooms_lead_in_one_direction() -> None:
    assert in_circles({name: needed(room) - {name} for name, room in ROOMS.items()}) == set()


def test_within_the_protocol_no_modules_need_each_other() -> None:
    needs: dict[str, set[str]] = {}
    for path in modules():
        if of_module(path).startswith("s2/"):
            found = {module_of(name) for name in imported(path) if name.startswith("s2_mitm.")}
            needs[of_module(path)] = {of_module(each) for each in found if each} - {of_module(path)}
    assert in_circles(needs) == set()


def in_circles(needs: dict[str, set[str]]) -> set[str]:
    """Those that need each other, or one that does, of all with what each needs."""
    left = dict(needs)
    while done := {each for each, others in left.items() if not others & left.keys()}:
        left = {each: others for each, others in left.items() if each not in done}
    return {each for each in left if any(each in others for others in left.values())}


def test_a_circle_is_found() -> None:
    assert in_circles({"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": set()}) == {"a", "b"}


@EACH_MODULE
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_two_public_classes_have_the_same_name() -> None:
    defined: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(of_module(path))

    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


def test_what_is_imported_is_declared() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower().replace("-", "_")
    distribution = {"s2python": "s2_python"}
    # These two come with what is declared, and are of one piece with it.
    with_others = {"pydantic", "wsproto"}
    for package in {each for room in ROOMS.values() for each in room.packages} - with_others:
        assert f'"{distribution.get(package, package)}' in project, package


def test_no_package_stands_in_the_map_that_nobody_imports() -> None:
    for name, room in ROOMS.items():
        used = {
            each.split(".")[0]
            for path in modules()
            if room_of(path) == room
            for each in imported(path)
        }
        assert room.packages <= used, name


# The steps of the ways, and of what CONTRIBUTING says


@dataclass(frozen=True)
class Step:
    """A file that a text names (``<…>`` in it is anything), and what is in it, by its name."""

    file: str
    name: str


def steps(text: str, line: int = 0) -> Iterator[Step]:
    r"""Each `file` or `file` `name` of a text: a file has a slash or a suffix that we know."""
    file = r"`((?:[\w<>.-]+/)*[\w<>.-]+(?:\.(?:py|md|toml|yml)|/))`"
    for found in re.finditer(file + r"(?:\s+`([A-Za-z_][\w.]*)`)?", text):
        yield Step(found[1], found[2] or "")


def ways(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return text.partition("\n## A message")[2] if file == MAP else text


WAYS = [(file, step) for file in (MAP, CONTRIBUTING) for step in steps(ways(file))]


@pytest.mark.parametrize(
    ("file", "step"),
    WAYS,
    ids=[f"{file.name}: {step.file} {step.name}".strip() for file, step in WAYS],
)
def test_a_step_leads_somewhere(file: Path, step: Step) -> None:
    base = PACKAGE if file == MAP else ROOT
    if "<" in step.file:
        assert [*base.glob(re.sub("<[^>]*>", "*", step.file))], step.file
        return
    path = (base / step.file).resolve()
    assert path.exists(), step.file
    if step.name:
        assert step.name in defined_in(path), f"{step.file} has no {step.name}"


def defined_in(path: Path) -> set[str]:
    """The names of a module, and with a point those of its classes."""

    def names(body: list[ast.stmt], before: str = "") -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield before + node.name
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{before}{node.name}.")
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield before + node.target.id
            elif isinstance(node, ast.Assign):
                yield from (before + each.id for each in node.targets if isinstance(each, ast.Name))
            elif isinstance(node, ast.If | ast.Try):
                yield from names(node.body, before)

    return set(names(ast.parse(path.read_text(encoding="utf-8")).body))


def test_the_map_has_three_ways_and_each_has_steps() -> None:
    _, *parts = MAP.read_text(encoding="utf-8").split("\n## A")
    assert [part.split(",")[0] for part in parts] == [" message", " finding", "n option"]
    assert all(len([*steps(part)]) > 5 for part in parts)
