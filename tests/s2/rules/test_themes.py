"""Rule files: which there are, and that each stands alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from s2_mitm.s2 import rules
from s2_mitm.s2.rules import RULES, THEMES

FOLDER = Path(rules.__file__).parent


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }


def test_every_file_with_rules_is_named() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {"__init__", "registry", *THEMES}


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_has_rules_and_needs_no_other_theme(theme: str) -> None:
    module = f"{rules.__name__}.{theme}"
    others = {f"{rules.__name__}.{other}" for other in THEMES}

    assert any(each.check.__module__ == module for asked in RULES.values() for each in asked)
    assert imported(FOLDER / f"{theme}.py").isdisjoint(others)


@pytest.mark.parametrize("path", sorted((FOLDER / "common").glob("*.py")), ids=lambda p: p.stem)
def test_what_is_common_has_no_rules(path: Path) -> None:
    assert imported(path).isdisjoint({f"{rules.__name__}.{theme}" for theme in THEMES})
    assert "@rule(" not in path.read_text(encoding="utf-8")


def test_the_rules_of_a_message_type_are_asked_in_the_order_of_the_themes() -> None:
    for asked in RULES.values():
        themes = [THEMES.index(each.check.__module__.rpartition(".")[2]) for each in asked]
        assert themes == sorted(themes)
