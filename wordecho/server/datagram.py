"""The server's end of datagrams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from wordecho.server.buckets import TokenBuckets
from wordecho.sockets.addresses import is_local
from wordecho.wire.datagrams import is_reply, reply_to


class WordEchoDatagramProtocol(DatagramProtocol):
    """
    The server's end of all datagrams to a port.

    Whom a datagram is from, anybody can forge. So that no two servers can be made to answer each other, nor one itself,
    a reply is never answered, nor is what comes from this port.

    :param answer: makes the reply to a message, as :func:`wordecho.wire.python_engine.answer`
    :param buckets: say how many datagrams of one address are answered
    """

    log = Logger()
    noisy = False

    transport: Any  # Twisted declares an ITransport or None here, which has no getHost() of its own kind

    def __init__(self, answer: Callable[[bytes], bytes], buckets: TokenBuckets) -> None:
        self._answer = answer
        self._buckets = buckets

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        host, port = addr
        if is_reply(datagram) or (port == self.transport.getHost().port and is_local(host)):
            self.log.debug("a reply from {host} is not answered", host=host)
        elif self._buckets.take(host):
            self._reply(reply_to(datagram, self._answer), addr)

    def _reply(self, reply: bytes, addr: Any) -> None:
        try:
            self.transport.write(reply, addr)
        except (OSError, MessageLengthError) as error:
            # No route, a source that is forged (port 0, for one), a full buffer: for a datagram it is all the same.
            self.log.debug("no reply to {host}: {error}", host=addr[0], error=error)
