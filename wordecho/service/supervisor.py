"""
The supervisor of ``twistd wordecho --workers``: it keeps several processes running that accept connections on one port.

It makes a listening socket for each worker, all of them on the same port (SO_REUSEPORT: the kernel deals the
connections out), and keeps them open, so that what waits to be accepted when a worker goes is accepted by the one that
takes its place. What a worker does with its socket is in :mod:`wordecho.service.worker`.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.error import CannotListenError, ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from zope.interface import implementer

from wordecho.service.service import CannotStart
from wordecho.service.signals import SecondSignal
from wordecho.service.worker import ADOPTED
from wordecho.sockets.bind import bind
from wordecho.sockets.ports import BACKLOG
from wordecho.wire.engine import versions

# Seconds that a worker may take to end, besides those that its connections may.
SPARE_TIME = 5


def listen(interface: str | None, port: int, number: int) -> list[socket.socket]:
    """
    Return so many listening sockets on one port.

    :param interface: the one address to listen on; None for every address of either family
    :param port: 0 for any free one
    :raises CannotListenError: if the port is taken.
    """
    # A server of the same user with SO_REUSEPORT would share the port; without it, that is found out.
    bind(socket.SOCK_STREAM, port, interface).close()
    sockets: list[socket.socket] = []
    for _ in range(number):
        listening = bind(socket.SOCK_STREAM, port, interface, shared=True)
        sockets.append(listening)
        listening.listen(BACKLOG)
        port = listening.getsockname()[1]
    return sockets


@implementer(IReactorProcess, IReactorTime)
class Spawner:
    """
    What a :class:`ProcessMonitor` needs of a reactor, but that each process is given its socket and is listened to.

    The name of a process is the number of its socket, a point, and a number of its own.
    """

    def __init__(self, reactor: Any, sockets: Sequence[socket.socket]) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._ready: dict[str, Deferred[None]] = {}
        self._ended: dict[str, Deferred[None]] = {}
        self.seconds = reactor.seconds
        self.callLater = reactor.callLater
        self.getDelayedCalls = reactor.getDelayedCalls

    def ready(self, name: str) -> Deferred[None]:
        """Return what fires when process ``name``, which is not started yet, serves."""
        return self._ready.setdefault(name, Deferred())

    def ended(self, name: str) -> Deferred[None]:
        """Return what fires when process ``name`` has ended."""
        ended: Deferred[None] = Deferred()
        if name in self._ended:
            self._ended[name].chainDeferred(ended)
        else:
            ended.callback(None)
        return ended

    def all_ended(self) -> Deferred[Any]:
        return DeferredList([self.ended(name) for name in self._ended])

    # Twisted's own declaration has a self that it does not mean.
    def spawnProcess(  # type: ignore[override]
        self, processProtocol: Any, executable: str, args: Sequence[str], **options: Any
    ) -> Any:
        name = processProtocol.name
        received, ended = processProtocol.outReceived, processProtocol.processEnded
        self._ended[name] = Deferred()

        def outReceived(data: bytes) -> None:
            received(data)
            if b"Listening on" in data and name in self._ready:
                self._ready.pop(name).callback(None)

        def processEnded(reason: Failure) -> None:
            fired = self._ended.pop(name)
            ended(reason)
            fired.callback(None)

        processProtocol.outReceived, processProtocol.processEnded = outReceived, processEnded
        adopted = self._sockets[int(name.partition(".")[0])].fileno()
        descriptors: dict[int, str | int] = {0: "w", 1: "r", 2: "r", ADOPTED: adopted}
        return self._reactor.spawnProcess(processProtocol, executable, args, childFDs=descriptors, **options)


class WorkersService(ProcessMonitor):
    """
    Keeps the workers running.

    SIGHUP replaces them one by one: a new one serves before the old one is told to drain.

    :param interface: the one address to listen on; None for every address of either family
    :param port: 0 for any free one
    :param number: how many workers there are
    :param arguments: a worker's command line after ``twistd``
    :param drain_timeout: seconds that a worker may take to answer what is due
    """

    maxRestartDelay = 10  # seconds, for a worker that dies again and again as soon as it starts

    def __init__(
        self,
        reactor: Any,
        interface: str | None,
        port: int,
        number: int,
        arguments: Sequence[str],
        *,
        drain_timeout: float,
    ) -> None:
        self._address = interface, port
        self._number = number
        self._twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments]
        self.killTime = math.ceil(drain_timeout) + SPARE_TIME
        self._sockets: list[socket.socket] = []
        self._spawner = Spawner(reactor, self._sockets)
        self._own_reactor = reactor
        self._numbers = count()
        self._workers: list[str] = []
        self._is_replacing = False
        super().__init__(self._spawner)

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still do so on a port below 1024.

        :raises CannotStart: if the port cannot be listened on.
        """
        super().privilegedStartService()
        self.log.info("{versions}", versions=versions())
        interface, port = self._address
        try:
            self._sockets += listen(interface, port, self._number)
        except CannotListenError as error:
            raise CannotStart(f"wordecho: {error}") from error

    def startService(self) -> None:
        if not self._sockets:
            self.privilegedStartService()
        super().startService()
        for slot in range(self._number):
            self._workers.append(self._add(slot))
        self._signals = SecondSignal(self._own_reactor, self._stop_all)
        self._own_reactor.callWhenRunning(self._signals.take)
        signal.signal(signal.SIGHUP, lambda *_: self._own_reactor.callFromThread(self.replace))

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:  # type: ignore[override]
        """Have all workers drain and end; a second signal has them cut off their connections at once."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        super().stopService()
        for listening in self._sockets:
            listening.close()
        yield self._spawner.all_ended()
        self._signals.restore()

    @inlineCallbacks
    def replace(self) -> Generator[Deferred[None], None, None]:
        """Replace the workers one by one, each when the one that takes its place serves."""
        if self._is_replacing:
            return
        self._is_replacing = True
        for slot, old in enumerate(self._workers):
            new = self._workers[slot] = self._add(slot)
            yield self._spawner.ready(new)
            ended = self._spawner.ended(old)
            if old in self.restart and self.restart[old].active():
                self.restart[old].cancel()
            self.removeProcess(old)
            yield ended
        self._is_replacing = False

    def _add(self, slot: int) -> str:
        name = f"{slot}.{next(self._numbers)}"
        self._spawner.ready(name)
        self.addProcess(name, [*self._twistd, f"--worker={os.getpid()}"], env=dict(os.environ))
        return name

    def _stop_all(self) -> None:
        for protocol in self.protocols.values():
            with suppress(ProcessExitedAlready):
                protocol.transport.signalProcess("TERM")  # type: ignore[union-attr]
