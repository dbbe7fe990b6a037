"""Which side may send which message type."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import only_sender
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity


@rule("direction.wrong-sender", Severity.ERROR)
def wrong_sender(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message from the side that may not send it.

    Its receiver has no use for it: instructions come from the CEM, descriptions and measurements
    from the RM.

    Where: S2 Connect 1.0.0 (docs.s2standard.org), State of communication; asyncapi/s2-rm.yaml and
    s2-cem.yaml (flexiblepower/s2-json).
    Why: Both list what each side can send, and this is on the list of the other side only.
    Wrong:
        begin()
        rm("SelectControlType")
    Right:
        begin()
        cem("SelectControlType")
    Do: Look at the role that each side has: its Handshake tells.
    """
    sender = only_sender(message.message_type)
    if sender is not None and sender is not message.sender:
        yield Found(
            "/message_type",
            f"{message.message_type} is for the {sender} to send, not for the {message.sender}",
        )
