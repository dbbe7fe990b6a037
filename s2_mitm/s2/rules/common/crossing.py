"""Messages that cross: one side may send a message before it has received one of the other side."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.tolerances import CROSSING


def under_way(conversation: Conversation, earlier: Message) -> bool:
    """Whether the receiver of an earlier message may not have seen it yet: it has not answered."""
    if earlier.message_id is None:  # it cannot answer
        return conversation.monotonic - earlier.monotonic < CROSSING
    return (earlier.sender, earlier.message_id) in conversation.unanswered


def may_cross(message: Message, earlier: Message, conversation: Conversation) -> bool:
    """Whether the sender of a message may not have seen an earlier one of the other side."""
    return message.sender is not earlier.sender and under_way(conversation, earlier)
