"""A connection of the server: a protocol that answers each message that its peer sends."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any
from typing import Protocol as Shape

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from wordecho import wire
from wordecho.server.guests import Guests
from wordecho.server.timeout import LazyTimeoutMixin
from wordecho.server.turns import Turns
from wordecho.settings import FAREWELL_TIMEOUT, TURN
from wordecho.sockets import tcp_info
from wordecho.sockets.addresses import show_address
from wordecho.wire import Refusal
from wordecho.wire.framing import Framing


class Server(Shape):
    """What the connections of a server share. Its factory has it, and says what each is."""

    reactor: IReactorTime
    seconds: Callable[[], float]
    guests: Guests
    turns: Turns
    max_length: int
    idle_timeout: float
    quiet_period: float
    ignore_case: bool
    counts: bool

    def answer(self, message: bytes, *, terminated: bool) -> bytes:
        """Return the reply to ``message``."""

    def answer_lines(self, lines: bytes, ignore_case: bool, counts: bool, /) -> bytes:
        """Return the replies to ``lines``."""


class Stage(Enum):
    """How far a connection has come. It never goes back, and what comes is heard while it is talking, and only then."""

    TALKING = "its messages are answered"
    FINISHING = "its peer has ended its sending side and all is answered; it is closed as soon as that is sent"
    DISMISSED = "its peer was told why it has to go, and has a while to read it"
    LEAVING = "the server stops and all is answered; the sending side is ended as soon as that is sent"
    LEFT = "it is sent, and the sending side ended"
    GONE = "it is closed"


TALKING = Stage.TALKING  # found sooner here than on the class, and looked at for every read

# Why a connection answers nothing for a while; both may be true at once.
BEHIND = 1  # its peer has to read first
AWAITS_TURN = 2  # it has used up its time, and others come first


@implementer(IHalfCloseableProtocol)
class WordEchoProtocol(LineReceiver, LazyTimeoutMixin):
    """
    One connection of the server.

    It is its transport's producer: where a peer does not read its replies, the transport asks for a pause, and the
    connection neither reads nor answers anything until the peer has caught up. Nor does it where its messages take
    longer than a turn may, until its next one.

    :ivar stage: how far it has come
    :ivar held: why it answers nothing for a while, of :data:`BEHIND` and :data:`AWAITS_TURN`; 0 where it answers
    """

    log = Logger()

    # Twisted declares an ITransport or None here, which has none of the methods of producers and consumers.
    transport: Any

    _has_peer_ended = False
    _is_slow = False  # its messages took longer than a turn when they were last answered
    _acknowledged: int | None = None  # octets that the peer had acknowledged when it was last looked at
    _quiet_call: IDelayedCall | None = None

    def __init__(self, server: Server) -> None:
        self._server = server
        self.clock = server.reactor
        self.stage = TALKING
        self.held = 0
        self._framing = Framing(server.max_length)

    # The connection's life

    def connectionMade(self) -> None:
        self.log.debug("{peer} came", peer=show_address(self.transport.getPeer()))
        # Twisted's UNIX transports are TCP transports by inheritance.
        if ITCPTransport.providedBy(self.transport) and not IUNIXTransport.providedBy(self.transport):
            # A reply goes out at once, not when the peer has acknowledged the one before it.
            self.transport.setTcpNoDelay(True)
            # A peer that has vanished is found out even where there is no idle timeout.
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        refusal = self._server.guests.admit(self)
        if refusal is None:
            self.setTimeout(self._server.idle_timeout or None)
        else:
            self._dismiss(refusal)

    def readConnectionLost(self) -> None:
        self._has_peer_ended = True
        if self.stage is not TALKING:
            self.transport.loseConnection()
        elif not self.held:
            self._finish()

    def writeConnectionLost(self) -> None:
        if self.stage is Stage.LEAVING:
            self.stage = Stage.LEFT

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.stage = Stage.GONE
        self.setTimeout(None)
        self._stop_waiting_for_quiet()
        self._server.guests.forget(self)
        peer = show_address(self.transport.getPeer())
        self.log.debug("{peer} went: {reason}", peer=peer, reason=reason.getErrorMessage())

    def _finish(self) -> None:
        """Answer what is left of a connection whose peer has ended its sending side, and close it."""
        self.stage = Stage.FINISHING
        self._stop_waiting_for_quiet()
        self.transport.unregisterProducer()
        self.transport.write(self._unterminated_reply())
        self.transport.loseConnection()

    def _dismiss(self, refusal: Refusal) -> None:
        """Answer what has come of a message, say why the peer has to go, and leave it the time to read that."""
        self._end_sending(Stage.DISMISSED, self._unterminated_reply() + wire.encode(refusal) + self._framing.ending)
        self.setTimeout(FAREWELL_TIMEOUT)

    def leave(self) -> None:
        """End the sending side, since the server stops; what of a message without a line feed has come is answered."""
        self._end_sending(Stage.LEAVING, b"" if self._framing.tail else self._unterminated_reply())
        self.active_at = self.clock.seconds()

    def _end_sending(self, stage: Stage, last_words: bytes) -> None:
        """
        Say ``last_words``, end the sending side once all is sent, and wait for the peer to close.

        What still comes is read and dropped: closed with unread data in its receive buffer, a TCP connection is reset,
        and the peer could lose what was sent to it last.
        """
        self.stage = stage
        self.setTimeout(None)
        self._stop_waiting_for_quiet()
        self._framing.take_partial()  # nobody answers it, and it may be long
        self.transport.unregisterProducer()  # nothing may pause the reading any more
        self.transport.write(last_words)
        if _has_half_close(self.transport):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def make_room(self) -> None:
        """Go at once, as too many that were refused are there."""
        if _has_half_close(self.transport):
            self.transport.loseConnection()
        else:  # which would wait for the peer's good-bye
            self.transport.abortConnection()

    # Messages and replies

    def dataReceived(self, data: bytes) -> None:
        if self.stage is not TALKING:
            return
        framing, server = self._framing, self._server
        if self.held:
            framing.hold(data)
            return
        self.active_at = began = server.seconds()
        lines = framing.receive(data)
        while lines is not None:
            if lines:
                self.transport.write(server.answer_lines(lines, server.ignore_case, server.counts))
            else:
                self.transport.write(wire.encode(wire.too_long(server.max_length)) + framing.ending)
            if framing.waiting is None or self.held:
                break
            if server.seconds() - began >= TURN:
                self._wait_for_turn()
                break
            lines = framing.next_lines()
        if not framing.tail:
            self._wait_for_quiet()

    def _unterminated_reply(self) -> bytes:
        """Return the reply to what has come of a message without an ending, nothing where there is none."""
        message = self._framing.take_partial()
        return self._server.answer(message, terminated=False) + b"\n" if message else b""

    # The quiet period

    def _wait_for_quiet(self) -> None:
        if self.held:
            return  # a peer that is not read is not quiet
        if self._quiet_call is not None:
            self._quiet_call.reset(self._server.quiet_period)
        elif self._server.quiet_period:
            self._quiet_call = self.clock.callLater(self._server.quiet_period, self._quiet)

    def _stop_waiting_for_quiet(self) -> None:
        if self._quiet_call is not None:
            self._quiet_call.cancel()
            self._quiet_call = None

    def _quiet(self) -> None:
        self._quiet_call = None
        if not self._framing.tail:
            self.transport.write(self._unterminated_reply())

    # Back-pressure, and turns

    def pauseProducing(self) -> None:
        self.held |= BEHIND
        self._acknowledged = tcp_info.acknowledged_octets(self.transport)
        self._stop_waiting_for_quiet()
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.held &= ~BEHIND
        if self._is_slow and not self.held:
            self._wait_for_turn()  # many such peers may have caught up at once
        else:
            self._go_on()

    def stopProducing(self) -> None:
        self.held |= BEHIND
        self.transport.stopProducing()

    def _wait_for_turn(self) -> None:
        self._is_slow = True
        self.held |= AWAITS_TURN
        self._stop_waiting_for_quiet()
        self.transport.pauseProducing()
        self._server.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self.held &= ~AWAITS_TURN
        if self.stage is TALKING:
            self._go_on()

    def _go_on(self) -> None:
        self.dataReceived(b"")  # there may be lines that wait
        if self.held:
            return
        self._is_slow = False
        if self._has_peer_ended:
            self._finish()
        else:
            self.transport.resumeProducing()

    # The idle timeout

    def timeoutConnection(self) -> None:
        match self.stage:
            case Stage.TALKING if not self.held:
                self._dismiss(wire.idle_timeout(self._server.idle_timeout))
            case Stage.TALKING if self.held == AWAITS_TURN:
                self.setTimeout(self._server.idle_timeout)  # it is the server that is late
            case Stage.TALKING | Stage.FINISHING:
                acknowledged = tcp_info.acknowledged_octets(self.transport)
                if acknowledged == self._acknowledged:
                    self.transport.abortConnection()  # the peer reads nothing: there is no use in saying anything more
                else:
                    self._acknowledged = acknowledged
                    self.setTimeout(self._server.idle_timeout)
            case _:
                self.transport.abortConnection()


def _has_half_close(transport: object) -> bool:
    return ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport)
