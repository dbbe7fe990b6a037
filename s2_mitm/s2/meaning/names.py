"""What things are called: by their labels, or where they have none by their ids."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.wording import excerpt, short_id

LABEL_LENGTH = 40
"""Characters of a label or an id that are told."""

REASON_LENGTH = 120
"""Characters of a label that says why."""


def label_of(
    thing: Part | None, field: str = "diagnostic_label", length: int = LABEL_LENGTH
) -> str:
    """The label of a thing; empty where it has none."""
    label = thing.text(field) if thing else None
    return excerpt(label, length).strip() if label else ""


def by_id(kind: str, identifier: str | None) -> str:
    """A thing by its id, such as ``mode "7bc7a3f2…0001"``."""
    if identifier is None:
        return f"{kind} without an id"
    return f"{kind} {short_id(excerpt(identifier, LABEL_LENGTH))}"


def called(kind: str, identifier: str | None, thing: Part | None) -> str:
    """A thing by its label, or else by its id."""
    return label_of(thing) or by_id(kind, identifier)


def undescribed(message: Message, conversation: Conversation, description: str) -> str:
    """Why a thing cannot be resolved, for the end of its name.

    ``description`` is the type of the message that would describe it.
    """
    held = conversation.descriptions_of(description)
    if held.forgotten or not (held.all or conversation.saw_beginning(message)):
        return ", whose description was not seen"
    return ", not described"
