"""What a program gets from the client's protocol, byte for byte, with a clock of the tests' own and no sockets."""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectingCancelledError, ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.transports import Transport, UNIXTransport
from wordecho import wire
from wordecho.client import (
    Answer,
    ClientError,
    NotWordEchoError,
    ServerGoneError,
    WordEchoClientFactory,
    WordEchoClientProtocol,
    connect,
)
from wordecho.wire import python_engine

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
TWO = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3}'
THREE = b'{"unique_words":["three"],"word_count":1,"length":5,"bytes":5}'

messages = st.text().map(str.encode) | st.binary()


class Connection:
    """A connection of the client that runs on ``clock``; the test is its server."""

    def __init__(self, clock: Clock) -> None:
        self.transport = StringTransport()
        self.client = WordEchoClientFactory(clock).buildProtocol(None)
        self.client.makeConnection(self.transport)

    def ask(self, *messages: bytes) -> list[Deferred[Answer]]:
        return [self.client.ask(message) for message in messages]

    def reply(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.client.dataReceived(piece)

    def sent(self) -> bytes:
        sent: bytes = self.transport.value()
        return sent

    def lose(self) -> None:
        self.client.connectionLost(Failure(ConnectionDone()))


class ClientTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connection = Connection(self.clock)

    def assert_gives_up(self, kind: type[ClientError], sentence: str, due: list[Deferred[Answer]]) -> None:
        """The client cuts the connection, and whoever waits for something learns why."""
        self.assertTrue(self.connection.transport.disconnected)
        self.connection.lose()
        errors = [self.failureResultOf(answer).value for answer in due]
        errors.append(self.successResultOf(self.connection.client.lost))
        self.assertEqual([(type(error), str(error)) for error in errors], [(kind, sentence)] * len(errors))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MessageTests(ClientTestCase):
    def test_a_message_goes_out_at_once_with_crlf(self) -> None:
        self.connection.ask(b"one", b"", "été".encode())
        self.assertEqual(self.connection.sent(), b"one\r\n\r\n\xc3\xa9t\xc3\xa9\r\n")

    def test_a_message_does_not_wait_for_the_acknowledgement_of_the_one_before(self) -> None:
        transport = Transport()
        WordEchoClientFactory(self.clock).buildProtocol(None).makeConnection(transport)
        self.assertEqual(transport.options, {"TCP_NODELAY"})

    def test_a_unix_socket_whose_options_are_not_to_be_set_is_as_good(self) -> None:
        transport = UNIXTransport(UNIXAddress(None))
        client = WordEchoClientFactory(self.clock).buildProtocol(None)
        client.makeConnection(transport)
        client.ask(b"one")
        self.assertEqual(transport.value(), b"one\r\n")

    def test_a_message_with_a_line_feed_is_the_callers_mistake(self) -> None:
        with self.assertRaises(ValueError):
            self.connection.ask(b"one\ntwo")
        self.assertEqual(self.connection.sent(), b"")


class ReplyTests(ClientTestCase):
    @settings(deadline=None, derandomize=True)
    @given(
        st.lists(
            st.tuples(messages.map(lambda message: message.replace(b"\n", b"")), st.sampled_from([b"\n", b"\r\n"])),
            min_size=1,
        ),
        st.data(),
    )
    def test_each_message_gets_its_reply_however_the_stream_is_cut_and_its_lines_end(
        self, messages: list[tuple[bytes, bytes]], data: st.DataObject
    ) -> None:
        connection = Connection(Clock())
        replies = [python_engine.answer(message) for message, _ in messages]
        stream = b"".join(reply + ending for reply, (_, ending) in zip(replies, messages, strict=True))
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))

        answers = connection.ask(*(message for message, _ in messages))
        connection.reply(*(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)))
        self.assertEqual(
            [self.successResultOf(answer) for answer in answers],
            [Answer(wire.decode(reply), reply) for reply in replies],
        )

    def test_a_message_is_answered_as_soon_as_its_reply_is_there(self) -> None:
        first, second = self.connection.ask(b"one", b"two")
        self.connection.reply(ONE + b"\r\n" + TWO)
        self.successResultOf(first)
        self.assertNoResult(second)

    def test_an_error_reply_is_an_answer_and_the_connection_goes_on(self) -> None:
        refused, answered = self.connection.ask(b"\xff", b"one")
        line = b'{"error":"not-utf-8","detail":"No.","offset":0}'
        self.connection.reply(line + b"\r\n" + ONE + b"\r\n")
        self.assertEqual(self.successResultOf(refused), Answer(wire.Refusal("not-utf-8", "No.", offset=0), line))
        self.assertEqual(self.successResultOf(answered).line, ONE)

    def test_who_cancels_keeps_the_place_in_the_queue_and_nobody_gets_the_reply(self) -> None:
        first, second, third = self.connection.ask(b"one", b"two", b"three")
        for cancelled in first, second:
            cancelled.cancel()
            self.failureResultOf(cancelled, CancelledError)
        self.connection.reply(ONE + b"\r\n" + TWO + b"\r\n")
        self.assertNoResult(third)
        self.connection.reply(THREE + b"\r\n")
        self.assertEqual(self.successResultOf(third).line, THREE)

    def test_the_reply_to_a_message_that_was_cancelled_is_due_all_the_same(self) -> None:
        (cancelled,) = self.connection.ask(b"one")
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.clock.advance(10)
        self.clock.advance(0)
        self.assertTrue(self.connection.transport.disconnected)
        self.connection.lose()

    def test_members_that_are_not_known_are_ignored(self) -> None:
        (answer,) = self.connection.ask(b"one")
        line = ONE[:-1] + b', "new": [1]}'
        self.connection.reply(line + b"\n")
        self.assertEqual(self.successResultOf(answer), Answer(wire.Reply(["one"], 1, 3, 3), line))


