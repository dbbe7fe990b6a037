"""Power profiles: what refers to them, and when their sequences run."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from script import Script, at, container, identifier, sequence

from s2_mitm.s2.verdict import Finding, Role, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SCHEDULE, PROFILE = "PPBC.ScheduleInstruction", "PPBC.PowerProfileDefinition"
START, END = "PPBC.StartInterruptionInstruction", "PPBC.EndInterruptionInstruction"
EVERY = pytest.mark.parametrize("message_type", [SCHEDULE, START, END])


def begun(control_type: str | None = "PPBC") -> Script:
    talk = Script()
    talk.begin(control_type)
    assert talk.findings == []
    return talk


def selected() -> Script:
    """PPBC is selected, and nothing given."""
    talk = begun(None)
    talk.select("PPBC")
    return talk


def of_rules(talk: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in talk.findings if finding.code.startswith("ppbc.")]


def one(talk: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(talk)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def ready(talk: Script, message_type: str) -> None:
    """What comes before an instruction of this type."""
    if message_type != SCHEDULE:
        talk.cem(SCHEDULE)
    if message_type == END:
        talk.cem(START)


def status(status: str, **fields: Any) -> dict[str, Any]:
    """The status of a container."""
    return {
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "status": status,
        **fields,
    }


def report(talk: Script, *containers: dict[str, Any], answer: str | None = "OK") -> None:
    talk.rm("PPBC.PowerProfileStatus", answer, sequence_container_status=list(containers))


def profile(talk: Script, name: str, *containers: dict[str, Any], **fields: Any) -> str:
    """The RM gives a profile with the id ``#name``."""
    if containers:
        fields["power_sequences_containers"] = list(containers)
    return talk.rm(PROFILE, id=f"#{name}", **fields)


def spin(talk: Script, start: float, **fields: Any) -> None:
    """The CEM schedules the second container."""
    fields = {"id": "#then", "sequence_container_id": "#spin", **fields}
    talk.cem(SCHEDULE, power_sequence_id="#slow", execution_time=at(start), **fields)


# What is referred to


@EVERY
def test_no_profile_is_said_once(message_type: str) -> None:
    talk = selected()
    talk.cem(message_type, id="#one")
    talk.cem(message_type, id="#two")
    text = one(talk, "ppbc.no-profile", ERROR, "/power_profile_id")
    assert identifier("profile") in text


def test_a_status_before_any_profile() -> None:
    talk = selected()
    report(talk, status("NOT_SCHEDULED"), status("NOT_SCHEDULED"))
    one(talk, "ppbc.no-profile", ERROR, "/sequence_container_status/0/power_profile_id")


@EVERY
def test_an_unknown_profile_is_no_unknown_container(message_type: str) -> None:
    talk = begun()
    ready(talk, message_type)
    talk.cem(
        message_type,
        id="#third",
        power_profile_id="#typo",
        sequence_container_id="#typo",
        power_sequence_id="#typo",
    )
    text = one(talk, "ppbc.unknown-profile", ERROR, "/power_profile_id")
    assert identifier("typo") in text
    assert identifier("profile") in text


def test_unknown_profiles_in_a_status() -> None:
    talk = begun()
    unknown = status("NOT_SCHEDULED", power_profile_id="#typo")
    report(talk, status("NOT_SCHEDULED"), *[unknown] * 10)
    assert talk.codes == ["ppbc.unknown-profile"] * 3
    assert of_rules(talk)[0].path == "/sequence_container_status/1/power_profile_id"


@EVERY
def test_an_unknown_container(message_type: str) -> None:
    talk = begun()
    ready(talk, message_type)
    talk.cem(message_type, id="#third", sequence_container_id="#typo")
    text = one(talk, "ppbc.unknown-container", ERROR, "/sequence_container_id")
    assert text.startswith(f'"{identifier("typo")}" is not a container of the {PROFILE}')
    assert identifier("wash") in text


