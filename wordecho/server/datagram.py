"""Datagrams: one is a message, one is its reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from wordecho import wire

# Octets that a datagram can carry over IPv4: 65 535 less the headers of IP (RFC 791) and UDP (RFC 768).
MAX_DATAGRAM = 65_507

# Octets that are read of a datagram. Twisted's default would cut the longest ones short.
READ_SIZE = 65_536


class WordEchoDatagramProtocol(DatagramProtocol):
    """
    The server's end of all datagrams to a port.

    :param answer: makes the reply to a message, as :func:`wordecho.wire.python_engine.answer`
    """

    log = Logger()
    noisy = False

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        message, ending = split_ending(datagram)
        reply = self._answer(message) + ending
        if len(reply) > MAX_DATAGRAM:
            reply = wire.encode(wire.reply_too_long(MAX_DATAGRAM)) + ending
        try:
            self.transport.write(reply, addr)  # type: ignore[union-attr]
        except (OSError, MessageLengthError) as error:
            # No route, a source that is forged (port 0, for one), a full buffer: for a datagram it is all the same.
            self.log.debug("no reply to {host}: {error}", host=addr[0], error=error)


def split_ending(datagram: bytes) -> tuple[bytes, bytes]:
    """Return the message that ``datagram`` is, and the ending that its reply has: its own, or else a line feed."""
    if datagram.endswith(b"\r\n"):
        return datagram[:-2], b"\r\n"
    return datagram.removesuffix(b"\n"), b"\n"
