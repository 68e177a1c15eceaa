"""The client: a protocol that sends messages and matches the replies to them, and its factory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from msgspec import Struct
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

from wordecho import wire
from wordecho.wire import Refusal, Reply
from wordecho.wire.framing import TOO_LONG, Framing, split_lines

DEFAULT_TIMEOUT = 10


class ClientError(Exception):
    """The connection is of no more use; the message is a sentence that says why."""


class ServerGoneError(ClientError):
    """The server cannot be reached, fell silent, sent this client away or went away."""


class NotWordEchoError(ClientError):
    """What answered is not a wordecho server."""

    def __init__(self, why: str) -> None:
        super().__init__(f"what answered is not a wordecho server: {why}.")


class Answer(Struct, frozen=True):
    """
    What came for a message.

    :ivar reply: what it says
    :ivar line: the line as it came, without its ending
    """

    reply: Reply | Refusal
    line: bytes


class WordEchoClientProtocol(LineReceiver, TimeoutMixin):
    """
    One connection of the client. Any number of messages may wait for their replies at once.

    :ivar lost: fires when the connection is gone, before what is still due fails: with the :class:`ClientError` that
        says why or, after a :meth:`close` with nothing due, with None; it never fails
    """

    # Twisted declares an ITransport or None here, which has none of the methods of connections.
    transport: Any

    MAX_LENGTH = 2**26  # octets in a reply: far more than a message of any sensible length can make

    def __init__(self, factory: WordEchoClientFactory) -> None:
        self.factory: WordEchoClientFactory = factory
        self.lost: Deferred[ClientError | None] = Deferred()
        self._framing = Framing(self.MAX_LENGTH)
        self._lines: deque[bytes] = deque()  # that have come and are not taken yet
        self._due: deque[tuple[int, Deferred[Answer]]] = deque()
        self._is_closed = False
        self._is_overdue = False
        self._error: ClientError | None = None

    def connectionMade(self) -> None:
        # Twisted's UNIX transports are TCP transports by inheritance.
        if ITCPTransport.providedBy(self.transport) and not IUNIXTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def ask(self, message: bytes) -> Deferred[Answer]:
        """
        Send ``message`` and return what comes for it.

        :param message: UTF-8 with no line feed in it
        :return: fires with the :class:`Answer`, or fails with a :class:`ClientError`
        :raises ValueError: if there is a line feed in ``message``.
        """
        if b"\n" in message:
            raise ValueError("a message cannot have a line feed in it")
        if self._is_closed or self._error is not None:
            return fail(self._error or ServerGoneError("the connection is closed."))
        if not self._due:
            self._is_overdue = False
            self.setTimeout(self.factory.timeout)
        answer: Deferred[Answer] = Deferred()
        self._due.append((len(message), answer))
        self.sendLine(message)
        return answer

    def close(self) -> None:
        """Close the connection; what is still due fails."""
        self._is_closed = True
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        lines = self._framing.receive(data)
        while lines is not None:
            if lines is TOO_LONG:
                self.lineLengthExceeded(lines)
            # Should more come while one is taken, it must not overtake those that are here.
            self._lines += split_lines(lines)[0]
            while self._lines:
                self.lineReceived(self._lines.popleft())
            lines = self._framing.next_lines()
        if self._due and self._error is None:
            # Only now: what is done with a reply may take its time, as printing does while its reader pauses.
            self._is_overdue = False
            self.setTimeout(self.factory.timeout)

    def lineReceived(self, line: bytes) -> None:
        if self._error is not None:
            return
        try:
            reply = wire.decode(line)
        except ValueError:
            self._give_up(NotWordEchoError(f"it sent {line[:40]!r}"))
            return
        if isinstance(reply, Refusal) and reply.error in (wire.IDLE_TIMEOUT, wire.TOO_MANY_CONNECTIONS):
            self._give_up(ServerGoneError(f"the server closes the connection: {reply.detail}"))
            return
        if not self._due:
            self._give_up(NotWordEchoError(f"it sent {line[:40]!r} when no reply was due"))
            return
        length, answer = self._due[0]
        if isinstance(reply, Reply) and reply.bytes != length:
            self._give_up(NotWordEchoError(f"it replied to {reply.bytes} bytes when {length} were sent"))
            return
        self._due.popleft()
        if not self._due:
            self.setTimeout(None)
        answer.callback(Answer(reply, line))

    def lineLengthExceeded(self, line: bytes) -> None:
        self._give_up(NotWordEchoError(f"it sent a line of more than {self.MAX_LENGTH} bytes"))

    def timeoutConnection(self) -> None:
        if not self._is_overdue:
            # Where this process was held up, what it waits for may have come already: the reactor looks once more.
            self._is_overdue = True
            self.setTimeout(0)
            return
        due = f"{len(self._due)} {'reply was' if len(self._due) == 1 else 'replies were'} due"
        self._give_up(
            ServerGoneError(f"the server fell silent: nothing came for {self.factory.timeout} seconds while {due}.")
        )

    def _give_up(self, error: ClientError) -> None:
        self._error = error
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        if self._error is None and (self._due or not self._is_closed):
            why = why_tls_failed(reason.value) or f"the connection to the server is gone: {reason.getErrorMessage()}"
            self._error = ServerGoneError(why)
        self.lost.callback(self._error)
        while self._due:
            _, answer = self._due.popleft()
            answer.errback(self._error)

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
    :param timeout: seconds that the server may be silent while a reply is due
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

    :param timeout: seconds that connecting may take, and each silence of the server while a reply is due
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
