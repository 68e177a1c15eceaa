"""Newcomers: what connections are before they are the server's, in a TLS handshake or before their PROXY header."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, IProtocolFactory
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wordecho.server.timeout import LazyTimeoutMixin
from wordecho.sockets.addresses import show_address

if TYPE_CHECKING:
    from wordecho.server.factory import WordEchoFactory


class Newcomer(LazyTimeoutMixin):
    """
    What newcomers have in common: a place among the strangers, and little time.

    None has sent a message that was taken, so nothing is lost with one that is cut off.
    """

    log = Logger()

    # Twisted declares what has none of the attributes of ours.
    factory: Any
    transport: Any

    def arrive(self) -> None:
        """Be a newcomer; called when the connection is made."""
        server = self.factory.server
        self.clock = server.reactor
        self.setTimeout(server.handshake_timeout or None)
        server.guests.receive(self)

    def become(self, begin: Callable[[], None]) -> None:
        """Be none any more; ``begin`` makes of the connection what it was to be."""
        self.setTimeout(None)
        self.factory.server.guests.replace(self, begin)

    def depart(self, reason: Failure) -> None:
        """Be none any more, since the connection is lost."""
        self.setTimeout(None)
        self.factory.server.guests.forget(self)
        peer = show_address(self.transport.getPeer())
        self.log.debug("{peer} went before it had come: {reason}", peer=peer, reason=reason.getErrorMessage())

    def make_room(self) -> None:
        """Go at once, as there are too many."""
        self.transport.abortConnection()

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()


@implementer(IHandshakeListener)
class TLSNewcomer(Newcomer, Protocol):
    """Stands above TLS until the handshake is complete; then what was to be there takes its place."""

    def connectionMade(self) -> None:
        self.arrive()

    def handshakeCompleted(self) -> None:
        self.become(self._give_place)

    def _give_place(self) -> None:
        below = self.transport
        below.wrappedProtocol = self.factory.wrapped_factory.buildProtocol(below.getPeer())
        below.wrappedProtocol.makeConnection(below)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.depart(reason)


class NewcomerFactory(ServerFactory):
    """
    Makes newcomers.

    :param protocol: what they are
    :param wrapped_factory: makes what becomes of them
    :param server: the factory of the server, which has its guests
    """

    noisy = False

    def __init__(
        self, protocol: Callable[[], Protocol], wrapped_factory: IProtocolFactory, server: WordEchoFactory
    ) -> None:
        self.protocol = protocol
        self.wrapped_factory = wrapped_factory
        self.server = server

    def doStart(self) -> None:
        self.wrapped_factory.doStart()
        super().doStart()

    def doStop(self) -> None:
        self.wrapped_factory.doStop()
        super().doStop()
