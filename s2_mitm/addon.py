"""The front door: mitmproxy's options, hooks and commands, handed to the rooms behind.

mitmweb -s s2_mitm/addon.py --mode reverse:http://cem:8080
"""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mitmproxy import command, ctx, exceptions, flow, flowfilter, http
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.types import CmdArgs
from mitmproxy.websocket import WebSocketMessage

# mitmproxy loads this file by its path: the package around it need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

logger = logging.getLogger(__name__)
T = TypeVar("T")

try:
    from s2_mitm.history.database import RecordingError
    from s2_mitm.history.recorder import Figures, Recorder, check_all, finish_all
    from s2_mitm.history.retention import parse_retention, parse_size
    from s2_mitm.proxy import (
        contentview,
        delivery,
        interpreter,
        machine,
        memory,
        mitmweb,
        passwords,
        spool,
    )
    from s2_mitm.proxy.annotation import annotate, attach, attach_late
    from s2_mitm.proxy.ended import ENDED
    from s2_mitm.proxy.injection import inject
    from s2_mitm.proxy.observers.log import LEVELS, Log
    from s2_mitm.proxy.observers.observer import Observer
    from s2_mitm.proxy.observers.recording import MOVED, Journal
    from s2_mitm.proxy.patches import (
        descriptors,
        fast_path,
        frames,
        hangup,
        idle,
        masking,
        output,
        pacing,
    )
    from s2_mitm.proxy.session import LIVE, Judged, Session
    from s2_mitm.s2.catalog import VERSIONS
    from s2_mitm.s2.choice import parse_codes, parse_severities
    from s2_mitm.s2.conversation.judging import Settings
    from s2_mitm.s2.message.schemas import SchemaError, Schemas
    from s2_mitm.s2.verdict import LateFinding, Role
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


SETTINGS = {
    "s2_version",
    "s2_schemas",
    "s2_client_role",
    "s2_ack_timeout",
    "s2_ignore",
    "s2_severity",
}
"""The options that bear on how conversations are judged."""

RECORDING = {"s2_db", "s2_retain", "s2_name"}
"""Those that bear on where, and how, they are recorded."""


