"""Many connections whose messages are answered at once get what each of them would get alone."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.kinds import TCP, deliver
from tests.test_server import ONE, TWO
from wordecho.batch import IBatchFactory
from wordecho.server import WordEchoFactory

CONNECTIONS = 4

messages = st.sampled_from([b"one", b"Ab ab", b"\xff", b"\r", "été\rété".encode(), "หนึ่ง".encode(), b"x" * 20])
lines = st.builds(bytes.__add__, messages, st.sampled_from([b"\n", b"\r\n"]))
reads = st.lists(lines | messages, min_size=1, max_size=3).map(b"".join)


class BatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = WordEchoFactory(self.clock)
        self.connections = [TCP(self.factory) for _ in range(CONNECTIONS)]
        for connection in self.connections:
            connection.send(b"\n")
            connection.received()

    def received(self) -> list[bytes]:
        return [connection.received() for connection in self.connections]

    def test_it_has_what_the_reactor_asks_for(self) -> None:
        self.assertTrue(verifyObject(IBatchFactory, self.factory))

    def test_each_connection_gets_its_own_replies(self) -> None:
        reads = [b"one\n", b"two\n", b"one\r\n", b"two\none\n"]
        deliver(self.factory, list(zip(self.connections, reads, strict=True)))
        self.assertEqual(self.received(), [ONE + b"\n", TWO + b"\n", ONE + b"\r\n", TWO + b"\n" + ONE + b"\n"])

    def answers(self, connections: list[TCP], reads: list[bytes]) -> Sequence[bytes | None]:
        for connection in connections:
            connection.transport.protocol = connection.protocol
        transports = [connection.transport for connection in connections]
        return self.factory.answer_batch(list(zip(transports, reads, strict=True)))

    def test_whole_lines_are_answered_and_anything_else_is_left_to_the_protocol(self) -> None:
        reads = [b"one\n", b"two", b"\ntwo\n", b"one\n" * 2000]
        self.assertEqual(self.answers(self.connections, reads)[:2], [ONE + b"\n", None])
        self.assertEqual(self.answers(self.connections, reads)[3], None)

    def test_a_connection_that_has_never_sent_a_line_feed_is_left_to_its_protocol(self) -> None:
        self.assertEqual(self.answers([TCP(self.factory)], [b"one\n"]), [None])

    def test_what_comes_is_activity(self) -> None:
        for _ in range(3):
            self.clock.advance(self.factory.idle_timeout - 1)
            deliver(self.factory, [(connection, b"one\n") for connection in self.connections])
        self.assertEqual(self.received(), [(ONE + b"\n") * 3] * CONNECTIONS)

    @settings(deadline=None, derandomize=True, max_examples=300)
    @given(st.lists(st.lists(reads | st.none(), min_size=CONNECTIONS, max_size=CONNECTIONS), max_size=4), st.booleans())
    def test_the_replies_are_those_that_each_gets_alone(
        self, polls: list[list[bytes | None]], ignore_case: bool
    ) -> None:
        factory = WordEchoFactory(self.clock, max_length=16, ignore_case=ignore_case)
        together, alone = ([TCP(factory) for _ in range(CONNECTIONS)] for _ in range(2))
        for poll in polls:
            deliver(factory, [(connection, read) for connection, read in zip(together, poll, strict=True) if read])
            for connection, read in zip(alone, poll, strict=True):
                connection.send(read or b"")
        for connection in together + alone:
            connection.end_sending()
        self.assertEqual(
            [connection.received() for connection in together], [connection.received() for connection in alone]
        )
