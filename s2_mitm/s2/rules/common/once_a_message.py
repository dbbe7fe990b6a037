"""Let what several rules ask about a message be worked out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message

T = TypeVar("T")


def once_a_message(
    function: Callable[[Message, Conversation], T],
) -> Callable[[Message, Conversation], T]:
    """Let a function work once for each message, however many rules ask it.

    It is only for rules that judge the message: a message is judged in one conversation, as that
    was before it. The answer for the latest message is kept, and no other.
    """
    latest: tuple[Message, T] | None = None

    @wraps(function)
    def ask(message: Message, conversation: Conversation) -> T:
        nonlocal latest
        known = latest
        if known is None or known[0] is not message:
            known = latest = message, function(message, conversation)
        return known[1]

    return ask
