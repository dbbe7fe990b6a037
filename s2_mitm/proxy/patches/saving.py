"""Write flows to the file of ``-w`` with all their messages, and go on where that fails.

Replaces mitmproxy's `Save.save_flow` and `FilteredFlowWriter.add`.

mitmproxy writes the messages that a flow still has, which are only the last ones of a long
conversation. And where it cannot write, because the disk is full, it ends the process, and with it
all conversations. Here the messages that a flow has forgotten are written too (see `spool`), a flow
is in the file whole or not at all (see `stream_file`), and the traffic goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from typing import Any, cast

from mitmproxy import ctx, flowfilter
from mitmproxy.addons.save import Save
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FilteredFlowWriter
from mitmproxy.master import Master

from s2_mitm.proxy import spool
from s2_mitm.proxy.patches.replacing import replaced
from s2_mitm.proxy.stream_file import StreamFile

_add = FilteredFlowWriter.add


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the flows that are written meanwhile."""
    with (
        spool.used(),
        replaced(FilteredFlowWriter, add=_add_whole),
        replaced(Save, save_flow=_save_or_go_on),
    ):
        yield


def _save_or_go_on(save: Save, flow: Flow) -> None:
    """In place of `Save.save_flow`, which ends mitmproxy if the next file cannot be opened."""
    if save.stream is None:
        return
    before, save.stream = save.stream, None  # so that it is not closed yet
    try:
        save.maybe_rotate_to_new_file()
    except OSError as problem:
        _stream_file(before).goes_on(problem)
    if save.stream is None:
        save.stream = before
    else:
        _stream_file(before).close()
    save.stream.add(flow)
    save.active_flows.discard(flow)


def _add_whole(writer: FilteredFlowWriter, flow: Flow) -> None:
    """In place of `FilteredFlowWriter.add`."""
    save: Any = ctx.master.addons.get("save")
    if save is None or save.stream is not writer:  # another addon's
        _add(writer, flow)
        return
    if not writer.flt or flowfilter.match(writer.flt, flow):
        _write(_stream_file(writer), flow)
    if isinstance(flow, HTTPFlow) and flow.websocket and flow.websocket.timestamp_end is not None:
        spool.is_written(flow)


def _stream_file(writer: FilteredFlowWriter) -> StreamFile:
    its: Any = writer
    if isinstance(its.fo, BufferedWriter):  # it was not needed yet
        its.fo = StreamFile(its.fo)
    return cast(StreamFile, its.fo)


def _write(file: StreamFile, flow: Flow) -> None:
    """Write a flow with all its messages; else with those that it has; else not at all."""
    try:
        try:
            file.add(spool.written(flow))
        except OSError as problem:
            if not spool.give_up(flow):
                raise
            file.add(spool.written(flow))
            spool.say_lacking(flow, problem)
    except OSError as problem:
        file.is_not_written(flow, problem)
    else:
        file.is_written()
