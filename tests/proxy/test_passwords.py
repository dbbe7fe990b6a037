"""The password of a database is nowhere in mitmproxy's options, and is not lost either."""

from __future__ import annotations

import pytest
from mitmproxy.options import Options

from s2_mitm.history.database import RecordingError
from s2_mitm.proxy import passwords

WHOLE = "postgresql://me:hunter2@lab:5433/s2?sslmode=require"
SHOWN = "postgresql://me@lab:5433/s2?sslmode=require"


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setattr(passwords, "_GIVEN", {})
    options = Options()
    options.add_option("s2_db", str, "s2.sqlite3", "")
    return options


def set_to(options: Options, value: str) -> str:
    options.update(s2_db=value)
    return passwords.take_out(options)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (WHOLE, SHOWN),
        ("postgres://me:hunter2@lab/s2", "postgresql://me@lab/s2"),
        ("postgresql+psycopg://me:hunter2@lab/s2", "postgresql://me@lab/s2"),
        ("postgresql://lab/s2?user=me&password=hunter2", "postgresql://lab/s2?user=me"),
        ("postgresql://lab/s2?sslpassword=hunter2", "postgresql://lab/s2"),
        ("postgresql://lab/s2?PassWord=hunter2", "postgresql://lab/s2"),
        ("postgresql://lab/s2?oauth_client_secret=hunter2", "postgresql://lab/s2"),
        ("postgresql://lab/s2?scram_client_key=hunter2", "postgresql://lab/s2"),
        ("postgresql:///s2?host=/run/pg&password=hunter2", "postgresql:///s2?host=%2Frun%2Fpg"),
        ("postgresql://m%40e:hunter2@lab/s2", "postgresql://m%40e@lab/s2"),
    ],
)
def test_it_is_taken_out_and_used_again(options: Options, given: str, shown: str) -> None:
    assert set_to(options, given) == given
    assert options.s2_db == shown
    assert "hunter2" not in repr(options)
    passwords.keep(given)

    assert set_to(options, shown) == given
    assert set_to(options, shown.replace("%2F", "/")) == given
    assert options.s2_db == shown.replace("%2F", "/")


@pytest.mark.parametrize("given", ["", "s2.sqlite3", "sqlite:////tmp/s2.sqlite3", SHOWN])
def test_what_has_none_stays_as_it_is(options: Options, given: str) -> None:
    assert set_to(options, given) == given
    assert options.s2_db == given


def test_another_password_takes_its_place_once_it_has_served(options: Options) -> None:
    passwords.keep(set_to(options, WHOLE))
    new = WHOLE.replace("hunter2", "hunter3")
    assert set_to(options, new) == new
    assert set_to(options, SHOWN) == WHOLE
    passwords.keep(new)
    assert set_to(options, SHOWN) == new


def test_it_is_not_sent_to_another_server(options: Options) -> None:
    passwords.keep(set_to(options, WHOLE))
    for other in (SHOWN.replace("lab", "evil"), SHOWN.replace("5433", "5434"), "x.sqlite3"):
        assert set_to(options, other) == other


@pytest.mark.parametrize("given", ["mysql://me:hunter2@lab/s2", "postgresql:/me:hunter2@lab/s2"])
def test_what_is_no_database_is_refused_without_it(options: Options, given: str) -> None:
    with pytest.raises(RecordingError) as refused:
        set_to(options, given)
    assert "hunter2" not in str(refused.value)
