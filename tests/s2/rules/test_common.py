"""What several rules use: repeated things, and things in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.s2.conversation.message import Part
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.words import MAX_LISTED, article, labelled, listed, named, number

names = st.sampled_from(["a", "b", "c"])
things: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.builds(dict, id=names), st.builds(dict, id=st.integers()), st.just({})
)


@given(st.lists(things))
def test_what_is_repeated_is_all_but_the_first_of_each_name(
    values: list[dict[str, object]],
) -> None:
    parts = list(Part({"list": values}).parts("list"))
    with_name = [part for part in parts if isinstance(part.value.get("id"), str)]

    found = list(repeated(parts, "id"))

    assert len(found) == len(with_name) - len({part.value["id"] for part in with_name})
    for part, first, name in found:
        assert part.value["id"] == first.value["id"] == name
        assert parts.index(first) == min(
            index for index, each in enumerate(parts) if each.value.get("id") == name
        )
        assert part is not first


def test_things_in_words() -> None:
    things = {f"id-{index}": Part({}) for index in range(MAX_LISTED + 2)}

    assert listed(things) == '"id-0", "id-1", "id-2", "id-3", "id-4" and 2 more'
    assert listed({"a": Part({"diagnostic_label": "Idle"}), "b": Part({})}) == '"Idle" ("a"), "b"'
    assert listed({}) == "none"
    assert named(things) == '"id-0", "id-1", "id-2", "id-3", "id-4"'
    assert named([]) == "none with an id"
    assert labelled("a", None) == '"a"'
    assert [article(name) for name in ("FRBC.X", "OMBC.X", "DDBC.X", "PPBC.X")] == [
        "an FRBC.X",
        "an OMBC.X",
        "a DDBC.X",
        "a PPBC.X",
    ]
    assert [number(value) for value in (1, 0.1, 10**60)] == ["1", "0.1", "1" + "0" * 39 + "…"]
