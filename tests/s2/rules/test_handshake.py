"""How a conversation begins, in short conversations."""

from __future__ import annotations

import re

import pytest
from told import play, told

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role

NOT_SEEN = (
    "info handshake.not-seen : the beginning of this conversation was not seen; what it says of"
    " things that were said before cannot be checked"
)


def test_the_beginning_was_not_seen() -> None:
    script = (
        'joined_late()\nrm("PowerMeasurement")\ncem("FRBC.Instruction")\nrm("FRBC.StorageStatus")'
    )
    assert play(script)[0] == NOT_SEEN
    assert play('joined_late()\nrm("Handshake")\ncem("SessionRequest")') == []


def test_a_recording_that_has_the_beginning() -> None:
    assert play('joined_late()\nbegin("FRBC")\ncem("FRBC.Instruction")') == []


def test_no_handshake_is_said_once() -> None:
    rest = 'select("FRBC")\nrm("FRBC.SystemDescription")\nrm("PowerMeasurement")'
    assert play('rm("ResourceManagerDetails")\n' + rest) == [
        "info handshake.missing /message_type: ResourceManagerDetails without any handshake; that"
        " is right with S2 Connect only"
    ]
    assert play('rm("Handshake")\ncem("Handshake")\nrm("ResourceManagerDetails")\n' + rest) == [
        "warning handshake.unfinished /message_type: ResourceManagerDetails before the"
        " HandshakeResponse"
    ]
    assert play('rm("Handshake")\ncem("HandshakeResponse")\n') == [
        "warning handshake.unfinished /message_type: HandshakeResponse before the CEM's Handshake"
    ]


def test_with_a_bearer_token_it_may_be_s2_connect() -> None:
    for beginning in ("", 'rm("Handshake")\n', 'rm("Handshake")\ncem("Handshake")\n'):
        script = Script(bearer=True).run(beginning + 'rm("ResourceManagerDetails")\nselect("FRBC")')
        assert script.codes == []
    # All else is as ever; and so is a handshake, which a bearer token does not forbid.
    assert Script(bearer=True).run('rm("FRBC.StorageStatus")').codes == ["state.no-control-type"]
    assert Script(bearer=True).run('cem("SelectControlType")').codes == ["state.no-details"]
    assert Script(bearer=True).run('begin("FRBC")\ncem("FRBC.Instruction")').codes == []
    assert Script(bearer=True).run('rm("Handshake")\nrm("Handshake")').codes == ["handshake.twice"]


def test_what_may_have_crossed_a_handshake_was_sent_without_knowing_of_it() -> None:
    begun = 'cem("Handshake", answer={})\nrm("ResourceManagerDetails")'
    assert [line.split()[1] for line in play(begun.format(None))] == ["handshake.missing"]
    assert [line.split()[1] for line in play(begun.format('"OK"'))] == ["handshake.unfinished"]
    # Who has sent a Handshake knows that there is one.
    early = 'rm("Handshake", answer=None)\nrm("ResourceManagerDetails")\ncem("Handshake")'
    assert [line.split()[1] for line in play(early)] == ["handshake.unfinished"]


def test_what_nobody_could_read_may_have_been_the_handshake() -> None:
    assert [line.split()[1] for line in play('raw(RM, b"{")\nrm("ResourceManagerDetails")')] == [
        "json.syntax"
    ]
    script = Script()
    script.raw(Role.RM, b'{"message_type": "HandShake"}')
    script.rm("ResourceManagerDetails")
    assert script.codes == ["schema.unknown-message-type"]


def test_without_a_handshake_what_follows_the_details_is_judged_as_ever() -> None:
    """There may never be a handshake, so that it excuses nothing; but it may be an excerpt."""
    whole = 'rm("ResourceManagerDetails")\n{}'
    for message in ('rm("FRBC.StorageStatus")', 'cem("FRBC.Instruction")'):
        codes = [line.split()[1] for line in play(whole.format(message))]
        assert codes == ["handshake.missing", "state.no-control-type"]
        assert [line.split()[1] for line in play(message)] == ["handshake.missing"]


