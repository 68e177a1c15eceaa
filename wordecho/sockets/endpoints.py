"""Server endpoints that Twisted has not: every address of a machine, and a protocol below that of a factory."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from wordecho.sockets.bind import bind
from wordecho.sockets.ports import BACKLOG


def tcp_endpoint(reactor: Any, port: int, interface: str | None = None) -> IStreamServerEndpoint:
    """
    Return the endpoint for a TCP port.

    :param port: 0 for any free one
    :param interface: the one address to listen on; None for every address of either family
    """
    if interface is None:
        return EveryAddressEndpoint(reactor, port)
    make_endpoint = TCP6ServerEndpoint if isIPv6Address(interface) else TCP4ServerEndpoint
    return make_endpoint(reactor, port, BACKLOG, interface)


@implementer(IStreamServerEndpoint)
class EveryAddressEndpoint:
    """
    A TCP port on every address of this machine, IPv6 and IPv4, or IPv4 alone where there is no IPv6.

    One socket takes both families, so that port 0 is one port.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self._reactor = reactor
        self._port = port

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        with bind(socket.SOCK_STREAM, self._port) as bound:
            try:
                bound.listen(BACKLOG)
            except OSError as error:  # some systems let two sockets have a port until one of them listens
                raise CannotListenError("", self._port, error) from None
            port: IListeningPort = self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
        return port


@implementer(IStreamServerEndpoint)
class WrappingEndpoint:
    """An endpoint whose connections have a protocol of their own below that of its factory."""

    def __init__(self, endpoint: IStreamServerEndpoint, wrap: Callable[[Any], IProtocolFactory]) -> None:
        self._endpoint = endpoint
        self._wrap = wrap

    @property
    def is_shared(self) -> bool:
        return is_shared(self._endpoint)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(self._wrap(protocolFactory))


def is_shared(endpoint: object) -> bool:
    """Whether the socket of ``endpoint`` was given to this process, by one that may go on with it."""
    return isinstance(endpoint, AdoptedStreamServerEndpoint) or bool(getattr(endpoint, "is_shared", False))
