"""Hints: what stands twice in a list, or in one list and not in another one beside it."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import DESCRIPTIONS, known_version
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.power import commodities_of, commodity_of, inside
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

LISTS = {
    "Handshake": ("supported_protocol_versions",),
    "ResourceManagerDetails": ("available_control_types", "provides_power_measurement_types"),
}
"""Lists of names; none of them needs a name twice."""


@rule("hint.listed-twice", Severity.INFO, LISTS, alone=True)
def listed_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The same name stands twice in a list.

    It says nothing more than once. Another one may have been meant.

    Where: Handshake: supported_protocol_versions; ResourceManagerDetails: available_control_types,
    provides_power_measurement_types.
    Why: No text forbids it.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=[
            "ELECTRIC.POWER.L1", "ELECTRIC.POWER.L1"])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=[
            "ELECTRIC.POWER.L1", "NATURAL_GAS.FLOW_RATE"],
           roles=[{"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"},
                  {"role": "ENERGY_CONSUMER", "commodity": "GAS"}])
    Do: Look whether another one was meant, such as L2, or whether the list comes from two places.
    """
    for field in LISTS[message.message_type]:
        names = message.content.value.get(field)
        if not isinstance(names, list) or len(names) < 2 or not message.valid:
            continue
        seen: set[str] = set()
        for index, name in enumerate(names):
            if not isinstance(name, str):
                continue
            if name in seen:
                place = message.content.at(field, index)
                yield Found(place, f"{quoted(name)} stands here twice", once="hint.listed-twice")
                return
            seen.add(name)


@rule(
    "hint.commodity-not-supported",
    Severity.INFO,
    [DESCRIPTIONS["FRBC"], DESCRIPTIONS["DDBC"]],
    alone=True,
)
def commodity_not_supported(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power range for a commodity that the actuator is not said to use.

    A CEM that goes by the list of commodities takes no account of that power.

    Where: FRBC.ActuatorDescription: supported_commodities; DDBC.ActuatorDescription:
    supported_commodites; PowerRange: commodity_quantity.
    Why: No text says that the list must name the commodity of every power range.
    Wrong:
        begin()
        select("DDBC")
        rm("DDBC.SystemDescription", actuators=[ddbc_actuator(operation_modes=[
            ddbc_mode(name, power_ranges=[power(0, 2), power(0, 5, "NATURAL_GAS.FLOW_RATE")])
            for name in ["off", "heat", "boost"]])])
    Right:
        begin()
        select("DDBC")
        rm("DDBC.SystemDescription")
    Do: Name every commodity that the actuator consumes or produces.
    """
    lists: tuple[str, ...] = ("operation_modes",)
    if message.message_type == DESCRIPTIONS["FRBC"]:
        lists = ("operation_modes", "elements")
    if not message.valid:
        return
    for actuator in message.content.parts("actuators"):
        _, supported = commodities_of(actuator)
        unsupported = _unsupported(actuator, lists, supported) if supported else None
        if unsupported is not None:
            who = labelled(actuator.text("id") or "", actuator)
            power, commodity = unsupported
            yield Found(
                power.at("commodity_quantity"),
                f"a power of {commodity}, and actuator {who} supports only {', '.join(supported)}",
                once="hint.commodity-not-supported",
            )
            return


def _unsupported(
    actuator: Part, lists: tuple[str, ...], supported: list[str]
) -> tuple[Part, str] | None:
    """The first power range of another commodity, and that."""
    for owner in inside(actuator, lists):
        for power in owner.parts("power_ranges"):
            commodity = commodity_of(power.text("commodity_quantity") or "")
            if commodity is not None and commodity not in supported:
                return power, commodity
    return None


@rule("hint.own-versions", Severity.INFO, ["HandshakeResponse"])
def own_versions(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The CEM selects a version that is not among its own.

    Its Handshake lists versions, and not this one. It may not understand what the RM sends now.

    Where: Handshake: supported_protocol_versions; HandshakeResponse: selected_protocol_version.
    Why: A CEM need not list any versions, and no text says that it must select one of its own.
    Wrong:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake", supported_protocol_versions=["0.0.2-beta"])
        cem("HandshakeResponse", selected_protocol_version="1.0.0")
    Right:
        rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])
        cem("Handshake", supported_protocol_versions=["0.0.2-beta"])
        cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    Do: List all versions that the CEM supports, and select one that both sides list.
    """
    handshake = conversation.handshakes.get(Role.CEM)
    selected = message.content.text("selected_protocol_version")
    if handshake is None or selected is None or not handshake.valid:
        return
    version = known_version(selected)
    if version is None:
        return  # handshake.unknown-version reports that
    own = handshake.content.texts("supported_protocol_versions")
    if not own or version in map(known_version, own):
        return
    theirs = conversation.handshakes.get(Role.RM)
    if theirs is None or version not in map(
        known_version, theirs.content.texts("supported_protocol_versions")
    ):
        return  # handshake.version-not-offered reports that
    yield Found(
        "/selected_protocol_version",
        f"{quoted(selected)} is not among those that {handshake.name(message.time)} lists:"
        f" {', '.join(map(quoted, own[:5]))}",
        once="hint.own-versions",
    )
