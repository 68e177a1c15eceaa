"""The server: a protocol that answers each message that a connection sends, and the factory that makes them."""

from __future__ import annotations

from collections import Counter
from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wordecho import wire
from wordecho.server.timeout import LazyTimeoutMixin
from wordecho.sockets import tcp_info
from wordecho.sockets.addresses import host_of, show_address
from wordecho.wire import Refusal
from wordecho.wire.engine import ENGINE, Engine
from wordecho.wire.framing import LinearLineReceiver

# Seconds that a peer which was sent away has to read the reason before its connection is cut.
FAREWELL_TIMEOUT = 5

# Seconds without a byte after which a peer is taken to have sent, when the server stops, what it had sent by then. What
# its kernel holds back until an earlier reply is acknowledged (Nagle's algorithm) may take 0.2 s to arrive.
DRAIN_GRACE = 0.25

# Refused connections at once that get this time; a flood of them must not use up the descriptors.
MAX_LINGERING = 32


@implementer(IHalfCloseableProtocol)
class WordEchoProtocol(LinearLineReceiver, LazyTimeoutMixin):
    """
    One connection of the server.

    It is its transport's producer: where a peer does not read its replies, the transport asks for a pause, and the
    connection neither reads nor answers anything until the peer has caught up.
    """

    log = Logger()

    _ending = b"\n"  # the ending of the last message; what the server says unasked ends so too
    _has_ended = False  # the peer has ended its sending side
    _is_leaving = False  # the server has ended its own sending side, or is about to
    _has_said_all = False  # and all that it had to say is with the kernel
    _is_draining = False
    _acknowledged: int | None = None  # octets that the peer had acknowledged when it was last looked at
    _quiet_call: IDelayedCall | None = None

    def __init__(self, factory: WordEchoFactory) -> None:
        super().__init__()
        self.factory: WordEchoFactory = factory
        self.clock = factory.reactor
        self._has_sent_line_feed = False  # found sooner here than on the class, and looked at for every read

    # The connection's life

    def connectionMade(self) -> None:
        self.MAX_LENGTH = self.factory.max_length
        self.log.debug("{peer} came", peer=show_address(self.transport.getPeer()))
        # Twisted's UNIX transports are TCP transports by inheritance.
        if ITCPTransport.providedBy(self.transport) and not IUNIXTransport.providedBy(self.transport):
            # A reply goes out at once, not when the peer has acknowledged the one before it.
            self.transport.setTcpNoDelay(True)
            # A peer that has vanished is found out even where there is no idle timeout.
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        refusal = self.factory.admit(self)
        if refusal is None:
            self.setTimeout(self.factory.idle_timeout or None)
        else:
            self._dismiss(refusal)

    def readConnectionLost(self) -> None:
        self._has_ended = True
        if self._is_leaving:
            self.transport.loseConnection()
        elif not self.paused:
            self._finish()

    def writeConnectionLost(self) -> None:
        self._has_said_all = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        self._stop_waiting_for_quiet()
        self.factory.forget(self)
        peer = show_address(self.transport.getPeer())
        self.log.debug("{peer} went: {reason}", peer=peer, reason=reason.getErrorMessage())

    def _finish(self) -> None:
        """Answer what is left of a connection whose peer has ended its sending side, then close it."""
        self.transport.unregisterProducer()
        self.transport.write(self._unterminated_reply())
        self.transport.loseConnection()

    def _dismiss(self, refusal: Refusal) -> None:
        """Say why, and leave the peer the time to read it."""
        self._leave(wire.encode(refusal) + self._ending)
        self.setTimeout(FAREWELL_TIMEOUT)

    def _leave(self, last_words: bytes = b"") -> None:
        """
        Say ``last_words``, end the sending side, once all is sent, and wait for the peer to close.

        What still comes is read and dropped: closed with unread data in its receive buffer, a TCP connection is reset,
        and the peer could lose what was sent to it last.
        """
        self._is_leaving = True
        self.stopReceiving()
        self.setTimeout(None)
        self.transport.unregisterProducer()  # nothing may pause the reading any more
        self.transport.write(last_words)
        if self.factory.may_linger(self) and _has_half_close(self.transport):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    # The end of the server

    def drain(self) -> None:
        """Answer what the peer had sent by now, and leave."""
        if not self._has_ended and not self._is_leaving:
            self._is_draining = True
            self.setTimeout(DRAIN_GRACE)

    def leave_if_reading(self) -> None:
        """Leave though the peer may go on sending, unless it is behind with reading."""
        if self._is_draining and not (self._is_leaving or self._has_ended or self.paused):
            self._leave(b"" if self._has_sent_line_feed else self._unterminated_reply())
            self.setTimeout(DRAIN_GRACE)

    def _look_after_grace(self) -> None:
        if not self._is_leaving:
            self.leave_if_reading()
        elif self._has_said_all and tcp_info.unacknowledged_octets(self.transport) == 0:
            self.transport.loseConnection()  # its kernel has all that was sent; the peer itself may never close
            return
        self.setTimeout(DRAIN_GRACE)

    # Messages and replies

    def linesReceived(self, lines: bytes) -> None:
        seconds = self.factory.seconds  # the clock's; as a method of the clock it would take longer to find
        self.active_at = seconds()
        if not self._has_sent_line_feed:
            self._has_sent_line_feed = True
            self._stop_waiting_for_quiet()
        if lines:
            self._ending = b"\r\n" if lines.endswith(b"\r\n") else b"\n"
            factory = self.factory
            self.transport.write(factory.engine.answer_lines(lines, factory.ignore_case, factory.counts))

    def linePartReceived(self) -> None:
        self.active_at = self.clock.seconds()
        self._wait_for_quiet()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.transport.write(wire.encode(wire.too_long(self.factory.max_length)) + self._ending)

    def _unterminated_reply(self) -> bytes:
        """Return the reply to what has come of a message without an ending, nothing where there is none."""
        message = self.clearLineBuffer()
        return self.factory.answer(message, terminated=False) + b"\n" if message else b""

    # The quiet period

    def _wait_for_quiet(self) -> None:
        if self.paused or self._has_sent_line_feed:
            return  # a peer that is not read is not quiet
        if self._quiet_call is not None:
            self._quiet_call.reset(self.factory.quiet_period)
        elif self.factory.quiet_period:
            self._quiet_call = self.clock.callLater(self.factory.quiet_period, self._quiet)

    def _stop_waiting_for_quiet(self) -> None:
        if self._quiet_call is not None:
            self._quiet_call.cancel()
            self._quiet_call = None

    def _quiet(self) -> None:
        self._quiet_call = None
        self.transport.write(self._unterminated_reply())

    # Back-pressure

    def pauseProducing(self) -> None:
        self._acknowledged = tcp_info.acknowledged_octets(self.transport)
        self._stop_waiting_for_quiet()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        self.active_at = self.clock.seconds()
        super().dataReceived(b"")
        if self.paused:
            return
        if self._has_ended:
            self._finish()
        else:
            self.transport.resumeProducing()
            self._wait_for_quiet()

    # The idle timeout

    def timeoutConnection(self) -> None:
        if self._is_draining:
            self._look_after_grace()
            return
        if not (self.paused or self._has_ended or self._is_leaving):
            self._dismiss(wire.idle_timeout(self.factory.idle_timeout))
            return
        acknowledged = tcp_info.acknowledged_octets(self.transport)
        if self._is_leaving or acknowledged == self._acknowledged:
            # The peer reads nothing, so there is no use in saying anything more.
            self.transport.abortConnection()
        else:
            self._acknowledged = acknowledged
            self.setTimeout(self.factory.idle_timeout)


