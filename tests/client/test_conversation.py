"""The command in this process: its messages, from its arguments or read from a descriptor, and its exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.outputs import Output
from tests.furniture.processes import PATIENCE
from wordecho.client import WordEchoClientFactory, command
from wordecho.client.command import Conversation, converse, feed, main
from wordecho.client.options import Options
from wordecho.client.printing import Printer

reactor: Any = _reactor

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
REFUSAL = b'{"error":"not-utf-8","detail":"No."}'


class ConverseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.complaints = io.StringIO()
        self.patch(sys, "stderr", self.complaints)
        self.reactor = MemoryReactorClock()
        self.transport = StringTransport()
        self.output = Output()
        self.addCleanup(self.output.close)

    def start(self, *arguments: str) -> Deferred[int]:
        config = Options()
        config.parseOptions([*arguments])
        return Deferred.fromCoroutine(converse(self.reactor, config, self.output))

    def connect(self, *arguments: str) -> Deferred[int]:
        """Start with ``arguments``, and take the connection."""
        ended = self.start(*arguments)
        factory: Any = self.reactor.tcpClients[0][2]
        self.protocol: Any = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return ended

    def assert_ended(self, ended: Deferred[int], status: int, complaint: str = "") -> None:
        self.assertEqual(self.successResultOf(ended), status)
        self.assertEqual(self.complaints.getvalue(), complaint)

    def test_each_line_of_the_message_is_one_and_the_end_comes_when_all_are_answered(self) -> None:
        ended = self.connect("--json", "127.0.0.1", "one\none")
        self.assertEqual(self.transport.value(), b"one\r\none\r\n")
        self.protocol.dataReceived(ONE + b"\r\n")
        self.assertNoResult(ended)
        self.protocol.dataReceived(ONE + b"\r\n")
        self.assert_ended(ended, 0)
        self.assertEqual(self.output.getvalue(), (ONE + b"\n") * 2)
        self.assertTrue(self.transport.disconnecting)

    def test_a_refusal_is_exit_status_1(self) -> None:
        ended = self.connect("--json", "127.0.0.1", "one\none")
        self.protocol.dataReceived(REFUSAL + b"\r\n" + ONE + b"\r\n")
        self.assert_ended(ended, 1)
        self.assertEqual(self.output.getvalue(), REFUSAL + b"\n" + ONE + b"\n")

    def test_output_that_is_lost_is_the_end_though_the_server_owes_more(self) -> None:
        for replies in ONE, REFUSAL, REFUSAL + b"\r\n" + ONE:
            self.reactor, self.transport = MemoryReactorClock(), StringTransport()
            self.output.error = errno.EPIPE
            ended = self.connect("--json", "127.0.0.1", "one\none\none")
            self.protocol.dataReceived(replies + b"\r\n")
            self.assert_ended(ended, 141)
            self.assertTrue(self.transport.disconnecting)

    def test_a_connection_that_is_lost_is_exit_status_3(self) -> None:
        ended = self.connect("127.0.0.1", "one")
        self.protocol.connectionLost(Failure(ConnectionDone()))
        sentence = "wordecho: the connection to the server is gone: Connection was closed cleanly.\n"
        self.assert_ended(ended, 3, sentence)

    def test_a_server_that_is_another_one_is_exit_status_4(self) -> None:
        ended = self.connect("127.0.0.1", "one")
        self.protocol.dataReceived(b"one\r\n")
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assert_ended(ended, 4, "wordecho: what answered is not a wordecho server: it sent b'one'.\n")

    def test_a_server_that_is_not_there_is_exit_status_3(self) -> None:
        ended = self.start("127.0.0.1", "one")
        factory: Any = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.reactor.advance(0.3)  # after which the next address is tried, and there is none
        sentence = "wordecho: the server cannot be reached: Connection was refused by other side.\n"
        self.assert_ended(ended, 3, sentence)

    def test_a_host_that_does_not_parse_is_exit_status_2(self) -> None:
        ended = self.start("nosuch:host", "one")
        self.assertEqual(self.successResultOf(ended), 2)
        self.assertRegex(self.complaints.getvalue(), r"\Awordecho: HOST is .*'nosuch:host'.* Try --help\.\n\Z")


class MainTests(SynchronousTestCase):
    """What ends before there is a reactor."""

    def setUp(self) -> None:
        self.complaints = io.StringIO()
        self.patch(sys, "stderr", self.complaints)
        self.output = io.StringIO()
        self.patch(sys, "stdout", self.output)

    def status(self, *arguments: str) -> object:
        self.patch(sys, "argv", ["wordecho", *arguments])
        return self.assertRaises(SystemExit, main).code

    def test_wrong_usage(self) -> None:
        self.assertEqual(self.status("--colour"), 2)
        self.assertRegex(self.complaints.getvalue(), r"\Awordecho: .*--colour.* Try --help\.\n\Z")

    def test_help(self) -> None:
        self.assertIn(self.status("--help"), (0, None))
        self.assertIn("HOST [MESSAGE ...]", self.output.getvalue())
        self.assertEqual(self.complaints.getvalue(), "")

    def test_help_that_nobody_reads(self) -> None:
        with Output(errno.EPIPE) as output:
            self.patch(sys, "stdout", io.TextIOWrapper(output))
            self.assertEqual(self.status("--help"), 141)
            output.error = None

    def test_streams_that_are_closed(self) -> None:
        for stream, name in ("stdin", "input"), ("stdout", "output"):
            self.patch(sys, stream, None)
            self.assertEqual(self.status("127.0.0.1"), 74)
            self.assertTrue(self.complaints.getvalue().endswith(f"wordecho: standard {name} is closed.\n"))


class Transport(StringTransport):
    """
    Where messages are sent.

    :ivar sent: the messages
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent: DeferredQueue[bytes] = DeferredQueue()

    def write(self, data: bytes) -> None:
        self.sent.put(data)