def test_what_needs_no_handshake() -> None:
    assert play('cem("SessionRequest", answer=None)') == []
    connect = Settings(version="1.0.0-beta")
    assert play('rm("ResourceManagerDetails")\nselect("OMBC")', connect) == []
    assert play('rm("Handshake")\nrm("ResourceManagerDetails")', connect) == [
        "warning handshake.unfinished /message_type: ResourceManagerDetails before the CEM's"
        " Handshake and the HandshakeResponse"
    ]


@pytest.mark.parametrize("side", ["rm", "cem"])
def test_a_handshake_without_versions(side: str) -> None:
    told_of = play(f'{side}("Handshake", supported_protocol_versions=None)')
    assert told_of == [
        "error handshake.no-versions : the RM's Handshake must say which versions it supports"
        ' → Add "supported_protocol_versions" with yours, such as ["0.0.2-beta"] or ["1.0.0"].'
    ] * (side == "rm")


def test_a_second_handshake() -> None:
    assert play('rm("Handshake", message_id="#shake")\nrm("Handshake")') == [
        'warning handshake.twice /message_type: a second Handshake; the Handshake "#shake" from'
        " the RM (0.0 s before) was the first"
    ]
    assert play('rm("Handshake")\ncem("Handshake")') == []


def test_both_in_the_same_role() -> None:
    assert play('rm("Handshake", message_id="#shake")\ncem("Handshake", role="RM")') == [
        'error handshake.same-role /role: role "RM" in a Handshake from the CEM: the Handshake'
        ' "#shake" from the RM (0.0 s before) has it already'
    ]
    assert [line.split()[1] for line in play('cem("Handshake", role="EMS", answer=None)')] == [
        "schema.enum"
    ]


def test_a_version_that_was_not_offered() -> None:
    begin = (
        'rm("Handshake", message_id="#shake", supported_protocol_versions={})\n'
        'cem("Handshake", supported_protocol_versions=None)\n'
    )
    select = 'cem("HandshakeResponse", selected_protocol_version="1.0.0-beta")'
    assert play(begin.format('["0.0.2-beta", "0.0.1-beta"]') + select) == [
        'error handshake.version-not-offered /selected_protocol_version: version "1.0.0-beta" is'
        ' not among those that the Handshake "#shake" from the RM (0.0 s before) offers:'
        ' "0.0.2-beta", "0.0.1-beta"'
    ]
    assert play(begin.format('["0.0.2-beta", "1.0.0-beta"]') + select) == []
    # A leading v is no difference; the names of a beta are others than that of its release.
    for offered, selected, is_found in (
        ("1.0.0", "v1.0.0", False),
        ("v1.0.0", "1.0.0", False),
        ("v0.0.2-beta", "0.0.2-beta", False),
        ("v9", "9", False),
        ("1.0.0-beta", "1.0.0", True),
        ("0.0.2", "v0.0.2-beta", True),
        ("v9", "vv9", True),
    ):
        selecting = f'cem("HandshakeResponse", selected_protocol_version="{selected}")'
        said = play(begin.format(f'["{offered}"]') + selecting)
        assert any("not-offered" in line for line in said) is is_found
    nothing = play(begin.format("None") + select)
    assert [line.split()[1] for line in nothing] == ["handshake.no-versions"]


def test_a_version_that_is_not_known() -> None:
    begin = 'rm("Handshake", supported_protocol_versions=["0.0.3"])\ncem("Handshake")\n'
    select = 'cem("HandshakeResponse", selected_protocol_version="0.0.3")'
    assert play(begin + select) == [
        'warning handshake.unknown-version /selected_protocol_version: version "0.0.3" is not one'
        " that s2-mitm knows (0.0.2-beta, 1.0.0); what fits one of these is taken for right"
    ]


@pytest.mark.parametrize(
    "version", ["0.0.2-beta", "v0.0.2-beta", "1.0.0", "v1.0.0", "1.0.0-beta", "v1.0.0-beta"]
)
def test_a_version_that_is_known_under_another_name(version: str) -> None:
    script = Script()
    script.rm("Handshake", supported_protocol_versions=[version])
    script.cem("Handshake", supported_protocol_versions=None)
    script.cem("HandshakeResponse", selected_protocol_version=version)
    assert told(script) == []
    assert script.conversation.version == ("1.0.0" if "1.0.0" in version else "0.0.2-beta")
    assert script.conversation.selected_version == version  # as it was on the wire


