"""What may be said when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from s2_mitm.s2.catalog import CONTROL_TYPES
from s2_mitm.s2.message import Said
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.states import State, earliest_state, family_of
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation import Conversation


@rule("state.no-control-type", Severity.ERROR)
def no_control_type(said: Said, talk: Conversation) -> Iterator[Found]:
    """A message of a control type while none is active.

    The RM describes itself, and the CEM instructs it, in the terms of the control type that the
    CEM has selected. Until then the receiver has no use for such a message. It is said once until
    a control type is selected.

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
    if earliest_state(said.message_type, said.sender) is not State.CONTROLLED or talk.family:
        return
    if talk.selection is None and (talk.missed_handshake or not talk.saw_beginning):
        return  # it may have been selected before the beginning that we know of
    if talk.before_selection and said.sender is Role.RM:
        return  # it was under way when the CEM ended the control type
    if talk.once("no-control-type", talk.selection):
        ended = f" since {talk.selection.name(said.time)}" if talk.selection else ""
        yield Found("/message_type", f"{said.message_type} while no control type is active{ended}")


@rule("state.other-control-type", Severity.ERROR)
def other_control_type(said: Said, talk: Conversation) -> Iterator[Found]:
    """A message of a control type that is not the active one.

    Selecting another control type ends what the one before has described; its messages mean
    nothing any more.

    Where: the states of S2 0.0.2-beta: control type active.
    Wrong:
        begin("FRBC")
        cem("OMBC.Instruction")
    Right:
        begin("FRBC")
        rm("FRBC.SystemDescription")
    Do: The CEM selects the control type that it wants to use; the RM speaks in its terms alone.
    """
    family = family_of(said.message_type)
    if family is None or talk.family is None or family == talk.family:
        return
    if family == talk.before_selection and said.sender is Role.RM:
        return  # it was under way when the CEM selected another
    assert talk.selection is not None
    if talk.once(f"other-control-type {family}", talk.selection):
        yield Found(
            "/message_type",
            f"{said.message_type} while {talk.family} is active, by"
            f" {talk.selection.name(said.time)}",
        )


@rule("state.no-details", Severity.ERROR, ["SelectControlType"])
def no_details(said: Said, talk: Conversation) -> Iterator[Found]:
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
    if talk.details is None and talk.saw_beginning and not talk.missed_handshake:
        yield Found("/message_type", "SelectControlType before any ResourceManagerDetails")


@rule("state.control-type-not-offered", Severity.ERROR, ["SelectControlType"], statements=["N35"])
def control_type_not_offered(said: Said, talk: Conversation) -> Iterator[Found]:
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
    selected = said.content.text("control_type")
    if talk.details is None or selected is None or selected == "NO_SELECTION":
        return
    offered = talk.details.content.texts("available_control_types")
    if offered and selected not in offered and selected in CONTROL_TYPES:
        yield Found(
            "/control_type",
            f"{quoted(selected)} is not among those that {talk.details.name(said.time)} offers:"
            f" {', '.join(map(quoted, offered[:10]))}",
        )


@rule("state.after-the-end", Severity.ERROR)
def after_the_end(said: Said, talk: Conversation) -> Iterator[Found]:
    """Something is said after the conversation was ended.

    After a SessionRequest its receiver answers with a ReceptionStatus and closes the connection.
    What its sender still says is lost.

    Where: SessionRequest, TERMINATE and RECONNECT.
    Wrong:
        begin()
        cem("SessionRequest", request="TERMINATE")
        cem("SelectControlType")
    Right:
        begin()
        cem("SelectControlType")
        cem("SessionRequest", request="TERMINATE")
    Do: Say what is to be said before the SessionRequest.
    """
    ending = talk.ending
    if ending is None or said.message_type == "ReceptionStatus":
        return
    under_way = said.sender is not ending.sender and (
        (ending.sender, ending.message_id) in talk.unanswered
    )
    if not under_way and talk.once("after-the-end"):
        yield Found("/message_type", f"{said.message_type} after {ending.name(said.time)}")
