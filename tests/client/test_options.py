"""What the client's command line takes, the sentence that refuses anything else, and where it leads."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Any
from unittest.mock import Mock

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from wordecho.client import ServerGoneError
from wordecho.client.options import Options


class NamesReactor(MemoryReactorClock):
    """
    A reactor on which each name has the same addresses.

    :ivar asked: the families of each look-up
    :ivar datagram_clients: each client of datagrams, and the address and the port that it sends to
    """

    def __init__(self, *hosts: str) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.datagram_clients: list[tuple[Any, str, int]] = []
        self._addresses = [(IPv6Address if ":" in host else IPv4Address)("TCP", host, 65432) for host in hosts]
        self.nameResolver: Any = self

    def listenUDP(self, port: int, protocol: Any, *_: object) -> None:
        transport = Mock()
        transport.connect = lambda host, port: self.datagram_clients.append((protocol, host, port))
        transport.stopListening = protocol.doStop
        protocol.makeConnection(transport)

    def resolveHostName(
        self, receiver: Any, name: str, portNumber: int = 0, families: Any = None, transportSemantics: str = "TCP"
    ) -> Any:
        self.asked.append(families and tuple(families))
        receiver.resolutionBegan(None)
        for address in self._addresses:
            if families is None or isinstance(address, tuple(families)):
                receiver.addressResolved(address)
        receiver.resolutionComplete()


def parse(*arguments: str) -> Options:
    config = Options()
    config.parseOptions(list(arguments))
    return config


class ClientOptionsTests(SynchronousTestCase):
    def refusal(self, *arguments: str) -> str:
        """Return the sentence that refuses ``arguments``, when they are parsed or when they are put to use."""
        with self.assertRaises(usage.UsageError) as caught:
            parse(*arguments).endpoint(MemoryReactorClock())
        return str(caught.exception)

    def server(self, *arguments: str) -> tuple[str, int]:
        """Return the address and the port that ``arguments`` make the client connect to."""
        reactor: Any = MemoryReactorClock()
        parse(*arguments).endpoint(reactor).connect(None)
        ((host, port, *_),) = reactor.tcpClients
        return host, port

    def test_defaults(self) -> None:
        config = parse("127.0.0.1")
        self.assertEqual((config["timeout"], bool(config["json"])), (10, False))
        self.assertEqual(self.server("127.0.0.1"), ("127.0.0.1", 65432))

    def test_host_is_an_address_a_name_or_an_endpoint(self) -> None:
        self.assertEqual(self.server("--port", "7", "127.0.0.1"), ("127.0.0.1", 7))
        self.assertEqual(self.server("-p", "7", "localhost"), ("127.0.0.1", 7))
        self.assertEqual(self.server("tcp:192.0.2.1:7"), ("192.0.2.1", 7))
        self.assertEqual(self.server("-p", "7", "::1"), ("127.0.0.1", 7))  # so this reactor resolves all names

    def test_host_must_be_there(self) -> None:
        for arguments in ([], [""], ["--json"], ["", "message"]):
            self.assertIn("HOST is missing", self.refusal(*arguments))

    def test_a_port_after_the_host_is_pointed_to_its_option(self) -> None:
        for host in ("localhost:7", "127.0.0.1:7", "[::1]:7"):
            refusal = self.refusal(host)
            self.assertIn(repr(host), refusal)
            self.assertTrue(refusal.endswith("a port goes into --port."), refusal)

    def test_an_endpoint_that_does_not_parse_is_refused(self) -> None:
        for host in ("tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:http", "tcp:127.0.0.1:7:8:9:10:11", ":", "icmp:::1"):
            self.assertIn(f"not {host!r}", self.refusal(host))

    def test_an_address_whose_zone_is_no_name_is_refused(self) -> None:
        self.assertIn("'::1%é'", self.refusal("::1%é"))

    def test_port_does_not_go_with_an_endpoint(self) -> None:
        self.assertEqual(
            self.refusal("--port", "65432", "tcp:127.0.0.1:7"),
            "--port goes with a name or an address; 'tcp:127.0.0.1:7' has a port of its own.",
        )

    def test_a_value_that_makes_no_sense_is_refused_in_the_words_of_its_converter(self) -> None:
        self.assertEqual(self.refusal("--port", "0", "::1"), "--port takes a whole number from 1 to 65535, not '0'.")
        self.assertEqual(
            self.refusal("-t", "nan", "::1"), "--timeout takes a number of seconds above 0 and up to 604800, not 'nan'."
        )

    def test_options_that_do_not_go_together_are_refused(self) -> None:
        for arguments, sentence in (
            (["-4", "-6", "localhost"], "--ipv4 and --ipv6 do not go together."),
            (["--udp", "--tls", "localhost"], "--udp and --tls do not go together."),
            (["--ca", "ca.pem", "localhost"], "--ca ca.pem goes with --tls."),
            (["--tls", "--key", "key.pem", "::1"], "--key key.pem needs --cert, the certificate that it is for."),
            (["-4", "::1"], "--ipv4 goes with a name or an IPv4 address, not '::1'."),
            (["-6", "127.0.0.1"], "--ipv6 goes with a name or an IPv6 address, not '127.0.0.1'."),
            (
                ["--udp", "unix:/run/wordecho.sock"],
                "--udp goes with a name or an address; 'unix:/run/wordecho.sock' says itself how to get there.",
            ),
            (["--tls", "--ca", "/nosuch", "::1"], "--ca /nosuch: cannot read '/nosuch': No such file or directory."),
        ):
            self.assertEqual(self.refusal(*arguments), sentence)

    def test_a_family_that_was_chosen_is_the_only_one_that_a_name_is_looked_up_in(self) -> None:
        for option, family, address in (("-4", IPv4Address, "192.0.2.1"), ("-6", IPv6Address, "2001:db8::1")):
            reactor = NamesReactor("2001:db8::1", "192.0.2.1")
            parse(option, "example.org").endpoint(reactor).connect(None)
            self.assertEqual(reactor.asked, [(family,)])
            self.assertEqual([host for host, *_ in reactor.tcpClients], [address])

    def test_where_one_address_does_not_answer_the_next_is_tried_soon(self) -> None:
        reactor = NamesReactor("2001:db8::1", "192.0.2.1")
        connected = parse("example.org").endpoint(reactor).connect(Factory.forProtocol(Protocol))
        self.assertEqual([host for host, *_ in reactor.tcpClients], ["2001:db8::1"])
        reactor.advance(0.3)
        self.assertEqual([host for host, *_ in reactor.tcpClients], ["2001:db8::1", "192.0.2.1"])
        attempt: Any = reactor.tcpClients[1][2]
        attempt.buildProtocol(None).makeConnection(StringTransport())
        self.successResultOf(connected)
        self.assertTrue(reactor.connectors[0].stoppedConnecting)

    def test_datagrams_go_to_the_first_address_of_the_family(self) -> None:
        for option, host in ([], "2001:db8::1"), (["-4"], "192.0.2.1"):
            reactor = NamesReactor("2001:db8::1", "192.0.2.1")
            config = parse("--udp", "-t", "3", *option, "example.org")
            client = self.successResultOf(Deferred.fromCoroutine(config.connect(reactor)))
            self.assertEqual(reactor.datagram_clients, [(client, host, 65432)])
            client.ask(b"one").addErrback(lambda _: None)
            reactor.advance(2.9)
            self.assertNoResult(client.lost)
            reactor.advance(0.1)
            self.assertIsInstance(self.successResultOf(client.lost), ServerGoneError)

    def test_the_words_of_the_message_are_joined_by_one_space(self) -> None:
        self.assertEqual(parse("::1", "Hello,", "wide  world", "", "!").message, b"Hello, wide  world  !")
        self.assertEqual(parse("::1", "").message, b"")

    def test_what_comes_after_the_host_is_message(self) -> None:
        self.assertEqual(parse("::1", "--json", "-1").message, b"--json -1")

    def test_no_message_and_a_dash_are_standard_input(self) -> None:
        self.assertIsNone(parse("::1").message)
        self.assertIsNone(parse("::1", "-").message)
        self.assertEqual(parse("::1", "-", "-").message, b"- -")

    def test_a_message_goes_out_as_the_bytes_that_it_came_as(self) -> None:
        self.assertEqual(parse("::1", "été", os.fsdecode(b"\xff")).message, b"\xc3\xa9t\xc3\xa9 \xff")

    def test_connecting_may_take_as_long_as_the_timeout_says(self) -> None:
        reactor: Any = MemoryReactorClock()
        parse("--timeout", "60", "127.0.0.1").endpoint(reactor).connect(None)
        ((_, _, _, timeout, _),) = reactor.tcpClients
        self.assertTrue(timeout is None or timeout >= 60, timeout)

    def test_version(self) -> None:
        output = io.StringIO()
        with redirect_stdout(output), self.assertRaises(SystemExit) as caught:
            parse("--version")
        self.assertRegex(
            output.getvalue(),
            rf"\Awordecho {version('wordecho')}, (native|Python) engine.*, Unicode 17\.0\.0, ICU [0-9.]+\n\Z",
        )
        self.assertEqual(caught.exception.code, 0)
