"""The sentence that says why a recorder cannot write, whether it is known at once or later."""

from __future__ import annotations

import time

from s2_mitm.history.recorder import Recorder


def complaint_of(target: object) -> str:
    """The first sentence in which a recorder says why it cannot write to ``target``."""
    said: list[str] = []
    recorder = Recorder(str(target), said.append)
    deadline = time.monotonic() + 30
    while not said:
        assert time.monotonic() < deadline, "it says nothing"
        time.sleep(0.01)
    assert recorder.figures().failing
    recorder.close()
    [sentence] = said
    assert "\n" not in sentence
    assert " cannot be written now (" in sentence
    assert sentence.endswith("the traffic goes on, and up to 20000 messages wait in memory.")
    return sentence
