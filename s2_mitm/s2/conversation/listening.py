"""Follow a conversation without judging it: to know what was in force, at a tenth of the cost."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import UNREADABLE, Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.message.reading import read
from s2_mitm.s2.verdict import Answer, Role


class Listener:
    """Hears messages in their order. ``from_start`` is False where the beginning was not heard."""

    def __init__(self, *, from_start: bool = True) -> None:
        self.conversation = Conversation(from_start=from_start)

    def hears(
        self, data: bytes, *, number: int, time: float, sender: Role, binary: bool = False
    ) -> Message:
        """A message that came, which is not taken in yet; what it means can be asked now."""
        self.conversation.it_is(time, None)
        content = read(data, binary=binary).message
        part = UNREADABLE if content is None else Part(content)
        return Message(
            number,
            time,
            self.conversation.monotonic,
            sender,
            part.text("message_type") or "",
            part.text("message_id"),
            part,
            len(data),
            valid=True,
            faultless=True,
            injected=False,
        )

    def takes_in(self, message: Message, answer: str | None = None) -> None:
        """It was delivered; ``answer`` is what it was answered with, where that is not heard."""
        conversation, answered = self.conversation, None
        if message.message_type == "ReceptionStatus":
            subject = message.content.text("subject_message_id")
            answered = conversation.answer(message, subject)
        conversation.take_in(message, answered)
        if answer is not None and message.message_id is not None:
            said = Answer(message.sender, message.message_id, answer, 0.0)
            told = message._replace(
                sender=message.sender.other, message_type="ReceptionStatus", message_id=None
            )
            conversation.take_in(told, said)
