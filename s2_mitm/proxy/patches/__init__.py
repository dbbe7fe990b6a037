"""Everything that replaces a part of mitmproxy, or of what it is built on; a file a part.

mitmproxy has no setting for what is done here, so classes and functions of its own are replaced.
These are no interface: another version may have others. So each patch has a row in `table`, which
says what it replaces, what else of mitmproxy it relies on, and what is lost without it. Before it
is put in place all that is compared with what is there (`compare`). Where names do not say enough,
a short WebSocket is then played through it in memory (`exchange`). Where something differs the
patch is left out, a sentence says so, and all else goes on (`switch`).

The file of a patch has ``installed(master)``, a context manager: the patch is in place while the
context lasts. It may have some of these besides:

- ``tried(master)`` raises an exception where the patch, now in place, does not do what it should.
- ``running()`` is called when mitmproxy runs.
- ``websocket_start(flow)`` and ``server_connect_error(data)`` are mitmproxy's hooks.
- ``charge(flow, seconds)`` hears how long a message of a flow took.
- ``every_second()`` is a coroutine function.
"""
