"""Power profiles: what refers to them, and when their sequences run."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import at, container, sequence
from s2_mitm.s2.verdict import Finding, Role, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SCHEDULE, PROFILE = "PPBC.ScheduleInstruction", "PPBC.PowerProfileDefinition"
START, END = "PPBC.StartInterruptionInstruction", "PPBC.EndInterruptionInstruction"
EVERY = pytest.mark.parametrize("message_type", [SCHEDULE, START, END])


def begun(control_type: str | None = "PPBC") -> Script:
    script = Script()
    script.begin(control_type)
    assert script.findings == []
    return script


def selected() -> Script:
    """PPBC is selected, and nothing given."""
    script = begun(None)
    script.select("PPBC")
    return script


def of_rules(script: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in script.findings if finding.code.startswith("ppbc.")]


def one(script: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(script)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def ready(script: Script, message_type: str) -> None:
    """What comes before an instruction of this type."""
    if message_type != SCHEDULE:
        script.cem(SCHEDULE)
    if message_type == END:
        script.cem(START)


def status(status: str, **fields: Any) -> dict[str, Any]:
    """The status of a container."""
    return {
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "status": status,
        **fields,
    }


def report(script: Script, *containers: dict[str, Any], answer: str | None = "OK") -> None:
    script.rm("PPBC.PowerProfileStatus", answer, sequence_container_status=list(containers))


def profile(script: Script, name: str, *containers: dict[str, Any], **fields: Any) -> str:
    """The RM gives a profile with the id ``#name``."""
    if containers:
        fields["power_sequences_containers"] = list(containers)
    return script.rm(PROFILE, id=f"#{name}", **fields)


def spin(script: Script, start: float, **fields: Any) -> None:
    """The CEM schedules the second container."""
    fields = {"id": "#then", "sequence_container_id": "#spin", **fields}
    script.cem(SCHEDULE, power_sequence_id="#slow", execution_time=at(start), **fields)


# What is referred to


@EVERY
def test_no_profile_is_said_once(message_type: str) -> None:
    script = selected()
    script.cem(message_type, id="#one")
    script.cem(message_type, id="#two")
    text = one(script, "ppbc.no-profile", ERROR, "/power_profile_id")
    assert identifier("profile") in text


def test_a_status_before_any_profile() -> None:
    script = selected()
    report(script, status("NOT_SCHEDULED"), status("NOT_SCHEDULED"))
    one(script, "ppbc.no-profile", ERROR, "/sequence_container_status/0/power_profile_id")


