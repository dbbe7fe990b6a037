"""What a finding comes from can be opened."""

from __future__ import annotations

import re

import pytest

from s2_mitm.render.origins import linked, links, wrapped
from s2_mitm.render.rules import explanation
from s2_mitm.s2.rules import FINDING_TYPES

PAGES = "https://docs.s2standard.org/model-reference"


def test_types_of_the_schemas_and_rfcs_are_links() -> None:
    text = "FRBC.Instruction: operation_mode; PowerRange; JSON, RFC 8259, section 7"
    assert links(text) == {
        "FRBC.Instruction": f"{PAGES}/FRBC/FRBC.Instruction/",
        "PowerRange": f"{PAGES}/Common/PowerRange/",
        "RFC 8259": "https://www.rfc-editor.org/rfc8259",
    }


def test_pages_of_the_documentation_are_links_by_their_titles() -> None:
    text = "States of Communication; Guide to Operation Modes; S2 Connect 1.0.0, Compression"
    found = links(text)
    assert list(found) == [
        "States of Communication",
        "Guide to Operation Modes",
        "S2 Connect 1.0.0",
    ]
    assert found["S2 Connect 1.0.0"] == (
        "https://docs.s2standard.org/s2-connect/1.0.0/discovery-pairing-authentication/"
    )


@pytest.mark.parametrize("width", range(36, 60))
def test_a_name_is_not_broken_at_the_end_of_a_line(width: int) -> None:
    finding_type = FINDING_TYPES["state.no-control-type"]
    lines = wrapped(finding_type.origin, width, "  ")
    assert " ".join(line.strip() for line in lines) == finding_type.origin
    for name in ("S2 Connect 1.0.0", "States of Communication"):
        assert any(f"\\{name}\x1b" in linked(line) for line in lines)


def test_every_rule_names_something_that_can_be_opened() -> None:
    nothing = {
        finding_type.code
        for finding_type in FINDING_TYPES.values()
        if not links(finding_type.origin) and "s2-mitm" not in finding_type.origin
        if finding_type.is_rule
    }
    assert nothing == set()


def test_other_words_are_not() -> None:
    assert links("The Instruction of FRBC.Nothing, s2-python, RFC 12") == {}


def test_a_line_reads_the_same_with_links() -> None:
    line = "  FRBC.Instruction: operation_mode"
    with_links = linked(line)
    assert f"\x1b]8;;{PAGES}/FRBC/FRBC.Instruction/\x1b\\FRBC.Instruction\x1b]8;;" in with_links
    assert re.sub(r"\x1b\]8;;.*?\x1b\\", "", with_links) == line


def test_only_a_terminal_that_shows_them_gets_links() -> None:
    finding_type = FINDING_TYPES["modes.unknown-mode"]
    assert not any("\x1b]8" in line for line in explanation(finding_type, 80))
