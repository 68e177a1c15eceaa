"""
The workers of ``twistd wordecho --workers``, seen from the outside: their sockets, their processes and what they say.

What is to become of them :mod:`wordecho.service.supervisor` decides.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from wordecho.service import reports
from wordecho.service.service import CannotStart
from wordecho.service.signals import Hangup, SecondSignal
from wordecho.service.supervisor import Supervisor, Worker
from wordecho.service.worker import LIFELINE, LISTENING, REPORTS, VARIABLE
from wordecho.sockets.bind import bind
from wordecho.sockets.ports import BACKLOG
from wordecho.wire.engine import versions

# A SIGINT from a terminal goes to the process group of the supervisor. It is for the supervisor alone, which tells the
# workers; two of them would cut connections off.
PROGRAM = "import os; os.setpgrp(); from twisted.scripts.twistd import run; run()"


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


class WorkerProcess(ProcessProtocol):
    """The process of one worker: its reports go to the supervisor, whole lines of its log into the log."""

    log = Logger()

    def __init__(self, worker: Worker, supervisor: Supervisor) -> None:
        self._worker = worker
        self._supervisor = supervisor
        self._unfinished: dict[int, bytes] = defaultdict(bytes)  # what has come of a line, by descriptor

    def signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)  # type: ignore[union-attr]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        *lines, self._unfinished[childFD] = (self._unfinished[childFD] + data).split(b"\n")
        for line in lines:
            if childFD == REPORTS:
                self._hear(line)
            else:
                self._log(line)

    def _hear(self, line: bytes) -> None:
        try:
            report = reports.read(line)
        except ValueError:
            self.log.warn(
                "worker {number} said {line!r}, which is no report", number=self._worker.number, line=line[:80]
            )
        else:
            self._supervisor.heard(self._worker, report)

    def processEnded(self, reason: Failure) -> None:
        for descriptor in 1, 2:
            if self._unfinished[descriptor]:
                self._log(self._unfinished[descriptor])
        how: Any = reason.value
        self._supervisor.ended(
            self._worker,
            f"signal {how.signal} ({signal.strsignal(how.signal)})" if how.signal else f"exit status {how.exitCode}",
        )

    def _log(self, line: bytes) -> None:
        shown = line.decode(errors="backslashreplace")
        self.log.info("[worker {number}] {line}", number=self._worker.number, line=shown)


class WorkersService(Service):
    """
    Keeps several processes running that accept connections on one port.

    It makes a listening socket for each worker, all of them on the same port (SO_REUSEPORT: the kernel deals the
    connections out), and keeps them open, so that what waits to be accepted when a worker goes is accepted by the one
    that takes its place. SIGHUP replaces the workers one by one.

    :param interface: the one address to listen on; None for every address of either family
    :param port: 0 for any free one
    :param number: how many workers there are
    :param arguments: a worker's command line after ``twistd``
    :param drain_timeout: seconds that a worker may take to answer what is due
    :param longest_silence: seconds that a worker may be busy with one message
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        interface: str | None,
        port: int,
        number: int,
        arguments: Sequence[str],
        *,
        drain_timeout: float,
        longest_silence: int,
    ) -> None:
        self._reactor = reactor
        self._address = interface, port
        self._number = number
        self._command = [sys.executable, "-c", PROGRAM, *arguments]
        self._sockets: list[socket.socket] = []
        self._supervisor = Supervisor(
            reactor, self._spawn, number, drain_timeout=drain_timeout, longest_silence=longest_silence
        )

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still do so on a port below 1024.

        :raises CannotStart: if the port cannot be listened on.
        """
        super().privilegedStartService()
        self.log.info("{versions}", versions=versions())
        interface, port = self._address
        try:
            self._sockets = listen(interface, port, self._number)
        except CannotListenError as error:
            raise CannotStart(f"wordecho: {error}") from error

    def startService(self) -> None:
        if not self._sockets:
            self.privilegedStartService()
        super().startService()
        self._hangup = Hangup(self._reactor, self._supervisor.replace)
        self._hangup.take()
        self._supervisor.start()
        self._second_signal = SecondSignal(self._reactor, self._supervisor.cut_off)
        self._reactor.callWhenRunning(self._second_signal.take)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Have all workers drain and end; a second signal has them cut off their connections at once."""
        super().stopService()
        for listening in self._sockets:
            listening.close()
        yield self._supervisor.stop()
        self._second_signal.restore()
        self._hangup.restore()

    def _spawn(self, worker: Worker) -> WorkerProcess:
        process = WorkerProcess(worker, self._supervisor)
        listening = self._sockets[worker.place.number].fileno()
        self._reactor.spawnProcess(
            process,
            sys.executable,
            self._command,
            env=os.environ | {VARIABLE: str(worker.number)},
            childFDs={LIFELINE: "w", 1: "r", 2: "r", LISTENING: listening, REPORTS: "r"},
        )
        return process
