"""A Resource Manager and a CEM that cost little, so that the proxy between them is what is slow.

What they say is S2, each message with an id and a time of its own, and each answer is read. But
their WebSockets can do no more than that: messages in one frame, no extensions, and a mask of
zeros, which a peer takes off like any other.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from load.children import PATIENCE, questions, say

Message = dict[str, Any]

WINDOW = 8
"""Measurements on their way in each conversation while throughput is measured."""

FURTHER: dict[str, list[Message]] = {
    "Handshake": [
        {
            "message_type": "Handshake",
            "role": "CEM",
            "supported_protocol_versions": ["0.0.2-beta"],
        },
        {"message_type": "HandshakeResponse", "selected_protocol_version": "0.0.2-beta"},
    ],
    "ResourceManagerDetails": [
        {"message_type": "SelectControlType", "control_type": "FILL_RATE_BASED_CONTROL"}
    ],
}
"""What the CEM says to a message, beside its ReceptionStatus."""


def an_id(of: int, number: int) -> str:
    return f"{of:08x}-cc90-4046-9173-{number:012x}"


def reception_status(subject: str) -> bytes:
    message = {"message_type": "ReceptionStatus", "subject_message_id": subject, "status": "OK"}
    return json.dumps(message).encode()


class BrokenOffError(Exception):
    """The connection ended before its time."""


# WebSockets

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
"""First bytes of a frame that is a whole message."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server adds to a client's key, by RFC 6455."""


class WebSocket(asyncio.Protocol):
    """One end of a WebSocket.

    ``on_message`` is called with the payload of each message; None stands for the end.
    """

    client = False

    def __init__(self) -> None:
        self.on_message: Callable[[bytes | None], None] = lambda _: None
        self._transport: asyncio.WriteTransport | None = None
        self._open = False
        self._rest = b""

    def send(self, payload: bytes) -> None:
        """Send a message."""
        self._send(TEXT, payload)

    def close(self) -> None:
        """Say that this is the end; the other side says so too, and then it is."""
        self._send(CLOSE, b"\x03\xe8")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self.on_message(None)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._open = True
            self._upgraded(head)
        place, length = 0, len(data)
        while length - place >= 2:
            size, start = data[place + 1] & 127, place + 2
            if size > 125:
                wide = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + wide]), start + wide
            masked = data[place + 1] & 128
            start += 4 if masked else 0
            if start + size > length:
                break
            payload = data[start : start + size]
            self._received(data[place], _unmask(data[start - 4 : start], payload, bool(masked)))
            place = start + size
        self._rest = data[place:]

    def _upgraded(self, head: bytes) -> None:
        """The opening handshake, as far as the other side says it, is there."""
        raise NotImplementedError

    def _received(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self.on_message(payload)
        elif kind == PING:
            self._send(PONG, payload)
        elif kind == CLOSE and self._transport:
            if not self.client:
                self._send(CLOSE, payload[:2])
            self._transport.close()

    def _send(self, kind: int, payload: bytes) -> None:
        if self._transport is None:
            return
        size, mask = len(payload), 128 if self.client else 0
        if size < 126:
            head = bytes((kind, mask | size))
        elif size < 65536:
            head = bytes((kind, mask | 126)) + size.to_bytes(2)
        else:
            head = bytes((kind, mask | 127)) + size.to_bytes(8)
        self._transport.write(head + (b"\0\0\0\0" if self.client else b"") + payload)


def _unmask(mask: bytes, payload: bytes, masked: bool) -> bytes:
    if not masked or mask == b"\0\0\0\0":
        return payload
    size = len(payload)
    repeated = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(payload) ^ repeated).to_bytes(size)


class ServerWebSocket(WebSocket):
    """The end of the one that was called."""

    def _upgraded(self, head: bytes) -> None:
        assert self._transport is not None
        lines = (line.partition(b": ") for line in head.split(b"\r\n"))
        key = next(value for name, _, value in lines if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )


