"""What twistd sees: the options of ``twistd wordecho`` and the service that they make."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from wordecho import options
from wordecho.server.drain import Drain
from wordecho.server.endpoints import DatagramEndpoint, Endpoint, endpoint_from_string
from wordecho.server.factory import WordEchoFactory
from wordecho.service import worker
from wordecho.service.signals import SecondSignal
from wordecho.sockets import tcp_info
from wordecho.sockets.addresses import show_port
from wordecho.sockets.endpoints import tcp_endpoint
from wordecho.sockets.ports import rest_when_exhausted
from wordecho.wire import DEFAULT_MAX_LENGTH, DEFAULT_PORT
from wordecho.wire.engine import versions


def ip_address(value: str) -> str:
    if not isIPAddress(value) and not isIPv6Address(value):
        raise usage.UsageError(f"--interface takes an IPv4 or IPv6 address of this machine, not {value!r}.")
    return value


def number_of_workers(value: str) -> int:
    number = os.cpu_count() or 1 if value == "auto" else options.whole_number("workers", 1, 1024)(value)
    if number > 1 and value != "auto" and not worker.can_share_port():
        raise usage.UsageError(
            f"--workers takes no more than 1 on this platform, where a port cannot be shared, not {value!r}."
        )
    return number if worker.can_share_port() else 1


class Options(options.Options):
    """
    The command line of ``twistd wordecho``.

    :ivar arguments: it, as it was given
    """

    synopsis = "[options]"
    longdesc = (
        "Answers each line that a connection sends with one line of JSON: the unique words of the message and its "
        "total length."
    )
    optParameters = [  # noqa: RUF012 (Twisted's own way to declare them)
        [
            "port",
            "p",
            None,
            f"TCP port to listen on, 0 for any free one [default: {DEFAULT_PORT}, none where --listen is given]",
            options.whole_number("port", 0, 65535),
        ],
        ["interface", "i", None, "address to listen on [default: all, IPv6 and IPv4]", ip_address],
        [
            "udp",
            None,
            None,
            "UDP port to take datagrams on besides, 0 for any free one",
            options.whole_number("udp", 0, 65535),
        ],
        ["cert", None, None, "file of the certificate of tls: endpoints, in PEM, with its chain after it"],
        ["key", None, None, "file of its private key, in PEM [default: the file of --cert]"],
        ["ca", None, None, "file of the authorities that must vouch for the clients of tls: endpoints [default: none]"],
        [
            "max-length",
            None,
            DEFAULT_MAX_LENGTH,
            "bytes in a message",
            options.whole_number("max-length", 1, 2**30),
        ],
        [
            "max-connections",
            None,
            10_000,
            "connections at once",
            options.whole_number("max-connections", 1, 10**6),
        ],
        [
            "max-connections-per-host",
            None,
            0,
            "connections at once from one address, 0 for no such limit",
            options.whole_number("max-connections-per-host", 0, 10**6),
        ],
        [
            "idle-timeout",
            None,
            300,
            "seconds without a byte after which a connection is closed, 0 for never",
            options.seconds("idle-timeout"),
        ],
        [
            "quiet-period",
            None,
            2,
            "seconds after which the message of a client that has never sent a line feed is answered, 0 for never",
            options.seconds("quiet-period"),
        ],
        [
            "workers",
            None,
            1,
            "processes that share the port, auto for one for each core; the limits are those of each of them",
            number_of_workers,
        ],
        [
            "worker",
            None,
            None,
            "the process that --workers runs in, for one of the workers: accept on the socket that it has made",
            options.whole_number("worker", 1, 2**31),
        ],
        [
            "drain-timeout",
            None,
            10,
            "seconds that a stop may take to answer what is due",
            options.seconds("drain-timeout"),
        ],
    ]
    optFlags = [  # noqa: RUF012
        ["ignore-case", None, "count words that differ in nothing but case as one unique word"],
        ["counts", None, "say in each reply how often each of the unique words occurs"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.endpoints: list[Endpoint] = []
        self._descriptions: list[str] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        self.arguments = list(options or ())
        # By now twistd has installed the reactor that its own options ask for. From here on we ourselves use it.
        if "twisted.internet.reactor" not in sys.modules:
            with suppress(ImportError):  # there is no epoll here; Twisted has a default for every platform
                from wordecho.reactor import install

                install()
        super().parseOptions(options)

    def opt_listen(self, description: str) -> None:
        """A Twisted server endpoint to listen on, as in unix:/run/wordecho.sock; may be given several times."""
        self._descriptions.append(description)

    opt_l = opt_listen

    def postOptions(self) -> None:
        if self["idle-timeout"] and self["quiet-period"] >= self["idle-timeout"]:
            raise usage.UsageError(
                f"--quiet-period must be shorter than --idle-timeout, or no quiet client is ever answered; "
                f"{self['quiet-period']} is not shorter than {self['idle-timeout']}."
            )
        if self["interface"] is not None and self["port"] is None and self["udp"] is None and self._descriptions:
            raise usage.UsageError(
                f"--interface {self['interface']} goes with --port; name the address in the --listen endpoint instead."
            )
        if self["workers"] > 1 and (self._descriptions or self["udp"] is not None):
            raise usage.UsageError(
                f"--workers {self['workers']} share a --port; they cannot share what --listen or --udp name."
            )
        from twisted.internet import reactor

        if self["worker"]:
            self.endpoints.append(AdoptedStreamServerEndpoint(reactor, worker.ADOPTED, worker.adopted_family()))
        elif self["port"] is not None or not self._descriptions:
            port = DEFAULT_PORT if self["port"] is None else self["port"]
            self.endpoints.append(tcp_endpoint(reactor, port, self["interface"]))
        if self["udp"] is not None:
            self.endpoints.append(DatagramEndpoint(reactor, self["udp"], self["interface"]))
        tls = self._tls_options()
        for description in self._descriptions:
            try:
                self.endpoints.append(endpoint_from_string(reactor, description, tls))
            except Exception as error:  # whatever a description's own parser raises
                raise usage.UsageError(
                    f"--listen takes a server endpoint such as tcp:65432 or unix:/run/wordecho.sock, not "
                    f"{description!r}: {str(error).rstrip('.')}."
                ) from error

    def _tls_options(self) -> Any:
        """
        Return the ``CertificateOptions`` for ``tls:`` endpoints, None where no certificate is given.

        :raises usage.UsageError: if the certificates are of no use.
        """
        given = [f"--{option} {self[option]}" for option in ("cert", "key", "ca") if self[option] is not None]
        if not given:
            return None
        # A certificate that nothing uses is a mistake; one that only seems to be asked of clients is a worse one.
        if not any(description.startswith("tls:") for description in self._descriptions):
            raise usage.UsageError(f"{given[-1]} goes with --listen tls:ENDPOINT, and none is given.")
        if self["ca"] is not None and any(description.startswith("ssl:") for description in self._descriptions):
            raise usage.UsageError(f"--ca {self['ca']} goes with tls: endpoints; an ssl: endpoint would take anybody.")
        if self["cert"] is None:
            raise usage.UsageError(f"{given[-1]} needs --cert, the certificate of the server.")
        try:
            from wordecho.sockets.tls import server_options
        except ImportError as error:
            raise usage.UsageError(options.TLS_IS_MISSING) from error
        try:
            return server_options(self["cert"], self["key"], self["ca"])
        except ValueError as error:
            raise usage.UsageError(f"{', '.join(given)}: {error}") from error


class CannotStart(SystemExit, Exception):
    """
    The service cannot start, and its message says why in one sentence.

    twistd cleans up after an :class:`Exception` and tells the process that waits for its daemon; Python ends quietly,
    with the message on standard error and exit status 1, at a :class:`SystemExit`.
    """


# Descriptors that the process needs besides those of the connections that it takes: standard streams, the reactor's,
# the ports, the log, and the refused connections that linger.
SPARE_DESCRIPTORS = 64


class WordEchoService(Service):
    """
    Listens on some endpoints for as long as it runs.

    :param drain_timeout: seconds that a stop may take to answer what is due
    """

    log = Logger()

    def __init__(self, endpoints: Sequence[Endpoint], factory: WordEchoFactory, *, drain_timeout: float = 10) -> None:
        self.endpoints = endpoints
        self.factory = factory
        self._drain = Drain(factory, drain_timeout)
        self._ports: list[IListeningPort] = []
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
            endpoint.listen(self.factory).addCallbacks(self._listening, self._not_listening)
        if self._problems:
            for port in self._ports:
                port.stopListening()
            raise CannotStart("wordecho: " + " ".join(self._problems))

    def startService(self) -> None:
        from twisted.internet import reactor

        if not self._ports:
            self.privilegedStartService()
        super().startService()
        self._signals = SecondSignal(cast(IReactorFromThreads, reactor), self._drain.abort)
        cast(IReactorCore, reactor).callWhenRunning(self._signals.take)
        # Who reads that the service listens may stop it, and only a reactor that runs turns a signal into a clean stop.
        cast(IReactorCore, reactor).callWhenRunning(self._log_addresses)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Stop listening, answer what is due, and let the connections go."""
        super().stopService()
        ports, self._ports = self._ports, []
        yield self._drain.run(ports)
        self._signals.restore()

    def _raise_descriptor_limit(self) -> None:
        guests = self.factory.guests
        limit = tcp_info.raise_descriptor_limit(guests.max_connections + SPARE_DESCRIPTORS)
        if limit < guests.max_connections + SPARE_DESCRIPTORS:
            wanted, guests.max_connections = guests.max_connections, max(1, limit - SPARE_DESCRIPTORS)
            self.log.warn(
                "The hard limit of open descriptors is {limit}: at most {possible} connections, not {wanted}",
                limit=limit,
                possible=guests.max_connections,
                wanted=wanted,
            )

    def _listening(self, port: IListeningPort) -> None:
        rest_when_exhausted(port, self.factory.reactor)
        self._ports.append(port)

    def _log_addresses(self) -> None:
        for port in self._ports:
            self.log.info("Listening on {address}", address=show_port(port))

    def _not_listening(self, failure: Failure) -> None:
        self._problems.append(failure.getErrorMessage())
        self.log.critical("Not listening: {problem}", problem=failure.getErrorMessage())


