"""A server to talk to, for every test with real processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from peers import PeerServer

# The way to our own proxies must not lead through another one of the environment.
os.environ["no_proxy"] = "127.0.0.1"


@pytest.fixture(scope="module")
def server() -> Iterator[PeerServer]:
    """A server that keeps every byte it gets."""
    server = PeerServer()
    yield server
    server.close()
