"""What is promised of what the kernel is asked about a connection, with real ones."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
import unittest
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets.tcp_info import acknowledged_octets, unacknowledged_octets, unread_octets

if sys.platform != "linux":
    raise unittest.SkipTest("what Linux knows of a connection is to be had on Linux only")

PATIENCE = 10  # seconds


class Transport:
    """What is asked of a transport about its socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.getHandle = lambda: connection
        self.fileno = connection.fileno


class KernelTests(SynchronousTestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.peer = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
            self.connection, _ = listening.accept()
        self.connection.setblocking(False)
        for each in self.peer, self.connection:
            self.addCleanup(each.close)
        self.transport = Transport(self.connection)

    def fill(self) -> int:
        """Send until the buffers of both kernels are full; return how many octets were sent."""
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += self.connection.send(b"x" * 65536)
        return sent

    def read(self, octets: int) -> None:
        while octets:
            octets -= len(self.peer.recv(min(octets, 65536)))

    def assert_soon(self, holds: Callable[[], bool]) -> None:
        """A kernel takes its time to acknowledge, and tells nobody when it has."""
        end = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_what_the_peer_has_sent_is_unread_until_it_is_read(self) -> None:
        self.assertEqual(unread_octets(self.transport), 0)
        self.peer.sendall(b"x" * 1000)
        self.assert_soon(lambda: unread_octets(self.transport) == 1000)
        self.connection.recv(400)
        self.assertEqual(unread_octets(self.transport), 600)

    def test_what_is_asked_of_tls_is_asked_of_the_connection_below(self) -> None:
        above = ProtocolWrapper(cast(Any, None), cast(Any, None))
        above.transport = cast(Any, self.transport)
        self.connection.send(b"x" * 1000)
        self.assert_soon(lambda: acknowledged_octets(above) == 1000)

    def test_nothing_that_was_sent_is_all_acknowledged(self) -> None:
        self.assertEqual((acknowledged_octets(self.transport), unacknowledged_octets(self.transport)), (0, 0))

    def test_what_the_peers_kernel_has_is_acknowledged_before_its_program_reads_it(self) -> None:
        self.connection.send(b"x" * 1000)
        self.assert_soon(lambda: acknowledged_octets(self.transport) == 1000)
        self.assertEqual(unacknowledged_octets(self.transport), 0)

    def test_each_octet_is_acknowledged_or_not(self) -> None:
        sent = self.fill()
        self.assert_soon(
            lambda: (acknowledged_octets(self.transport) or 0) + unacknowledged_octets(self.transport) == sent
        )
        self.assertGreater(unacknowledged_octets(self.transport), 0)
        self.assertGreater(acknowledged_octets(self.transport) or 0, 0)

    def test_a_slow_reader_is_told_from_one_that_is_stuck(self) -> None:
        sent = self.fill()
        before = acknowledged_octets(self.transport)
        self.assertEqual(acknowledged_octets(self.transport), before)
        self.read(sent // 2)
        self.assert_soon(lambda: acknowledged_octets(self.transport) != before)
        self.read(sent - sent // 2)
        self.assert_soon(lambda: acknowledged_octets(self.transport) == sent)
        self.assertEqual(unacknowledged_octets(self.transport), 0)

    def test_what_is_received_is_not_counted(self) -> None:
        self.peer.send(b"x" * 1000)
        self.assertEqual((acknowledged_octets(self.transport), unacknowledged_octets(self.transport)), (0, 0))

    def test_of_what_is_no_tcp_connection_nothing_is_known(self) -> None:
        one, other = socket.socketpair()
        for each in one, other:
            self.addCleanup(each.close)
        self.connection.close()
        for transport in (self.transport, StringTransport()):
            self.assertEqual((acknowledged_octets(transport), unacknowledged_octets(transport)), (None, 0))
        self.assertIsNone(acknowledged_octets(Transport(one)))
