from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.history.tables import iso
from s2_mitm.history.typed_times import parse_time

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("90s", timedelta(seconds=90)),
        ("1w", timedelta(weeks=1)),
        ("1.5 h", timedelta(minutes=90)),
        (" 0s ", timedelta()),
    ],
)
def test_so_long_ago(text: str, meant: timedelta) -> None:
    assert parse_time(text, now=NOW) == NOW - meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T19:56", datetime(2026, 11, 21, 19, 56, tzinfo=UTC)),
        ("2026-11-21 19:56:43.5", datetime(2026, 11, 21, 19, 56, 43, 500_000, UTC)),
        ("2026-11-21T19:56:43.123456Z", datetime(2026, 11, 21, 19, 56, 43, 123_456, UTC)),
        ("2026-11-21T20:56+01:00", datetime(2026, 11, 21, 19, 56, tzinfo=UTC)),
    ],
)
def test_a_date_and_time(text: str, meant: datetime) -> None:
    assert parse_time(text, now=NOW) == meant
    assert parse_time(text, now=NOW).utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10", "10x", "-3h", "h", "٣d", "2026-13-01", "99999999999d", "1e9d",
     "0001-01-01T00:00+01:00", "1d 2h"],
)  # fmt: skip
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give 2026-") as refused:
        parse_time(text, now=NOW)
    assert f"'{text.strip()}'" in str(refused.value)


@given(st.text())
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(text, now=NOW).tzinfo is UTC


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    # ISO 8601 has whole minutes; of less than a second Python writes what it does not read.
    st.integers(-23 * 60, 23 * 60),
)
def test_what_is_written_is_read_as_the_same_time(time: datetime, minutes: int) -> None:
    aware = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(aware.isoformat(), now=NOW) == aware


def test_a_time_as_the_tables_hold_it() -> None:
    assert iso(1795290043.123456) == "2026-11-21T19:40:43.123456Z"
    assert iso(0) == "1970-01-01T00:00:00.000000Z"
    assert iso(-60_000_000_000) == "0068-09-03T13:20:00.000000Z"


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_times_sort_as_text(one: float, other: float) -> None:
    assert (iso(one) <= iso(other)) == (round(one, 6) <= round(other, 6)) or math.isclose(
        one, other, abs_tol=1e-5
    )


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 1e15])
def test_what_is_no_time_is_not_written(seconds: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        iso(seconds)
