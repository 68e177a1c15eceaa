"""A transport in memory: bytes in, bytes out, and whatever else Twisted's own do that its StringTransport does not."""

from __future__ import annotations

import math
import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITCPTransport, IUNIXTransport
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides

PEER = IPv4Address("TCP", "192.0.2.1", 5000)


class Transport(StringTransport):
    """
    One of TCP, unless its ``interfaces`` say something else.

    :param room: octets that it keeps for its peer before it asks its producer for a pause
    :ivar acknowledged: octets that the peer's kernel has acknowledged
    :ivar has_ended_sending: whether its protocol has ended the sending side
    :ivar options: the options of its socket that were set
    """

    def __init__(
        self, peer: Any = PEER, *, room: float = math.inf, interfaces: tuple[Any, ...] = (ITCPTransport,)
    ) -> None:
        super().__init__(peerAddress=peer)
        directlyProvides(self, *interfaces)
        self.room = room
        self.acknowledged = 0
        self.has_ended_sending = False
        self.options: set[str] = set()
        self._has_asked = False

    # The two ends of the connection

    @property
    def is_ending(self) -> bool:
        """Whether nothing is sent any more after what has been written."""
        return self.has_ended_sending or self.disconnecting

    def loseWriteConnection(self) -> None:
        self.has_ended_sending = True

    # Back-pressure

    @property
    def has_paused_its_producer(self) -> bool:
        return self._has_asked and self.producer is not None

    def write(self, data: bytes) -> None:
        super().write(data)
        if data and len(self.value()) > self.room:
            self.ask_for_a_pause()

    def ask_for_a_pause(self) -> None:
        if self.producer is not None:
            self._has_asked = True
            self.producer.pauseProducing()

    def flush(self) -> bytes:
        """Take what was written, and go on as a transport does that has nothing left to send."""
        sent: bytes = self.value()
        self.clear()
        if self.producer is not None and self._has_asked:
            self._has_asked = False
            self.producer.resumeProducing()
        return sent

    # The socket

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._set("TCP_NODELAY", enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._set("SO_KEEPALIVE", enabled)

    def _set(self, option: str, enabled: bool) -> None:
        (self.options.add if enabled else self.options.discard)(option)

    def getHandle(self) -> Transport:
        return self

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """Answer as Linux does when it is asked for TCP_INFO: of ``tcpi_bytes_acked`` and nothing else."""
        return struct.pack("=120xQ", self.acknowledged)[:size]


class UNIXTransport(Transport):
    """One of a UNIX socket: Twisted's provide what those of TCP do, but no option of TCP can be set."""

    def __init__(self, peer: Any) -> None:
        super().__init__(peer, interfaces=(IUNIXTransport, ITCPTransport))

    def setTcpNoDelay(self, enabled: bool) -> None:
        raise OSError("Operation not supported")

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        raise OSError("Operation not supported")