@EVERY
def test_an_unknown_sequence(message_type: str) -> None:
    talk = begun()
    ready(talk, message_type)
    talk.cem(message_type, id="#third", power_sequence_id="#slow")
    text = one(talk, "ppbc.unknown-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f'"{identifier("slow")}" is not a sequence of that container')
    assert identifier("fast") in text


def test_a_sequence_of_another_container_is_known_there() -> None:
    talk = begun()
    spin(talk, 60)
    assert talk.codes == []


def test_an_unknown_container_and_sequence_in_a_status() -> None:
    talk = begun()
    report(talk, status("NOT_SCHEDULED", sequence_container_id="#typo"))
    path = "/sequence_container_status/0/sequence_container_id"
    one(talk, "ppbc.unknown-container", ERROR, path)
    report(talk, status("SCHEDULED", selected_sequence_id="#slow"))
    assert talk.codes == ["ppbc.unknown-container", "ppbc.unknown-sequence"]
    assert talk.findings[1].path == "/sequence_container_status/0/selected_sequence_id"


@EVERY
def test_a_revoked_profile(message_type: str) -> None:
    talk = begun()
    ready(talk, message_type)
    talk.rm("RevokeObject", object_type=PROFILE, object_id="#profile")
    talk.cem(message_type, id="#third")
    text = one(talk, "ppbc.profile-not-in-force", ERROR, "/power_profile_id")
    assert "was revoked by the RevokeObject" in text


def test_a_revocation_that_is_not_answered_yet() -> None:
    talk = begun()
    talk.rm("RevokeObject", None, object_type=PROFILE, object_id="#profile")
    talk.cem(SCHEDULE)
    assert talk.codes == []


def test_the_last_status_of_a_revoked_profile() -> None:
    talk = begun()
    talk.rm("RevokeObject", object_type=PROFILE, object_id="#profile")
    report(talk, status("ABORTED"))
    assert talk.codes == []


def test_a_refused_profile_is_said_once() -> None:
    talk = selected()
    talk.rm(PROFILE, "TEMPORARY_ERROR")
    talk.cem(SCHEDULE, id="#one")
    talk.cem(SCHEDULE, id="#two", sequence_container_id="#typo")
    text = one(talk, "ppbc.profile-refused", ERROR, "/power_profile_id")
    assert 'answered with "TEMPORARY_ERROR"' in text


def test_the_status_of_a_refused_profile() -> None:
    talk = selected()
    talk.rm(PROFILE, "TEMPORARY_ERROR")
    report(talk, status("NOT_SCHEDULED"))
    assert of_rules(talk) == []


def test_a_profile_that_is_not_answered_yet() -> None:
    talk = selected()
    talk.rm(PROFILE, None)
    talk.cem(SCHEDULE)
    assert talk.codes == []


def test_two_profiles_are_both_in_force() -> None:
    talk = begun()
    profile(talk, "other")
    talk.cem(SCHEDULE, id="#one")
    talk.cem(SCHEDULE, id="#two", power_profile_id="#other")
    assert talk.codes == []


def test_an_unknown_profile_after_a_refused_one_cannot_be_checked() -> None:
    talk = begun()
    talk.rm(PROFILE, "INVALID_CONTENT", id="#newer")
    talk.cem(SCHEDULE, id="#one", power_profile_id="#other")
    talk.cem(SCHEDULE, id="#two", power_profile_id="#another")
    text = one(talk, "ppbc.cannot-check", INFO, "/power_profile_id")
    assert "answered with INVALID_CONTENT" in text


def test_an_invalid_profile_is_not_gone_by_for_what_is_not_in_it() -> None:
    talk = selected()
    profile(talk, "profile", container("wash"), container("spin", id="no id"), answer=None)
    spin(talk, 60)
    talk.cem(SCHEDULE)
    text = one(talk, "ppbc.cannot-check", INFO, "/power_profile_id")
    assert "is not valid; containers are not checked" in text


def test_a_profile_that_could_not_be_read() -> None:
    talk = selected()
    talk.raw(Role.RM, b"{")
    profile(talk, "newer")
    talk.cem(SCHEDULE, id="#one", power_profile_id="#newer")
    talk.cem(SCHEDULE, id="#two")
    assert "could not be read" in one(talk, "ppbc.cannot-check", INFO, "/power_profile_id")


def test_joined_late() -> None:
    talk = Script(from_start=False)
    report(talk, status("NOT_SCHEDULED"))
    talk.cem(SCHEDULE)
    assert talk.codes == ["handshake.not-seen", "ppbc.cannot-check"]


def test_control_types_selected_again() -> None:
    talk = begun()
    talk.select("PPBC")
    talk.cem(SCHEDULE)
    assert talk.codes == []
    talk.select("PEBC")
    talk.select("PPBC")
    talk.cem(SCHEDULE, id="#two")
    assert talk.codes == ["ppbc.no-profile"]


def test_another_control_type_is_no_matter_of_these_rules() -> None:
    talk = begun("FRBC")
    talk.cem(SCHEDULE, id="#one")
    assert talk.codes == ["state.other-control-type"]


# What may be done with a sequence


def test_a_sequence_for_abnormal_conditions() -> None:
    talk = begun()
    talk.cem(SCHEDULE, sequence_container_id="#spin", power_sequence_id="#hot")
    text = one(talk, "ppbc.abnormal-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f'"{identifier("hot")}" needs abnormal_condition to be true')


def test_a_sequence_for_abnormal_conditions_in_one() -> None:
    talk = begun()
    hot = {"sequence_container_id": "#spin", "power_sequence_id": "#hot"}
    talk.cem(SCHEDULE, abnormal_condition=True, **hot)
    talk.cem(START, **hot)  # it runs already, whatever the condition is now
    talk.cem(END, **hot)
    assert talk.codes == []


def test_a_sequence_that_cannot_be_interrupted() -> None:
    talk = begun()
    profile(talk, "firm", container("wash", sequence("eco", is_interruptible=False)))
    talk.cem(SCHEDULE, power_profile_id="#firm")
    talk.cem(START, power_profile_id="#firm")
    text = one(talk, "ppbc.not-interruptible", ERROR, "/power_sequence_id")
    assert "is not interruptible, by the PPBC.PowerProfileDefinition" in text


def test_an_interruption_of_what_was_not_scheduled() -> None:
    talk = begun()
    talk.cem(START)
    text = one(talk, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert text == f'"{identifier("eco")}" was not scheduled: nothing was scheduled'


def test_an_interruption_of_another_sequence_than_was_scheduled() -> None:
    talk = begun()
    scheduled = talk.cem(SCHEDULE, power_sequence_id="#fast")
    talk.cem(START)
    text = one(talk, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert f'the {SCHEDULE} "{scheduled}" from the CEM' in text
    assert text.endswith(f'schedules "{identifier("fast")}"')


@pytest.mark.parametrize("chosen", [{}, {"selected_sequence_id": "#eco"}])
def test_an_interruption_of_what_the_rm_says_runs(chosen: dict[str, Any]) -> None:
    talk = begun()
    report(talk, status("EXECUTING", progress=0, **chosen))
    before = len(talk.findings)
    talk.cem(START)
    assert talk.findings[before:] == []


def test_the_end_of_an_interruption_that_did_not_begin() -> None:
    talk = begun()
    talk.cem(SCHEDULE)
    talk.cem(END)
    text = one(talk, "ppbc.not-interrupted", INFO, "/power_sequence_id")
    assert text == f'no interruption of "{identifier("eco")}" was seen to begin'


def test_the_end_of_an_interruption_by_the_device_itself() -> None:
    talk = begun()
    talk.cem(SCHEDULE)
    report(talk, status("INTERRUPTED", selected_sequence_id="#eco", progress=1000))
    talk.cem(END)
    assert talk.codes == []


# When


def test_before_the_profile_starts() -> None:
    talk = begun()
    profile(talk, "tonight", start_time=at(3600))
    talk.cem(SCHEDULE, power_profile_id="#tonight", execution_time=at(3599))
    text = one(talk, "ppbc.too-early", ERROR, "/execution_time")
    assert text.startswith(
        "2026-03-01T12:59:59Z is before 2026-03-01T13:00:00Z, the start_time of the"
    )


def test_when_the_profile_starts() -> None:
    talk = begun()
    profile(talk, "tonight", start_time=at(3600))
    talk.cem(SCHEDULE, id="#one", power_profile_id="#tonight", execution_time=at(3600))
    talk.wait(3599)
    talk.cem(SCHEDULE, id="#two", power_profile_id="#tonight", execution_time=at(1800))
    assert of_rules(talk) == []


def test_too_late_to_finish() -> None:
    talk = begun()
    talk.cem(SCHEDULE, id="#one", execution_time=at(6600))
    assert talk.codes == []
    talk.cem(SCHEDULE, id="#two", execution_time=at(6602))
    text = one(talk, "ppbc.too-late", ERROR, "/execution_time")
    assert "takes 600 s, until 2026-03-01T14:00:02Z, after 2026-03-01T14:00:00Z" in text


def test_too_late_because_it_is_late() -> None:
    talk = begun()
    talk.wait(6640)
    talk.cem(SCHEDULE, id="#one", execution_time=at(60))
    assert of_rules(talk) == []  # as far as clocks go
    talk.wait(100)
    talk.cem(SCHEDULE, id="#two", execution_time=at(60))
    one(talk, "ppbc.too-late", ERROR, "/execution_time")


@pytest.mark.parametrize("end", [500, -500], ids=["too short", "upside down"])
def test_what_is_wrong_with_a_profile_is_not_held_against_the_schedule(end: float) -> None:
    talk = begun()
    profile(talk, "odd", container("wash"), start_time=at(3600), end_time=at(3600 + end))
    before = len(talk.findings)
    talk.cem(SCHEDULE, power_profile_id="#odd", execution_time=at(3600))
    talk.cem(SCHEDULE, id="#two", power_profile_id="#odd", execution_time=at(3600 + end))
    assert talk.findings[before:] == []


def test_out_of_order() -> None:
    talk = begun()
    washing = talk.cem(SCHEDULE, execution_time=at(3600))
    spin(talk, 4199)
    text = one(talk, "ppbc.out-of-order", WARNING, "/execution_time")
    assert text.startswith("2026-03-01T13:09:59Z is before 2026-03-01T13:10:00Z")
    assert f'by the {SCHEDULE} "{washing}" from the CEM' in text


@pytest.mark.parametrize(
    "what",
    [
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); follow(4200)',
        'cem("PPBC.ScheduleInstruction", "TEMPORARY_ERROR", execution_time=at(3600)); follow(60)',
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); update("REJECTED"); follow(60)',
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); running(); follow(120)',
        'cem("PPBC.ScheduleInstruction", power_profile_id="#other", execution_time=at(3600));'
        " follow(60)",
        "follow(60); cem('PPBC.ScheduleInstruction', execution_time=at(3600))",
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600));'
        'cem("PPBC.ScheduleInstruction", id="#sooner", execution_time=at(0)); follow(700)',
    ],
    ids=["after", "refused", "rejected", "begun sooner", "other profile", "first", "moved"],
)
def test_not_out_of_order(what: str) -> None:
    talk = begun()
    profile(talk, "other")
    names = {
        "at": at,
        "cem": talk.cem,
        "follow": lambda start: spin(talk, start),
        "running": lambda: report(
            talk, status("EXECUTING", selected_sequence_id="#eco", progress=500_000)
        ),
        "update": lambda status: talk.rm("InstructionStatusUpdate", status_type=status),
    }
    exec(what, names)
    assert of_rules(talk) == []


