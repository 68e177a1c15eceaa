"""A stop that loses nothing: what is due is answered and sent before the connections are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

if TYPE_CHECKING:
    from wordecho.server import WordEchoFactory


class Drain:
    """
    Brings the connections of a factory to their ends.

    Each answers the messages that have reached this machine, sends its replies, ends its sending side and waits for
    its peer to close. After ``timeout`` seconds what is left is cut off.
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, factory: WordEchoFactory, timeout: float) -> None:
        self._reactor = reactor
        self._factory = factory
        self._timeout = timeout

    def start(self) -> Deferred[None]:
        """Begin; fires when no connection is left."""
        self._deadline = self._reactor.seconds() + self._timeout
        ended = self._factory.when_empty()
        if not ended.called:
            for connection in list(self._factory.connections):
                connection.drain()
            ticking = LoopingCall(self._tick)
            ticking.clock = self._reactor
            ticking.start(1)
            ended.addCallback(lambda _: ticking.stop())
        return ended

    def abort(self) -> None:
        """Cut off every connection that is left."""
        for connection in list(self._factory.connections):
            connection.transport.abortConnection()

    def _tick(self) -> None:
        left = len(self._factory.connections)
        connections = "1 connection" if left == 1 else f"{left} connections"
        seconds = self._deadline - self._reactor.seconds()
        if seconds > 0:
            self.log.info("draining: {connections} left, {seconds:.0f} s", connections=connections, seconds=seconds)
            for connection in list(self._factory.connections):
                connection.close_if_all_is_received()
        else:
            self.log.warn("draining: {connections} cut off", connections=connections)
            self.abort()
