"""What is promised of the reactor besides what Twisted's own tests of a reactor say."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import unittest
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from twisted.application.reactors import getReactorTypes
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

if sys.platform != "linux":
    raise unittest.SkipTest("there is no epoll here")

from wordecho.reactor import SMALL_READ, EagerEPollReactor, EagerServer

LARGE = b"x" * 10_000_000  # more than the buffers of a connection hold


class Poller:
    """Stands in front of a reactor's poller and writes down what it is asked for."""

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self.changes: list[str] = []
        self.timeouts: list[float | None] = []
        self.extra_events: list[tuple[int, int]] = []

    def poll(self, timeout: float | None, most: int) -> Any:
        self.timeouts.append(timeout)
        return self._poller.poll(0, most) + self.extra_events

    def __getattr__(self, name: str) -> Any:
        self.changes.append(name)
        return getattr(self._poller, name)


@implementer(IPushProducer)
class Connected(Protocol):
    """
    One end of a connection, the other end of which is a plain socket.

    :ivar read_hook: called when something comes
    :ivar resume_hook: called when the transport asks for more
    :ivar is_lost: whether the connection is
    """

    transport: Any
    is_lost = False

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.read_hook: Callable[[], object] = lambda: None
        self.resume_hook: Callable[[], object] = lambda: None
        self.producer_calls: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.read_hook()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True

    def pauseProducing(self) -> None:
        self.producer_calls.append("pause")

    def resumeProducing(self) -> None:
        self.producer_calls.append("resume")
        self.resume_hook()

    def stopProducing(self) -> None:
        self.producer_calls.append("stop")

    def received(self) -> bytes:
        """Return what has arrived at the other end and is there to be read now."""
        received = []
        try:
            while data := self.peer.recv(1 << 20):
                received.append(data)
        except BlockingIOError:
            pass
        return b"".join(received)

    def has_ended(self) -> bool:
        """Return whether the other end has read the end of the stream."""
        try:
            return self.peer.recv(1) == b""
        except BlockingIOError:
            return False


class ReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = EagerEPollReactor()
        self.poller = self.reactor._poller = Poller(self.reactor._poller)
        self.connections: list[Connected] = []
        self.addCleanup(self.close)

    def close(self) -> None:
        for reader in self.reactor._internalReaders:
            self.reactor.removeReader(reader)
            reader.connectionLost(None)
        self.reactor.disconnectAll()
        for connection in self.connections:
            if not connection.is_lost:  # the reactor does not know those that neither read nor write
                connection.transport.connectionLost(Failure(ConnectionDone()))
        self.poller._poller.close()

    def connect(self) -> Connected:
        ours, peers = socket.socketpair()
        self.addCleanup(peers.close)
        peers.setblocking(False)
        made = Connected(peers)
        self.adopt(ours, made)
        self.connections.append(made)
        self.poller.changes.clear()
        return made

    def adopt(self, connection: socket.socket, protocol: Protocol) -> None:
        factory = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        with connection:
            self.reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, factory)

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.iterate(None)

    def test_a_reply_goes_out_in_the_turn_in_which_its_message_came_and_epoll_is_told_nothing(self) -> None:
        connection = self.connect()
        connection.read_hook = lambda: connection.transport.write(b"reply")
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(connection.received(), b"reply")
        self.assertEqual(self.poller.changes, [])
        self.assertEqual(self.reactor.getWriters(), [])

    def test_what_is_written_in_pieces_is_sent_once(self) -> None:
        connection = self.connect()
        sent: Any = []
        connection.transport.writeSomeData = lambda data: sent.append(data) or len(data)
        connection.transport.write(b"one")
        connection.transport.writeSequence([b"two", b"three"])
        self.assertEqual(self.reactor.getWriters(), [connection.transport])
        self.turn()
        self.assertEqual(sent, [b"onetwothree"])

    def test_what_cannot_be_sent_at_once_is_sent_as_the_peer_reads(self) -> None:
        connection = self.connect()
        connection.transport.registerProducer(connection, True)
        connection.transport.write(LARGE)
        self.assertEqual(connection.producer_calls, ["pause"])
        self.turn(200)
        self.assertEqual(self.reactor.getWriters(), [connection.transport])
        self.assertEqual(self.poller.changes, ["modify"])
        received = 0
        while received < len(LARGE):
            received += len(connection.received())
            self.turn()
        self.turn()
        self.assertEqual(connection.producer_calls, ["pause", "resume"])
        self.assertEqual(self.reactor.getWriters(), [])

    def test_a_connection_is_closed_after_its_last_byte(self) -> None:
        for written in b"reply", LARGE:
            connection = self.connect()
            connection.transport.write(written)
            connection.transport.loseConnection()
            received = 0
            while not connection.is_lost:
                self.turn()
                received += len(connection.received())
            received += len(connection.received())
            self.assertEqual(received, len(written))
            self.assertTrue(connection.has_ended())

    def test_a_sending_side_is_ended_after_its_last_byte_and_the_other_is_read_on(self) -> None:
        connection = self.connect()
        came: list[None] = []
        connection.read_hook = lambda: came.append(None)
        connection.transport.write(b"reply")
        connection.transport.loseWriteConnection()
        self.turn()
        self.assertEqual(connection.received(), b"reply")
        self.assertTrue(connection.has_ended())
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(came, [None])

    def test_one_that_always_has_more_to_send_does_not_keep_another_waiting(self) -> None:
        greedy, modest = self.connect(), self.connect()
        greedy.resume_hook = lambda: greedy.transport.write(b"x")
        greedy.transport.registerProducer(greedy, False)
        self.turn(3)
        modest.transport.write(b"reply")
        self.turn()
        self.assertEqual(modest.received(), b"reply")
        self.assertLessEqual(len(greedy.received()), 4 * 2)  # it may send before and after each poll

    def test_a_producer_that_is_to_be_asked_is_asked_until_it_has_no_more(self) -> None:
        connection = self.connect()
        pieces = [b"four", b"three", b"two", b"one"]
        connection.resume_hook = lambda: pieces and connection.transport.write(pieces.pop())
        connection.transport.registerProducer(connection, False)
        self.turn(10)
        self.assertEqual(connection.received(), b"onetwothreefour")

    def test_a_producer_that_was_paused_is_resumed_by_whoever_takes_its_place(self) -> None:
        connection = self.connect()
        connection.transport.registerProducer(connection, True)
        connection.transport.write(b"x" * 100_000)
        connection.transport.unregisterProducer()
        while self.reactor.getWriters():
            self.turn()
            connection.received()
        connection.transport.registerProducer(connection, True)
        connection.transport.write(b"y")
        self.turn(2)
        self.assertEqual(connection.producer_calls, ["pause", "resume"])

    def test_a_sequence_is_not_overtaken_by_what_is_written_after_it(self) -> None:
        connection = self.connect()
        connection.transport.writeSequence([b"one", b"two"])
        connection.transport.write(b"three")
        self.turn()
        self.assertEqual(connection.received(), b"onetwothree")

    def test_an_event_for_a_connection_with_nothing_to_read_is_nothing(self) -> None:
        connection = self.connect()
        connection.read_hook = lambda: self.fail("there was nothing to read")
        self.poller.extra_events = [(connection.transport.fileno(), select.EPOLLIN)]
        self.turn()
        self.assertFalse(connection.is_lost)

    def test_what_a_timed_call_writes_goes_out_before_anything_is_waited_for(self) -> None:
        connection = self.connect()
        self.reactor.callLater(0, lambda: connection.transport.write(b"reply"))
        self.turn()
        self.assertEqual(connection.received(), b"reply")

    def test_what_a_thread_has_called_writes_goes_out_before_anything_is_waited_for(self) -> None:
        connection = self.connect()
        self.reactor.callFromThread(lambda: connection.transport.write(b"reply"))
        self.turn()
        self.assertEqual(connection.received(), b"reply")

    def test_nothing_is_waited_for_where_sending_may_have_set_something_going(self) -> None:
        connection = self.connect()
        connection.transport.write(b"reply")
        self.turn()
        self.turn()
        self.assertEqual(self.poller.timeouts, [0, None])

    def test_one_that_is_lost_while_another_sends_is_let_be(self) -> None:
        first, second = self.connect(), self.connect()
        first.resume_hook = lambda: second.transport.connectionLost(Failure(ConnectionError()))
        first.transport.write(b"reply")
        first.transport.registerProducer(first, False)
        second.transport.writeSequence([b"re", b"ply"])
        self.turn()
        self.assertTrue(second.is_lost)
        self.assertEqual(first.received(), b"reply")
        self.assertEqual(second.received(), b"")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_a_peer_that_is_gone_when_a_reply_is_sent_is_a_lost_connection(self) -> None:
        connection = self.connect()
        connection.transport.stopReading()
        connection.peer.close()
        connection.transport.write(b"reply")
        self.turn()
        self.assertTrue(connection.is_lost)

    def test_what_a_protocol_raises_is_logged_and_costs_it_its_connection_and_no_other(self) -> None:
        faulty, other = self.connect(), self.connect()
        for connection in faulty, other:
            connection.peer.send(b"message")
        faulty.read_hook = lambda: [][0]
        other.read_hook = lambda: other.transport.write(b"reply")
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        self.assertTrue(faulty.is_lost)
        self.assertEqual(other.received(), b"reply")

    def test_a_line_of_the_log_says_whose_it_is(self) -> None:
        connection = self.connect()
        lines: list[Any] = []
        log.addObserver(lines.append)
        self.addCleanup(log.removeObserver, lines.append)
        connection.read_hook = lambda: log.msg("a line")
        connection.peer.send(b"message")
        self.turn()
        systems = [line["system"] for line in lines if line["message"] == ("a line",)]
        self.assertEqual(systems, [connection.transport.logPrefix()])

    def test_a_line_that_a_thread_logs_later_says_whose_it_is_too(self) -> None:
        # What a thread is given is the context itself, not a copy.
        connections = [self.connect() for _ in range(3)]
        contexts: list[Any] = []
        for connection in connections:
            connection.read_hook = lambda: contexts.append(context.theContextTracker.currentContext().contexts[-1])
            connection.peer.send(b"message")
        self.turn()
        systems = [found[log.ILogContext]["system"] for found in contexts]
        self.assertEqual(systems, [connection.transport.logPrefix() for connection in connections])

    def test_the_context_of_who_runs_the_reactor_is_there(self) -> None:
        connection = self.connect()
        found: list[Any] = []
        connection.read_hook = lambda: found.append(context.get("key"))
        connection.peer.send(b"message")
        context.call({"key": "value"}, self.turn)
        self.assertEqual(found, ["value"])

    def test_no_context_of_a_line_in_the_log_is_left_behind(self) -> None:
        contexts: Any = context.theContextTracker.currentContext().contexts
        before = len(contexts)
        connection, faulty = self.connect(), self.connect()
        faulty.read_hook = lambda: [][0]
        for _ in range(3):
            connection.peer.send(b"message")
            self.turn()
        faulty.peer.send(b"message")
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        self.assertEqual(len(contexts), before)

    def test_removeAll_returns_who_is_noted_too(self) -> None:
        connection = self.connect()
        connection.transport.stopReading()
        connection.transport.write(b"reply")
        self.assertEqual(self.reactor.removeAll(), [connection.transport])
        self.assertEqual(self.reactor.getWriters(), [])

    def test_a_pipe_is_left_to_epoll(self) -> None:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)

        class Pipe:
            def fileno(self) -> int:
                return writing

        pipe = Pipe()
        self.poller.changes.clear()
        self.reactor.addWriter(pipe)
        self.assertEqual(self.poller.changes, ["register"])
        self.reactor.removeWriter(pipe)


