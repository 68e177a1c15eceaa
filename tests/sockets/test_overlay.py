"""A reactor, but for some of its methods."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wordecho.sockets.overlay import Overlay


class Timeless(Overlay):
    def seconds(self) -> float:
        return 7


class OverlayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.overlay = Timeless(self.clock)

    def test_it_has_what_its_class_has_and_leaves_the_reactor_as_it_is(self) -> None:
        self.assertEqual((self.overlay.seconds(), self.clock.seconds()), (7, 0))

    def test_everything_else_is_the_reactors(self) -> None:
        self.overlay.callLater(3, lambda: None)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        with self.assertRaises(AttributeError):
            self.overlay.no_such_method()

    def test_it_provides_what_the_reactor_provides(self) -> None:
        self.assertTrue(IReactorTime.providedBy(self.overlay))
