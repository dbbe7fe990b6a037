"""What went over one end of a WebSocket, for whoever has to prove that nothing changed it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Frames:
    """The WebSocket messages one end sent and received, each in the order they passed."""

    sent: list[str | bytes] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
