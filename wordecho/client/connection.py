"""The client: a protocol that sends messages and matches the replies to them, and its factory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from wordecho.wire.framing import Framing, split_lines
from wordecho.wire.questions import PROGRESS, Answer, ClientError, Questions, ServerGoneError, fell_silent

DEFAULT_TIMEOUT = 10


class WordEchoClientProtocol(LineReceiver, TimeoutMixin):
    """
    One connection of the client. Any number of messages may wait for their replies at once.

    :ivar lost: fires when the connection is gone, before what is still due fails: with the :class:`ClientError` that
        says why or, after a :meth:`close` with nothing due, with None; it never fails
    """

    # Twisted declares an ITransport or None here, which has none of the methods of connections.
    transport: Any

    delimiter = b"\r\n"  # so that a carriage return at the end of a message stays part of it

    def __init__(self, factory: WordEchoClientFactory) -> None:
        self.factory: WordEchoClientFactory = factory
        self.lost: Deferred[ClientError | None] = Deferred()
        self._framing = Framing(sys.maxsize)  # how long a reply may be depends on its message
        self._lines: deque[bytes] = deque()  # that have come and are not taken yet
        self._questions: Questions[Deferred[Answer]] = Questions()
        self._is_overdue = False
        self._begun = 0  # octets of a reply that were there when the timeout last began

    def connectionMade(self) -> None:
        # Twisted's UNIX transports are TCP transports by inheritance.
        if ITCPTransport.providedBy(self.transport) and not IUNIXTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def ask(self, message: bytes) -> Deferred[Answer]:
        """
        Send ``message`` and return what comes for it.

        To cancel it is to wait no longer: its reply is still due, and dropped when it comes.

        :param message: UTF-8 with no line feed in it
        :return: fires with the :class:`Answer`, or fails with a :class:`ClientError`
        :raises ValueError: if there is a line feed in ``message``.
        """
        answer: Deferred[Answer] = Deferred()
        try:
            self._questions.ask(message, answer)
        except ClientError as error:
            return fail(error)
        if len(self._questions) == 1:
            self._await_reply()
        self.sendLine(message)
        return answer

    def close(self) -> None:
        """Close the connection; what is still due fails."""
        self._questions.close()
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        lines = self._framing.receive(data)
        is_answered = lines is not None
        while lines is not None:
            # Should more come while one is taken, it must not overtake those that are here.
            self._lines += split_lines(lines)[0]
            while self._lines:
                self.lineReceived(self._lines.popleft())
            lines = self._framing.next_lines()
        if self._questions.error is not None:
            return
        begun = self._framing.held
        try:
            self._questions.check_length(begun)
        except ClientError as error:
            self._give_up(error)
            return
        if self._questions and (is_answered or begun >= self._begun + PROGRESS):
            # Only now: what is done with a reply may take its time, as printing does while its reader pauses.
            self._await_reply()

    def _await_reply(self) -> None:
        self._is_overdue = False
        self._begun = self._framing.held
        self.setTimeout(self.factory.timeout)

    def lineReceived(self, line: bytes) -> None:
        if self._questions.error is not None:
            return
        try:
            asker, answer = self._questions.answer(line)
        except ClientError as error:
            self._give_up(error)
            return
        if not self._questions:
            self.setTimeout(None)
        asker.callback(answer)

    def timeoutConnection(self) -> None:
        if not self._is_overdue:
            # Where this process was held up, what it waits for may have come already: the reactor looks once more.
            self._is_overdue = True
            self.setTimeout(0)
            return
        heard = self._framing.held - self._begun
        self._give_up(fell_silent(self.factory.timeout, len(self._questions), heard))

    def _give_up(self, error: ClientError) -> None:
        self._questions.give_up(error)
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        why = why_tls_failed(reason.value) or f"the connection to the server is gone: {reason.getErrorMessage()}"
        self._questions.lose(ServerGoneError(why))
        self.lost.callback(self._questions.error)
        for asker in self._questions.abandon():
            asker.errback(self._questions.error)

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self.factory.reactor.callLater(period, func)


def why_tls_failed(error: BaseException | None) -> str | None:
    """Return what was wrong with the TLS of the connection that ``error`` ended, None where it was something else."""
    try:
        from wordecho.sockets.tls import why_it_failed
    except ImportError:  # where there is no TLS, nothing is wrong with it
        return None
    return why_it_failed(error)


class WordEchoClientFactory(Factory):
    """
    Makes the client's protocols.

    :param reactor: the clock of the timeout
    :param timeout: seconds that the server may take for each reply that is due, or for each kilobyte of one
    """

    noisy = False

    def __init__(self, reactor: IReactorTime, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.reactor = reactor
        self.timeout = timeout

    # Twisted's own declaration wants a protocol that would take any Factory for its factory.
    def buildProtocol(self, addr: IAddress | None) -> WordEchoClientProtocol:  # type: ignore[override]
        return WordEchoClientProtocol(self)


async def connect(
    reactor: IReactorTime, endpoint: IStreamClientEndpoint, *, timeout: float = DEFAULT_TIMEOUT
) -> WordEchoClientProtocol:
    """
    Connect to the server at ``endpoint``.

    :param timeout: seconds that connecting may take, and each reply that is due, or each kilobyte of one
    :raises ServerGoneError: if the server cannot be reached.
    """

    def too_late(result: object, timeout: float) -> NoReturn:
        raise ServerGoneError(f"the server did not take the connection within {timeout} seconds.")

    factory = WordEchoClientFactory(reactor, timeout=timeout)
    try:
        protocol = await endpoint.connect(factory).addTimeout(timeout, reactor, too_late)
    except (ClientError, CancelledError, ConnectingCancelledError):
        raise
    except Exception as error:  # each kind of endpoint has its own
        raise ServerGoneError(f"the server cannot be reached: {str(error).rstrip('.')}.") from error
    assert isinstance(protocol, WordEchoClientProtocol)
    return protocol
