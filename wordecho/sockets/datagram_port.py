"""A UDP port that has a share of each turn, however many datagrams come."""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EAGAIN, ECONNREFUSED, EINTR, EWOULDBLOCK
from typing import Any

from twisted.internet.udp import Port
from twisted.python import log


class DatagramPort(Port):
    """
    A :class:`Port` that waits for its turn once the datagrams of one have taken their time.

    The original reads until it has so many octets, and empty datagrams have none: a flood of them holds up everybody
    else for as long as it lasts.

    :ivar share: seconds that the datagrams of one turn may take
    :ivar wait: is called with what is to be called in the next one
    """

    reactor: Any  # Twisted declares one that tells no time
    share: float
    wait: Callable[[Callable[[], None]], None]

    def doRead(self) -> None:
        if self._read_share():
            self.stopReading()
            self.wait(self._go_on)

    def stopListening(self) -> Any:
        """Read what waits, for as long as the share of a turn, and close the port."""
        self._read_share()
        return super().stopListening()

    def _read_share(self) -> bool:
        """Read for as long as the share of a turn, and return whether there may be more."""
        end = self.reactor.seconds() + self.share
        while self._read_one():
            if self.reactor.seconds() >= end:
                return True
        return False

    def _read_one(self) -> bool:
        """Read a datagram, and return whether there may be another one."""
        try:
            datagram, address = self.socket.recvfrom(self.maxPacketSize)
        except OSError as error:
            if error.errno in (EAGAIN, EWOULDBLOCK, EINTR, ECONNREFUSED):
                return False
            raise
        try:
            self.protocol.datagramReceived(datagram, address[:2])  # without the flow and the scope of IPv6, as Twisted
        except BaseException:
            log.err()
        return bool(self.connected)

    def _go_on(self) -> None:
        if self.connected:
            self.startReading()


def adopt(
    reactor: Any, bound: socket.socket, protocol: Any, max_size: int, share: float, wait: Callable[..., None]
) -> DatagramPort:
    """
    Take datagrams on a copy of the socket ``bound``.

    :param max_size: octets that are read of a datagram
    :param share: as that of :class:`DatagramPort`, and so is ``wait``
    """
    port: DatagramPort = DatagramPort._fromListeningDescriptor(
        reactor, bound.fileno(), bound.family, protocol, max_size
    )
    port.share, port.wait = share, wait
    port.startListening()
    return port
