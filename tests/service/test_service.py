"""The options of ``twistd wordecho`` and the service that they make."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, RaisingMemoryReactor
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.kinds import make_certificate
from wordecho.server import WordEchoFactory
from wordecho.server.endpoints import DatagramEndpoint
from wordecho.service import CannotStart, Options, WordEchoService, makeService, worker
from wordecho.sockets.endpoints import EveryAddressEndpoint

reactor: Any = _reactor


def parse(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    def assert_refused(self, *arguments: str) -> str:
        """Return the one sentence that refuses ``arguments``; it names the last option and its value."""
        sentence = str(self.assertRaises(usage.UsageError, parse, *arguments))
        option, _, value = arguments[-1].partition("=")
        self.assertIn(option, sentence)
        self.assertIn(value, sentence)
        self.assertTrue(sentence.endswith("."), sentence)
        return sentence

    def test_a_value_that_makes_no_sense_is_refused_in_a_sentence_that_names_it(self) -> None:
        for option, values in {
            "--port": ["65536", "-1", "http", "", "1.5", "0x50"],
            "--interface": ["localhost", "1.2.3", "", "::g"],
            "--max-length": ["0", "-5", "many", "", "64k"],
            "--max-connections": ["0", "-1", "x", ""],
            "--workers": ["0", "-1", "1025", "all", ""],
            "--idle-timeout": ["-1", "nan", "inf", "soon", "", "1e9"],
            "--handshake-timeout": ["-1", "nan", "inf", "x", ""],
            "--quiet-period": ["-1", "nan", "inf", "x", ""],
            "--udp": ["65536", "-1", "domain", ""],
            "--listen": ["unix:", ""],
        }.items():
            for value in values:
                self.assert_refused(f"{option}={value}")

    def test_a_description_that_does_not_parse_is_refused_with_the_reason(self) -> None:
        for description, why in (
            ("tcp", ""),
            ("tcp:http", "http"),
            ("carrier-pigeon:1", "Unknown endpoint type"),
            ("unix", ""),
            ("haproxy:", ""),
            ("haproxy:tcp", ""),
            ("haproxy:tls:tcp:0", "write tls:haproxy:tcp:PORT"),
            ("tls:tcp:0", "it needs --cert"),
            ("tls:/etc/certificates:443", "write tls:tcp:PORT, and name the certificate with --cert"),
            ("ssl:0:privateKey=/nosuch.pem", "nosuch"),
            ("ssl:0:privateKey=/nosuch.pem:sslmethod=TLSv1_METHOD", "it is 1.2 or newer"),
            ("systemd:domain=INET:name=wordecho", "wordecho"),
            ("systemd:domain=INET:index=0", "index"),
        ):
            sentence = self.assert_refused(f"--listen={description}")
            takes = "--listen takes a server endpoint such as tcp:65432 or unix:/run/wordecho.sock"
            self.assertTrue(sentence.startswith(f"{takes}, not {description!r}: "), sentence)
            self.assertIn(why, sentence.removeprefix(takes))

    def test_a_quiet_period_as_long_as_the_idle_timeout_is_refused(self) -> None:
        for arguments in (["--idle-timeout=2"], ["--idle-timeout=5", "--quiet-period=5"]):
            self.assert_refused(*arguments)
        for arguments in (["--idle-timeout=0", "--quiet-period=500"], ["--idle-timeout=1", "--quiet-period=0"]):
            parse(*arguments)

    def test_certificates_that_do_not_go_with_the_endpoints_are_refused(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        make_certificate(Path(folder.name))
        cert, key = f"{folder.name}/cert.pem", f"{folder.name}/key.pem"
        for arguments, sentence in (
            (["--cert", cert], f"--cert {cert} goes with --listen tls:ENDPOINT, and none is given."),
            (["--listen", "tls:tcp:0", "--key", key], f"--key {key} needs --cert, the certificate of the server."),
            (
                ["--listen", "tls:tcp:0", "--listen", f"ssl:0:privateKey={key}", "--cert", cert, "--ca", cert],
                f"--ca {cert} goes with tls: endpoints; an ssl: endpoint would take anybody.",
            ),
            (
                ["--listen", "tls:tcp:0", "--cert", key],
                f"--cert {key}: there is no certificate in PEM in {key!r}.",
            ),
        ):
            self.assertEqual(str(self.assertRaises(usage.UsageError, parse, *arguments)), sentence)

    def test_an_interface_without_a_port_to_go_with_is_refused(self) -> None:
        self.assert_refused("--listen=tcp:0", "--interface=127.0.0.1")

    def test_workers_that_would_share_an_endpoint_are_refused(self) -> None:
        self.assert_refused("--listen=tcp:0", "--workers=2")
        self.assert_refused("--udp=0", "--workers=2")

    def test_auto_is_one_worker_for_each_core(self) -> None:
        for cores, number in (5, 5), (1, 1), (None, 1):
            self.patch(os, "cpu_count", lambda cores=cores: cores)
            self.assertEqual(parse("--workers=auto")["workers"], number)

    def test_what_makes_a_process_a_worker_is_no_option(self) -> None:
        self.assertNotIn("--worker=", parse().getUsage())

    def test_workers_are_refused_where_a_port_cannot_be_shared(self) -> None:
        self.patch(worker, "can_share_port", lambda: False)
        self.assert_refused("--workers=2")
        self.assertEqual(parse("--workers=auto")["workers"], 1)

    def test_an_argument_is_refused(self) -> None:
        self.assertRaises(usage.UsageError, parse, "65432")

    def test_the_defaults_are_those_of_the_contract(self) -> None:
        options = parse()
        self.assertEqual(
            {name: options[name] for name in ("max-length", "max-connections", "idle-timeout", "quiet-period")},
            {"max-length": 65536, "max-connections": 10_000, "idle-timeout": 300, "quiet-period": 2},
        )
        self.assertEqual([vars(endpoint)["_port"] for endpoint in options.endpoints], [65432])
        self.assertFalse(options["ignore-case"])

    def test_the_short_options(self) -> None:
        options = parse("-p", "0", "-i", "127.0.0.1", "-l", "unix:/run/wordecho.sock")
        self.assertEqual((options["port"], options["interface"], len(options.endpoints)), (0, "127.0.0.1", 2))

    def test_listen_stands_instead_of_the_default_port_and_beside_a_given_one(self) -> None:
        self.assertEqual(len(parse("--listen=tcp:0", "--listen=tcp:0").endpoints), 2)
        self.assertEqual(len(parse("--listen=tcp:0", "--port=0").endpoints), 2)

    def test_datagrams_are_taken_where_they_are_asked_for_and_besides_the_port(self) -> None:
        kinds = [type(endpoint) for endpoint in parse("--udp=0").endpoints]
        self.assertEqual(kinds, [EveryAddressEndpoint, DatagramEndpoint])
        self.assertEqual(len(parse("--listen=tcp:0", "--udp=0", "--interface=::1").endpoints), 2)
        self.assertEqual([type(endpoint) for endpoint in parse().endpoints], [EveryAddressEndpoint])

    def test_an_address_of_either_family_is_listened_on(self) -> None:
        self.assertIsInstance(parse("--interface=127.0.0.1").endpoints[0], TCP4ServerEndpoint)
        self.assertIsInstance(parse("--interface=::1").endpoints[0], TCP6ServerEndpoint)


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.factory = WordEchoFactory(Clock())

    def test_it_listens_once_from_its_start_to_its_stop(self) -> None:
        reactor: Any = MemoryReactorClock()
        service = WordEchoService([TCP4ServerEndpoint(reactor, 6543)], self.factory)
        service.privilegedStartService()
        service.startService()
        self.assertEqual([(port, factory) for port, factory, *_ in reactor.tcpServers], [(6543, self.factory)])
        self.successResultOf(service.stopService())

    def test_what_it_cannot_listen_on_it_says_in_a_sentence_and_ends_with_status_1(self) -> None:
        reason = CannotListenError("any", 6543, OSError(98, "Address already in use"))
        reactor: Any = RaisingMemoryReactor(listenException=reason)
        service = WordEchoService([TCP4ServerEndpoint(reactor, 6543)], self.factory)
        error = self.assertRaises(CannotStart, service.privilegedStartService)
        self.assertIn("6543", str(error.code))
        self.assertIn("Address already in use", str(error.code))

    def test_where_one_endpoint_fails_the_others_are_closed_and_leave_nothing_behind(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/socket"
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
            numbers = [each.getsockname()[1] for each in (free, taken)]
            free.close()
            endpoints = [TCP4ServerEndpoint(reactor, number, interface="127.0.0.1") for number in numbers]
            service = WordEchoService([UNIXServerEndpoint(reactor, path), *endpoints], self.factory)
            self.assertRaises(CannotStart, service.privilegedStartService)
        self.assertFalse(os.path.exists(path))
        socket.create_server(("127.0.0.1", numbers[0])).close()

    def test_makeService_hands_the_options_on(self) -> None:
        service: Any = makeService(
            parse("--max-length=7", "--max-connections=8", "--idle-timeout=9.5", "--quiet-period=1", "--ignore-case")
        )
        factory = service.factory
        self.assertEqual(
            (factory.max_length, factory.guests.max_connections, factory.idle_timeout, factory.quiet_period),
            (7, 8, 9.5, 1),
        )
        self.assertIn(b'["A"]', factory.answer(b"A a"))
        self.assertNotIn(b"counts", factory.answer(b"A a"))

    def test_the_time_of_a_handshake_is_handed_on(self) -> None:
        service: Any = makeService(parse("--handshake-timeout=3.5"))
        self.assertEqual(service.factory.handshake_timeout, 3.5)

    def test_counts_are_handed_on(self) -> None:
        service: Any = makeService(parse("--counts"))
        self.assertIn(b'"counts":[2]', service.factory.answer(b"a a"))


class PluginTests(SynchronousTestCase):
    def test_twistd_finds_the_command_and_makes_its_service(self) -> None:
        (maker,) = (plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "wordecho")
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)

    def test_the_plugin_file_imports_neither_a_reactor_nor_the_service(self) -> None:
        code = "import sys, twisted.plugins.wordecho_plugin; print(*sys.modules)"
        modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        imported = set(modules.split())
        self.assertIn("twisted.plugins.wordecho_plugin", imported)
        self.assertEqual(imported & {"twisted.internet.reactor", "wordecho", "icu4py", "msgspec"}, set())

    def test_the_service_can_be_imported_before_a_reactor_is_chosen(self) -> None:
        code = "import sys, wordecho.service; print('twisted.internet.reactor' in sys.modules)"
        printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        self.assertEqual(printed, "False\n")
