"""What one RM and one CEM have said to each other so far, and what of it is in force.

Rules are given this, and read it. Only `Judge`, and `Listener`, change it: with each message that
was delivered (`take_in`), and with the time that passes. Everything that is remembered is bounded,
whatever the peers do and however long they talk.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from s2_mitm.s2.catalog import (
    BEGIN_WITH_HANDSHAKE,
    CONTROL_TYPES,
    DEFAULT_VERSION,
    DESCRIPTIONS,
    FINAL_STATUSES,
    ID_FIELDS,
    IN_FORCE,
    INSTRUCTIONS,
    MESSAGE_TYPES,
    MODE_STATUSES,
    NOT_ANSWERED,
    TELLING,
    TIMER_STATUSES,
    VERSIONS,
    WITH_OWN_MESSAGES,
    State,
    closest_version,
    control_type_of,
    earliest_state,
    known_version,
    only_sender,
    with_type,
)
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.conversation.timestamps import Timestamps
from s2_mitm.s2.conversation.validity import ContainerProgress, Description, Descriptions
from s2_mitm.s2.message.explaining import nearest
from s2_mitm.s2.message.validation import fitting
from s2_mitm.s2.verdict import Answer, Role
from s2_mitm.s2.wording import printable

MAX_UNANSWERED = 1000
"""Messages remembered while their ReceptionStatus is due; a peer may never answer."""

MAX_INSTRUCTIONS = 1000
"""Instructions remembered, the latest."""

MAX_INSTRUCTION_SIZE = 16 * 1024
"""Bytes. Of a larger instruction only is remembered that there was one."""

MAX_MEASUREMENT_SIZE = 16 * 1024
"""Bytes. A larger PowerMeasurement is not remembered."""

MAX_FORECAST_SIZE = 16 * 1024
"""Bytes. A larger forecast is not remembered."""

MAX_IDS = 2000
"""Ids remembered of each kind and side, the latest, to see one come again."""

MAX_ENVELOPES = 10
"""Power envelopes whose ids are remembered of one instruction; it may have no more."""

MAX_SELECTIONS = 16
"""Selections of a control type remembered while their answer is due."""

LATE = 1.0
"""Seconds after its time in which an answer is late; after that it is missing."""

MAX_TIMERS = 1000
"""Running timers and active modes remembered."""

MAX_PLANS = 100
MAX_PLANNED = 50
LAST_PLANNED = 3
"""Actuators whose instructions are remembered in order, and how many of each: the latest that are
not over, and the last few, over or not."""

FOLLOWED = frozenset({"ResourceManagerDetails", "SelectControlType", "SessionRequest"})
"""The messages after which others, or the end, are to follow, though no text says how soon."""

BEGINNING = frozenset({"Handshake", "HandshakeResponse"})
"""The messages by which two sides agree on a version."""

FORECASTS = frozenset(
    {
        "PowerForecast",
        "FRBC.UsageForecast",
        "FRBC.FillLevelTargetProfile",
        "DDBC.AverageDemandRateForecast",
    }
)
"""What is about a time that begins at start_time and is as long as its elements."""

NOTHING = Part({})
"""In place of what a message said, where only that it was said is remembered."""

UNREADABLE = Part({})
"""In place of what nobody could read."""

Key = TypeVar("Key", bound=str | tuple[str, str])
Value = TypeVar("Value")

LABEL_LENGTH = 100
"""Characters kept of a name or id that a peer gives; it may be as long as a message."""


class _Evidence(IntEnum):
    """How the roles became known; what is stronger corrects what is weaker."""

    ASSUMED = 0
    OPTION = 1
    MESSAGE_TYPE = 2
    HANDSHAKE = 3


@dataclass
class Instruction:
    """An instruction and how far it came. ``message`` is the one that gave it.

    ``since`` is when it came to its status, on the clock that nobody sets, ``told`` what said so,
    without content, and ``dated`` when that was by the RM (seconds since 1970); ``answer`` is the
    status that message was answered with, and ``answered_at`` when; ``revoked`` is what revoked it,
    and ``revocation_accepted`` says that the RM has answered that with OK; ``doubled`` says that
    its id was given again, so that it is unknown whose a status is.
    """

    message: Message
    status: str | None = None
    since: float = 0.0
    told: Message | None = None
    dated: float | None = None
    answer: str | None = None
    answered_at: float = 0.0
    revoked: Message | None = None
    revocation_accepted: bool = False
    doubled: bool = False

    @property
    def family(self) -> str | None:
        return control_type_of(self.message.message_type)

    @property
    def refused(self) -> bool:
        return self.answer not in (None, "OK")

    @property
    def target(self) -> str:
        """What it instructs; the next instruction with this target takes its place."""
        content = self.message.content
        part = content.text("actuator_id") or content.text("sequence_container_id") or ""
        return f"{self.message.message_type} {part}"


class _Said(NamedTuple):
    """What was said under an id: since which selection, and hashes of it with and without times."""

    selection: int
    words: int
    timeless: int


@dataclass(frozen=True, slots=True)
class Active:
    """The active operation mode of an actuator, and the status that said so, without content.

    ``first`` is the first status that said so, and none in between said otherwise; ``previous``
    and ``switched`` are the mode before and the moment of the switch (seconds since 1970), and
    ``factor`` is the operation_mode_factor, each None where the status does not tell.
    """

    mode: str
    message: Message
    first: Message
    previous: str | None = None
    switched: float | None = None
    factor: float | None = None


class TimerState(NamedTuple):
    """When a timer is finished, in seconds since 1970, and the status that shows it, without
    content.

    ``started`` is whether that is the status of an actuator, whose transition started the timer.
    """

    finished: float
    message: Message
    started: bool = False


@dataclass(slots=True)
class UnderControl:
    """What was said since a control type was selected; each field as `Conversation` has it."""

    selection: Message | None
    active_modes: OrderedDict[str, Active] = field(default_factory=OrderedDict)
    timers: OrderedDict[tuple[str, str], TimerState] = field(default_factory=OrderedDict)
    descriptions: dict[str, Descriptions] = field(default_factory=dict)
    instructions: OrderedDict[str, Instruction] = field(default_factory=OrderedDict)
    instructions_by_message: OrderedDict[str, Instruction] = field(default_factory=OrderedDict)
    latest_instructions: OrderedDict[str, Instruction] = field(default_factory=OrderedDict)
    plans: OrderedDict[str, list[str]] = field(default_factory=OrderedDict)
    progress: OrderedDict[tuple[str, str], ContainerProgress] = field(default_factory=OrderedDict)
    fill_level: float | None = None
    storage_status: Message | None = None


class Conversation:
    """What one RM and one CEM have said to each other so far.

    One of the two is the WebSocket client. Until a message tells which, the client is taken to
    be the RM, as it mostly is. ``from_start`` is False where the beginning may have been missed,
    ``bearer`` True where the WebSocket was opened with a bearer token: then it may be one of S2
    Connect, on which there is no handshake.
    """

    def __init__(
        self, settings: Settings | None = None, *, from_start: bool = True, bearer: bool = False
    ) -> None:
        self.settings = settings or Settings()
        self.client_role = self.settings.client_role or Role.RM
        self._evidence = _Evidence.OPTION if self.settings.client_role else _Evidence.ASSUMED
        self.from_start = from_start
        self.bearer = bearer

        self.changes = 0
        """Counts up whenever one of the following may have changed."""
        # Asked for with every message, so worked out when they change (see `_settle`).
        self.versions: tuple[str, ...] = VERSIONS
        """The versions that may be spoken, of those that the catalog names, the likeliest first.

        One once the handshake, the user or a message tells; until then only that is wrong which is
        wrong in each.
        """
        self.resource_id: str | None = None
        self.resource_name: str | None = None
        self.control_type: str | None = None
        """The control type that the CEM selected last, as it stands on the wire."""
        self.family: str | None = None
        """PEBC, PPBC, OMBC, FRBC or DDBC while it is active."""

        self.handshakes: dict[Role, Message] = {}
        self.response: Message | None = None
        self.refused_handshakes: set[int] = set()
        """The numbers of those of these that were refused: the next is no second one."""
        self.selected_version: str | None = None
        self._agreed: str | None = None
        """The selected version, where it is known and the RM offered it."""
        self._fitting: str | None = None
        """The only version that the first message which told versions apart fitted."""
        self.details: Message | None = None
        self.before_details: Message | None = None
        """The details before these, until the CEM has said OK to these."""
        self.details_answer: str | None = None
        """The status with which the CEM has answered these."""
        self.selection: Message | None = None
        self._ending_families: OrderedDict[int, str] = OrderedDict()
        """The families that selections ended, by their numbers, until the RM has answered."""
        self.selection_refused: float | None = None
        """When the RM has refused a selection last, by ``monotonic``."""
        self.ending: Message | None = None
        self.given_up: dict[Role, Message] = {}
        """The first PERMANENT_ERROR of each side, without content."""
        self.missed_handshake = False
        """Whether the conversation came further without the handshake that leads there."""
        self.began_with_details = False
        """Whether it did so with the RM's details: these come first where there is no handshake, so
        that nothing was missed that matters."""

        self.descriptions: dict[str, Descriptions] = {}
        self.instructions: OrderedDict[str, Instruction] = OrderedDict()
        """By their ids, and the same by their message_ids, and the latest for each target."""
        self.instructions_by_message: OrderedDict[str, Instruction] = OrderedDict()
        self.latest_instructions: OrderedDict[str, Instruction] = OrderedDict()
        self.former_instructions: OrderedDict[str, None] = OrderedDict()
        """The ids of the latest instructions that ended with their control type."""
        self.envelopes: OrderedDict[str, Message] = OrderedDict()
        """The instructions that gave the latest power envelopes, by the ids of these, without their
        content. They stay for the whole session, as those ids must."""
        self.plans: OrderedDict[str, list[str]] = OrderedDict()
        """The ids of the instructions for each actuator, in the order in which they came."""
        self._revoking: OrderedDict[tuple[Role, str], Description | Instruction] = OrderedDict()
        """What was revoked, by sender and message_id of the RevokeObject, until it is answered."""
        self.active_modes: OrderedDict[str, Active] = OrderedDict()
        """The active operation mode of each actuator; that of OMBC has the id ``""``."""
        self.progress: OrderedDict[tuple[str, str], ContainerProgress] = OrderedDict()
        """How far each container of each power profile has come, by the ids of both."""
        self.timers: OrderedDict[tuple[str, str], TimerState] = OrderedDict()
        """The timers of each actuator that were started, by its id and theirs."""
        self.fill_level: float | None = None
        """The fill level of an FRBC storage by its last status; None where that is not known."""
        self.storage_status: Message | None = None
        """That status, without content."""
        self.measurement: Message | None = None
        """The latest PowerMeasurement."""
        self.forecasts: dict[str, Message] = {}
        """The latest of each of ``FORECASTS``."""
        self.timestamps = Timestamps()
        """What the RM says of when something happened, beside when it said so."""
        self.said: dict[str, float] = {}
        """When the latest message of each type came, by ``monotonic``."""
        self.last: dict[Role, tuple[int, str | None]] = {}
        """The number and the message_id of the last message of each side."""
        self._accepted: dict[str, int] = {}
        """The number of the latest message that was answered with OK, by its type, of those after
        which something is to follow."""
        self.over = False
        """Whether the connection is closed."""
        self._resumed = 0.0
        """When a message that was held back went on, by ``monotonic``, the latest."""
        self.unanswered: OrderedDict[tuple[Role, str], Message] = OrderedDict()
        self.overdue: OrderedDict[tuple[Role, str], Message] = OrderedDict()
        self.answered: OrderedDict[tuple[Role, str], Message] = OrderedDict()
        """Messages whose answer is due, is late, or was given."""
        self._ended: UnderControl | None = None
        """What the selection of a control type ended, until the RM has answered it."""
        self._message_ids: dict[Role, OrderedDict[str, None]] = {
            role: OrderedDict() for role in Role
        }
        self._ids: OrderedDict[str, _Said | None] = OrderedDict()
        self.undelivered: set[str] = set()
        """The types of messages that came and were not delivered, or came with a message_type that
        was misspelt, until one of the type is delivered."""
        self.unclear: set[str] = set()
        """The types of messages of which one came that later ones may refer to in ways that nobody
        can tell: misspelt, or without a readable id."""
        self._undelivered_ids: OrderedDict[str, None] = OrderedDict()
        self._answered_in_vain: OrderedDict[tuple[Role, str], None] = OrderedDict()
        """Messages whose answer is due and was given, but not delivered, or wrongly."""
        self._answered_up_to: dict[Role, int] = dict.fromkeys(Role, 0)
        """The number of the latest message of each side that was answered."""
        self.nameless: set[Role] = set()
        """The sides that sent a message whose message_id nobody can read."""
        self._came_twice: OrderedDict[tuple[Role, str], None] = OrderedDict()
        """Messages whose message_id came again before the first was answered."""
        self.closed_by: str | None = None
        """Who closed the connection first, RM, CEM or proxy; None where nobody knows."""

        self.unreadable: dict[Role, float] = {}
        """When each side has last sent something that could not be read, by ``monotonic``."""
        self.now = 0.0
        """The time of what is being judged, in seconds since 1970: what stands on the wire is
        compared with it."""
        self.monotonic = 0.0
        """The same in seconds of a clock that nobody sets: what is due is due by it."""
        self._set_back = 0.0
        """Seconds by which recorded times were set back so far."""
        self._settle()

    # What rules ask

    @property
    def version(self) -> str | None:
        """The version that is spoken, one that the catalog names; None while that is not known."""
        return self.versions[0] if len(self.versions) == 1 else None

    @property
    def needs_handshake(self) -> bool:
        """Whether this version begins with a handshake; with S2 Connect it is done before."""
        return not self.bearer and (self.version or DEFAULT_VERSION) in BEGIN_WITH_HANDSHAKE

    @property
    def state(self) -> State:
        """How far the conversation has come."""
        if self.family is not None:
            return State.CONTROLLED
        if self.response is not None or self.selection is not None or self.missed_handshake:
            return State.INITIALISED
        if not self.needs_handshake and not self.handshakes:
            return State.INITIALISED
        return State.SHAKEN if len(self.handshakes) == len(Role) else State.CONNECTED

    def lacks_handshake(self, message: Message) -> bool:
        """Whether the conversation went on without the handshake, with this message at the latest.

        Or without the selection of a control type, where the beginning may have been missed.
        """
        if self.missed_handshake:
            return not self.began_with_details
        state = self.state
        return state < earliest_state(message.message_type, message.sender) and (
            state < State.INITIALISED or not self.from_start
        )

    def saw_beginning(self, message: Message) -> bool:
        """Whether everything was seen that a message may refer to."""
        return self.from_start or (bool(self.handshakes) and not self.lacks_handshake(message))

    def descriptions_of(self, message_type: str) -> Descriptions:
        """What was given by messages of this type."""
        return self.descriptions.get(message_type) or Descriptions()

    def referable(self, message_type: str, now: float) -> list[Description]:
        """The messages of a type that may be referred to at ``now``, newest first."""
        return list(self.descriptions_of(message_type).referable(now))

    def answer(self, message: Message, subject_message_id: str | None) -> Answer | None:
        """What a ReceptionStatus answers; None where that was not seen, or has its answer."""
        status = _label(message, "status")
        if subject_message_id is None or status is None:
            return None
        key = (message.sender.other, subject_message_id)
        subject = self.unanswered.get(key) or self.overdue.get(key)
        if subject is None:
            return None
        delay = message.monotonic - subject.monotonic
        return Answer(message.sender.other, subject_message_id, status, delay * 1000)

    def remembers_id(self, identifier: str) -> bool:
        """Whether an instruction, constraints or a profile had this id, among the latest."""
        return identifier in self._ids

    def said_the_same(self, message: Message, identifier: str) -> bool:
        """Whether these constraints, or this profile, were said before, in the same words.

        The words do not count that say when they hold, where another selection lies between: the
        RM then has to say them again.
        """
        before, now = self._ids.get(identifier), self._said(message)
        if before is None or now is None:
            return False
        if before.selection != now.selection:
            return before.timeless == now.timeless
        return before.words == now.words

    def _said(self, message: Message) -> _Said | None:
        """Constraints, or a profile, to be compared with what is said later."""
        row = MESSAGE_TYPES[message.message_type]
        if not row.in_force:
            return None
        times = (*(row.period or ()), "message_id")
        content = message.content.value
        words = {name: value for name, value in content.items() if name != "message_id"}
        timeless = {name: value for name, value in content.items() if name not in times}
        number = self.selection.number if self.selection else 0
        return _Said(
            number,
            hash(json.dumps(words, sort_keys=True)),
            hash(json.dumps(timeless, sort_keys=True)),
        )

    def remembers_message(self, sender: Role, message_id: str) -> bool:
        """Whether a message of this side had this message_id, among the latest."""
        return message_id in self._message_ids[sender]

    def was_not_delivered(self, identifier: str) -> bool:
        """Whether this id, or message_id, was given by a message that was not delivered.

        Or by one whose message_type was misspelt: its receiver may not have understood it.
        """
        return identifier in self._undelivered_ids

    def came_twice(self, key: tuple[Role, str]) -> bool:
        """Whether two messages have this sender and message_id, so that each may be answered."""
        return key in self._came_twice

    def thing_with_id(self, identifier: str) -> Instruction | Description | None:
        """The instruction, description or the like that has this id of its own."""
        if identifier in self.instructions:
            return self.instructions[identifier]
        found = (held.by_id(identifier) for held in self.descriptions.values())
        return next((given for given in found if given is not None), None)

    def skipped(self, message: Message) -> bool:
        """Whether the receiver of a message has answered a later one."""
        return self._answered_up_to[message.sender] > message.number

    def may_have_said(self, message_type: str, since: Message | None) -> bool:
        """Whether such a message may have come since another one, though none is known.

        It was not delivered, or misspelt, or it may be what could not be read. ``since`` is the
        latest that is known, None where there is none.
        """
        if message_type in self.undelivered:
            return True
        sender = only_sender(message_type)
        return any(
            since is None or moment >= since.monotonic
            for role, moment in self.unreadable.items()
            if sender in (None, role)
        )

    def selected_nothing_known(self) -> bool:
        """Whether the CEM selected a control type that nobody knows, which has a finding then."""
        return self.selection is not None and self.control_type not in CONTROL_TYPES

    @property
    def before_selection(self) -> str | None:
        """The family that was active before the selection, until the RM has answered that."""
        return next(iter(self._ending_families.values()), None)

    def may_go_on_with(self, family: str | None) -> bool:
        """Whether the RM may not know yet that a selection has ended this family."""
        return family in self._ending_families.values()

    def awaiting(self) -> list[Message]:
        """The messages after which something is to follow, though no text says how soon.

        Those that their receivers accepted; the last one where both sides wait for an answer; and
        the latest forecasts, which others are to replace.
        """
        each = self.details, self.selection, self.ending
        awaiting = [message for message in each if message is not None and self.accepted(message)]
        return awaiting + self.stalled()[1:] + list(self.forecasts.values())

    def accepted(self, message: Message) -> bool:
        """Whether one of the messages after which something is to follow was answered with OK."""
        return self._accepted.get(message.message_type) == message.number

    def stalled(self) -> list[Message]:
        """The last messages of both sides, in order, while neither is answered; else none."""
        both: list[Message] = []
        for role, (number, message_id) in self.last.items():
            key = role, message_id or ""
            message = self.unanswered.get(key) or self.overdue.get(key)
            if message is None or message.number != number or key in self._answered_in_vain:
                return []
            both.append(message)
        return sorted(both, key=lambda message: message.number) if len(both) == len(Role) else []

    def waited(self, since: Message) -> float:
        """The seconds since a message in which others could have followed."""
        return self.monotonic - max(since.monotonic, self._resumed)

    # What changes it

    def it_is(self, time: float, monotonic: float | None) -> None:
        """Time has passed.

        Takes seconds since 1970, and seconds of a clock that nobody sets, None where there is
        only the former.
        """
        self.now = time
        if monotonic is None:
            # What is recorded has one time: while that was set back, the other stands still.
            self._set_back = max(self._set_back, self.monotonic - time)
            monotonic = time + self._set_back
        if monotonic > self.monotonic:
            self.monotonic = monotonic

    def learn_roles(
        self, message_type: str | None, content: Mapping[str, Any], *, from_client: bool
    ) -> None:
        """Who the WebSocket client is shows in what each side says, delivered or not."""
        if self.settings.senders_given:
            return
        sender, evidence = only_sender(message_type), _Evidence.MESSAGE_TYPE
        if message_type == "Handshake":
            role = content.get("role")
            if isinstance(role, str) and role in set(Role):
                sender, evidence = Role(role), _Evidence.HANDSHAKE
        if sender and evidence > self._evidence:
            before = self.client_role
            self.client_role = sender if from_client else sender.other
            self._evidence = evidence
            if self.client_role is not before:
                self._swap_roles()

    def overdue_now(self) -> list[Message]:
        """The messages whose answer has become overdue; from now on it would be late."""
        late: list[Message] = []
        while self.unanswered:
            key, message = next(iter(self.unanswered.items()))
            if self.monotonic - message.monotonic < self.settings.ack_timeout + LATE:
                break
            del self.unanswered[key]
            _put(self.overdue, key, message, MAX_UNANSWERED)
            if key not in self._answered_in_vain:
                late.append(message)
        return late

    def unanswered_at_the_end(self) -> list[Message]:
        """The messages that nobody has answered, though it was not due yet."""
        return [
            message for key, message in self.unanswered.items() if key not in self._answered_in_vain
        ]

    def stood_still(self, since: float, until: float) -> None:
        """A message was held back for so long, and all behind it: no answer could come."""
        self._resumed, seconds = until, until - since
        for key, message in self.unanswered.items():
            self.unanswered[key] = message._replace(monotonic=message.monotonic + seconds)

    def end(self) -> None:
        """It is over: no answer will come any more."""
        self.unanswered.clear()

    def _swap_roles(self) -> None:
        """Who was taken for the one was the other."""
        for noted in (self._answered_in_vain, self._came_twice):
            keys = [(role.other, message_id) for role, message_id in noted]
            noted.clear()
            noted.update(dict.fromkeys(keys))
        for awaited in (self.unanswered, self.overdue, self.answered):
            turned = {
                (role.other, message_id): message._replace(sender=role.other)
                for (role, message_id), message in awaited.items()
            }
            awaited.clear()
            awaited.update(turned)
        self.handshakes = {
            role.other: message._replace(sender=role.other)
            for role, message in self.handshakes.items()
        }
        self.unreadable = {role.other: time for role, time in self.unreadable.items()}
        self.nameless = {role.other for role in self.nameless}
        self.given_up = {
            role.other: message._replace(sender=role.other)
            for role, message in self.given_up.items()
        }
        self._answered_up_to = {role: self._answered_up_to[role.other] for role in Role}
        self.last = {role.other: last for role, last in self.last.items()}
        self._message_ids = {role: self._message_ids[role.other] for role in Role}

    def take_in(
        self, message: Message, answer: Answer | None = None, monotonic: float | None = None
    ) -> None:
        """A message was delivered: keep what later ones are understood by.

        Parts of it may be wrong. ``answer`` is what `answer` gives for it, and ``monotonic`` when
        it was delivered, None where that was when it came.
        """
        if message.content is UNREADABLE:
            self.unreadable[message.sender] = message.monotonic
            return
        content = message.content
        if message.message_type in MESSAGE_TYPES:
            self.said[message.message_type] = message.monotonic
        self.last[message.sender] = message.number, message.message_id
        self.undelivered.discard(message.message_type)
        if message.message_type not in MESSAGE_TYPES and not message.valid:
            self._take_as_meant(message)
        if self.family is None:  # later it is too late to miss it
            self._miss_handshake(message)
        # What is not its sender's to say has no effect.
        own = only_sender(message.message_type) in (None, message.sender)
        match message.message_type if own else "":
            case "Handshake":
                before = self.handshakes.get(message.sender)
                if before is None or before.number in self.refused_handshakes:
                    self.handshakes[message.sender] = message
            case "HandshakeResponse":
                self.response = message
                self._agree_on(_label(message, "selected_protocol_version"))
            case "ResourceManagerDetails":
                self.before_details = self.before_details or self.details
                self.details, self.details_answer = message, None
                self._settle()
            case "SelectControlType":
                self._select(message)
            case "SessionRequest":
                self.ending = message
            case "ReceptionStatus":
                if answer is not None:
                    self._answered(message, answer)
                else:
                    self._answer_wrongly(message)
            case "InstructionStatusUpdate":
                self._progress(message)
                self.timestamps.hear(message, "timestamp")
            case "RevokeObject":
                self._revoke(message)
            case message_type if message_type in MODE_STATUSES:
                self._activate(message)
            case message_type if message_type in TIMER_STATUSES:
                self._start_timer(message)
            case "FRBC.StorageStatus":
                self.fill_level = content.number("present_fill_level")
                self.storage_status = message._replace(content=NOTHING)
            case "PowerMeasurement":
                self.measurement = message if message.size <= MAX_MEASUREMENT_SIZE else None
                self.timestamps.hear(message, "measurement_timestamp")
            case message_type if message_type in FORECASTS:
                if message.size <= MAX_FORECAST_SIZE:
                    self.forecasts[message_type] = message
                else:
                    self.forecasts.pop(message_type, None)
            case "PPBC.PowerProfileStatus":
                light = message._replace(content=NOTHING)
                for part in content.parts("sequence_container_status"):
                    if progress := self._progress_of(part):
                        progress.report(part, light)
            case message_type if message_type in IN_FORCE:
                self.descriptions.setdefault(message_type, Descriptions()).add(message)
            case message_type if message_type in INSTRUCTIONS:
                since = message.monotonic if monotonic is None else monotonic
                self._instruct(message._replace(monotonic=since))
        if own and message.message_type in ID_FIELDS:
            object_id = content.text(ID_FIELDS[message.message_type])
            if object_id is not None:
                _put(self._ids, object_id, self._said(message), MAX_IDS)
            else:
                self.unclear.add(message.message_type)
        if len(self.versions) > 1 and message.message_type in TELLING:
            self._tell_versions_apart(message)
        self._await_answer(message, monotonic)

    def leave_out(self, message: Message, answer: Answer | None = None) -> None:
        """A message was not delivered: it changes nothing, but makes doubtful what it would have.

        Its sender goes by it, and its receiver does not know of it; neither is to blame for what
        follows. ``answer`` is what `answer` gives for it.
        """
        content, message_type = message.content, message.message_type
        if content is UNREADABLE or message_type not in MESSAGE_TYPES:
            return
        self.undelivered.add(message_type)
        if answer is not None:
            self._answer_in_vain((answer.sender, answer.message_id))
        self._make_doubtful(message, message_type, "was not forwarded")

    def _make_doubtful(self, message: Message, message_type: str, why: str) -> None:
        """What a message of this type would have changed is doubtful from now on."""
        content = message.content
        if message_type in IN_FORCE:
            doubtful = self.descriptions.setdefault(message_type, Descriptions())
            doubtful.doubt = f"{message.name(message.time)} {why}"
        if message_type in MODE_STATUSES:
            self._forget_mode(content)
        if message_type in TIMER_STATUSES:
            timer = content.text("actuator_id") or "", content.text("timer_id") or ""
            self.timers.pop(timer, None)
        object_id = content.text(ID_FIELDS.get(message_type, "message_id"))
        for identifier in (object_id, message.message_id):
            if identifier is not None:
                _put(self._undelivered_ids, identifier, None, MAX_IDS)

    def _take_as_meant(self, message: Message) -> None:
        """A message came with a type that S2 does not have; that has a finding.

        Its receiver may have read it as what was meant, or have ignored it: as with a message that
        was not delivered, nobody is to blame for what follows.
        """
        content = message.content
        subject_id = content.text("subject_message_id")
        if subject_id is not None:  # an answer
            self._answer_in_vain((message.sender.other, subject_id))
            return
        meant = nearest(message.message_type, MESSAGE_TYPES) if message.message_type else None
        if meant is None:
            self.unreadable[message.sender] = message.monotonic
            return
        self.undelivered.add(meant)
        self.unclear.add(meant)
        self._make_doubtful(message, meant, "has a message_type that S2 does not have")

    def _settle(self) -> None:
        """Work out what follows from what is known now."""
        self.changes += 1
        self.versions = self._possible_versions()
        self.resource_id = _label(self.details, "resource_id")
        self.resource_name = _label(self.details, "name")
        self.control_type = _label(self.selection, "control_type")
        family = CONTROL_TYPES.get(self.control_type or "")
        self.family = family if family in WITH_OWN_MESSAGES else None

    def _answer_in_vain(self, key: tuple[Role, str]) -> None:
        if key in self.unanswered or key in self.overdue:
            _put(self._answered_in_vain, key, None, MAX_UNANSWERED)

    def _answer_wrongly(self, message: Message) -> None:
        """An answer came that answers nothing; that has a finding.

        One message that awaits an answer will not get it: the one whose object is named, or else
        the one that has waited longest.
        """
        subject_id = message.content.text("subject_message_id")
        asker = message.sender.other
        if subject_id is not None and (
            (asker, subject_id) in self.answered or self.remembers_message(asker, subject_id)
        ):
            return
        thing = self.thing_with_id(subject_id) if subject_id else None
        if thing is not None and thing.message.message_id is not None:
            self._answer_in_vain((thing.message.sender, thing.message.message_id))
            return
        for key in self.unanswered:
            if key[0] is asker and key not in self._answered_in_vain:
                self._answer_in_vain(key)
                return

    def _possible_versions(self) -> tuple[str, ...]:
        told = self.settings.version if self.selected_version is None else self._agreed
        if told := told or self._fitting:
            return (told,)
        likeliest = closest_version(self.selected_version or DEFAULT_VERSION)
        return (likeliest, *(version for version in VERSIONS if version != likeliest))

    def _miss_handshake(self, message: Message) -> None:
        if not self.missed_handshake and self.lacks_handshake(message):
            self.missed_handshake = True
            self.began_with_details = (
                self.from_start and message.message_type == "ResourceManagerDetails"
            )

    def _agree_on(self, selected: str | None) -> None:
        """The CEM selects a version; one that the RM did not offer it need not speak."""
        self.selected_version, self._agreed = selected, known_version(selected or "")
        handshake = self.handshakes.get(Role.RM)
        offered = handshake.content.texts("supported_protocol_versions") if handshake else []
        if offered and all(known_version(each) != self._agreed for each in offered):
            self._agreed = None
        self._settle()

    def _handshake_refused(self, number: int) -> None:
        known = [*self.handshakes.values(), *([self.response] if self.response else [])]
        self.refused_handshakes = {
            message.number
            for message in known
            if message.number == number or message.number in self.refused_handshakes
        }

    def _tell_versions_apart(self, message: Message) -> None:
        versions = with_type(message.message_type, self.versions)
        if self.settings.schemas is None:
            versions = fitting(message.message_type, message.content.value, versions)
        if len(versions) == 1:
            self._fitting = versions[0]
            self._settle()

    def _await_answer(self, message: Message, monotonic: float | None) -> None:
        if message.message_type in NOT_ANSWERED:
            return
        if message.message_id is None:
            self.nameless.add(message.sender)
            return
        due_from = message.monotonic if monotonic is None else monotonic
        light = message._replace(content=NOTHING, monotonic=due_from)
        key = message.sender, message.message_id
        if key in self.unanswered:
            _put(self._came_twice, key, None, MAX_UNANSWERED)
        _put(self.unanswered, key, light, MAX_UNANSWERED)
        _put(self._message_ids[message.sender], message.message_id, None, MAX_IDS)

    def _select(self, message: Message) -> None:
        before = self.control_type
        if self.family is not None:
            self._ending_families[message.number] = self.family
            if len(self._ending_families) > MAX_SELECTIONS:
                self._ending_families.popitem(last=False)
        self._ended = ended = UnderControl(
            self.selection,
            self.active_modes,
            self.timers,
            self.descriptions,
            self.instructions,
            self.instructions_by_message,
            self.latest_instructions,
            self.plans,
            self.progress,
            self.fill_level,
            self.storage_status,
        )
        under_control = UnderControl(message)
        if _label(message, "control_type") == before:
            # The same control type again ends nothing that was described.
            under_control = replace(
                ended,
                selection=message,
                active_modes=under_control.active_modes,
                timers=under_control.timers,
                plans=under_control.plans,
            )
        else:
            for instruction_id in ended.instructions:
                _put(self.former_instructions, instruction_id, None, MAX_IDS)
        self._continue_with(under_control)

    def _selection_answered(self, answer: Message, subject: Message, status: str) -> None:
        for number in [number for number in self._ending_families if number <= subject.number]:
            del self._ending_families[number]
        if status != "OK":
            self.selection_refused = answer.monotonic
        if self.selection is None or subject.number != self.selection.number:
            return
        if status != "OK" and self._ended is not None:
            self._continue_with(self._ended)  # the RM goes on as before
        self._ended = None

    def _continue_with(self, under_control: UnderControl) -> None:
        self.selection = under_control.selection
        self.active_modes = under_control.active_modes
        self.timers = under_control.timers
        self.descriptions = under_control.descriptions
        self.instructions = under_control.instructions
        self.instructions_by_message = under_control.instructions_by_message
        self.latest_instructions = under_control.latest_instructions
        self.plans = under_control.plans
        self.progress = under_control.progress
        self.fill_level = under_control.fill_level
        self.storage_status = under_control.storage_status
        self._settle()

    def _progress_of(self, part: Part) -> ContainerProgress | None:
        """How far the container that is named here has come, from now on."""
        key = part.text("power_profile_id"), part.text("sequence_container_id")
        if key[0] is None or key[1] is None:
            return None
        progress = self.progress.get((key[0], key[1])) or ContainerProgress()
        _put(self.progress, (key[0], key[1]), progress, MAX_TIMERS)
        return progress

    def _instruct(self, message: Message) -> None:
        if progress := self._progress_of(message.content):
            if message.message_type == "PPBC.ScheduleInstruction":
                progress.scheduled = message
                progress.start_anew()
            elif message.message_type == "PPBC.StartInterruptionInstruction":
                progress.interrupted = message
        for part in islice(message.content.parts("power_envelopes"), MAX_ENVELOPES):
            envelope_id = part.text("id")
            if envelope_id is not None:
                light = message._replace(content=NOTHING)
                _put(self.envelopes, envelope_id, light, MAX_IDS)
        instruction_id = message.content.text("id")
        if instruction_id is None:
            return
        before = self.instructions.get(instruction_id)
        if before is not None and not before.refused:
            before.doubled = True
            return
        if message.size > MAX_INSTRUCTION_SIZE:
            message = message._replace(content=NOTHING)
        instruction = Instruction(message)
        _put(self.instructions, instruction_id, instruction, MAX_INSTRUCTIONS)
        _put(self.latest_instructions, instruction.target, instruction, MAX_INSTRUCTIONS)
        if instruction.family in DESCRIPTIONS and instruction_id in self.instructions:
            plan = self.plans.get(instruction.target, [])
            # The last ones show what has led to the active mode.
            plan = [*filter(self._is_open, plan[:-LAST_PLANNED]), *plan[-LAST_PLANNED:]]
            plan = [*plan[1 - MAX_PLANNED :], instruction_id]
            _put(self.plans, instruction.target, plan, MAX_PLANS)
        if message.message_id is not None:
            _put(self.instructions_by_message, message.message_id, instruction, MAX_INSTRUCTIONS)

    def _is_open(self, instruction_id: str) -> bool:
        """Whether an instruction may still be executed, or its end was not seen yet."""
        instruction = self.instructions.get(instruction_id)
        if instruction is None or instruction.refused:
            return False
        active = self.active_modes.get(instruction.message.content.text("actuator_id") or "")
        seen = active is not None and instruction.since < active.message.monotonic
        return not (seen and instruction.status in FINAL_STATUSES)

    def _progress(self, message: Message) -> None:
        content = message.content
        named = content.text("instruction_id") or ""
        instruction = self.instructions.get(named) or self.instructions_by_message.get(named)
        if instruction is not None:
            instruction.status = content.text("status_type")
            instruction.since = message.monotonic
            instruction.told = message._replace(content=NOTHING)
            instruction.dated = content.moment("timestamp")
        elif not self.remembers_id(named):
            self.unclear.add(message.message_type)

    def _revoke(self, message: Message) -> None:
        object_type, object_id = (
            message.content.text("object_type"),
            message.content.text("object_id"),
        )
        if object_type is None or object_id is None:
            return
        thing = self.instructions.get(object_id) or self.descriptions_of(object_type).named(
            object_id
        )
        if thing is None or thing.revoked or thing.message.sender is not message.sender:
            return
        thing.revoked = message._replace(content=NOTHING)
        if message.message_id is not None:
            _put(self._revoking, (message.sender, message.message_id), thing, MAX_UNANSWERED)

    def _activate(self, message: Message) -> None:
        content = message.content
        mode, actuator_id = (
            content.text("active_operation_mode_id"),
            content.text("actuator_id") or "",
        )
        whole_device = "actuator_id" not in MESSAGE_TYPES[message.message_type].refers
        if mode is None or not (whole_device or content.text("actuator_id")):
            self._forget_mode(content)
            return
        light = message._replace(content=NOTHING)
        before = self.active_modes.get(actuator_id)
        active = Active(
            mode,
            light,
            before.first if before and before.mode == mode else light,
            content.text("previous_operation_mode_id"),
            content.moment("transition_timestamp"),
            content.number("operation_mode_factor"),
        )
        _put(self.active_modes, actuator_id, active, MAX_TIMERS)
        if before is None or (mode, active.previous, active.switched) != (
            before.mode,
            before.previous,
            before.switched,
        ):
            self._start_timers(actuator_id, active)

    def _forget_mode(self, content: Part) -> None:
        """It is not known any more which mode is active: of which actuator may not be known too."""
        actuator_id = content.text("actuator_id")
        if actuator_id is not None:
            self.active_modes.pop(actuator_id, None)
        else:
            self.active_modes.clear()

    def _start_timers(self, actuator_id: str, active: Active) -> None:
        """A transition starts timers from the moment on at which it is initiated."""
        if active.previous is None or active.switched is None:
            return
        began = min(active.switched, active.message.time)  # a clock may be ahead
        description = DESCRIPTIONS[control_type_of(active.message.message_type) or ""]
        for given in self.referable(description, active.message.time):
            actuator = given.actuators.get(actuator_id)
            if actuator is None or (active.previous, active.mode) not in actuator.transitions:
                continue
            for timer, duration in actuator.started_by(active.previous, active.mode).items():
                known = self.timers.get((actuator_id, timer))
                if known is None or known.started or known.message.time < began:
                    state = TimerState(began + duration, active.message, started=True)
                    _put(self.timers, (actuator_id, timer), state, MAX_TIMERS)
            return

    def _start_timer(self, message: Message) -> None:
        timer, finished = message.content.text("timer_id"), message.content.moment("finished_at")
        if timer is None:
            return
        key = message.content.text("actuator_id") or "", timer
        if finished is None:
            self.timers.pop(key, None)
        else:
            state = TimerState(finished, message._replace(content=NOTHING))
            _put(self.timers, key, state, MAX_TIMERS)

    def _answered(self, message: Message, answer: Answer) -> None:
        key, status = (answer.sender, answer.message_id), answer.status
        subject = self.unanswered.pop(key, None) or self.overdue.pop(key, None)
        if subject is None:
            return
        _put(self.answered, key, subject, MAX_UNANSWERED)
        if subject.number > self._answered_up_to[answer.sender]:
            self._answered_up_to[answer.sender] = subject.number
        if subject.message_type in FOLLOWED and status == "OK":
            self._accepted[subject.message_type] = subject.number
        if subject.message_type in self.descriptions:
            self.descriptions[subject.message_type].answered(
                answer.message_id, status, message.monotonic
            )
        instruction = self.instructions_by_message.get(answer.message_id)
        if instruction is not None and instruction.message.number == subject.number:
            instruction.answer = status
            instruction.answered_at = message.monotonic
        revoked = self._revoking.pop(key, None)
        if revoked is not None and status != "OK":
            revoked.revoked = None  # the receiver did not follow
        elif isinstance(revoked, Instruction):
            revoked.revocation_accepted = True
        if subject.message_type == "SelectControlType":
            self._selection_answered(message, subject, status)
        elif self.details is not None and subject.number == self.details.number:
            self.details_answer = status
            if status == "OK":
                self.before_details = None
        elif self.ending is not None and subject.number == self.ending.number and status != "OK":
            self.ending = None  # the conversation goes on
        if status != "OK" and subject.message_type in BEGINNING:
            self._handshake_refused(subject.number)
        if status == "PERMANENT_ERROR":
            self.given_up.setdefault(message.sender, message._replace(content=NOTHING))
        if status == "TEMPORARY_ERROR":  # which asks for the same again
            self._message_ids[subject.sender].pop(answer.message_id, None)


def _label(message: Message | None, name: str) -> str | None:
    value = message.content.text(name) if message else None
    return printable(value[:LABEL_LENGTH]) if value is not None else None


def _put(mapping: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Put the newest last, and forget the oldest beyond ``most``.

    An id that is longer than any may be is not remembered at all.
    """
    if (len(key) if isinstance(key, str) else max(map(len, key))) > LABEL_LENGTH:
        return
    mapping[key] = value
    mapping.move_to_end(key)
    if len(mapping) > most:
        mapping.popitem(last=False)
