"""mitmweb in a real browser: marker, comment and verdicts are on its page, its bar injects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from messages import handshake, measurement, resource_manager_details, select_control_type
from peers import Peer, PeerServer, new_path
from playwright.sync_api import Browser, Locator, Page, expect
from proxies import HAS_LOGIN, PATIENCE, Proxy, Web, running_mitmweb

_HTML = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest.fixture(scope="module", params=["all", "none"])
def mitmweb(
    request: pytest.FixtureRequest, server: PeerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Web]]:
    """With our patches of mitmproxy, and on mitmproxy as it is."""
    folder = tmp_path_factory.mktemp("mitmweb")
    with running_mitmweb(folder, server.port, s2_patches=request.param) as running:
        yield running


@dataclass(frozen=True)
class Shown:
    """An open S2 WebSocket and mitmweb's page; between RM and CEM only a handshake was said."""

    page: Page
    path: str
    rm: Peer
    cem: Peer

    @property
    def row(self) -> Locator:
        return self.page.locator(".flow-table tr", has_text=self.path)

    def tell(self, *messages: bytes) -> None:
        for data in messages:
            self.rm.send(data)
            self.cem.receive()

    def open_tab(self, name: str) -> Locator:
        """Choose the flow, and of its details the tab of that name."""
        self.row.click()
        self.page.locator(".flow-detail nav a", has_text=name).click()
        return self.page.locator(".flow-detail section")

    def run(self, command: str) -> None:
        """Type a command into the command bar, which is shown first where it is not."""
        bar = self.page.get_by_placeholder("Enter command")
        if not bar.is_visible():
            self.page.get_by_role("link", name="Options").click()
            self.page.get_by_text("Display Command Bar").click()
        bar.fill(command)
        bar.press("Enter")

    @property
    def said(self) -> Locator:
        """What the command bar answered."""
        return self.page.locator(".command-result")


@pytest.fixture
def shown(server: PeerServer, mitmweb: tuple[Proxy, Web], browser: Browser) -> Iterator[Shown]:
    proxy, web = mitmweb
    path = f"{new_path()}/of-this-test"
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(web.page)
    with server.pair(proxy.url, path) as (rm, cem):
        shown = Shown(page, path, rm, cem)
        shown.tell(handshake())
        yield shown
    page.close()


def test_the_marker_follows_the_worst_that_was_said(shown: Shown) -> None:
    marker = shown.row.locator(".marker")
    expect(marker).to_have_text("🟢")
    shown.tell(measurement("57.3"))
    expect(marker).to_have_text("🔴")


def test_the_comment_sums_the_session_up(shown: Shown) -> None:
    comment = shown.open_tab("Comment")
    start = "S2 · RM (client) · CEM (server) · "
    expect(comment).to_contain_text(f"{start}1 message, 0 errors, 0 warnings")
    shown.tell(resource_manager_details("Battery 🔋"), measurement("57.3"))
    shown.cem.send(select_control_type())
    shown.rm.receive()
    expect(comment).to_contain_text(
        'S2 FRBC · RM "Battery 🔋" (client) · CEM (server) · 4 messages, 1 error, 0 warnings'
    )


def test_the_content_view_is_chosen_by_itself(shown: Shown) -> None:
    shown.tell(measurement("57.3"))
    messages = shown.open_tab("WebSocket")
    expect(messages).to_contain_text("View: auto")
    good, faulty = (messages.locator("pre").nth(place) for place in range(2))
    expect(good).to_contain_text("# RM Handshake: valid")
    expect(faulty).to_contain_text("# RM PowerMeasurement: INVALID")
    fault = 'text "57.3", expected a number'
    expect(faulty).to_contain_text(f"# error schema.type at /values/0/value: {fault}")
    expect(faulty).to_contain_text(f'"value": "57.3"  # <-- {fault}')


