"""What twistd sees: the options of ``twistd wordecho`` and the service that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from wordecho import options
from wordecho.server import WordEchoFactory, show_address
from wordecho.wire import DEFAULT_MAX_LENGTH, DEFAULT_PORT


def ip_address(value: str) -> str:
    if not isIPAddress(value) and not isIPv6Address(value):
        raise usage.UsageError(f"--interface takes an IPv4 or IPv6 address of this machine, not {value!r}.")
    return value


class Options(options.Options):
    """The command line of ``twistd wordecho``."""

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
        ["interface", "i", None, "address to listen on [default: all]", ip_address],
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
    ]
    optFlags = [  # noqa: RUF012
        ["ignore-case", None, "count words that differ in nothing but case as one unique word"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.endpoints: list[IStreamServerEndpoint] = []

    def opt_listen(self, description: str) -> None:
        """A Twisted server endpoint to listen on, as in unix:/run/wordecho.sock; may be given several times."""
        from twisted.internet import reactor

        try:
            self.endpoints.append(serverFromString(reactor, description))
        except Exception as error:  # whatever a description's own parser raises
            raise usage.UsageError(
                f"--listen takes a server endpoint such as tcp:65432 or unix:/run/wordecho.sock, not {description!r}: "
                f"{error}."
            ) from error

    opt_l = opt_listen

    def postOptions(self) -> None:
        if self["idle-timeout"] and self["quiet-period"] >= self["idle-timeout"]:
            raise usage.UsageError(
                f"--quiet-period must be shorter than --idle-timeout, or no quiet client is ever answered; "
                f"{self['quiet-period']} is not shorter than {self['idle-timeout']}."
            )
        if self["interface"] is not None and self["port"] is None and self.endpoints:
            raise usage.UsageError(
                f"--interface {self['interface']} goes with --port; name the address in the --listen endpoint instead."
            )
        if self["port"] is not None or not self.endpoints:
            from twisted.internet import reactor

            port = DEFAULT_PORT if self["port"] is None else self["port"]
            interface = self["interface"] or ""
            make_endpoint = TCP6ServerEndpoint if isIPv6Address(interface) else TCP4ServerEndpoint
            self.endpoints.insert(0, make_endpoint(reactor, port, interface=interface))


class CannotStart(SystemExit, Exception):
    """
    The service cannot start, and its message says why in one sentence.

    twistd cleans up after an :class:`Exception` and tells the process that waits for its daemon; Python ends quietly,
    with the message on standard error and exit status 1, at a :class:`SystemExit`.
    """


class WordEchoService(Service):
    """Listens on some endpoints for as long as it runs."""

    log = Logger()

    def __init__(self, endpoints: Sequence[IStreamServerEndpoint], factory: WordEchoFactory) -> None:
        self.endpoints = endpoints
        self.factory = factory
        self._ports: list[IListeningPort] = []
        self._problems: list[str] = []

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still do so on a port below 1024.

        :raises CannotStart: if an endpoint cannot be listened on.
        """
        super().privilegedStartService()
        for endpoint in self.endpoints:
            endpoint.listen(self.factory).addCallbacks(self._listening, self._not_listening)
        if self._problems:
            raise CannotStart("wordecho: " + " ".join(self._problems))

    def startService(self) -> None:
        if not self._ports:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    def _listening(self, port: IListeningPort) -> None:
        self._ports.append(port)
        self.log.info("Listening on {address}", address=show_address(port.getHost()))

    def _not_listening(self, failure: Failure) -> None:
        self._problems.append(failure.getErrorMessage())
        self.log.critical("Not listening: {problem}", problem=failure.getErrorMessage())


def makeService(options: Options) -> WordEchoService:
    """Make the service of ``twistd wordecho`` as its command line has it."""
    from twisted.internet import reactor

    factory = WordEchoFactory(
        cast(IReactorTime, reactor),
        max_length=options["max-length"],
        max_connections=options["max-connections"],
        idle_timeout=options["idle-timeout"],
        quiet_period=options["quiet-period"],
        ignore_case=bool(options["ignore-case"]),
    )
    return WordEchoService(options.endpoints, factory)
