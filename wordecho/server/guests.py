"""Who is connected: who may come in, which strangers may be there meanwhile, and when all are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

from wordecho import wire
from wordecho.settings import MAX_STRANGERS
from wordecho.sockets.addresses import host_of
from wordecho.wire import Refusal


class Connection(Protocol):
    """What there is to know of one."""

    transport: Any
    active_at: float

    def make_room(self) -> None:
        """Go at once, as there are too many strangers."""


class Crowd:
    """Some connections, in the order in which they came, and how many there are of each address."""

    def __init__(self) -> None:
        self._hosts: dict[Connection, str | None] = {}
        self._number_of: Counter[str | None] = Counter()

    def __len__(self) -> int:
        return len(self._hosts)

    def number_of(self, host: str | None) -> int:
        return self._number_of[host]

    def add(self, connection: Connection) -> None:
        host = host_of(connection.transport.getPeer())
        self._hosts[connection] = host
        self._number_of[host] += 1

    def discard(self, connection: Connection) -> None:
        if connection in self._hosts:
            host = self._hosts.pop(connection)
            self._number_of[host] -= 1
            if not self._number_of[host]:
                del self._number_of[host]

    def oldest_of_the_most(self) -> Connection:
        """Return the oldest connection of the addresses that have the most."""
        most = max(self._number_of.values())
        return next(connection for connection, host in self._hosts.items() if self._number_of[host] == most)


class Guests:
    """
    All connections: the guests, who were let in, and the strangers.

    A stranger is a newcomer, of whom it is not known yet who it is, or one that was refused and has a while to read
    why. Where there are too many, the oldest one of the address with the most of them goes: whoever makes many makes
    room for others at his own expense.

    :param max_connections: guests at once
    :param max_connections_per_host: guests at once from one address; 0 for as many as there may be in all

    :ivar taken: how many have been let in so far
    """

    def __init__(self, max_connections: int, max_connections_per_host: int) -> None:
        self.max_connections = max_connections
        self.max_connections_per_host = max_connections_per_host
        self.taken = 0
        self._all: set[Connection] = set()
        self._guests = Crowd()
        self._strangers = Crowd()
        self._awaiting_none: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        """Iterate over those that are there now, whoever comes or goes meanwhile."""
        return iter(list(self._all))

    def receive(self, newcomer: Connection) -> None:
        """Have ``newcomer`` there until it is known who it is."""
        self._all.add(newcomer)
        self._add_stranger(newcomer)

    def replace(self, newcomer: Connection, begin: Callable[[], None]) -> None:
        """Have ``begin`` make of ``newcomer``, which is none any more, what comes next."""
        self._strangers.discard(newcomer)
        try:
            begin()
        finally:
            self.forget(newcomer)  # not before, or there might seem to be nobody left

    def admit(self, connection: Connection) -> Refusal | None:
        """Take ``connection`` in, or return why it is one too many."""
        self._all.add(connection)
        refusal = self._refusal(host_of(connection.transport.getPeer()))
        if refusal is None:
            self._guests.add(connection)
            self.taken += 1
        else:
            self._add_stranger(connection)
        return refusal

    def forget(self, connection: Connection) -> None:
        """Take note that ``connection`` is gone."""
        self._all.discard(connection)
        self._guests.discard(connection)
        self._strangers.discard(connection)
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

    def _refusal(self, host: str | None) -> Refusal | None:
        if len(self._guests) >= self.max_connections:
            return wire.too_many_connections(self.max_connections)
        if host is not None and self._guests.number_of(host) >= self.max_connections_per_host > 0:
            return wire.too_many_connections(self.max_connections_per_host, of_one_host=True)
        return None

    def _add_stranger(self, stranger: Connection) -> None:
        self._strangers.add(stranger)
        if len(self._strangers) > MAX_STRANGERS:
            one_too_many = self._strangers.oldest_of_the_most()
            self._strangers.discard(one_too_many)
            one_too_many.make_room()
