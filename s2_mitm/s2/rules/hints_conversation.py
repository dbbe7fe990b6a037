"""Hints about what does not happen in a conversation, though everybody waits for it, about an RM
that becomes another one, and a side that goes on when it cannot."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import (
    ANSWERED,
    CONTROL_TYPES,
    DESCRIPTIONS,
    MESSAGE_TYPES,
    WITH_OWN_MESSAGES,
    control_type_of,
)
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS
from s2_mitm.s2.rules.common.tolerances import CROSSING, FOLLOWS, SELECTS, STALLED
from s2_mitm.s2.rules.registry import AS_TIME_PASSES, Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted, short_id

FIRST = {"PEBC": CONSTRAINTS, **DESCRIPTIONS}
"""What an RM sends first under a control type. With PPBC it may have nothing to plan for hours."""

STATUSES = {
    "OMBC": ("OMBC.Status",),
    "FRBC": ("FRBC.ActuatorStatus", "FRBC.StorageStatus"),
    "DDBC": ("DDBC.ActuatorStatus",),
}
"""What an RM sends next, so that the CEM knows the present state."""


@rule("hint.never-selected", Severity.INFO, [AS_TIME_PASSES])
def never_selected(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The CEM selects no control type for five minutes.

    The RM offers control types and waits. Until one is selected it cannot describe itself, and the
    CEM cannot instruct it.

    Where: SelectControlType: control_type; ResourceManagerDetails: available_control_types.
    Why: No text says how soon a CEM selects, nor that it must. It may wait for its user.
    Wrong:
        begin()
        wait(301)
    Right:
        begin("FRBC")
        wait(301)
    Do: Look at whether the CEM understands ResourceManagerDetails, and whether the device is
        enabled in it. A CEM that only looks on may select NO_SELECTION.
    """
    if not _accepted(message, conversation, "ResourceManagerDetails"):
        return
    if conversation.selection is not None:
        return
    waited = conversation.waited(message)
    if waited < SELECTS or not conversation.saw_beginning(message):
        return
    offered = [
        name
        for name in message.content.texts("available_control_types")
        if CONTROL_TYPES.get(name) in WITH_OWN_MESSAGES
    ]
    if any(map(control_type_of, conversation.said)):
        return  # another rule says that none is selected
    if offered and _could_follow(message, conversation, "SelectControlType"):
        yield Found(
            "/available_control_types",
            f"the CEM has selected none of these in {waited:.0f} s",
            on=message,
            once="hint.never-selected",
        )


