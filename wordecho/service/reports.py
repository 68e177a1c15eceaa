"""What a worker says to its supervisor over their pipe, one line of JSON at a time."""

from __future__ import annotations

from msgspec import Struct, json

INTERVAL = 1  # seconds from one report to the next


class Report(Struct, frozen=True):
    """
    That a worker serves, that it is alive, and what it has done so far.

    The first one says that it has begun to serve. Each says all that the ones before it said, so none is missed. A
    member that the supervisor does not know, from a worker of a newer version, is ignored.

    :ivar connections: how many are open
    :ivar taken: how many it has taken since it began, those that it has refused not counted
    """

    connections: int = 0
    taken: int = 0

    def line(self) -> bytes:
        return json.encode(self) + b"\n"


def read(line: bytes) -> Report:
    """
    Return the report that ``line`` is.

    :raises msgspec.DecodeError: if it is none.
    """
    return json.decode(line, type=Report)