def use_monotonic_clock(reactor: Any) -> None:
    """
    Have ``reactor`` tell the time by a clock that never jumps.

    Twisted's reactors go by the wall clock: set forward, it would time out every connection at once; set back, no timer
    would run until it has caught up.
    """
    if not reactor.getDelayedCalls():  # those would never run
        reactor.seconds = time.monotonic


def makeService(options: Options) -> IService:
    """Make the service of ``twistd wordecho`` as its command line has it."""
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    if options["workers"] > 1:
        return _make_workers(options)
    factory = WordEchoFactory(
        cast(IReactorTime, reactor),
        max_length=options["max-length"],
        max_connections=options["max-connections"],
        max_connections_per_host=options["max-connections-per-host"],
        idle_timeout=options["idle-timeout"],
        quiet_period=options["quiet-period"],
        ignore_case=bool(options["ignore-case"]),
        counts=bool(options["counts"]),
    )
    service = WordEchoService(options.endpoints, factory, drain_timeout=options["drain-timeout"])
    if not options["worker"]:
        return service
    both = MultiService()
    service.setServiceParent(both)
    worker.end_with(options["worker"], reactor).setServiceParent(both)
    return both


def _make_workers(options: Options) -> IService:
    from twisted.internet import reactor

    from wordecho.service.supervisor import WorkersService  # which cannot be imported before a reactor is chosen

    chosen = options.parent.get("reactor") if options.parent else None
    arguments = ["-n", "--pidfile=", *([f"--reactor={chosen}"] if chosen else [])]
    arguments += ["wordecho", *options.arguments, "--workers=1"]
    port = DEFAULT_PORT if options["port"] is None else options["port"]
    return WorkersService(
        reactor, options["interface"], port, options["workers"], arguments, drain_timeout=options["drain-timeout"]
    )
