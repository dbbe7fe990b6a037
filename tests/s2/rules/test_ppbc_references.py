"""What refers to power profiles, their containers and sequences."""

from __future__ import annotations

from ppbc_script import (
    CONTAINERS,
    ERROR,
    EVERY,
    INFO,
    PROFILE,
    SCHEDULE,
    WARNING,
    begun,
    of_rules,
    one,
    profile,
    ready,
    report,
    selected,
    spin,
    status,
)

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import container
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import short_id


@EVERY
def test_no_profile_is_said_once(message_type: str) -> None:
    script = selected()
    script.cem(message_type, id="#one")
    script.cem(message_type, id="#two")
    text = one(script, "ppbc.no-profile", ERROR, "/power_profile_id")
    assert identifier("profile") in text


def test_a_status_before_any_profile() -> None:
    script = selected()
    report(script)
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
    assert short_id(identifier("typo")) in text
    assert short_id(identifier("profile")) in text


def test_unknown_profiles_in_a_status() -> None:
    script = begun()
    unknown = [status("NOT_SCHEDULED", power_profile_id=f"#typo-{number}") for number in range(9)]
    report(script, status("NOT_SCHEDULED"), *unknown)
    assert script.codes == ["ppbc.unknown-profile"] * 3
    assert of_rules(script)[0].path == "/sequence_container_status/1/power_profile_id"


@EVERY
def test_an_unknown_container(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.cem(message_type, id="#third", sequence_container_id="#typo")
    text = one(script, "ppbc.unknown-container", ERROR, "/sequence_container_id")
    assert text.startswith(f"{short_id(identifier('typo'))} is not a container of the {PROFILE}")
    assert short_id(identifier("wash")) in text


@EVERY
def test_an_unknown_sequence(message_type: str) -> None:
    script = begun()
    ready(script, message_type)
    script.cem(message_type, id="#third", power_sequence_id="#slow")
    text = one(script, "ppbc.unknown-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f"{short_id(identifier('slow'))} is not a sequence of that container")
    assert "; it belongs to the container " in text


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
    report(script, *[status("ABORTED", sequence_container_id=f"#{name}") for name in CONTAINERS])
    assert script.codes == []


def test_a_refused_profile_is_said_once() -> None:
    script = selected()
    script.rm(PROFILE, "TEMPORARY_ERROR")
    script.cem(SCHEDULE, id="#one")
    script.cem(SCHEDULE, id="#two", sequence_container_id="#typo")
    text = one(script, "ppbc.profile-refused", WARNING, "/power_profile_id")
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
    assert 'answered with "INVALID_CONTENT"' in text


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
