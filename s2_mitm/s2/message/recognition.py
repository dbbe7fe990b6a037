"""Whether what goes over a WebSocket is S2, told from a message alone."""

from __future__ import annotations

import re

from s2_mitm.s2.catalog import MESSAGE_TYPES
from s2_mitm.s2.message.reading import MAX_SIZE, read

LOOK_BACK = 20
"""Messages before the first that is recognised: they are judged too, for they may be S2 messages
that are broken."""

# What every message of S2 has, to tell without parsing what is none: in half a microsecond for a
# small one, and less than a nanosecond a byte for large JSON.
_BEGINNINGS = {bytes([byte]) for byte in b"{ \t\r\n\xef"}  # the last begins a byte order mark
_KEY = b'"message_type"'
_TYPE = re.compile(
    rb'%s\s*:\s*"(?:%s)"' % (_KEY, b"|".join(re.escape(name.encode()) for name in MESSAGE_TYPES))
)
_BACKSLASH = ord("\\")
_ESCAPED_LETTER = re.compile(rb"\\u00(?:[4-7]|2[eE])")  # or underscore, or dot


def is_s2(content: bytes, *, binary: bool = False) -> bool:
    """Whether a message is a JSON object whose ``message_type`` is one of S2.

    Takes its bytes, and whether they came in a binary WebSocket frame.
    """
    if content[:1] not in _BEGINNINGS or len(content) > MAX_SIZE:
        return False
    key = content.find(_KEY)
    if not (key >= 0 and _TYPE.search(content, key)) and not (
        _BACKSLASH in content and _ESCAPED_LETTER.search(content)  # JSON may write any letter so
    ):
        return False
    message = read(content, binary=binary).message or {}
    message_type = message.get("message_type")
    return isinstance(message_type, str) and message_type in MESSAGE_TYPES
