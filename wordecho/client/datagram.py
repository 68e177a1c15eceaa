"""The client's end of an exchange of datagrams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.protocols.policies import TimeoutMixin

from wordecho import wire
from wordecho.client.connection import DEFAULT_TIMEOUT
from wordecho.sockets.names import resolve
from wordecho.wire.datagrams import MAX_DATAGRAM, READ_SIZE
from wordecho.wire.framing import split_ending
from wordecho.wire.questions import Answer, ClientError, Questions, ServerGoneError, fell_silent

_NOT_OPEN = "the server cannot be reached: the port is not open for datagrams."


def _unreachable(error: OSError) -> ServerGoneError:
    return ServerGoneError(f"the server cannot be reached: {error.strerror}.")


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
        self._questions: Questions[Deferred[Answer]] = Questions()
        self._unsent: deque[bytes] = deque()  # the messages of the last of them

    def startProtocol(self) -> None:
        # A connected socket takes datagrams of nobody else, and learns when the port is not open.
        try:
            self.transport.connect(*self._server)
        except OSError as error:
            self._give_up(_unreachable(error))

    def ask(self, message: bytes) -> Deferred[Answer]:
        """
        Send ``message`` once those before it are answered, and return what comes for it.

        To cancel it is to wait no longer: its reply is still due, and dropped when it comes.

        A message that fits in no datagram is refused as the server would refuse it.

        :param message: UTF-8 with no line feed in it
        :return: fires with the :class:`Answer`, or fails with a :class:`ClientError`
        :raises ValueError: if there is a line feed in ``message``.
        """
        answer: Deferred[Answer] = Deferred()
        try:
            self._questions.ask(message, answer)
        except ClientError as error:
            return fail(error)
        self._unsent.append(message)
        self._send()
        return answer

    def close(self) -> None:
        """Close the socket; what is still due fails."""
        if self._questions.is_open:
            self._questions.close()
            self._stop()

    def _send(self) -> None:
        """Send the next message, unless one is on its way."""
        while self._unsent and not self._is_waiting and self._questions.is_open:
            message = self._unsent.popleft()
            if len(message) > MAX_DATAGRAM:
                self._take(wire.encode(wire.too_long(MAX_DATAGRAM)))
                continue
            self.setTimeout(self._timeout)
            try:
                self.transport.write(message)
            except OSError as error:
                self._give_up(_unreachable(error))
            except MessageLengthError:
                why = f"this machine sends no datagram of {len(message)} bytes"
                self._give_up(ServerGoneError(f"the server cannot be reached: {why}."))

    @property
    def _is_waiting(self) -> bool:
        return len(self._questions) > len(self._unsent)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if not self._is_waiting or not self._questions.is_open:
            return  # a network may bring a datagram twice
        line, _ = split_ending(datagram)
        self.setTimeout(None)
        self._take(line)
        self._send()

    def _take(self, line: bytes) -> None:
        try:
            asker, answer = self._questions.answer(line)
        except ClientError as error:
            self._give_up(error)
        else:
            asker.callback(answer)

    def connectionRefused(self) -> None:
        self._give_up(ServerGoneError(_NOT_OPEN))

    def timeoutConnection(self) -> None:
        self._give_up(fell_silent(self._timeout, 1))

    def _give_up(self, error: ClientError) -> None:
        if self._questions.is_open:
            self._questions.give_up(error)
            self._stop()

    def _stop(self) -> None:
        self.setTimeout(None)
        self.transport.stopListening()

    def stopProtocol(self) -> None:
        # Some reactors close a socket that the kernel has an error for, and keep the error to themselves. A socket for
        # datagrams has but one to wait for.
        self._questions.lose(ServerGoneError(_NOT_OPEN))
        self.lost.callback(self._questions.error)
        for asker in self._questions.abandon():
            asker.errback(self._questions.error)

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
    except CannotListenError as error:
        raise _unreachable(error.socketError) from error
    if client._questions.error is not None:
        raise client._questions.error
    return client