@rule("hint.never-described", Severity.INFO, [AS_TIME_PASSES])
def never_described(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM accepts a control type and does not describe itself for a minute.

    Until it does, the CEM knows nothing that it could instruct, and the RM is not controlled. With
    PPBC nothing is said, since a device may have nothing to plan.

    Where: OMBC.SystemDescription, FRBC.SystemDescription, DDBC.SystemDescription,
    PEBC.PowerConstraints.
    Why: No text says how soon a device describes itself. It may wait for something.
    Wrong:
        begin()
        select("FRBC")
        wait(61)
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        rm("FRBC.ActuatorStatus")
        rm("FRBC.StorageStatus")
        wait(61)
    Do: Send the description as soon as the control type is selected.
    """
    if not _accepted(message, conversation, "SelectControlType"):
        return
    first = FIRST.get(conversation.family or "")
    waited = conversation.waited(message)
    if first is None or waited < FOLLOWS or first in conversation.said:
        return
    if any(
        control_type_of(message_type) == conversation.family and MESSAGE_TYPES[message_type].refers
        for message_type in conversation.said
    ):
        return  # other rules say that what these refer to was not described
    if _could_follow(message, conversation, first):
        yield Found(
            "/control_type",
            f"the RM accepted it, but sent no {first} in {waited:.0f} s",
            on=message,
            once="hint.never-described",
        )


@rule("hint.never-a-status", Severity.INFO, [AS_TIME_PASSES])
def never_a_status(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM describes itself and does not tell its state for a minute.

    The CEM knows what the device can do, but not what it does: which operation mode is active, and
    how full its storage is. It cannot plan from there.

    Where: OMBC.Status; FRBC.ActuatorStatus, FRBC.StorageStatus; DDBC.ActuatorStatus.
    Why: No text says how soon a status follows a description. Most CEMs wait for it.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        rm("FRBC.ActuatorStatus")
        wait(61)
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        rm("FRBC.ActuatorStatus")
        rm("FRBC.StorageStatus")
        wait(61)
    Do: Send a status of each actuator, and of the storage, after the first description.
    """
    family = conversation.family or ""
    if family not in STATUSES or not _accepted(message, conversation, "SelectControlType"):
        return
    missing = [status for status in STATUSES[family] if status not in conversation.said]
    if not missing:
        return
    for given in conversation.descriptions_of(DESCRIPTIONS[family]).all:
        described = given.message
        if given.answer != "OK" or given.revoked or not described.valid:
            continue
        waited = min(conversation.waited(described), conversation.now - given.valid_from)
        if waited >= FOLLOWS and _could_follow(described, conversation, *missing):
            yield Found(
                "",
                f"the RM sent no {' and no '.join(missing)} in {waited:.0f} s since then",
                on=described,
                once="hint.never-a-status",
            )
        return


@rule("hint.session-goes-on", Severity.INFO, [AS_TIME_PASSES])
def session_goes_on(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A session is to end, and for a minute nothing happens.

    The receiver has accepted the SessionRequest, but it does not close the connection. Its sender
    waits for that: with RECONNECT it expects a new one.

    Where: SessionRequest: request.
    Why: No text says how soon the connection is closed. Each side may take the other to be at it.
    Wrong:
        begin()
        cem("SessionRequest", request="RECONNECT")
        wait(61)
    Right:
        begin()
        cem("SessionRequest", request="RECONNECT")
        close()
    Do: Close the connection when you have answered a SessionRequest.
    """
    if not _accepted(message, conversation, "SessionRequest"):
        return
    waited = conversation.waited(message)
    if waited < FOLLOWS:
        return
    crossing = message.monotonic + conversation.settings.ack_timeout
    if any(
        came > crossing
        for message_type, came in conversation.said.items()
        if message_type not in ("SessionRequest", "ReceptionStatus")
    ):
        return  # another rule says so of each of these
    request = quoted(message.content.text("request") or "")
    yield Found(
        "/request",
        f"the {message.sender.other} accepted {request}, but the connection is still open after"
        f" {waited:.0f} s",
        on=message,
        once="hint.session-goes-on",
    )


@rule("hint.deadlock", Severity.INFO, [AS_TIME_PASSES])
def deadlock(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Both sides wait for each other's ReceptionStatus, and neither sends anything.

    Their messages crossed. Each waits for the answer to its own before it answers the other's, or
    before it reads it, and so both wait for ever.

    Where: ReceptionStatus: subject_message_id.
    Why: That no answer came is reported by itself. That both wait at once hints at the reason.
    Wrong:
        begin()
        rm("PowerMeasurement", answer=None)
        cem("SelectControlType", answer=None)
        wait(31)
    Right:
        begin()
        measured = rm("PowerMeasurement", answer=None)
        selected = cem("SelectControlType", answer=None)
        rm("ReceptionStatus", subject_message_id=selected)
        cem("ReceptionStatus", subject_message_id=measured)
        wait(31)
    Do: Go on reading, and answer what comes, while you wait for an answer.
    """
    stalled = conversation.stalled()
    if not stalled or stalled[1].number != message.number or conversation.ending is not None:
        return
    waited = conversation.waited(message)
    if waited >= STALLED:
        first = stalled[0]
        yield Found(
            "",
            f"not answered by the {message.sender.other}, and neither is"
            f" {first.name(conversation.now)} by the {message.sender}; nothing was sent for"
            f" {waited:.0f} s",
            on=message,
            once="hint.deadlock",
        )


@rule("hint.other-resource", Severity.INFO, ["ResourceManagerDetails"])
def other_resource(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM says that it is another resource than before.

    The CEM knows a device by its resource_id. It may take this for a second device, and lose what
    it has learnt about the first.

    Where: ResourceManagerDetails: resource_id.
    Why: The resource_id must be unique for the CEM; that it stays the same no text says.
    Wrong:
        begin()
        rm("ResourceManagerDetails", resource_id="#other")
    Right:
        begin()
        rm("ResourceManagerDetails", name="Another name")
    Do: Make the resource_id once and keep it; one RM speaks for one resource on a connection.
    """
    before = conversation.details
    if before is None or conversation.ending is not None:
        return
    was, now = before.content.text("resource_id"), message.content.text("resource_id")
    if None in (was, now) or was == now or not (message.valid and conversation.accepted(before)):
        return
    yield Found(
        "/resource_id",
        f"{short_id(now or '')}, but {before.name(message.time)} has {short_id(was or '')}",
        once="hint.other-resource",
    )


@rule(
    "hint.after-permanent-error",
    Severity.INFO,
    ANSWERED - {"SessionRequest"},
    statements=["N66"],
)
def after_permanent_error(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A side goes on after an error from which it cannot recover.

    It has said so itself, and disconnecting is what follows from it. The other side may have closed
    the session for itself already.

    Where: ReceptionStatusValues: PERMANENT_ERROR.
    Why: The consequence of such an error is to disconnect; the text does not say which side does,
    or when.
    Wrong:
        begin()
        rm("PowerMeasurement", answer="PERMANENT_ERROR")
        wait(30)
        cem("SelectControlType")
    Right:
        begin()
        rm("PowerMeasurement", answer="TEMPORARY_ERROR")
        wait(30)
        cem("SelectControlType")
    Do: Answer with TEMPORARY_ERROR or INVALID_CONTENT where you go on; otherwise disconnect.
    """
    error = conversation.given_up.get(message.sender) if conversation.given_up else None
    if error is None or conversation.ending is not None:
        return
    if message.monotonic - error.monotonic >= CROSSING:
        yield Found(
            "/message_type",
            f"{message.message_type} after PERMANENT_ERROR, in {error.name(message.time)}",
            once="hint.after-permanent-error",
        )


def _accepted(message: Message, conversation: Conversation, message_type: str) -> bool:
    """Whether it is of this type, and its receiver has said OK."""
    return message.message_type == message_type and conversation.accepted(message)


def _could_follow(message: Message, conversation: Conversation, *message_types: str) -> bool:
    """Whether these messages would have been seen, and were not, after this one."""
    return conversation.ending is None and not any(
        conversation.may_have_said(message_type, message) for message_type in message_types
    )
