"""What is promised of listening ports."""

from __future__ import annotations

import os
import socket
import sys
import unittest

from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.ports import Port
from wordecho.service.descriptors import raise_descriptor_limit
from wordecho.sockets.ports import close, has_pending, turn_newcomers_away

try:
    from fcntl import F_DUPFD, fcntl
except ImportError:
    raise unittest.SkipTest("there is no fcntl here") from None


class PendingTests(SynchronousTestCase):
    def test_a_port_is_asked_whatever_the_number_of_its_descriptor(self) -> None:
        self.assertGreater(raise_descriptor_limit(2048), 1100)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            for least in (0, 1024):  # select() knows those below 1024
                descriptor = fcntl(listening.fileno(), F_DUPFD, least)
                self.addCleanup(os.close, descriptor)
                self.assertFalse(has_pending(descriptor))
                with socket.create_connection(listening.getsockname(), timeout=10):
                    self.assertTrue(has_pending(descriptor))
                    listening.accept()[0].close()


class CloseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.port = Port(self, room=10_000)

    def test_a_flood_of_new_connections_does_not_hold_up_a_stop(self) -> None:
        close(self.port)  # the one that waits is never taken off its queue
        self.assertEqual(self.port.sessionno, 1024)
        self.assertFalse(self.port.connected)

    def test_it_is_closed_when_nobody_can_be_accepted(self) -> None:
        self.port.room = 3
        close(self.port)
        self.assertEqual((self.port.sessionno, self.port.connected), (3, False))


@unittest.skipUnless(sys.platform == "linux", "the kernel's filter is that of Linux")
class NewcomerTests(SynchronousTestCase):
    def test_no_connection_is_begun_any_more_and_those_that_were_are_to_be_accepted(self) -> None:
        for host in "127.0.0.1", "::1":
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.create_server((host, 0), family=family) as listening:
                address = listening.getsockname()[:2]
                with socket.create_connection(address, timeout=10):
                    self.assertTrue(turn_newcomers_away(Listening(listening)))
                    self.assertRaises(TimeoutError, socket.create_connection, address, timeout=0.2)
                    listening.settimeout(10)
                    listening.accept()[0].close()

    def test_a_unix_socket_has_nothing_of_the_kind(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            self.assertFalse(turn_newcomers_away(Listening(listening)))


class Listening:
    """A port that has this socket."""

    def __init__(self, listening: socket.socket) -> None:
        self.socket = listening
