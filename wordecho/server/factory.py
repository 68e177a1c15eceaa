"""The factory: it makes the protocol of each connection, and has what they share."""

from __future__ import annotations

from functools import partial

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from wordecho import settings
from wordecho.server.connection import WordEchoProtocol
from wordecho.server.guests import Guests
from wordecho.server.turns import Turns
from wordecho.wire.engine import ENGINE, Engine


class WordEchoFactory(ServerFactory):
    """
    Makes the protocol of each connection, and has what they share.

    :param reactor: the clock of all timeouts
    :param max_length: bytes in a message, its ending not counted
    :param max_connections: connections at once
    :param max_connections_per_host: connections at once from one address; 0 for as many as there may be in all
    :param idle_timeout: seconds without a byte from the peer after which it is sent away; 0 for never
    :param handshake_timeout: seconds that a TLS handshake, or a header of the PROXY protocol, may take; 0 for as long
        as it takes
    :param quiet_period: seconds after which a peer that has never sent a line feed has ended its message; 0 for never
    :param ignore_case: whether words that differ in nothing but case are one unique word
    :param counts: whether replies say how often each unique word occurs
    :param engine: what answers the messages
    :ivar guests: the connections
    :ivar turns: those of them that have used up their time
    """

    noisy = False  # the service logs where it listens

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        max_length: int = settings.MAX_LENGTH.default,
        max_connections: int = settings.MAX_CONNECTIONS.default,
        max_connections_per_host: int = settings.MAX_CONNECTIONS_PER_HOST.default,
        idle_timeout: float = settings.IDLE_TIMEOUT.default,
        handshake_timeout: float = settings.HANDSHAKE_TIMEOUT.default,
        quiet_period: float = settings.QUIET_PERIOD.default,
        ignore_case: bool = False,
        counts: bool = False,
        engine: Engine = ENGINE,
    ) -> None:
        self.reactor = reactor
        self.seconds = reactor.seconds
        self.max_length = max_length
        self.idle_timeout = idle_timeout
        self.handshake_timeout = handshake_timeout
        self.quiet_period = quiet_period
        self.ignore_case = ignore_case
        self.counts = counts
        self.answer_lines = engine.answer_lines
        self.answer = partial(engine.answer, max_length=max_length, ignore_case=ignore_case, counts=counts)
        self.turns = Turns(reactor)
        self.guests = Guests(max_connections, max_connections_per_host)

    def buildProtocol(self, addr: IAddress | None) -> WordEchoProtocol:
        return WordEchoProtocol(self)
