"""A reactor, but for some of its methods: those that a subclass has."""

from __future__ import annotations

from typing import Any

from zope.interface import directlyProvides, providedBy


class Overlay:
    """
    Has all that ``reactor`` has, and what a subclass has instead of it; provides the same interfaces.

    It lies over the reactor for those that it is given to. To replace a method of the reactor itself would do so for
    everybody in the process.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
