"""The service that ``twistd wordecho`` runs: it listens, and at a stop it drains."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IListeningPort, IReactorCore, IReactorFromThreads, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure

from wordecho.server.drain import Drain
from wordecho.server.endpoints import Endpoint
from wordecho.server.factory import WordEchoFactory
from wordecho.service.descriptors import raise_descriptor_limit
from wordecho.service.signals import SecondSignal
from wordecho.settings import DRAIN_TIMEOUT, SPARE_DESCRIPTORS
from wordecho.sockets.addresses import show_port
from wordecho.sockets.amendments import rest_when_exhausted
from wordecho.sockets.endpoints import is_shared
from wordecho.wire.engine import versions


class CannotStart(SystemExit, Exception):
    """
    The service cannot start, and its message says why in one sentence.

    twistd cleans up after an :class:`Exception` and tells the process that waits for its daemon; Python ends quietly,
    with the message on standard error and exit status 1, at a :class:`SystemExit`.
    """


class WordEchoService(Service):
    """
    Listens on some endpoints for as long as it runs.

    :param drain_timeout: seconds that a stop may take to answer what is due
    """

    log = Logger()

    def __init__(
        self, endpoints: Sequence[Endpoint], factory: WordEchoFactory, *, drain_timeout: float = DRAIN_TIMEOUT.default
    ) -> None:
        self.endpoints = endpoints
        self.factory = factory
        self._drain = Drain(factory, drain_timeout)
        self._ports: list[IListeningPort] = []
        self._shared: list[IListeningPort] = []  # those of them whose sockets other processes have too
        self._problems: list[str] = []

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still do so on a port below 1024.

        :raises CannotStart: if an endpoint cannot be listened on.
        """
        super().privilegedStartService()
        self.log.info("{versions}", versions=versions())
        self._raise_descriptor_limit()
        for endpoint in self.endpoints:
            endpoint.listen(self.factory).addCallbacks(
                self._listening, self._not_listening, callbackArgs=(is_shared(endpoint),)
            )
        if self._problems:
            for port in self._ports:
                # stopListening() would close it in a later turn of the reactor, which never comes.
                cast(IReadDescriptor, port).connectionLost(Failure(CONNECTION_DONE))
            raise CannotStart("wordecho: " + " ".join(self._problems))

    def startService(self) -> None:
        from twisted.internet import reactor

        if not self._ports:
            self.privilegedStartService()
        super().startService()
        self._signals = SecondSignal(cast(IReactorFromThreads, reactor), self._drain.cut_off)
        cast(IReactorCore, reactor).callWhenRunning(self._signals.take)
        # Who reads that the service listens may stop it, and only a reactor that runs turns a signal into a clean stop.
        cast(IReactorCore, reactor).callWhenRunning(self._log_addresses)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Stop listening, answer what is due, and let the connections go."""
        super().stopService()
        ports, self._ports = self._ports, []
        yield self._drain.run(ports, self._shared)
        self._signals.restore()

    def _raise_descriptor_limit(self) -> None:
        guests = self.factory.guests
        limit = raise_descriptor_limit(guests.max_connections + SPARE_DESCRIPTORS)
        if limit < guests.max_connections + SPARE_DESCRIPTORS:
            wanted, guests.max_connections = guests.max_connections, max(1, limit - SPARE_DESCRIPTORS)
            self.log.warn(
                "The hard limit of open descriptors is {limit}: at most {possible} connections, not {wanted}",
                limit=limit,
                possible=guests.max_connections,
                wanted=wanted,
            )

    def _listening(self, port: IListeningPort, is_shared: bool) -> None:
        rest_when_exhausted(port, self.factory.reactor)
        self._ports.append(port)
        if is_shared:
            self._shared.append(port)

    def _log_addresses(self) -> None:
        for port in self._ports:
            self.log.info("Listening on {address}", address=show_port(port))

    def _not_listening(self, failure: Failure) -> None:
        self._problems.append(failure.getErrorMessage())
        self.log.critical("Not listening: {problem}", problem=failure.getErrorMessage())
