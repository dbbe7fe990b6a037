"""A server to talk to, for every test with real processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from peers import PeerServer
from playwright.sync_api import Browser, expect, sync_playwright
from proxies import PATIENCE

_CHROMES = ("chromium", "chromium-browser", "google-chrome")

# The way to our own proxies must not lead through another one of the environment.
os.environ["no_proxy"] = "127.0.0.1"


@pytest.fixture(scope="module")
def server() -> Iterator[PeerServer]:
    """A server that keeps every byte it gets."""
    server = PeerServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _CHROMES)), None)
    if found is None:
        reason = f"no browser here, none of {', '.join(_CHROMES)}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
