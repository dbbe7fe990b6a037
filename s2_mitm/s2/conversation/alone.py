"""Judge a message by itself: one whose conversation is not known, or that is not sent yet."""

from __future__ import annotations

from itertools import islice

from s2_mitm.s2.catalog import only_sender
from s2_mitm.s2.conversation.doubt import depends_on_a_fault, faults_of
from s2_mitm.s2.conversation.judging import finding_of, without_doubles
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message import validation
from s2_mitm.s2.rules import Found, Rule, rules_in
from s2_mitm.s2.verdict import MAX_FINDINGS, Finding, Role, Verdict, bounded


def judge_alone(
    data: bytes,
    settings: Settings,
    *,
    version: str | tuple[str, ...] | None = None,
    binary: bool = False,
    sender: Role | None = None,
) -> Verdict:
    """What is wrong with a message, whatever was said before it.

    That is all that a conversation with these settings says of it before it asks the rules, and
    what those rules say that need nothing but the message. Takes the bytes of the message, the
    version of S2 that is spoken (several where it is one of these, None for that of the settings),
    whether it is in a binary frame, and who sends it (None where the message itself is to tell).
    Raises nothing, whatever the bytes are.
    """
    versions = validation.possible(version or settings.version)
    verdict = validation.judge(data, version=versions, schemas=settings.schemas, binary=binary)
    by_rules = _asked_of_rules(verdict, settings, versions, sender, len(data))
    by_message = settings.wanted(verdict.findings)
    verdict.findings = bounded(without_doubles(by_message, settings.wanted(by_rules)))
    return verdict


def _asked_of_rules(
    verdict: Verdict,
    settings: Settings,
    versions: tuple[str, ...],
    sender: Role | None,
    size: int,
) -> list[Finding]:
    """What the rules find that need nothing but the message, whichever side sent it."""
    message_type = verdict.message_type or ""
    if verdict.message is None:
        return []
    asked = [rule for rule in rules_in(*versions).get(message_type, ()) if rule.alone]
    if not asked:
        return []
    content = Part(verdict.message)
    first, *others = (
        _found(
            asked,
            Message(
                1,
                0.0,
                0.0,
                speaker,
                message_type,
                verdict.message_id,
                content,
                size,
                verdict.valid,
                not verdict.findings,
                False,
                faults=faults_of(verdict.findings),
            ),
            settings,
        )
        for speaker in ([sender] if sender else _possible_senders(message_type, content))
    )
    return [finding for finding in first if all(finding in other for other in others)]


def _possible_senders(message_type: str, content: Part) -> tuple[Role, ...]:
    if sender := only_sender(message_type):
        return (sender,)
    role = content.text("role") if message_type == "Handshake" else None
    return (Role(role),) if role in set(Role) else tuple(Role)


def _found(asked: list[Rule], message: Message, settings: Settings) -> list[Finding]:
    nothing_known = Conversation(settings, from_start=False)
    return [
        finding_of(rule, found, message)
        for rule in asked
        for found in islice(rule.check(message, nothing_known), MAX_FINDINGS)
        if isinstance(found, Found) and not depends_on_a_fault(message, found.path)
    ]
