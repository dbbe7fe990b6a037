"""All that is put comes out again or is in a gap, in order, and no more waits than may."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.history.backlog import FINDING_BYTES, LONGEST_FACT, TAKE_BYTES, Backlog
from s2_mitm.history.records import (
    Delivery,
    Gap,
    LateFindingRecord,
    Reception,
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    SessionStart,
    WaitingMessage,
)
from s2_mitm.s2.verdict import Finding, Role, Severity, Source

FINDING = Finding("schema.type", Severity.ERROR, Source.SCHEMA, "", "wrong")
WHY = "the database was away"


def backlog(messages: int = 4, content: int = 1000, sessions: int = 3) -> Backlog:
    backlog = Backlog(messages=messages, content=content, sessions=sessions)
    backlog.reason = WHY
    return backlog


def start(session: str = "s", role: Role | None = Role.RM) -> SessionStart:
    return SessionStart(session, 0.0, None, None, None, role)


def end(session: str = "s") -> SessionEnd:
    return SessionEnd(session, 9.0, 1000, "", "RM")


def message(seq: int, session: str = "s", size: int = 1, found: int = 0) -> WaitingMessage:
    findings, content = (FINDING,) * found, b"x" * size
    return WaitingMessage(
        session, seq, float(seq), Role.RM, "T", "m", None, True, findings, content, False, False
    )


def gap(first: int, last: int, session: str = "s") -> Gap:
    return Gap(session, first, last, last - first + 1, float(first), float(last), WHY)


def all_of(backlog: Backlog) -> list[Record]:
    """All that waits, taken as a recorder takes it."""
    taken = []
    while records := backlog.take(2):
        taken += records
        backlog.done(len(records))
    assert len(backlog) == 0
    return taken


def filled(*records: Record, **bounds: int) -> Backlog:
    it = backlog(**bounds)
    for record in records:
        it.put(record)
    return it


def test_a_batch_is_full_of_many_records_or_of_much_content() -> None:
    few = backlog(messages=100, content=10 * TAKE_BYTES)
    few.put(message(1))
    assert not few.fills_batch(2)
    few.put(message(2))
    assert few.fills_batch(2)
    assert not few.fills_batch(3)
    few.put(message(3, size=TAKE_BYTES))
    assert few.fills_batch(100)
    few.done(len(few.take(3)))
    assert not few.fills_batch(2)


def test_within_the_bounds_everything_comes_out_as_it_went_in() -> None:
    records: list[Record] = [
        start(),
        message(1),
        LateFindingRecord("s", 1, FINDING),
        message(2),
        end(),
    ]
    assert all_of(filled(*records)) == records


def test_the_oldest_messages_leave_one_gap_after_the_start_of_their_session() -> None:
    it = filled(start(), *(message(seq) for seq in range(1, 11)))
    assert it.lost == 6
    assert all_of(it) == [start(), gap(1, 6), *(message(seq) for seq in range(7, 11))]


def test_each_session_has_its_own_gap() -> None:
    it = filled(*(message(seq, session) for seq in range(1, 6) for session in "ab"))
    assert all_of(it)[:2] == [gap(1, 3, "a"), gap(1, 3, "b")]


def test_what_is_in_the_hand_is_not_taken_out_of_it() -> None:
    it = filled(message(1), message(2))
    assert it.take(2) == [message(1), message(2)]
    for seq in range(3, 9):
        it.put(message(seq))
    assert it.take(2) == [message(1), message(2)]
    assert it.messages == 4
    it.done(1)
    assert it.take(2) == [message(2)]
    it.done(1)
    assert all_of(it) == [gap(3, 6), message(7), message(8)]


def test_large_messages_go_before_there_are_many() -> None:
    it = filled(message(1, size=400), message(2, size=400), message(3, size=400), content=1000)
    assert all_of(it) == [gap(1, 1), message(2, size=400), message(3, size=400)]


def test_what_went_on_has_its_weight_too() -> None:
    def sent(seq: int) -> Delivery:
        return Delivery("s", seq, False, b"x" * 400)

    it = filled(message(1), sent(1), message(2), sent(2), message(3), content=1000)
    assert len(all_of(it)) == 5
    it = filled(message(1), sent(1), message(2), sent(2), sent(3), message(3), content=1000)
    assert all_of(it) == [gap(1, 1), message(2), sent(2), sent(3), message(3)]
    changed = message(4)._replace(sent=b"x" * 1000)
    assert all_of(filled(message(3), changed, message(5), content=1000)) == [gap(3, 4), message(5)]


def test_findings_have_their_weight() -> None:
    it = filled(message(1, found=3), message(2), content=3 * FINDING_BYTES)
    assert all_of(it) == [gap(1, 1), message(2)]


def test_a_message_larger_than_all_that_may_wait_is_a_gap_too() -> None:
    assert all_of(filled(message(1, size=2000))) == [gap(1, 1)]


def test_what_is_taken_at_once_is_bounded_in_bytes() -> None:
    size = 3 * 1024 * 1024
    it = filled(*(message(seq, size=size) for seq in (1, 2, 3)), content=10 * size)
    assert len(it.take(100)) == 2


def test_what_was_said_of_messages_goes_with_them() -> None:
    it = filled(
        *(message(1), Reception("s", Role.RM, "m", "OK", 1.0), LateFindingRecord("s", 1, FINDING)),
        *(message(seq) for seq in range(2, 6)),
        *(message(6), message(7)),
    )
    assert all_of(it) == [gap(1, 3), *(message(seq) for seq in range(4, 8))]


def test_answers_alone_are_bounded() -> None:
    it = filled(*(Reception("s", Role.RM, str(n), "OK", 1.0) for n in range(1000)))
    assert len(it) == 16
    assert it.lost == 0


def test_of_a_session_it_is_remembered_what_it_became() -> None:
    it = filled(
        start(),
        SessionChange("s", {"rm_id": "old", "client_role": Role.RM}),
        message(1),
        SendersSwapped("s"),
        SessionChange("s", {"rm_id": "new"}),
        *(message(seq) for seq in range(2, 20)),
        end(),
    )
    facts = SessionChange("s", {"rm_id": "new", "client_role": Role.CEM})
    assert all_of(it)[:4] == [start(), SendersSwapped("s"), facts, gap(1, 15)]


def test_changes_alone_are_bounded() -> None:
    it = filled(*(SessionChange("s", {"rm_id": str(n)}) for n in range(1000)))
    assert len(it) == 17
    assert all_of(it)[-1] == SessionChange("s", {"rm_id": "999"})


def test_a_fact_as_long_as_a_message_is_not_kept_through_an_outage() -> None:
    long = SessionChange("s", {"rm_id": "x" * (LONGEST_FACT + 1), "cem_id": "c"})
    assert all_of(filled(long)) == [long]
    it = filled(long, *(Reception("s", Role.RM, "m", "OK", 1.0) for _ in range(16)))
    assert all_of(it)[0] == SessionChange("s", {"cem_id": "c"})


def test_a_session_that_was_over_and_goes_on_is_not_over() -> None:
    it = filled(start(), end(), start(), *(message(seq) for seq in range(1, 30)), message(30))
    assert end() not in all_of(it)


def test_of_thousands_of_sessions_those_that_were_over_go() -> None:
    it = backlog(messages=4, sessions=3)
    for number in range(1000):
        name = str(number)
        for record in (start(name), message(1, name), end(name)):
            it.put(record)
    assert len(it) < 50
    assert it.lost >= 990
    assert it.sessions_lost >= 980
    assert start("0") in all_of(it)


sessions = st.sampled_from("abc")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("message"), sessions, st.integers(0, 400), st.integers(0, 1)),
        st.tuples(st.sampled_from(["start", "change", "swap", "answer", "late", "end"]), sessions),
        st.tuples(st.just("take"), st.integers(1, 6)),
        st.tuples(st.just("done"), st.integers(1, 6)),
    ),
    max_size=120,
)


@given(steps)
def test_what_was_put_is_what_was_written_and_what_stands_in_gaps(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    it = backlog(messages=4, content=1000, sessions=100)
    seqs: dict[str, int] = defaultdict(int)
    swaps: dict[str, int] = defaultdict(int)
    written: list[Record] = []
    hand: list[Record] = []
    for kind, *details in steps:
        session = details[0]
        match kind:
            case "message":
                seqs[session] += 1
                it.put(message(seqs[session], session, size=details[1], found=details[2]))
            case "start":
                it.put(start(session))
            case "change":
                it.put(SessionChange(session, {"rm_id": str(len(written))}))
            case "swap":
                swaps[session] += 1
                it.put(SendersSwapped(session))
            case "answer":
                it.put(Reception(session, Role.RM, "m", "OK", 1.0))
            case "late":
                it.put(LateFindingRecord(session, 1, FINDING))
            case "end":
                it.put(end(session))
            case "take":
                taken = it.take(details[0])
                assert not hand or taken == hand
                hand = taken
            case "done":
                count = min(details[0], len(hand))
                it.done(count)
                written += hand[:count]
                hand = hand[count:]
        assert it.messages <= 4 + len(hand)
        assert len(it) <= 16 + len(hand) + 3 * 5
    written += all_of(it)
    accounted: dict[str, list[int]] = defaultdict(list)
    for record in written:
        if isinstance(record, WaitingMessage):
            accounted[record.session_id].append(record.seq)
        elif isinstance(record, Gap):
            assert record.messages == record.last_seq - record.first_seq + 1
            accounted[record.session_id] += range(record.first_seq, record.last_seq + 1)
    assert accounted == {name: list(range(1, last + 1)) for name, last in seqs.items()}
    assert it.lost == sum(record.messages for record in written if isinstance(record, Gap))
    for name in "abc":
        told = sum(record == SendersSwapped(name) for record in written)
        assert told % 2 == swaps[name] % 2