class AcceptedTests(ReactorTests):
    """What is promised of every connection, of one that a port has accepted."""

    numbers = count()

    def adopt(self, connection: socket.socket, protocol: Protocol) -> None:
        server: Any = None
        number = next(self.numbers)
        protocol.makeConnection(EagerServer(connection, protocol, ("a peer", 0), server, number, self.reactor))

    def test_what_waits_to_be_sent_is_not_overtaken(self) -> None:
        connection = self.connect()
        written = [LARGE, b"a", b"b", LARGE, b"c"]
        received = []
        for data in written:
            connection.transport.write(data)
            self.turn()
        while self.reactor.getWriters():
            received.append(connection.received())
            self.turn()
        received.append(connection.received())
        self.assertTrue(b"".join(received) == b"".join(written))

    def test_the_context_of_the_log_has_what_it_had_where_the_connection_was_accepted(self) -> None:
        found: list[Any] = []
        connection = context.call({log.ILogContext: {"system": "-", "key": "value"}}, self.connect)
        connection.read_hook = lambda: found.append(context.get(log.ILogContext)["key"])
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(found, ["value"])

    def test_part_of_a_reply_may_be_sent(self) -> None:
        connection = self.connect()
        connection.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is
        reply = os.urandom(60_000)
        connection.transport.write(reply)
        self.turn(2)
        received = connection.received()
        self.assertTrue(0 < len(received) < len(reply))
        self.assertEqual(self.poller.changes, ["modify"])
        while self.reactor.getWriters():
            self.turn()
            received += connection.received()
        self.assertTrue(received == reply)

    def test_a_peer_that_sends_much_at_once_is_read_in_large_pieces(self) -> None:
        connection = self.connect()
        sizes: list[int] = []
        self.patch(connection, "dataReceived", lambda data: sizes.append(len(data)))
        for _ in range(2):
            connection.peer.send(b"x" * 10_000)
            self.turn(2)
        self.assertEqual(sizes, [SMALL_READ, 10_000 - SMALL_READ, 10_000])

    def test_only_bytes_can_be_written(self) -> None:
        connection = self.connect()
        self.assertRaises(TypeError, connection.transport.write, "reply")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_what_is_written_to_a_lost_connection_is_dropped(self) -> None:
        connection = self.connect()
        connection.transport.connectionLost(Failure(ConnectionError()))
        connection.transport.write(b"reply")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_what_is_written_after_an_abort_is_dropped(self) -> None:
        connection = self.connect()

        def abort() -> None:
            connection.transport.abortConnection()
            connection.transport.write(b"reply")

        connection.read_hook = abort
        connection.peer.send(b"message")
        self.turn(2)
        self.assertTrue(connection.is_lost)
        self.assertEqual(connection.received(), b"")

    def test_so_many_are_read_before_the_first_reply_is_sent_and_no_more(self) -> None:
        connections = [self.connect() for _ in range(129)]
        for connection in connections:
            connection.read_hook = partial(connection.transport.write, b"reply")
            connection.peer.send(b"message")
        self.turn()
        self.assertEqual(sum(connection.received() == b"reply" for connection in connections), 128)
        self.turn()
        self.assertEqual(sum(connection.received() == b"reply" for connection in connections), 1)

    def test_what_is_written_before_an_abort_is_dropped(self) -> None:
        connection = self.connect()

        def abort() -> None:
            connection.transport.write(b"reply")
            connection.transport.abortConnection()

        connection.read_hook = abort
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(self.reactor.getWriters(), [])
        self.turn()
        self.assertTrue(connection.is_lost)
        self.assertEqual(connection.received(), b"")

    def test_a_reply_in_several_pieces_is_sent_as_one(self) -> None:
        connection = self.connect()
        sizes: list[int] = []

        class Counted(Broken):
            def recv(self, most: int) -> bytes:
                return self._original.recv(most)

            def send(self, data: bytes) -> int:
                sizes.append(len(data))
                return self._original.send(data)

        connection.transport.socket = Counted(connection.transport.socket)

        def reply() -> None:
            connection.transport.write(b"one ")
            connection.transport.write(b"reply")

        connection.read_hook = reply
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(sizes, [9])
        self.assertEqual(connection.received(), b"one reply")

    def test_a_peer_that_is_gone_ends_the_connection(self) -> None:
        connection = self.connect()
        connection.peer.close()
        self.turn()
        self.assertTrue(connection.is_lost)

    def test_a_connection_that_turns_out_to_be_broken_is_lost_without_a_word_in_the_log(self) -> None:
        connection = self.connect()
        connection.transport.socket = Broken(connection.transport.socket)
        connection.peer.send(b"message")
        self.turn()
        self.assertTrue(connection.is_lost)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_protocol_that_pauses_is_not_handed_what_has_come(self) -> None:
        connection, other = self.connect(), self.connect()
        came: list[None] = []
        connection.read_hook = lambda: came.append(None)
        other.read_hook = connection.transport.pauseProducing
        other.peer.send(b"message")
        connection.peer.send(b"message")
        self.turn()
        self.assertEqual(came, [])
        connection.transport.resumeProducing()
        self.turn()
        self.assertEqual(came, [None])

    def test_a_port_makes_such_connections_if_it_would_make_ordinary_ones(self) -> None:
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        with socket.create_server(("127.0.0.1", 0)) as listening:
            adopted = self.reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
        made = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("\0" + os.urandom(8).hex())
            listening.listen()
            unix = self.reactor.adoptStreamPort(listening.fileno(), socket.AF_UNIX, factory)
        self.assertEqual([adopted.transport, made.transport], [EagerServer, EagerServer])
        self.assertNotEqual(unix.transport, EagerServer)


