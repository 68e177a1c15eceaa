"""What a reactor and a factory agree on, so that many short messages cost less than each of them would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IProtocolFactory


class IBatchFactory(IProtocolFactory):
    """
    A factory that answers what several connections have received for less than it could answer each.

    The reactor of :mod:`wordecho.reactor` gives it what connections of one port have received by one poll. Other
    reactors know nothing of it, and call ``dataReceived()`` of each protocol.
    """

    # An interface declares its methods without self.
    def answer_batch(reads: list[tuple[Any, bytes]]) -> Sequence[bytes | None]:
        """
        Return what to send to each connection for what it has received.

        None stands for a connection whose protocol's ``dataReceived()`` is to be called as ever. Should this method
        raise, that is done for all of them.

        :param reads: the transport of each connection, none of them twice, and what it has received
        """
