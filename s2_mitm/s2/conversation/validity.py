"""What is in force: descriptions, constraints and profiles, and what they say can be referred to.

A description counts from its ``valid_from``; a later one replaces it from its own. What its
receiver refused is not in force. The two sides do not learn of a change at the same moment: until
the receiver has answered a newer description, it may still go by the older one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from s2_mitm.s2.catalog import MESSAGE_TYPES, Thing
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.wording import quoted

MAX_DESCRIPTIONS = 48
MAX_DESCRIPTIONS_SIZE = 512 * 1024
"""Messages of one type that are held, and their bytes on the wire; older ones are forgotten."""


@dataclass(frozen=True)
class Actuator:
    """What can be driven: an actuator of FRBC or DDBC, or the whole device of OMBC."""

    part: Part
    modes: dict[str, Part]
    transitions: dict[tuple[str, str], list[Part]]
    """By the modes that they lead from and to."""
    timers: dict[str, Part]

    @cached_property
    def leading_to(self) -> dict[str, list[Part]]:
        """The transitions that lead to each mode from another one."""
        leading: dict[str, list[Part]] = {}
        for (start, end), transitions in self.transitions.items():
            if start != end:
                leading.setdefault(end, []).extend(transitions)
        return leading

    def started_by(self, start: str, end: str) -> dict[str, float]:
        """The timers that the transition between two modes starts, with their seconds.

        Where there are several, those that each of them starts.
        """
        transitions = self.transitions.get((start, end), ())
        by_each = [set(transition.texts("start_timers")) for transition in transitions]
        started = {}
        for timer in set.intersection(*by_each) if by_each else ():
            duration = self.timers[timer].number("duration") if timer in self.timers else None
            if duration is not None:
                started[timer] = duration / 1000
        return started


class Ranges:
    """Ranges of numbers; whether one lies in any of them is found fast, however many there are."""

    def __init__(self, ranges: Iterable[tuple[float, float]]) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted((min(pair), max(pair)) for pair in ranges):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, value: float) -> bool:
        index = bisect_right(self._starts, value) - 1
        return index >= 0 and value <= self._ends[index]

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Without overlaps, the lowest first."""
        return zip(self._starts, self._ends, strict=True)


@dataclass
class Description:
    """What the RM describes of itself for a while: its system, its constraints, or a profile.

    ``answer`` is the status it was answered with, ``answered_at`` when that was, on the clock that
    nobody sets, ``revoked`` what revoked it.
    """

    message: Message
    answer: str | None = None
    answered_at: float = 0.0
    revoked: Message | None = None

    @property
    def content(self) -> Part:
        return self.message.content

    @property
    def refused(self) -> bool:
        return self.answer not in (None, "OK")

    @cached_property
    def valid_from(self) -> float:
        """Seconds since 1970; the moment it was said where it does not tell."""
        beginning, _ = self._period
        moment = self.content.moment(beginning) if beginning else None
        return self.message.time if moment is None else moment

    @cached_property
    def valid_until(self) -> float | None:
        """Seconds since 1970; None where it does not tell."""
        _, end = self._period
        return self.content.moment(end) if end else None

    @property
    def _period(self) -> tuple[str | None, str | None]:
        """The fields with the beginning and the end."""
        return MESSAGE_TYPES[self.message.message_type].period or (None, None)

    @cached_property
    def limits(self) -> dict[str, dict[tuple[str, bool], Ranges]] | None:
        """What power constraints allow: by quantity, limit type, and abnormal_condition_only.

        None when any of it cannot be read.
        """
        stated = self.content.value.get("allowed_limit_ranges")
        found: dict[str, dict[tuple[str, bool], list[tuple[float, float]]]] = {}
        read = 0
        for part in self.content.parts("allowed_limit_ranges"):
            quantity, kind = part.text("commodity_quantity"), part.text("limit_type")
            ends, abnormal = part.range("range_boundary"), part.flag("abnormal_condition_only")
            if quantity is None or kind is None or ends is None or abnormal is None:
                return None
            found.setdefault(quantity, {}).setdefault((kind, abnormal), []).append(ends)
            read += 1
        if not isinstance(stated, list) or read < len(stated):
            return None
        return {
            quantity: {key: Ranges(ranges) for key, ranges in kinds.items()}
            for quantity, kinds in found.items()
        }

    @cached_property
    def containers(self) -> dict[str, dict[str, Part]]:
        """The sequences of a power profile, by the id of their container and by their own."""
        return {
            container_id: {
                sequence_id: sequence
                for sequence in container.parts("power_sequences")
                if (sequence_id := sequence.text("id")) is not None
            }
            for container in self.content.parts("power_sequences_containers")
            if (container_id := container.text("id")) is not None
        }

    @cached_property
    def shortest_after(self) -> dict[str, float]:
        """How long a power profile takes at least (seconds) after each container, by its id.

        Empty where a container or a duration cannot be read.
        """
        after: dict[str, float] = {}
        rest = 0.0
        for container, sequences in reversed(self.containers.items()):
            durations = [duration_of(sequence) for sequence in sequences.values()]
            read = [duration for duration in durations if duration is not None]
            if not read or len(read) < len(durations):
                return {}
            after[container] = rest
            rest += min(read)
        return after

    @cached_property
    def fill_levels(self) -> tuple[float, float] | None:
        """The range in which the fill level of an FRBC storage should remain."""
        storage = self.content.part("storage")
        return storage.range("fill_level_range") if storage else None

    @cached_property
    def fastest_filling(self) -> float:
        """How much the fill level of an FRBC storage changes a second, at most, by its actuators.

        As fast as it fills it may be used, too.
        """
        fastest = 0.0
        for actuator in self.actuators.values():
            rates = (
                element.range("fill_rate")
                for mode in actuator.modes.values()
                for element in mode.parts("elements")
            )
            fastest += max((max(map(abs, rate)) for rate in rates if rate), default=0.0)
        return fastest

    @cached_property
    def actuators(self) -> dict[str, Actuator]:
        """The actuators of a system description by their ids.

        Where the whole device is one actuator (OMBC), that has the id ``""``.
        """
        if Thing.ACTUATOR not in MESSAGE_TYPES[self.message.message_type].contains:
            return {"": _actuator(self.content)}
        return {
            actuator_id: _actuator(part)
            for part in self.content.parts("actuators")
            if (actuator_id := part.text("id")) is not None
        }

    @cached_property
    def mode_powers(self) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
        """The least and the most power of each operation mode, at whatever fill level.

        By actuator, operation mode and commodity quantity.
        """
        return {
            actuator_id: {mode_id: _powers(mode) for mode_id, mode in actuator.modes.items()}
            for actuator_id, actuator in self.actuators.items()
        }


