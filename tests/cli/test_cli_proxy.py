"""``s2-mitm web``, ``dump`` and ``record``: what mitmproxy is called with; and ``demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import s2_mitm
from s2_mitm.cli import cli

ADDON = str(Path(s2_mitm.__file__).with_name("addon.py"))


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The arguments that mitmproxy's programs were called with."""
    calls: dict[str, list[str]] = {}
    for program in ("mitmweb", "mitmdump"):
        monkeypatch.setattr(
            f"mitmproxy.tools.main.{program}",
            lambda args, program=program: calls.update({program: args}),
        )
    return calls


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("ws://cem:8080", "reverse:http://cem:8080"),
        ("wss://cem:8443", "reverse:https://cem:8443"),
        ("http://cem:8080", "reverse:http://cem:8080"),
        ("https://cem", "reverse:https://cem"),
        ("WS://cem", "reverse:http://cem"),
        ("ws://cem:8080/", "reverse:http://cem:8080"),
        ("ws://[::1]:8080", "reverse:http://[::1]:8080"),
        ("ws://10.0.0.7:8080", "reverse:http://10.0.0.7:8080"),
    ],
)
def test_the_upstream(called: dict[str, list[str]], url: str, mode: str) -> None:
    result = run("web", url)
    assert called == {"mitmweb": ["--mode", mode, "-s", ADDON]}
    assert result.output == ""


def test_dump_leaves_the_lines_to_the_addon_unless_told_otherwise(
    called: dict[str, list[str]],
) -> None:
    run("dump", "ws://cem:8080", "--set", "flow_detail=2")
    assert called["mitmdump"] == [
        "--mode", "reverse:http://cem:8080", "-s", ADDON,
        "--set", "flow_detail=0", "--set", "flow_detail=2",
    ]  # fmt: skip


def test_all_that_follows_is_mitmproxys(called: dict[str, list[str]]) -> None:
    args = ["-p", "9000", "--set", "s2_db=", "-k", "-vq", "--help", "--", "~marked", "--json", "-"]
    run("web", "ws://cem:8080", *args)
    assert called["mitmweb"][4:] == args


@pytest.mark.parametrize(
    ("args", "port"),
    [
        ([], "8080"),
        (["-p", "9000"], "9000"),
        (["-p9000"], "9000"),
        (["-k", "--listen-port=9000", "-w", "file"], "9000"),
        (["--set", "s2_db=", "--set", "listen_port=9000"], "9000"),
        (["--set", "web_open_browser"], "8080"),
        (["-p"], "8080"),
    ],
)
def test_a_path_is_for_the_peer_to_ask_for(
    called: dict[str, list[str]], args: list[str], port: str
) -> None:
    result = run("dump", "wss://cem:8080/s2/v1?x=1#y", *args)
    assert called["mitmdump"][1] == "reverse:https://cem:8080"
    expected = f"s2-mitm: let the peer connect to ws://localhost:{port}/s2/v1?x=1\n"
    assert result.output == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cem",
        "cem:8080",
        "ftp://cem",
        "ws://",
        "ws:cem",
        "ws:///s2",
        "ws://cem:port",
        "ws://cem:99999",
        "ws://me:secret@cem",
        "ws://[::1",
        "ws://a b",
        "--mode",
    ],
)
def test_what_is_no_url_of_a_peer(called: dict[str, list[str]], url: str) -> None:
    result = CliRunner().invoke(cli, ["web", url])
    assert result.exit_code == 2
    assert result.stderr.startswith("s2-mitm: ")
    assert "is not the URL of a peer: first give ws://HOST:PORT" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not called


def test_a_status_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def mitmdump(_: list[str]) -> None:
        raise SystemExit(1)

    monkeypatch.setattr("mitmproxy.tools.main.mitmdump", mitmdump)
    assert CliRunner().invoke(cli, ["dump", "ws://cem"]).exit_code == 1


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What ``record`` was to record, and with which arguments."""
    calls: list[tuple[str, list[str]]] = []

    def run(upstream: str, addons: Sequence[object], arguments: Sequence[str]) -> None:
        assert [type(addon).__name__ for addon in addons] == ["S2Mitm"]
        calls.append((upstream, list(arguments)))

    monkeypatch.setattr("s2_mitm.proxy.headless.run", run)
    return calls


def test_record_takes_what_the_others_take(recorded: list[tuple[str, list[str]]]) -> None:
    args = ["-p", "9000", "--set", "s2_db=", "-k", "-q", "--certs", "x.pem", "--help"]
    result = run("record", "wss://cem:8443/s2", *args)
    assert recorded == [("https://cem:8443", args)]
    assert result.output == "s2-mitm: let the peer connect to ws://localhost:9000/s2\n"


def test_record_refuses_what_is_no_url(recorded: list[tuple[str, list[str]]]) -> None:
    result = CliRunner().invoke(cli, ["record", "cem"])
    assert result.exit_code == 2
    assert "is not the URL of a peer" in result.stderr
    assert not recorded


def test_record_explains_itself() -> None:
    output = run("record", "--help").output
    for word in ("-p PORT", "--certs", "-w FILE", "are refused"):
        assert word in output


def test_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    def show(**options: object) -> int:
        calls.append(options)
        return 3

    monkeypatch.setattr("s2_mitm.demo.show.run", show)
    assert CliRunner().invoke(cli, ["demo"]).exit_code == 3
    CliRunner().invoke(cli, ["demo", "--web", "--seconds", "2", "--db", "x.db"])
    assert calls == [
        {"web": False, "seconds": 10.0, "db": None},
        {"web": True, "seconds": 2.0, "db": Path("x.db")},
    ]
