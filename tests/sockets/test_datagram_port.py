"""What is promised of a UDP port: a share of each turn, however many datagrams come."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from wordecho.sockets.datagram_port import DatagramPort, adopt


@implementer(IReactorFDSet)
class Reactor(Clock):
    """A clock that knows who reads."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard

    def addWriter(self, writer: Any) -> None: ...

    removeWriter = addWriter

    def removeAll(self) -> list[Any]:
        return []

    getReaders = getWriters = removeAll


class Recorder(DatagramProtocol):
    """Keeps what has come; each datagram takes so many seconds of the clock."""

    noisy = False

    def __init__(self, reactor: Reactor, seconds: float) -> None:
        self.came: list[bytes] = []
        self._reactor = reactor
        self._seconds = seconds

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.came.append(datagram)
        self._reactor.rightNow += self._seconds
        if datagram == b"bad":
            raise ValueError(datagram)


class DatagramPortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.waiting: list[Callable[[], None]] = []
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.sender.close)

    def listen(self, seconds: float = 0) -> tuple[DatagramPort, Recorder]:
        """Return a port whose share is a second, and what its datagrams come to."""
        recorder = Recorder(self.reactor, seconds)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            bound.setblocking(False)
            port = adopt(self.reactor, bound, recorder, 65536, 1, self.waiting.append)
        self.sender.connect(("127.0.0.1", port.getHost().port))
        self.addCleanup(lambda: port.connected and port.connectionLost(None))
        return port, recorder

    def test_all_that_wait_are_read_where_they_take_less_than_the_share(self) -> None:
        port, recorder = self.listen()
        for datagram in b"one", b"", b"x" * 60_000:
            self.sender.send(datagram)
        port.doRead()
        self.assertEqual(recorder.came, [b"one", b"", b"x" * 60_000])
        self.assertIn(port, self.reactor.readers)

    def test_beyond_it_the_port_waits_for_its_turn(self) -> None:
        port, recorder = self.listen(seconds=0.5)
        for _ in range(5):
            self.sender.send(b"")
        port.doRead()
        self.assertEqual(len(recorder.came), 2)
        self.assertNotIn(port, self.reactor.readers)
        (go_on,) = self.waiting
        go_on()
        self.assertIn(port, self.reactor.readers)

    def test_one_that_was_closed_meanwhile_reads_no_more(self) -> None:
        port, _ = self.listen(seconds=1)
        self.sender.send(b"")
        port.doRead()
        port.connectionLost(None)
        self.waiting.pop()()
        self.assertNotIn(port, self.reactor.readers)

    def test_what_fails_at_one_datagram_is_logged_and_the_next_is_read(self) -> None:
        port, recorder = self.listen()
        for datagram in b"bad", b"good":
            self.sender.send(datagram)
        port.doRead()
        self.assertEqual(recorder.came, [b"bad", b"good"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_when_it_is_closed_what_waits_is_read_for_as_long_as_a_share(self) -> None:
        port, recorder = self.listen(seconds=0.5)
        for _ in range(5):
            self.sender.send(b"one")
        port.stopListening()
        self.assertEqual(recorder.came, [b"one", b"one"])
