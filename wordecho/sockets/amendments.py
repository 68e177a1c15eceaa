"""
The two things of Twisted's that are changed where they are, by giving an object a method of its own.

Whoever runs a service has made its reactor and its ports by then, so that none of them can be had of another class.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.interfaces import IReactorTime

from wordecho.sockets.ports import has_pending

# Seconds that a port rests when the process has no descriptor left to accept with.
REST = 1


def use_monotonic_clock(reactor: Any) -> None:
    """
    Have ``reactor`` tell the time by a clock that never jumps.

    Twisted's reactors go by the wall clock: set forward, it would time out every connection at once; set back, no timer
    would run until it has caught up.
    """
    if not reactor.getDelayedCalls():  # those would never run
        reactor.seconds = time.monotonic


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