class NotWordEchoTests(ClientTestCase):
    def assert_not_wordecho(self, why: str, due: list[Deferred[Answer]]) -> None:
        self.assert_gives_up(NotWordEchoError, f"what answered is not a wordecho server: {why}.", due)

    def test_a_reply_to_as_many_bytes_as_were_not_sent(self) -> None:
        answers = self.connection.ask(b"three", b"one")
        self.connection.reply(ONE + b"\r\n" + ONE + b"\r\n")
        self.assert_not_wordecho("it replied to 3 bytes when 5 were sent", answers)

    def test_the_message_itself(self) -> None:
        answers = self.connection.ask(b"one", b"two")
        self.connection.reply(b"one\r\ntwo\r\n")
        self.assert_not_wordecho("it sent b'one'", answers)

    def test_json_that_is_no_reply(self) -> None:
        for line in (
            b"{}",
            b"[]",
            b"3",
            b'{"error":1,"detail":""}',
            ONE.replace(b"1", b"-1"),
            ONE.replace(b"1", b"1.5"),
        ):
            self.connection = Connection(self.clock)
            answers = self.connection.ask(b"one")
            self.connection.reply(line + b"\n")
            self.assert_not_wordecho(f"it sent {line[:40]!r}", answers)

    def test_bytes_that_are_not_utf_8(self) -> None:
        answers = self.connection.ask(b"one")
        line = ONE.replace(b"one", b"on\xff")
        self.connection.reply(line + b"\n")
        self.assert_not_wordecho(f"it sent {line[:40]!r}", answers)

    def test_json_as_deep_as_no_parser_follows(self) -> None:
        answers = self.connection.ask(b"one")
        self.connection.reply(b'{"new":' + b"[" * 10_000 + b"\n")
        self.assert_not_wordecho("it sent " + repr(b'{"new":' + b"[" * 33), answers)

    def test_a_line_that_nobody_asked_for(self) -> None:
        (answer,) = self.connection.ask(b"one")
        self.connection.reply(ONE + b"\r\n" + TWO + b"\r\n")
        self.assertEqual(self.successResultOf(answer).line, ONE)
        self.assert_not_wordecho(f"it sent {TWO[:40]!r} when no reply was due", [])

    def test_a_line_longer_than_any_reply_to_its_message_is_not_held(self) -> None:
        # 3 octets can have a reply of 16 384 + 3 * 32.
        answers = self.connection.ask(b"one", b"two", b"x" * 1000)
        self.connection.reply(ONE + b"\r\n" + b"x" * 16_480)
        self.assertEqual(self.successResultOf(answers.pop(0)).line, ONE)
        self.assertFalse(self.connection.transport.disconnected)
        self.connection.reply(b"x")
        self.assert_not_wordecho("it sent more than 16480 bytes in reply to 3", answers)

    def test_one_that_is_whole_is_not_looked_into(self) -> None:
        answers = self.connection.ask(b"one")
        self.connection.reply(ONE[:-1] + b" " * 16_480 + b"}\r\n")
        self.assert_not_wordecho("it sent more than 16480 bytes in reply to 3", answers)

    def test_a_long_message_may_have_a_long_reply(self) -> None:
        message = b" ".join(b"%x" % number for number in range(13_000))
        reply = python_engine.answer(message, counts=True)
        self.assertGreater(len(reply), 100_000)
        (answer,) = self.connection.ask(message)
        self.connection.reply(*(reply[start : start + 1000] for start in range(0, len(reply), 1000)), b"\r\n")
        self.assertEqual(self.successResultOf(answer).line, reply)

    def test_a_line_without_end_that_nobody_asked_for(self) -> None:
        self.connection.reply(b"x" * 16_384)
        self.assertFalse(self.connection.transport.disconnected)
        self.connection.reply(b"x")
        self.assert_not_wordecho("it sent more than 16384 bytes in reply to 0", [])

    def test_nothing_that_comes_after_it_counts(self) -> None:
        answers = self.connection.ask(b"one", b"two")
        self.connection.reply(b"HTTP/1.1 400 Bad Request\r\n" + ONE + b"\r\n" + TWO + b"\r\n")
        self.connection.reply(b'{"error":"idle-timeout","detail":""}\n')
        self.assert_not_wordecho("it sent b'HTTP/1.1 400 Bad Request'", answers)


