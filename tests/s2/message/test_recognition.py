"""A message is S2 by its type, however its JSON is written, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.s2.catalog import MESSAGE_TYPES
from s2_mitm.s2.message.recognition import is_s2

STATUS = b'{"message_type": "FRBC.StorageStatus", "present_fill_level": 5}'


@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
def test_every_message_type_is_s2(message_type: str) -> None:
    content = json.dumps({"message_type": message_type}).encode()

    assert is_s2(content)


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (STATUS, True),
        (b" \n" + STATUS, True),
        (b"\xef\xbb\xbf" + STATUS, True),
        (STATUS.replace(b"5", b"NaN"), True),
        (b'{"message_type": "nothing", "message_type": "Handshake"}', True),
        (b'{"message_type": "Handshake\xff"}', False),
        (b'{"message_type": "handshake"}', False),
        (b'{"message_type": "HandshakeX"}', False),
        (b'{"message_type": ""}', False),
        (b'{"message_type": null}', False),
        (b'{"message_type": ["Handshake"]}', False),
        (b'{"message_type": {"Handshake": 1}}', False),
        (b'{"message_types": "Handshake"}', False),
        (b'{"x": {"message_type": "Handshake"}}', False),
        (b'[{"message_type": "Handshake"}]', False),
        (b'"message_type"', False),
        (b"message_type", False),
        (b'{"message_type": "Handshake"', False),
        (b'{"message_type": "Handshake"} x', False),
        (b"", False),
        (b"{}", False),
        (b'{"type": "Handshake"}', False),
        (b"\x00\xff", False),
        (b'{"message_type": ' + b"[" * 100_000, False),
        (b'{"message_type": "Handshake", "x": "' + b"x" * 1024 * 1024 + b'"}', False),
    ],
    ids=lambda value: repr(value[:50])[2:-1] if isinstance(value, bytes) else "",
)
@pytest.mark.parametrize("binary", [False, True])
def test_s2_is_an_object_with_a_type_of_s2(content: bytes, is_one: bool, binary: bool) -> None:
    assert is_s2(content, binary=binary) is is_one


def test_text_that_is_not_utf8_may_be_s2_and_bytes_may_not() -> None:
    content = STATUS.replace(b"5", b'"\xff"')

    assert is_s2(content)
    assert not is_s2(content, binary=True)


def escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


@pytest.mark.parametrize(
    "content",
    [
        b'{"mess\\u0061ge_type": "Handshake"}',
        b'{"message\\u005Ftype": "Handshake"}',
        b'{"message_type": "\\u0048andshake"}',
        b'{"message_type": "FRBC\\u002EStorageStatus"}',
        b'{"message_type": "FRBC\\u002eStorageStatus"}',
        b'{"x": "\\\\", "%s":"%s"}'
        % (
            "".join(map(escaped, "message_type")).encode(),
            "".join(map(escaped, "ReceptionStatus")).encode(),
        ),
        b'\t{"message_type"\r\n\t :\t"Handshake"}',
        b'{"x": {"message_type": "subscribe"}, "message_type": "Handshake"}',
    ],
)
def test_s2_is_s2_however_its_json_is_written(content: bytes) -> None:
    assert is_s2(content)


@given(
    type_=st.sampled_from(sorted(MESSAGE_TYPES)),
    keys=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    at=st.integers(0, 3),
    escape=st.sets(st.integers(0, 60)),
    space=st.text(" \t\r\n", max_size=3),
)
def test_no_way_to_write_it_hides_it(
    type_: str, keys: dict[str, str], at: int, escape: set[int], space: str
) -> None:
    """JSON allows each letter as an escape, white space around it, and other keys before."""
    letters = [
        escaped(letter) if place in escape else letter
        for place, letter in enumerate(f"message_type{type_}")
    ]
    key, value = "".join(letters[:12]), "".join(letters[12:])
    pairs = [f"{json.dumps(each)}:{json.dumps(other)}" for each, other in keys.items()]
    pairs.insert(at, f'"{key}"{space}:{space}"{value}"')
    content = f"{space}{{{space}{f'{space},'.join(pairs)}}}{space}"

    assert is_s2(content.encode())
