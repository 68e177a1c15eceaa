"""The client's end of an exchange of datagrams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IDelayedCall, IHostResolution, IReactorTime, IResolutionReceiver
from twisted.internet.protocol import DatagramProtocol
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from wordecho import wire
from wordecho.client.connection import DEFAULT_TIMEOUT, Answer, ClientError, NotWordEchoError, ServerGoneError
from wordecho.wire import Reply
from wordecho.wire.datagrams import MAX_DATAGRAM, READ_SIZE
from wordecho.wire.framing import split_ending

_NOT_OPEN = "the server cannot be reached: the port is not open for datagrams."


class WordEchoDatagramClient(DatagramProtocol, TimeoutMixin):
    """
    The client's end of an exchange of datagrams. It has one message on its way at a time.

    A datagram that is lost, or whose reply is, is not sent again; the timeout tells.

    :ivar lost: as that of :class:`wordecho.client.WordEchoClientProtocol`
    """

    noisy = False

    transport: Any  # Twisted declares one whose write() wants an address, which a connected socket has

    def __init__(self, reactor: IReactorTime, host: str, port: int, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.lost: Deferred[ClientError | None] = Deferred()
        self._reactor = reactor
        self._server = (host, port)
        self._timeout = timeout
        self._due: deque[tuple[bytes, Deferred[Answer]]] = deque()
        self._is_closed = False
        self._error: ClientError | None = None

    def startProtocol(self) -> None:
        # A connected socket takes datagrams of nobody else, and learns when the port is not open.
        self.transport.connect(*self._server)

    def ask(self, message: bytes) -> Deferred[Answer]:
        """
        Send ``message`` once those before it are answered, and return what comes for it.

        A message that fits in no datagram is refused as the server would refuse it.

        :param message: UTF-8 with no line feed in it
        :return: fires with the :class:`Answer`, or fails with a :class:`ClientError`
        :raises ValueError: if there is a line feed in ``message``.
        """
        if b"\n" in message:
            raise ValueError("a message cannot have a line feed in it")
        if self._is_closed or self._error is not None:
            return fail(self._error or ServerGoneError("the connection is closed."))
        answer: Deferred[Answer] = Deferred()
        self._due.append((message, answer))
        if len(self._due) == 1:
            self._send()
        return answer

    def close(self) -> None:
        """Close the socket; what is still due fails."""
        self._is_closed = True
        self._stop()

    def _send(self) -> None:
        message, _ = self._due[0]
        if len(message) > MAX_DATAGRAM:
            refusal = wire.too_long(MAX_DATAGRAM)
            self._settle(Answer(refusal, wire.encode(refusal)))
            return
        self.setTimeout(self._timeout)
        try:
            self.transport.write(message)
        except OSError as error:
            self._give_up(ServerGoneError(f"the server cannot be reached: {error.strerror}."))

    def _settle(self, answer: Answer) -> None:
        _, deferred = self._due.popleft()
        self.setTimeout(None)
        deferred.callback(answer)
        if self._due and self._error is None:
            # Not now: refusals of many messages in a row would be calls as deep.
            self._reactor.callLater(0, self._send_next)

    def _send_next(self) -> None:
        if self._due and self._error is None and not self._is_closed:
            self._send()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if not self._due or self._error is not None:
            return  # a network may bring a datagram twice
        message, _ = self._due[0]
        line, _ = split_ending(datagram)
        try:
            reply = wire.decode(line)
        except ValueError:
            self._give_up(NotWordEchoError(f"it sent {line[:40]!r}"))
            return
        if isinstance(reply, Reply) and reply.bytes != len(message):
            self._give_up(NotWordEchoError(f"it replied to {reply.bytes} bytes when {len(message)} were sent"))
            return
        self._settle(Answer(reply, line))

    def connectionRefused(self) -> None:
        self._give_up(ServerGoneError(_NOT_OPEN))

    def timeoutConnection(self) -> None:
        self._give_up(
            ServerGoneError(f"the server fell silent: nothing came for {self._timeout} seconds while 1 reply was due.")
        )

    def _give_up(self, error: ClientError) -> None:
        if self._error is None:
            self._error = error
            self._stop()

    def _stop(self) -> None:
        self.setTimeout(None)
        self.transport.stopListening()

    def stopProtocol(self) -> None:
        if self._error is None and not self._is_closed:
            # Some reactors close a socket that the kernel has an error for, and keep the error to themselves. A socket
            # for datagrams has but one to wait for.
            self._error = ServerGoneError(_NOT_OPEN)
        if self._error is None and self._due:
            self._error = ServerGoneError("the connection is closed.")
        self.lost.callback(self._error)
        while self._due:
            _, answer = self._due.popleft()
            answer.errback(self._error)

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self._reactor.callLater(period, func)


async def connect_datagrams(
    reactor: Any, host: str, port: int, *, timeout: float = DEFAULT_TIMEOUT
) -> WordEchoDatagramClient:
    """
    Open a socket for datagrams to the server on ``host``, at the first address that its name has.

    :param timeout: seconds that the server may be silent while a reply is due
    :raises ServerGoneError: if the name has no address, or there is no way to it.
    """
    addresses = await resolve(reactor, host, port)
    if not addresses:
        raise ServerGoneError(f"the server cannot be reached: {host} has no address.")
    address = addresses[0]
    client = WordEchoDatagramClient(reactor, address.host, address.port, timeout=timeout)
    try:
        reactor.listenUDP(0, client, "::" if isinstance(address, IPv6Address) else "", READ_SIZE)
    except OSError as error:
        raise ServerGoneError(f"the server cannot be reached: {error.strerror}.") from error
    return client


def resolve(reactor: Any, host: str, port: int) -> Deferred[list[Any]]:
    """Look the name ``host`` up; fires with its addresses, of :class:`IPv4Address` and :class:`IPv6Address`."""
    resolved: Deferred[list[Any]] = Deferred()

    @implementer(IResolutionReceiver)
    class Receiver:
        def __init__(self) -> None:
            self._addresses: list[IAddress] = []

        def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None: ...

        def addressResolved(self, address: IAddress) -> None:
            self._addresses.append(address)

        def resolutionComplete(self) -> None:
            resolved.callback(self._addresses)

    reactor.nameResolver.resolveHostName(Receiver(), host, port, transportSemantics="UDP")
    return resolved
