"""What a worker says to its supervisor, and what it does when that is gone."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ConnectionDone, ReactorNotRunning
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wordecho.server import WordEchoFactory
from wordecho.service.reports import Report, read
from wordecho.service.worker import Reporter, report_on


class StoppableClock(Clock):
    """
    A clock that is a reactor insofar as it can be stopped, once.

    :ivar stops: how many times it was told to
    """

    stops = 0

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class ReporterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = StoppableClock()
        self.report = Report()
        self.reporter = Reporter(self.reactor, lambda: self.report)
        self.transport = StringTransport()
        self.reporter.makeConnection(self.transport)

    def said(self) -> list[Any]:
        """Return what has been said since this was asked last."""
        said = self.transport.value()
        self.transport.clear()
        self.assertTrue(said.endswith(b"\n") or not said)
        return [json.loads(line) for line in said.splitlines()]

    def test_that_it_serves_is_said_at_once(self) -> None:
        self.assertEqual(self.said(), [{"connections": 0, "taken": 0}])

    def test_that_it_is_alive_is_said_every_second_with_its_totals_of_then(self) -> None:
        self.said()
        self.report = Report(connections=1, taken=2)
        self.reactor.advance(1)
        self.report = Report(connections=0, taken=2)
        self.reactor.advance(1)
        self.assertEqual(self.said(), [{"connections": 1, "taken": 2}, {"connections": 0, "taken": 2}])

    def test_when_the_supervisor_is_gone_the_worker_stops_and_says_no_more(self) -> None:
        self.said()
        self.reporter.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(10)
        self.assertEqual((self.reactor.stops, self.said()), (1, []))

    def test_a_supervisor_that_goes_while_the_worker_stops_changes_nothing(self) -> None:
        self.reactor.stop()
        self.reporter.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.stops, 2)

    def test_nothing_piles_up_for_a_supervisor_that_does_not_read(self) -> None:
        producer: Any = self.transport.producer
        self.assertTrue(self.transport.streaming)
        producer.pauseProducing()
        self.said()
        self.reactor.advance(10)
        self.assertEqual(self.said(), [])
        producer.resumeProducing()
        self.assertEqual(len(self.said()), 1)
        producer.pauseProducing()
        self.reporter.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.stops, 1)


class ReportTests(SynchronousTestCase):
    def test_connections_are_counted_when_they_are_let_in_and_open_until_they_are_lost(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections=2)
        connections = [factory.buildProtocol(None) for _ in range(3)]
        for connection in connections:
            connection.makeConnection(StringTransport())
        self.assertEqual(report_on(factory.guests).taken, 2)  # the third one was refused
        for connection in connections[1:]:
            connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(report_on(factory.guests), Report(connections=1, taken=2))

    def test_what_is_read_is_what_was_written(self) -> None:
        report = Report(connections=7, taken=1_000_000)
        self.assertEqual(read(report.line()), report)

    def test_a_member_that_is_not_known_is_ignored_and_one_that_is_missing_is_0(self) -> None:
        self.assertEqual(read(b'{"taken":5,"colour":"green"}'), Report(connections=0, taken=5))