def test_measurements_cross_the_handshake_response() -> None:
    script = Script()
    script.rm("Handshake", answer=None)
    script.cem("Handshake", answer=None)
    script.cem("SessionRequest", answer=None)
    assert told(script) == []
    assert Role.RM in script.conversation.handshakes


OFFERS = '("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0"])\n'
SHAKEN = f"rm{OFFERS}cem{OFFERS}"
FIRST = 'cem("HandshakeResponse", message_id="#shake", selected_protocol_version="0.0.2-beta")\n'
DETAILS = 'rm("ResourceManagerDetails")\n'


def _second(version: str) -> str:
    return f'cem("HandshakeResponse", selected_protocol_version="{version}")\n'


def test_the_version_is_selected_once_more() -> None:
    again = [
        "warning handshake.response-twice /message_type: a second HandshakeResponse; the"
        ' HandshakeResponse "#shake" from the CEM (0.0 s before) was the first'
    ]
    for between in ("", DETAILS, DETAILS + 'select("FRBC")\n'):
        for version in ("0.0.2-beta", "v0.0.2-beta"):
            said = play(SHAKEN + FIRST + between + _second(version))
            assert [re.sub(r"\d\.\d s", "0.0 s", line) for line in said] == again
    changed = [
        'error handshake.version-changed /selected_protocol_version: another version than "0.0.2-'
        'beta", which the HandshakeResponse "#shake" from the CEM (0.0 s before) selected'
    ]
    assert play(SHAKEN + FIRST + _second("1.0.0")) == changed
    codes = [line.split()[1] for line in play(SHAKEN + FIRST + DETAILS + _second("1.0.0"))]
    assert codes == ["handshake.version-changed"]


def test_what_is_no_second_selection() -> None:
    refused = FIRST.replace(")\n", ', answer="INVALID_CONTENT")\n')
    assert {line.split()[1] for line in play(SHAKEN + refused + _second("1.0.0"))} <= {
        "ack.refused",
        "ack.refused-faultless",
    }
    # That it was not offered is said, and is the whole cause, on the way there and on the way back.
    codes = [line.split()[1] for line in play(SHAKEN + FIRST + _second("0.0.1-beta"))]
    assert codes == ["handshake.version-not-offered", "handshake.unknown-version"]
    codes = [line.split()[1] for line in play(SHAKEN + _second("0.0.1-beta") + _second("1.0.0"))]
    assert codes == ["handshake.version-not-offered", "handshake.unknown-version"]
    # Whose it is not to send is said already.
    codes = [line.split()[1] for line in play(SHAKEN + FIRST + 'rm("HandshakeResponse")')]
    assert codes == ["direction.wrong-sender"]


def test_a_handshake_that_was_refused_does_not_count() -> None:
    wrong = 'rm("Handshake")\ncem("Handshake", role="RM", answer="{}")\n'
    for status in ("INVALID_CONTENT", "TEMPORARY_ERROR"):
        codes = [line.split()[1] for line in play(wrong.format(status) + 'cem("Handshake")')]
        assert "handshake.same-role" in codes
        assert "handshake.twice" not in codes
    codes = [line.split()[1] for line in play(wrong.format("OK") + 'cem("Handshake")')]
    assert "handshake.twice" in codes
    thrice = wrong.format("INVALID_CONTENT") + 'cem("Handshake")\ncem("Handshake")'
    assert [line.split()[1] for line in play(thrice)].count("handshake.twice") == 1


def test_a_handshake_after_the_end_is_one_cause() -> None:
    script = 'begin()\ncem("SessionRequest", request="RECONNECT")\n'
    again = 'rm("Handshake")\ncem("Handshake")\ncem("HandshakeResponse")'
    assert [line.split()[1] for line in play(script + again)] == ["state.after-the-end"]
