"""A stop that loses nothing: the server's side of it with a clock of the tests' own, and real processes."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.contract import ONE, TWO, TWO_UNTERMINATED
from tests.furniture.kinds import PROXY1, TLS, Connection
from tests.furniture.processes import reactor, twistd
from tests.furniture.sockets import connect, send_until_nothing_is_taken
from tests.furniture.transports import Transport
from wordecho.server import WordEchoFactory
from wordecho.server.drain import Drain
from wordecho.server.newcomer import NewcomerFactory
from wordecho.server.proxy import ProxyProtocol
from wordecho.sockets import tcp_info


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = WordEchoFactory(self.clock)
        self.unacknowledged = 0
        self.patch(tcp_info, "unacknowledged_octets", lambda transport: self.unacknowledged)

    def connect(self) -> Connection:
        return Connection(self.factory)

    def drain(self, timeout: float = 10) -> None:
        self.ended = Drain(self.factory, timeout).run([])

    def assert_stays(self, connection: Connection) -> None:
        self.assertFalse(connection.transport.has_ended_sending)

    def assert_has_left(self, connection: Connection) -> None:
        self.assertTrue(connection.transport.has_ended_sending)

    def test_with_no_connection_it_ends_at_once(self) -> None:
        self.drain()
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_sends_nothing_any_more_is_left_after_a_grace_period(self) -> None:
        connection = self.connect()
        self.drain()
        self.clock.pump([0.03125] * 7)
        self.assert_stays(connection)
        self.clock.advance(0.03125)
        self.assert_has_left(connection)
        self.assertEqual(connection.received(), b"")
        self.assertNoResult(self.ended)
        connection.lose()
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_whose_octets_nobody_has_read_yet_is_not_quiet(self) -> None:
        unread = 1
        self.patch(tcp_info, "unread_octets", lambda transport: unread)
        connection = self.connect()
        self.drain(timeout=8)
        self.clock.pump([0.25] * 15)
        self.assert_stays(connection)
        unread = 0
        self.clock.advance(0.0625)
        self.assert_has_left(connection)

    def test_what_was_still_on_its_way_is_answered_first(self) -> None:
        connection = self.connect()
        self.drain()
        for message in b"one\n", b"two\n":
            self.clock.pump([0.0625] * 3)
            connection.send(message)
        self.assert_stays(connection)
        self.clock.advance(0.25)
        self.assert_has_left(connection)
        self.assertEqual(connection.received(), ONE + b"\n" + TWO + b"\n")

    def test_a_peer_that_goes_on_sending_is_left_after_half_of_the_time(self) -> None:
        connection = self.connect()
        self.drain(timeout=8)
        for _ in range(31):
            self.clock.advance(0.125)
            connection.send(b"one\n")
        self.assert_stays(connection)
        self.clock.advance(0.125)
        self.assert_has_left(connection)
        connection.received()
        connection.send(b"two\n")
        self.assertEqual(connection.received(), b"")

    def test_one_that_was_left_so_is_closed_once_it_has_received_everything(self) -> None:
        connection = self.connect()
        self.drain(timeout=8)
        for _ in range(32):
            connection.send(b"one\n")
            self.clock.advance(0.125)
        self.assert_has_left(connection)
        connection.protocol.writeConnectionLost()
        self.unacknowledged = 100
        self.clock.pump([0.125] * 4)
        self.assertFalse(connection.transport.disconnecting)
        self.unacknowledged = 0
        self.clock.pump([0.125] * 2)
        self.assertTrue(connection.transport.disconnecting)

    def test_what_was_held_of_half_a_line_is_let_go(self) -> None:
        connection = self.connect()
        connection.send(b"one\n" + b"x" * 50_000)
        self.drain()
        self.clock.advance(0.25)
        self.assert_has_left(connection)
        self.assertEqual(connection.protocol._framing.held, 0)
        connection.send(b"x" * 50_000)
        self.assertEqual(connection.protocol._framing.held, 0)

    def test_what_a_paused_connection_holds_is_answered_when_its_peer_has_caught_up(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        connection.send(b"one\n")
        self.drain()
        self.clock.advance(6)
        self.assert_stays(connection)
        connection.protocol.resumeProducing()
        self.assertEqual(connection.received(), ONE + b"\n")
        self.clock.advance(0.25)
        self.assert_has_left(connection)

    def test_half_a_line_is_no_message(self) -> None:
        connection = self.connect()
        connection.send(b"one\ntw")
        self.drain()
        self.clock.advance(0.25)
        self.assertEqual(connection.received(), ONE + b"\n")

    def test_the_message_of_a_client_that_has_never_sent_a_line_feed_is_answered(self) -> None:
        connection = self.connect()
        connection.send(b"two")
        self.drain()
        self.clock.advance(0.25)
        self.assertEqual(connection.received(), TWO_UNTERMINATED + b"\n")

    def test_a_peer_that_does_not_close_is_closed_once_it_has_received_everything(self) -> None:
        connection = self.connect()
        self.unacknowledged = 100
        self.drain()
        self.clock.advance(0.25)
        connection.protocol.writeConnectionLost()
        self.clock.advance(0.25)
        self.assertFalse(connection.transport.disconnecting)
        self.unacknowledged = 0
        self.clock.advance(0.25)
        self.assertTrue(connection.transport.disconnecting)
        self.assertFalse(connection.transport.disconnected)

    def test_a_peer_that_has_received_everything_has_a_grace_period_to_close_first(self) -> None:
        for messages in (1, 32):  # one that is quiet soon, and one that goes on for half of the time
            connection = self.connect()
            self.drain(timeout=8)
            for _ in range(messages):
                connection.send(b"one\n")
                self.clock.advance(0.125)
            self.clock.pump([0.0625] * 2 if messages == 1 else [])
            self.assert_has_left(connection)
            connection.protocol.writeConnectionLost()
            self.clock.pump([0.0625] * 3)
            self.assertFalse(connection.transport.disconnecting)
            self.clock.advance(0.0625)
            self.assertTrue(connection.transport.disconnecting)
            connection.lose()

    def test_nothing_of_a_connection_is_left_when_it_is_closed(self) -> None:
        connection = self.connect()
        # A transport that has half-closed already is lost at once.
        connection.transport.loseConnection = connection.lose
        self.drain()
        self.clock.advance(0.25)
        connection.protocol.writeConnectionLost()
        self.clock.advance(0.25)
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_idle_timeout_has_no_say_in_it(self) -> None:
        self.factory.idle_timeout = 1
        connection = self.connect()
        self.unacknowledged = 100
        self.drain(timeout=10)
        self.clock.pump([0.1] * 99)
        self.assertFalse(connection.transport.disconnected)

    def test_after_the_timeout_what_is_left_is_cut_off(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        self.drain(timeout=2.5)
        self.clock.pump([0.1] * 24)
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(connection.transport.disconnected)
        connection.lose()
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def without_header(self) -> Any:
        connection: Any = NewcomerFactory(ProxyProtocol, self.factory, self.factory).buildProtocol(None)
        connection.makeConnection(Transport())
        return connection

    def test_newcomers_are_cut_off_after_a_grace_period(self) -> None:
        newcomers = [TLS(self.factory, is_silent=True).server, self.without_header()]
        self.drain()
        self.clock.advance(0.1875)
        self.assertEqual([newcomer.transport.disconnected for newcomer in newcomers], [False, False])
        self.assertNoResult(self.ended)
        self.clock.advance(0.0625)
        self.assertEqual([newcomer.transport.disconnected for newcomer in newcomers], [True, True])
        for newcomer in newcomers:
            newcomer.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(self.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_newcomer_that_makes_it_meanwhile_is_answered(self) -> None:
        newcomer = self.without_header()
        self.drain()
        self.clock.advance(0.125)
        newcomer.dataReceived(PROXY1.header + b"one\n")
        self.assertNoResult(self.ended)
        self.assertEqual(newcomer.transport.value(), ONE + b"\n")
        self.clock.advance(0.25)
        self.assertTrue(newcomer.transport.has_ended_sending)

    def test_one_that_comes_late_in_it_has_its_time_as_well_but_not_beyond_half(self) -> None:
        self.connect()
        self.drain(timeout=2)
        self.clock.advance(0.9)
        newcomer = self.without_header()
        self.assertFalse(newcomer.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(newcomer.transport.disconnected)

    def test_its_progress_is_logged(self) -> None:
        first, _ = self.connect(), self.connect()
        with capturedLogs() as events:
            self.drain()
            first.lose()
            self.clock.pump([1, 1])
        self.assertEqual(
            [formatEvent(event) for event in events if event["log_namespace"] == "wordecho.server.drain.Drain"],
            [
                "draining: 2 connections left, 10 s",
                "draining: 1 connection left, 9 s",
                "draining: 1 connection left, 8 s",
            ],
        )


def open_connections(port: int, number: int) -> list[socket.socket]:
    return [connect(port) for _ in range(number)]


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


def send_all(connections: list[socket.socket], sends: list[bytes]) -> list[Deferred[bytes]]:
    """
    Send to each connection, each ``sends`` with a call of its own, while what comes is read.

    When this returns, this machine's kernel has taken all of it; the reading goes on.
    """
    reading = [deferToThread(read_to_the_end, connection) for connection in connections]

    def send(connection: socket.socket) -> None:
        for data in sends:
            connection.sendall(data)

    threads = [Thread(target=send, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reading


@pytest.mark.parametrize(
    ("clients", "sends"),
    [
        pytest.param(20, [b"message\n" * 500], id="at-once"),
        pytest.param(20, [b"x" * 3999 + b"\n"] * 500, id="long-lines"),
        pytest.param(1, [b"message\n"] * 500, id="held-back-by-nagle"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_stop_under_load_loses_no_reply_three_times_in_a_row(clients: int, sends: list[bytes]) -> None:
    lines = b"".join(sends).count(b"\n")
    reactor.suggestThreadPoolSize(clients + 10)
    for _ in range(3):
        async with twistd() as (server, port):
            connections = await deferToThread(open_connections, port, clients)
            reading = await deferToThread(send_all, connections, sends)
            server.signal("TERM")
            assert [(await replies).count(b"\n") for replies in reading] == [lines] * clients
            await server.ended
            assert "Traceback" not in server.log


@pytest_twisted.ensureDeferred
async def test_connections_that_the_process_has_not_accepted_yet_are_answered_too() -> None:
    async with twistd() as (server, port):
        server.signal("STOP")  # the process sees nothing until it goes on, and then the signal as well
        connections = await deferToThread(open_connections, port, 300)  # more than one turn accepts
        for connection in connections:
            connection.sendall(b"one\n")
        server.signal("TERM")
        server.signal("CONT")
        received = await deferToThread(lambda: [read_to_the_end(connection) for connection in connections])
        assert received == [ONE + b"\n"] * 300


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_reads_cannot_hold_up_the_stop() -> None:
    async with twistd("--drain-timeout", "1.2") as (server, port):
        with connect(port) as connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            server.signal("TERM")
            await server.logged("draining: 1 connection left, 1 s")
            await server.logged("draining: 1 connection cut off")
            await server.ended


@pytest_twisted.ensureDeferred
async def test_a_second_signal_stops_at_once_however_soon_it_comes() -> None:
    for second, first_is_seen in (("INT", True), ("TERM", False)):  # two of one kind at once may come as one
        async with twistd("--drain-timeout", "600") as (server, port):
            with connect(port) as connection:
                await deferToThread(send_until_nothing_is_taken, connection)
                server.signal("INT")
                if first_is_seen:
                    await server.logged("draining: 1 connection left")
                server.signal(second)
                await server.ended
        assert "Traceback" not in server.log


@pytest_twisted.ensureDeferred
async def test_nobody_is_taken_any_more_once_it_drains() -> None:
    async with twistd("--drain-timeout", "600") as (server, port):
        with connect(port) as connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            server.signal("TERM")
            await server.logged("draining")
            with pytest.raises(ConnectionRefusedError):
                await deferToThread(connect, port)
            server.signal("TERM")


@pytest_twisted.ensureDeferred
async def test_a_port_that_does_not_close_well_keeps_nothing_from_being_answered(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with twistd("--listen", f"unix:{path}") as (server, port):
        connections = await deferToThread(open_connections, port, 1)
        server.signal("STOP")
        connections[0].sendall(b"one\n" * 500)
        path.unlink()
        server.signal("TERM")
        server.signal("CONT")
        assert await deferToThread(read_to_the_end, connections[0]) == (ONE + b"\n") * 500
        await server.logged("A port did not close well: ")