@EVERY
def test_an_unknown_profile_is_no_unknown_container(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.cem(
        message_type,
        id="#third",
        power_profile_id="#typo",
        sequence_container_id="#typo",
        power_sequence_id="#typo",
    )
    text = one(script, "ppbc.unknown-profile", ERROR, "/power_profile_id")
    assert identifier("typo") in text
    assert identifier("profile") in text


def test_unknown_profiles_in_a_status() -> None:
    script = begun()
    unknown = status("NOT_SCHEDULED", power_profile_id="#typo")
    report(script, status("NOT_SCHEDULED"), *[unknown] * 10)
    assert script.codes == ["ppbc.unknown-profile"] * 3
    assert of_rules(script)[0].path == "/sequence_container_status/1/power_profile_id"


@EVERY
def test_an_unknown_container(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.cem(message_type, id="#third", sequence_container_id="#typo")
    text = one(script, "ppbc.unknown-container", ERROR, "/sequence_container_id")
    assert text.startswith(f'"{identifier("typo")}" is not a container of the {PROFILE}')
    assert identifier("wash") in text


@EVERY
def test_an_unknown_sequence(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.cem(message_type, id="#third", power_sequence_id="#slow")
    text = one(script, "ppbc.unknown-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f'"{identifier("slow")}" is not a sequence of that container')
    assert identifier("fast") in text


def test_a_sequence_of_another_container_is_known_there() -> None:
    script = begun()
    spin(script, 60)
    assert script.codes == []


def test_an_unknown_container_and_sequence_in_a_status() -> None:
    script = begun()
    report(script, status("NOT_SCHEDULED", sequence_container_id="#typo"))
    path = "/sequence_container_status/0/sequence_container_id"
    one(script, "ppbc.unknown-container", ERROR, path)
    report(script, status("SCHEDULED", selected_sequence_id="#slow"))
    assert script.codes == ["ppbc.unknown-container", "ppbc.unknown-sequence"]
    assert script.findings[1].path == "/sequence_container_status/0/selected_sequence_id"


@EVERY
def test_a_revoked_profile(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.rm("RevokeObject", object_type=PROFILE, object_id="#profile")
    script.cem(message_type, id="#third")
    text = one(script, "ppbc.profile-not-in-force", ERROR, "/power_profile_id")
    assert "was revoked by the RevokeObject" in text


def test_a_revocation_that_is_not_answered_yet() -> None:
    script = begun()
    script.rm("RevokeObject", None, object_type=PROFILE, object_id="#profile")
    script.cem(SCHEDULE)
    assert script.codes == []


def test_the_last_status_of_a_revoked_profile() -> None:
    script = begun()
    script.rm("RevokeObject", object_type=PROFILE, object_id="#profile")
    report(script, status("ABORTED"))
    assert script.codes == []


def test_a_refused_profile_is_said_once() -> None:
    script = selected()
    script.rm(PROFILE, "TEMPORARY_ERROR")
    script.cem(SCHEDULE, id="#one")
    script.cem(SCHEDULE, id="#two", sequence_container_id="#typo")
    text = one(script, "ppbc.profile-refused", ERROR, "/power_profile_id")
    assert 'answered with "TEMPORARY_ERROR"' in text


def test_the_status_of_a_refused_profile() -> None:
    script = selected()
    script.rm(PROFILE, "TEMPORARY_ERROR")
    report(script, status("NOT_SCHEDULED"))
    assert of_rules(script) == []


def test_a_profile_that_is_not_answered_yet() -> None:
    script = selected()
    script.rm(PROFILE, None)
    script.cem(SCHEDULE)
    assert script.codes == []


def test_two_profiles_are_both_in_force() -> None:
    script = begun()
    profile(script, "other")
    script.cem(SCHEDULE, id="#one")
    script.cem(SCHEDULE, id="#two", power_profile_id="#other")
    assert script.codes == []


def test_an_unknown_profile_after_a_refused_one_cannot_be_checked() -> None:
    script = begun()
    script.rm(PROFILE, "INVALID_CONTENT", id="#newer")
    script.cem(SCHEDULE, id="#one", power_profile_id="#other")
    script.cem(SCHEDULE, id="#two", power_profile_id="#another")
    text = one(script, "ppbc.cannot-check", INFO, "/power_profile_id")
    assert "answered with INVALID_CONTENT" in text


def test_an_invalid_profile_is_not_gone_by_for_what_is_not_in_it() -> None:
    script = selected()
    profile(script, "profile", container("wash"), container("spin", id="no id"), answer=None)
    spin(script, 60)
    script.cem(SCHEDULE)
    text = one(script, "ppbc.cannot-check", INFO, "/power_profile_id")
    assert "is not valid; containers are not checked" in text


def test_a_profile_that_could_not_be_read() -> None:
    script = selected()
    script.raw(Role.RM, b"{")
    profile(script, "newer")
    script.cem(SCHEDULE, id="#one", power_profile_id="#newer")
    script.cem(SCHEDULE, id="#two")
    assert "could not be read" in one(script, "ppbc.cannot-check", INFO, "/power_profile_id")


def test_joined_late() -> None:
    script = Script(from_start=False)
    report(script, status("NOT_SCHEDULED"))
    script.cem(SCHEDULE)
    assert script.codes == ["handshake.not-seen", "ppbc.cannot-check"]


def test_control_types_selected_again() -> None:
    script = begun()
    script.select("PPBC")
    script.cem(SCHEDULE)
    assert script.codes == []
    script.select("PEBC")
    script.select("PPBC")
    script.cem(SCHEDULE, id="#two")
    assert script.codes == ["ppbc.no-profile"]


def test_another_control_type_is_no_matter_of_these_rules() -> None:
    script = begun("FRBC")
    script.cem(SCHEDULE, id="#one")
    assert script.codes == ["state.other-control-type"]


# What may be done with a sequence


def test_a_sequence_for_abnormal_conditions() -> None:
    script = begun()
    script.cem(SCHEDULE, sequence_container_id="#spin", power_sequence_id="#hot")
    text = one(script, "ppbc.abnormal-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f'"{identifier("hot")}" needs abnormal_condition to be true')


def test_a_sequence_for_abnormal_conditions_in_one() -> None:
    script = begun()
    hot = {"sequence_container_id": "#spin", "power_sequence_id": "#hot"}
    script.cem(SCHEDULE, abnormal_condition=True, **hot)
    script.cem(START, **hot)  # it runs already, whatever the condition is now
    script.cem(END, **hot)
    assert script.codes == []


def test_a_sequence_that_cannot_be_interrupted() -> None:
    script = begun()
    profile(script, "firm", container("wash", sequence("eco", is_interruptible=False)))
    script.cem(SCHEDULE, power_profile_id="#firm")
    script.cem(START, power_profile_id="#firm")
    text = one(script, "ppbc.not-interruptible", ERROR, "/power_sequence_id")
    assert "is not interruptible, by the PPBC.PowerProfileDefinition" in text


def test_an_interruption_of_what_was_not_scheduled() -> None:
    script = begun()
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert text == f'"{identifier("eco")}" was not scheduled: nothing was scheduled'


def test_an_interruption_of_another_sequence_than_was_scheduled() -> None:
    script = begun()
    scheduled = script.cem(SCHEDULE, power_sequence_id="#fast")
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert f'the {SCHEDULE} "{scheduled}" from the CEM' in text
    assert text.endswith(f'schedules "{identifier("fast")}"')


@pytest.mark.parametrize("chosen", [{}, {"selected_sequence_id": "#eco"}])
def test_an_interruption_of_what_the_rm_says_runs(chosen: dict[str, Any]) -> None:
    script = begun()
    report(script, status("EXECUTING", progress=0, **chosen))
    before = len(script.findings)
    script.cem(START)
    assert script.findings[before:] == []


def test_the_end_of_an_interruption_that_did_not_begin() -> None:
    script = begun()
    script.cem(SCHEDULE)
    script.cem(END)
    text = one(script, "ppbc.not-interrupted", INFO, "/power_sequence_id")
    assert text == f'no interruption of "{identifier("eco")}" was seen to begin'


def test_the_end_of_an_interruption_by_the_device_itself() -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script, status("INTERRUPTED", selected_sequence_id="#eco", progress=1000))
    script.cem(END)
    assert script.codes == []


# When


def test_before_the_profile_starts() -> None:
    script = begun()
    profile(script, "tonight", start_time=at(3600))
    script.cem(SCHEDULE, power_profile_id="#tonight", execution_time=at(3599))
    text = one(script, "ppbc.too-early", ERROR, "/execution_time")
    assert text.startswith(
        "2026-03-01T12:59:59Z is before 2026-03-01T13:00:00Z, the start_time of the"
    )


def test_when_the_profile_starts() -> None:
    script = begun()
    profile(script, "tonight", start_time=at(3600))
    script.cem(SCHEDULE, id="#one", power_profile_id="#tonight", execution_time=at(3600))
    script.wait(3599)
    script.cem(SCHEDULE, id="#two", power_profile_id="#tonight", execution_time=at(1800))
    assert of_rules(script) == []


def test_too_late_to_finish() -> None:
    script = begun()
    script.cem(SCHEDULE, id="#one", execution_time=at(6600))
    assert script.codes == []
    script.cem(SCHEDULE, id="#two", execution_time=at(6602))
    text = one(script, "ppbc.too-late", ERROR, "/execution_time")
    assert "takes 600 s, until 2026-03-01T14:00:02Z, after 2026-03-01T14:00:00Z" in text


def test_too_late_because_it_is_late() -> None:
    script = begun()
    script.wait(6640)
    script.cem(SCHEDULE, id="#one", execution_time=at(60))
    assert of_rules(script) == []  # as far as clocks go
    script.wait(100)
    script.cem(SCHEDULE, id="#two", execution_time=at(60))
    one(script, "ppbc.too-late", ERROR, "/execution_time")


@pytest.mark.parametrize("end", [500, -500], ids=["too short", "upside down"])
def test_what_is_wrong_with_a_profile_is_not_held_against_the_schedule(end: float) -> None:
    script = begun()
    profile(script, "odd", container("wash"), start_time=at(3600), end_time=at(3600 + end))
    before = len(script.findings)
    script.cem(SCHEDULE, power_profile_id="#odd", execution_time=at(3600))
    script.cem(SCHEDULE, id="#two", power_profile_id="#odd", execution_time=at(3600 + end))
    assert script.findings[before:] == []


def test_out_of_order() -> None:
    script = begun()
    washing = script.cem(SCHEDULE, execution_time=at(3600))
    spin(script, 4199)
    text = one(script, "ppbc.out-of-order", WARNING, "/execution_time")
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
    script = begun()
    profile(script, "other")
    names = {
        "at": at,
        "cem": script.cem,
        "follow": lambda start: spin(script, start),
        "running": lambda: report(
            script, status("EXECUTING", selected_sequence_id="#eco", progress=500_000)
        ),
        "update": lambda status: script.rm("InstructionStatusUpdate", status_type=status),
    }
    exec(what, names)
    assert of_rules(script) == []


def brisk(script: Script) -> None:
    """A profile whose second container must come soon after the first."""
    soon = container("spin", sequence("slow", max_pause_before=600_000))
    profile(script, "brisk", container("wash"), soon)


def test_too_long_a_pause() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(script, 1900, power_profile_id="#brisk")
    text = one(script, "ppbc.pause-too-long", WARNING, "/execution_time")
    assert text.startswith("700 s after 2026-03-01T12:20:00Z, when the container before")
    assert text.endswith("max_pause_before is 600 s")


def test_the_longest_pause() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(script, 1800, power_profile_id="#brisk")
    assert script.codes == []


def test_a_pause_after_what_was_interrupted() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    script.cem(START, power_profile_id="#brisk", execution_time=at(700))
    spin(script, 3600, power_profile_id="#brisk")
    assert script.codes == []


# What the RM says by itself


@pytest.mark.parametrize("name", ["EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_progress(name: str) -> None:
    script = begun()
    report(script, status("NOT_SCHEDULED"), status(name, selected_sequence_id="#eco"))
    text = one(script, "ppbc.progress-missing", ERROR, "/sequence_container_status/1")
    assert text == f'no progress, but the status is "{name}"'


def test_no_progress_yet() -> None:
    script = begun()
    report(script, status("NOT_SCHEDULED"), status("SCHEDULED", selected_sequence_id="#eco"))
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=0), status("ABORTED"))
    assert script.codes == []


@pytest.mark.parametrize("name", ["SCHEDULED", "EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_selection(name: str) -> None:
    script = begun()
    report(script, status(name))
    text = one(script, "ppbc.selection-missing", WARNING, "/sequence_container_status/0")
    assert text == f'no selected_sequence_id, but the status is "{name}"'


def element(*quantities: str) -> dict[str, Any]:
    values = [{"commodity_quantity": name, "value_expected": 1} for name in quantities]
    return {"duration": 60_000, "power_values": values}


def test_two_values_for_a_quantity() -> None:
    script = begun()
    l1, l2 = "ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"
    profile(script, "fine", container("wash", sequence("eco", elements=[element(l1, l2)] * 2)))
    assert script.codes == []
    elements = [element(l1), element(l1, l2, l1)]
    profile(script, "newer", container("wash", sequence("eco", elements=elements)))
    place = "/power_sequences_containers/0/power_sequences/0/elements/1"
    path = f"{place}/power_values/2/commodity_quantity"
    text = one(script, "ppbc.quantity-twice", WARNING, path)
    assert text == f'"{l1}" has a value in {place} already'


def test_a_window_that_is_too_short() -> None:
    script = begun()
    profile(script, "fits", end_time=at(1200))
    assert script.codes == []
    profile(script, "brief", end_time=at(1199))
    text = one(script, "ppbc.window-too-short", WARNING, "/end_time")
    assert text.endswith("is 1199 s after start_time, but the shortest sequences take 1200 s")


def test_a_window_for_the_shortest_sequences() -> None:
    script = begun()
    long = sequence("eco", elements=[element("ELECTRIC.POWER.L1")] * 100)
    short = sequence("fast", elements=[element("ELECTRIC.POWER.L1")])
    profile(script, "newer", container("wash", long, short), end_time=at(60))
    assert script.codes == []


# Whatever is sent


def test_a_long_status_is_judged_soon() -> None:
    script = begun()
    unknown = status("EXECUTING", power_profile_id="#typo", selected_sequence_id="#eco")
    begin = time.perf_counter()
    report(script, *[unknown] * 1000)
    seconds = time.perf_counter() - begin
    assert len(of_rules(script)) <= 9
    assert seconds < 2  # of which the schema takes most


def test_what_is_remembered_of_containers_is_bounded() -> None:
    script = begun()
    for start in range(0, 3000, 500):
        names = range(start, start + 500)
        report(script, *[status("ABORTED", sequence_container_id=f"#c{name}") for name in names])
    assert len(script.conversation.courses) <= 1000


TYPES = (PROFILE, "PPBC.PowerProfileStatus", SCHEDULE, START, END)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated(TYPES), min_size=1, max_size=4))
def test_no_rule_breaks_off(messages: list[tuple[str, dict[str, Any]]]) -> None:
    script = begun()
    for message_type, fields in messages:
        say = script.cem if message_type.endswith("Instruction") else script.rm
        say(message_type, **fields)
        script.cem(SCHEDULE)
        spin(script, 60)
        script.cem(START)
        script.cem(END)
    script.close()
