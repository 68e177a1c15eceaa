"""A timeout that is put off by an assignment."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class LazyTimeoutMixin:
    """
    Twisted's ``TimeoutMixin``, but for how a timeout is put off: whoever sees that the peer is active notes when.

    The original moves its timed call each time, which a busy connection would pay for with every read. Here the call
    stays where it is, and if there was activity meanwhile it makes way for another.

    :ivar clock: tells the time and makes the calls
    :ivar active_at: the time, in seconds of the clock, from which the timeout counts
    """

    clock: IReactorTime
    active_at: float = 0

    _period: float | None = None
    _armed_at: float = 0  # what active_at was when the call was made
    _call: IDelayedCall | None = None

    def setTimeout(self, period: float | None) -> None:
        """Call :meth:`timeoutConnection` after ``period`` seconds without activity from now on; None for never."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._period = period
        if period is not None:
            self.active_at = self._armed_at = self.clock.seconds()
            self._call = self.clock.callLater(period, self._look)

    def _look(self) -> None:
        assert self._period is not None  # or there would be no call
        self._call = None
        if self.active_at == self._armed_at:
            self.timeoutConnection()
        else:
            self._armed_at = self.active_at
            left = self.active_at + self._period - self.clock.seconds()
            self._call = self.clock.callLater(max(left, 0), self._look)

    def timeoutConnection(self) -> None:
        """Called when there was no activity for that long."""
        raise NotImplementedError
