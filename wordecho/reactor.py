"""
A reactor that sends before it polls, which saves every reply two system calls and a pass through the loop.

``twistd wordecho`` runs on it where there is epoll and nobody chose another reactor; any Twisted program can, with
``twistd --reactor=eager-epoll``.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.internet.tcp import Connection
from twisted.python import context, log


class EagerEPollReactor(EPollReactor):
    """
    An :class:`EPollReactor` that expects a connection to take what is written to it, as connections nearly always do.

    The original has epoll watch whether a connection is writable, sends when the next poll says so, and has epoll watch
    it no longer (Twisted's issue 5303). This one notes who has something to send; when all events of a poll are
    handled, each connection that is noted sends once, and epoll watches only those that have not sent all by then. So
    what a protocol writes in several pieces goes out as one, and no connection keeps the others waiting.

    Only a connected stream transport is noted. Anything else that writes (a client that waits to be connected, a
    process's pipe, a descriptor of somebody's own) may take a call of ``doWrite`` to mean that it is writable, and is
    left to epoll.

    It relies on these private names of Twisted's: ``_poller``, ``_selectables``, ``_writes``, ``_doReadOrWrite`` and
    ``_POLL_OUT`` of the original, and ``contexts`` of ``context.theContextTracker.currentContext()``.
    """

    def __init__(self) -> None:
        # Who is noted, in order, and in which turn. A writer is noted, or watched by epoll, or neither, never both.
        self._noted: dict[Any, int] = {}
        self._turn = 1
        super().__init__()

    def addWriter(self, writer: Any) -> None:
        if writer in self._noted:
            return
        if isinstance(writer, Connection) and writer.connected and writer.fileno() not in self._writes:
            self._noted[writer] = self._turn
        else:
            super().addWriter(writer)

    def removeWriter(self, writer: Any) -> None:
        if not self._noted.pop(writer, None):
            super().removeWriter(writer)

    def getWriters(self) -> list[Any]:
        return [*super().getWriters(), *self._noted]

    def removeAll(self) -> list[Any]:
        noted, self._noted = self._noted, {}
        return list({*super().removeAll(), *noted})

    def doPoll(self, timeout: float | None) -> None:
        """
        Send what is noted, wait for events and handle them, and send what was noted meanwhile.

        :param timeout: seconds to wait at most, None for as long as it takes
        """
        if self._noted:  # by a timed call, or by a producer that was asked for more
            self._send()
            timeout = 0  # what that has brought about, such as a timed call or a stop, is not to wait for an event
        contexts = context.theContextTracker.currentContext().contexts
        for fd, event in self._poller.poll(timeout, len(self._selectables)):
            selectable = self._selectables.get(fd)
            if selectable is not None:  # it may be gone, by the doing of one before it
                self._handle(selectable, fd, event, contexts)
        if self._noted:
            self._send()

    doIteration = doPoll

    def _send(self) -> None:
        """Let each connection that is noted send once, and leave those to epoll that have not sent all by then."""
        self._turn += 1
        contexts = context.theContextTracker.currentContext().contexts
        for writer in list(self._noted):
            if writer not in self._noted:
                continue  # it is gone, by the doing of one before it
            self._handle(writer, writer.fileno(), self._POLL_OUT, contexts)
            # One that has sent all is noted no longer; or it is noted anew, where its producer was asked for more.
            if writer in self._noted and self._noted[writer] < self._turn:
                del self._noted[writer]
                super().addWriter(writer)

    def _handle(self, selectable: Any, fd: int, event: int, contexts: list[Any]) -> None:
        """
        Do ``log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)`` at a fifth of its cost.

        :param contexts: those of the running thread
        """
        try:
            contexts.append({log.ILogContext: {**contexts[-1][log.ILogContext], "system": selectable.logPrefix()}})
        except Exception:  # a logPrefix that is no good, or a context of somebody's own: the original knows what to do
            log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
            return
        try:
            self._doReadOrWrite(selectable, fd, event)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log.err()
        finally:
            contexts.pop()


def install() -> None:
    """Install it as ``twisted.internet.reactor``."""
    installReactor(EagerEPollReactor())
