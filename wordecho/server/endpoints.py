"""What the server can listen on: streams by their descriptions, and datagrams."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from typing import Protocol as Shape

from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from wordecho.server.buckets import TokenBuckets
from wordecho.server.datagram import WordEchoDatagramProtocol
from wordecho.server.factory import WordEchoFactory
from wordecho.server.newcomer import NewcomerFactory, TLSNewcomer
from wordecho.server.proxy import ProxyProtocol
from wordecho.settings import TURN, UDP_RATE
from wordecho.sockets import datagram_port
from wordecho.sockets.bind import bind
from wordecho.sockets.endpoints import WrappingEndpoint
from wordecho.sockets.unix import LocalSockets
from wordecho.wire.datagrams import READ_SIZE

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions


# Puts what connections begin with before what a factory makes of them, given the factory of the server too.
Door = Callable[[IProtocolFactory, WordEchoFactory], IProtocolFactory]


class Endpoint(Shape):
    """What the service listens on: a stream endpoint of Twisted's, or datagrams."""

    def listen(self, protocolFactory: WordEchoFactory, /) -> Deferred[IListeningPort]:
        """Listen; fails with :class:`CannotListenError`."""


def endpoint_from_string(reactor: Any, description: str, tls: CertificateOptions | None = None) -> Any:
    """
    Return the endpoint of a description: one of Twisted's, or ``haproxy:`` or ``tls:`` before another one.

    :param tls: the certificates for ``tls:``
    :return: an :class:`IStreamServerEndpoint`
    :raises Exception: if the description does not parse; each kind of endpoint has errors of its own.
    """
    doors: list[Door] = []
    kind, _, rest = description.partition(":")
    while kind in ("haproxy", "tls"):
        doors.append(_proxy_door(rest) if kind == "haproxy" else _tls_door(reactor, rest, tls))
        description = rest
        kind, _, rest = description.partition(":")
    if kind == "unix" and not rest.partition(":")[0]:
        raise ValueError("it names no file")
    if kind == "ssl":
        if ":sslmethod=" in description:
            raise ValueError("the version of TLS is not to be chosen; it is 1.2 or newer")
        doors.append(_handshake)
    endpoint = serverFromString(LocalSockets(reactor), description)

    def wrap(server: WordEchoFactory) -> IProtocolFactory:
        factory: IProtocolFactory = server
        for door in doors:
            factory = door(factory, server)
        return factory

    return WrappingEndpoint(endpoint, wrap) if doors else endpoint


def _proxy_door(rest: str) -> Door:
    if rest.startswith(("tls:", "ssl:")):
        raise ValueError("a proxy sends its header before TLS begins; write tls:haproxy:tcp:PORT")
    return partial(NewcomerFactory, ProxyProtocol)


def _tls_door(reactor: Any, rest: str, tls: CertificateOptions | None) -> Door:
    wrapped = rest.partition(":")[0]
    if wrapped not in _kinds():
        raise ValueError(
            f"{wrapped!r} is no endpoint; Twisted's own tls: takes a folder of certificates, this one an endpoint: "
            "write tls:tcp:PORT, and name the certificate with --cert"
        )
    if tls is None:
        raise ValueError("it needs --cert")
    from wordecho.sockets.tls import wrap

    return lambda factory, server: wrap(tls, _handshake(factory, server), reactor)


def _handshake(factory: IProtocolFactory, server: WordEchoFactory) -> IProtocolFactory:
    return NewcomerFactory(TLSNewcomer, factory, server)


def _kinds() -> set[str]:
    """Return what a description may begin with: three kinds that Twisted has built in, and those of plugins."""
    return {"tcp", "unix", "ssl", *(parser.prefix for parser in getPlugins(IStreamServerEndpointStringParser))}


class DatagramEndpoint:
    """
    A UDP port. It listens as a stream endpoint does, with the factory that knows the answers.

    :param port: 0 for any free one
    :param interface: the one address to listen on; None for every address of either family
    :param rate: datagrams a second that are answered to one address; 0 for as many as come
    """

    def __init__(self, reactor: Any, port: int, interface: str | None = None, *, rate: int = UDP_RATE.default) -> None:
        self._reactor = reactor
        self._port = port
        self._interface = interface
        self._rate = rate

    def listen(self, protocolFactory: WordEchoFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: WordEchoFactory) -> IListeningPort:
        protocol = WordEchoDatagramProtocol(factory.answer, TokenBuckets(self._reactor, self._rate))
        with bind(socket.SOCK_DGRAM, self._port, self._interface) as bound:
            port: IListeningPort = datagram_port.adopt(
                self._reactor, bound, protocol, READ_SIZE, TURN, factory.turns.wait
            )
        return port
