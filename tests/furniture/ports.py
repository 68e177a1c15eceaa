"""A listening port without a reactor."""

from __future__ import annotations

import socket

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides


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

    def connectionLost(self, reason: Failure) -> None:
        self.connected = False

    def stopReading(self) -> None:
        self.is_reading = False

    def startReading(self) -> None:
        self.is_reading = True
