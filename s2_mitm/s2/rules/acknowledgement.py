"""ReceptionStatus: every other message is answered with one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.catalog import IN_FORCE, MESSAGE_TYPES
from s2_mitm.s2.conversation.memory import LABEL_LENGTH, Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.tolerances import CROSSING
from s2_mitm.s2.rules.registry import UNANSWERED, Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted, short_id


@rule("ack.missing", Severity.WARNING, [UNANSWERED])
def missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was not answered, or not in time.

    Its sender does not know whether it arrived, and some send it again or close the connection
    (s2-python does after five seconds). The time is set with s2_ack_timeout. It is reported when
    that and a second have passed; an answer that comes after that does not take it back.

    Where: ReceptionStatus: subject_message_id; ReceptionStatusValues.
    Why: The schemas have an answer for every case, but no sentence that one must be sent, or when.
    It is not reported where the sender closed the connection first, or the answer came wrongly.
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
    if message.message_type not in MESSAGE_TYPES and not message.valid:
        return  # its receiver could not know what it is
    receiver = message.sender.other
    unreadable = conversation.unreadable.get(receiver)
    if unreadable is not None and unreadable >= message.monotonic:
        return  # that may have been the answer
    limit = conversation.settings.ack_timeout
    waited = conversation.monotonic - message.monotonic
    if waited >= limit:
        yield Found("", f"no ReceptionStatus from the {receiver} within {limit:g} s")
    elif _is_owed_at_the_end(message, conversation, waited):
        yield Found("", f"no ReceptionStatus from the {receiver} before the end")


def _is_owed_at_the_end(message: Message, conversation: Conversation, waited: float) -> bool:
    """Whether the receiver of a message should have answered it when the connection was closed."""
    if message.message_type == "SessionRequest":
        return False  # to close is what it asks for
    if conversation.closed_by not in (None, message.sender.other):
        return False  # there was still time
    return waited >= CROSSING or conversation.skipped(message)


@rule("ack.late", Severity.INFO, ["ReceptionStatus"])
def late(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was answered just after its time.

    Its sender may have given up, sent it again or closed the connection by then. It is reported
    where the answer comes within a second after the time that s2_ack_timeout sets; an answer that
    takes longer is reported as missing (ack.missing).

    Where: ReceptionStatus: subject_message_id.
    Why: No sentence says how soon a message is to be answered.
    Wrong:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(10.5)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Right:
        begin()
        rm("PowerMeasurement", answer=None)
        wait(5)
        cem("ReceptionStatus", subject_message_id=last(), status="OK")
    Do: Answer a message when it comes in, not when its consequences are done.
    """
    subject = conversation.unanswered.get(_subject(message))
    if subject is None:
        return
    took, limit = message.monotonic - subject.monotonic, conversation.settings.ack_timeout
    if took >= limit:
        text = f"answered by the {message.sender} after {took:.1f} s; the limit is {limit:g} s"
        yield Found("", text, on=subject)


@rule("ack.twice", Severity.WARNING, ["ReceptionStatus"])
def twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message is answered a second time.

    The two answers may say different things; s2-python closes the connection.

    Where: ReceptionStatus: subject_message_id.
    Why: One message has one answer, but no sentence says so. It is not reported of a message_id
    that came twice.
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
    key = _subject(message)
    subject = conversation.answered.get(key)
    if (
        subject is not None
        and _awaited(message, conversation) is None
        and not conversation.came_twice(key)
    ):
        yield Found("/subject_message_id", f"{subject.name(message.time)} was answered already")


