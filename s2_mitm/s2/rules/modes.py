"""Actuators, operation modes and timers: how statuses and instructions refer to them.

This is for FRBC, OMBC and DDBC. What a description says itself is in `descriptions`, and whether
the device can do what an instruction asks is in `transitions`.
"""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import INSTRUCTIONS, MODE_STATUSES, TIMER_STATUSES, Thing
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.descriptions import (
    REFERRING,
    WITH_ACTUATOR,
    WITH_MODE,
    actuator_id_of,
    described,
    description_of,
    look_up,
)
from s2_mitm.s2.rules.common.paths import TARGET
from s2_mitm.s2.rules.common.references import ReferenceFault
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity

INSTRUCTING = [name for name in REFERRING if name in INSTRUCTIONS]
TELLING = [name for name in REFERRING if name not in INSTRUCTIONS]


@rule("modes.no-description", Severity.ERROR, INSTRUCTING)
def no_description(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction comes while there is no system description.

    None was given since the control type was selected, or the last was revoked: it names an
    operation mode that the RM has not. It is reported once until a description is given.

    Where: FRBC.Instruction: operation_mode, OMBC.Instruction: operation_mode_id, DDBC.Instruction:
    operation_mode_id, and the SystemDescription to which they refer.
    Why: It is the id of an operation mode, and the CEM can know none.
    Wrong:
        begin()
        select("FRBC")
        cem("FRBC.Instruction")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        cem("FRBC.Instruction")
    Do: The RM describes itself as soon as a control type is selected; the CEM waits for it.
    """
    yield from _without_description(message, conversation)


@rule("modes.early-status", Severity.WARNING, TELLING)
def early_status(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status comes while there is no system description.

    None was given since the control type was selected, or the last was revoked: the CEM does not
    know the modes, timers or actuators that it names. It is reported once until a description is
    given.

    Where: FRBC.ActuatorStatus, FRBC.TimerStatus, OMBC.Status, OMBC.TimerStatus,
    DDBC.ActuatorStatus, DDBC.TimerStatus, and the SystemDescription to which they refer.
    Why: No text says that an RM must describe itself first, but a CEM cannot use the status.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.ActuatorStatus")
        rm("FRBC.SystemDescription")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        rm("FRBC.ActuatorStatus")
    Do: Send the SystemDescription first when a control type is selected, then all statuses.
    """
    yield from _without_description(message, conversation)


def _without_description(message: Message, conversation: Conversation) -> Iterator[Found]:
    reference = look_up(message, conversation).reference
    if reference.fault is not ReferenceFault.NONE_GIVEN:
        return
    held = conversation.descriptions_of(description_of(message)).all
    yield Found(
        "",
        reference.text,
        once=f"no-description {message.sender} {description_of(message)}",
        since=held[-1].message if held else conversation.selection,
    )


@rule("modes.cannot-check", Severity.INFO, REFERRING)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found]:
    """References to the system description cannot be checked.

    The description was refused or is not valid, or was given before the first message that was
    seen. What can be read of it is used all the same. A reference to what is not in it may be right
    or wrong. It is reported once until the next description.

    Where: FRBC.SystemDescription, OMBC.SystemDescription, DDBC.SystemDescription.
    Why: Nothing need be wrong with the message.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="TEMPORARY_ERROR")
        rm("FRBC.ActuatorStatus")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="TEMPORARY_ERROR")
        rm("FRBC.SystemDescription")
        rm("FRBC.ActuatorStatus")
    Do: See what is wrong with the description, and send it again.
    """
    reference = look_up(message, conversation).reference
    if reference.fault is not ReferenceFault.UNSURE:
        return
    held = conversation.descriptions_of(description_of(message)).all
    yield Found(
        "",
        reference.text,
        once=f"cannot-check {description_of(message)}",
        since=held[-1].message if held else conversation.selection,
    )


