"""Turns: what takes long is done piece by piece, and others come in between."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.clocks import Reactor
from tests.furniture.contract import ONE
from tests.furniture.kinds import Connection
from wordecho.server import WordEchoFactory
from wordecho.server.drain import Drain
from wordecho.server.turns import Turns


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Reactor()
        self.turns = Turns(self.clock)
        self.went: list[str] = []

    def wait(self, name: str) -> None:
        self.turns.wait(lambda: self.went.append(name))

    def test_one_goes_on_in_each_turn_of_the_reactor_in_the_order_in_which_they_came(self) -> None:
        for name in "abc":
            self.wait(name)
        self.assertEqual(self.went, [])
        for so_far in "a", "ab", "abc":
            self.clock.turn()
            self.assertEqual("".join(self.went), so_far)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_waits_again_comes_after_the_others(self) -> None:
        def go_on() -> None:
            self.went.append("a")
            if len(self.went) < 3:
                self.turns.wait(go_on)

        self.turns.wait(go_on)
        self.wait("b")
        for _ in range(3):
            self.clock.turn()
        self.assertEqual("".join(self.went), "aba")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_fails_keeps_nobody_from_going_on(self) -> None:
        self.turns.wait(lambda: 1 / 0)  # type: ignore[arg-type]
        self.wait("b")
        self.assertRaises(ZeroDivisionError, self.clock.turn)
        self.clock.turn()
        self.assertEqual(self.went, ["b"])


class SlowEngine:
    """Answers a line in so many seconds of the clock."""

    NAME = "slow"

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self.seconds = seconds

    def answer(self, message: bytes, *arguments: object, **named_arguments: object) -> bytes:
        return ONE

    def answer_lines(self, lines: bytes, ignore_case: bool = False, counts: bool = False) -> bytes:
        self._clock.rightNow += self.seconds * lines.count(b"\n")
        return (ONE + b"\n") * lines.count(b"\n")


class ConnectionTests(SynchronousTestCase):
    """A line has 100 octets here, so that a slice has 40 of them."""

    LINE = b"x" * 99 + b"\n"

    def setUp(self) -> None:
        self.clock = Reactor()
        self.engine = SlowEngine(self.clock, 1)
        self.factory = WordEchoFactory(self.clock, engine=self.engine)
        self.connection = Connection(self.factory)

    def replies(self) -> int:
        return self.connection.received().count(b"\n")

    def test_what_takes_less_than_a_thousandth_of_a_second_is_done_at_once(self) -> None:
        self.engine.seconds = 0.0009 / 160
        self.connection.send(self.LINE * 160)
        self.assertEqual(self.replies(), 160)
        self.assertEqual(self.connection.transport.producerState, "producing")

    def test_what_takes_longer_is_done_a_slice_in_each_turn_and_nothing_is_read_meanwhile(self) -> None:
        self.connection.send(self.LINE * 100)
        self.assertEqual(self.replies(), 40)
        self.assertEqual(self.connection.transport.producerState, "paused")
        self.clock.turn()
        self.assertEqual(self.replies(), 40)
        self.clock.turn()
        self.assertEqual(self.replies(), 20)
        self.clock.turn()
        self.assertEqual(self.connection.transport.producerState, "producing")

    def test_others_are_answered_in_between(self) -> None:
        self.connection.send(self.LINE * 100)
        other = Connection(self.factory)
        other.send(b"one\n")
        self.assertEqual(other.received(), ONE + b"\n")
        self.assertEqual(self.replies(), 40)

    def test_what_comes_meanwhile_does_not_overtake_it(self) -> None:
        self.connection.send(self.LINE * 50)
        self.connection.send(b"one\n")
        self.assertEqual(self.replies(), 40)
        self.clock.turn()
        self.assertEqual(self.replies(), 10)
        self.clock.turn()
        self.assertEqual(self.replies(), 1)

    def test_who_is_behind_with_reading_when_its_turn_comes_waits_for_that_too(self) -> None:
        self.connection.send(self.LINE * 50)
        self.connection.protocol.pauseProducing()
        self.clock.turn()
        self.assertEqual(self.replies(), 40)
        self.connection.protocol.resumeProducing()
        self.clock.turn()
        self.assertEqual(self.replies(), 10)

    def test_who_has_read_and_took_long_before_waits_for_its_turn_again(self) -> None:
        self.connection.send(self.LINE * 100)
        self.connection.protocol.pauseProducing()
        self.clock.turn()
        self.connection.protocol.resumeProducing()
        self.assertEqual(self.replies(), 40)
        self.clock.turn()
        self.assertEqual(self.replies(), 40)

    def test_who_has_read_does_not_jump_the_queue(self) -> None:
        self.connection.send(self.LINE * 50)
        self.connection.protocol.pauseProducing()
        self.connection.protocol.resumeProducing()
        self.assertEqual(self.replies(), 40)
        self.assertEqual(self.connection.transport.producerState, "paused")
        self.clock.turn()
        self.assertEqual(self.replies(), 10)

    def test_a_peer_that_has_ended_its_sending_side_gets_the_rest(self) -> None:
        self.connection.send(self.LINE * 50 + b"two")
        self.connection.end_sending()
        self.assertFalse(self.connection.transport.disconnecting)
        self.clock.turn()
        self.clock.turn()
        self.assertEqual(self.replies(), 51)
        self.assertTrue(self.connection.transport.disconnecting)

    def test_a_stop_leaves_nobody_that_waits_for_its_turn(self) -> None:
        self.engine.seconds = 0.001
        waiting: list[Callable[[], None]] = []
        self.patch(self.factory.turns, "wait", waiting.append)
        self.connection.send(self.LINE * 50)
        ended = Drain(self.factory, 10).run([])
        self.clock.pump([0.25] * 4)
        self.assertFalse(self.connection.transport.is_ending)
        waiting.pop()()
        waiting.pop()()
        self.assertEqual(self.replies(), 50)
        self.clock.advance(0.25)
        self.assertTrue(self.connection.transport.has_ended_sending)
        self.connection.lose()
        self.successResultOf(ended)

    def test_who_waits_for_its_turn_for_longer_than_the_idle_timeout_is_not_idle(self) -> None:
        self.patch(self.factory.turns, "wait", lambda go_on: None)
        self.factory.idle_timeout = 60
        connection = Connection(self.factory)
        connection.send(self.LINE * 50)
        for _ in range(5):
            self.clock.advance(60)
        self.assertFalse(connection.transport.disconnected)

    def test_who_goes_before_its_turn_leaves_nothing_behind(self) -> None:
        self.connection.send(self.LINE * 50)
        self.connection.lose()
        self.clock.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
