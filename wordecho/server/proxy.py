"""Connections that begin with a header of the PROXY protocol: what they carry sees its client, not the proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from wordecho.settings import PROXY_HEADER_TIMEOUT
from wordecho.wire.proxy_header import Header, parse


@implementer(IHalfCloseableProtocol)
class ProxyProtocol(ProtocolWrapper, TimeoutMixin):
    """
    A connection that begins with a header of the PROXY protocol.

    The wrapped protocol is made when the header has come, so that all it ever sees is the client.

    Twisted has a wrapper for this too. It shows the proxy's address at first, loses what is unsent when the client
    ends its sending side, and waits for a header for ever.
    """

    log = Logger()

    # Twisted declares an ITransport or None, which has none of the methods of a connection.
    transport: Any
    wrappedProtocol: Any

    _header = Header(0)

    def __init__(self, factory: ProxyFactory) -> None:
        super().__init__(cast(Any, factory), cast(IProtocol, None))
        self._received = b""

    def logPrefix(self) -> str:
        return "PROXY"

    def makeConnection(self, transport: Any) -> None:
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.setTimeout(PROXY_HEADER_TIMEOUT)

    def getPeer(self) -> IAddress:
        peer: IAddress = self._header.source or self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self._header.destination or self.transport.getHost()
        return host

    def dataReceived(self, data: bytes) -> None:
        if self.wrappedProtocol is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        self._received += data
        try:
            header = parse(self._received)
        except ValueError:
            self.log.info("{peer} sent no header of the PROXY protocol", peer=self.transport.getPeer())
            self.transport.abortConnection()
            return
        if header is not None:
            self.setTimeout(None)
            self._header = header
            self._wrap(self._received[header.size :])

    def _wrap(self, rest: bytes) -> None:
        self._received = b""
        self.wrappedProtocol = self.factory.wrapped_factory.buildProtocol(self.getPeer())
        self.wrappedProtocol.makeConnection(self)
        if rest:
            self.wrappedProtocol.dataReceived(rest)

    def readConnectionLost(self) -> None:
        if self._wraps_half_closeable:
            self.wrappedProtocol.readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        if self._wraps_half_closeable:
            self.wrappedProtocol.writeConnectionLost()

    @property
    def _wraps_half_closeable(self) -> bool:
        # It is the class that is asked: TLS claims to provide what its transport, this connection, provides.
        return bool(IHalfCloseableProtocol.implementedBy(type(self.wrappedProtocol)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        if self.wrappedProtocol is not None:
            self.wrappedProtocol.connectionLost(reason)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        delayed: IDelayedCall = self.factory.reactor.callLater(period, func)
        return delayed


class ProxyFactory(ServerFactory):
    """
    Makes connections that begin with a header of the PROXY protocol.

    :param reactor: the clock of the header's timeout
    :param wrapped_factory: makes what a connection is after its header
    """

    noisy = False

    def __init__(self, reactor: IReactorTime, wrapped_factory: IProtocolFactory) -> None:
        self.reactor = reactor
        self.wrapped_factory = wrapped_factory

    def doStart(self) -> None:
        self.wrapped_factory.doStart()
        super().doStart()

    def doStop(self) -> None:
        self.wrapped_factory.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> ProxyProtocol:
        return ProxyProtocol(self)
