"""A message is judged, then taken in or discarded: what it says counts only if it was delivered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from s2_mitm.s2.catalog import MESSAGE_TYPES
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import DESCRIBED, TEMPLATES
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Role, Verdict

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"


def wire(message_type: str, **fields: Any) -> bytes:
    """A message right but for the fields given."""
    message = {"message_type": message_type, "message_id": ID, **TEMPLATES[message_type], **fields}
    if message_type == "Handshake":
        message["role"] = "CEM"
    text = re.sub(r'"#([\w-]+)"', lambda name: f'"{identifier(name[1])}"', json.dumps(message))
    return text.encode()


class Way(Script):
    """A conversation in which somebody between the two may drop or change a message."""

    def judge_only(self, sender: Role, data: bytes) -> Verdict:
        """A message comes; it is undecided then."""
        self.now += 0.01
        from_client = sender is self.conversation.client_role
        return self.judge.judge(data, from_client=from_client, time=self.now)

    def dropped(self, sender: Role, message_type: str, **fields: Any) -> Verdict:
        """A message is judged and does not go on."""
        verdict = self.judge_only(sender, wire(message_type, **fields))
        self.judge.discard()
        return verdict

    def edited(self, sender: Role, came: bytes, went: bytes) -> Verdict:
        """A message goes on as another one."""
        verdict = self.judge_only(sender, came)
        self.judge.take_in(went)
        return verdict


def known(way: Way) -> str:
    """All that counts, but for what time has changed, and for what is in doubt."""
    passing = ("now", "monotonic", "settings")
    doubts = (
        *("undelivered", "_undelivered_ids", "_answered_in_vain"),
        *("active_modes", "timers", "descriptions"),
    )
    others = {*passing, *doubts}
    held = {name: value for name, value in vars(way.conversation).items() if name not in others}
    described = {name: each.all for name, each in way.conversation.descriptions.items() if each.all}
    return repr((held, described))


@pytest.mark.parametrize("control_type", [None, *DESCRIBED])
@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
@pytest.mark.parametrize("sender", Role)
def test_what_was_not_delivered_leaves_no_trace_in_memory(
    control_type: str | None, message_type: str, sender: Role
) -> None:
    way = Way()
    way.begin(control_type)
    last = way.rm("PowerMeasurement", answer=None)
    before = known(way)
    fields = {"subject_message_id": last} if message_type == "ReceptionStatus" else {}
    way.dropped(sender, message_type, **fields)

    assert known(way) == before


def test_what_could_not_be_read_and_was_not_delivered_hides_nothing() -> None:
    way = Way()
    way.begin()
    way.judge_only(Role.RM, b"broken")
    way.judge.discard()
    way.cem("ReceptionStatus", subject_message_id=ID)

    assert way.codes == ["ack.unknown-subject"]


def test_an_instruction_is_right_after_an_invalid_selection_that_was_blocked() -> None:
    way = Way()
    way.begin("FRBC")
    selection = {"control_type": "OPERATION_MODE_BASED_CONTROL", "unknown": 1}
    assert not way.dropped(Role.CEM, "SelectControlType", **selection).valid
    way.cem("FRBC.Instruction")
    assert way.codes == []

    # The same, delivered.
    way.raw(Role.CEM, wire("SelectControlType", **selection))
    way.cem("FRBC.Instruction", id="#another")
    assert "state.other-control-type" in way.codes


def test_nobody_waits_for_the_answer_to_what_was_not_delivered() -> None:
    way = Way()
    way.begin()
    way.dropped(Role.RM, "PowerMeasurement")
    way.wait(20)
    way.close()

    assert way.codes == []


def test_what_was_dropped_may_be_sent_again_with_its_ids() -> None:
    way = Way()
    way.begin("FRBC")
    way.dropped(Role.CEM, "FRBC.Instruction")
    way.cem("FRBC.Instruction", message_id=ID)

    assert way.codes == []


def test_what_is_reported_once_was_reported_of_what_was_dropped_too() -> None:
    way = Way()
    way.begin()
    first = way.dropped(Role.RM, "FRBC.SystemDescription")
    second = way.dropped(Role.RM, "FRBC.SystemDescription")

    assert [found.code for found in first.findings] == ["state.no-control-type"]
    assert [(found.code, found.repeated) for found in second.findings] == [
        ("state.no-control-type", True)
    ]
    assert not second.valid


def test_what_was_dropped_is_counted() -> None:
    way = Way()
    way.begin()
    messages = way.judge.messages
    way.dropped(Role.RM, "PowerMeasurement", unknown=1)

    assert way.judge.messages == messages + 1
    assert way.judge.invalid == 1


def test_who_is_who_is_seen_in_what_was_dropped_too() -> None:
    way = Way()
    way.judge.judge(wire("SelectControlType"), from_client=True, time=way.now)
    way.judge.discard()

    assert way.conversation.client_role is Role.CEM


def test_of_what_was_changed_on_its_way_memory_takes_what_went() -> None:
    way = Way()
    way.begin("FRBC")
    came = wire("SelectControlType", control_type="OPERATION_MODE_BASED_CONTROL")
    went = wire("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
    way.edited(Role.CEM, came, went)

    assert way.conversation.family == "FRBC"


def test_the_sender_of_what_was_changed_on_its_way_is_judged_by_what_came() -> None:
    way = Way()
    way.begin("FRBC")
    wrong, right = wire("FRBC.StorageStatus", unknown=1), wire("FRBC.StorageStatus")

    assert way.edited(Role.RM, wrong, right).findings
    assert way.edited(Role.RM, right.replace(ID.encode(), b"another"), wrong).valid
    (answered,) = (message for message in way.conversation.unanswered.values())
    assert not answered.valid


def test_who_answers_what_was_changed_on_its_way_is_judged_by_what_went() -> None:
    way = Way()
    way.begin()
    wrong, right = wire("PowerMeasurement", unknown=1), wire("PowerMeasurement")
    way.edited(Role.RM, right, wrong)
    way.cem("ReceptionStatus", subject_message_id=ID, status="INVALID_MESSAGE")

    assert way.codes == ["ack.refused"]


def test_a_new_message_id_given_on_the_way_is_the_one_that_is_answered() -> None:
    way = Way()
    way.begin()
    way.edited(Role.RM, wire("PowerMeasurement"), wire("PowerMeasurement", message_id="#new"))
    way.cem("ReceptionStatus", subject_message_id="#new")
    way.wait(20)

    assert way.codes == []


def test_an_answer_that_was_changed_on_its_way_answers_what_it_now_names() -> None:
    way = Way()
    way.begin()
    one, other = (way.rm("PowerMeasurement", answer=None) for _ in range(2))
    came, went = (wire("ReceptionStatus", subject_message_id=name) for name in (one, other))
    way.edited(Role.CEM, came, went)
    way.wait(20)

    assert way.codes == ["ack.missing"]
    assert (Role.RM, other) in way.conversation.answered
    assert (Role.RM, one) in way.conversation.overdue


@pytest.mark.parametrize("went", [b"", b"broken", b"[]", b"\xff", b'{"message_type": 1}'])
def test_what_was_changed_into_no_message_says_nothing(went: bytes) -> None:
    way = Way()
    way.begin("FRBC")
    way.edited(Role.CEM, wire("SelectControlType", control_type="NO_SELECTION"), went)
    way.wait(20)

    assert way.conversation.family == "FRBC"
    assert way.codes == []


def test_what_is_still_undecided_counts_as_it_came_when_the_next_message_comes() -> None:
    way = Way()
    way.begin()
    way.judge_only(Role.CEM, wire("SelectControlType"))
    assert way.conversation.family is None

    way.rm("FRBC.SystemDescription")
    assert way.conversation.family == "FRBC"


def test_what_is_still_undecided_at_the_end_counts_as_it_came() -> None:
    way = Way()
    way.begin()
    way.judge_only(Role.RM, wire("PowerMeasurement"))

    assert [late.finding.code for late in way.judge.close(way.now + 3)] == ["ack.missing"]


def test_an_answer_is_due_from_when_a_message_was_delivered() -> None:
    """Somebody may have held it for long."""
    of_session = Judge()
    of_session.judge(wire("Handshake"), from_client=True, time=0, monotonic=0)
    assert of_session.tick(60, 60) == []
    of_session.take_in(monotonic=60)
    assert of_session.tick(65, 65) == []

    assert [late.finding.code for late in of_session.tick(75, 75)] == ["ack.missing"]


def test_to_decide_where_nothing_is_undecided_does_nothing() -> None:
    way = Way()
    way.begin()
    before = known(way)
    way.judge.take_in()
    way.judge.take_in(wire("SelectControlType"))
    way.judge.discard()

    assert known(way) == before


def test_the_messages_here_are_right() -> None:
    for message_type in MESSAGE_TYPES:
        data = wire(message_type, **({"subject_message_id": ID} if "Rec" in message_type else {}))
        fields = json.loads(data)
        if message_type == "ReceptionStatus":
            del fields["message_id"]
        assert judge(json.dumps(fields).encode()).valid, message_type


FOLLOWS = [
    # What is dropped, and what its sender, who goes by it, or its receiver says after that.
    ("FRBC", Role.RM, "FRBC.SystemDescription", {}, Role.RM, "FRBC.ActuatorStatus", {}),
    (
        "FRBC",
        Role.CEM,
        "FRBC.Instruction",
        {"id": "#gone"},
        Role.RM,
        "InstructionStatusUpdate",
        {"instruction_id": "#gone"},
    ),
    (
        "FRBC",
        Role.CEM,
        "FRBC.Instruction",
        {"id": "#gone"},
        Role.CEM,
        "RevokeObject",
        {"object_type": "FRBC.Instruction", "object_id": "#gone"},
    ),
    (None, Role.CEM, "SelectControlType", {}, Role.CEM, "FRBC.Instruction", {}),
    (None, Role.CEM, "SelectControlType", {}, Role.RM, "FRBC.StorageStatus", {}),
]


@pytest.mark.parametrize(
    ("control_type", "sender", "dropped", "fields", "follower", "following", "its_fields"), FOLLOWS
)
def test_nobody_is_blamed_for_what_follows_from_a_message_that_was_not_delivered(
    control_type: str | None,
    sender: Role,
    dropped: str,
    fields: dict[str, Any],
    follower: Role,
    following: str,
    its_fields: dict[str, Any],
) -> None:
    way = Way()
    way.begin(control_type)
    way.dropped(sender, dropped, **fields)
    verdict = way.judge_only(follower, wire(following, **{**its_fields, "message_id": OTHER_ID}))
    way.judge.take_in()
    blame = {"state", "instruction", "revoke"}
    codes = [finding.code for finding in verdict.findings]
    assert not [code for code in codes if code.split(".")[0] in blame], verdict.findings
    assert "modes.no-description" not in codes


OTHER_ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a4"


def test_handshakes_and_details_that_were_not_delivered_are_not_missed() -> None:
    way = Way()
    way.dropped(Role.RM, "Handshake")
    assert "handshake.missing" not in [
        finding.code for finding in way.judge_only(Role.RM, wire("PowerMeasurement")).findings
    ]
    way = Way()
    way.begin(details=False)
    way.dropped(Role.RM, "ResourceManagerDetails")
    verdict = way.judge_only(Role.CEM, wire("SelectControlType", message_id=OTHER_ID))
    assert verdict.findings == []


def test_an_answer_that_was_not_delivered_is_not_missed() -> None:
    way = Way()
    way.begin()
    measured = way.judge_only(Role.RM, wire("PowerMeasurement", message_id=OTHER_ID))
    way.judge.take_in()
    assert measured.valid
    way.dropped(Role.CEM, "ReceptionStatus", subject_message_id=OTHER_ID, status="OK")
    assert way.judge.tick(way.now + 60) == []
    assert way.judge.close(way.now + 70) == []


@pytest.mark.parametrize("seconds", [0, 10.5])
def test_nothing_is_said_because_of_an_answer_that_was_not_delivered(seconds: float) -> None:
    for delivered in (False, True):
        way = Way()
        way.begin()
        way.judge_only(Role.RM, wire("PowerMeasurement", message_id=OTHER_ID))
        way.judge.take_in()
        way.now += seconds
        answer = wire("ReceptionStatus", subject_message_id=OTHER_ID, status="TEMPORARY_ERROR")
        assert way.judge_only(Role.CEM, answer).late == []
        counted = way.judge.findings.total()
        way.judge.take_in() if delivered else way.judge.discard()
        late = [each.finding.code for each in way.judge.became_known()]
        expected = ["ack.late", "ack.refused"] if seconds else ["ack.refused"]
        assert late == (expected if delivered else [])
        assert way.judge.became_known() == []
        assert way.judge.findings.total() == counted + len(late)


def test_while_an_answer_is_held_back_nothing_is_overdue() -> None:
    way = Way()
    way.begin()
    for message_id in (ID, OTHER_ID):
        way.judge_only(Role.RM, wire("PowerMeasurement", message_id=message_id))
        way.judge.take_in()
    answer = wire("ReceptionStatus", subject_message_id=ID, status="OK")
    way.judge_only(Role.CEM, answer)
    assert way.judge.tick(way.now + 15, way.now + 15) == []
    way.judge.take_in(monotonic=way.now + 15)
    way.now += 15.01
    following = wire("ReceptionStatus", subject_message_id=OTHER_ID, status="OK")
    verdict = way.judge_only(Role.CEM, following)
    assert verdict.late == []
    assert not [each for each in verdict.findings if each.code.startswith("ack")]


def test_what_was_changed_on_its_way_is_named_so() -> None:
    way = Way()
    way.begin()
    went = wire("PowerMeasurement", message_id=OTHER_ID, unknown=1)
    way.edited(Role.RM, wire("PowerMeasurement", message_id=OTHER_ID), went)
    answer = wire("ReceptionStatus", subject_message_id=OTHER_ID, status="OK")
    findings = way.judge_only(Role.CEM, answer).findings
    [finding] = [each for each in findings if each.code == "ack.ok-to-invalid"]
    assert "from the RM (changed on its way, " in finding.text
