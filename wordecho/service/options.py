"""The command line of ``twistd wordecho``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.python import usage

from wordecho import options, settings
from wordecho.server.endpoints import DatagramEndpoint, Endpoint, endpoint_from_string
from wordecho.service import worker
from wordecho.settings import PORT, WORKERS
from wordecho.sockets.endpoints import tcp_endpoint


def ip_address(value: str) -> str:
    if not isIPAddress(value) and not isIPv6Address(value):
        raise usage.UsageError(f"--interface takes an IPv4 or IPv6 address of this machine, not {value!r}.")
    return value


def number_of_workers(value: str) -> int:
    number = (
        os.cpu_count() or 1 if value == "auto" else options.whole_number("workers", WORKERS.least, WORKERS.most)(value)
    )
    if number > 1 and value != "auto" and not worker.can_share_port():
        raise usage.UsageError(
            f"--workers takes no more than 1 on this platform, where a port cannot be shared, not {value!r}."
        )
    return number if worker.can_share_port() else 1


class Options(options.Options):
    """
    The command line of ``twistd wordecho``.

    :ivar arguments: it, as it was given
    :ivar reactor_name: the reactor that ``twistd`` or ``twist`` was told to run on, None where it was told none
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
            f"TCP port to listen on, 0 for any free one [default: {PORT.default}, none where --listen is given]",
            options.whole_number("port", PORT.least, PORT.most),
        ],
        ["interface", "i", None, "address to listen on [default: all, IPv6 and IPv4]", ip_address],
        [
            "udp",
            None,
            None,
            "UDP port to take datagrams on besides, 0 for any free one",
            options.whole_number("udp", 0, 65535),
        ],
        options.parameter(
            settings.UDP_RATE, "datagrams a second that are answered to one address, 0 for no such limit"
        ),
        ["cert", None, None, "file of the certificate of tls: endpoints, in PEM, with its chain after it"],
        ["key", None, None, "file of its private key, in PEM [default: the file of --cert]"],
        ["ca", None, None, "file of the authorities that must vouch for the clients of tls: endpoints [default: none]"],
        options.parameter(settings.MAX_LENGTH, "bytes in a message"),
        options.parameter(settings.MAX_CONNECTIONS, "connections at once"),
        options.parameter(
            settings.MAX_CONNECTIONS_PER_HOST, "connections at once from one address, 0 for no such limit"
        ),
        options.parameter(
            settings.IDLE_TIMEOUT, "seconds without a byte after which a connection is closed, 0 for never"
        ),
        options.parameter(
            settings.HANDSHAKE_TIMEOUT,
            "seconds that a TLS handshake, or a header of the PROXY protocol, may take, 0 for as long as it takes",
        ),
        options.parameter(
            settings.QUIET_PERIOD,
            "seconds after which the message of a client that has never sent a line feed is answered, 0 for never",
        ),
        [
            "workers",
            None,
            WORKERS.default,
            "processes that share the port, auto for one for each core; the limits are those of each of them",
            number_of_workers,
        ],
        options.parameter(settings.DRAIN_TIMEOUT, "seconds that a stop may take to answer what is due"),
    ]
    optFlags = [  # noqa: RUF012
        ["ignore-case", None, "count words that differ in nothing but case as one unique word"],
        ["counts", None, "say in each reply how often each of the unique words occurs"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.endpoints: list[Endpoint] = []
        self.reactor_name: str | None = None
        self._descriptions: list[str] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        self.arguments = list(options or ())
        # By now twist has noted a reactor only where it was told one: the reactor itself, and its name apart. What
        # twistd notes is the name.
        if self.parent is not None and "reactor" in self.parent:
            self.reactor_name = self.parent.get("reactorName", self.parent["reactor"])
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

        if worker.is_worker():
            self.endpoints.append(worker.adopted_endpoint(reactor))
        elif self["port"] is not None or not self._descriptions:
            port = PORT.default if self["port"] is None else self["port"]
            self.endpoints.append(tcp_endpoint(reactor, port, self["interface"]))
        if self["udp"] is not None:
            self.endpoints.append(DatagramEndpoint(reactor, self["udp"], self["interface"], rate=self["udp-rate"]))
        tls = self._certificates()
        for description in self._descriptions:
            try:
                self.endpoints.append(endpoint_from_string(reactor, description, tls))
            except Exception as error:  # whatever a description's own parser raises
                raise usage.UsageError(
                    f"--listen takes a server endpoint such as tcp:65432 or unix:/run/wordecho.sock, not "
                    f"{description!r}: {str(error).rstrip('.')}."
                ) from error

    def _certificates(self) -> Any:
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
        return self.tls_options(lambda tls, **files: tls.server_options(**files))
