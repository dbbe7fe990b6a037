"""The fill level and the power at present, as the RM said them last."""

from __future__ import annotations

import json

from s2_mitm.s2.conversation.memory import MAX_MEASUREMENT_SIZE
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role


def test_the_fill_level_is_that_of_the_last_status() -> None:
    script = Script()
    script.begin("FRBC")
    assert script.conversation.fill_level == 57.3

    script.rm("FRBC.StorageStatus", present_fill_level=60)
    assert script.conversation.fill_level == 60

    script.rm("FRBC.StorageStatus", present_fill_level="61")
    assert script.conversation.fill_level is None


def test_another_control_type_ends_it_unless_the_rm_refuses() -> None:
    script = Script()
    script.begin("FRBC")

    script.select("FRBC")
    assert script.conversation.fill_level == 57.3

    script.select("OMBC", answer="TEMPORARY_ERROR")
    assert script.conversation.fill_level == 57.3

    script.select("OMBC")
    assert script.conversation.fill_level is None


def test_the_latest_measurement_is_remembered_unless_it_is_large() -> None:
    script = Script()
    script.begin()
    assert script.conversation.measurement is None

    script.rm("PowerMeasurement")
    kept = script.conversation.measurement
    assert kept
    assert kept.content.has("values")

    # Whoever takes the word of the other side is not the RM.
    script.cem("PowerMeasurement")
    assert script.conversation.measurement is kept

    large = {"message_type": "PowerMeasurement", "x": "x" * MAX_MEASUREMENT_SIZE}
    script.raw(Role.RM, json.dumps(large).encode())
    assert script.conversation.measurement is None