def test_binary_and_broken_messages_are_shown_too(
    shown: Shown, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["mitmweb"] == "none":
        pytest.skip("mitmproxy itself ends a WebSocket whose text is not UTF-8")
    shown.tell(b"Gr\xfc\xdfe \x1b[31m")
    shown.rm.send(b"\x00\x01", text=False)
    shown.cem.receive()
    messages = shown.open_tab("WebSocket")
    expect(messages).to_contain_text("3 Messages")
    no_utf8, binary = (messages.locator("pre").nth(place) for place in (1, 2))
    expect(no_utf8).to_contain_text("# RM (no message type): INVALID")
    expect(no_utf8).to_contain_text("error json.not-utf8: byte 0xfc at offset 2 is not UTF-8")
    expect(no_utf8).to_contain_text(r"Gr\xfc\xdfe \u001b[31m")
    expect(binary).to_contain_text("error json.binary: binary WebSocket frame of 2 bytes")


def test_html_in_messages_stays_text(shown: Shown) -> None:
    shown.tell(resource_manager_details(_HTML), measurement(_HTML, **{_HTML: _HTML}))
    shown.rm.send(_HTML.encode())
    shown.cem.receive()
    messages = shown.open_tab("WebSocket")
    expect(messages).to_contain_text('"name": "<img src=x onerror=')
    expect(messages.locator("pre").last).to_contain_text(_HTML)
    expect(shown.open_tab("Comment")).to_contain_text(f'RM "{_HTML}" (client)')
    assert shown.page.locator("img[src=x]").count() == 0
    assert shown.page.evaluate("window.hacked === undefined")


@pytest.mark.parametrize(
    ("filter_", "selected"),
    [
        ("~marked", True),
        ('~comment "FRBC"', True),
        ('~comment " 1 error,"', True),
        ("~comment OMBC", False),
        ("!~marked", False),
    ],
)
def test_the_flow_list_can_be_filtered(shown: Shown, filter_: str, selected: bool) -> None:
    shown.tell(measurement("57.3"))
    shown.cem.send(select_control_type())
    shown.rm.receive()
    shown.open_tab("Comment")
    expect(shown.page.locator(".flow-detail")).to_contain_text("S2 FRBC · ")
    shown.page.get_by_role("link", name="Flow List").click()
    search = shown.page.get_by_placeholder("Search")
    search.fill(filter_)
    search.press("Enter")
    expect(shown.row).to_have_count(1 if selected else 0)


@pytest.mark.parametrize(
    "given",
    [
        """'{"message_type": "SelectControlType", "control_type": "NO_SELECTION"}'""",
        """{"message_type":"SelectControlType","control_type":"NO_SELECTION"}""",
    ],
)
def test_a_message_from_the_command_bar_arrives(shown: Shown, given: str) -> None:
    shown.run(f"""s2.inject "~u {shown.path}" rm {given}""")
    expect(shown.said).to_contain_text("Injected SelectControlType ")
    arrived = shown.rm.receive().data.decode()
    assert arrived.startswith('{"message_id": "')
    assert arrived.endswith(given.strip("'").removeprefix("{"))
    messages = shown.open_tab("WebSocket")
    expect(messages).to_contain_text("# CEM SelectControlType: valid · injected")


@pytest.mark.skipif(not HAS_LOGIN, reason="without a login no file is sent")
def test_a_file_named_in_the_command_bar_arrives(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "message.json"
    file.write_bytes(measurement())
    shown.run(f's2.inject "~u {shown.path}" cem @{file}')
    assert shown.cem.receive().data == file.read_bytes()


def test_the_command_bar_says_why_it_refuses_and_obeys_when_told(shown: Shown) -> None:
    inject = f"""s2.inject "~u {shown.path}" cem '{{"message_type": "Hello"}}'"""
    shown.run(inject)
    expect(shown.said).to_contain_text("Not injected, the message is invalid: /message_type: ")
    shown.run(f"{inject} false")
    expect(shown.said).to_contain_text("Injected Hello to the CEM.")
    assert shown.cem.receive().data == b'{"message_type": "Hello"}'