def duration_of(sequence: Part) -> float | None:
    """How long a power sequence takes, in seconds; None where that cannot be read."""
    total = 0.0
    for element in sequence.parts("elements"):
        duration = element.number("duration")
        if duration is None:
            return None
        total += duration / 1000
    return total


@dataclass
class ContainerProgress:
    """How far a container of a power profile has come.

    ``scheduled`` and ``interrupted`` are the latest instructions for it. ``status``, ``selected``
    and ``progress`` (in seconds) are what the RM said of it last, in the message ``said``, of which
    the content is not kept. ``began`` is when the sequence began to run at the earliest (seconds
    since 1970), ``paused`` says that it was interrupted since, and ``finished`` is the first
    message that said that it is finished, without content.
    """

    scheduled: Message | None = None
    interrupted: Message | None = None
    status: str | None = None
    selected: str | None = None
    progress: float | None = None
    said: Message | None = None
    began: float | None = None
    paused: bool = False
    finished: Message | None = None

    def report(self, part: Part, said: Message) -> None:
        """The RM says how far it has come."""
        selected, milliseconds = part.text("selected_sequence_id"), part.number("progress")
        if selected != self.selected:
            self.start_anew()
        self.selected, self.said, self.status = selected, said, part.text("status")
        self.progress = None if milliseconds is None else milliseconds / 1000
        self.finished = (self.finished or said) if self.status == "FINISHED" else None
        if self.status in ("EXECUTING", "INTERRUPTED"):
            self.paused = self.paused or self.status == "INTERRUPTED"
            began = said.time - (self.progress or 0)
            self.began = began if self.began is None else min(self.began, began)

    def start_anew(self) -> None:
        """Another sequence runs now, or the same once more."""
        self.progress, self.began, self.paused, self.finished = None, None, False, None


def _powers(mode: Part) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for part in (mode, *mode.parts("elements")):
        for power in part.parts("power_ranges"):
            quantity = power.text("commodity_quantity")
            start, end = power.number("start_of_range"), power.number("end_of_range")
            if quantity is not None and start is not None and end is not None:
                low, high = found.get(quantity, (start, start))
                found[quantity] = min(low, start, end), max(high, start, end)
    return found


def _actuator(part: Part) -> Actuator:
    modes = {mode.identifier: mode for mode in part.parts("operation_modes")}
    timers = {timer.identifier: timer for timer in part.parts("timers")}
    transitions: dict[tuple[str, str], list[Part]] = {}
    for transition in part.parts("transitions"):
        start, end = transition.text("from"), transition.text("to")
        if start is not None and end is not None:
            transitions.setdefault((start, end), []).append(transition)
    return Actuator(
        part,
        {name: mode for name, mode in modes.items() if name is not None},
        transitions,
        {name: timer for name, timer in timers.items() if name is not None},
    )


@dataclass
class Descriptions:
    """The messages of one type that one side has given, oldest first.

    ``doubt`` says why references to them cannot be checked, empty when they can.
    """

    all: list[Description] = field(default_factory=list)
    doubt: str = ""
    forgotten: bool = False
    """Whether there were more than are held."""

    def add(self, message: Message) -> None:
        """A new one was said."""
        self.all.append(Description(message))
        while len(self.all) > 1 and (
            len(self.all) > MAX_DESCRIPTIONS
            or sum(given.message.size for given in self.all) > MAX_DESCRIPTIONS_SIZE
        ):
            del self.all[0]
            self.forgotten = True
        self.doubt = "" if message.valid else f"{message.name(message.time)} is not valid"

    def answered(self, message_id: str, status: str, at: float) -> None:
        """Its receiver answered one of them."""
        for given in self.all:
            if given.message.message_id == message_id:
                given.answer = status
                given.answered_at = at
                if status != "OK" and given is self.all[-1]:
                    kind = given.message.message_type
                    self.doubt = f"the last {kind} was answered with {quoted(status)}"

    def named(self, object_id: str) -> Description | None:
        """The newest with this id, in force or not: its ``id`` or its message_id."""
        for given in reversed(self.all):
            if object_id in (given.content.text("id"), given.message.message_id):
                return given
        return None

    def referable(self, now: float) -> Iterator[Description]:
        """Those that may be referred to at ``now`` (seconds since 1970), newest first.

        One whose time has not come yet may be referred to, by what is to happen in its time.
        """
        for given in reversed(self.all):
            if given.revoked or given.refused:
                continue
            yield given
            if given.answer == "OK" and given.valid_from <= now:
                return  # what came before is replaced, and both sides know

    def by_id(self, object_id: str) -> Description | None:
        """The newest with this ``id``, in force or not."""
        for given in reversed(self.all):
            if given.content.text("id") == object_id:
                return given
        return None
