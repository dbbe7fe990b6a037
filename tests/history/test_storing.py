"""What is stored comes back, from a file as from a server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import connected
from sqlalchemy import Engine, delete, insert, select

from s2_mitm.history import storing
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.records import WaitingMessage
from s2_mitm.history.tables import messages
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict
from s2_mitm.s2.wording import printable

pytest_plugins = ["postgres_server"]

NOON = 1795262400.25
NUMBERS = itertools.count(1)
"""For messages of one session that hypothesis puts one after the other."""


@pytest.fixture
def recorder(target: str) -> Iterator[Recorder]:
    reports: list[str] = []
    recorder = Recorder(target, reports.append)
    yield recorder
    recorder.close()
    assert not reports


@pytest.fixture
def engine(target: str) -> Iterator[Engine]:
    engine = database_of(target).open_for_writing()
    yield engine
    engine.dispose()


def message(
    seq: int,
    *findings: Finding,
    session: str = "s1",
    sender: Role | None = Role.RM,
    message_id: str | None = None,
    content: bytes = b"{}",
) -> MessageRecord:
    name = f"m{seq}" if message_id is None else message_id
    verdict = Verdict(NOON, sender, {}, "PowerMeasurement", name, None, list(findings))
    return MessageRecord(session, seq, verdict, content, injected=False, dropped=False)


def text_or_bytes(content: bytes) -> str | bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return content if "\0" in text else text


CONTENTS = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    st.binary().map(lambda more: b"\\x" + more),
    st.binary().map(lambda more: b"\\x" + more.hex().encode()),
    st.sampled_from([b"", b"\\", b"\\x", b"\\\\x00", b"\\x0", b"\0", b"\xed\xa0\x80", b"\xff"]),
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(contents=st.lists(CONTENTS, min_size=1, max_size=20))
def test_whatever_went_over_the_wire_comes_back(engine: Engine, contents: list[bytes]) -> None:
    row = {"session_id": "s1", "timestamp": "", "size": 0, "injected": 0, "dropped": 0, "valid": 1}
    rows = [{**row, "seq": seq, "content": content} for seq, content in enumerate(contents)]
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(insert(messages), rows)
        stored = select(messages.c.content).order_by(messages.c.seq)
        assert list(connection.scalars(stored)) == [text_or_bytes(each) for each in contents]
        transaction.rollback()


def test_content_that_is_no_text_is_what_postgresql_takes_for_bytes(postgres_url: str) -> None:
    contents = [b"\xff\x00{", b"plain", "grün".encode(), rb"\x not hexadecimal", b"a\\b"]
    recorder = Recorder(postgres_url, print)
    for seq, content in enumerate(contents, 1):
        recorder.message(message(seq, content=content))
    recorder.close()
    with connected(postgres_url) as connection:
        stored = [row[0] for row in connection.execute("select content from messages order by id")]
        assert stored[:3] == [r"\xff007b", "plain", "grün"]
        as_bytes = r"select content::bytea from messages where content like '\\x%' order by id"
        assert [row[0] for row in connection.execute(as_bytes)] == [contents[0], contents[3]]


def test_a_large_message_comes_back(recorder: Recorder, target: str) -> None:
    recorder.message(message(1, content=b"x" * 10_000_000))
    recorder.message(message(2, content=b"\xff" * 10_000_000))
    assert recorder.flush(60)
    with closing(History(target)) as history:
        first, second = (row["content"] for row in history.messages())
    assert first == "x" * 10_000_000
    assert second == b"\xff" * 10_000_000


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(st.characters(exclude_categories=())))
def test_no_text_breaks_a_batch(recorder: Recorder, target: str, text: str) -> None:
    finding = Finding("x.y", Severity.ERROR, Source.RULE, text, text)
    recorder.session_opened(SessionStart("s1", NOON, text, text, text, None))
    recorder.session_changed("s1", rm_id=text)
    recorder.message(message(next(NUMBERS), finding, message_id=text))
    recorder.reception_status("s1", Role.RM, text, text, 1.0)
    assert recorder.flush(10)
    with closing(History(target)) as history:
        [newest] = history.messages(limit=1)
    assert newest["message_id"] == newest["reception_status"] == newest["findings"][0]["text"]
    assert newest["message_id"] == printable(text)


def test_every_message_has_all_columns() -> None:
    row = storing._message_row(WaitingMessage.of(message(1)))
    assert row.keys() == {column.name for column in messages.columns} - {"id"}


@pytest.mark.parametrize("flushes", [(), (1,), (2,), (1, 2)])
def test_an_answer_that_is_withdrawn(
    recorder: Recorder, target: str, flushes: tuple[int, ...]
) -> None:
    recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
    recorder.message(message(1, sender=Role.RM, message_id="m"))
    recorder.message(message(2, sender=Role.CEM, message_id="m"))
    if 1 in flushes:
        assert recorder.flush(10)
    recorder.reception_status("s1", Role.RM, "m", "OK", 12.5)
    recorder.reception_status("s1", Role.CEM, "m", "OK", 2.5)
    if 2 in flushes:
        assert recorder.flush(10)
    recorder.reception_withdrawn("s1", Role.RM, "m")
    assert recorder.flush(10)
    with closing(History(target)) as history:
        answers = [
            (row["reception_status"], row["reception_delay_ms"]) for row in history.messages()
        ]
    assert answers == [(None, None), ("OK", 2.5)]


@pytest.mark.parametrize("flushed", [False, True], ids=["in one batch", "in two batches"])
def test_answers_swaps_and_late_findings(recorder: Recorder, target: str, flushed: bool) -> None:
    recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
    for seq, sender in enumerate((Role.RM, Role.CEM, Role.RM, None), 1):
        recorder.message(message(seq, sender=sender, message_id="m"))
    if flushed:
        assert recorder.flush(10)
    recorder.reception_status("s1", Role.RM, "m", "OK", 12.5)
    recorder.reception_status("s1", Role.RM, "m", "INVALID_DATA", 99.0)
    recorder.senders_swapped("s1")
    recorder.late_finding("s1", 2, Finding("ack.missing", Severity.ERROR, Source.RULE, "", "late"))
    recorder.session_changed("s1", rm_id="battery-1", control_type="NO_SELECTION")
    recorder.session_closed("s1", NOON + 60, 1000, "done", "CEM")
    assert recorder.flush(10)
    with closing(History(target)) as history:
        [session] = history.sessions()
        said = list(history.messages())
    assert [row["sender"] for row in said] == ["CEM", "RM", "CEM", None]
    assert [row["reception_status"] for row in said] == [None, None, "OK", None]
    assert said[2]["reception_delay_ms"] == 12.5
    assert [row["valid"] for row in said] == [True, False, True, True]
    assert [found["code"] for found in said[1]["findings"]] == ["ack.missing"]
    assert (session["client_role"], session["rm_id"], session["close_code"]) == (
        "CEM",
        "battery-1",
        1000,
    )
    recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
    assert recorder.flush(10)
    with closing(History(target)) as history:
        [session] = history.sessions()
    assert (session["ended_at"], session["close_code"], session["rm_id"]) == (
        None,
        None,
        "battery-1",
    )


@pytest.mark.parametrize("flushed", [False, True], ids=["in one batch", "in two batches"])
@pytest.mark.parametrize("sent", [b'{"x": 1}', b"\xff\x00", b"\\x61"])
def test_what_became_of_messages(
    recorder: Recorder, target: str, flushed: bool, sent: bytes
) -> None:
    """A record that is written twice changes nothing the second time."""
    recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
    for seq in (1, 2, 3, 4):
        recorder.message(message(seq))
    changed = Verdict(NOON, Role.RM, {}, "PowerMeasurement", "m5", None, [])
    recorder.message(MessageRecord("s1", 5, changed, b"{}", False, False, sent))
    if flushed:
        assert recorder.flush(10)
    for _ in range(2):
        recorder.delivered("s1", 2, dropped=True, sent=None)
        recorder.delivered("s1", 3, dropped=False, sent=sent)
        recorder.delivered("s1", 9, dropped=True, sent=None)  # of which there is no row
    assert recorder.flush(10)
    with closing(History(target)) as history:
        rows = [(row["content"], row["dropped"], row["sent"]) for row in history.messages()]
    went = text_or_bytes(sent)
    assert rows == [
        ("{}", False, None),
        ("{}", True, None),
        ("{}", False, went),
        ("{}", False, None),
        ("{}", False, went),
    ]


def test_a_message_whose_session_is_not_known_is_kept(recorder: Recorder, target: str) -> None:
    recorder.message(message(1, session="nobody opened it"))
    assert recorder.flush(10)
    with closing(History(target)) as history:
        assert [row["seq"] for row in history.messages()] == [1]


def test_numbers_beyond_32_bits(recorder: Recorder, target: str, engine: Engine) -> None:
    with engine.begin() as connection:
        row = {"timestamp": "", "size": 0, "injected": 0, "dropped": 0, "valid": 1, "content": b""}
        connection.execute(insert(messages), [{"id": 2**40, "session_id": "s", "seq": 1, **row}])
    recorder.message(message(2**40))
    assert recorder.flush(10)
    with closing(History(target)) as history:
        assert 2**40 in [row["seq"] for row in history.messages()]
    with engine.begin() as connection:
        connection.execute(delete(messages))


def test_a_record_that_cannot_be_written_is_left_out_and_the_others_are_not(target: str) -> None:
    reports: list[str] = []
    recorder = Recorder(target, reports.append)
    recorder.message(message(1))
    recorder.message(message(2**70))
    recorder.message(message(3))
    recorder.close()
    with closing(History(target)) as history:
        assert [row["seq"] for row in history.messages()] == [1, 3]
    assert [sentence.split(" could not")[0] for sentence in reports] == ["1 of 3 records"]
