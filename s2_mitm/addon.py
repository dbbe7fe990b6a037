"""The front door: mitmproxy's options, hooks and commands, handed to the rooms behind.

mitmweb -s s2_mitm/addon.py --mode reverse:http://cem:8080
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mitmproxy import command, ctx, exceptions, flow, flowfilter, http
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.types import CmdArgs
from mitmproxy.websocket import WebSocketMessage

# mitmproxy loads this file by its path: the package around it need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

logger = logging.getLogger(__name__)

try:
    from s2_mitm.history.database import RecordingError
    from s2_mitm.history.recorder import Figures, Recorder, check_all, finish_all
    from s2_mitm.proxy import (
        contentview,
        delivery,
        internals,
        interpreter,
        memory,
        mitmweb,
        options,
        passwords,
        spool,
    )
    from s2_mitm.proxy.annotation import Annotation, annotate
    from s2_mitm.proxy.ended import ENDED
    from s2_mitm.proxy.injection import inject
    from s2_mitm.proxy.observers.log import Log
    from s2_mitm.proxy.observers.observer import Observers
    from s2_mitm.proxy.observers.recording import MOVED, Recording
    from s2_mitm.proxy.options import Address, Area, OptionError, Values, only_for_new_sessions
    from s2_mitm.proxy.patches.switch import Switch
    from s2_mitm.proxy.session import LIVE, Session
    from s2_mitm.s2.conversation.settings import Settings
    from s2_mitm.s2.verdict import LateFinding
except ModuleNotFoundError as missing:  # in the Python of a mitmproxy that came without us
    logger.error(
        f"s2-mitm needs the Python package {missing.name!r}: install s2-mitm into the same"
        f" environment as mitmproxy ({sys.executable} -m pip install s2-mitm)."
    )
    LOADED = False
else:
    LOADED = True

if TYPE_CHECKING:
    from s2_mitm.proxy.observers.metrics import Metrics


class S2Mitm:
    """Judges, annotates and records the S2 WebSockets that pass through mitmproxy."""

    def __init__(self) -> None:
        self._values = Values()
        self._settings = Settings()
        self._filter: flowfilter.TFilter | None = None
        self._block_invalid = False
        self._keep_messages = 0
        self._meanings = False
        self._annotation = Annotation()
        self._log: Log | None = None
        self._recording: Recording | None = None
        self._metrics: Metrics | None = None
        self._observers = Observers()
        self._to_say: deque[str] = deque()
        self._may_complain = False
        self._patches = Switch()
        self._clock: asyncio.Task[None] | None = None
        self._running = False
        self._over = False

    def load(self, loader: Loader) -> None:
        for option in options.OPTIONS:
            loader.add_option(option.name, type(option.default), option.default, option.help)
        for refusal in internals.refused_settings(
            ctx.options, [each.name for each in options.OPTIONS]
        ):
            logger.error(f"s2-mitm: {refusal}")  # after which mitmproxy does not start
        delivery.call(self._delivered)
        contentview.install(lambda: self._settings)

    def configure(self, updated: set[str]) -> None:
        try:
            given = {
                option: getattr(ctx.options, option.name)
                for option in options.OPTIONS
                if option.name in updated
            }
            if options.DB in given:
                # First, so that nobody sees the password, whatever is wrong besides.
                given[options.DB] = passwords.take_out(ctx.options)
            self._go_by(self._values.updated(given))
            if options.DB in given:
                passwords.keep(given[options.DB])
        except (OptionError, RecordingError) as problem:
            if self._running:
                raise exceptions.OptionsError(str(problem)) from problem
            logger.error(f"s2-mitm: {problem}")  # after which mitmproxy does not start

    def _go_by(self, values: "Values") -> None:
        """Go by other values. Raises OptionError or RecordingError; then all is as it was."""
        if values.bear_on(Area.METRICS):
            self._serve_metrics(values[options.METRICS])
        if values.bear_on(Area.RECORDING):
            try:
                recording = self._open_recording(values)
            except RecordingError:
                if values.bear_on(Area.METRICS):
                    self._serve_metrics(self._values[options.METRICS])
                raise
            self._record_in(recording)
        # From here on nothing is refused any more.
        if self._running and (sentence := only_for_new_sessions(values.changed)):
            logger.info(f"s2-mitm: {sentence}")
        if values.bear_on(Area.JUDGING):
            self._judge_by(values)
        if values.bear_on(Area.TRAFFIC):
            self._filter = values[options.FILTER]
            self._block_invalid = values[options.BLOCK_INVALID]
            self._keep_messages = values[options.KEEP_MESSAGES]
            memory.MEMORY.let_go = _let_go if self._keep_messages else None
            memory.MEMORY.limit = values[options.MEMORY]
        if values.bear_on(Area.LOG):
            self._log = Log(values[options.LOG])
            # It takes some microseconds a message, and nobody else reads it.
            self._meanings = values[options.LOG] == "all" or internals.shows_flows(ctx.master)
        if values.bear_on(Area.PATCHES):
            self._patches.choose(ctx.master, values[options.PATCHES])
        observers = (self._annotation, self._recording, self._log, self._metrics)
        self._observers = Observers([observer for observer in observers if observer])
        self._values = values

    def _judge_by(self, values: "Values") -> None:
        self._settings = Settings(
            version=values[options.VERSION],
            client_role=values[options.CLIENT_ROLE],
            schemas=values[options.SCHEMAS],
            ack_timeout=values[options.ACK_TIMEOUT],
            ignore=values[options.IGNORE],
            severity=values[options.SEVERITY],
        )
        for session in LIVE.values():
            session.judge_by(self._settings)

    def _open_recording(self, values: "Values") -> "Recording | None":
        if not values[options.DB]:
            return None
        return Recording(
            Recorder(values[options.DB], self._say_of_recording, values[options.RETAIN]),
            values[options.NAME],
        )

    def _record_in(self, recording: "Recording | None") -> None:
        if self._recording:
            self._recording.stop(LIVE.values(), MOVED)
        self._recording = recording
        if recording:
            observers = Observers([recording])
            for session in LIVE.values():
                if session.recognised:
                    observers.opened(session)

    def _say_of_recording(self, sentence: str) -> None:
        """Log what the recorder says, from any thread.

        While mitmproxy starts, an error in the log would end it: until then the sentence waits.
        """
        if self._may_complain:
            logger.error(sentence)
        else:
            self._to_say.append(sentence)

    def _say_what_had_to_wait(self) -> None:
        self._may_complain = True
        while self._to_say:
            logger.error(self._to_say.popleft())

    def _serve_metrics(self, address: "Address | None") -> None:
        if address is None:
            if self._metrics:
                self._metrics.close()
                self._metrics = None
            return
        if self._metrics:
            self._metrics.move(*address)
        else:
            # With all that belongs to it, some megabytes that few need.
            from s2_mitm.proxy.observers.metrics import Metrics

            self._metrics = Metrics(*address, self._figures)
        logger.info(f"s2-mitm: metrics at {self._metrics.url}")

    def _figures(self) -> "Figures | None":
        return self._recording.figures() if self._recording else None

    def running(self) -> None:
        self._running = True
        interpreter.tune()
        self._patches.running()
        self._clock = asyncio.create_task(self._watch_the_clock())
        mitmweb.prepare(ctx.master)
        # Some may have closed while the file of the addon was broken and could not be loaded.
        for session in [*LIVE.values()]:
            if session.flow.websocket and session.flow.websocket.timestamp_end is not None:
                self._safely(session, partial(self._take, session.flow, session))
                self.websocket_end(session.flow)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self._patches.server_connect_error(data)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        self._session(flow)
        self._patches.websocket_start(flow)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        started = time.perf_counter()
        session = self._session(flow)
        if not self._over:
            self._safely(session, lambda: self._take(flow, session))
        elif flow.websocket and session.recognised and internals.is_ending(ctx.master):
            # Too late to be judged and recorded; so it does not go on, just before all is closed.
            flow.websocket.messages[-1].dropped = True
        seconds = time.perf_counter() - started
        self._patches.charge(flow, seconds)
        if self._metrics and session.recognised:
            self._observers.took(session, seconds)

    def _safely(self, session: "Session", step: Callable[[], None]) -> None:
        """Do something with a session; the traffic goes on whatever happens in it."""
        if session.left_alone:
            return
        try:
            step()
        except Exception as fault:
            session.left_alone = True
            logger.error(
                f"s2-mitm: a fault of its own, {fault!r}; it no longer watches the WebSocket"
                f" {session.id}, which goes on. Please report this."
            )
            logger.debug("The fault:", exc_info=True)

    def _session(self, flow: http.HTTPFlow) -> Session:
        session = LIVE.get(flow.id)
        if session is None:  # it may have been open before the addon was loaded
            session = LIVE[flow.id] = Session(flow, self._settings)
            session.left_alone = self._filter is not None and not self._filter(flow)
        return session

    def _take(self, flow: http.HTTPFlow, session: Session) -> None:
        self._overtake(session)
        for judged in session.take(flow, meanings=self._meanings):
            if judged.number == 1:
                self._observers.opened(session)
            if self._block_invalid and judged.may_be_blocked:
                judged.message.dropped = True
            if gone := session.forget(flow, self._keep_messages):
                spool.keep(session, gone)
            self._observers.judged(session, judged)
            session.observed(judged)

    def _delivered(self, flow: http.HTTPFlow, message: WebSocketMessage) -> None:
        """mitmproxy goes on with a message, as other addons have left it."""
        session = LIVE.get(flow.id)
        if session is not None:
            self._safely(session, partial(self._goes_on, session, message))

    def _goes_on(self, session: "Session", message: WebSocketMessage) -> None:
        if judged := session.delivered(message):
            self._observers.delivered(session, judged)
        late = session.judge.became_known()
        self._say_late(session, late)
        if self._tell_news(session) or late:
            ctx.master.addons.trigger(UpdateHook([session.flow]))

    def _overtake(self, session: "Session") -> None:
        """Something follows a message: without the patch ``delivery`` it is known by that."""
        if judged := session.overtaken():
            self._observers.delivered(session, judged)

    def _tell_news(self, session: "Session") -> bool:
        """Tell what the two sides agreed on, if that has changed. Returns whether it has."""
        if not session.has_news():
            return False
        self._observers.changed(session)
        return True

    def _say_late(self, session: "Session", late: "list[LateFinding]") -> None:
        if late:
            self._observers.late(session, late)

    async def _watch_the_clock(self) -> None:
        """Every second: report answers that are overdue, also where no message comes."""
        has_failed = False
        while True:
            await asyncio.sleep(1)
            try:
                await self._every_second()
            except Exception as fault:
                if not has_failed:
                    logger.error(
                        f"s2-mitm: a fault of its own, {fault!r}, in what it does every second;"
                        " the traffic goes on. Please report this."
                    )
                    logger.debug("The fault:", exc_info=True)
                has_failed = True

    async def _every_second(self) -> None:
        self._say_what_had_to_wait()
        for session in [*LIVE.values()]:
            if session.is_live and session.recognised:
                self._safely(session, partial(self._tick, session))
        check_all()
        await self._patches.every_second()

    def _tick(self, session: "Session") -> None:
        self._overtake(session)
        late = session.tick()
        self._say_late(session, late)
        if self._tell_news(session) or late:
            ctx.master.addons.trigger(UpdateHook([session.flow]))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        session = LIVE.pop(flow.id, None)
        if session is None or not session.recognised:
            return
        self._safely(session, partial(self._end, session, _end_of(flow)))
        self._observers.closed(session)
        self._safely(session, partial(self._ended, flow))

    def _ended(self, flow: http.HTTPFlow) -> None:
        spool.discard(flow)
        if self._keep_messages:
            ENDED.add(flow)

    def _end(self, session: "Session", moment: float) -> None:
        self._overtake(session)
        late = session.close(moment)
        self._tell_news(session)
        self._say_late(session, late)

    def done(self) -> None:
        self._over = True
        if self._clock:
            self._clock.cancel()
        self._say_what_had_to_wait()
        # When only the addon is reloaded, its sessions go on in the next one.
        is_ending = internals.is_ending(ctx.master)
        ending = [*LIVE.values()] if is_ending else []
        for session in ending:
            if judged := session.hold_back():
                self._observers.delivered(session, judged)
            self._safely(session, partial(self._end, session, time.time()))
        if self._recording:
            self._recording.stop(ending)
        if is_ending or not self._running:
            finish_all()
        self._serve_metrics(None)
        contentview.uninstall()
        interpreter.restore()
        delivery.call(None)
        if not is_ending:  # else mitmproxy has yet to write what is open
            self._patches.done()

    # CmdArgs is text as it was given: of a str, mitmproxy would decode what JSON has escaped.
    @command.command("s2.inject")
    def inject(self, flow: flow.Flow, to: str, message: CmdArgs, validate: bool = True) -> str:
        """
        Send an S2 message into a live session: to "rm" or "cem", as if the other had sent it;
        the message is JSON, or @ and the path of a file. An invalid one is refused, unless
        "false" comes after it.
        """
        return inject(flow, LIVE.get(flow.id), to, message, validate=validate)


def _let_go(flow: http.HTTPFlow, keep: int) -> None:
    if (session := LIVE.get(flow.id)) and (gone := session.let_go(flow, keep)):
        spool.keep(session, gone)
        if session.recognised:
            annotate(flow, session)


def _end_of(flow: http.HTTPFlow) -> float:
    """When a WebSocket ended, or was last heard of, in seconds since 1970."""
    assert flow.websocket is not None
    last = [message.timestamp for message in flow.websocket.messages[-1:]]
    return flow.websocket.timestamp_end or max(last, default=time.time())


addons = [S2Mitm()] if LOADED else []