def brisk(talk: Script) -> None:
    """A profile whose second container must come soon after the first."""
    soon = container("spin", sequence("slow", max_pause_before=600_000))
    profile(talk, "brisk", container("wash"), soon)


def test_too_long_a_pause() -> None:
    talk = begun()
    brisk(talk)
    talk.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(talk, 1900, power_profile_id="#brisk")
    text = one(talk, "ppbc.pause-too-long", WARNING, "/execution_time")
    assert text.startswith("700 s after 2026-03-01T12:20:00Z, when the container before")
    assert text.endswith("max_pause_before is 600 s")


def test_the_longest_pause() -> None:
    talk = begun()
    brisk(talk)
    talk.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(talk, 1800, power_profile_id="#brisk")
    assert talk.codes == []


def test_a_pause_after_what_was_interrupted() -> None:
    talk = begun()
    brisk(talk)
    talk.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    talk.cem(START, power_profile_id="#brisk", execution_time=at(700))
    spin(talk, 3600, power_profile_id="#brisk")
    assert talk.codes == []


# What the RM says by itself


@pytest.mark.parametrize("name", ["EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_progress(name: str) -> None:
    talk = begun()
    report(talk, status("NOT_SCHEDULED"), status(name, selected_sequence_id="#eco"))
    text = one(talk, "ppbc.progress-missing", ERROR, "/sequence_container_status/1")
    assert text == f'no progress, but the status is "{name}"'


def test_no_progress_yet() -> None:
    talk = begun()
    report(talk, status("NOT_SCHEDULED"), status("SCHEDULED", selected_sequence_id="#eco"))
    report(talk, status("EXECUTING", selected_sequence_id="#eco", progress=0), status("ABORTED"))
    assert talk.codes == []


@pytest.mark.parametrize("name", ["SCHEDULED", "EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_selection(name: str) -> None:
    talk = begun()
    report(talk, status(name))
    text = one(talk, "ppbc.selection-missing", WARNING, "/sequence_container_status/0")
    assert text == f'no selected_sequence_id, but the status is "{name}"'


def element(*quantities: str) -> dict[str, Any]:
    values = [{"commodity_quantity": name, "value_expected": 1} for name in quantities]
    return {"duration": 60_000, "power_values": values}


def test_two_values_for_a_quantity() -> None:
    talk = begun()
    l1, l2 = "ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"
    profile(talk, "fine", container("wash", sequence("eco", elements=[element(l1, l2)] * 2)))
    assert talk.codes == []
    elements = [element(l1), element(l1, l2, l1)]
    profile(talk, "newer", container("wash", sequence("eco", elements=elements)))
    place = "/power_sequences_containers/0/power_sequences/0/elements/1"
    path = f"{place}/power_values/2/commodity_quantity"
    text = one(talk, "ppbc.quantity-twice", WARNING, path)
    assert text == f'"{l1}" has a value in {place} already'


def test_a_window_that_is_too_short() -> None:
    talk = begun()
    profile(talk, "fits", end_time=at(1200))
    assert talk.codes == []
    profile(talk, "brief", end_time=at(1199))
    text = one(talk, "ppbc.window-too-short", WARNING, "/end_time")
    assert text.endswith("is 1199 s after start_time, but the shortest sequences take 1200 s")


def test_a_window_for_the_shortest_sequences() -> None:
    talk = begun()
    long = sequence("eco", elements=[element("ELECTRIC.POWER.L1")] * 100)
    short = sequence("fast", elements=[element("ELECTRIC.POWER.L1")])
    profile(talk, "newer", container("wash", long, short), end_time=at(60))
    assert talk.codes == []


# Whatever is sent


def test_a_long_status_is_judged_soon() -> None:
    talk = begun()
    unknown = status("EXECUTING", power_profile_id="#typo", selected_sequence_id="#eco")
    begin = time.perf_counter()
    report(talk, *[unknown] * 1000)
    seconds = time.perf_counter() - begin
    assert len(of_rules(talk)) <= 9
    assert seconds < 2  # of which the schema takes most


def test_what_is_remembered_of_containers_is_bounded() -> None:
    talk = begun()
    for start in range(0, 3000, 500):
        names = range(start, start + 500)
        report(talk, *[status("ABORTED", sequence_container_id=f"#c{name}") for name in names])
    assert len(talk.conversation.courses) <= 1000


TYPES = (PROFILE, "PPBC.PowerProfileStatus", SCHEDULE, START, END)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated(TYPES), min_size=1, max_size=4))
def test_no_rule_breaks_off(messages: list[tuple[str, dict[str, Any]]]) -> None:
    talk = begun()
    for message_type, fields in messages:
        say = talk.cem if message_type.endswith("Instruction") else talk.rm
        say(message_type, **fields)
        talk.cem(SCHEDULE)
        spin(talk, 60)
        talk.cem(START)
        talk.cem(END)
    talk.close()
