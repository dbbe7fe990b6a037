"""A page of another origin in the same browser as mitmweb reaches nothing of ours."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from messages import handshake, reception_status, select_control_type
from messages import message as message_of
from peers import Peer, PeerServer, Sent, new_path
from playwright.sync_api import Browser
from proxies import PATIENCE, Proxy, Web, running_mitmweb

# All that a page can try without asking first: with the token out of the cookie, which a page on
# another port of the same host can read, and each of the ways in which a browser sends a body.
_ATTACKS = """
async ([target, body]) => {
    const token = (document.cookie.match(/xsrf=([^;]*)/) || [])[1] || "token";
    for (const name of ["_xsrf", "_mitmproxy_xsrf"]) document.cookie = `${name}=${token}; path=/`;
    const url = `${target}/commands/s2.inject?_xsrf=${token}`;
    const said = [];
    const options = {method: "POST", credentials: "include", body};
    for (const more of [
        {mode: "no-cors"},
        {mode: "no-cors", headers: {"Content-Type": "text/plain; application/json"}},
        {mode: "no-cors", body: new Blob([body], {type: "application/json"})},
        {mode: "cors", headers: {"Content-Type": "application/json"}},
        {mode: "cors", headers: {"Content-Type": "application/json", "X-XSRFToken": token}},
    ])
        said.push(await fetch(url, {...options, ...more}).then(
            answer => answer.text(), fault => String(fault)
        ));
    navigator.sendBeacon(url, new Blob([body], {type: "application/json"}));
    said.push(await fetch(`${target}/flows`, {credentials: "include"}).then(
        answer => answer.text(), fault => String(fault)
    ));
    said.push(await new Promise(done => {
        const socket = new WebSocket(target.replace("http", "ws") + "/updates");
        socket.onopen = () => done("open");
        socket.onerror = () => done("closed");
    }));
    const frame = document.createElement("iframe");
    frame.name = "frame";
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: url, enctype: "text/plain", target: "frame"});
    const field = document.createElement("input");
    field.name = body.slice(0, -1) + ', "x": "';
    field.value = '"}';
    form.append(field);
    document.body.append(frame, form);
    const loaded = new Promise(done => frame.onload = done);
    form.submit();
    await loaded;
    return said;
}
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<body>the page of a device</body>")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def port_of_a_page() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def mitmweb(
    server: PeerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Web]]:
    with running_mitmweb(tmp_path_factory.mktemp("mitmweb"), server.port) as running:
        yield running


@pytest.fixture
def live(server: PeerServer, mitmweb: tuple[Proxy, Web]) -> Iterator[tuple[str, Peer, Peer]]:
    path = new_path()
    with server.pair(mitmweb[0].url, path) as (rm, cem):
        rm.send(handshake("RM"))
        cem.receive()
        yield f"@{mitmweb[1].flow(path)['id']}", rm, cem


def nothing_was_injected(rm: Peer, cem: Peer) -> None:
    data = reception_status(message_of("Handshake"))
    cem.send(data)
    assert rm.receive() == Sent(data)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_injects_and_reads_nothing(
    mitmweb: tuple[Proxy, Web],
    live: tuple[str, Peer, Peer],
    browser: Browser,
    port_of_a_page: int,
    host: str,
) -> None:
    _, web = mitmweb
    flow, rm, cem = live
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    context.new_page().goto(web.page)  # who looks at mitmweb has its cookies
    page = context.new_page()
    page.goto(f"http://{host}:{port_of_a_page}/")
    body = json.dumps({"arguments": [flow, "rm", select_control_type().decode()]})

    said = page.evaluate(_ATTACKS, [web.address, body])

    assert said[-1] == "closed"
    assert not any(set("[{") & set(answer) for answer in said), said
    nothing_was_injected(rm, cem)
    context.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:9"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
    ],
    ids=str,
)
def test_our_route_itself_refuses_what_is_not_from_the_page(
    mitmweb: tuple[Proxy, Web],
    live: tuple[str, Peer, Peer],
    headers: dict[str, str],
    status: int,
) -> None:
    """With a password and the right token, which is more than any page has."""
    flow, rm, cem = live
    arguments = {"arguments": [flow, "rm", select_control_type().decode()]}
    with pytest.raises(urllib.error.HTTPError) as raised:
        mitmweb[1].post("/commands/s2.inject", arguments, **headers)
    # mitmproxy 12.3 refuses other sites before us, and does not say so well.
    assert raised.value.code in (status, 599)
    nothing_was_injected(rm, cem)


def test_a_name_that_leads_here_does_not_reach_it_where_there_is_no_login(
    mitmweb: tuple[Proxy, Web], live: tuple[str, Peer, Peer], tmp_path: Path
) -> None:
    """DNS rebinding; where there is a login, the name has no cookie."""
    flow, rm, cem = live
    _, web = mitmweb
    arguments = {"arguments": [flow, "rm", select_control_type().decode()]}
    port = web.address.rpartition(":")[2]
    with pytest.raises(urllib.error.HTTPError) as raised:
        web.post(
            "/commands/s2.inject", arguments, Host=f"evil.example:{port}", Authorization="none"
        )
    assert raised.value.code in (403, 404, 405)
    nothing_was_injected(rm, cem)
