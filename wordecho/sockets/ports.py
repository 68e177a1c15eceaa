"""What a listening port should do that Twisted's does not: lose no connection at its end, and rest when it must."""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.interfaces import IReactorTime, IReadDescriptor

BACKLOG = 1024  # connections that may wait to be accepted

# Seconds that a port rests when the process has no descriptor left to accept with.
REST = 1


def has_pending(port: Any) -> bool:
    """Whether a connection waits to be accepted, or a datagram to be read."""
    if not hasattr(select, "poll"):  # Windows, where select() takes a descriptor of any number
        return bool(select.select([port], [], [], 0)[0])
    poller = select.poll()
    poller.register(port, select.POLLIN)
    return bool(poller.poll(0))


def accept_pending(port: Any) -> None:
    """Accept the connections in the backlog of ``port``; their clients take them for made already."""
    if IReadDescriptor.providedBy(port):
        for _ in range(BACKLOG):  # a flood of new ones must not hold up the stop
            if not has_pending(port):
                break
            port.doRead()


def rest_when_exhausted(port: Any, clock: IReactorTime) -> None:
    """
    Have ``port`` wait a while where it cannot accept what is pending.

    Twisted keeps a descriptor in reserve, to take and close what it cannot serve; where that is lost too, it would be
    told of the pending connection again at once, without end.
    """
    if not hasattr(port, "sessionno"):  # the number of the next connection: a port of Twisted's for streams
        return
    accept = port.doRead

    def doRead() -> None:
        accepted_before = port.sessionno
        accept()
        if port.sessionno == accepted_before and has_pending(port):
            port.stopReading()
            clock.callLater(REST, resume)

    def resume() -> None:
        if port.connected:
            port.startReading()

    port.doRead = doRead
