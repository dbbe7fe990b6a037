"""Whether a bearer token opened a WebSocket: the fact is kept, the token is not."""

from __future__ import annotations

import pytest

from s2_mitm.render.summary import has_bearer


@pytest.mark.parametrize(
    ("authorization", "is_bearer"),
    [
        ("Bearer c2VjcmV0", True),
        ("bearer c2VjcmV0", True),
        ("BEARER  c2VjcmV0 ", True),
        ("Bearer", False),
        ("Bearer ", False),
        ("Basic c2VjcmV0", False),
        ("Bearerc2VjcmV0", False),
        ("", False),
        (None, False),
    ],
)
def test_the_authorization_of_a_bearer(authorization: str | None, is_bearer: bool) -> None:
    assert has_bearer(authorization) is is_bearer