@rule("modes.description-refused", Severity.WARNING, TARGET)
def description_refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction goes by a description that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be held to it. It is
    reported once until the next description.

    Where: ReceptionStatusValues: INVALID_CONTENT and the others; FRBC.Instruction: operation_mode.
    Why: A message that is refused is ignored; that nothing may refer to it follows, and is not
    said.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="TEMPORARY_ERROR")
        cem("FRBC.Instruction")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="OK")
        cem("FRBC.Instruction")
    Do: Answer with OK what you mean to use; the RM sends again what was refused.
    """
    reference = look_up(message, conversation).reference
    if reference.fault is ReferenceFault.REFUSED:
        yield Found(
            message.content.at(TARGET[message.message_type]),
            reference.text,
            once=f"refused {description_of(message)}",
            since=conversation.descriptions_of(description_of(message)).all[-1].message,
        )


@rule("modes.unknown-actuator", Severity.ERROR, WITH_ACTUATOR)
def unknown_actuator(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An actuator that was not described.

    The receiver cannot tell what is meant: the RM rejects such an instruction, the CEM ignores
    such a status.

    Where: FRBC.Instruction: actuator_id, DDBC.Instruction: actuator_id, and the same of the
    statuses; FRBC.ActuatorDescription: id, DDBC.ActuatorDescription: id.
    Why: The field is the id of an actuator, and there is no such actuator.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", actuator_id="#other")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", actuator_id="#actuator")
    Do: Use the id from the latest description; an RM keeps its ids when it describes itself again.
    """
    yield from _unknown(message, conversation, Thing.ACTUATOR)


@rule(
    "modes.unknown-mode",
    Severity.ERROR,
    WITH_MODE,
    statements=["N12", "N17"],
)
def unknown_mode(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An operation mode that this actuator was not described with.

    The receiver cannot tell what is meant: the RM rejects such an instruction, the CEM does not
    know what the device is doing.

    Where: FRBC.Instruction: operation_mode, OMBC.Instruction: operation_mode_id, DDBC.Instruction:
    operation_mode_id; active_operation_mode_id and previous_operation_mode_id of the statuses. The
    previous mode may be one of an earlier description.
    Why: The field is the id of an operation mode, and the actuator has no such mode.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#discharge")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#charge")
    Do: Use the id of the mode, not its label, and from the latest description.
    """
    yield from _unknown(message, conversation, Thing.MODE)


@rule("modes.unknown-timer", Severity.ERROR, TIMER_STATUSES)
def unknown_timer(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The status of a timer that was not described.

    The CEM cannot tell which transitions it blocks.

    Where: FRBC.TimerStatus: timer_id, OMBC.TimerStatus: timer_id, DDBC.TimerStatus: timer_id;
    Timer: id.
    Why: The field is the id of a timer, and the actuator has no such timer.
    Wrong:
        begin("FRBC")
        rm("FRBC.TimerStatus", timer_id="#idle-to-charge")
    Right:
        begin("FRBC")
        rm("FRBC.TimerStatus", timer_id="#rest")
    Do: Use the id of the timer, not that of a transition that it blocks.
    """
    yield from _unknown(message, conversation, Thing.TIMER)


@rule("modes.no-previous", Severity.ERROR, MODE_STATUSES, statements=["N02", "N10", "N18"])
def no_previous(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode was active before, and the status does not say which, or since when.

    The CEM needs the moment to know how far the transition is and which timers have started. That
    there was a mode before is known when the active one has changed, or when the status before
    named it.

    Where: FRBC.ActuatorStatus, OMBC.Status, DDBC.ActuatorStatus: previous_operation_mode_id and
    transition_timestamp.
    Why: Both shall always be provided, unless the RM knows of no mode before.
    Wrong:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge")
    Right:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",
           previous_operation_mode_id="#idle", transition_timestamp=at(0))
    Do: Keep the mode before and the time of the switch, and send them in every status from then on.
    """
    actuator_id, mode = actuator_id_of(message), message.content.text("active_operation_mode_id")
    active = conversation.active_modes.get(actuator_id) if actuator_id is not None else None
    if actuator_id is None or active is None or mode is None:
        return
    if active.mode == mode and (active.previous is None or active.switched is None):
        return  # it may be the first mode that the RM knows of; or that was reported then
    absent = [
        name
        for name in ("previous_operation_mode_id", "transition_timestamp")
        if not message.content.has(name)
    ]
    if not absent or message.is_doubtful(*(f"/{name}" for name in absent)):
        return
    # An RM may give its modes new ids with each description.
    for given in described(message, conversation):
        actuator = given.actuators.get(actuator_id)
        if not actuator or mode not in actuator.modes or active.mode not in actuator.modes:
            continue
        missing = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing"
        name = active.message.name(conversation.now)
        if active.mode != mode:
            yield Found(
                "",
                f"{missing}: before, {labelled(active.mode, actuator.modes[active.mode])} was"
                f" active by {name}",
            )
        elif given.message.number < active.message.number:
            yield Found("", f"{missing}: {name} has told of a mode that was active before")
        return


def _unknown(message: Message, conversation: Conversation, thing: Thing) -> Iterator[Found]:
    """The finding where the description has no such actuator, operation mode or timer."""
    reference, unknown = look_up(message, conversation)
    if unknown is not None and unknown.thing is thing:
        yield Found(message.content.at(unknown.field), reference.text)
