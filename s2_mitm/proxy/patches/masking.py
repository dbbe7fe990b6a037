"""Mask and unmask frames with the compiled function of the package websockets.

Replaces `wsproto.frame_protocol.XorMaskerSimple`, which does it in Python: 5 µs for a small message
and 40 µs for a description of 12 kB, twice for each message of a client. Without it s2-mitm is
slower, and nothing else.
"""

from __future__ import annotations

import wsproto.frame_protocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # where websockets was installed without its compiled part
    apply_mask = None  # type: ignore[assignment]

_XorMasker = wsproto.frame_protocol.XorMaskerSimple


def install() -> None:
    """Mask the frames of all WebSockets so from now on, where the compiled function is there."""
    if apply_mask is not None:
        wsproto.frame_protocol.XorMaskerSimple = Masker  # type: ignore[misc, assignment]


def uninstall() -> None:
    """Give wsproto its own class back."""
    wsproto.frame_protocol.XorMaskerSimple = _XorMasker  # type: ignore[misc]


class Masker:
    """Masks, or unmasks, the payload of one frame, in as many pieces as it comes in.

    ``masking_key`` is the four bytes of RFC 6455 5.3.
    """

    def __init__(self, masking_key: bytes) -> None:
        self._key = bytes(masking_key)

    def process(self, data: bytes | bytearray) -> bytes | bytearray:
        """The next piece, masked."""
        if not data:
            return data
        key = self._key
        if rotation := len(data) % 4:
            self._key = key[rotation:] + key[:rotation]
        return apply_mask(data, key)
