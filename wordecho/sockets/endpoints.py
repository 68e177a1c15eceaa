"""Where the server listens: from ports and descriptions to endpoints, and from what listens to what the log says."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from typing import Protocol as Shape

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from wordecho.server.connection import WordEchoFactory, show_address
from wordecho.server.datagram import READ_SIZE, WordEchoDatagramProtocol
from wordecho.server.proxy import ProxyFactory
from wordecho.sockets.ports import BACKLOG

try:
    import fcntl
except ImportError:  # Windows, where nothing here that needs it is to be had
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions


class Endpoint(Shape):
    """What the service listens on: a stream endpoint of Twisted's, or datagrams."""

    def listen(self, protocolFactory: WordEchoFactory, /) -> Deferred[IListeningPort]:
        """Listen; fails with :class:`CannotListenError`."""


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


def endpoint_from_string(reactor: Any, description: str, tls: CertificateOptions | None = None) -> Any:
    """
    Return the endpoint of a description: one of Twisted's, or ``haproxy:`` or ``tls:`` before another one.

    :param tls: the certificates for ``tls:``
    :return: an :class:`IStreamServerEndpoint`
    :raises Exception: if the description does not parse; each kind of endpoint has errors of its own.
    """
    kind, _, rest = description.partition(":")
    if kind == "haproxy":
        if rest.startswith(("tls:", "ssl:")):
            raise ValueError("a proxy sends its header before TLS begins; write tls:haproxy:tcp:PORT")
        endpoint = endpoint_from_string(reactor, rest, tls)
        return WrappingEndpoint(endpoint, lambda factory: ProxyFactory(reactor, factory))
    if kind == "tls":
        if tls is None:
            raise ValueError("it needs --cert")
        from wordecho.sockets.tls import wrap

        endpoint = endpoint_from_string(reactor, rest, tls)
        return WrappingEndpoint(endpoint, lambda factory: wrap(tls, factory, reactor))
    if kind == "unix" and not rest.partition(":")[0]:
        raise ValueError("it names no file")
    if kind == "ssl" and ":sslmethod=" in description:
        raise ValueError("the version of TLS is not to be chosen; it is 1.2 or newer")
    return serverFromString(LocalSockets(reactor), description)


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


class DatagramEndpoint:
    """
    A UDP port. It listens as a stream endpoint does, with the factory that knows the answers.

    :param port: 0 for any free one
    :param interface: the one address to listen on; None for every address of either family
    """

    def __init__(self, reactor: Any, port: int, interface: str | None = None) -> None:
        self._reactor = reactor
        self._port = port
        self._interface = interface

    def listen(self, protocolFactory: WordEchoFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, WordEchoDatagramProtocol(protocolFactory.answer))

    def _listen(self, protocol: WordEchoDatagramProtocol) -> IListeningPort:
        port: IListeningPort
        if self._interface is not None:
            port = self._reactor.listenUDP(self._port, protocol, self._interface, READ_SIZE)
            return port
        with bind(socket.SOCK_DGRAM, self._port) as bound:
            port = self._reactor.adoptDatagramPort(bound.fileno(), bound.family, protocol, READ_SIZE)
        return port


@implementer(IStreamServerEndpoint)
class WrappingEndpoint:
    """An endpoint whose connections have a protocol of their own below that of its factory."""

    def __init__(self, endpoint: IStreamServerEndpoint, wrap: Callable[[IProtocolFactory], IProtocolFactory]) -> None:
        self._endpoint = endpoint
        self._wrap = wrap

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return self._endpoint.listen(self._wrap(protocolFactory))


def bind(kind: socket.SocketKind, port: int, interface: str | None = None, *, shared: bool = False) -> socket.socket:
    """
    Return a socket that is bound to ``port``.

    :param kind: SOCK_STREAM or SOCK_DGRAM
    :param interface: the one address; None for every address, IPv6 and IPv4, or IPv4 alone where there is no IPv6
    :param shared: whether other sockets that are bound so may have the same port (SO_REUSEPORT)
    :raises CannotListenError: if the port is taken, or may not be had.
    """
    try:
        if interface is not None:
            family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
            return _bind(family, kind, port, interface, shared)
        if socket.has_dualstack_ipv6():
            try:
                return _bind(socket.AF_INET6, kind, port, "", shared)
            except OSError as error:
                # A kernel may know IPv6 and yet have none, as where an administrator has turned it off.
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return _bind(socket.AF_INET, kind, port, "", shared)
    except OSError as error:
        raise CannotListenError(interface or "", port, error) from None


def _bind(
    family: socket.AddressFamily, kind: socket.SocketKind, port: int, interface: str, shared: bool
) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6 and not interface:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM and os.name == "posix":
            # Elsewhere this would let two servers have the same port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((interface, port))
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


class LocalSockets:
    """
    A reactor that listens on a UNIX socket whose file an earlier server has left behind, and on no other's.

    Twisted's own way is a lock file with the process's number in it. After a crash that number is somebody else's, or,
    in a container, that of the new server itself; then the lock holds for ever.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenUNIX(
        self, address: str, factory: IProtocolFactory, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> IListeningPort:
        try:
            directory = os.open(os.path.dirname(address) or ".", os.O_RDONLY)
        except OSError as error:
            raise CannotListenError("unix", address, error) from None
        try:
            # Two servers that start at once must not both find that the file is left behind.
            fcntl.flock(directory, fcntl.LOCK_EX)
            remove_stale_socket(address)
            port: IListeningPort = self._reactor.listenUNIX(address, factory, backlog, mode, False)
        except CannotListenError as error:
            raise CannotListenError("unix", address, error.socketError) from None
        finally:
            os.close(directory)
        return port


def remove_stale_socket(path: str) -> None:
    """Remove the socket ``path`` if no server listens on it; leave it, or what else is there, if one may."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.remove(path)
    except OSError:
        return  # whatever it is, listening will tell


def show_port(port: IListeningPort) -> str:
    """Write where ``port`` listens as people do, ready for the log."""
    address: Any = port.getHost()
    shown = show_address(address)
    if isinstance(address, IPv6Address) and address.host == "::" and not _is_ipv6_only(port):
        shown += f" and 0.0.0.0:{address.port}"
    return f"{shown} (UDP)" if getattr(address, "type", None) == "UDP" else shown


def _is_ipv6_only(port: Any) -> bool:
    return bool(port.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
