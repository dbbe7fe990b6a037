"""Which messages may be sent in which state of the conversation."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import (
    ANSWERED,
    CONTROL_TYPES,
    FINAL_STATUSES,
    State,
    control_type_of,
    earliest_state,
)
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.common.tolerances import CROSSING, WINDING_UP
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

SELECT = "SelectControlType"
DETAILS = "ResourceManagerDetails"


@rule("state.no-control-type", Severity.ERROR)
def no_control_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message of a control type while none is active.

    The RM describes itself, and the CEM instructs it, in the terms of the control type that the CEM
    has selected. Until then the receiver has no use for such a message. It is reported once until a
    control type is selected.

    Where: S2 Connect 1.0.0 (docs.s2standard.org), State of communication: the table of the messages
    that can be sent in each state. Before, the same table: States of Communication
    (flexiblepower/s2-documentation).
    Why: The table lists what can be sent in which state, and this is not among it. What may have
    crossed a selection, or its end, is not reported, nor how an instruction ended with its control
    type, where the RM tells that within half a minute.
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
    if _may_be_selected(message, conversation) or _ends_with_its_control_type(
        message, conversation
    ):
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

    The receiver has no use for it: both sides speak in the terms of the control type that the CEM
    has selected last.

    Where: S2 Connect 1.0.0 (docs.s2standard.org), State of communication: the table of the messages
    that can be sent in each state. Before, the same table: States of Communication
    (flexiblepower/s2-documentation).
    Why: The table lists the messages of each control type for its own state only. What may have
    crossed a selection is not reported.
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
    if conversation.may_go_on_with(family) and message.sender is Role.RM:
        return  # it was under way when the CEM selected another
    if _may_be_selected(message, conversation):
        return
    assert conversation.selection is not None
    yield Found(
        "/message_type",
        f"{message.message_type} while {conversation.family} is active, by"
        f" {conversation.selection.name(message.time)}",
        once=f"other-control-type {family}",
        since=conversation.selection,
    )


def _may_be_selected(message: Message, conversation: Conversation) -> bool:
    """Whether another control type may be active, as far as the sender can know."""
    if conversation.selected_nothing_known():
        return True
    if conversation.may_have_said(SELECT, conversation.selection):
        return True
    refused = conversation.selection_refused
    # The CEM may not know yet that the RM has refused what it selected.
    return (
        message.sender is Role.CEM
        and refused is not None
        and message.monotonic - refused < CROSSING
    )


def _ends_with_its_control_type(message: Message, conversation: Conversation) -> bool:
    """Whether this tells at once how an instruction ended that ended with its control type.

    The text does not say how the RM tells that.
    """
    content = message.content
    return (
        message.message_type == "InstructionStatusUpdate"
        and content.text("status_type") in FINAL_STATUSES
        and conversation.selection is not None
        and message.monotonic - conversation.selection.monotonic < WINDING_UP
        and conversation.remembers_id(content.text("instruction_id") or "")
    )


@rule("state.no-details", Severity.ERROR, [SELECT])
def no_details(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A control type is selected before the RM has said which it has.

    The CEM cannot know what the RM offers; it guesses.

    Where: SelectControlType: control_type; ResourceManagerDetails: available_control_types.
    Why: control_type must be one of those in ResourceManagerDetails, and none has come.
    NO_SELECTION selects nothing, and is not reported.
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
        and message.content.text("control_type") != "NO_SELECTION"
        and conversation.saw_beginning(message)
        and not conversation.lacks_handshake(message)
        and not conversation.may_have_said(DETAILS, None)
    ):
        yield Found("/message_type", "SelectControlType before any ResourceManagerDetails")


@rule("state.control-type-not-offered", Severity.ERROR, [SELECT], statements=["N35"])
def control_type_not_offered(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A control type is selected that the RM does not offer.

    The RM cannot follow, and refuses it or ignores it.

    Where: SelectControlType: control_type; ResourceManagerDetails: available_control_types.
    Why: control_type must be one of those that the RM offers. NO_SELECTION, which ends a control
    type, is not reported, nor what only newer details, still on their way, do not offer.
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
    selected, details = message.content.text("control_type"), conversation.details
    if details is None or selected not in CONTROL_TYPES or selected == "NO_SELECTION":
        return
    if conversation.may_have_said(DETAILS, details):
        return
    known = details.content.value.get("available_control_types")
    offered = details.content.texts("available_control_types")
    if not offered or known != offered or not set(offered) <= CONTROL_TYPES.keys():
        return  # what is wrong there may be what is selected here, and has its finding
    before = conversation.before_details
    if selected in offered or (
        before and selected in before.content.texts("available_control_types")
    ):
        return
    yield Found(
        "/control_type",
        f"{quoted(selected)} is not among those that {details.name(message.time)} offers:"
        f" {', '.join(map(quoted, offered[:10]))}",
    )


@rule("state.details-refused", Severity.WARNING, [SELECT])
def details_refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A control type is selected by details that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be held to it, and
    is about to send it anew, or to give up.

    Where: ReceptionStatusValues: INVALID_CONTENT and the others; SelectControlType: control_type.
    Why: A message that is refused is ignored; that nothing may be selected by it follows, and is
    not said. What the details before them offered may be selected.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", answer="TEMPORARY_ERROR")
        cem("SelectControlType")
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", answer="OK")
        cem("SelectControlType")
    Do: Answer with OK what you mean to go by; the RM sends again what was refused.
    """
    selected, details = message.content.text("control_type"), conversation.details
    answer, before = conversation.details_answer, conversation.before_details
    if details is None or answer in (None, "OK") or selected in (None, "NO_SELECTION"):
        return
    if selected not in details.content.texts("available_control_types"):
        return  # that is another finding
    if before and selected in before.content.texts("available_control_types"):
        return
    if conversation.may_have_said(DETAILS, details):
        return
    yield Found(
        "/control_type",
        f"it goes by {details.name(message.time)}, which the CEM has answered with"
        f" {quoted(str(answer))}",
        once="details-refused",
        since=details,
    )


@rule("state.after-the-end", Severity.WARNING, ANSWERED)
def after_the_end(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message comes after the end of the conversation.

    After a SessionRequest its receiver answers with a ReceptionStatus and closes the connection.
    What is still sent is lost. It is not reported of what may have crossed the SessionRequest, nor
    after one that was refused.

    Where: SessionRequest: request; SessionRequestType: TERMINATE, RECONNECT.
    Why: Both ask to disconnect. No sentence forbids to send anything until that is done.
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
