"""Who is connected: who may come in, who of those that may not is given the time to read why, and when all are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from wordecho import wire
from wordecho.settings import MAX_LINGERING
from wordecho.sockets.addresses import host_of
from wordecho.wire import Refusal

if TYPE_CHECKING:
    from wordecho.server.connection import WordEchoProtocol


class Guests:
    """
    All connections, those that are refused among them.

    :param max_connections: connections at once
    :param max_connections_per_host: connections at once from one address; 0 for as many as there may be in all

    :ivar taken: how many have been let in so far
    """

    def __init__(self, max_connections: int, max_connections_per_host: int) -> None:
        self.max_connections = max_connections
        self.max_connections_per_host = max_connections_per_host
        self.taken = 0
        self._all: set[WordEchoProtocol] = set()
        self._hosts: dict[WordEchoProtocol, str | None] = {}  # of those that are not refused
        self._number_of: Counter[str | None] = Counter()
        self._awaiting_none: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[WordEchoProtocol]:
        """Iterate over those that are there now, whoever comes or goes meanwhile."""
        return iter(list(self._all))

    def admit(self, connection: WordEchoProtocol) -> Refusal | None:
        """Take ``connection`` in, or return why it is one too many."""
        self._all.add(connection)
        host = host_of(connection.transport.getPeer())
        if len(self._hosts) >= self.max_connections:
            return wire.too_many_connections(self.max_connections)
        if host is not None and self._number_of[host] >= self.max_connections_per_host > 0:
            return wire.too_many_connections(self.max_connections_per_host, of_one_host=True)
        self._hosts[connection] = host
        self._number_of[host] += 1
        self.taken += 1
        return None

    def may_linger(self, connection: WordEchoProtocol) -> bool:
        """Whether ``connection``, once left, may stay until its peer closes; many refused ones at once may not."""
        return connection in self._hosts or len(self._all) - len(self._hosts) <= MAX_LINGERING

    def forget(self, connection: WordEchoProtocol) -> None:
        """Take note that ``connection`` is gone."""
        self._all.discard(connection)
        if connection in self._hosts:
            host = self._hosts.pop(connection)
            self._number_of[host] -= 1
            if not self._number_of[host]:
                del self._number_of[host]
        if not self._all:
            awaiting, self._awaiting_none = self._awaiting_none, []
            for deferred in awaiting:
                deferred.callback(None)

    def when_none(self) -> Deferred[None]:
        """Return what fires when there is no connection left."""
        if not self._all:
            return succeed(None)
        deferred: Deferred[None] = Deferred()
        self._awaiting_none.append(deferred)
        return deferred