class S2Mitm:
    """Judges, annotates and records the S2 WebSockets that pass through mitmproxy."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._filter: flowfilter.TFilter | None = None
        self._block_invalid = False
        self._keep_messages = 0
        self._log: Log | None = None
        self._journal: Journal | None = None
        self._recorded = ("", "", "")
        self._to_say: deque[str] = deque()
        self._may_complain = False
        self._metrics: Metrics | None = None
        self._observers: list[Observer] = []
        self._clock: asyncio.Task[None] | None = None
        self._running = False
        self._over = False

    def load(self, loader: Loader) -> None:
        add = loader.add_option
        add("s2_db", str, "s2.sqlite3", "The recording: a file or a database URL; empty for none.")
        add("s2_retain", str, "", "How much of the recording stays, such as 30d or 30d,2GB.")
        add("s2_name", str, "", "The name of this proxy in the recording; else its host and port.")
        add("s2_schemas", str, "", "A directory of S2 JSON Schemas to use in place of our own.")
        add("s2_version", str, "auto", f"The version of S2: auto, {', '.join(VERSIONS)}.")
        add("s2_filter", str, "", "Look only at WebSockets that match this flow filter.")
        add("s2_client_role", str, "auto", "Who the WebSocket client is: auto, rm, cem.")
        add("s2_block_invalid", bool, False, "Do not forward messages that are not valid.")
        add("s2_keep_messages", int, 1000, "Messages that a flow keeps in memory; 0 keeps all.")
        add("s2_memory", str, "", "What messages that wait may take in memory, such as 200MB.")
        add("s2_ack_timeout", int, 10, "Seconds within which a ReceptionStatus is due.")
        add(
            "s2_ignore",
            str,
            "",
            "Codes of findings not to be said, with commas; ack.* is all of ack.",
        )
        add("s2_severity", str, "", "Other severities for findings: code=severity, with commas.")
        add("s2_metrics", str, "", "Serve Prometheus metrics at this port, or ADDRESS:PORT.")
        add("s2_log", str, "findings", f"What the terminal shows: {', '.join(LEVELS)}.")
        output.install_in(ctx.master)
        frames.install()
        masking.install()
        pacing.install()
        delivery.install(self._delivered)
        fast_path.install()
        spool.install()
        descriptors.raise_limit()
        contentview.install(lambda: self._settings)

    def configure(self, updated: set[str]) -> None:
        try:
            self._configure(updated)
        except (ValueError, SchemaError, RecordingError) as problem:
            if self._running:
                raise exceptions.OptionsError(str(problem)) from problem
            logger.error(f"s2-mitm: {problem}")  # after which mitmproxy does not start

    def _configure(self, updated: set[str]) -> None:
        options = ctx.options
        # Before all else, so that nobody sees the password, whatever is wrong besides.
        database = passwords.take_out(options) if updated & RECORDING else ""
        if updated & SETTINGS:
            self._settings = Settings(
                version=_choice(
                    "s2_version", {"auto": None, **dict(zip(VERSIONS, VERSIONS, strict=True))}
                ),
                client_role=_choice(
                    "s2_client_role", {"auto": None, "rm": Role.RM, "cem": Role.CEM}
                ),
                schemas=Schemas(Path(options.s2_schemas)) if options.s2_schemas else None,
                ack_timeout=options.s2_ack_timeout,
                ignore=parse_codes(options.s2_ignore),
                severity=parse_severities(options.s2_severity),
            )
            if self._settings.schemas:
                self._settings.schemas.compile_all()
        if options.s2_ack_timeout < 1:
            raise ValueError(f"s2_ack_timeout is 1 second or more, not {options.s2_ack_timeout}.")
        if options.s2_keep_messages < 0:
            raise ValueError(f"s2_keep_messages is 0 or more, not {options.s2_keep_messages}.")
        # Kept here, for mitmproxy copies an option each time that it is asked for.
        self._keep_messages = options.s2_keep_messages
        self._block_invalid = options.s2_block_invalid
        pacing.let_go_with(_let_go if options.s2_keep_messages else None)
        if "s2_memory" in updated:
            memory.MEMORY.limit = _memory(options.s2_memory)
        if "s2_filter" in updated:
            self._filter = _filter(options.s2_filter)
        if "s2_log" in updated:
            self._log = Log(_choice("s2_log", {level: level for level in LEVELS}))
        if "s2_metrics" in updated:
            self._serve_metrics(options.s2_metrics)
        if updated & RECORDING:
            self._record(database, options.s2_retain, options.s2_name)
            passwords.keep(database)
        told = (self._journal, self._log, self._metrics)
        self._observers = [observer for observer in told if observer]

    def _record(self, target: str, retain: str, name: str) -> None:
        if (target, retain, name) == self._recorded:
            # mitmproxy has taken back an option that was refused: the recording goes on.
            return
        retention = parse_retention(retain)
        journal = None
        if target:
            journal = Journal(Recorder(target, self._say_of_recording, retention), name)
        if self._journal:
            self._journal.stop(LIVE.values(), MOVED)
        self._journal = journal
        self._recorded = target, retain, name
        for session in LIVE.values():
            if journal and session.recognised:
                journal.opened(session)

    def _say_of_recording(self, sentence: str) -> None:
        """Log it, from any thread; while mitmproxy starts an error in the log would end it."""
        if self._may_complain:
            logger.error(sentence)
        else:
            self._to_say.append(sentence)

    def _say_what_had_to_wait(self) -> None:
        self._may_complain = True
        while self._to_say:
            logger.error(self._to_say.popleft())

    def _serve_metrics(self, address: str) -> None:
        if self._metrics:
            self._metrics.close()
            self._metrics = None
        if address:
            # With all that belongs to it, some megabytes that few need.
            from s2_mitm.proxy.observers.metrics import Metrics

            self._metrics = Metrics(address, self._figures)
            logger.info(f"s2-mitm: metrics at {self._metrics.url}")

    def _figures(self) -> "Figures | None":
        return self._journal.figures() if self._journal else None

    def running(self) -> None:
        self._running = True
        output.end_within()
        interpreter.tune()
        hangup.end_in_order(ctx.master)
        descriptors.bound_connections()
        self._clock = asyncio.create_task(self._watch_the_clock())
        mitmweb.prepare(ctx.master)
        for session in [*LIVE.values()]:  # that were closed while the addon could not be loaded
            if session.flow.websocket and session.flow.websocket.timestamp_end is not None:
                self._safely(session, partial(self._take, session.flow, session))
                self.websocket_end(session.flow)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        descriptors.server_connect_error(data)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        session = self._session(flow)
        self._safely(session, partial(idle.may_be_silent, flow))
        pacing.keep_pace(flow)  # also where it is left alone: the memory is everyone's

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        started = time.perf_counter()
        session = self._session(flow)
        if not self._over:
            self._safely(session, lambda: self._take(flow, session))
        elif flow.websocket and session.recognised and ctx.master.should_exit.is_set():
            # Too late to be judged and recorded; so it does not go on, just before all is closed.
            flow.websocket.messages[-1].dropped = True
        seconds = time.perf_counter() - started
        pacing.charge(flow, seconds)
        if self._metrics and session.recognised:
            self._metrics.took(seconds)

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
        if not session.recognises(flow):
            return
        for judged in session.take(flow):
            if judged.number == 1:
                for observer in self._observers:
                    observer.opened(session)
            if self._block_invalid and judged.may_be_blocked:
                judged.message.dropped = True
                session.conversation.not_forwarded(judged.verdict)
            attach(flow, judged)
            for observer in self._observers:
                observer.judged(session, judged)
            session.told(judged)
        if gone := session.forget(flow, self._keep_messages):
            spool.keep(session, gone)
        annotate(flow, session)

    def _delivered(self, flow: http.HTTPFlow, message: WebSocketMessage) -> None:
        """mitmproxy goes on with a message, as others have left it."""
        session = LIVE.get(flow.id)
        if session is not None and (judged := session.delivered(message)):
            self._safely(session, partial(self._differs, session, judged))

    def _differs(self, session: "Session", judged: "Judged") -> None:
        if judged.message.dropped:
            session.conversation.not_forwarded(judged.verdict)
        for observer in self._observers:
            observer.delivered(session, judged)

    def _say_late(self, session: "Session", late: "list[LateFinding]") -> None:
        if not late:
            return
        attach_late(session.flow, late)
        annotate(session.flow, session)
        for observer in self._observers:
            observer.late(session, late)

    async def _watch_the_clock(self) -> None:
        """Say what is overdue, in silent sessions too."""
        while True:
            await asyncio.sleep(1)
            self._say_what_had_to_wait()
            check_all()
            await pacing.tidy_memory()
            for session in [*LIVE.values()]:
                if session.is_live and session.recognised:
                    self._safely(session, partial(self._tick, session))

    def _tick(self, session: "Session") -> None:
        if late := session.conversation.tick(time.time(), time.monotonic()):
            self._say_late(session, late)
            ctx.master.addons.trigger(UpdateHook([session.flow]))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        session = LIVE.pop(flow.id, None)
        if session is None or not session.recognised:
            return
        self._safely(session, partial(self._end, session, _end_of(flow)))
        for observer in self._observers:
            observer.closed(session)
        self._safely(session, partial(self._ended, flow))

    def _ended(self, flow: http.HTTPFlow) -> None:
        spool.discard(flow)
        if self._keep_messages:
            ENDED.add(flow)

    def _end(self, session: "Session", moment: float) -> None:
        late = session.conversation.close(moment, session.monotonic(moment))
        self._say_late(session, late)

    def done(self) -> None:
        self._over = True
        if self._clock:
            self._clock.cancel()
        self._say_what_had_to_wait()
        # When only the addon is reloaded, its sessions go on in the next one.
        ending = [*LIVE.values()] if ctx.master.should_exit.is_set() else []
        for session in ending:
            if judged := session.hold_back():
                self._safely(session, partial(self._differs, session, judged))
            self._safely(session, partial(self._end, session, time.time()))
        if self._journal:
            self._journal.stop(ending)
        if ctx.master.should_exit.is_set() or not self._running:
            finish_all()
        self._serve_metrics("")
        contentview.uninstall()
        interpreter.restore()
        if not ctx.master.should_exit.is_set():  # else mitmproxy has yet to write what is open
            spool.uninstall()
        fast_path.uninstall()
        delivery.uninstall()
        pacing.uninstall()
        frames.uninstall()
        masking.uninstall()

    # CmdArgs is text as it was given: of a str, mitmproxy would decode what JSON has escaped.
    @command.command("s2.inject")
    def inject(self, flow: flow.Flow, to: str, message: CmdArgs, validate: bool = True) -> str:
        """
        Send an S2 message into a live session: to "rm" or "cem", as if the other had sent it;
        the message is JSON, or @ and the path of a file. An invalid one is refused, unless
        "false" comes after it.
        """
        return inject(flow, LIVE.get(flow.id), to, message, validate=validate)


def _memory(size: str) -> int:
    """The bytes that ``s2_memory`` says, or our own; ValueError, with a sentence, if it is none."""
    if size.strip() in ("", "0"):
        return min((machine.memory() or 4 * memory.MOST) // 4, memory.MOST)
    if (limit := parse_size(size)) is None or limit < memory.LEAST:
        raise ValueError(
            f"s2_memory is a size of 1MB or more, such as 200MB, or empty, not {size!r}."
        )
    return limit


def _let_go(flow: http.HTTPFlow, keep: int) -> None:
    if (session := LIVE.get(flow.id)) and (gone := session.let_go(flow, keep)):
        spool.keep(session, gone)
        if session.recognised:
            annotate(flow, session)


def _filter(expression: str) -> flowfilter.TFilter | None:
    """The flow filter, None for an empty one; ValueError, with a sentence, if it is none."""
    try:
        return flowfilter.parse(expression) if expression else None
    except ValueError as problem:
        raise ValueError(f"s2_filter is no flow filter: {expression!r}.") from problem


def _end_of(flow: http.HTTPFlow) -> float:
    """When a WebSocket ended, or was last heard of, in seconds since 1970."""
    assert flow.websocket is not None
    last = [message.timestamp for message in flow.websocket.messages[-1:]]
    return flow.websocket.timestamp_end or max(last, default=time.time())


def _choice(option: str, values: Mapping[str, T]) -> T:
    """What the value of an option stands for; ValueError, with a sentence, if for nothing."""
    value = getattr(ctx.options, option)
    if value not in values:
        raise ValueError(f"{option} is one of {', '.join(values)}, not {value!r}.")
    return values[value]


addons = [S2Mitm()] if LOADED else []
