"""What is promised of who may come in, and of what is kept of those that have gone."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.kinds import Connection
from tests.furniture.transports import Transport
from wordecho.server import WordEchoFactory


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


class ForgottenTests(GuestsTestCase):
    def test_nothing_is_kept_of_who_has_gone(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=150, max_connections_per_host=1)
        connections = [self.connect(factory, f"192.0.2.{number}") for number in (*range(200), *range(100))]
        for connection in connections:
            connection.lose()
        kept = {name: value for name, value in vars(factory.guests).items() if isinstance(value, Sized) and len(value)}
        self.assertEqual(kept, {})
