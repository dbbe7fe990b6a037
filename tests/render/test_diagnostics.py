"""A finding as compilers show theirs."""

from __future__ import annotations

import click

from s2_mitm.render.diagnostics import diagnostic, located
from s2_mitm.render.documents import Document, documents
from s2_mitm.s2.message.validation import judge

ID = '"message_id": "b6b4fa9b-1d3a-4a5f-9d1a-0a5a8f0b7a11"'
BAD = f'{{"message_type": "Handshake", {ID}, "rol": "CEM"}}'


def show(document: Document, width: int = 120) -> list[list[str]]:
    verdict = judge(document.data)
    kind = verdict.message_type or ""
    return [
        [
            click.unstyle(line)
            for line in diagnostic(found, document, width, file="m.json", message_type=kind)
        ]
        for found in located(verdict, document)
    ]


def test_all_that_there_is() -> None:
    [lines] = show(Document(BAD.encode(), line=17, first_line=17))
    place = BAD.index('"rol"')
    assert lines[:5] == [
        "error[schema.unknown-field]: A field that S2 does not have here",
        f"  --> m.json:17:{place + 1} Handshake /rol",
        "    |",
        f" 17 | {BAD}",
        "    | " + " " * place + "^^^^^",
    ]
    assert 'the field "rol" is not known here' in " ".join(lines)
    assert lines[-1] == '    = help: Call it "role".'


def test_without_a_place() -> None:
    [lines] = show(Document(b"[" * 99 + b"]" * 99, index=3, first_line=4, first_column=9), 60)
    assert lines[:3] == [
        "error[json.too-deep]: JSON that nests too deep",
        " --> m.json [3]",
        "   |",
    ]
    assert lines[3].startswith("   = error: nested more than 64 levels deep")
    assert all(len(line) <= 60 for line in lines)


def test_an_item_of_an_array() -> None:
    [_, document] = documents(f"[{BAD},\n  {BAD}]".encode())
    [[_, where, *_]] = show(document)
    assert where == " --> m.json:2:87 [1] Handshake /rol"


def test_what_programs_get() -> None:
    document = Document(BAD.encode(), first_line=3, first_column=5)
    [found] = located(judge(document.data), document)
    assert found.as_dict() == {**found.finding.as_dict(), "line": 3, "column": 89}
    [nowhere] = located(judge(b"[" * 99), Document(b"[" * 99))
    assert "line" not in nowhere.as_dict()


def test_what_a_message_says_does_not_steer_the_terminal() -> None:
    document = Document(b'{"message_type": "\\u001b[2J", "\\u001b]0;x": "\x07"}')
    for lines in show(document):
        assert not set("".join(lines)) & set("\x1b\x07\n")
