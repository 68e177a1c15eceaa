"""
What a stop is. All of it is here; a connection knows no more than how to leave.

1. The kernel begins no more connections. Those that it had begun are accepted, and the ports are closed.
2. Each connection goes on answering until nothing has come on it for :data:`DRAIN_GRACE`; then it has all that its
   peer had sent, and leaves: it ends its sending side once all is sent. A peer that goes on sending is left after half
   of the time. One that is behind with reading, or waits for its turn, is left when it goes on. A newcomer that is no
   connection by then has sent no message, and is cut off.
3. A connection that has left is closed by its peer; or here, once the peer's kernel has all that was sent.
4. What is there when the time is over is cut off.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from wordecho.server.connection import Stage, WordEchoProtocol
from wordecho.server.factory import WordEchoFactory
from wordecho.settings import DRAIN_GRACE, DRAIN_SETTLE
from wordecho.sockets import tcp_info
from wordecho.sockets.ports import close, turn_newcomers_away

LOOK = DRAIN_GRACE / 4  # seconds between two looks at all connections


class Drain:
    """
    The stop of a server.

    :param factory: that of its connections
    :param timeout: seconds that it may take
    """

    log = Logger()

    def __init__(self, factory: WordEchoFactory, timeout: float) -> None:
        self._guests = factory.guests
        self._clock = factory.reactor
        self._timeout = timeout

    @inlineCallbacks
    def run(
        self, ports: Sequence[IListeningPort], shared: Collection[IListeningPort] = ()
    ) -> Generator[Deferred[Any], Any, None]:
        """
        Stop listening on ``ports``, answer what is due, and let the connections go; fires when none is left.

        :param shared: those of the ports whose sockets other processes have too, and go on with
        """
        self._began = self._clock.seconds()
        yield self._close(ports, shared)
        if not self._guests:
            return
        calls = [self._every(LOOK, self._look), self._every(1, self._log_progress)]
        left = self._began + self._timeout - self._clock.seconds()
        end = self._clock.callLater(max(0, left), self._time_is_over)
        yield self._guests.when_none()
        for call in calls:
            call.stop()
        if end.active():
            end.cancel()

    @inlineCallbacks
    def _close(
        self, ports: Sequence[IListeningPort], shared: Collection[IListeningPort]
    ) -> Generator[Deferred[Any], Any, None]:
        streams: list[Any] = [port for port in ports if hasattr(port, "sessionno")]
        others = [maybeDeferred(port.stopListening) for port in ports if port not in streams]
        are_turned_away = [turn_newcomers_away(port) for port in streams if port not in shared]
        if any(are_turned_away):
            yield deferLater(self._clock, min(DRAIN_SETTLE, self._timeout))
        for port in streams:
            try:
                close(port)
            except Exception as error:
                self.log.warn("A port did not close well: {problem}", problem=error)
        yield DeferredList(others, consumeErrors=True)

    def cut_off(self) -> None:
        """Cut off every connection that is left."""
        for connection in self._guests:
            connection.transport.abortConnection()

    def _every(self, seconds: float, function: Any) -> LoopingCall:
        call = LoopingCall(function)
        call.clock = self._clock
        call.start(seconds)
        return call

    def _look(self) -> None:
        now = self._clock.seconds()
        for connection in self._guests:
            is_quiet = (
                now - max(connection.active_at, self._began) >= DRAIN_GRACE
                and tcp_info.unread_octets(connection.transport) == 0  # which a busy server may not have come to yet
            )
            if is_quiet or now - self._began >= self._timeout / 2:
                if isinstance(connection, WordEchoProtocol):
                    self._move_on(connection, is_quiet=is_quiet)
                else:  # a newcomer, who has sent nothing that was taken
                    connection.transport.abortConnection()

    def _move_on(self, connection: WordEchoProtocol, *, is_quiet: bool) -> None:
        match connection.stage:
            case Stage.TALKING if not connection.held:
                connection.leave()
            case Stage.LEFT if is_quiet and tcp_info.unacknowledged_octets(connection.transport) == 0:
                connection.transport.loseConnection()

    def _time_is_over(self) -> None:
        self.log.warn("draining: {connections} cut off", connections=self._connections())
        self.cut_off()

    def _log_progress(self) -> None:
        seconds = max(0, self._began + self._timeout - self._clock.seconds())
        self.log.info("draining: {connections} left, {seconds:.0f} s", connections=self._connections(), seconds=seconds)

    def _connections(self) -> str:
        left = len(self._guests)
        return "1 connection" if left == 1 else f"{left} connections"