@rule("ack.unknown-subject", Severity.WARNING, ["ReceptionStatus"])
def unknown_subject(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An answer to a message that was never sent.

    The sender of the message that was meant does not get its answer.

    Where: ReceptionStatus: subject_message_id.
    Why: It names the message that is answered, and no such message was seen. Where the other side
    sent something that could not be read, that may have been it, and nothing is reported.
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
    asker = message.sender.other
    if not subject_id or len(subject_id) > LABEL_LENGTH or not conversation.saw_beginning(message):
        return
    if asker in conversation.unreadable or asker in conversation.nameless:
        return
    if (
        key in conversation.unanswered
        or key in conversation.overdue
        or key in conversation.answered
        or conversation.remembers_message(asker, subject_id)
    ):
        return
    path, name = "/subject_message_id", quoted(subject_id)
    thing = conversation.thing_with_id(subject_id)
    if thing is not None:
        own = thing.message.message_id
        yield Found(
            path,
            f"{short_id(subject_id)} is the id of {thing.message.name(message.time)}, not its"
            " message_id",
            f"Its message_id is {quoted(own)}." if own else "",
        )
    elif conversation.remembers_id(subject_id):
        yield Found(path, f"{name} is the id of something in a message, not a message_id")
    elif conversation.remembers_message(message.sender, subject_id):
        yield Found(path, f"the {message.sender} has sent the message {name} itself")
    else:
        yield Found(path, f"the {asker} has sent no message {name}")


@rule("ack.ok-to-invalid", Severity.WARNING, ["ReceptionStatus"])
def ok_to_invalid(message: Message, conversation: Conversation) -> Iterator[Found]:
    """OK to a message that is not valid.

    The receiver accepts more than S2 allows, or it answers before it has read the message. The
    fault of the sender is not noticed, and the next receiver may refuse such a message.

    Where: ReceptionStatusValues: OK, INVALID_MESSAGE.
    Why: INVALID_MESSAGE is for what is not according to the schema, but no sentence forbids a
    receiver to accept it.
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


@rule("ack.refused-faultless", Severity.INFO, ["ReceptionStatus"])
def refused_faultless(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message is called invalid in which s2-mitm finds no fault.

    Either side may be right: the receiver may be stricter than S2, or know better. What it has said
    itself may have crossed the message, or the fault is one that nobody sees from the outside.

    Where: ReceptionStatusValues: INVALID_DATA, INVALID_MESSAGE, INVALID_CONTENT.
    Why: Nobody is to blame for certain.
    Wrong:
        begin()
        rm("PowerMeasurement", answer="INVALID_MESSAGE")
    Right:
        begin()
        rm("PowerMeasurement", answer="TEMPORARY_ERROR")
    Do: Read the diagnostic_label, or the log of the receiver.
    """
    subject, status = _awaited(message, conversation), message.content.text("status") or ""
    if subject and subject.faultless and status.startswith("INVALID_"):
        yield Found(
            "/status",
            f"{status} to {subject.name(message.time)}, in which s2-mitm finds no fault; the"
            f" {message.sender} may know better",
            _crossed(subject, message, conversation),
        )


CHANGING = IN_FORCE | {"RevokeObject", "SelectControlType"}
"""What makes wrong what the other side says before it has received it."""

LOOK_BACK = 20
"""Messages that are looked at, of those with an answer and of those without."""


def _crossed(subject: Message, answer: Message, conversation: Conversation) -> str:
    """Which message of its receiver may have crossed one that was refused; empty without one.

    It was sent after that, or before and is not answered yet. A status ends what a RevokeObject is
    about.
    """
    status = {"InstructionStatusUpdate"} if subject.message_type == "RevokeObject" else set()
    changing = CHANGING | status
    unanswered = list(islice(reversed(conversation.unanswered.values()), LOOK_BACK))
    later = [
        each
        for each in islice(reversed(conversation.answered.values()), LOOK_BACK)
        if each.number > subject.number
    ]
    for each in (*unanswered, *later):
        if each.sender is answer.sender and each.message_type in changing:
            return f"It may have crossed {each.name(answer.time)}."
    return ""


@rule("ack.refused", Severity.INFO, ["ReceptionStatus"])
def refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message was not accepted by its receiver.

    What it said is not in force: the receiver continues as if it had not been sent.

    Where: ReceptionStatus: status; ReceptionStatusValues.
    Why: It is said so that nobody misses it. Whether the message or its receiver is wrong is for
    other findings to say.
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
