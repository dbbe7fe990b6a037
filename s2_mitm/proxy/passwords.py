"""Passwords of databases, kept out of mitmproxy's options.

Whoever reaches mitmweb's page reads all options there, and ``options.save`` writes them to a file.
"""

from __future__ import annotations

from mitmproxy.options import Options

from s2_mitm.history.target import database_of

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
    # Not by update, which would tell all addons of a change, and us too. Those that hear of this
    # one after us, as mitmweb's page does, find the value without the password.
    options._options["s2_db"].set(database.name)
    return given


def keep(given: str) -> None:
    """Remember the password of a database that `take_out` returned, once it has served."""
    if given and (database := database_of(given)).has_password:
        _GIVEN[database.name] = given
