"""Whether the description in force at a time has the operation modes that are named for it."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import MODE_STATUSES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.rules.common.descriptions import actuator_id_of, described
from s2_mitm.s2.rules.common.paths import TARGET
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity


@rule("modes.replaced-by-then", Severity.WARNING, TARGET)
def replaced_by_then(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode is instructed for a time at which a description without it will be valid.

    The CEM has accepted a description that is given ahead. From its valid_from on the device has
    the modes of that one, and cannot follow.

    Where: FRBC.SystemDescription, OMBC.SystemDescription, DDBC.SystemDescription: valid_from;
    execution_time of the instruction.
    Why: That a description replaces the one before follows from valid_from; no text says it.
    Wrong:
        begin("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(600),
           operation_modes=[ombc_mode("off"), ombc_mode("low")],
           transitions=[transition("off", "low"), transition("low", "off")], timers=[])
        cem("OMBC.Instruction", execution_time=at(900))
    Right:
        begin("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(600),
           operation_modes=[ombc_mode("off"), ombc_mode("low")],
           transitions=[transition("off", "low"), transition("low", "off")], timers=[])
        cem("OMBC.Instruction", execution_time=at(300))
    Do: Plan with the description that is valid at the execution_time.
    """
    givens = described(message, conversation)
    if len(givens) < 2:
        return
    field, actuator_id = TARGET[message.message_type], actuator_id_of(message)
    target, execution = message.content.text(field), message.content.moment("execution_time")
    if target is None or actuator_id is None or execution is None:
        return
    newer = None
    for given in givens:
        actuator = given.actuators.get(actuator_id)
        if actuator is not None and target in actuator.modes:
            if newer is not None:
                yield Found(
                    message.content.at(field),
                    f"at {clock(execution)} the device does not have"
                    f" {labelled(target, actuator.modes[target])} any more:"
                    f" {newer.message.name(conversation.now)} is valid from"
                    f" {clock(newer.valid_from)} on",
                )
            return
        if newer is None and given.answer == "OK" and given.valid_from <= execution - CLOCKS:
            # What is in force now is looked up by other rules.
            newer = given if given.valid_from > conversation.now else None


@rule("modes.active-not-yet-valid", Severity.WARNING, MODE_STATUSES)
def active_not_yet_valid(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The active mode is one of a description that is not valid yet.

    Until then the device has the modes of the description before, and is in one of them. The CEM
    cannot tell in which.

    Where: FRBC.SystemDescription, OMBC.SystemDescription, DDBC.SystemDescription: valid_from;
    active_operation_mode_id of the status.
    Why: The mode is described, but not yet in force; no text says that one may not name it. Up to
    a minute is tolerated.
    Wrong:
        begin("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(600),
           operation_modes=[ombc_mode("low"), ombc_mode("high")],
           transitions=[transition("low", "high"), transition("high", "low")], timers=[])
        rm("OMBC.Status", active_operation_mode_id="#low",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
    Right:
        begin("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(600),
           operation_modes=[ombc_mode("low"), ombc_mode("high")],
           transitions=[transition("low", "high"), transition("high", "low")], timers=[])
        wait(600)
        rm("OMBC.Status", active_operation_mode_id="#low",
           previous_operation_mode_id="#off", transition_timestamp=at(600))
    Do: Name the modes of the present description until the next one is valid; or give that one a
    valid_from that is now, if it is in use already.
    """
    givens = described(message, conversation)
    if len(givens) < 2:
        return
    mode, actuator_id = message.content.text("active_operation_mode_id"), actuator_id_of(message)
    if mode is None or actuator_id is None:
        return
    having = [
        given
        for given in givens
        if actuator_id in given.actuators and mode in given.actuators[actuator_id].modes
    ]
    if not having or any(given.valid_from <= conversation.now + CLOCKS for given in having):
        return
    first = min(having, key=lambda given: given.valid_from)
    if any(given.valid_from <= conversation.now for given in givens):
        yield Found(
            message.content.at("active_operation_mode_id"),
            f"{labelled(mode, first.actuators[actuator_id].modes[mode])} is not described for now:"
            f" {first.message.name(conversation.now)} is valid from {clock(first.valid_from)} on",
            once=f"active-not-yet-valid {message.message_type}",
            since=first.message,
        )
