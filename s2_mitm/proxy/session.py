"""One S2 WebSocket as the proxy sees it: recognised by its messages, then judged in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy import delivery
from s2_mitm.render.summary import has_bearer, missing, summary_of
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.recognition import LOOK_BACK, is_s2
from s2_mitm.s2.verdict import LateFinding, Verdict

logger = logging.getLogger(__name__)

KEEP_BYTES = 16 * 1024 * 1024
"""What the messages that a live flow keeps may have together, however few they are."""


class Judged(NamedTuple):
    """A message of a session and what is to be said of it.

    ``number`` counts from 1; ``in_time`` says that the message has not been forwarded yet.
    """

    number: int
    message: WebSocketMessage
    verdict: Verdict
    in_time: bool

    @property
    def may_be_blocked(self) -> bool:
        """Whether it is invalid and still here, and not what the user wanted to send."""
        return self.in_time and not self.verdict.valid and not self.message.injected


class Session:
    """A WebSocket that is, or may turn out to be, S2.

    ``id`` is that of mitmproxy's flow; ``is_live`` is False for a flow read from a file;
    ``left_alone`` is True where it is not, or no longer, looked at.
    """

    def __init__(self, flow: HTTPFlow, settings: Settings) -> None:
        self.id = flow.id
        self.flow = flow
        self.is_live = flow.live
        self.started_at = (flow.response and flow.response.timestamp_end) or time.time()
        self.client_address = _address(flow.client_conn.peername)
        self.server_address = _address(flow.server_conn.peername or flow.server_conn.address)
        self.port = flow.client_conn.sockname[1]
        """The port of the proxy that the client has connected to."""
        self.path = flow.request.path.partition("?")[0]  # a query may hold a token
        seen = flow.websocket.messages if flow.websocket else []
        known = summary_of(flow.metadata)
        self.from_start = not seen and known.get("whole", True)
        """Whether it was seen from its first message on."""
        self.missing = missing(known)
        """How many of its first messages the flow no longer has."""
        self.unjudged = 0
        """How many came before the first that was judged."""
        bearer = has_bearer(flow.request.headers.get("Authorization"))
        self.judge = Judge(
            settings,
            from_start=self.from_start,
            bearer=bearer or known.get("bearer") is True,
        )
        self.recognised = False
        self.left_alone = False
        self.left_out: set[object] = set()
        """The observers that failed in this session and are told nothing more of it."""
        self.closed_by_proxy = False
        """Whether neither of its peers ended it."""
        self._untold = False
        """Whether it is no longer told what its messages mean."""
        self._looked_at = 0
        self._judged = 0
        self._newest: WebSocketMessage | None = None
        """The message that was judged last."""
        self._undecided: Judged | None = None
        """The same, while other addons, or the user, may still drop or change it."""
        self._observed: tuple[bytes, bool | None] = b"", None
        """The content of the undecided message when the observers saw it, and if it was dropped."""
        self._came = b""
        """What its sender sent, before any addon."""
        self._known = self.conversation.changes
        self._bytes = KEEP_BYTES
        """The bytes of the messages in the flow, or more. At first the most that it may be, so
        that they are counted with the first message."""

    def judge_by(self, settings: Settings) -> None:
        """Go by other settings, but for what was settled when the conversation began."""
        self.judge.judge_by(settings)

    @property
    def conversation(self) -> Conversation:
        """What the two sides know of each other so far."""
        return self.judge.conversation

    def recognises(self, flow: HTTPFlow) -> bool:
        """Whether the flow is S2, by its messages so far; any later message may be the first of S2.

        Once it is, the last ``LOOK_BACK`` messages before that are still to be judged.
        """
        if self.recognised:
            return True
        assert flow.websocket is not None
        messages = flow.websocket.messages
        count = len(messages)
        # The newest message was never looked at, even if the user took earlier ones away.
        since = self._looked_at if self._looked_at < count else count - 1
        if since < count - 1 - LOOK_BACK:
            since = count - 1 - LOOK_BACK
        self._looked_at = count
        for message in messages[since:]:
            if is_s2(message.content, binary=not message.is_text):
                self.recognised = True
                self._judged = max(0, count - 1 - LOOK_BACK)
                self.unjudged = self.missing + self._judged
                if self._judged:
                    self.judge.joined_late()
                return True
        return False

    def take(self, flow: HTTPFlow, *, meanings: bool = False) -> Iterator[Judged]:
        """Judge the messages of the flow that were not judged yet, if it is S2.

        With ``meanings`` it is also said what they mean.

        Those that came before it was recognised, or while the addon was being reloaded, are still
        in the flow and are judged late rather than never.
        """
        if not self.recognises(flow):
            return
        assert flow.websocket is not None
        messages = flow.websocket.messages
        if not messages or messages[-1] is self._newest:
            return
        if (gone := self._judged - (len(messages) - 1)) > 0:
            # Another addon took messages away: the oldest, as a rule.
            self.missing += gone
            self._judged -= gone
        while self._judged < len(messages):
            message = self._newest = messages[self._judged]
            self._judged += 1
            self.settle()
            self._came = delivery.came(message)
            verdict = self.judge.judge(
                self._came,
                from_client=message.from_client,
                time=message.timestamp,
                monotonic=self.monotonic(message.timestamp),
                binary=not message.is_text,
                injected=message.injected,
            )
            if meanings:
                verdict.meaning = self._meaning()
            in_time = self.is_live and self._judged == len(messages)
            judged = Judged(self.judge.messages, message, verdict, in_time)
            self._undecided = judged
            if in_time:
                delivery.seen(message)
            else:  # what became of it is known
                self.settle()
                verdict.late += self.judge.became_known()
            yield judged

    def _meaning(self) -> str:
        """What the message that was judged last means; a fault in telling it costs no verdict."""
        if self._untold:
            return ""
        try:
            return self.judge.meaning()
        except Exception as fault:
            self._untold = True
            logger.error(
                f"s2-mitm: a fault of its own, {fault!r}; what the messages of the WebSocket"
                f" {self.id} mean is no longer told, and all else goes on. Please report this."
            )
            logger.debug("The fault:", exc_info=fault)
            return ""

    def monotonic(self, moment: float) -> float | None:
        """What `time.monotonic` was at ``moment`` (seconds since 1970), which is not long ago.

        None for a flow that is read from a file: there only the times of the messages are known.
        """
        if not self.is_live:
            return None
        return time.monotonic() - max(0.0, time.time() - moment)

    def observed(self, judged: Judged) -> None:
        """The observers have seen a message as it now is; others may still drop or change it."""
        self._observed = judged.message.content, judged.message.dropped

    def delivered(self, message: WebSocketMessage) -> Judged | None:
        """All addons are done with a message: it goes on as it now is, unless it is dropped.

        Returns it where it is not as it was `observed`.
        """
        judged = self._undecided
        if judged is None or judged.message is not message:
            return None
        self.settle(time.monotonic() if self.is_live else None)
        return self._unless_observed(judged)

    def overtaken(self) -> Judged | None:
        """Something follows a message that is undecided, where nobody says when it is `delivered`.

        So it was, as it now is, unless it is dropped. Returns it where it is not as it was
        `observed`.
        """
        judged = self._undecided
        if judged is None or self._is_with_others(judged.message):
            return None
        self.settle()
        return self._unless_observed(judged)

    def _is_with_others(self, message: WebSocketMessage) -> bool:
        """Whether other addons, or the user, have an undecided message, as far as one can know."""
        return delivery.is_known(message) or self.flow.intercepted

    def _unless_observed(self, judged: Judged) -> Judged | None:
        content, dropped = self._observed
        message = judged.message
        return None if content is message.content and dropped is message.dropped else judged

    def settle(self, monotonic: float | None = None) -> None:
        """Decide about the message that is undecided, by how it is now: was it delivered, or not?

        ``monotonic`` is when it goes on, where that is now. Where nobody says when mitmproxy goes
        on with it (see `delivered`), it is decided as soon as anything comes after it.
        """
        judged, self._undecided = self._undecided, None
        if judged is None:
            return
        content = judged.message.content
        if judged.message.dropped:
            self.judge.discard(monotonic=monotonic)
        else:
            self.judge.take_in(None if content == self._came else content, monotonic=monotonic)
        self._came = b""

    def hold_back(self) -> Judged | None:
        """Drop the message that is undecided, where there is one.

        Returns it where that is not as it was `observed`.
        """
        if self._undecided is None:
            return None
        message = self._undecided.message
        if not self._is_with_others(message):  # it went on, we think
            return self.overtaken()
        message.dropped = True
        return self.delivered(message)

    def has_news(self) -> bool:
        """Whether what the two sides agreed on may have changed since this was asked last."""
        known, self._known = self._known, self.conversation.changes
        return known != self._known

    def tick(self) -> list[LateFinding]:
        """Time has passed. Returns what is to be said of earlier messages now."""
        if self._undecided and not self._is_with_others(self._undecided.message):
            self.settle()
        return self.judge.tick(time.time(), time.monotonic())

    def close(self, moment: float) -> list[LateFinding]:
        """It was over at ``moment``. Returns what is to be said of earlier messages now."""
        if self._undecided and self._is_with_others(self._undecided.message):
            self.judge.discard()  # it never went on
            self._undecided = None
        self.settle()
        return self.judge.close(moment, self.monotonic(moment), closed_by=self.closed_by)

    @property
    def closed_by(self) -> str:
        """Who ended it first: RM, CEM or proxy, which also goes before an open WebSocket does."""
        websocket = self.flow.websocket
        if self.closed_by_proxy or websocket is None or websocket.timestamp_end is None:
            return "proxy"
        client = self.conversation.client_role
        return str(client if websocket.closed_by_client else client.other)

    def forget(self, flow: HTTPFlow, keep: int) -> list[WebSocketMessage]:
        """Take judged messages out of a live flow, but for the last ``keep``; 0 keeps all.

        Fewer stay where they have more than ``KEEP_BYTES`` together; the last always does.
        mitmproxy itself keeps all as long as the connection lives, which may be weeks. Returns
        those that are gone.
        """
        if not (keep and self.is_live and flow.websocket and flow.websocket.messages):
            return []
        messages = flow.websocket.messages
        excess = len(messages) - keep
        self._bytes += len(messages[-1].content)
        if self._bytes > KEEP_BYTES:
            excess = max(excess, self._too_heavy(messages))
        return self._take_out(messages, min(excess, self._judged))

    def let_go(self, flow: HTTPFlow, keep: int) -> list[WebSocketMessage]:
        """Take all messages but the last ``keep`` out of a flow, S2 or not: the memory is full.

        Returns those that are gone.
        """
        assert flow.websocket is not None
        messages = flow.websocket.messages
        excess = len(messages) - keep
        if self.recognised:
            excess = min(excess, self._judged)
        else:
            self.judge.joined_late()
        return self._take_out(messages, excess)

    def _take_out(self, messages: list[WebSocketMessage], count: int) -> list[WebSocketMessage]:
        """Take the first ``count`` messages out, none where it is negative, and return them."""
        if count <= 0:
            return []
        gone = messages[:count]
        del messages[:count]
        self._judged = max(0, self._judged - count)
        self.missing += count
        return gone

    def _too_heavy(self, messages: list[WebSocketMessage]) -> int:
        """How many of the first must go for the rest to be well below ``KEEP_BYTES``."""
        # A quarter at once, so that the rest is not counted again for every message.
        self._bytes, count = len(messages[-1].content), 1
        for message in reversed(messages[:-1]):
            if self._bytes + len(message.content) > KEEP_BYTES * 3 // 4:
                break
            self._bytes += len(message.content)
            count += 1
        return len(messages) - count


LIVE: dict[str, Session] = {}
"""The sessions of the WebSockets that are open, by flow id.

They outlive the addon: mitmproxy makes a new one when its file is saved, while the traffic goes on.
"""


def _address(address: tuple[str, int] | tuple[str, int, int, int] | None) -> str | None:
    if not address:
        return None
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
