"""The server's end of datagrams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from wordecho.wire.datagrams import reply_to


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
        reply = reply_to(datagram, self._answer)
        try:
            self.transport.write(reply, addr)  # type: ignore[union-attr]
        except (OSError, MessageLengthError) as error:
            # No route, a source that is forged (port 0, for one), a full buffer: for a datagram it is all the same.
            self.log.debug("no reply to {host}: {error}", host=addr[0], error=error)
