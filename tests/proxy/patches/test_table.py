"""The table of the patches is complete, and the map of the package has it."""

from __future__ import annotations

from pathlib import Path

from s2_mitm.proxy import patches
from s2_mitm.proxy.patches.table import NAMES, PATCHES, VERIFIED, markdown

ROOM = Path(patches.__file__).parent
MAP = ROOM.parents[1] / "README.md"


def test_every_file_that_installs_something_has_a_row() -> None:
    files = {
        path.stem
        for path in ROOM.glob("*.py")
        if "\ndef installed(" in path.read_text(encoding="utf-8")
    }
    assert files == {*NAMES}


def test_a_patch_comes_after_those_that_it_needs() -> None:
    for place, patch in enumerate(PATCHES):
        assert {*patch.needs} <= {*NAMES[:place]}


def test_the_map_has_the_table() -> None:
    text = MAP.read_text(encoding="utf-8")
    assert markdown() in text
    assert f"Verified with {VERIFIED}." in text
