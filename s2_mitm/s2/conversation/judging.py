"""The judge of a conversation: what is to be said of each message, and of earlier ones.

It judges a message by itself, asks the rules about it, and lets memory take in what was delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from s2_mitm.s2 import finding_types
from s2_mitm.s2.conversation.doubt import depends_on_a_fault, faults_of
from s2_mitm.s2.conversation.memory import UNREADABLE, Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message import validation
from s2_mitm.s2.rules import (
    AS_TIME_PASSES,
    AT_THE_END,
    SAID_BY_S2_PYTHON,
    UNANSWERED,
    Found,
    Rule,
    SayAgain,
    rules_in,
)
from s2_mitm.s2.verdict import (
    MAX_FINDINGS,
    Answer,
    Finding,
    LateFinding,
    Severity,
    Verdict,
    bounded,
)

HELD_SECONDS = 0.1
"""A message that goes on later than this was held back, by the user or by a script."""

EVERY = 1.0
"""Seconds between the moments at which is asked what has not followed, though it was to."""


class _Told(NamedTuple):
    """Where a finding was told that is told once.

    ``since`` is the number of the message after which it is told once more, 0 where it is told once
    in the whole conversation; ``number`` is that of the message of which it was told.
    """

    since: int
    number: int


class Judge:
    """Judges the messages of one conversation, in the order in which they came.

    A message is judged first (`judge`), and then taken in (`take_in`) when it was delivered, or
    discarded (`discard`) when it was not: what it says counts only when it was delivered, what was
    said of it counts either way. ``from_start`` is False where the beginning may have been missed,
    ``bearer`` True where the WebSocket was opened with a bearer token, as S2 Connect does.
    """

    def __init__(
        self, settings: Settings | None = None, *, from_start: bool = True, bearer: bool = False
    ) -> None:
        self.conversation = Conversation(settings, from_start=from_start, bearer=bearer)
        self.messages = 0
        """How many messages were judged."""
        self.invalid = 0
        """How many of them were not valid."""
        self.findings: Counter[Severity] = Counter()
        """How many findings there were of each severity, late ones too."""
        self._reported_once: dict[str, _Told] = {}
        """Findings that are told once after a certain message, by their keys."""
        self._asked = 0.0
        """When was asked last what has not followed, by the clock that nobody sets."""
        self._undecided: Message | None = None
        """The message that was judged last, while it is neither taken in nor discarded."""
        self._answer: Answer | None = None
        """What the undecided message answers."""
        self._if_delivered: list[LateFinding] = []
        """What the undecided message shows of earlier ones, if it is an answer and is delivered."""
        self._became_known: list[LateFinding] = []
        """The same of those that were delivered, until it is asked for."""
        self.delivered_answer: Answer | None = None
        """What the message that was decided last answers; None where it was discarded."""

    @property
    def settings(self) -> Settings:
        """What the user says about this conversation."""
        return self.conversation.settings

    def judge_by(self, settings: Settings) -> None:
        """Go by other settings, but for what was settled when the conversation began."""
        self.conversation.settings = replace(
            self.settings,
            ack_timeout=settings.ack_timeout,
            ignore=settings.ignore,
            severity=settings.severity,
        )

    @property
    def worst(self) -> Severity | None:
        """The highest severity among all findings so far, None when there are none."""
        return max(self.findings, key=lambda severity: severity.rank, default=None)

    def joined_late(self) -> None:
        """The beginning of the conversation was not seen."""
        self.conversation.from_start = False

    def judge(
        self,
        data: bytes,
        *,
        from_client: bool,
        time: float,
        monotonic: float | None = None,
        binary: bool = False,
        injected: bool = False,
    ) -> Verdict:
        """Judge the next message. It is undecided then: `take_in` or `discard` it.

        Takes the bytes as they came over the wire, whether the WebSocket client sent them (or
        was made to appear so), when (seconds since 1970, and seconds of a clock that nobody sets,
        None where there is only the former), whether in a binary frame, and whether they were
        injected by the user. Returns the verdict; what it shows of earlier messages is
        in ``late``. A message that is still undecided is taken in before, as it came.
        """
        self.take_in()
        conversation = self.conversation
        conversation.it_is(time, monotonic)
        verdict = validation.judge(
            data,
            version=conversation.versions,
            schemas=self.settings.schemas,
            binary=binary,
            time=time,
        )
        faultless = not verdict.findings
        faults = faults_of(verdict.findings) if verdict.findings else ()
        verdict.findings = self.settings.wanted(verdict.findings)
        self.messages += 1
        content = verdict.message
        if content is not None and not injected:
            conversation.learn_roles(verdict.message_type, content, from_client=from_client)
        client = conversation.client_role
        verdict.sender = sender = client if from_client else client.other
        message = Message(
            self.messages,
            time,
            conversation.monotonic,
            sender,
            verdict.message_type or "",
            verdict.message_id,
            UNREADABLE if content is None else Part(content),
            len(data),
            verdict.valid,
            faultless,
            injected,
            faults=faults,
        )
        late = [*self.became_known(), *self._due()]
        self._answer = None
        if content is not None:
            own, of_others = self._asked_of_rules(message)
            if verdict.message_type == "ReceptionStatus":
                self._if_delivered = of_others
            else:
                late += self._counted(of_others)
            if own:
                found = without_doubles(verdict.findings, self.settings.wanted(own))
                verdict.findings = bounded(found)
                # What the user ignores is a fault all the same, which the receiver may refuse.
                if any(finding.severity is not Severity.INFO for finding in own):
                    message = message._replace(faultless=False)
            if verdict.message_type == "ReceptionStatus":
                self._answer = conversation.answer(message, verdict.subject_message_id)
                verdict.answer = self._answer
        self._undecided = message
        verdict.late = late
        if verdict.findings:
            self.invalid += not verdict.valid
            self.findings.update(finding.severity for finding in verdict.findings)
        return verdict

    def meaning(self) -> str:
        """What the message that was judged last means, by what was in force before it.

        Empty once it is taken in or discarded: then that is no longer known.
        """
        # Nobody asks where messages are only recorded.
        from s2_mitm.s2.meaning import meaning

        return meaning(self._undecided, self.conversation) if self._undecided else ""

    def take_in(self, sent: bytes | None = None, *, monotonic: float | None = None) -> None:
        """The message that was judged last was delivered.

        ``sent`` is what went on to the receiver, where that differs from what came; ``monotonic``
        is when it went on, on the clock of `judge`, where that was later than it came: from then
        on its answer is due. Does nothing when there is no undecided message.
        """
        message, answer = self._undecided, self._answer
        if message is None:
            return
        self._undecided = None
        if sent is not None:
            message, subject_message_id = self._as_it_went(message, sent)
            answer = self.conversation.answer(message, subject_message_id)
        self.delivered_answer = answer
        if sent is None:
            self._became_known += self._counted(self._if_delivered)
        self._if_delivered = []
        self._let_time_pass(message, monotonic)
        self.conversation.take_in(message, answer, monotonic)

    def discard(self, *, monotonic: float | None = None) -> None:
        """The message that was judged last was not delivered: what it says does not count.

        ``monotonic`` is when that was decided, as in `take_in`.
        """
        message, self._undecided, self.delivered_answer = self._undecided, None, None
        self._if_delivered = []
        if message is not None:
            self._let_time_pass(message, monotonic)
            self.conversation.leave_out(message, self._answer)

    def _let_time_pass(self, message: Message, monotonic: float | None) -> None:
        """While a message is held back, what comes after it waits, too."""
        if monotonic is not None and monotonic - message.monotonic > HELD_SECONDS:
            self.conversation.stood_still(message.monotonic, monotonic)

    def receive(
        self,
        data: bytes,
        *,
        from_client: bool,
        time: float,
        monotonic: float | None = None,
        binary: bool = False,
        injected: bool = False,
    ) -> Verdict:
        """Judge a message that was delivered, and take it in; see `judge`."""
        verdict = self.judge(
            data,
            from_client=from_client,
            time=time,
            monotonic=monotonic,
            binary=binary,
            injected=injected,
        )
        self.take_in()
        verdict.late += self.became_known()
        return verdict

    def became_known(self) -> list[LateFinding]:
        """What answers that were delivered since this was asked last show of earlier messages."""
        late, self._became_known = self._became_known, []
        return late

    def tick(self, time: float, monotonic: float | None = None) -> list[LateFinding]:
        """What is to be said of earlier messages now; the times are those of `judge`."""
        self.conversation.it_is(time, monotonic)
        # While a message is held back, nothing behind it comes through, and no answer either.
        return [] if self._undecided else [*self.became_known(), *self._due()]

    def close(
        self, time: float, monotonic: float | None = None, *, closed_by: str | None = None
    ) -> list[LateFinding]:
        """What is to be said of earlier messages now that the conversation is over.

        ``closed_by`` is who closed it first: RM, CEM or proxy, None where nobody knows. A message
        that is still undecided is taken in before, as it came.
        """
        self.take_in()
        conversation = self.conversation
        conversation.it_is(time, monotonic)
        conversation.closed_by = closed_by
        conversation.over = True
        late = [
            found
            for message in conversation.unanswered_at_the_end()
            for found in self._ask(UNANSWERED, message)
        ]
        late += [
            found
            for instruction in conversation.instructions.values()
            for found in self._ask(AT_THE_END, instruction.message)
        ]
        late += self._not_followed()
        conversation.end()
        return [*self.became_known(), *self._counted(late)]

    def _as_it_went(self, message: Message, sent: bytes) -> tuple[Message, str | None]:
        """A message that was changed on its way, as its receiver got it, and what it answers."""
        went = validation.judge(
            sent, version=self.conversation.versions, schemas=self.settings.schemas
        )
        changed = message._replace(
            message_type=went.message_type or "",
            message_id=went.message_id,
            content=UNREADABLE if went.message is None else Part(went.message),
            size=len(sent),
            valid=went.valid,
            changed=True,
            faultless=False,  # no rule was asked about it
            faults=faults_of(went.findings),
        )
        return changed, went.subject_message_id

    def _asked_of_rules(self, message: Message) -> tuple[list[Finding], list[LateFinding]]:
        """What the rules find about a message, and about earlier ones."""
        own: list[Finding] = []
        late: list[LateFinding] = []
        for asked in self._rules(message.message_type):
            reported = 0
            for found in asked.check(message, self.conversation):
                if message.faults and _follows_from_a_fault(found, message):
                    continue
                told = self._told(found, message)
                if isinstance(found, SayAgain) or (told and not self._stays_wrong(asked, found)):
                    continue
                if told == message.number:
                    continue
                finding = finding_of(asked, found, message)
                if told:
                    text = f"the same as in #{told}, where it is told in full"
                    finding = replace(finding, text=text, hint="", repeated=True)
                if found.on is None or found.on.number == message.number:
                    own.append(finding)
                else:
                    late.append(_late(found.on, finding))
                reported += 1
                if reported == MAX_FINDINGS:
                    break
        return own, late

    def _told(self, found: Found | SayAgain, message: Message) -> int:
        """The number of the message of which this was told already, where once is enough; else 0.

        What was not told yet is told of this message, from now on.
        """
        if isinstance(found, SayAgain):
            self._reported_once.pop(found.key, None)
            return 0
        if not found.once:
            return 0
        since = found.since.number if found.since else 0
        told = self._reported_once.get(found.once)
        if told is not None and told.since == since:
            return told.number
        self._reported_once[found.once] = _Told(since, message.number)
        return 0

    def _stays_wrong(self, asked: Rule, found: Found) -> bool:
        """Whether what is told once makes each message invalid, and not only the first."""
        kind = asked.finding_type
        severity = self.settings.severity.get(kind.code, kind.severity)
        return severity is Severity.ERROR and found.on is None

    def _rules(self, occasion: str) -> tuple[Rule, ...]:
        """The rules to ask about a message type, or about what is no message, in this version."""
        return rules_in(*self.conversation.versions).get(occasion, ())

    def _ask(self, occasion: str, subject: Message) -> Iterator[LateFinding]:
        for asked in self._rules(occasion):
            for found in asked.check(subject, self.conversation):
                if self._told(found, subject) or isinstance(found, SayAgain):
                    continue
                about = found.on or subject
                yield _late(about, finding_of(asked, found, about))

    def _due(self) -> list[LateFinding]:
        """What is to be said of earlier messages, since time has passed."""
        overdue = self.conversation.overdue_now()
        late = [found for message in overdue for found in self._ask(UNANSWERED, message)]
        if self.conversation.monotonic - self._asked >= EVERY:
            late += self._not_followed()
        return self._counted(late) if late else late

    def _not_followed(self) -> list[LateFinding]:
        """What is to be said of the messages after which something was to follow."""
        self._asked = self.conversation.monotonic
        return [
            found
            for message in self.conversation.awaiting()
            for found in self._ask(AS_TIME_PASSES, message)
        ]

    def _counted(self, late: list[LateFinding]) -> list[LateFinding]:
        if not late:
            return late
        said = [
            replace(item, finding=finding)
            for item in late
            for finding in self.settings.wanted([item.finding])
        ]
        self.findings.update(item.finding.severity for item in said)
        return said


def _late(subject: Message, finding: Finding) -> LateFinding:
    return LateFinding(subject.number, subject.time, subject.sender, subject.message_type, finding)


def _follows_from_a_fault(found: Found | SayAgain, message: Message) -> bool:
    return (
        isinstance(found, Found)
        and (found.on is None or found.on.number == message.number)
        and depends_on_a_fault(message, found.path)
    )


def finding_of(asked: Rule, found: Found, message: Message) -> Finding:
    """What a rule found about a message, as a finding of its type."""
    text = f"{found.text} (this message was injected)" if message.injected else found.text
    return asked.finding_type.at(found.path, text, found.hint)


_BY_VALIDATORS = {finding_types.REFUSED.code, finding_types.NARROWER.code}


def without_doubles(by_message: list[Finding], by_rules: list[Finding]) -> list[Finding]:
    """One cause, one finding: a rule says it better than s2-python's validators, at the place."""
    told = [finding.path + "/" for finding in by_rules if finding.code in SAID_BY_S2_PYTHON]
    return [
        finding
        for finding in by_message
        if not (
            finding.code in _BY_VALIDATORS
            and any(path.startswith(finding.path + "/") for path in told)
        )
    ] + by_rules
