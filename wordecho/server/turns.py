"""Turns: who has used up the time of one waits until the others have had theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime


class Turns:
    """
    Lets one of those that wait go on in each turn of the reactor, in the order in which they came.

    Whoever asks for little meanwhile is answered in between, whatever the others ask for.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call ``go_on`` when its turn has come."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._reactor.callLater(0, self._next)

    def _next(self) -> None:
        go_on = self._waiting[0]
        try:
            go_on()
        finally:
            self._waiting.popleft()
            if self._waiting:
                self._reactor.callLater(0, self._next)
