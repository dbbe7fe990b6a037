"""A conversation of which somebody reads what its messages mean."""

from __future__ import annotations

from typing import Any

from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Verdict


class Listener(Judge):
    """Keeps what each message means, as that is before the message is taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.meanings: list[tuple[str | None, str]] = []
        """With the type of each."""

    def receive(self, data: bytes, **how: Any) -> Verdict:
        verdict = self.judge(data, **how)
        self.meanings.append((verdict.message_type, self.meaning()))
        self.take_in()
        return verdict


class Heard(Script):
    """A script that keeps what its messages mean."""

    def __init__(self) -> None:
        super().__init__()
        self.judge: Listener = Listener()

    @property
    def answer(self) -> str:
        """What the last ReceptionStatus means."""
        return self._last_of(True)

    @property
    def told(self) -> str:
        """What the last message means, answers aside."""
        return self._last_of(False)

    def _last_of(self, answers: bool) -> str:
        meanings = reversed(self.judge.meanings)
        return next((told for name, told in meanings if (name == "ReceptionStatus") is answers), "")
