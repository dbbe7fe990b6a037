"""What is in force: descriptions, constraints and profiles, and what they say can be referred to.

A description counts from its ``valid_from``; a later one replaces it from its own. What its
receiver refused is not in force. The two sides do not learn of a change at the same moment: until
the receiver has answered a newer description, it may still go by the older one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from s2_mitm.s2.message import Part, Said

MAX_HELD = 8
"""Messages of one type that are held; older ones are forgotten."""


@dataclass(frozen=True)
class Actuator:
    """What can be driven: an actuator of FRBC or DDBC, or the whole device of OMBC."""

    part: Part
    modes: dict[str, Part]
    transitions: list[Part]
    timers: dict[str, Part]


@dataclass
class Given:
    """A message that stays in force for a while. ``answer`` is the status it was answered with."""

    said: Said
    answer: str | None = None
    revoked: bool = False

    @property
    def content(self) -> Part:
        return self.said.content

    @cached_property
    def valid_from(self) -> float:
        """Seconds since 1970; the moment it was said where it does not tell."""
        moment = self.content.moment("valid_from")
        if moment is None:
            moment = self.content.moment("start_time")
        return self.said.time if moment is None else moment

    @cached_property
    def actuators(self) -> dict[str, Actuator]:
        """The actuators of a system description by their ids; that of OMBC has the id ``""``."""
        if self.said.message_type == "OMBC.SystemDescription":
            return {"": _actuator(self.content)}
        return {
            actuator_id: _actuator(part)
            for part in self.content.parts("actuators")
            if (actuator_id := part.text("id")) is not None
        }


def _actuator(part: Part) -> Actuator:
    modes = {mode.text("id") or mode.text("Id"): mode for mode in part.parts("operation_modes")}
    timers = {timer.text("id"): timer for timer in part.parts("timers")}
    return Actuator(
        part,
        {name: mode for name, mode in modes.items() if name is not None},
        list(part.parts("transitions")),
        {name: timer for name, timer in timers.items() if name is not None},
    )


@dataclass
class Held:
    """The messages of one type that one side has given, oldest first.

    ``doubt`` says why references to them cannot be checked, empty when they can.
    """

    given: list[Given] = field(default_factory=list)
    doubt: str = ""

    def add(self, said: Said) -> None:
        """A new one was said."""
        self.given.append(Given(said))
        del self.given[:-MAX_HELD]
        self.doubt = "" if said.valid else f"{said.name(said.time)} is not valid"

    def answered(self, message_id: str, status: str) -> None:
        """Its receiver answered one of them."""
        for given in self.given:
            if given.said.message_id == message_id:
                given.answer = status
                if status != "OK":
                    kind = given.said.message_type
                    self.doubt = f"the last {kind} was answered with {status}"

    def revoke(self, object_id: str) -> Given | None:
        """Take one out of force, by its ``id``, or by its message_id where it has none."""
        for given in reversed(self.given):
            if object_id in (given.content.text("id"), given.said.message_id):
                given.revoked = True
                return given
        return None

    def referable(self, now: float) -> Iterator[Given]:
        """Those that may be referred to at ``now`` (seconds since 1970), newest first.

        One whose time has not come yet may be referred to, by what is to happen in its time.
        """
        for given in reversed(self.given):
            if given.revoked or given.answer not in (None, "OK"):
                continue
            yield given
            if given.answer == "OK" and given.valid_from <= now:
                return  # what came before is replaced, and both sides know

    def by_id(self, object_id: str) -> Given | None:
        """The newest with this ``id``, in force or not."""
        for given in reversed(self.given):
            if given.content.text("id") == object_id:
                return given
        return None
