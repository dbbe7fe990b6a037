"""Recorded sessions are judged again, with the rules of this s2-mitm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from s2_mitm.replay.recorded import RecordedMessage, RecordedSession
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import LateFinding, Verdict


@dataclass(slots=True)
class ReplayedMessage:
    """A recorded message with its verdict, late findings among the others.

    ``number`` counts the messages of the session from 1. Of what the message says the verdict has
    the status of a ReceptionStatus, and nothing else.
    """

    number: int
    injected: bool
    verdict: Verdict


@dataclass(slots=True)
class ReplayedSession:
    """A recorded session with its messages, judged again.

    ``missing`` has a pair for each run of messages that were not recorded: the numbers of the first
    and the last of them. ``control_type`` and ``resource_name`` are the last that the session had,
    None where it never had one.
    """

    id: str
    control_type: str | None = None
    resource_name: str | None = None
    messages: list[ReplayedMessage] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)


def replay(
    recorded: RecordedSession, settings: Settings, *, meanings: bool = False
) -> ReplayedSession | None:
    """Judge a recorded session as if it happened now; returns None where it has no message.

    With ``meanings`` it is also said what its messages mean.

    After a run of missing messages, which may have said anything, the rest is judged as a
    conversation whose beginning was not seen; the roles and the version stay as they were. Nobody
    is blamed for an answer that is missing before such a run, since it may be among them.
    """
    given = recorded.client_role if recorded.senders_given else None
    settings = replace(
        settings,
        client_role=given or settings.client_role or recorded.client_role,
        senders_given=recorded.senders_given,
        version=settings.version or recorded.version,
    )
    replayed = ReplayedSession(recorded.id)
    stretch: _Stretch | None = None
    number = 1
    for message in recorded.messages:
        if stretch is None or message.number != number:
            if stretch:
                settings = stretch.agreed(settings)
            from_start = recorded.from_start and message.number == 1
            stretch = _Stretch(
                Judge(settings, from_start=from_start, bearer=recorded.bearer), meanings
            )
        if message.number > number:
            replayed.missing.append((number, message.number - 1))
        replayed.messages.append(stretch.take(message))
        replayed.control_type = stretch.judge.conversation.control_type or replayed.control_type
        replayed.resource_name = stretch.judge.conversation.resource_name or replayed.resource_name
        number = message.number + 1
    if stretch is None:
        return None
    if recorded.lost_to >= number:
        replayed.missing.append((number, recorded.lost_to))
    elif recorded.ended is not None:
        stretch.end(recorded.ended, recorded.closed_by)
    return replayed


class _Stretch:
    """Messages of a session, one after the other, with none missing between them."""

    def __init__(self, judge: Judge, meanings: bool) -> None:
        self.judge = judge
        self._meanings = meanings
        self._judged: list[ReplayedMessage] = []
        self._client = judge.conversation.client_role

    def take(self, message: RecordedMessage) -> ReplayedMessage:
        verdict = self.judge.judge(
            message.content,
            from_client=message.from_client,
            time=message.time,
            binary=message.binary,
            injected=message.injected,
        )
        if self._meanings:
            verdict.meaning = self.judge.meaning()
        if message.dropped:
            self.judge.discard()
        else:
            self.judge.take_in(message.sent)
        if self.judge.conversation.client_role is not self._client:
            self._client = self.judge.conversation.client_role
            for earlier in self._judged:
                assert earlier.verdict.sender is not None
                earlier.verdict.sender = earlier.verdict.sender.other
        judged = ReplayedMessage(message.number, message.injected, _in_brief(verdict))
        self._judged.append(judged)
        self._add(verdict.late + self.judge.became_known())
        return judged

    def agreed(self, settings: Settings) -> Settings:
        """``settings`` for the messages after a gap, with the roles and version from before it."""
        known = self.judge.conversation
        return replace(settings, client_role=known.client_role, version=known.version)

    def end(self, time: float, closed_by: str | None) -> None:
        moment = max(time, self._judged[-1].verdict.time)
        client = self.judge.conversation.client_role
        closed_by = {"client": client, "server": client.other}.get(closed_by or "", closed_by)
        self._add(self.judge.close(moment, closed_by=closed_by))

    def _add(self, late: Iterable[LateFinding]) -> None:
        for item in late:
            self._judged[item.number - 1].verdict.findings.append(item.finding)


def _in_brief(verdict: Verdict) -> Verdict:
    """A verdict without what the message says, of which a long session would have too much."""
    said = verdict.message or {}
    is_answer = verdict.message_type == "ReceptionStatus" and said.get("status") is not None
    brief = {"status": str(said["status"])} if is_answer else None
    return replace(verdict, message=brief, answer=None, late=[])
