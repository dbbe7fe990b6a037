"""Passwords of databases, kept out of mitmproxy's options.

Whoever reaches mitmweb's page reads all options there, and ``options.save`` writes them to a file.
"""

from __future__ import annotations

from mitmproxy.options import Options

from s2_mitm.history.target import database_of
from s2_mitm.proxy.internals import set_quietly

_GIVEN: dict[str, str] = {}
"""Databases as they were given, by what the option shows of them; a reload of the addon keeps it.
"""


def take_out(options: Options) -> str:
    """Take the password out of the option ``s2_db``; returns the database with it, to be opened.

    An option without one has the password that was given for the same database before (see
    `keep`). Raises RecordingError where the option names no recording.
    """
    given: str = options.s2_db
    if not given:
        return given
    database = database_of(given)
    if not database.has_password:
        return _GIVEN.get(database.name, given)
    # Addons that hear of this change after us, and mitmweb's page, find it without the password.
    set_quietly(options, "s2_db", database.name)
    return given


def keep(given: str) -> None:
    """Remember the password of a database that `take_out` returned, once it was of use."""
    if given and (database := database_of(given)).has_password:
        _GIVEN[database.name] = given
