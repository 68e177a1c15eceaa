"""What is promised of Twisted's own objects once they are changed."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.ports import Port
from wordecho.sockets.amendments import rest_when_exhausted, use_monotonic_clock


class MonotonicClockTests(SynchronousTestCase):
    def test_a_reactor_goes_by_a_clock_that_never_jumps(self) -> None:
        clock: Any = Clock()
        use_monotonic_clock(clock)
        self.assertIs(clock.seconds, time.monotonic)

    def test_one_that_has_calls_to_make_goes_on_by_its_own(self) -> None:
        clock: Any = Clock()
        clock.callLater(1, lambda: None)
        use_monotonic_clock(clock)
        self.assertEqual(clock.seconds(), 0)


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