def _has_half_close(transport: object) -> bool:
    return ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport)


class WordEchoFactory(ServerFactory):
    """
    Makes the protocol of each connection, and knows what they share.

    :param reactor: the clock of all timeouts
    :param max_length: bytes in a message, its ending not counted
    :param max_connections: connections at once
    :param max_connections_per_host: connections at once from one address; 0 for as many as there may be in all
    :param idle_timeout: seconds without a byte from the peer after which it is sent away; 0 for never
    :param quiet_period: seconds after which a peer that has never sent a line feed has ended its message; 0 for never
    :param ignore_case: whether words that differ in nothing but case are one unique word
    :param counts: whether replies say how often each unique word occurs
    :param engine: what answers the messages
    """

    noisy = False  # the service logs where it listens

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        max_length: int = wire.DEFAULT_MAX_LENGTH,
        max_connections: int = 10_000,
        max_connections_per_host: int = 0,
        idle_timeout: float = 300,
        quiet_period: float = 2,
        ignore_case: bool = False,
        counts: bool = False,
        engine: Engine = ENGINE,
    ) -> None:
        self.reactor = reactor
        self.seconds = reactor.seconds
        self.max_length = max_length
        self.max_connections = max_connections
        self.max_connections_per_host = max_connections_per_host
        self.idle_timeout = idle_timeout
        self.quiet_period = quiet_period
        self.ignore_case = ignore_case
        self.counts = counts
        self.engine = engine
        self.answer = partial(engine.answer, max_length=max_length, ignore_case=ignore_case, counts=counts)
        self.connections: set[WordEchoProtocol] = set()
        self._hosts: dict[WordEchoProtocol, str | None] = {}  # of the connections that are not refused
        self._connections_of: Counter[str | None] = Counter()
        self._emptied: list[Deferred[None]] = []

    # Twisted's own declaration wants a protocol that would take any Factory for its factory.
    def buildProtocol(self, addr: IAddress | None) -> WordEchoProtocol:  # type: ignore[override]
        return WordEchoProtocol(self)

    def may_linger(self, connection: WordEchoProtocol) -> bool:
        """Whether ``connection``, once left, may stay until its peer closes; many refused ones at once may not."""
        return connection in self._hosts or len(self.connections) - len(self._hosts) <= MAX_LINGERING

    def admit(self, connection: WordEchoProtocol) -> Refusal | None:
        """Take ``connection`` in, or return why it is one too many."""
        self.connections.add(connection)
        host = host_of(connection.transport.getPeer())
        if len(self._hosts) >= self.max_connections:
            return wire.too_many_connections(self.max_connections)
        if host is not None and self._connections_of[host] >= self.max_connections_per_host > 0:
            return wire.too_many_connections(self.max_connections_per_host, of_one_host=True)
        self._hosts[connection] = host
        self._connections_of[host] += 1
        return None

    def forget(self, connection: WordEchoProtocol) -> None:
        """Take note that ``connection`` is gone."""
        self.connections.discard(connection)
        if connection in self._hosts:
            host = self._hosts.pop(connection)
            self._connections_of[host] -= 1
            if not self._connections_of[host]:
                del self._connections_of[host]
        if not self.connections:
            emptied, self._emptied = self._emptied, []
            for deferred in emptied:
                deferred.callback(None)

    def when_empty(self) -> Deferred[None]:
        """Return what fires when there is no connection left."""
        if not self.connections:
            return succeed(None)
        deferred: Deferred[None] = Deferred()
        self._emptied.append(deferred)
        return deferred
