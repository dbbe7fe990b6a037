"""The password of the recording's database: README says that s2-mitm never shows it."""

from __future__ import annotations

import json
from pathlib import Path

from messages import handshake
from peers import PeerServer, new_path
from postgres_server import PASSWORD
from proxies import Proxy, Web, running_mitmweb, until
from recordings import sessions_in

pytest_plugins = ["postgres_server"]


def test_it_is_neither_on_the_page_nor_saved_nor_printed_and_recording_goes_on(
    server: PeerServer, tmp_path: Path, postgres_url: str
) -> None:
    """*s2-mitm never shows the password*, whoever asks mitmweb, in whatever way it was given."""
    shown = postgres_url.replace(f":{_written(postgres_url)}@", "@")
    query = f"{shown}?password={_written(postgres_url)}"
    said: list[str] = []

    def is_recorded(proxy: Proxy) -> None:
        path = new_path()
        with server.pair(proxy.url, path) as (rm, cem):
            rm.send(handshake())
            cem.receive()
            until(
                lambda: any(row["path"] == path for row in sessions_in(postgres_url)),
                "the conversation is recorded",
            )

    def look(web: Web, *, save: bool = True) -> None:
        options = web.get("/options")
        assert options["s2_db"]["value"] == shown
        said.append(json.dumps([options, web.get("/events"), web.get("/state")]))
        if save:
            web.call("options.save", str(tmp_path / "saved.yaml"))
            saved = (tmp_path / "saved.yaml").read_text()
            assert "s2_db" in saved
            said.append(saved)

    with running_mitmweb(tmp_path, server.port, s2_db=postgres_url) as (proxy, web):
        look(web)
        is_recorded(proxy)
        # The page sends back what it was shown; a name changes, and the URL stays.
        assert web.set(s2_db=shown) == ""
        assert web.set(s2_name="cellar") == ""
        look(web)
        is_recorded(proxy)
        # Other ways to give it, and one that is wrong, after which all is as before.
        assert web.set(s2_db=query) == ""
        look(web)
        is_recorded(proxy)
        said.append(web.set(s2_db="postgresql:/me:" + PASSWORD))
        assert "no database URL" in said[-1]
        look(web)
        is_recorded(proxy)

    said.append(proxy.output)
    for secret in (PASSWORD, _written(postgres_url)):
        assert not any(secret in each for each in said)
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def _written(url: str) -> str:
    """The password as it stands in a URL."""
    return url.partition("://")[2].partition(":")[2].partition("@")[0]
