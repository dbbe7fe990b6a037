"""Which messages may be sent in which state of the conversation."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import ANSWERED, CONTROL_TYPES, State, control_type_of, earliest_state
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted


@rule("state.no-control-type", Severity.ERROR)
def no_control_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message of a control type while none is active.

    The RM describes itself, and the CEM instructs it, in the terms of the control type that the CEM
    has selected. Until then the receiver has no use for such a message. It is reported once until a
    control type is selected.

    Where: the states of S2 0.0.2-beta: initialised, and control type active.
    Wrong:
        begin()
        rm("FRBC.SystemDescription")
    Right:
        begin()
        cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
        rm("FRBC.SystemDescription")
    Do: The CEM selects a control type first; the RM waits for it.
    """
    if (
        earliest_state(message.message_type, message.sender) is not State.CONTROLLED
        or conversation.family
    ):
        return
    if conversation.selection is None and (
        conversation.lacks_handshake(message) or not conversation.saw_beginning(message)
    ):
        return  # it may have been selected before the first message that was seen
    if conversation.before_selection and message.sender is Role.RM:
        return  # it was under way when the CEM ended the control type
    if "SelectControlType" in conversation.undelivered:
        return
    ended = f" since {conversation.selection.name(message.time)}" if conversation.selection else ""
    yield Found(
        "/message_type",
        f"{message.message_type} while no control type is active{ended}",
        once="no-control-type",
        since=conversation.selection,
    )


@rule("state.other-control-type", Severity.ERROR)
def other_control_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message of a control type that is not the active one.

    The selection of another control type ends what was described under the one before; messages of
    that one have no meaning any more.

    Where: the states of S2 0.0.2-beta: control type active.
    Wrong:
        begin("FRBC")
        cem("OMBC.Instruction")
    Right:
        begin("FRBC")
        rm("FRBC.SystemDescription")
    Do: The CEM selects the control type that it wants to use; both sides send messages of that one
    only.
    """
    family = control_type_of(message.message_type)
    if family is None or conversation.family is None or family == conversation.family:
        return
    if family == conversation.before_selection and message.sender is Role.RM:
        return  # it was under way when the CEM selected another
    if "SelectControlType" in conversation.undelivered:
        return
    assert conversation.selection is not None
    yield Found(
        "/message_type",
        f"{message.message_type} while {conversation.family} is active, by"
        f" {conversation.selection.name(message.time)}",
        once=f"other-control-type {family}",
        since=conversation.selection,
    )


@rule("state.no-details", Severity.ERROR, ["SelectControlType"])
def no_details(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A control type is selected before the RM has said which it has.

    The CEM cannot know what the RM offers; it guesses.

    Where: SelectControlType.control_type, one of those in ResourceManagerDetails (N35), which
    therefore came first.
    Wrong:
        begin(details=False)
        cem("SelectControlType")
    Right:
        begin(details=False)
        rm("ResourceManagerDetails")
        cem("SelectControlType")
    Do: The CEM waits for the ResourceManagerDetails.
    """
    if (
        conversation.details is None
        and "ResourceManagerDetails" not in conversation.undelivered
        and conversation.saw_beginning(message)
        and not conversation.lacks_handshake(message)
    ):
        yield Found("/message_type", "SelectControlType before any ResourceManagerDetails")


@rule("state.control-type-not-offered", Severity.ERROR, ["SelectControlType"], statements=["N35"])
def control_type_not_offered(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A control type is selected that the RM does not offer.

    The RM cannot follow, and refuses it or ignores it.

    Where: SelectControlType.control_type, one of available_control_types in the latest
    ResourceManagerDetails (N35). NO_SELECTION is always allowed.
    Wrong:
        begin()
        rm("ResourceManagerDetails", available_control_types=["FILL_RATE_BASED_CONTROL"])
        cem("SelectControlType", control_type="OPERATION_MODE_BASED_CONTROL")
    Right:
        begin()
        rm("ResourceManagerDetails", available_control_types=["FILL_RATE_BASED_CONTROL"])
        cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
    Do: Select one of those offered.
    """
    selected = message.content.text("control_type")
    if conversation.details is None or selected is None or selected == "NO_SELECTION":
        return
    if "ResourceManagerDetails" in conversation.undelivered:
        return
    offered = conversation.details.content.texts("available_control_types")
    if offered and selected not in offered and selected in CONTROL_TYPES:
        yield Found(
            "/control_type",
            f"{quoted(selected)} is not among those that"
            f" {conversation.details.name(message.time)} offers:"
            f" {', '.join(map(quoted, offered[:10]))}",
        )


@rule("state.after-the-end", Severity.ERROR, ANSWERED)
def after_the_end(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message comes after the end of the conversation.

    After a SessionRequest its receiver answers with a ReceptionStatus and closes the connection.
    What its sender still sends is lost.

    Where: SessionRequest, TERMINATE and RECONNECT.
    Wrong:
        begin()
        cem("SessionRequest", request="TERMINATE")
        cem("SelectControlType")
    Right:
        begin()
        cem("SelectControlType")
        cem("SessionRequest", request="TERMINATE")
    Do: Send everything else before the SessionRequest.
    """
    ending = conversation.ending
    if ending is None:
        return
    if not may_cross(message, ending, conversation):
        text = f"{message.message_type} after {ending.name(message.time)}"
        yield Found("/message_type", text, once="after-the-end")