class ServerGoneTests(ClientTestCase):
    def test_a_server_that_sends_the_client_away_says_why(self) -> None:
        for refusal in (wire.idle_timeout(300), wire.too_many_connections(5)):
            for messages in ([], [b"one", b"two"]):
                self.connection = Connection(self.clock)
                answers = self.connection.ask(*messages)
                self.connection.reply(wire.encode(refusal) + b"\n")
                sentence = f"the server closes the connection: {refusal.detail}"
                self.assert_gives_up(ServerGoneError, sentence, answers)

    def test_a_connection_that_is_lost_half_way_fails_all_that_is_due_with_one_sentence(self) -> None:
        answered, *due = self.connection.ask(b"one", b"two", b"three")
        self.connection.reply(ONE + b"\r\n" + TWO)
        self.connection.lose()
        self.assertEqual(self.successResultOf(answered).line, ONE)
        errors = [self.failureResultOf(answer, ServerGoneError).value for answer in due]
        errors.append(self.successResultOf(self.connection.client.lost))
        self.assertEqual(
            {str(error) for error in errors},
            {"the connection to the server is gone: Connection was closed cleanly."},
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_where_tls_is_not_installed_a_loss_is_told_all_the_same(self) -> None:
        with patch.dict(sys.modules, {"wordecho.sockets.tls": None}):
            self.connection.lose()
        error = self.successResultOf(self.connection.client.lost)
        self.assertEqual(str(error), "the connection to the server is gone: Connection was closed cleanly.")

    def test_a_connection_that_is_lost_while_nothing_is_due_is_lost_all_the_same(self) -> None:
        self.connection.lose()
        self.assertIsInstance(self.successResultOf(self.connection.client.lost), ServerGoneError)

    def test_a_connection_that_the_client_closes_is_lost_without_an_error(self) -> None:
        (answer,) = self.connection.ask(b"one")
        self.connection.reply(ONE + b"\r\n")
        self.successResultOf(answer)
        self.connection.client.close()
        self.assertTrue(self.connection.transport.disconnecting)
        self.assertNoResult(self.connection.client.lost)
        self.connection.lose()
        self.assertIsNone(self.successResultOf(self.connection.client.lost))

    def test_what_is_due_when_the_client_closes_fails(self) -> None:
        (answer,) = self.connection.ask(b"one")
        self.connection.client.close()
        self.connection.lose()
        error = self.failureResultOf(answer, ServerGoneError).value
        self.assertEqual(str(error), "the connection is closed.")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_to_ask_after_the_end_fails_at_once_and_sends_nothing(self) -> None:
        closed, sent_away, lost = (Connection(self.clock) for _ in range(3))
        closed.client.close()
        sent_away.reply(wire.encode(wire.idle_timeout(300)) + b"\n")
        lost.lose()
        for connection in (closed, sent_away, lost):
            (answer,) = connection.ask(b"one")
            self.failureResultOf(answer, ServerGoneError)
            self.assertEqual(connection.sent(), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SilenceTests(ClientTestCase):
    def assert_silence(self, due: str, answers: list[Deferred[Answer]]) -> None:
        sentence = f"the server fell silent: nothing came for 10 seconds while {due} due."
        self.assert_gives_up(ServerGoneError, sentence, answers)

    def test_a_server_that_owes_nothing_may_be_silent(self) -> None:
        self.clock.advance(1000)
        (answer,) = self.connection.ask(b"one")
        self.connection.reply(ONE + b"\r\n")
        self.successResultOf(answer)
        self.clock.advance(1000)
        self.assertFalse(self.connection.transport.disconnecting)

    def test_a_silence_while_a_reply_is_due_ends_the_connection(self) -> None:
        self.clock.advance(1000)
        answers = self.connection.ask(b"one")
        self.clock.advance(9.9)
        self.assertFalse(self.connection.transport.disconnecting)
        self.clock.advance(0.1)
        self.assert_silence("1 reply was", answers)

    def assert_too_slow(self, heard: int, answers: list[Deferred[Answer]]) -> None:
        came = f"no more than {heard} bytes of a reply came in 10 seconds while 1 reply was due."
        self.assert_gives_up(ServerGoneError, f"the server is too slow: {came}", answers)

    def test_a_whole_reply_breaks_the_silence(self) -> None:
        answers = self.connection.ask(b"one", b"two")
        self.clock.advance(9.9)
        self.connection.reply(ONE + b"\r\n")
        self.clock.advance(9.9)
        self.assertFalse(self.connection.transport.disconnecting)
        self.clock.advance(0.1)
        self.assert_silence("1 reply was", answers[1:])

    def test_a_reply_that_drips_has_as_long_as_any_other(self) -> None:
        answers = self.connection.ask(b"one", b"two")
        self.connection.reply(ONE + b"\r\n" + TWO[:5])
        for byte in TWO[5:14]:
            self.clock.advance(1)
            self.connection.reply(bytes([byte]))
        self.clock.advance(0.9)
        self.assertFalse(self.connection.transport.disconnecting)
        self.clock.advance(0.1)
        self.assert_too_slow(9, answers[1:])

    def test_a_kilobyte_of_a_long_reply_is_enough_for_once(self) -> None:
        answers = self.connection.ask(b"one", b"x" * 5000)
        self.connection.reply(ONE + b"\r\n")
        for _ in range(50):
            self.clock.advance(9.9)
            self.connection.reply(b"x" * 512, b"x" * 512)
            self.assertFalse(self.connection.transport.disconnecting)
        self.clock.advance(9.8)
        self.connection.reply(b"x" * 1023)
        self.clock.advance(0.2)
        self.assert_too_slow(1023, answers[1:])

    def test_more_messages_do_not_break_the_silence(self) -> None:
        answers = self.connection.ask(b"one")
        self.clock.advance(9.9)
        answers += self.connection.ask(b"two")
        self.clock.advance(0.1)
        self.assert_silence("2 replies were", answers)

    def test_what_came_while_the_process_was_held_up_breaks_it(self) -> None:
        # As after a stop and a continue: the timer is overdue before the reactor has read what is there.
        for _ in range(2):
            (answer,) = self.connection.ask(b"one")
            self.connection.client.timeoutConnection()
            self.connection.reply(ONE + b"\r\n")
            self.assertEqual(self.successResultOf(answer).line, ONE)
        answers = self.connection.ask(b"two")
        self.clock.advance(10)
        self.assert_silence("1 reply was", answers)

    def test_the_time_that_the_caller_takes_for_a_reply_is_no_silence(self) -> None:
        first, second = self.connection.ask(b"one", b"two")

        def take_time(_: Answer) -> None:
            self.clock.rightNow += 100

        first.addCallback(take_time)
        self.connection.reply(ONE + b"\r\n")
        self.clock.advance(9)
        self.assertNoResult(second)


class ConnectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", 65432)
        self.connected: Deferred[WordEchoClientProtocol] = Deferred.fromCoroutine(
            connect(self.reactor, endpoint, timeout=3)
        )
        self.factory: Any = self.reactor.tcpClients[0][2]

    def assert_fails(self, sentence: str) -> None:
        self.assertEqual(str(self.failureResultOf(self.connected, ServerGoneError).value), sentence)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_connection_that_is_made(self) -> None:
        self.factory.buildProtocol(None).makeConnection(StringTransport())
        client = self.successResultOf(self.connected)
        self.reactor.advance(2)
        answer = client.ask(b"one")
        self.reactor.advance(2)
        client.dataReceived(ONE + b"\r\n")
        self.assertEqual(self.successResultOf(answer).line, ONE)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_connecting_may_take_ten_seconds(self) -> None:
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", 65432)
        connected = Deferred.fromCoroutine(connect(self.reactor, endpoint))
        self.reactor.advance(9.9)
        self.assertNoResult(connected)
        self.reactor.advance(0.1)
        error = self.failureResultOf(connected, ServerGoneError).value
        self.assertEqual(str(error), "the server did not take the connection within 10 seconds.")
        self.failureResultOf(self.connected, ServerGoneError)

    def test_a_connection_that_is_refused(self) -> None:
        self.factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assert_fails("the server cannot be reached: Connection was refused by other side.")

    def test_a_connection_that_its_caller_cancels(self) -> None:
        self.connected.cancel()
        self.failureResultOf(self.connected, ConnectingCancelledError)

    def test_a_connection_that_is_not_taken_in_time(self) -> None:
        self.reactor.advance(2.9)
        self.assertNoResult(self.connected)
        self.reactor.advance(0.1)
        self.assert_fails("the server did not take the connection within 3 seconds.")
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
