"""ReceptionStatus: every other message is answered with one."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.registry import UNANSWERED, Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted


@rule("ack.missing", Severity.WARNING, [UNANSWERED])
def missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was not answered.

    Its sender does not know whether it arrived, and some send it again or close the connection
    (s2-python does after five seconds). The time is set with s2_ack_timeout.

    Where: every message but ReceptionStatus is answered with a ReceptionStatus.
    Wrong:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(11)
    Right:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(5)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
        wait(11)
    Do: Answer every message, also one that you cannot use, and before you work on it.
    """
    waited = conversation.monotonic - message.monotonic
    when = (
        f"within {waited:.1f} s"
        if waited >= conversation.settings.ack_timeout
        else "before the end"
    )
    yield Found("", f"no ReceptionStatus from the {message.sender.other} {when}")


@rule("ack.late", Severity.INFO, ["ReceptionStatus"])
def late(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was answered late.

    Its sender may have given up, sent it again or closed the connection by then.

    Where: every message but ReceptionStatus is answered with a ReceptionStatus.
    Wrong:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(12)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Right:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(5)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Do: Answer a message when it comes in, not when its consequences are done.
    """
    subject = conversation.overdue.get(_subject(message))
    if subject is not None:
        took = message.monotonic - subject.monotonic
        yield Found("", f"answered by the {message.sender} after {took:.1f} s", on=subject)


@rule("ack.twice", Severity.WARNING, ["ReceptionStatus"])
def twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message is answered a second time.

    The two answers may say different things; s2-python closes the connection.

    Where: every message but ReceptionStatus is answered with one ReceptionStatus.
    Wrong:
        begin()
        rm("PowerMeasurement")
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Right:
        begin()
        rm("PowerMeasurement")
        rm("PowerMeasurement")
    Do: Look for two places in the code that answer, such as a library and the code that uses it.
    """
    subject = conversation.answered.get(_subject(message))
    if subject is not None and _awaited(message, conversation) is None:
        yield Found("/subject_message_id", f"{subject.name(message.time)} was answered already")


@rule("ack.unknown-subject", Severity.WARNING, ["ReceptionStatus"])
def unknown_subject(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An answer to a message that was never sent.

    The sender of the message that was meant does not get its answer.

    Where: ReceptionStatus.subject_message_id is the message_id of a message from the other side.
    Wrong:
        begin()
        cem("ReceptionStatus", subject_message_id="#never", status="OK")
    Right:
        begin()
        rm("PowerMeasurement", answer=None)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Do: Put the message_id of the message that you answer; not its id, and not a new one.
    """
    _, subject_id = key = _subject(message)
    if (
        not subject_id
        or not conversation.saw_beginning(message)
        or message.sender.other in conversation.unreadable
    ):
        return
    if (
        key in conversation.unanswered
        or key in conversation.overdue
        or key in conversation.answered
    ):
        return
    if conversation.remembers_message(message.sender.other, subject_id):
        return
    own = conversation.remembers_message(message.sender, subject_id)
    whose = (
        f"is the {message.sender}'s own" if own else f"was not sent by the {message.sender.other}"
    )
    yield Found("/subject_message_id", f"the message {quoted(subject_id)} {whose}")


@rule("ack.ok-to-invalid", Severity.WARNING, ["ReceptionStatus"])
def ok_to_invalid(message: Message, conversation: Conversation) -> Iterator[Found]:
    """OK to a message that is not valid.

    The receiver accepts more than S2 allows, or it answers before it has read the message. The
    fault of the sender is not noticed, and the next receiver may refuse such a message.

    Where: INVALID_MESSAGE is the answer to what breaks the schema.
    Wrong:
        begin()
        rm("PowerMeasurement", measurement_timestamp="today", answer="OK")
    Right:
        begin()
        rm("PowerMeasurement", measurement_timestamp="today", answer="INVALID_MESSAGE")
    Do: Validate what comes in by the JSON Schema before you say OK.
    """
    subject = _awaited(message, conversation)
    if subject and not subject.valid and message.content.text("status") == "OK":
        yield Found("/status", f"OK to {subject.name(message.time)}, which is not valid")


@rule("ack.refused-faultless", Severity.WARNING, ["ReceptionStatus"])
def refused_faultless(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message is called invalid in which s2-mitm finds no fault.

    The receiver is stricter than S2, or knows something that cannot be seen from the outside.

    Where: INVALID_DATA is for what cannot be read, INVALID_MESSAGE for what breaks the schema,
    INVALID_CONTENT for values that are not possible.
    Wrong:
        begin()
        rm("PowerMeasurement", answer="INVALID_MESSAGE")
    Right:
        begin()
        rm("PowerMeasurement", answer="TEMPORARY_ERROR")
    Do: Read the diagnostic_label; ask its sender what is wrong with the message.
    """
    subject, status = _awaited(message, conversation), message.content.text("status") or ""
    if subject and subject.faultless and status.startswith("INVALID_"):
        yield Found("/status", f"{status} to {subject.name(message.time)}, which has no fault")


@rule("ack.refused", Severity.INFO, ["ReceptionStatus"])
def refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was not accepted by its receiver.

    What it said is not in force: the receiver continues as if it had not been sent.

    Where: ReceptionStatus.status.
    Wrong:
        begin()
        rm("PowerMeasurement", answer="TEMPORARY_ERROR")
    Right:
        begin()
        rm("PowerMeasurement", answer="OK")
    Do: TEMPORARY_ERROR: send it again. Otherwise see what the diagnostic_label says.
    """
    subject, status = _awaited(message, conversation), message.content.text("status")
    if subject is None or status in (None, "OK"):
        return
    label = message.content.text("diagnostic_label")
    words = f": {quoted(label)}" if label else ""
    yield Found(
        "", f"answered by the {message.sender} with {quoted(str(status))}{words}", on=subject
    )


def _subject(message: Message) -> tuple[Role, str]:
    return message.sender.other, message.content.text("subject_message_id") or ""


def _awaited(message: Message, conversation: Conversation) -> Message | None:
    key = _subject(message)
    return conversation.unanswered.get(key) or conversation.overdue.get(key)