class Broken:
    """A socket the peer of which has broken the connection."""

    def __init__(self, original: socket.socket) -> None:
        self._original = original

    def recv(self, most: int) -> bytes:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class TwistedTests(SynchronousTestCase):
    def test_the_private_names_that_it_relies_on_are_there(self) -> None:
        reactor: Any = EagerEPollReactor()
        self.addCleanup(reactor._poller.close)
        self.addCleanup(reactor.waker.connectionLost, None)
        self.assertTrue(callable(reactor._poller.poll))
        self.assertTrue(callable(reactor._doReadOrWrite))
        self.assertEqual(reactor._writes, set())
        self.assertEqual(list(reactor._selectables.values()), [reactor.waker])
        self.assertIsInstance(reactor._POLL_OUT, int)
        self.assertTrue(callable(reactor._disconnectSelectable))
        contexts: Any = context.theContextTracker.currentContext().contexts
        context.call({"key": "value"}, lambda: self.assertEqual(contexts[-1], {"key": "value"}))

    def test_the_private_names_that_its_connections_rely_on_are_there(self) -> None:
        self.assertEqual((Server.dataBuffer, Server.offset), (b"", 0))
        descriptor = FileDescriptor(EagerEPollReactor.__new__(EagerEPollReactor))
        self.assertEqual(descriptor._tempDataLen, 0)

    def test_any_program_can_choose_it_by_name(self) -> None:
        (plugin,) = (plugin for plugin in getReactorTypes() if plugin.shortName == "eager-epoll")
        self.assertEqual(getattr(plugin, "moduleName", None), "wordecho.reactor")
