"""A stop that loses nothing: the server's side of it with a clock of the tests' own, and real processes."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.processes import PATIENCE, twistd
from tests.test_bounds import send_until_nothing_is_taken
from tests.test_server import ONE, TWO, TWO_UNTERMINATED, Connection, TCPTransport
from wordecho import kernel
from wordecho.drain import Drain
from wordecho.server import WordEchoFactory


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = WordEchoFactory(self.clock)
        self.unread = 0
        self.unacknowledged = 0
        self.patch(kernel, "unread_octets", lambda transport: self.unread)
        self.patch(kernel, "unacknowledged_octets", lambda transport: self.unacknowledged)

    def connect(self) -> Connection:
        return Connection(self.factory, TCPTransport())

    def drain(self, timeout: float = 10) -> None:
        self.drain_of_all = Drain(self.clock, self.factory, timeout)
        self.ended = self.drain_of_all.start()

    def assert_has_left(self, connection: Connection) -> None:
        self.assertTrue(connection.transport.has_ended_sending)

    def test_with_no_connection_it_ends_at_once(self) -> None:
        self.drain()
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_connection_with_nothing_due_is_left_at_once(self) -> None:
        connection = self.connect()
        self.drain()
        self.assert_has_left(connection)
        self.assertEqual(connection.received(), b"")
        self.assertNoResult(self.ended)
        connection.lose()
        self.successResultOf(self.ended)

    def test_what_is_in_the_receive_buffer_is_answered_first(self) -> None:
        connection = self.connect()
        self.unread = 8
        self.drain()
        self.assertFalse(connection.transport.has_ended_sending)
        connection.send(b"one\n")
        self.assertFalse(connection.transport.has_ended_sending)
        connection.send(b"two\n")
        self.assert_has_left(connection)
        self.assertEqual(connection.received(), ONE + b"\n" + TWO + b"\n")

    def test_a_peer_that_goes_on_sending_does_not_hold_it_up(self) -> None:
        connection = self.connect()
        self.unread = 4
        self.drain()
        connection.send(b"one\n")
        self.assert_has_left(connection)
        connection.send(b"two\n")
        self.assertEqual(connection.received(), ONE + b"\n")

    def test_what_a_paused_connection_holds_is_answered_when_its_peer_has_caught_up(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        connection.send(b"one\n")
        self.drain()
        self.assertFalse(connection.transport.has_ended_sending)
        connection.protocol.resumeProducing()
        self.assertEqual(connection.received(), ONE + b"\n")
        self.assert_has_left(connection)

    def test_half_a_line_is_no_message(self) -> None:
        connection = self.connect()
        connection.send(b"one\ntw")
        self.drain()
        self.assertEqual(connection.received(), ONE + b"\n")

    def test_the_message_of_a_client_that_has_never_sent_a_line_feed_is_answered(self) -> None:
        connection = self.connect()
        connection.send(b"two")
        self.drain()
        self.assertEqual(connection.received(), TWO_UNTERMINATED + b"\n")

    def test_a_peer_that_does_not_close_is_closed_once_it_has_received_everything(self) -> None:
        connection = self.connect()
        self.unacknowledged = 100
        self.drain()
        connection.protocol.writeConnectionLost()
        self.clock.advance(1)
        self.assertFalse(connection.transport.disconnecting)
        self.unacknowledged = 0
        self.clock.advance(1)
        self.assertTrue(connection.transport.disconnecting)
        self.assertFalse(connection.transport.disconnected)

    def test_after_the_timeout_what_is_left_is_cut_off(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        self.drain(timeout=3)
        self.clock.pump([1, 1])
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(connection.transport.disconnected)
        connection.lose()
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_timeout_of_0_cuts_off_at_once(self) -> None:
        connection = self.connect()
        self.unread = 4
        self.drain(timeout=0)
        self.assertTrue(connection.transport.disconnected)

    def test_its_progress_is_logged(self) -> None:
        first, _ = self.connect(), self.connect()
        with capturedLogs() as events:
            self.drain()
            first.lose()
            self.clock.pump([1, 1])
        self.assertEqual(
            [formatEvent(event) for event in events if event["log_namespace"] == "wordecho.drain.Drain"],
            [
                "draining: 2 connections left, 10 s",
                "draining: 1 connection left, 9 s",
                "draining: 1 connection left, 8 s",
            ],
        )


def open_connections(port: int, number: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(number)]


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes or resets, and close."""
    received = []
    with connection:
        try:
            while data := connection.recv(65536):
                received.append(data)
        except ConnectionResetError:
            pass
    return b"".join(received)


@pytest_twisted.ensureDeferred
async def test_a_stop_under_load_loses_no_reply_three_times_in_a_row() -> None:
    lines = b"".join(b"message %d\n" % number for number in range(500))
    for _ in range(3):
        async with twistd() as (server, port):
            connections = await deferToThread(open_connections, port, 20)
            for connection in connections:
                connection.sendall(lines)
            server.signal("TERM")
            replies = [await deferToThread(read_to_the_end, connection) for connection in connections]
            assert [reply.count(b"\n") for reply in replies] == [500] * 20
            await server.ended
            assert "Traceback" not in server.log


@pytest_twisted.ensureDeferred
async def test_a_connection_that_the_process_has_not_accepted_yet_is_answered_too() -> None:
    async with twistd() as (server, port):
        server.signal("STOP")  # the process sees nothing until it goes on, and then the signal as well
        connections = await deferToThread(open_connections, port, 5)
        for connection in connections:
            connection.sendall(b"one\n")
        server.signal("TERM")
        server.signal("CONT")
        assert [await deferToThread(read_to_the_end, connection) for connection in connections] == [ONE + b"\n"] * 5


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_reads_cannot_hold_up_the_stop() -> None:
    async with twistd("--drain-timeout", "1") as (server, port):
        (connection,) = await deferToThread(open_connections, port, 1)
        with connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            server.signal("TERM")
            await server.logged("draining: 1 connection left, 1 s")
            await server.logged("draining: 1 connection cut off")
            await server.ended


@pytest_twisted.ensureDeferred
async def test_a_second_interrupt_stops_at_once() -> None:
    async with twistd("--drain-timeout", "600") as (server, port):
        (connection,) = await deferToThread(open_connections, port, 1)
        with connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            server.signal("INT")
            await server.logged("draining: 1 connection left")
            server.signal("INT")
            await server.ended
    assert "Traceback" not in server.log


@pytest_twisted.ensureDeferred
async def test_nobody_is_taken_any_more_once_it_drains() -> None:
    async with twistd("--drain-timeout", "600") as (server, port):
        (connection,) = await deferToThread(open_connections, port, 1)
        with connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            server.signal("TERM")
            await server.logged("draining")
            with pytest.raises(ConnectionRefusedError):
                await deferToThread(open_connections, port, 1)
            server.signal("TERM")
