"""What is promised of listening ports."""

from __future__ import annotations

import os
import socket
import unittest
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from wordecho.service.descriptors import raise_descriptor_limit
from wordecho.sockets.ports import accept_pending, has_pending, rest_when_exhausted

try:
    from fcntl import F_DUPFD, fcntl
except ImportError:
    raise unittest.SkipTest("there is no fcntl here") from None


class Port:
    """
    A port for streams, as Twisted has them, on a socket where one connection waits.

    :ivar room: how many connections it has descriptors for
    :ivar reads: how often it was told that a connection waits
    """

    def __init__(self, test: SynchronousTestCase, room: int) -> None:
        directlyProvides(self, IReadDescriptor)
        listening = socket.create_server(("127.0.0.1", 0))
        test.addCleanup(listening.close)
        test.addCleanup(socket.create_connection(listening.getsockname(), timeout=10).close)
        self.fileno = listening.fileno
        self.room = room
        self.sessionno = self.reads = 0
        self.connected = self.is_reading = True

    def doRead(self) -> None:
        self.reads += 1
        if self.sessionno < self.room:
            self.sessionno += 1

    def stopReading(self) -> None:
        self.is_reading = False

    def startReading(self) -> None:
        self.is_reading = True


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

    def test_a_flood_of_new_connections_does_not_hold_up_a_stop(self) -> None:
        port = Port(self, room=10_000)  # the one that waits is never taken
        accept_pending(port)
        self.assertEqual(port.reads, 1024)


class RestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def port(self, room: int) -> Any:
        port = Port(self, room)
        rest_when_exhausted(port, self.clock)
        return port

    def test_a_port_that_cannot_accept_what_waits_looks_again_after_a_second(self) -> None:
        port = self.port(room=0)
        port.doRead()
        self.assertFalse(port.is_reading)
        self.clock.advance(0.99)
        self.assertFalse(port.is_reading)
        self.clock.advance(0.01)
        self.assertTrue(port.is_reading)

    def test_one_that_can_does_not_rest(self) -> None:
        port = self.port(room=1)
        port.doRead()
        self.assertEqual((port.sessionno, port.is_reading, self.clock.getDelayedCalls()), (1, True, []))

    def test_one_that_is_closed_meanwhile_does_not_look_again(self) -> None:
        port = self.port(room=0)
        port.doRead()
        port.connected = False
        self.clock.advance(2)
        self.assertFalse(port.is_reading)

    def test_what_takes_no_connections_is_let_be(self) -> None:
        class DatagramPort:
            def doRead(self) -> None: ...

        port = DatagramPort()
        rest_when_exhausted(port, self.clock)
        self.assertEqual(vars(port), {})
