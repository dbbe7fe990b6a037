"""Every type of finding can be made, is explained, and no finding is made without one."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from alone import ALONE

import s2_mitm
from s2_mitm.s2 import finding_types
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.finding_types import FINDING_TYPES, FindingType
from s2_mitm.s2.message.schemas import Schemas
from s2_mitm.s2.verdict import Finding

PACKAGE = Path(s2_mitm.__file__).parent
NAMES = {
    name: value for name, value in vars(finding_types).items() if isinstance(value, FindingType)
}

ASKED_FOR = {finding_types.REFUSED.code, finding_types.JSON_BINARY.code}
"""Codes that other places ask a finding for."""

OF_MESSAGES = [finding_type for finding_type in FINDING_TYPES.values() if not finding_type.is_rule]
by_itself = [finding_type for finding_type in OF_MESSAGES if finding_type.wrong]


def receive(
    data: bytes, *, binary: bool = False, settings: Settings | None = None
) -> list[Finding]:
    judge = Judge(settings or ALONE)
    return judge.receive(data, from_client=True, time=0.0, binary=binary).findings


@pytest.mark.parametrize("finding_type", by_itself, ids=lambda finding_type: finding_type.code)
def test_the_wrong_example_has_this_finding_and_no_other(finding_type: FindingType) -> None:
    findings = receive(finding_type.wrong, binary=finding_type.in_binary_frame)
    found = {(finding.code, finding.severity, finding.source) for finding in findings}
    this = (finding_type.code, finding_type.severity, finding_type.source)
    if finding_type is finding_types.MORE:  # there is more where this is
        assert this in found
    else:
        assert found == {this}


@pytest.mark.parametrize("finding_type", OF_MESSAGES, ids=lambda finding_type: finding_type.code)
def test_the_right_example_has_no_finding(finding_type: FindingType) -> None:
    assert receive(finding_type.right) == []


def test_what_only_schemas_of_ones_own_say(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    schema = tmp_path / "messages" / "Ping.schema.json"
    schema.write_text('{"properties": {"count": {"multipleOf": 5}}}')
    settings = replace(ALONE, schemas=Schemas(tmp_path))
    [finding] = receive(b'{"message_type": "Ping", "count": 7}', settings=settings)
    assert (finding.code, finding.path) == (finding_types.OTHER.code, "/count")
    assert receive(b'{"message_type": "Ping", "count": 10}', settings=settings) == []
    assert [finding_type for finding_type in OF_MESSAGES if not finding_type.wrong] == [
        finding_types.OTHER
    ]


@pytest.mark.parametrize(
    "finding_type", FINDING_TYPES.values(), ids=lambda finding_type: finding_type.code
)
def test_every_finding_type_is_explained(finding_type: FindingType) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", finding_type.code)
    assert len(finding_type.title) <= 80
    assert not finding_type.title.endswith(".")
    assert finding_type.title[0].isupper() or finding_type.title.startswith("s2-")
    assert finding_type.meaning.endswith(".")
    assert finding_type.remedy.endswith(".")
    assert finding_type.why.endswith(".")
    assert finding_type.origin


@pytest.mark.parametrize(
    "finding_type", FINDING_TYPES.values(), ids=lambda finding_type: finding_type.code
)
def test_nothing_is_explained_by_a_number_that_nobody_knows(finding_type: FindingType) -> None:
    told = (
        finding_type.title,
        finding_type.meaning,
        finding_type.origin,
        finding_type.why,
        finding_type.remedy,
    )
    assert not re.search(r"\bN\d", " ".join(told))


def test_every_finding_type_has_a_name_and_is_in_the_registry_once() -> None:
    assert list(NAMES.values()) == OF_MESSAGES
    assert all(FINDING_TYPES[finding_type.code] is finding_type for finding_type in NAMES.values())
    assert len({finding_type.title for finding_type in FINDING_TYPES.values()}) == len(
        FINDING_TYPES
    )


def test_every_finding_type_can_be_found() -> None:
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in PACKAGE.glob("s2/**/*.py")
        if path.name != "finding_types.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert NAMES.keys() <= used


def test_no_code_is_written_but_where_it_is_explained() -> None:
    families = "|".join({finding_type.family for finding_type in FINDING_TYPES.values()})
    like_a_code = re.compile(rf"(?:{families}|rule)\.[a-z][a-z0-9-]*")
    files = re.compile(r"\.(?:json|schema|py)$")
    written = {
        f"{path.name}: {node.value}"
        for path in PACKAGE.glob("**/*.py")
        if path.name != "finding_types.py" and path.parent.name != "rules"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if like_a_code.fullmatch(node.value) and not files.search(node.value)
        if node.value not in ASKED_FOR
    }
    assert written == set()


def test_no_finding_is_made_but_from_its_type() -> None:
    makers = {
        path.name
        for path in PACKAGE.glob("s2/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        if getattr(node.func, "id", getattr(node.func, "attr", "")) == "Finding"
    }
    assert makers == {"finding_types.py"}
