"""Reading S2 as the published schemas mean it, where s2-python alone is lenient."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from s2python.message import S2Message
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS

from s2_mitm.s2.verdict import pointer


@dataclass(frozen=True, slots=True)
class StrictReading:
    """What a frame says: ``message``, or None and what is wrong with it in ``fault``.

    ``message_id`` is None where there is none that a ReceptionStatus of s2-python could name.
    """

    message: S2Message | None
    message_id: uuid.UUID | None = None
    fault: str = ""


def read(frame: str | bytes) -> StrictReading:
    """Read one frame. Raises nothing: what cannot be read has a ``fault``."""
    try:
        fields = json.loads(frame)
    except (ValueError, RecursionError):
        return StrictReading(None, fault="not JSON")
    if not isinstance(fields, dict):
        return StrictReading(None, fault="not a JSON object")
    message_id = _uuid(fields.get("message_id"))
    message_type = fields.get("message_type")
    if not isinstance(message_type, str) or message_type not in TYPE_TO_MESSAGE_CLASS:
        return StrictReading(None, message_id, "message_type is not one of S2")
    # s2-python takes null for a field that is absent; in no place does S2 allow a null.
    null = _find_null(fields)
    if null is not None:
        return StrictReading(None, message_id, f"{null} is null")
    try:
        # Strict, because s2-python by default takes "57.3" for a number.
        model = TYPE_TO_MESSAGE_CLASS[message_type]
        return StrictReading(model.model_validate_json(frame, strict=True), message_id)
    except ValidationError as error:
        first = error.errors()[0]
        return StrictReading(None, message_id, f"{pointer(*first['loc'])}: {first['msg']}")


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def _find_null(value: Any, *place: str | int) -> str | None:
    """Where the first null is, None when there is none."""
    if value is None:
        return pointer(*place)
    if isinstance(value, dict):
        inner: Any = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return None
    return next((found for key, item in inner if (found := _find_null(item, *place, key))), None)
