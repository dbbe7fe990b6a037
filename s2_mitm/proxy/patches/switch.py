"""Puts those patches in place that the user wants, as far as they fit this mitmproxy.

They are put in place in the order of the table, and taken away in the opposite order. One that does
not fit is left out, and so are those that need it; a sentence says what is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from typing import Any

from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.version import VERSION

from s2_mitm.proxy.patches.compare import difference, is_wanted
from s2_mitm.proxy.patches.table import NAMES, PATCHES, Patch

logger = logging.getLogger(__name__)


def parse_names(text: str) -> frozenset[str]:
    """The names of the patches that ``s2_patches`` asks for.

    ``all`` or nothing is all of them, ``none`` is none; else names with commas: only these, or,
    each with a minus before it, all but these. Raises ValueError, with a sentence.
    """
    pieces = [piece.strip() for piece in text.split(",")]
    if pieces in ([""], ["all"]):
        return frozenset(NAMES)
    if pieces == ["none"]:
        return frozenset()
    left_out = {piece[1:].strip() for piece in pieces if piece.startswith("-")}
    wanted = {piece for piece in pieces if not piece.startswith("-")}
    if wanted and left_out:
        raise ValueError("name the patches to use, or with a minus those to leave out, not both.")
    if {"all", "none"} & wanted:
        raise ValueError("all, or none, stands alone.")
    if wrong := sorted((wanted | left_out) - {*NAMES}):
        raise ValueError(f"there is no patch {wrong[0]!r}, only all, none, {', '.join(NAMES)}.")
    return frozenset(wanted or {*NAMES} - left_out)


class Switch:
    """The patches of one proxy.

    ``charge`` is to be called with the seconds that a message of a flow took.
    """

    def __init__(self) -> None:
        self.charge: Callable[[HTTPFlow, float], None] = _charge_nobody
        self._wanted: Set[str] = frozenset()
        self._master: Master | None = None
        self._is_running = False
        self._in_place: dict[str, tuple[ModuleType, ExitStack]] = {}
        self._does_not_fit: set[str] = set()

    @property
    def in_place(self) -> list[str]:
        """The names of the patches that are in place, in the order of the table."""
        return [*self._in_place]

    def choose(self, master: Master, names: Set[str]) -> None:
        """Have these patches in place, and no others, for connections that open from now on."""
        if self._master is master and self._wanted == names:
            return
        self._take_away()
        self._master, self._wanted, self._does_not_fit = master, names, set()
        self._put_in_place()

    def running(self) -> None:
        """mitmproxy runs: those can be put in place that had to wait for that."""
        self._is_running = True
        self._put_in_place()

    def done(self) -> None:
        """Give mitmproxy its own parts back; connections that are open keep what they have."""
        self._take_away()
        self._master, self._wanted, self._is_running = None, frozenset(), False

    def websocket_start(self, flow: HTTPFlow) -> None:
        """mitmproxy's hook."""
        self._call("websocket_start", flow)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """mitmproxy's hook."""
        self._call("server_connect_error", data)

    async def every_second(self) -> None:
        """What some patches do beside the traffic."""
        for name, (module, _) in [*self._in_place.items()]:
            try:
                if function := getattr(module, "every_second", None):
                    await function()
            except Exception as problem:
                self._drop(name, problem)

    def _put_in_place(self) -> None:
        if self._master is None:
            return
        due = [patch for patch in PATCHES if self._is_due(patch)]
        # All are compared and loaded before the first of them replaces anything, for they are made
        # of mitmproxy's own classes.
        for patch, loaded in [(patch, _load(patch)) for patch in due]:
            missing = {*patch.needs} - self._in_place.keys()
            if patch.name in self._does_not_fit:  # it was named with the one that it needs
                continue
            if missing:
                self._leave_out(patch, f"it needs {' and '.join(missing)}")
            elif isinstance(loaded, str):
                self._leave_out(patch, loaded)
            else:
                self._try(patch, loaded, self._master)
        if self._is_running:
            self._call("running")
        self._take_charges()

    def _is_due(self, patch: Patch) -> bool:
        return (
            patch.name in self._wanted - self._does_not_fit - self._in_place.keys()
            and (self._is_running or not patch.when_running)
            and is_wanted(patch)
        )

    def _try(self, patch: Patch, module: ModuleType, master: Master) -> None:
        try:
            with ExitStack() as stack:
                stack.enter_context(module.installed(master))
                if tried := getattr(module, "tried", None):
                    tried(master)
                self._in_place[patch.name] = module, stack.pop_all()
        except Exception as problem:
            self._leave_out(patch, _of(problem))

    def _leave_out(self, patch: Patch, why: str) -> None:
        """Say that a patch is not in place, and which others are not because they need it."""
        wanted = [each for each in PATCHES if each.name in self._wanted]
        others = [each for each in wanted if patch.name in each.needs]
        self._does_not_fit |= {patch.name, *(each.name for each in others)}
        named = " and ".join(f"{each.name!r}" for each in (patch, *others))
        lost = "; ".join(each.lost for each in (patch, *others))
        logger.warning(
            f"s2-mitm runs on mitmproxy {VERSION} without its patch{'es' if others else ''} {named}"
            f" ({why}): {lost}."
        )

    def _call(self, hook: str, *arguments: Any) -> None:
        for name, (module, _) in [*self._in_place.items()]:
            try:
                if function := getattr(module, hook, None):
                    function(*arguments)
            except Exception as problem:
                self._drop(name, problem)

    def _drop(self, name: str, problem: Exception) -> None:
        """A patch that is in place has failed: do without it for connections that open from now."""
        patch = next(each for each in PATCHES if each.name == name)
        self._take_away()
        self._leave_out(patch, _of(problem))
        logger.debug("The fault:", exc_info=problem)
        self._put_in_place()

    def _take_away(self) -> None:
        for name in reversed(self.in_place):
            _, installed = self._in_place.pop(name)
            installed.close()
        self._take_charges()

    def _take_charges(self) -> None:
        modules = [module for module, _ in self._in_place.values()]
        charges = [module.charge for module in modules if hasattr(module, "charge")]
        self.charge = charges[0] if charges else _charge_nobody


def _load(patch: Patch) -> ModuleType | str:
    """The module of a patch; or why it does not fit."""
    if differs := difference(patch):
        return differs
    try:
        return import_module(f"{__package__}.{patch.name}")
    except Exception as problem:
        return _of(problem)


def _charge_nobody(_flow: HTTPFlow, _seconds: float) -> None: ...


def _of(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"
