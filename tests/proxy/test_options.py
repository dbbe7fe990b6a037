"""The table of options: what a value stands for; what is refused, by the name of its option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.history.retention import Retention
from s2_mitm.proxy import options
from s2_mitm.proxy.options import (
    OPTIONS,
    Area,
    Option,
    OptionError,
    Values,
    only_for_new_sessions,
)
from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.verdict import Role, Severity

README = Path(__file__).parents[2] / "README.md"


def test_every_option_is_in_the_readme_and_no_other() -> None:
    rows = re.findall(r"^\| `(s2_[a-z_]+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(rows) == sorted(option.name for option in OPTIONS)


def test_no_option_is_there_twice() -> None:
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_its_default_is_a_value(option: Option[Any]) -> None:
    assert option.read(option.default) == option.read(option.default)
    assert option.help.endswith(".")


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        (options.DB, "x.sqlite3", "x.sqlite3"),
        (options.RETAIN, "2GB", Retention(None, 2 * 1000**3)),
        (options.VERSION, "auto", None),
        (options.VERSION, VERSIONS[0], VERSIONS[0]),
        (options.VERSION, "v0.0.2-beta", "0.0.2-beta"),
        (options.VERSION, "v1.0.0", "1.0.0"),
        (options.VERSION, "1.0.0-beta", "1.0.0"),
        (options.CLIENT_ROLE, "cem", Role.CEM),
        (options.SCHEMAS, "", None),
        (options.FILTER, "", None),
        (options.KEEP_MESSAGES, 0, 0),
        (options.MEMORY, "2MB", 2 * 1000**2),
        (options.ACK_TIMEOUT, 1, 1),
        (options.IGNORE, "ack.late", frozenset({"ack.late"})),
        (options.SEVERITY, "ack.late=info", {"ack.late": Severity.INFO}),
        (options.LOG, "none", "none"),
        (options.METRICS, "", None),
        (options.METRICS, "9464", ("127.0.0.1", 9464)),
        (options.METRICS, "0.0.0.0:0", ("0.0.0.0", 0)),
        (options.METRICS, "[::]:9464", ("::", 9464)),
    ],
    ids=str,
)
def test_what_a_value_stands_for(option: Option[Any], given: object, value: object) -> None:
    assert option.read(given) == value


@pytest.mark.parametrize(
    ("option", "given", "sentence"),
    [
        (options.RETAIN, "long", "s2_retain: 'long' does not say what to keep: "),
        (options.VERSION, "9", f"s2_version is one of auto, {', '.join(VERSIONS)}, not '9'."),
        (options.CLIENT_ROLE, "RM", "s2_client_role is one of auto, rm, cem, not 'RM'."),
        (options.SCHEMAS, "/nowhere", "s2_schemas: "),
        (options.FILTER, "~u (", "s2_filter is no flow filter: '~u ('."),
        (options.KEEP_MESSAGES, -1, "s2_keep_messages is 0 or more, not -1."),
        (options.MEMORY, "x", "s2_memory is a size of 1MB or more, such as 200MB, or empty, "),
        (options.ACK_TIMEOUT, 0, "s2_ack_timeout is 1 second or more, not 0."),
        (options.IGNORE, "x", "s2_ignore: there is no finding with the code 'x'; "),
        (options.SEVERITY, "ack.late=bad", "s2_severity: there is no severity 'bad'; "),
        (options.LOG, "every", "s2_log is one of all, findings, none, not 'every'."),
        *(
            (options.METRICS, address, "s2_metrics is a port, such as 9464, or an IP address ")
            for address in (
                *("x", "-1", "65536", "٩", ":9464", "localhost:9464", "1.2.3:9464", "::1:9464"),
                "[1.2.3.4]:9464",
            )
        ),
    ],
    ids=str,
)
def test_what_is_refused_names_the_option(
    option: Option[Any], given: object, sentence: str
) -> None:
    with pytest.raises(OptionError) as refused:
        option.read(given)

    assert str(refused.value).startswith(sentence)


@given(st.sampled_from([each for each in OPTIONS if type(each.default) is str]), st.text())
def test_any_text_is_taken_or_refused_with_a_sentence(option: Option[Any], text: str) -> None:
    refused = ""
    try:
        option.read(text)
    except OptionError as problem:
        refused = str(problem)

    assert refused == "" or refused.startswith(option.name)


# The values that hold


def test_at_first_the_defaults_hold() -> None:
    values = Values()

    assert values[options.ACK_TIMEOUT] == 10
    assert values.changed == ()


def test_what_is_set_holds_and_the_rest_stays() -> None:
    before = Values().updated({options.LOG: "all", options.IGNORE: "ack.late"})
    after = before.updated({options.LOG: "none"})

    assert (before[options.LOG], after[options.LOG]) == ("all", "none")
    assert after[options.IGNORE] == frozenset({"ack.late"})


def test_only_what_becomes_another_value_has_changed() -> None:
    values = Values().updated({option: option.default for option in OPTIONS})
    assert values.changed == OPTIONS  # they are set for the first time

    values = values.updated({options.LOG: "findings", options.METRICS: "9464"})

    assert values.changed == (options.METRICS,)
    assert values.bear_on(Area.METRICS)
    assert not values.bear_on(Area.LOG)


def test_where_one_is_refused_all_stay() -> None:
    values = Values().updated({options.LOG: "all"})

    with pytest.raises(OptionError):
        values.updated({options.LOG: "none", options.VERSION: "9"})

    assert values[options.LOG] == "all"
    assert values.changed == (options.LOG,)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ([], ""),
        ([options.IGNORE, options.SEVERITY, options.ACK_TIMEOUT, options.LOG], ""),
        ([options.VERSION], "s2_version holds for sessions that open from now on."),
        (
            [options.IGNORE, options.VERSION, options.SCHEMAS],
            "s2_version and s2_schemas hold for sessions that open from now on.",
        ),
    ],
)
def test_what_open_sessions_do_not_take_is_said(changed: list[Option[Any]], sentence: str) -> None:
    assert only_for_new_sessions(changed) == sentence