class Talk:
    """
    A conversation on the reactor, fed by a pipe; the test is its user and its server.

    :ivar finished: fires when what was read is answered
    """

    def __init__(self) -> None:
        self.transport = Transport()
        self.client = WordEchoClientFactory(Clock()).buildProtocol(None)
        self.client.makeConnection(self.transport)
        self.output = io.BytesIO()
        self.reader, self.writer = os.pipe()
        self.finished = feed(reactor, self.reader, Conversation(self.client, Printer(self.output, as_json=True)))

    async def sent(self) -> bytes:
        """Wait for the next message that is sent."""
        return await self.transport.sent.get().addTimeout(PATIENCE, reactor)

    def type(self, text: bytes) -> None:
        os.write(self.writer, text)

    def end_typing(self) -> None:
        os.close(self.writer)

    async def end(self) -> object:
        problem = await self.finished.addTimeout(PATIENCE, reactor)
        os.close(self.reader)
        return problem


@pytest_twisted.ensureDeferred
async def test_lines_are_sent_as_they_come_and_a_last_one_without_an_ending_is_one() -> None:
    talk = Talk()
    talk.type(b"one\r\ntw")
    assert await talk.sent() == b"one\r\n"
    talk.client.dataReceived(ONE + b"\n")
    talk.type(b"o\n\none")
    assert [await talk.sent(), await talk.sent()] == [b"two\r\n", b"\r\n"]
    talk.client.dataReceived(REFUSAL + b"\n" + REFUSAL + b"\n")
    talk.end_typing()
    assert await talk.sent() == b"one\r\n"
    talk.client.dataReceived(ONE + b"\n")
    assert await talk.end() is None
    assert talk.output.getvalue().splitlines() == [ONE, REFUSAL, REFUSAL, ONE]


@pytest_twisted.ensureDeferred
async def test_input_without_a_line_is_no_message() -> None:
    talk = Talk()
    talk.end_typing()
    assert await talk.end() is None
    assert talk.transport.sent.pending == []


@pytest_twisted.ensureDeferred
async def test_standard_input_that_cannot_be_read_is_exit_status_74(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unreadable = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(command, "STANDARD_INPUT", unreadable)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Protocol))
    config = Options()
    config.parseOptions(["--port", str(port.getHost().port), "127.0.0.1"])
    ended = Deferred.fromCoroutine(converse(reactor, config, io.BytesIO()))
    assert await ended == 74
    assert capsys.readouterr().err == "wordecho: cannot read standard input: Bad file descriptor.\n"
    await port.stopListening()
    os.close(unreadable)
