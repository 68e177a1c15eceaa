"""The server: a protocol that answers each message that a connection sends, and the factory that makes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from wordecho import wire
from wordecho.lines import LinearLineReceiver
from wordecho.wire import Refusal

# Seconds that a peer which was sent away has to read the reason before its connection is cut.
FAREWELL_TIMEOUT = 5


def show_address(address: IAddress) -> str:
    """Write ``address`` as people do, ready for the log."""
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
        case _:
            return repr(address)


@implementer(IHalfCloseableProtocol)
class WordEchoProtocol(LinearLineReceiver, TimeoutMixin):
    """
    One connection of the server.

    It is its transport's producer: where a peer does not read its replies, the transport asks for a pause, and the
    connection neither reads nor answers anything until the peer has caught up.
    """

    log = Logger()

    _ending = b"\n"  # the ending of the last message; what the server says unasked ends so too
    _has_sent_line_feed = False
    _has_ended = False  # the peer has ended its sending side
    _is_dismissed = False
    _quiet_call: IDelayedCall | None = None

    def __init__(self, factory: WordEchoFactory) -> None:
        super().__init__()
        self.factory: WordEchoFactory = factory

    # The connection's life

    def connectionMade(self) -> None:
        self.MAX_LENGTH = self.factory.max_length
        self.log.debug("{peer} came", peer=show_address(self.transport.getPeer()))
        if ITCPTransport.providedBy(self.transport):
            # A reply goes out at once, not when the peer has acknowledged the one before it.
            self.transport.setTcpNoDelay(True)
        if not self.factory.admit(self):
            self._dismiss(wire.too_many_connections(self.factory.max_connections))
            return
        self.transport.registerProducer(self, True)
        self.setTimeout(self.factory.idle_timeout or None)

    def readConnectionLost(self) -> None:
        self._has_ended = True
        if self._is_dismissed:
            self.transport.loseConnection()
        elif not self.paused:
            self._finish()

    def writeConnectionLost(self) -> None:
        """Nothing to do: the server itself has ended its sending side."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        self._stop_waiting_for_quiet()
        self.factory.forget(self)
        peer = show_address(self.transport.getPeer())
        self.log.debug("{peer} went: {reason}", peer=peer, reason=reason.getErrorMessage())

    def _finish(self) -> None:
        """Answer what is left of a connection whose peer has ended its sending side, then close it."""
        self._stop_waiting_for_quiet()
        self._answer_unterminated()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _dismiss(self, refusal: Refusal) -> None:
        """Say why, then close, and leave the peer the time to read it."""
        self._stop_waiting_for_quiet()
        self._is_dismissed = True
        self.transport.write(wire.encode(refusal) + self._ending)
        self.setTimeout(FAREWELL_TIMEOUT)
        if ITCPTransport.providedBy(self.transport) and not ISSLTransport.providedBy(self.transport):
            # Closed with unread data in its receive buffer, a TCP connection is reset, and the reason would be lost:
            # the sending side ends first, and what still comes is read and dropped until the peer closes too.
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    # Messages and replies

    def dataReceived(self, data: bytes) -> None:
        if self._is_dismissed:
            return
        self.resetTimeout()
        super().dataReceived(data)
        if not self._has_sent_line_feed:
            self._wait_for_quiet()

    def linesReceived(self, lines: list[bytes]) -> None:
        self._has_sent_line_feed = True
        self._stop_waiting_for_quiet()
        answer = self.factory.answer
        replies: list[bytes] = []
        for line in lines:
            if line.endswith(b"\r"):
                self._ending = b"\r\n"
                line = line[:-1]
            else:
                self._ending = b"\n"
            replies += (answer(line), self._ending)
        if replies:
            self.transport.write(b"".join(replies))

    def lineLengthExceeded(self, line: bytes) -> None:
        self.transport.write(wire.encode(wire.too_long(self.factory.max_length)) + self._ending)

    def _answer_unterminated(self) -> None:
        message = self.clearLineBuffer()
        if message:
            self.transport.write(self.factory.answer(message, terminated=False) + b"\n")

    # The quiet period

    def _wait_for_quiet(self) -> None:
        if self._quiet_call is not None:
            self._quiet_call.reset(self.factory.quiet_period)
        elif self.factory.quiet_period:
            self._quiet_call = self.callLater(self.factory.quiet_period, self._quiet)

    def _stop_waiting_for_quiet(self) -> None:
        if self._quiet_call is not None:
            self._quiet_call.cancel()
            self._quiet_call = None

    def _quiet(self) -> None:
        self._quiet_call = None
        self._answer_unterminated()

    # Back-pressure

    def resumeProducing(self) -> None:
        self.paused = False
        self.resetTimeout()
        super().dataReceived(b"")
        if self.paused:
            return
        if self._has_ended:
            self._finish()
        else:
            self.transport.resumeProducing()

    # The idle timeout

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self.factory.reactor.callLater(period, func)

    def timeoutConnection(self) -> None:
        if self.paused or self._has_ended or self._is_dismissed:
            # The peer reads nothing, so there is no use in saying anything more.
            self.transport.abortConnection()
        else:
            self.transport.unregisterProducer()
            self._dismiss(wire.idle_timeout(self.factory.idle_timeout))


class WordEchoFactory(ServerFactory):
    """
    Makes the protocol of each connection, and knows what they share.

    :param reactor: the clock of all timeouts
    :param max_length: bytes in a message, its ending not counted
    :param max_connections: connections at once
    :param idle_timeout: seconds without a byte from the peer after which it is sent away; 0 for never
    :param quiet_period: seconds after which a peer that has never sent a line feed has ended its message; 0 for never
    :param ignore_case: whether words that differ in nothing but case are one unique word
    """

    noisy = False  # the service logs where it listens

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        max_length: int = wire.DEFAULT_MAX_LENGTH,
        max_connections: int = 10_000,
        idle_timeout: float = 300,
        quiet_period: float = 2,
        ignore_case: bool = False,
    ) -> None:
        self.reactor = reactor
        self.max_length = max_length
        self.max_connections = max_connections
        self.idle_timeout = idle_timeout
        self.quiet_period = quiet_period
        self.answer = partial(wire.answer, max_length=max_length, ignore_case=ignore_case)
        self.connections: set[WordEchoProtocol] = set()

    # Twisted's own declaration wants a protocol that would take any Factory for its factory.
    def buildProtocol(self, addr: IAddress | None) -> WordEchoProtocol:  # type: ignore[override]
        return WordEchoProtocol(self)

    def admit(self, connection: WordEchoProtocol) -> bool:
        """Count ``connection`` in, unless there are as many as the server takes."""
        if len(self.connections) >= self.max_connections:
            return False
        self.connections.add(connection)
        return True

    def forget(self, connection: WordEchoProtocol) -> None:
        self.connections.discard(connection)
