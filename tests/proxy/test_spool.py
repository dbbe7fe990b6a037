"""With ``-w FILE``, what a flow has forgotten waits on the disk and is written with it."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alone import ALONE
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import flowfilter
from mitmproxy.addons.save import Save
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FilteredFlowWriter, FlowReader, FlowWriter, tnetstring
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy import spool
from s2_mitm.proxy.annotation import annotate
from s2_mitm.proxy.patches import saving
from s2_mitm.proxy.session import Session
from s2_mitm.replay.flow_file import from_flows

STATUS = b'{"message_type": "FRBC.StorageStatus", "message_id": "id-%d", "present_fill_level": 5}'


class Proxy:
    """Stands for a mitmproxy with ``-w`` and a conversation through it."""

    def __init__(self, context: Any, folder: Path) -> None:
        self.context = context
        self.save = Save()
        context.master.addons.add(self.save)
        self.file = folder / "flows"
        self.flow = tflow.twebsocketflow(messages=False)
        assert self.flow.websocket is not None
        self.websocket = self.flow.websocket
        self.websocket.messages = []
        self.websocket.timestamp_end = None
        self.session = Session(self.flow, ALONE)
        self.said = 0

    def write(self, file: Path | None, filter_: str | None = None) -> None:
        file_ = str(file) if file else None
        self.context.configure(self.save, save_stream_file=file_, save_stream_filter=filter_)

    def say(self, messages: int, keep: int = 3) -> None:
        for _ in range(messages):
            self.said += 1
            self.websocket.messages.append(
                WebSocketMessage(Opcode.TEXT, True, STATUS % self.said, float(self.said))
            )
            list(self.session.take(self.flow))
            if gone := self.session.forget(self.flow, keep):
                spool.keep(self.session, gone)
            annotate(self.flow, self.session)

    def close(self) -> None:
        self.websocket.timestamp_end = 100_000.0
        spool.discard(self.flow)
        self.save.websocket_end(self.flow)

    def written(self) -> list[HTTPFlow]:
        """What is in the file once mitmproxy has closed it."""
        self.save.done()
        with self.file.open("rb") as opened:
            return list(FlowReader(opened).stream())  # type: ignore[arg-type]


class Disk(io.FileIO):
    """A file on a disk that has room for so many bytes more."""

    room = 0

    def write(self, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(bytes(data[: self.room]))
        self.room -= written
        return written

    def truncate(self, size: int | None = None) -> int:
        assert size is not None
        self.room += os.fstat(self.fileno()).st_size - size
        return super().truncate(size)


def numbers(flow: HTTPFlow) -> list[int]:
    assert flow.websocket is not None
    return [int(message.timestamp) for message in flow.websocket.messages]


def others(many: int) -> list[HTTPFlow]:
    return [tflow.twebsocketflow() for _ in range(many)]


def on_a_disk(proxy: Proxy) -> Disk:
    """Let what ``-w`` writes come on a disk without room."""
    disk = Disk(proxy.file, "wb")
    stream: Any = proxy.save.stream
    stream.fo.close()
    stream.fo = io.BufferedWriter(disk)
    return disk


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with taddons.context(loadcore=False) as context, saving.installed(context.master):
        yield Proxy(context, tmp_path)


def test_the_file_has_every_message_and_the_flow_the_last(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.say(100)
    assert numbers(proxy.flow) == [98, 99, 100]
    assert proxy.flow.metadata["s2"]["whole"] is False
    assert proxy.flow.metadata["s2"]["missing"] == 97
    assert proxy.flow.comment.endswith(" · lacks its first 97 messages")
    proxy.close()

    (written,) = proxy.written()
    assert numbers(written) == list(range(1, 101))
    assert (written.metadata["s2"]["whole"], written.metadata["s2"]["missing"]) == (True, 0)
    assert written.comment.endswith(" · 100 messages, 0 errors, 100 warnings")
    assert written.comment == written.metadata["s2"]["comment"]
    assert numbers(proxy.flow) == [98, 99, 100]


def test_it_is_the_file_that_mitmproxy_would_write(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.say(50)
    proxy.flow.comment = "Mine. " + proxy.flow.comment
    proxy.close()
    (written,) = proxy.written()

    whole = io.BytesIO()
    FlowWriter(whole).add(written)
    assert tnetstring.loads(whole.getvalue()) == tnetstring.loads(proxy.file.read_bytes())
    assert written.comment.startswith("Mine. S2 ")
    assert "lacks" not in written.comment


def test_what_is_open_when_the_proxy_stops_is_whole(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.save.request(proxy.flow)
    proxy.say(20)
    assert numbers(proxy.written()[0]) == list(range(1, 21))


def test_the_users_words_stay_and_others_flows_are_as_they_were(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    chat, other = tflow.twebsocketflow(), tflow.ttcpflow()
    proxy.save.websocket_end(chat)
    proxy.save.tcp_end(other)
    assert [flow.id for flow in proxy.written()] == [chat.id, other.id]


def test_nothing_waits_where_nothing_is_written(proxy: Proxy) -> None:
    proxy.say(20)
    assert proxy.flow not in spool._spools


def test_switched_on_later_it_has_what_was_forgotten_since(proxy: Proxy) -> None:
    """And so it is where it was off for a while."""
    proxy.write(proxy.file)
    proxy.say(10)
    proxy.write(None)
    proxy.say(10)
    assert proxy.flow not in spool._spools
    proxy.write(proxy.file)
    proxy.say(10)
    proxy.close()

    (written,) = proxy.written()
    assert numbers(written) == list(range(18, 31))
    assert (written.metadata["s2"]["whole"], written.metadata["s2"]["missing"]) == (False, 17)
    assert written.comment.endswith(" · lacks its first 17 messages")
    (recorded,) = from_flows(proxy.file.read_bytes(), "flows")
    assert [message.number for message in recorded.messages] == list(range(18, 31))


def test_switched_off_before_the_end_nothing_waits_on(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.say(10)
    proxy.write(None)
    proxy.close()
    assert proxy.flow not in spool._spools


def test_more_or_fewer_may_be_kept_meanwhile(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    for keep in (3, 8, 0, 1, 5):
        proxy.say(10, keep)
    proxy.close()
    assert numbers(proxy.written()[0]) == list(range(1, 51))


@pytest.mark.parametrize(("filter_", "flows"), [("~u nowhere", 0), ("~comment S2", 1)])
def test_the_filter_of_the_stream_decides_at_the_end(
    proxy: Proxy, filter_: str, flows: int
) -> None:
    proxy.write(proxy.file, filter_)
    proxy.say(20)
    assert bool(flowfilter.match(filter_, proxy.flow)) is bool(flows)
    proxy.close()
    assert len(proxy.written()) == flows
    assert proxy.flow not in spool._spools


def test_a_session_that_was_not_seen_from_the_first_does_not_become_whole(proxy: Proxy) -> None:
    proxy.session.from_start = False
    proxy.write(proxy.file)
    proxy.say(20)
    proxy.close()
    (written,) = proxy.written()
    assert (written.metadata["s2"]["whole"], written.metadata["s2"]["missing"]) == (False, 0)


def test_a_disk_that_is_full_is_said_once_and_the_file_says_what_it_lacks(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: full.open("r+b", buffering=0))
    proxy.write(proxy.file)
    proxy.say(20)
    monkeypatch.setattr(spool, "TemporaryFile", tempfile.TemporaryFile)
    proxy.say(20)
    proxy.close()

    (written,) = proxy.written()
    assert numbers(written) == [38, 39, 40]
    assert written.metadata["s2"]["missing"] == 37
    assert [record.message for record in caplog.records] == [
        f"s2-mitm: {proxy.file} will lack the first messages of the WebSocket {proxy.flow.id},"
        " and say how many: they cannot wait on the disk (No space left on device). The traffic"
        " goes on."
    ]


def test_a_disk_that_is_full_at_the_end(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: io.BufferedWriter(full.open("wb", 0)))
    proxy.write(proxy.file)
    proxy.say(20)
    assert caplog.records == []
    proxy.close()
    (written,) = proxy.written()
    assert numbers(written) == [18, 19, 20]
    assert written.comment.endswith(" · lacks its first 17 messages")
    assert "(No space left on device). The traffic goes on." in caplog.text


def test_a_full_disk_ends_nothing_and_nothing_of_a_flow_that_has_no_room_stays(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the flow is; and once there is room the flows are whole again."""
    proxy.write(proxy.file)
    disk = on_a_disk(proxy)
    first, second, lost, third = (tflow.tflow(resp=True), tflow.ttcpflow(), *others(2))
    disk.room = 10_000
    proxy.save.response(first)
    room, disk.room = disk.room, 100
    proxy.save.tcp_end(second)
    proxy.save.websocket_end(lost)
    assert disk.room == 100
    disk.room = room
    proxy.save.websocket_end(third)
    assert [flow.id for flow in proxy.written()] == [first.id, third.id]
    assert [record.message for record in caplog.records] == [
        f"s2-mitm: {proxy.file} cannot be written (No space left on device): the conversation"
        f" {second.id} is not in it. The traffic goes on.",
        f"s2-mitm: {proxy.file} is written again. 2 flows are not in it.",
    ]