class ClientWebSocket(WebSocket):
    """The end of the one that calls."""

    client = True

    def __init__(self) -> None:
        super().__init__()
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.on_message = self._arrived.put_nowait

    async def receive(self) -> bytes:
        """The next message; BrokenOffError where there is none any more."""
        payload = await self._arrived.get()
        if payload is None:
            raise BrokenOffError("a conversation broke off")
        return payload

    async def upgrade(self, port: int) -> None:
        """Say the opening handshake; BrokenOffError where it is refused."""
        assert self._transport is not None
        key = base64.b64encode(os.urandom(16))
        self._transport.write(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (port, key)
        )
        answer = await self._answer
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise BrokenOffError(f"no WebSocket was opened: {answer[:200]!r}")

    async def end(self) -> None:
        """Close, and wait until it is."""
        self.close()
        while await self._arrived.get() is not None:
            pass

    async def flood(self, message: Callable[[], bytes], more: Callable[[], bool]) -> int:
        """Keep messages on their way while there are to be more; how many were answered."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = answered = 0

        def next_one(payload: bytes | None) -> None:
            nonlocal waiting, answered
            if payload is None:
                done.set_exception(BrokenOffError("a conversation broke off"))
                return
            answered += 1
            if more():
                self.send(message())
                return
            waiting -= 1
            if not waiting and not done.done():
                done.set_result(None)

        usual, self.on_message = self.on_message, next_one
        while waiting < WINDOW and more():
            waiting += 1
            self.send(message())
        if waiting:
            await done
        self.on_message = usual
        return answered

    def connection_lost(self, problem: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_result(b"nothing")
        super().connection_lost(problem)

    def _upgraded(self, head: bytes) -> None:
        self._answer.set_result(head)


# The CEM


async def cem() -> None:
    """A CEM: a server that answers everything, on the port that it says first.

    Asked anything, it says how many seconds of processor time it has used.
    """
    server = await answering(ServerWebSocket)
    say(server.sockets[0].getsockname()[1])
    async for _ in questions():
        say({"cpu": time.process_time()})
    server.close()


async def answering(websocket_of: Callable[[], ServerWebSocket]) -> asyncio.Server:
    """The server of a CEM on a free port; ``websocket_of`` makes its end of each connection."""
    numbers = itertools.count(1)

    def talk() -> ServerWebSocket:
        websocket = websocket_of()

        def answer(payload: bytes | None) -> None:
            if payload is None:
                return
            message = json.loads(payload)
            message_type = message["message_type"]
            if message_type == "ReceptionStatus":
                return
            websocket.send(reception_status(message["message_id"]))
            for further in FURTHER.get(message_type, ()):
                said = {**further, "message_id": an_id(0, next(numbers))}
                websocket.send(json.dumps(said).encode())

        websocket.on_message = answer
        return websocket

    return await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0, backlog=1000)


# The RM


class Talks:
    """The conversations of an RM through one proxy.

    ``opening`` is what it says first, answered one by one; ``measurement`` is what it says then,
    again and again, with a new id and time. ``websocket_of`` makes its end of each connection.
    ``messages`` counts what went through, both ways.
    """

    def __init__(
        self,
        port: int,
        opening: Sequence[Message],
        measurement: Message,
        websocket_of: Callable[[], ClientWebSocket] = ClientWebSocket,
    ) -> None:
        self.messages = 0
        self._port = port
        self._websocket_of = websocket_of
        self._opening = [(each["message_type"], json.dumps(each).encode()) for each in opening]
        self._parts = _parts(measurement)
        self._open: list[ClientWebSocket] = []
        self._numbers = itertools.count(1)

    async def open(self, conversations: int) -> dict[str, Any]:
        """Begin that many, as soon as the proxy is there."""
        deadline = time.monotonic() + PATIENCE
        while len(self._open) < conversations:
            try:
                self._open.append(await self._begin())
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        return {}

    async def flood(
        self, seconds: float | None = None, messages: int | None = None
    ) -> dict[str, Any]:
        """Measure as fast as it goes, in all conversations at once: for so long, or so often.

        ``messages`` counts the answers too.
        """
        start, used = time.perf_counter(), time.process_time()
        left = itertools.repeat(True, (messages or 0) // 2)

        def more() -> bool:
            if messages is not None:
                return next(left, False)
            return time.perf_counter() - start < (seconds or 0.0)

        floods = [each.flood(self._next, more) for each in self._open]
        answered = sum(await asyncio.gather(*floods))
        self.messages += 2 * answered
        return {
            "messages": 2 * answered,
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - used,
        }

    async def trips(self, seconds: float, pause: float = 0.0) -> dict[str, Any]:
        """One measurement at a time, in one conversation after the other, with a pause between."""
        end = time.perf_counter() + seconds
        taken: list[float] = []
        for websocket in itertools.cycle(self._open):
            measurement = self._next()
            start = time.perf_counter()
            websocket.send(measurement)
            await websocket.receive()
            now = time.perf_counter()
            taken.append(now - start)
            if now > end and len(taken) >= 100:
                break
            if pause:
                await asyncio.sleep(pause)
        self.messages += 2 * len(taken)
        return {"trips": taken}

    async def visits(self, connections: int, measurements: int, mistakes: int) -> dict[str, Any]:
        """So many short conversations, one after the other.

        In the last of every ``mistakes`` the last measurement is not valid. Counts its mistakes.
        """
        before, made = self.messages, 0
        for number in range(1, connections + 1):
            websocket = await self._begin()
            for place in range(1, measurements + 1):
                message = self._next()
                if place == measurements and number % mistakes == 0:
                    message, made = message.replace(b'"values"', b'"valeus"'), made + 1
                websocket.send(message)
                await websocket.receive()
                self.messages += 2
            await websocket.end()
        return {"messages": self.messages - before, "mistakes": made}

    async def close(self) -> dict[str, Any]:
        """End all conversations; how many messages went through."""
        for websocket in self._open:
            await websocket.end()
        self._open.clear()
        return {"messages": self.messages}

    async def _begin(self) -> ClientWebSocket:
        """A conversation in which the opening was said, and answered."""
        loop = asyncio.get_running_loop()
        _, websocket = await loop.create_connection(self._websocket_of, "127.0.0.1", self._port)
        await websocket.upgrade(self._port)
        for message_type, text in self._opening:
            websocket.send(text)
            further = FURTHER.get(message_type, ())
            for _ in range(1 + len(further)):
                answer = json.loads(await websocket.receive())
                if "message_id" in answer:
                    websocket.send(reception_status(answer["message_id"]))
            self.messages += 2 + 2 * len(further)
        return websocket

    def _next(self) -> bytes:
        """The measurement, as new."""
        start, between, end = self._parts
        message_id, moment = an_id(1, next(self._numbers)), datetime.now(UTC).isoformat()
        return b"".join((start, message_id.encode(), between, moment.encode(), end))


def _parts(measurement: Message) -> tuple[bytes, bytes, bytes]:
    """The text of a measurement: what is before its id, between id and time, and after that."""
    text = json.dumps({**measurement, "message_id": "\0", "measurement_timestamp": "\0"})
    first, between, last = text.encode().split(rb"\u0000")
    if text.index("message_id") > text.index("measurement_timestamp"):
        raise ValueError("the id of the measurement comes before its time")
    return first, between, last


async def rm() -> None:
    """An RM: does what it is asked, through whichever proxy."""
    by_port: dict[int, Talks] = {}
    async for question in questions():
        do, port = question.pop("do"), question.pop("port")
        try:
            if do == "open":
                opening, measurement = question.pop("opening"), question.pop("measurement")
                by_port[port] = Talks(port, opening, measurement)
            say(await getattr(by_port[port], do)(**question))
        except (BrokenOffError, OSError) as problem:
            say({"failed": f"the RM on port {port}: {problem}"})


def main() -> None:
    """Be what the first argument says."""
    asyncio.run({"cem": cem, "rm": rm}[sys.argv[1]]())


if __name__ == "__main__":
    main()
