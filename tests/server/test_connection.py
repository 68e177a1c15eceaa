"""What a connection gets from the server, byte for byte, with a clock of the tests' own and no sockets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.contract import EMPTY, ONE, TWO, TWO_UNTERMINATED
from tests.furniture.engines import replace_by_each_engine
from tests.furniture.kinds import Connection, add_each_kind
from wordecho.server import WordEchoFactory
from wordecho.wire.engine import ENGINE, Engine


class ServerTestCase(SynchronousTestCase):
    # The end of this file has each case run by each engine, and over every kind of stream.
    kind: type[Connection] = Connection
    engine: Engine = ENGINE

    def setUp(self) -> None:
        self.clock = Clock()

    def connect(self, **parameters: Any) -> Connection:
        return self.kind(WordEchoFactory(self.clock, engine=self.engine, **parameters))


class MessageTests(ServerTestCase):
    def test_a_message_gets_its_reply(self) -> None:
        connection = self.connect()
        connection.send(b"Hello, world hello world\n")
        self.assertEqual(
            connection.received(),
            b'{"unique_words":["Hello","world","hello"],"word_count":4,"length":24,"bytes":24}\n',
        )

    def test_a_reply_has_the_ending_of_its_message(self) -> None:
        connection = self.connect()
        connection.send(b"one\r\ntwo\n\r\n\n")
        self.assertEqual(connection.received(), ONE + b"\r\n" + TWO + b"\n" + EMPTY + b"\r\n" + EMPTY + b"\n")

    def test_only_one_carriage_return_belongs_to_the_ending(self) -> None:
        connection = self.connect()
        connection.send(b"one\r\r\n")
        self.assertEqual(connection.replies()[0]["bytes"], 4)

    def test_there_are_no_commands_and_no_greeting(self) -> None:
        connection = self.connect()
        self.assertEqual(connection.received(), b"")
        connection.send(b"QUIT\nGET / HTTP/1.1\n")
        self.assertEqual([reply["unique_words"] for reply in connection.replies()], [["QUIT"], ["GET", "HTTP", "1.1"]])
        self.assertFalse(connection.transport.is_ending)

    def test_every_line_gets_one_reply_in_order_errors_included(self) -> None:
        connection = self.connect(max_length=5)
        connection.send(b"one\nlonger than that\n\xff\ntwo\n")
        first, second, third, fourth = connection.replies()
        self.assertEqual(first["unique_words"], ["one"])
        self.assertEqual((second["error"], second["limit"]), ("too-long", 5))
        self.assertEqual((third["error"], third["offset"]), ("not-utf-8", 0))
        self.assertEqual(fourth["unique_words"], ["two"])

    def test_ignore_case_makes_words_that_differ_in_case_one(self) -> None:
        connection = self.connect(ignore_case=True)
        connection.send(b"Hello HELLO hello\n")
        self.assertEqual(connection.replies()[0]["unique_words"], ["Hello"])

    def test_counts_are_in_each_reply_if_wanted(self) -> None:
        connection = self.connect(counts=True)
        connection.send("the fox and the hen\nไทย\nand\n".encode())
        self.assertEqual([reply["counts"] for reply in connection.replies()], [[2, 1, 1, 1], [1], [1]])
        connection.send(b"the the")
        connection.end_sending()
        self.assertEqual(
            connection.received(),
            b'{"unique_words":["the"],"word_count":2,"length":7,"bytes":7,"counts":[2],"terminated":false}\n',
        )


class CuttingTests(ServerTestCase):
    # The same function is the test of each kind of stream.
    @settings(
        deadline=None,
        derandomize=True,
        max_examples=300,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"", b"one", b"exactly8", b"longer than eight", b"\xff\xfe", b"\r", b"x" * 9 + b"\r"]),
                st.sampled_from([b"\n", b"\r\n"]),
            ),
            max_size=12,
        ),
        st.sampled_from([b"", b"rest", b"\xc3", b"a rest that is too long", b"12345678\r"]),
        st.data(),
    )
    def test_the_replies_do_not_depend_on_how_the_stream_is_cut(
        self, lines: list[tuple[bytes, bytes]], rest: bytes, data: st.DataObject
    ) -> None:
        stream = b"".join(message + ending for message, ending in lines) + rest
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
        whole, cut = self.connect(max_length=8), self.connect(max_length=8)
        whole.send(stream)
        cut.send(*(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)))
        for connection in whole, cut:
            connection.end_sending()
        received = whole.received()
        self.assertEqual(received.count(b"\n"), len(lines) + bool(rest))
        self.assertEqual(cut.received(), received)


class TooLongTests(ServerTestCase):
    def test_a_message_of_the_greatest_length_is_answered(self) -> None:
        connection = self.connect(max_length=3)
        connection.send(b"one\n", b"two\r", b"\n")
        self.assertEqual(connection.received(), ONE + b"\n" + TWO + b"\r\n")

    def test_too_long_is_said_as_soon_as_it_is_known_and_once(self) -> None:
        connection = self.connect(max_length=3)
        connection.send(b"one")
        self.assertEqual(connection.received(), b"")
        connection.send(b"s")
        (reply,) = connection.replies()
        self.assertEqual((reply["error"], reply["limit"]), ("too-long", 3))
        connection.send(b" and more", b" and more\n")
        self.assertEqual(connection.received(), b"")

    def test_its_line_feed_makes_the_connection_a_line_client(self) -> None:
        connection = self.connect(max_length=3, quiet_period=2)
        connection.send(b"too long", b" by far\n", b"two")
        connection.received()
        self.clock.advance(100)
        self.assertEqual(connection.received(), b"")

    def test_the_line_after_one_that_is_too_long_is_answered(self) -> None:
        connection = self.connect(max_length=3)
        connection.send(b"too long", b" by far\none\n")
        self.assertEqual(connection.received().splitlines()[1:], [ONE])

    def test_it_has_the_ending_of_the_message_before_where_its_own_is_not_known(self) -> None:
        connection = self.connect(max_length=3)
        connection.send(b"one\r\n", b"too long")
        self.assertTrue(connection.received().endswith(b"}\r\n"))

    def test_an_endless_line_is_not_kept(self) -> None:
        connection = self.connect(max_length=1000)
        for _ in range(1000):
            connection.send(b"x" * 65536)
        self.assertEqual(len(connection.replies()), 1)
        self.assertEqual(connection.protocol.clearLineBuffer(), b"")


class HalfCloseTests(ServerTestCase):
    def test_the_rest_is_the_last_message(self) -> None:
        connection = self.connect()
        connection.send(b"one\ntwo")
        connection.end_sending()
        self.assertEqual(connection.received(), ONE + b"\n" + TWO_UNTERMINATED + b"\n")
        self.assertTrue(connection.transport.disconnecting)

    def test_where_there_is_no_rest_there_is_no_message(self) -> None:
        connection = self.connect()
        connection.send(b"one\r\n")
        connection.end_sending()
        self.assertEqual(connection.received(), ONE + b"\r\n")
        self.assertTrue(connection.transport.disconnecting)

    def test_the_rest_may_be_refused(self) -> None:
        connection = self.connect()
        connection.send(b"caf\xc3")
        connection.end_sending()
        (reply,) = connection.replies()
        self.assertEqual((reply["error"], reply["offset"], reply["terminated"]), ("not-utf-8", 3, False))

    def test_the_rest_of_a_line_that_was_too_long_is_not_answered_again(self) -> None:
        connection = self.connect(max_length=3)
        connection.send(b"too long", b" by far")
        connection.end_sending()
        self.assertEqual(len(connection.replies()), 1)

    def test_a_peer_that_is_behind_with_reading_gets_every_reply_before_the_end(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        connection.send(b"one\n" * 5000 + b"two")
        connection.end_sending()
        self.assertEqual(connection.received(), b"")
        self.assertFalse(connection.transport.is_ending)
        connection.protocol.resumeProducing()
        self.assertEqual(connection.received(), (ONE + b"\n") * 5000 + TWO_UNTERMINATED + b"\n")
        self.assertTrue(connection.transport.disconnecting)
        # With a producer that is paused, a transport would not close after the last byte.
        self.assertIsNone(connection.transport.producer)

    def test_a_peer_that_never_reads_the_last_replies_is_let_go(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.send(b"one\n")
        connection.end_sending()
        self.clock.pump([60, 60])  # what its kernel has acknowledged may be looked at twice
        self.assertTrue(connection.transport.disconnected)


class QuietPeriodTests(ServerTestCase):
    def test_a_client_that_has_never_sent_a_line_feed_is_answered_when_it_is_quiet(self) -> None:
        connection = self.connect(quiet_period=2)
        connection.send(b"two")
        self.clock.advance(1.9)
        self.assertEqual(connection.received(), b"")
        self.clock.advance(0.1)
        self.assertEqual(connection.received(), TWO_UNTERMINATED + b"\n")
        self.assertFalse(connection.transport.is_ending)

    def test_it_begins_again_with_each_byte(self) -> None:
        connection = self.connect(quiet_period=2)
        for piece in b"t", b"w", b"o":
            connection.send(piece)
            self.clock.advance(1.5)
        self.assertEqual(connection.received(), b"")
        self.clock.advance(0.5)
        self.assertEqual(connection.received(), TWO_UNTERMINATED + b"\n")

    def test_it_may_end_several_messages(self) -> None:
        connection = self.connect(quiet_period=2)
        for _ in range(2):
            connection.send(b"two")
            self.clock.advance(2)
        self.assertEqual(connection.received(), (TWO_UNTERMINATED + b"\n") * 2)

    def test_one_line_feed_ends_it_for_ever(self) -> None:
        connection = self.connect(quiet_period=2)
        connection.send(b"one\ntw")
        self.clock.advance(100)
        self.assertEqual(connection.received(), ONE + b"\n")
        connection.send(b"o\n")
        self.assertEqual(connection.received(), TWO + b"\n")

    def test_a_line_feed_after_a_quiet_message_ends_an_empty_one(self) -> None:
        connection = self.connect(quiet_period=2)
        connection.send(b"two")
        self.clock.advance(2)
        connection.send(b"\n")
        self.assertEqual(connection.received(), TWO_UNTERMINATED + b"\n" + EMPTY + b"\n")

    def test_it_ends_a_message_that_was_too_long(self) -> None:
        connection = self.connect(quiet_period=2, max_length=3)
        connection.send(b"too long")
        self.clock.advance(2)
        connection.send(b"two")
        self.clock.advance(2)
        first, second = connection.received().splitlines()
        self.assertEqual(json.loads(first)["error"], "too-long")
        self.assertEqual(second, TWO_UNTERMINATED)

    def test_a_client_that_says_nothing_gets_nothing(self) -> None:
        connection = self.connect(quiet_period=2)
        self.clock.advance(100)
        self.assertEqual(connection.received(), b"")

    def test_0_turns_it_off(self) -> None:
        connection = self.connect(quiet_period=0)
        connection.send(b"two")
        self.clock.advance(299)
        self.assertEqual(connection.received(), b"")


class IdleTimeoutTests(ServerTestCase):
    def test_an_idle_peer_is_told_and_sent_away(self) -> None:
        connection = self.connect(idle_timeout=60)
        self.clock.advance(59)
        self.assertEqual(connection.received(), b"")
        self.clock.advance(1)
        (reply,) = connection.replies()
        self.assertEqual((reply["error"], reply["limit"]), ("idle-timeout", 60))
        self.assertTrue(connection.transport.is_ending)

    def test_every_byte_starts_it_again(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.send(b"one\n")
        for _ in range(3):
            self.clock.advance(59)
            connection.send(b"x")
        self.assertEqual(connection.received(), ONE + b"\n")

    def test_whole_lines_start_it_again(self) -> None:
        connection = self.connect(idle_timeout=60)
        for _ in range(4):
            connection.send(b"one\n")
            self.clock.advance(59)
        self.assertEqual(connection.received(), (ONE + b"\n") * 4)

    def test_what_was_held_of_a_message_is_let_go(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.send(b"one\n" + b"x" * 50_000)
        self.clock.advance(60)
        self.assertEqual(len(connection.replies()), 3)
        self.assertEqual(connection.protocol._framing.held, 0)
        connection.send(b"x" * 50_000, b"\n")
        self.assertEqual((connection.protocol._framing.held, connection.received()), (0, b""))

    def test_0_is_for_never(self) -> None:
        connection = self.connect(idle_timeout=0)
        self.clock.advance(10**6)
        self.assertFalse(connection.transport.is_ending)

    def test_it_has_the_ending_of_the_last_message(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.send(b"one\r\n")
        connection.received()
        self.clock.advance(60)
        self.assertTrue(connection.received().endswith(b"}\r\n"))

    def test_a_message_that_still_waits_for_its_line_feed_is_answered_first(self) -> None:
        for before, quiet_period in ((b"one\r\n", 2), (b"", 0)):
            connection = self.connect(idle_timeout=60, quiet_period=quiet_period)
            connection.send(before)
            connection.received()
            connection.send(b"two")
            self.clock.advance(60)
            reply, goodbye = connection.received().splitlines()
            self.assertEqual(reply, TWO_UNTERMINATED)
            self.assertIn(b'"error":"idle-timeout"', goodbye)

    def test_a_peer_that_has_stopped_reading_is_cut_off(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.protocol.pauseProducing()
        self.clock.advance(60)
        self.assertEqual(connection.received(), b"")
        self.assertTrue(connection.transport.disconnected)

    def test_a_peer_that_reads_again_is_not_idle(self) -> None:
        connection = self.connect(idle_timeout=60)
        connection.protocol.pauseProducing()
        self.clock.advance(59)
        connection.protocol.resumeProducing()
        self.clock.advance(59)
        self.assertFalse(connection.transport.is_ending)

    def test_who_does_not_go_when_told_is_cut_off(self) -> None:
        connection = self.connect(idle_timeout=60)
        self.clock.advance(60)
        connection.received()
        connection.send(b"one\n")
        self.assertEqual(connection.received(), b"")
        self.clock.advance(4.9)
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(connection.transport.disconnected)


class ConnectionLimitTests(ServerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.factory = WordEchoFactory(self.clock, max_connections=2)
        self.first, self.second = self.kind(self.factory), self.kind(self.factory)

    def test_one_connection_too_many_is_told_and_sent_away(self) -> None:
        third = self.kind(self.factory)
        (reply,) = third.replies()
        self.assertEqual((reply["error"], reply["limit"]), ("too-many-connections", 2))
        self.assertTrue(third.transport.is_ending)
        third.send(b"one\n")
        self.assertEqual(third.received(), b"")

    def test_the_others_are_answered_as_ever(self) -> None:
        self.kind(self.factory)
        self.first.send(b"one\n")
        self.assertEqual(self.first.received(), ONE + b"\n")

    def test_a_connection_that_is_gone_makes_room(self) -> None:
        self.first.lose()
        third = self.kind(self.factory)
        third.send(b"one\n")
        self.assertEqual(third.received(), ONE + b"\n")

    def test_one_that_was_sent_away_takes_no_room(self) -> None:
        self.kind(self.factory).lose()
        self.first.lose()
        self.assertEqual(len(self.factory.guests), 1)


class BackPressureTests(ServerTestCase):
    def test_a_peer_that_does_not_read_is_not_read(self) -> None:
        connection = self.connect()
        self.assertIs(connection.transport.producer, connection.protocol)
        self.assertTrue(connection.transport.streaming)
        connection.protocol.pauseProducing()
        self.assertEqual(connection.transport.producerState, "paused")
        connection.send(b"one\n")
        self.assertEqual(connection.received(), b"")

    def test_it_is_read_again_once_it_has_caught_up(self) -> None:
        connection = self.connect()
        connection.protocol.pauseProducing()
        connection.send(b"one\ntwo\n")
        connection.protocol.resumeProducing()
        self.assertEqual(connection.transport.producerState, "producing")
        self.assertEqual(connection.received(), ONE + b"\n" + TWO + b"\n")

    def test_one_read_of_the_shortest_messages_does_not_fill_the_memory(self) -> None:
        connection = self.connect()
        connection.transport.room = 0
        connection.send(b"\n" * 65536)
        received = []
        while pending := connection.transport.flush():
            self.assertLess(len(pending), 300_000)
            received.append(pending)
        self.assertEqual(b"".join(received), (EMPTY + b"\n") * 65536)


class GoingLastTests(ServerTestCase):
    """Closed with unread data, a TCP connection is reset, and the peer may lose what was sent to it last."""

    def setUp(self) -> None:
        super().setUp()
        factory = WordEchoFactory(self.clock, max_connections=1, idle_timeout=60)
        self.idle, self.refused = self.kind(factory), self.kind(factory)
        self.clock.advance(4)

    def test_a_peer_that_is_sent_away_is_read_until_it_closes(self) -> None:
        self.clock.advance(56)
        for connection in self.idle, self.refused:
            transport = connection.transport
            self.assertTrue(transport.has_ended_sending)
            self.assertIsNone(transport.producer)
            self.assertEqual(transport.producerState, "producing")
        self.assertFalse(self.idle.transport.disconnecting)

    def test_what_it_still_sends_is_dropped(self) -> None:
        self.refused.received()
        self.refused.send(b"one\n")
        self.assertEqual(self.refused.received(), b"")

    def test_when_it_closes_the_connection_is_closed(self) -> None:
        self.assertFalse(self.refused.transport.disconnecting)
        self.refused.end_sending()
        self.assertTrue(self.refused.transport.disconnecting)


class TimerTests(ServerTestCase):
    def test_no_timer_is_left_behind_by_a_connection(self) -> None:
        factory = WordEchoFactory(self.clock, max_connections=1)
        first, refused = self.kind(factory), self.kind(factory)
        first.send(b"no line feed")
        self.assertNotEqual(self.clock.getDelayedCalls(), [])
        for connection in first, refused:
            connection.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SocketOptionTests(SynchronousTestCase):
    def test_a_reply_does_not_wait_for_an_acknowledgement_and_a_vanished_peer_is_found_out(self) -> None:
        connection = Connection(WordEchoFactory(Clock()))
        self.assertEqual(connection.transport.options, {"TCP_NODELAY", "SO_KEEPALIVE"})


class DefaultTests(SynchronousTestCase):
    def test_the_defaults_are_those_of_the_contract(self) -> None:
        factory = WordEchoFactory(Clock())
        self.assertEqual(
            (factory.max_length, factory.guests.max_connections, factory.idle_timeout, factory.quiet_period),
            (65536, 10_000, 300, 2),
        )
        self.assertEqual(factory.guests.max_connections_per_host, 0)


# What TLS does not have, the half-close, and what of back-pressure is its own, is in tests/sockets/test_tls.py.
NOT_OVER_TLS = {"HalfCloseTests", "CuttingTests", "BackPressureTests", "GoingLastTests"}


CASES = ServerTestCase.__subclasses__()
add_each_kind(globals(), *CASES, not_over_tls=NOT_OVER_TLS)
replace_by_each_engine(globals(), *CASES)


class KindTests(SynchronousTestCase):
    def test_each_kind_and_each_engine_has_each_case(self) -> None:
        names = {name for name in globals() if "TestsOver" in name or "TestsBy" in name}
        self.assertIn("HalfCloseTestsOverPROXY2", names)
        self.assertIn("QuietPeriodTestsOverTLS", names)
        self.assertIn("MessageTestsByPython", names)
        self.assertEqual(len(names), 6 * len(CASES) - len(NOT_OVER_TLS))
