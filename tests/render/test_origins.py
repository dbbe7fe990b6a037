"""What a finding comes from can be opened."""

from __future__ import annotations

import re

from s2_mitm.render.origins import linked, links
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