def test_a_full_disk_at_the_stop(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """What is open is not in the file, and what is, is whole."""
    proxy.write(proxy.file)
    disk = on_a_disk(proxy)
    (whole,), (one, another) = others(1), others(2)
    disk.room = 10_000
    proxy.save.websocket_end(whole)
    disk.room = 100
    proxy.save.request(one)
    proxy.save.request(another)
    assert [flow.id for flow in proxy.written()] == [whole.id]
    assert caplog.messages[1:] == [f"s2-mitm: {proxy.file} is closed. 2 flows are not in it."]


def test_where_there_is_no_room_for_all_messages_the_last_ones_are_written(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.write(proxy.file)
    disk = on_a_disk(proxy)
    disk.room = 10_000
    proxy.say(200)
    proxy.close()
    (written,) = proxy.written()
    assert numbers(written) == [198, 199, 200]
    assert written.comment.endswith(" · lacks its first 197 messages")
    (said,) = caplog.messages
    assert f"{proxy.file} will lack the first messages" in said


def test_where_the_next_file_cannot_be_opened_the_last_one_is_written_on(
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As where the file's name has the date."""
    today = [datetime(2026, 3, 1)]
    monkeypatch.setattr("mitmproxy.addons.save.datetime", SimpleNamespace(today=today.pop))
    first, second, third, fourth = flows = others(4)
    proxy.write(tmp_path / "%d" / "flows")
    (tmp_path / "02").write_bytes(b"no folder")
    for day, flow in ((1, first), (2, second), (2, third), (3, fourth)):
        today.append(datetime(2026, 3, day))
        proxy.save.websocket_end(flow)
    proxy.save.done()

    files = ((tmp_path / "01" / "flows", flows[:3]), (tmp_path / "03" / "flows", [fourth]))
    for file, written in files:
        with file.open("rb") as opened:
            stream = FlowReader(opened).stream()
            assert [flow.id for flow in stream] == [flow.id for flow in written]
    (said,) = caplog.messages
    assert said.startswith(f"s2-mitm: {tmp_path / '02'} cannot be opened (")
    assert said.endswith(f"): {files[0][0]} is written on. The traffic goes on.")


def test_another_addons_file_is_its_own(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    with (proxy.file.parent / "own").open("wb") as own:
        FilteredFlowWriter(own, None).add(tflow.twebsocketflow())
        assert not own.closed
        own.write(b"")


def test_a_pipe_does_not_get_half_of_a_flow_whose_messages_could_not_wait(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: io.BufferedWriter(full.open("wb", 0)))
    reading, writing = os.pipe()
    proxy.write(proxy.file)
    stream: Any = proxy.save.stream
    stream.fo.close()
    stream.fo = open(writing, "wb")  # noqa: SIM115
    proxy.say(20)
    proxy.close()
    proxy.save.done()
    with open(reading, "rb") as opened:
        (written,) = FlowReader(opened).stream()
    assert numbers(written) == [18, 19, 20]  # type: ignore[arg-type]


def test_where_the_folder_cannot_be_written_it_waits_with_temporary_files(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    proxy.write(proxy.file)
    proxy.say(20)
    proxy.close()
    assert numbers(proxy.written()[0]) == list(range(1, 21))


@given(
    st.lists(st.binary(), max_size=5),
    st.lists(st.binary(), max_size=5),
    st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
)
def test_what_stands_around_is_as_mitmproxys(
    forgotten: list[bytes], kept: list[bytes], others: dict[str, Any]
) -> None:
    messages = b"".join(map(tnetstring.dumps, forgotten))
    state = {"id": "x", **others, "websocket": {"messages": kept, "close_code": 1000}}
    whole = {**state, "websocket": {"messages": forgotten + kept, "close_code": 1000}}
    before, after = spool._around(dict(state), len(messages))
    assert tnetstring.loads(before + messages + after) == whole


def test_what_goes_because_memory_is_full_is_in_the_file_too(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.say(10, keep=0)
    spool.keep(proxy.session, proxy.session.let_go(proxy.flow, 0))
    annotate(proxy.flow, proxy.session)
    assert proxy.flow.comment.endswith(" · lacks its first 10 messages")
    proxy.say(5)
    proxy.close()
    assert numbers(proxy.written()[0]) == list(range(1, 16))


def test_what_is_no_s2_stays_what_it_is(proxy: Proxy) -> None:
    proxy.write(proxy.file)
    proxy.websocket.messages += [WebSocketMessage(Opcode.TEXT, True, b"chat", 1.0)] * 5
    spool.keep(proxy.session, proxy.session.let_go(proxy.flow, 1))
    proxy.close()
    (written,) = proxy.written()
    assert numbers(written) == [1] * 5
    assert (written.metadata, written.comment) == ({}, "")
