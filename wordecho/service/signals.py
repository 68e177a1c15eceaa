"""Signals: what a second one does to a process that is stopping at the first, and what a hangup does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads


class SecondSignal:
    """
    Has the first SIGINT or SIGTERM do what it did, and every later one call ``function`` in the reactor's thread.

    Left alone, Twisted would take the later ones for attempts to stop what has stopped.
    """

    def __init__(self, reactor: IReactorFromThreads, function: Callable[[], None]) -> None:
        self._reactor = reactor
        self._function = function
        self._first: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._is_first = True

    def take(self) -> None:
        """Take the signals over, where they are handled in this thread at all."""
        if current_thread() is not main_thread():
            return
        for number in signal.SIGINT, signal.SIGTERM:
            handler = signal.getsignal(number)
            if callable(handler):
                self._first[number] = handler
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self._first.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_first:
            self._is_first = False
            self._first[number](number, frame)
        else:
            self._reactor.callFromThread(self._function)


class Hangup:
    """Has each SIGHUP call ``function`` in the reactor's thread."""

    def __init__(self, reactor: IReactorFromThreads, function: Callable[[], None]) -> None:
        self._reactor = reactor
        self._function = function
        self._before: Any = None

    def take(self) -> None:
        """Take the signal over, where signals are handled in this thread at all."""
        if current_thread() is main_thread():
            self._before = signal.signal(signal.SIGHUP, self._handle)

    def restore(self) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._function)
