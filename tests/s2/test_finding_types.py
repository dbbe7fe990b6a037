"""Every kind of finding can be made, is explained, and is made from its kind only."""

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

OF_MESSAGES = [kind for kind in FINDING_TYPES.values() if not kind.is_rule]
by_itself = [kind for kind in OF_MESSAGES if kind.wrong]


def receive(
    data: bytes, *, binary: bool = False, settings: Settings | None = None
) -> list[Finding]:
    judge = Judge(settings or ALONE)
    return judge.receive(data, from_client=True, time=0.0, binary=binary).findings


@pytest.mark.parametrize("kind", by_itself, ids=lambda kind: kind.code)
def test_the_wrong_example_has_this_finding_and_no_other(kind: FindingType) -> None:
    findings = receive(kind.wrong, binary=kind.in_binary_frame)
    found = {(finding.code, finding.severity, finding.source) for finding in findings}
    this = (kind.code, kind.severity, kind.source)
    if kind is finding_types.MORE:  # there is more where this is
        assert this in found
    else:
        assert found == {this}


@pytest.mark.parametrize("kind", OF_MESSAGES, ids=lambda kind: kind.code)
def test_the_right_example_has_no_finding(kind: FindingType) -> None:
    assert receive(kind.right) == []


def test_what_only_schemas_of_ones_own_say(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    schema = tmp_path / "messages" / "Ping.schema.json"
    schema.write_text('{"properties": {"count": {"multipleOf": 5}}}')
    settings = replace(ALONE, schemas=Schemas(tmp_path))
    [finding] = receive(b'{"message_type": "Ping", "count": 7}', settings=settings)
    assert (finding.code, finding.path) == (finding_types.OTHER.code, "/count")
    assert receive(b'{"message_type": "Ping", "count": 10}', settings=settings) == []
    assert [kind for kind in OF_MESSAGES if not kind.wrong] == [finding_types.OTHER]


@pytest.mark.parametrize("kind", FINDING_TYPES.values(), ids=lambda kind: kind.code)
def test_every_kind_is_explained(kind: FindingType) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", kind.code)
    assert len(kind.title) <= 80
    assert not kind.title.endswith(".")
    assert kind.title[0].isupper() or kind.title.startswith("s2-")
    assert kind.meaning.endswith(".")
    assert kind.remedy.endswith(".")
    assert kind.origin


def test_every_kind_has_a_name_and_is_in_the_registry_once() -> None:
    assert list(NAMES.values()) == OF_MESSAGES
    assert all(FINDING_TYPES[kind.code] is kind for kind in NAMES.values())
    assert len({kind.title for kind in FINDING_TYPES.values()}) == len(FINDING_TYPES)


def test_every_kind_can_be_found() -> None:
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in PACKAGE.glob("s2/**/*.py")
        if path.name != "finding_types.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert NAMES.keys() <= used


def test_no_code_is_written_but_where_it_is_explained() -> None:
    families = "|".join({kind.family for kind in FINDING_TYPES.values()})
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


def test_no_finding_is_made_but_from_its_kind() -> None:
    makers = {
        path.name
        for path in PACKAGE.glob("s2/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        if getattr(node.func, "id", getattr(node.func, "attr", "")) == "Finding"
    }
    assert makers == {"finding_types.py"}
