"""The kinds of stream that a connection of the server can be, each in memory: bytes in, bytes out, no sockets."""

from __future__ import annotations

import json
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from tests.furniture.snippets import commands
from tests.furniture.transports import PEER, Transport, UNIXTransport
from wordecho.server import WordEchoFactory, WordEchoProtocol
from wordecho.server.newcomer import NewcomerFactory, TLSNewcomer
from wordecho.server.proxy import ProxyProtocol
from wordecho.sockets import tls


def make_certificate(folder: Path) -> None:
    """Make ``cert.pem`` and its private key ``key.pem`` in ``folder``, as docs/sockets.rst makes them."""
    command = commands("docs/sockets.rst")[0][0]
    subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)


@cache
def tls_ends() -> tuple[Any, Any]:
    """Return what the two ends of a TLS connection in memory need, the server's and the client's."""
    with TemporaryDirectory() as folder:
        make_certificate(Path(folder))
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        return tls.server_options(cert, key), tls.client_options("localhost", ca=cert)


class Connection:
    """A connection to a server of ``factory``, by TCP unless there is another ``transport``."""

    def __init__(self, factory: WordEchoFactory, transport: Any = None) -> None:
        self.transport: Any = transport or Transport()
        self.protocol: WordEchoProtocol = factory.buildProtocol(self.transport.getPeer())
        self.protocol.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.dataReceived(piece)

    def end_sending(self) -> None:
        self.protocol.readConnectionLost()

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def received(self) -> bytes:
        """Take what the server has sent since the last call."""
        received: bytes = self.transport.value()
        self.transport.clear()
        return received

    def replies(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.received().splitlines()]


class UNIX(Connection):
    """A connection over a UNIX socket; its peer has no name."""

    def __init__(self, factory: WordEchoFactory) -> None:
        super().__init__(factory, UNIXTransport(UNIXAddress(None)))


class PROXY1(Connection):
    """A connection that a proxy hands on with a header of version 1."""

    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 65432\r\n"

    def __init__(self, factory: WordEchoFactory) -> None:
        self.transport: Any = Transport()
        outer: Any = NewcomerFactory(ProxyProtocol, factory, factory).buildProtocol(None)
        self.outer = outer
        self.outer.makeConnection(self.transport)
        self.outer.dataReceived(self.header)
        self.protocol = self.outer.wrappedProtocol

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.outer.dataReceived(piece)

    def end_sending(self) -> None:
        self.outer.readConnectionLost()

    def lose(self) -> None:
        self.outer.connectionLost(Failure(ConnectionDone()))


class PROXY2(PROXY1):
    """Likewise with one of version 2."""

    header = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(
        "!BBH4s4sHH", 0x21, 0x11, 12, bytes([192, 0, 2, 7]), bytes([192, 0, 2, 1]), 50000, 65432
    )


class Recorder(Protocol):
    """
    The client's end of a TLS connection, above TLS.

    :ivar received: the octets that have come since they were last taken
    :ivar reason: why the connection has ended, None while it has not
    """

    reason: Failure | None = None

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


class TLS(Connection):
    """
    A connection with TLS between the two ends, each on a transport of its own.

    :param is_silent: whether the client sends nothing at all
    """

    def __init__(self, factory: WordEchoFactory, peer: Any = PEER, *, is_silent: bool = False) -> None:
        server_options, client_options = tls_ends()
        newcomers = NewcomerFactory(TLSNewcomer, factory, factory)
        wrapping: Any = tls.wrap(server_options, newcomers, factory.reactor)
        self.server: Any = wrapping.buildProtocol(peer)
        client_factory: Any = TLSMemoryBIOFactory(client_options, True, Factory.forProtocol(Recorder), factory.reactor)
        client_factory.protocol = TLSMemoryBIOProtocol
        self.client: Any = client_factory.buildProtocol(None)
        self.recorder: Any = self.client.wrappedProtocol
        self.server_transport, self.client_transport = Transport(peer), Transport()
        self.server.makeConnection(self.server_transport)
        if not is_silent:
            self.client.makeConnection(self.client_transport)
            self.pump()

    @property
    def protocol(self) -> Any:
        return self.server.wrappedProtocol

    @protocol.setter
    def protocol(self, protocol: object) -> None: ...

    @property
    def transport(self) -> TLS:
        """What the tests ask the server's transport."""
        return self

    @transport.setter
    def transport(self, transport: object) -> None: ...

    @property
    def is_ending(self) -> bool:
        return bool(self.server.disconnecting or self.server_transport.disconnecting)

    @property
    def disconnected(self) -> bool:
        return self.server_transport.disconnected

    def pump(self) -> None:
        """Carry the octets of TLS between the two ends until neither has any for the other."""
        ends = ((self.server_transport, self.client), (self.client_transport, self.server))
        while any(sender.value() for sender, _ in ends):
            for sender, receiver in ends:
                octets = sender.value()
                sender.clear()
                if octets:
                    receiver.dataReceived(octets)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.client.write(piece)
            self.pump()

    def say_good_bye(self, *last_words: bytes) -> None:
        """End TLS from the client's side, with ``last_words`` in the same read of the server's."""
        for words in last_words:
            self.client.write(words)
        self.client.loseConnection()
        self.pump()

    def received(self) -> bytes:
        self.pump()
        received: bytes = self.recorder.received
        self.recorder.received = b""
        return received

    def lose(self) -> None:
        self.server.connectionLost(Failure(ConnectionDone()))


def add_each_kind(names: dict[str, Any], *cases: type, not_over_tls: set[str]) -> None:
    """Add to the ``names`` of a module a case with the tests of each of ``cases`` for each kind of stream but TCP."""
    for case in cases:
        for kind in (UNIX, PROXY1, PROXY2, TLS):
            if kind is not TLS or case.__name__ not in not_over_tls:
                name = f"{case.__name__}Over{kind.__name__}"
                names[name] = type(name, (case,), {"kind": kind, "__module__": names["__name__"]})
