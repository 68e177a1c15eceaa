"""A stop that loses nothing: what is due is answered and sent before the connections are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

if TYPE_CHECKING:
    from wordecho.server.connection import WordEchoFactory


class Drain:
    """
    Brings the connections of a factory to their ends.

    Each answers what its peer had sent, ends its sending side and waits for its peer to close. A peer that goes on
    sending is left after half of ``timeout`` seconds, and what is left after all of it is cut off.
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, factory: WordEchoFactory, timeout: float) -> None:
        self._reactor = reactor
        self._factory = factory
        self._timeout = timeout

    def start(self) -> Deferred[None]:
        """Begin; fires when no connection is left."""
        ended = self._factory.when_empty()
        if not ended.called:
            for connection in list(self._factory.connections):
                connection.drain()
            self._deadline = self._reactor.seconds() + self._timeout
            progress = LoopingCall(self._log_progress)
            progress.clock = self._reactor
            progress.start(1)
            calls = [
                self._reactor.callLater(self._timeout / 2, self._leave_senders),
                self._reactor.callLater(self._timeout, self._cut_off),
            ]
            ended.addCallback(lambda _: _stop(progress, calls))
        return ended

    def abort(self) -> None:
        """Cut off every connection that is left."""
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()

    def _leave_senders(self) -> None:
        for connection in list(self._factory.connections):
            connection.leave_if_reading()

    def _cut_off(self) -> None:
        self.log.warn("draining: {connections} cut off", connections=self._connections())
        self.abort()

    def _log_progress(self) -> None:
        seconds = self._deadline - self._reactor.seconds()
        self.log.info("draining: {connections} left, {seconds:.0f} s", connections=self._connections(), seconds=seconds)

    def _connections(self) -> str:
        left = len(self._factory.connections)
        return "1 connection" if left == 1 else f"{left} connections"


def _stop(progress: LoopingCall, calls: list[IDelayedCall]) -> None:
    progress.stop()
    for call in calls:
        if call.active():
            call.cancel()
