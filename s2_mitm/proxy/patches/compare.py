"""Whether the parts of mitmproxy that a patch replaces, or relies on, are what it expects."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from typing import Any

from s2_mitm.proxy.patches.table import Patch

_SIGNS: dict[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def is_wanted(patch: Patch) -> bool:
    """Whether there is anything to replace: what the patch is ``only_with`` is loaded."""
    module, _, name = patch.only_with.rpartition(".")
    is_there = not patch.only_with or patch.only_with in sys.modules
    return is_there or hasattr(sys.modules.get(module), name)


def difference(patch: Patch) -> str:
    """What is not as the patch expects it, such as ``Fragmentizer.msg is not there``; else empty.

    Only the first thing is said. No code of mitmproxy is called.
    """
    for name, parameters in {**dict.fromkeys(patch.replaces), **patch.relies_on}.items():
        if not _is_there(name):
            return f"{_short(name)} is not there"
        if parameters is not None and (found := _parameters(name)) != parameters:
            return f"{_short(name)} takes ({found}), not ({parameters})"
    return ""


def _is_there(name: str) -> bool:
    owner, is_of_objects, attribute = name.partition("().")
    try:
        found = pkgutil.resolve_name(owner)
    except (ImportError, AttributeError):
        return False
    return not is_of_objects or _objects_have(found, attribute)


def _objects_have(owner: type, attribute: str) -> bool:
    """Whether the class has an attribute, or mentions it where it makes its objects.

    An annotation is not enough: it may be left where nothing sets the attribute any more.
    """
    makers = (vars(base).get("__init__") for base in owner.__mro__)
    return hasattr(owner, attribute) or any(
        attribute in inspect.unwrap(maker).__code__.co_names
        for maker in makers
        if inspect.isfunction(maker)
    )


def _parameters(name: str) -> str:
    function: Any = pkgutil.resolve_name(name)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "unknown"
    return ", ".join(_SIGNS.get(each.kind, "") + each.name for each in parameters)


def _short(name: str) -> str:
    """A name without the modules around it; of a function, with the last one."""
    module, _, rest = name.partition(":")
    return rest if rest[0].isupper() else f"{module.rpartition('.')[2]}.{rest}"
