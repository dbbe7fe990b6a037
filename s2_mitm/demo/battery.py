"""A simulated home battery: an RM on FRBC, spoken through s2-python's own client.

Everything it says is right, but for the planted mistakes of `s2_mitm.demo.mistakes`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from s2python.common import (
    Commodity,
    CommodityQuantity,
    Duration,
    InstructionStatus,
    InstructionStatusUpdate,
    NumberRange,
    PowerForecast,
    PowerForecastElement,
    PowerForecastValue,
    PowerMeasurement,
    PowerRange,
    PowerValue,
    Role,
    RoleType,
    SessionRequest,
    Transition,
)
from s2python.connection import AssetDetails, S2ConnectionEventsAndMessages
from s2python.connection.async_ import S2AsyncConnection
from s2python.connection.async_.control_type.class_based import (
    FRBCControlType,
    ResourceManagerHandler,
)
from s2python.connection.async_.medium.s2_medium import (
    MediumClosedConnectionError,
    S2AsyncMediumConnection,
)
from s2python.connection.async_.medium.websocket import WebsocketClientMedium
from s2python.connection.errors import (
    CouldNotReceiveStatusReceptionError,
    PermanentConnectionError,
)
from s2python.connection.types import SendOkayRunAsync
from s2python.frbc import (
    FRBCActuatorDescription,
    FRBCActuatorStatus,
    FRBCInstruction,
    FRBCLeakageBehaviour,
    FRBCLeakageBehaviourElement,
    FRBCOperationMode,
    FRBCOperationModeElement,
    FRBCStorageDescription,
    FRBCStorageStatus,
    FRBCSystemDescription,
)
from s2python.message import S2Message

from s2_mitm.demo.frames import Frames
from s2_mitm.demo.mistakes import MISTAKES, Mistake
from s2_mitm.demo.storage import LEAKAGE_RATE, Mode, Storage, fill_rate

TICKS = 20
"""How often a day the battery measures."""

_QUANTITY = CommodityQuantity.ELECTRIC_POWER_3_PHASE_SYMMETRIC
_TRANSITION_TIME = 0.1  # seconds
_BROKEN_OFF = (
    CouldNotReceiveStatusReceptionError,
    MediumClosedConnectionError,
    PermanentConnectionError,
)
_FULL_RANGE = NumberRange(start_of_range=0, end_of_range=100)


async def run_battery(
    url: str,
    *,
    seconds: float = 10.0,
    frames: Frames | None = None,
    verify_certificate: bool = True,
) -> bool:
    """Connect to the CEM at ``url`` (ws:// or wss://) and talk until the session ends.

    ``seconds`` is the length of the battery's day, which it repeats while the session lasts.
    Returns True when the CEM ended the session in order, False when it broke off.
    Raises MediumCouldNotConnectError when nobody listens there.
    """
    medium = _RecordedMedium(url, verify_certificate, frames or Frames())
    async with medium:
        return await converse(medium, seconds=seconds)


async def converse(medium: S2AsyncMediumConnection, *, seconds: float = 10.0) -> bool:
    """Be the battery on a connected ``medium``; as `run_battery`, which is for a client."""
    connection = S2AsyncConnection(medium)
    control = BatteryControl(Storage(), medium, seconds)
    ResourceManagerHandler([control], _asset_details()).register_handlers(connection)
    ended = False

    async def end_session(
        _: S2AsyncConnection, __: S2ConnectionEventsAndMessages, send_okay: SendOkayRunAsync
    ) -> None:
        nonlocal ended
        ended = True
        await control.deactivate(connection)
        if send_okay is not None:
            await send_okay()
        await connection.stop()

    connection.register_handler(SessionRequest, end_session)
    try:
        # RuntimeError is what s2-python raises when the CEM refuses the handshake.
        with suppress(TimeoutError, RuntimeError, *_BROKEN_OFF):
            await connection.run()
    finally:
        await control.deactivate(connection)
    return ended


class BatteryControl(FRBCControlType):
    """What the battery does once the CEM controls it: measures, obeys, and errs on schedule."""

    def __init__(self, storage: Storage, medium: S2AsyncMediumConnection, seconds: float) -> None:
        self._storage = storage
        self._medium = medium
        self._tick = seconds / TICKS
        self._previous: tuple[Mode, datetime] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._messages: dict[str, Callable[[], S2Message]] = {
            "PowerForecast": self._forecast,
            "PowerMeasurement": self._measurement,
            "FRBC.StorageStatus": self._storage_status,
            "FRBC.LeakageBehaviour": _leakage_behaviour,
        }

    async def activate(self, connection: S2AsyncConnection) -> None:
        """Describe the battery, then go on measuring in the background."""
        for message in (
            _system_description(self._storage),
            self._actuator_status(),
            self._storage_status(),
            self._forecast(),
        ):
            await connection.send_and_forget(message)
        self._spawn(self._measure(connection))

    async def deactivate(self, connection: S2AsyncConnection) -> None:
        """Fall silent at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def handle_instruction(
        self,
        connection: S2AsyncConnection,
        msg: S2ConnectionEventsAndMessages,
        send_okay: SendOkayRunAsync,
    ) -> None:
        """Acknowledge the instruction and carry it out in the background."""
        if send_okay is not None:
            await send_okay()
        if isinstance(msg, FRBCInstruction):
            self._spawn(self._obey(connection, msg))

    async def _obey(self, connection: S2AsyncConnection, instruction: FRBCInstruction) -> None:
        async def report(status: InstructionStatus) -> None:
            await connection.send_and_forget(
                InstructionStatusUpdate(
                    message_id=uuid.uuid4(),
                    instruction_id=instruction.id,
                    status_type=status,
                    timestamp=_now(),
                )
            )

        await report(InstructionStatus.NEW)
        mode = self._storage.find_mode(instruction.operation_mode)
        possible = 0 <= instruction.operation_mode_factor <= 1
        if mode is None or instruction.actuator_id != self._storage.id or not possible:
            await report(InstructionStatus.REJECTED)
            return
        await report(InstructionStatus.ACCEPTED)
        await asyncio.sleep((instruction.execution_time - _now()).total_seconds())
        await report(InstructionStatus.STARTED)
        started = _now()
        await asyncio.sleep(_TRANSITION_TIME)
        self._previous = (self._storage.mode, started)
        self._storage.switch(mode, instruction.operation_mode_factor)
        await connection.send_and_forget(self._actuator_status())
        await report(InstructionStatus.SUCCEEDED)

    async def _measure(self, connection: S2AsyncConnection) -> None:
        planted = {round(mistake.moment * TICKS): mistake for mistake in MISTAKES}
        clock = asyncio.get_running_loop()
        due = clock.time()
        tick = 0
        while True:
            await connection.send_and_forget(self._measurement())
            if tick % 4 == 3:
                await connection.send_and_forget(self._storage_status())
            if tick in planted:
                await self._plant(planted[tick])
            tick = (tick + 1) % TICKS
            due += self._tick
            await asyncio.sleep(due - clock.time())
            self._storage.advance(self._tick)

    async def _plant(self, mistake: Mistake) -> None:
        # Past s2-python's models, which would refuse to say such a thing.
        message = json.loads(self._messages[mistake.message_type]().to_json())
        mistake.apply(message)
        await self._medium.send(json.dumps(message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def until_closed() -> None:
            with suppress(MediumClosedConnectionError):
                await work

        task = asyncio.create_task(until_closed())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _actuator_status(self) -> FRBCActuatorStatus:
        previous, since = self._previous or (None, None)
        return FRBCActuatorStatus(
            message_id=uuid.uuid4(),
            actuator_id=self._storage.id,
            active_operation_mode_id=self._storage.mode.id,
            operation_mode_factor=self._storage.factor,
            previous_operation_mode_id=previous.id if previous else None,
            transition_timestamp=since,
        )

    def _storage_status(self) -> FRBCStorageStatus:
        return FRBCStorageStatus(
            message_id=uuid.uuid4(), present_fill_level=self._storage.fill_level
        )

    def _measurement(self) -> PowerMeasurement:
        return PowerMeasurement(
            message_id=uuid.uuid4(),
            measurement_timestamp=_now(),
            values=[PowerValue(commodity_quantity=_QUANTITY, value=self._storage.power)],
        )

    def _forecast(self) -> PowerForecast:
        """Half an hour: to stand idle is likeliest, but the CEM may ask for anything."""
        limits = [limit for mode in self._storage.modes for limit in mode.power]
        highest, lowest = max(limits), min(limits)
        return PowerForecast(
            message_id=uuid.uuid4(),
            start_time=_now(),
            elements=[
                PowerForecastElement(
                    duration=Duration.from_timedelta(timedelta(minutes=15)),
                    power_values=[
                        PowerForecastValue(
                            commodity_quantity=_QUANTITY,
                            value_upper_limit=highest,
                            value_upper_95PPR=0.8 * highest,
                            value_upper_68PPR=0.4 * highest,
                            value_expected=0.0,
                            value_lower_68PPR=0.4 * lowest,
                            value_lower_95PPR=0.8 * lowest,
                            value_lower_limit=lowest,
                        )
                    ],
                )
                for _ in range(2)
            ],
        )


class _RecordedMedium(WebsocketClientMedium):
    """s2-python's WebSocket client, with a note kept of every frame."""

    def __init__(self, url: str, verify_certificate: bool, frames: Frames) -> None:
        super().__init__(url, verify_certificate)
        self._frames = frames

    async def send(self, message: str) -> None:
        self._frames.sent.append(message)
        await super().send(message)

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        async for message in super().messages():
            self._frames.received.append(message)
            yield message


def _asset_details() -> AssetDetails:
    return AssetDetails(
        resource_id=uuid.uuid4(),
        name="Demo battery",
        manufacturer="s2-mitm",
        model="Simulated home battery, 10 kWh",
        serial_number="DEMO-0001",
        firmware_version="1.0.0",
        roles=[Role(role=RoleType.ENERGY_STORAGE, commodity=Commodity.ELECTRICITY)],
        provides_forecast=True,
        provides_power_measurements=[_QUANTITY],
        instruction_processing_delay=Duration.from_timedelta(timedelta(seconds=_TRANSITION_TIME)),
    )


def _system_description(storage: Storage) -> FRBCSystemDescription:
    return FRBCSystemDescription(
        message_id=uuid.uuid4(),
        valid_from=_now(),
        actuators=[
            FRBCActuatorDescription(
                id=storage.id,
                diagnostic_label="inverter",
                supported_commodities=[Commodity.ELECTRICITY],
                operation_modes=[_operation_mode(mode) for mode in storage.modes],
                transitions=[
                    Transition(
                        id=uuid.uuid4(),
                        from_=before.id,
                        to=after.id,
                        start_timers=[],
                        blocking_timers=[],
                        transition_costs=None,
                        transition_duration=Duration.from_timedelta(
                            timedelta(seconds=_TRANSITION_TIME)
                        ),
                        abnormal_condition_only=False,
                    )
                    for before in storage.modes
                    for after in storage.modes
                    if before is not after
                ],
                timers=[],
            )
        ],
        storage=FRBCStorageDescription(
            diagnostic_label="battery",
            fill_level_label="state of charge in %",
            provides_leakage_behaviour=True,
            provides_fill_level_target_profile=False,
            provides_usage_forecast=False,
            fill_level_range=_FULL_RANGE,
        ),
    )


def _operation_mode(mode: Mode) -> FRBCOperationMode:
    low, high = mode.power
    return FRBCOperationMode(
        id=mode.id,
        diagnostic_label=mode.label,
        elements=[
            FRBCOperationModeElement(
                fill_level_range=_FULL_RANGE,
                fill_rate=NumberRange(start_of_range=fill_rate(low), end_of_range=fill_rate(high)),
                power_ranges=[
                    PowerRange(start_of_range=low, end_of_range=high, commodity_quantity=_QUANTITY)
                ],
            )
        ],
        abnormal_condition_only=False,
    )


def _leakage_behaviour() -> FRBCLeakageBehaviour:
    return FRBCLeakageBehaviour(
        message_id=uuid.uuid4(),
        valid_from=_now(),
        elements=[
            FRBCLeakageBehaviourElement(fill_level_range=_FULL_RANGE, leakage_rate=LEAKAGE_RATE)
        ],
    )


def _now() -> datetime:
    return datetime.now(UTC)
