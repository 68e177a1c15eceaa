"""The command line of ``python -m wordecho.client``: what it may say, and the way to the server that it names."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.python import usage

from wordecho import options
from wordecho.client.connection import DEFAULT_TIMEOUT, WordEchoClientProtocol, connect
from wordecho.client.datagram import WordEchoDatagramClient, connect_datagrams
from wordecho.settings import PORT
from wordecho.sockets.names import OneFamilyReactor


class Options(options.Options):
    """The command line of ``python -m wordecho.client``."""

    synopsis = "Usage: python -m wordecho.client [options] HOST [MESSAGE ...]"
    longdesc = (
        "Sends the message to the wordecho server on HOST and prints its word counts and its unique words. HOST is a "
        "name, an address or a Twisted client endpoint such as unix:/run/wordecho.sock. The words of MESSAGE are "
        "joined by one space, a line feed in them begins the next message; without a MESSAGE, or where it is -, each "
        "line of standard input is a message. "
        "Exit status: 0 all answered, 1 at least one message got an error reply, 2 wrong usage, 3 the server cannot "
        "be reached, fell silent or went away, 4 what answered is not a wordecho server, 74 standard input or output "
        "failed."
    )
    optParameters = [  # noqa: RUF012 (Twisted's own way to declare them)
        ["port", "p", None, f"TCP or UDP port [default: {PORT.default}]", options.whole_number("port", 1, 65535)],
        [
            "timeout",
            "t",
            DEFAULT_TIMEOUT,
            "seconds for connecting, and for each reply, or each kilobyte of one",
            options.seconds("timeout", zero=False),
        ],
        ["ca", None, None, "file of the authorities that vouch for the server, in PEM [default: this machine's]"],
        ["cert", None, None, "file of the client's own certificate, in PEM, where the server asks for one"],
        ["key", None, None, "file of its private key, in PEM [default: the file of --cert]"],
    ]
    optFlags = [  # noqa: RUF012
        ["ipv4", "4", "go by IPv4 only"],
        ["ipv6", "6", "go by IPv6 only"],
        ["udp", None, "send each message as a datagram"],
        ["tls", None, "speak TLS, and check the server's certificate"],
        ["json", None, "print each reply line as it came, and nothing else"],
    ]

    host: str
    message: bytes | None

    def parseArgs(self, host: str = "", *words: str) -> None:
        if not host:
            raise usage.UsageError("HOST is missing; name the machine that the server runs on, such as 127.0.0.1.")
        self.host = host
        # An argument that is not UTF-8 goes out as the bytes that it came as; the server says what is wrong with it.
        self.message = None if words in ((), ("-",)) else os.fsencode(" ".join(words))

    def postOptions(self) -> None:
        for one, other in (("ipv4", "ipv6"), ("udp", "tls")):
            if self[one] and self[other]:
                raise usage.UsageError(f"--{one} and --{other} do not go together.")
        for option in ("ca", "cert", "key"):
            if self[option] is not None and not self["tls"]:
                raise usage.UsageError(f"--{option} {self[option]} goes with --tls.")
        if self["key"] is not None and self["cert"] is None:
            raise usage.UsageError(f"--key {self['key']} needs --cert, the certificate that it is for.")
        if self._is_name_or_address:
            if (self["ipv4"] and isIPv6Address(self.host)) or (self["ipv6"] and isIPAddress(self.host)):
                option, family = ("ipv4", "IPv4") if self["ipv4"] else ("ipv6", "IPv6")
                raise usage.UsageError(f"--{option} goes with a name or an {family} address, not {self.host!r}.")
        else:
            for option in ("ipv4", "ipv6", "udp", "tls"):
                if self[option]:
                    raise usage.UsageError(
                        f"--{option} goes with a name or an address; {self.host!r} says itself how to get there."
                    )

    @property
    def _is_name_or_address(self) -> bool:
        return ":" not in self.host or (isIPv6Address(self.host) and self.host.isascii())  # a zone may be no name

    async def connect(self, reactor: Any) -> WordEchoClientProtocol | WordEchoDatagramClient:
        """
        Connect to the server.

        :raises usage.UsageError: if HOST is a description that does not parse, or a certificate is of no use.
        :raises ClientError: if the server cannot be reached.
        """
        if self["udp"]:
            return await connect_datagrams(
                self._in_one_family(reactor), self.host, self["port"] or PORT.default, timeout=self["timeout"]
            )
        return await connect(reactor, self.endpoint(reactor), timeout=self["timeout"])

    def endpoint(self, reactor: Any) -> Any:
        """
        Return where the server is.

        :raises usage.UsageError: if HOST is a description that does not parse, or a certificate is of no use.
        """
        if self._is_name_or_address:
            reactor = self._in_one_family(reactor)
            endpoint = HostnameEndpoint(reactor, self.host, self["port"] or PORT.default, timeout=self["timeout"])
            if not self["tls"]:
                return endpoint
            certificates = self.tls_options(lambda tls, **files: tls.client_options(self.host, **files))
            return wrapClientTLS(certificates, endpoint)
        if self["port"] is not None:
            raise usage.UsageError(f"--port goes with a name or an address; {self.host!r} has a port of its own.")
        try:
            return clientFromString(reactor, self.host)
        except Exception as error:  # whatever a description's own parser raises
            raise usage.UsageError(
                f"HOST is a name, an address or a client endpoint such as unix:/run/wordecho.sock, not {self.host!r} "
                f"({error}); a port goes into --port."
            ) from error

    def _in_one_family(self, reactor: Any) -> Any:
        if self["ipv4"]:
            return OneFamilyReactor(reactor, IPv4Address)
        return OneFamilyReactor(reactor, IPv6Address) if self["ipv6"] else reactor
