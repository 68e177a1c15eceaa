"""What is promised of the timeout that is put off by an assignment."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wordecho.server.timeout import LazyTimeoutMixin


class StrictClock(Clock):
    """One that refuses a call before now, as a reactor does."""

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> IDelayedCall:
        assert delay >= 0, f"{delay} is negative"
        return super().callLater(delay, callable, *args, **kw)


class Connection(LazyTimeoutMixin):
    """
    One with a clock of its own.

    :ivar timed_out_at: the times at which it was told that nothing happened for too long
    """

    def __init__(self) -> None:
        self.clock: Clock = StrictClock()
        self.clock.advance(0.1)  # sums of this are never exact
        self.timed_out_at: list[float] = []

    def timeoutConnection(self) -> None:
        self.timed_out_at.append(self.clock.seconds())

    def act(self) -> None:
        self.active_at = self.clock.seconds()


class LazyTimeoutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connection = Connection()
        self.clock = self.connection.clock

    def advance(self, *steps: float) -> None:
        for step in steps:
            self.clock.advance(step)

    def test_silence_times_out_once(self) -> None:
        self.connection.setTimeout(10)
        self.advance(9.9)
        self.assertEqual(self.connection.timed_out_at, [])
        self.advance(0.1, 100)
        self.assertEqual(len(self.connection.timed_out_at), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_activity_puts_it_off(self) -> None:
        self.connection.setTimeout(10)
        for _ in range(5):
            self.advance(7)
            self.connection.act()
        self.advance(9.9)
        self.assertEqual(self.connection.timed_out_at, [])
        self.advance(0.2)
        self.assertEqual(len(self.connection.timed_out_at), 1)

    def test_activity_moves_no_call(self) -> None:
        self.connection.setTimeout(10)
        (call,) = self.clock.getDelayedCalls()
        due = call.getTime()
        self.advance(5)
        self.connection.act()
        self.assertEqual([(call, call.getTime())], [(call, due) for call in self.clock.getDelayedCalls()])

    def test_it_counts_from_where_it_is_set(self) -> None:
        self.connection.setTimeout(10)
        self.advance(9)
        self.connection.setTimeout(20)
        self.advance(19.9)
        self.assertEqual(self.connection.timed_out_at, [])
        self.advance(0.2)
        self.assertEqual(len(self.connection.timed_out_at), 1)

    def test_none_is_never(self) -> None:
        self.connection.setTimeout(10)
        self.connection.setTimeout(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.connection.act()
        self.advance(100)
        self.assertEqual(self.connection.timed_out_at, [])

    def test_a_clock_that_was_held_up_is_no_activity(self) -> None:
        self.connection.setTimeout(10)
        self.advance(5)
        self.connection.act()
        self.advance(100)
        self.advance(0)
        self.assertEqual(len(self.connection.timed_out_at), 1)
