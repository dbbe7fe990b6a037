"""A simulated CEM: a WebSocket server that has a battery charge, rest and discharge."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from s2python.common import (
    ControlType,
    EnergyManagementRole,
    Handshake,
    HandshakeResponse,
    ReceptionStatus,
    ReceptionStatusValues,
    ResourceManagerDetails,
    SelectControlType,
    SessionRequest,
    SessionRequestType,
)
from s2python.frbc import FRBCActuatorDescription, FRBCInstruction, FRBCSystemDescription
from s2python.message import S2Message
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from s2_mitm.demo.frames import Frames
from s2_mitm.demo.mistakes import MISTAKES
from s2_mitm.demo.strict import read

VERSION = "0.0.2-beta"

PLAN = ((0.15, 4000.0), (0.50, 0.0), (0.70, -4000.0))
"""What the CEM wants of the battery: from which fraction of the day on, what power in W."""

_NOT_ACKNOWLEDGED = {mistake.message_type for mistake in MISTAKES if mistake.valid}


@asynccontextmanager
async def serve_cem(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    seconds: float = 10.0,
    days: int = 1,
    frames: Frames | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve as a CEM while the context lasts; gives the port it listens on.

    ``port`` 0 takes a free one. Each session lasts ``days`` days of ``seconds`` seconds. Raises
    OSError when the port is taken.
    """

    async def talk(connection: Connection) -> None:
        await CEM(connection, seconds=seconds, days=days, frames=frames).run()

    async with serve(talk, host, port, ssl=tls) as server:
        yield next(iter(server.sockets)).getsockname()[1]


class CEM:
    """The CEM's side of one session, on a WebSocket that may be a server's or a client's."""

    def __init__(
        self,
        connection: Connection,
        *,
        seconds: float = 10.0,
        days: int = 1,
        frames: Frames | None = None,
    ) -> None:
        """The session lasts ``days`` days of ``seconds`` seconds."""
        self._connection = connection
        self._seconds = seconds
        self._days = days
        self._frames = frames or Frames()
        self._heard = asyncio.Event()
        self._selected = False
        self._control: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Talk until the connection is closed, by whichever side."""
        try:
            with suppress(ConnectionClosed):
                async for frame in self._connection:
                    self._frames.received.append(frame)
                    await self._receive(frame)
                    self._heard.set()
        finally:
            if self._control:
                self._control.cancel()

    async def _receive(self, frame: str | bytes) -> None:
        reading = read(frame)
        message = reading.message
        if isinstance(message, ReceptionStatus):
            return
        if message is None:
            await self._acknowledge(
                reading.message_id, ReceptionStatusValues.INVALID_MESSAGE, reading.fault
            )
        elif message.message_type not in _NOT_ACKNOWLEDGED:
            await self._acknowledge(reading.message_id, ReceptionStatusValues.OK)
            await self._answer(message)

    async def _acknowledge(
        self, subject: uuid.UUID | None, status: ReceptionStatusValues, label: str | None = None
    ) -> None:
        if subject is not None:
            await self._send(
                ReceptionStatus(subject_message_id=subject, status=status, diagnostic_label=label)
            )

    async def _answer(self, message: S2Message) -> None:
        match message:
            case Handshake():
                await self._send(
                    Handshake(
                        message_id=uuid.uuid4(),
                        role=EnergyManagementRole.CEM,
                        supported_protocol_versions=[VERSION],
                    )
                )
                await self._send(
                    HandshakeResponse(message_id=uuid.uuid4(), selected_protocol_version=VERSION)
                )
            case ResourceManagerDetails() if not self._selected:
                self._selected = True
                await self._send(
                    SelectControlType(
                        message_id=uuid.uuid4(),
                        control_type=ControlType.FILL_RATE_BASED_CONTROL,
                    )
                )
            case FRBCSystemDescription() if self._control is None:
                self._control = asyncio.create_task(self._follow_plan(message.actuators[0]))

    async def _follow_plan(self, actuator: FRBCActuatorDescription) -> None:
        with suppress(ConnectionClosed):
            clock = asyncio.get_running_loop()
            start = clock.time()
            for day in range(self._days):
                for moment, power in PLAN:
                    await asyncio.sleep(start + (day + moment) * self._seconds - clock.time())
                    await self._send(_instruction(actuator, power))
            await asyncio.sleep(start + self._days * self._seconds - clock.time())
            await self._terminate()

    async def _terminate(self) -> None:
        # A message of the battery that crosses the request on its way would be out of place;
        # so wait for its next word, and then for the pause after that.
        pause = min(0.1, self._seconds / 100)
        self._heard.clear()
        await self._heard.wait()
        while self._heard.is_set():
            self._heard.clear()
            await asyncio.sleep(pause)
        await self._send(
            SessionRequest(
                message_id=uuid.uuid4(),
                request=SessionRequestType.TERMINATE,
                diagnostic_label="The day is over.",
            )
        )
        # To close is up to the one that was asked; a peer that does not is not waited for.
        await asyncio.sleep(5)
        await self._connection.close()

    async def _send(self, message: S2Message) -> None:
        text = message.to_json()
        self._frames.sent.append(text)
        await self._connection.send(text)


def _instruction(actuator: FRBCActuatorDescription, power: float) -> FRBCInstruction:
    """An instruction to the mode of ``actuator`` that can do ``power`` (W), at once."""
    for mode in actuator.operation_modes:
        for element in mode.elements:
            for reach in element.power_ranges:
                low, high = reach.start_of_range, reach.end_of_range
                if low <= power <= high:
                    return FRBCInstruction(
                        message_id=uuid.uuid4(),
                        id=uuid.uuid4(),
                        actuator_id=actuator.id,
                        operation_mode=mode.id,
                        operation_mode_factor=(power - low) / (high - low) if high > low else 0.0,
                        execution_time=datetime.now(UTC),
                        abnormal_condition=False,
                    )
    raise ValueError(f"no operation mode of the actuator can do {power} W")
