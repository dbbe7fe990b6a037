"""Another mitmproxy costs a patch, and a sentence, and nothing else.

All that the table of the patches names is taken away, one by one, or takes one argument more.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.compare import difference, is_wanted
from s2_mitm.proxy.patches.switch import Switch
from s2_mitm.proxy.patches.table import NAMES, PATCHES, Patch

OWN = {"sys:stdout", "sys:stderr"}
"""Not mitmproxy's; pytest needs them."""

PARTS = [
    (patch, name)
    for patch in PATCHES
    for name in dict.fromkeys((*patch.replaces, *patch.relies_on))
    if name not in OWN
]
FUNCTIONS = [(patch, name) for patch in PATCHES for name, takes in patch.relies_on.items() if takes]


def _ids(parts: list[tuple[Patch, str]]) -> list[str]:
    return [f"{patch.name}-{name.partition(':')[2]}" for patch, name in parts]


def owner_of(name: str) -> tuple[Any, str]:
    """The module or class that has what a name stands for, and how it is called there."""
    path, _, attribute = name.replace("()", "").replace(":", ".").rpartition(".")
    return pkgutil.resolve_name(path), attribute


def take_away(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute = owner_of(name)
    if "()" not in name or hasattr(owner, attribute):
        monkeypatch.delattr(owner, attribute)
    for base in owner.__mro__ if "()" in name else ():
        maker = vars(base).get("__init__")
        if inspect.isfunction(maker) and attribute in maker.__code__.co_names:
            monkeypatch.setattr(base, "__init__", _without(maker, attribute))


def _without(maker: Callable[..., None], attribute: str) -> Callable[..., None]:
    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        maker(self, *args, **kwargs)
        vars(self).pop(attribute, None)

    make.__signature__ = inspect.signature(maker)  # type: ignore[attr-defined]
    return make


def want_more(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a function take one more argument, which need not be given."""
    owner, attribute = owner_of(name)
    function = getattr(owner, attribute)
    signature = inspect.signature(function)
    more = inspect.Parameter("more", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = [*signature.parameters.values()]
    at = len(parameters) - (parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    parameters.insert(at, more)

    def changed(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("more", None)
        return function(*args, **kwargs)

    changed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    monkeypatch.setattr(owner, attribute, changed)


@pytest.fixture
def master() -> Iterator[Any]:
    """A mitmproxy that starts, as far as the patches look at it."""
    with taddons.context(Proxyserver(), loadcore=False) as context:
        yield context.master


@pytest.fixture(autouse=True, scope="module")
def with_mitmweb() -> None:
    """Let mitmweb's parts be there to be changed."""
    import_module("mitmproxy.tools.web.master")


def test_this_mitmproxy_is_as_every_patch_expects_it() -> None:
    assert {patch.name: difference(patch) for patch in PATCHES} == dict.fromkeys(NAMES, "")


@pytest.mark.parametrize(("patch", "name"), PARTS, ids=_ids(PARTS))
def test_what_is_gone_is_seen(patch: Patch, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(name, monkeypatch)
    assert difference(patch) or not is_wanted(patch)


@pytest.mark.parametrize(("patch", "name"), FUNCTIONS, ids=_ids(FUNCTIONS))
def test_one_more_argument_is_seen(
    patch: Patch, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    want_more(name, monkeypatch)
    assert " takes (" in difference(patch)


@pytest.mark.parametrize("patch", PATCHES, ids=NAMES)
def test_a_patch_that_does_not_fit_is_left_out_and_said_to_be(
    patch: Patch, master: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if patch.when_running:
        pytest.skip("see the live tests")
    monkeypatch.setattr(
        "s2_mitm.proxy.patches.switch.difference",
        lambda each: "Part.of is not there" if each is patch else "",
    )
    switch = Switch()
    switch.choose(master, frozenset(NAMES))
    try:
        out = {patch.name, *(each.name for each in PATCHES if patch.name in each.needs)}
        at_start = {each.name for each in PATCHES if not each.when_running}
        assert {*switch.in_place} == at_start - out
        exchange.through_layer(master)
    finally:
        switch.done()
    (sentence,) = [record.message for record in caplog.records if "s2-mitm" in record.message]
    assert "Part.of is not there" in sentence
    for each in PATCHES:
        assert (each.lost in sentence) is (each.name in out)
    assert sentence.count("\n") == 0


@pytest.mark.parametrize("patch", PATCHES, ids=NAMES)
def test_a_patch_that_fails_is_left_out_and_said_to_be(
    patch: Patch, master: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where all names are as expected, and something else is not."""
    if patch.when_running:
        pytest.skip("see the live tests")

    def fail(_: object) -> None:
        raise RuntimeError("it does something else")

    monkeypatch.setattr(f"s2_mitm.proxy.patches.{patch.name}.tried", fail, raising=False)
    switch = Switch()
    switch.choose(master, frozenset(NAMES))
    try:
        assert patch.name not in switch.in_place
        exchange.through_layer(master)
    finally:
        switch.done()
    assert "RuntimeError: it does something else" in caplog.text
    assert patch.lost in caplog.text
