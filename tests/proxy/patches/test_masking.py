"""Masked frames are what wsproto makes of them, however they are cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket_frames import TEXT, Frame
from websocket_layer import Proxy, in_place
from wsproto import frame_protocol

from s2_mitm.proxy.patches import masking

wsprotos: Any = frame_protocol.XorMaskerSimple


@pytest.fixture
def installed() -> Iterator[None]:
    with in_place("masking"):
        yield


@given(data=st.binary(max_size=200), key=st.binary(min_size=4, max_size=4), cuts=st.data())
def test_it_masks_as_wsproto_does(data: bytes, key: bytes, cuts: st.DataObject) -> None:
    places = cuts.draw(st.lists(st.integers(0, len(data)), max_size=5))
    ours, theirs = masking.Masker(key), wsprotos(key)
    for start, end in pairwise(sorted([0, *places, len(data)])):
        assert ours.process(data[start:end]) == theirs.process(data[start:end])
        assert ours.process(bytearray(data[start:end])) == theirs.process(data[start:end])


def test_messages_pass(installed: None) -> None:
    sent = Frame(TEXT, b'{"message_type": "Handshake"}' * 50)
    for piece in (0, 1, 7):
        assert Proxy().send(sent, piece=piece) == [sent]


def test_wsproto_has_its_own_class_back() -> None:
    with in_place("masking"):
        assert used() is masking.Masker
    assert used() is wsprotos


def used() -> object:
    return frame_protocol.XorMaskerSimple
