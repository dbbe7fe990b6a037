"""Judge a message by itself: one whose conversation is not known, or that is not sent yet."""

from __future__ import annotations

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message import validation
from s2_mitm.s2.verdict import Verdict


def judge_alone(
    data: bytes, settings: Settings, *, version: str | None = None, binary: bool = False
) -> Verdict:
    """What a conversation with these settings says of a message before it asks the rules.

    Takes the bytes of the message, the version of S2 that is spoken (None for that of the
    settings), and whether it is in a binary frame. Raises nothing, whatever the bytes are.
    """
    verdict = validation.judge(
        data, version=version or settings.version, schemas=settings.schemas, binary=binary
    )
    verdict.findings = settings.wanted(verdict.findings)
    return verdict
