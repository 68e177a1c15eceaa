"""
The PROXY protocol: who a proxy's connection is really from.

A load balancer that hands a connection on tells its own address to the server, not its client's. With the PROXY
protocol it sends a header first, which has both ends of the client's connection
(https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, versions 1 and 2).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from typing import Any, NamedTuple, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
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

# Seconds that the header may take. A proxy sends it at once.
HEADER_TIMEOUT = 5

_SIGNATURE_1 = b"PROXY "
_MAX_HEADER_1 = 107  # octets, the line ending counted
_SIGNATURE_2 = b"\r\n\r\n\0\r\nQUIT\n"
_START_2 = struct.Struct("!12s B B H")  # signature; version and command; family and protocol; octets that follow


class Header(NamedTuple):
    """
    A header of the PROXY protocol.

    :ivar size: how many octets it has
    :ivar source: the client's address, None where the proxy speaks for itself or does not know
    :ivar destination: the address that the client has connected to, likewise
    """

    size: int
    source: IAddress | None = None
    destination: IAddress | None = None


def parse(data: bytes) -> Header | None:
    """
    Return the header that ``data`` begins with, None where it is not complete yet.

    :raises ValueError: if ``data`` does not begin with a header.
    """
    if data.startswith(_SIGNATURE_2):
        return _parse_2(data)
    if data.startswith(_SIGNATURE_1):
        return _parse_1(data)
    if _SIGNATURE_1.startswith(data) or _SIGNATURE_2.startswith(data):
        return None
    raise ValueError("no signature")


def _parse_1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _MAX_HEADER_1)
    if end == -1:
        if len(data) >= _MAX_HEADER_1:
            raise ValueError("no end")
        return None
    size = end + 2
    match data[:end].decode("ascii").split(" "):
        case ["PROXY", "UNKNOWN", *_]:
            return Header(size)
        case ["PROXY", "TCP4", source, destination, source_port, destination_port]:
            return Header(size, _tcp(IPv4(source), source_port), _tcp(IPv4(destination), destination_port))
        case ["PROXY", "TCP6", source, destination, source_port, destination_port]:
            return Header(size, _tcp(IPv6(source), source_port), _tcp(IPv6(destination), destination_port))
    raise ValueError("no addresses")


def _tcp(host: IPv4 | IPv6, port: int | str) -> IAddress:
    if not re.fullmatch("[0-9]{1,5}", str(port)) or int(port) > 65535:
        raise ValueError("no port")
    if "%" in str(host):  # a zone means something on the proxy only, and may be any text
        raise ValueError("a zone")
    if isinstance(host, IPv6) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped  # one client, one address, whichever way the proxy has it
    return (IPv4Address if isinstance(host, IPv4) else IPv6Address)("TCP", str(host), int(port))


def _parse_2(data: bytes) -> Header | None:
    if len(data) < _START_2.size:
        return None
    _, version_and_command, family_and_protocol, length = _START_2.unpack_from(data)
    if version_and_command not in (0x20, 0x21):
        raise ValueError("an unknown version or command")
    size = _START_2.size + length
    if len(data) < size:
        return None
    if version_and_command == 0x20:  # the proxy's own connection, a health check for example
        return Header(size)
    rest = data[_START_2.size : size]
    try:
        match family_and_protocol:
            case 0x11:
                source, destination, source_port, destination_port = struct.unpack_from("!4s4sHH", rest)
                return Header(size, _tcp(IPv4(source), source_port), _tcp(IPv4(destination), destination_port))
            case 0x21:
                source, destination, source_port, destination_port = struct.unpack_from("!16s16sHH", rest)
                return Header(size, _tcp(IPv6(source), source_port), _tcp(IPv6(destination), destination_port))
            case 0x31:
                paths = struct.unpack_from("108s108s", rest)
                source, destination = (path.partition(b"\0")[0] or None for path in paths)
                return Header(size, UNIXAddress(source), UNIXAddress(destination))
    except struct.error:
        raise ValueError("no addresses") from None
    return Header(size)  # a family that is not known here: the connection's own addresses hold


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
        self.setTimeout(HEADER_TIMEOUT)

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
