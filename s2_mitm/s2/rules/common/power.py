"""Powers and commodities: where they stand in a message, and the roles of the RM for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.conversation.message import Message, Part

ELECTRICITY = "ELECTRICITY"

_COMMODITIES = {
    "ELECTRIC": ELECTRICITY,
    "NATURAL_GAS": "GAS",
    "HEAT": "HEAT",
    "OIL": "OIL",
}
"""The commodities by what the names of their quantities begin with; hydrogen is no commodity."""

_LISTS = {
    "PowerMeasurement": ((), "values"),
    "PEBC.PowerConstraints": ((), "allowed_limit_ranges"),
    "OMBC.SystemDescription": (("operation_modes",), "power_ranges"),
    "FRBC.SystemDescription": (("actuators", "operation_modes", "elements"), "power_ranges"),
    "DDBC.SystemDescription": (("actuators", "operation_modes"), "power_ranges"),
    "PowerForecast": (("elements",), "power_values"),
    "PPBC.PowerProfileDefinition": (
        ("power_sequences_containers", "power_sequences", "elements"),
        "power_values",
    ),
}
"""Where lists of powers stand: the lists that lead there, and the name of the list itself."""


def power_lists(message: Message) -> Iterator[tuple[Part, str]]:
    """The lists of powers in a message: what has one, and under which name."""
    within, name = _LISTS[message.message_type]
    for owner in inside(message.content, within):
        yield owner, name


def inside(part: Part, names: tuple[str, ...]) -> Iterator[Part]:
    """The objects in the lists of these names, each in those of the one before."""
    if not names:
        yield part
        return
    for inner in part.parts(names[0]):
        yield from inside(inner, names[1:])


def commodity_of(quantity: str) -> str | None:
    """The commodity of a commodity quantity."""
    return _COMMODITIES.get(quantity.partition(".")[0])


def electric_power(values: Iterable[Part], name: str) -> float:
    """The electric power of some values together, by the field that has it."""
    return sum(
        part.number(name) or 0
        for part in values
        if (part.text("commodity_quantity") or "").startswith("ELECTRIC.")
    )


def commodities_of(actuator: Part) -> tuple[str, list[str]]:
    """The commodities that an actuator uses, and the field that has them."""
    # DDBC has lost a letter.
    name = next(
        (name for name in ("supported_commodities", "supported_commodites") if actuator.has(name)),
        "supported_commodities",
    )
    return name, actuator.texts(name)


def roles_of(details: Message | None) -> dict[str, set[str]]:
    """The roles of the RM for each commodity; none where they are not known."""
    roles: dict[str, set[str]] = {}
    if details is not None and details.valid:
        for part in details.content.parts("roles"):
            role, commodity = part.text("role"), part.text("commodity")
            if role is not None and commodity is not None:
                roles.setdefault(commodity, set()).add(role)
    return roles
