"""What is promised of who may come in, of strangers, and of what is kept of those that have gone."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.contract import ONE
from tests.furniture.kinds import PROXY1, TLS, Connection
from tests.furniture.transports import Transport
from wordecho.server import WordEchoFactory, guests
from wordecho.server.newcomer import NewcomerFactory
from wordecho.server.proxy import ProxyProtocol


class GuestsTestCase(SynchronousTestCase):
    def connect(self, factory: WordEchoFactory, host: str = "192.0.2.1") -> Connection:
        return Connection(factory, Transport(IPv4Address("TCP", host, 5000)))

    def detail(self, connection: Connection) -> Any:
        (refusal,) = connection.replies()
        return refusal["detail"]


class RefusalTests(GuestsTestCase):
    def test_who_is_one_too_many_is_told_whose_limit_it_is(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=2, max_connections_per_host=1)
        self.connect(factory)
        self.assertEqual(
            self.detail(self.connect(factory)),
            "Your address has 1 connections, as many as it may have; close one or try again later.",
        )
        self.connect(factory, "192.0.2.2")
        self.assertEqual(
            self.detail(self.connect(factory, "192.0.2.3")),
            "The server has 2 connections, as many as it may have; close one or try again later.",
        )

    def test_one_address_may_have_all_connections_unless_told(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=1000)
        self.assertEqual({self.connect(factory).received() for _ in range(1000)}, {b""})


def peer(host: str) -> IPv4Address:
    return IPv4Address("TCP", host, 5000)


class NewcomerTests(GuestsTestCase):
    """A connection in its TLS handshake, or before its header of the PROXY protocol."""

    def setUp(self) -> None:
        self.clock = Clock()

    def without_header(self, factory: WordEchoFactory) -> Any:
        connection: Any = NewcomerFactory(ProxyProtocol, factory, factory).buildProtocol(None)
        connection.makeConnection(Transport())
        return connection

    def test_silent_strangers_keep_nobody_out(self) -> None:
        factory = WordEchoFactory(self.clock, max_connections=2, max_connections_per_host=1)
        for _ in range(20):
            TLS(factory, is_silent=True)
            self.without_header(factory)
        for certified in (TLS(factory), PROXY1(factory)):
            certified.send(b"one\n")
            self.assertEqual(certified.received(), ONE + b"\n")
        self.assertEqual(factory.guests.taken, 2)

    def test_whoever_is_none_after_5_seconds_is_cut_off_whatever_the_idle_timeout(self) -> None:
        for idle_timeout in (0, 2, 300):
            factory = WordEchoFactory(self.clock, idle_timeout=idle_timeout, quiet_period=0)
            transports = TLS(factory, is_silent=True).server_transport, self.without_header(factory).transport
            self.clock.advance(4.9)
            self.assertEqual([transport.disconnected for transport in transports], [False, False])
            self.clock.advance(0.1)
            self.assertEqual([transport.disconnected for transport in transports], [True, True])

    def test_a_handshake_that_drips_is_cut_off_too(self) -> None:
        connection = TLS(WordEchoFactory(self.clock), is_silent=True)
        for octet in b"\x16\x03\x01\x02\x00":  # the start of a record that would hold the client's first words
            self.clock.advance(1)
            connection.server.dataReceived(bytes([octet]))
        self.assertTrue(connection.disconnected)

    def test_the_time_may_be_another_or_without_end(self) -> None:
        short = TLS(WordEchoFactory(self.clock, handshake_timeout=1), is_silent=True)
        endless = TLS(WordEchoFactory(self.clock, handshake_timeout=0), is_silent=True)
        self.clock.advance(1)
        self.assertTrue(short.disconnected)
        self.clock.advance(1000)
        self.assertFalse(endless.disconnected)

    def test_after_it_the_idle_timeout_holds(self) -> None:
        factory = WordEchoFactory(self.clock, idle_timeout=60, handshake_timeout=1)
        for kind in TLS, PROXY1:
            connection = kind(factory)
            self.clock.advance(59.9)
            self.assertEqual(connection.received(), b"")
            self.clock.advance(0.1)
            self.assertIn(b"idle-timeout", connection.received())

    def test_what_comes_with_the_end_of_the_handshake_is_answered(self) -> None:
        connection = TLS(WordEchoFactory(self.clock), is_silent=True)
        connection.client.makeConnection(connection.client_transport)
        connection.client.write(b"one\n")
        self.assertEqual(connection.received(), ONE + b"\n")

    def test_nothing_is_kept_of_a_newcomer_whose_connection_could_not_begin(self) -> None:
        factory = WordEchoFactory(self.clock)
        self.patch(factory, "buildProtocol", lambda address: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.without_header(factory).dataReceived, PROXY1.header)
        self.assertEqual((list(factory.guests), self.clock.getDelayedCalls()), ([], []))

    def test_whoever_goes_in_it_leaves_nothing_behind(self) -> None:
        factory = WordEchoFactory(self.clock)
        for connection in TLS(factory, is_silent=True), TLS(factory):
            connection.lose()
        self.without_header(factory).connectionLost()
        self.assertEqual((list(factory.guests), self.clock.getDelayedCalls()), ([], []))


class CrowdTests(GuestsTestCase):
    """Too many strangers at once: newcomers, and those that were refused."""

    def setUp(self) -> None:
        self.patch(guests, "MAX_STRANGERS", 3)

    def silent(self, factory: WordEchoFactory, *hosts: str) -> list[TLS]:
        return [TLS(factory, peer(host), is_silent=True) for host in hosts]

    def test_whoever_makes_many_makes_room_for_others(self) -> None:
        factory = WordEchoFactory(Clock())
        other, *many = self.silent(factory, "192.0.2.1", *["192.0.2.2"] * 5)
        self.assertEqual([connection.disconnected for connection in many], [True, True, True, False, False])
        self.assertFalse(other.disconnected)
        late, later = self.silent(factory, "192.0.2.3", "192.0.2.4")
        self.assertEqual(
            [connection.disconnected for connection in (many[3], other, late, later)], [True, True, False, False]
        )

    def test_of_many_addresses_the_oldest_goes(self) -> None:
        factory = WordEchoFactory(Clock())
        crowd = self.silent(factory, *(f"192.0.2.{number}" for number in range(1, 6)))
        self.assertEqual([connection.disconnected for connection in crowd], [True, True, False, False, False])

    def test_who_has_come_in_is_no_stranger(self) -> None:
        factory = WordEchoFactory(Clock())
        crowd = [TLS(factory) for _ in range(5)]
        self.assertEqual([connection.disconnected for connection in crowd], [False] * 5)

    def test_the_last_handshake_of_a_crowd_may_end_in_a_refusal(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=1)
        TLS(factory)
        refused = [TLS(factory) for _ in range(3)]
        (last,) = self.silent(factory, "192.0.2.1")
        last.client.makeConnection(last.client_transport)
        self.assertIn(b"too-many-connections", last.received())
        self.assertEqual([connection.disconnected for connection in (*refused, last)], [True, False, False, False])

    def test_the_oldest_of_those_that_were_refused_over_tls_is_cut_off(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=1)
        TLS(factory)
        refused = [TLS(factory) for _ in range(4)]
        self.assertEqual([connection.disconnected for connection in refused], [True, False, False, False])

    def test_the_oldest_of_those_that_were_refused_by_tcp_is_closed_after_what_it_was_told(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=1)
        self.connect(factory)
        refused = [self.connect(factory) for _ in range(4)]
        self.assertEqual([connection.transport.disconnecting for connection in refused], [True, False, False, False])
        self.assertFalse(refused[0].transport.disconnected)
        for connection in refused:
            self.assertIn("The server has 1 connections", self.detail(connection))


class ForgottenTests(GuestsTestCase):
    def test_nothing_is_kept_of_who_has_gone(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=150, max_connections_per_host=1)
        connections = [self.connect(factory, f"192.0.2.{number}") for number in (*range(200), *range(100))]
        for connection in connections:
            connection.lose()
        for there in factory.guests, *(value for value in vars(factory.guests).values() if hasattr(value, "number_of")):
            kept = {name: value for name, value in vars(there).items() if isinstance(value, Sized) and len(value)}
            self.assertEqual(kept, {})
