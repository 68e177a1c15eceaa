"""Clocks of the tests' own."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock


class Reactor(Clock):
    """One whose turns are those of a reactor: what a turn puts off until later is not done in it."""

    def turn(self) -> None:
        calls: Any = self.calls
        for call in [call for call in calls if call.getTime() <= self.seconds()]:
            if call.active():
                calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
