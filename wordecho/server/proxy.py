"""Connections that begin with a header of the PROXY protocol: what they carry sees its client, not the proxy."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from wordecho.server.newcomer import Newcomer
from wordecho.sockets.addresses import show_address
from wordecho.wire.proxy_header import Header, parse


@implementer(IHalfCloseableProtocol)
class ProxyProtocol(Newcomer, ProtocolWrapper):
    """
    A connection that begins with a header of the PROXY protocol.

    The wrapped protocol is made when the header has come, so that all it ever sees is the client.

    Twisted has a wrapper for this too. It shows the proxy's address at first, loses what is unsent when the client
    ends its sending side, and waits for a header for ever.
    """

    wrappedProtocol: Any

    _header = Header(0)

    def __init__(self) -> None:
        super().__init__(cast(Any, None), cast(Any, None))
        self._received = b""

    def logPrefix(self) -> str:
        return "PROXY"

    def makeConnection(self, transport: Any) -> None:
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.arrive()

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
            peer = show_address(self.transport.getPeer())
            self.log.debug("{peer} sent no header of the PROXY protocol", peer=peer)
            self.transport.abortConnection()
            return
        if header is not None:
            self._header = header
            self.become(self._wrap)
            rest, self._received = self._received[header.size :], b""
            if rest:
                self.dataReceived(rest)

    def _wrap(self) -> None:
        self.wrappedProtocol = self.factory.wrapped_factory.buildProtocol(self.getPeer())
        self.wrappedProtocol.makeConnection(self)

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
        if self.wrappedProtocol is None:
            self.depart(reason)
        else:
            self.wrappedProtocol.connectionLost(reason)
