"""No message breaks a rule about modes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mode_script import MODES, WORK, ModeScript

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import (
    TEMPLATES,
    at,
)
from s2_mitm.s2.verdict import Role

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([identifier("idle"), identifier("actuator"), at(0), "Id", "\ud800"]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "Id", "from", "to", "start_of_range", "end_of_range", "x"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=8,
)
OURS = [name for name in TEMPLATES if name[:4] in MODES]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A message of ours, some fields of which hold something else, at any depth."""
    message_type = draw(st.sampled_from(OURS))
    message = json.loads(json.dumps(TEMPLATES[message_type]))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = message
        while True:
            if not place:
                break
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(JSON)
            break
    return message_type, message


@settings(max_examples=150, deadline=None)
@given(family=st.sampled_from(list(MODES)), messages=st.lists(mutated(), min_size=1, max_size=6))
def test_no_message_breaks_a_rule(family: str, messages: list[tuple[str, dict[str, Any]]]) -> None:
    script = ModeScript(family)
    for message_type, fields in messages:
        sender = Role.CEM if message_type.endswith("Instruction") else Role.RM
        whole = {"message_type": message_type, "message_id": identifier("any"), **fields}
        text = json.dumps(whole)
        for name in ("idle", "charge", "actuator", "rest", "off", "on", "heat"):
            text = text.replace(f'"#{name}"', f'"{identifier(name)}"')
        script.raw(sender, text.encode(errors="surrogatepass"))
    script.instruct(WORK)
    script.close()
    for finding in script.findings:
        finding.text.encode()
        finding.path.encode()


def test_an_injected_instruction_takes_part_as_what_it_claims_to_be() -> None:
    script = ModeScript("FRBC")
    script.inject(Role.CEM, "FRBC.Instruction", operation_mode="#no-such")
    assert script.only.text.endswith("(this message was injected)")
