"""How a part is replaced, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UnexpectedError(Exception):
    """A part of mitmproxy is, or does, something else than expected."""


@contextmanager
def replaced(owner: object, **attributes: object) -> Iterator[None]:
    """Let a module or a class have other ``attributes`` while the context lasts.

    What uses the old ones by then, such as an open connection, keeps them.
    """
    before = {name: vars(owner)[name] for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def on_top(part: type, of: type) -> type:
    """A class that does what ``part`` does, and with ``super()`` what the class ``of`` does.

    Both are subclasses of one class of mitmproxy, or ``of`` is that class. So patches of one class
    can be put on top of each other, and each can be left out.
    """
    return type(part.__name__, (part, of), {})
