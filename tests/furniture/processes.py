"""Real processes for the tests that are about processes: a twistd with the service, and the client's command."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure

reactor: Any = _reactor

TWISTD = os.path.join(os.path.dirname(sys.executable), "twistd")
PATIENCE = 60  # seconds after which a test that waits for a process fails, instead of waiting for ever
# Python's own setting would hide that output is not flushed when it should be.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


class Twistd(ProcessProtocol):
    """
    A ``twistd -n wordecho`` as a child process.

    :ivar log: what it has written to standard output and standard error so far
    :ivar ended: fires with its exit status, or with minus the signal that ended it
    """

    def __init__(self) -> None:
        self.log = ""
        self.ended: Deferred[int] = Deferred()
        self._awaited: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []

    @property
    def pid(self) -> int:
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    def logged(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until ``pattern`` stands in the log; fires with the match."""
        found: Deferred[re.Match[str]] = Deferred()
        self._awaited.append((re.compile(pattern), found))
        self._look()
        return found.addTimeout(PATIENCE, reactor)

    def signal(self, name: str) -> None:
        if self.ended.called:
            raise ProcessExitedAlready
        os.kill(self.pid, getattr(signal, f"SIG{name}"))

    async def listens(self, count: int) -> list[str]:
        """Wait until it listens on ``count`` endpoints; return what the log says of each, in their order."""
        await self.logged(rf"(?s)(Listening on [^\n]*\n.*?){{{count}}}")
        return re.findall(r"Listening on ([^\n]*)\n", self.log)

    def outReceived(self, data: bytes) -> None:
        self.log += data.decode()
        self._look()

    errReceived = outReceived

    def _look(self) -> None:
        for pattern, found in self._awaited[:]:
            match = pattern.search(self.log)
            if match:
                self._awaited.remove((pattern, found))
                found.callback(match)

    def processEnded(self, reason: Failure) -> None:
        for _, found in self._awaited:
            found.errback(AssertionError(f"twistd ended: {self.log}"))
        self._awaited.clear()
        how: Any = reason.value
        self.ended.callback(-how.signal if how.signal else how.exitCode)


@asynccontextmanager
async def twistd(*options: str, limit: str = "") -> AsyncIterator[tuple[Twistd, int]]:
    """
    Run ``twistd -n wordecho`` on a free port of 127.0.0.1, as :func:`spawn_twistd` does; yields it and the port.

    It is ended with SIGTERM on leaving, unless it has ended by then.
    """
    async with ending(spawn_twistd("--port", "0", "--interface", "127.0.0.1", *options, limit=limit)) as child:
        yield child, port_of((await child.listens(1))[0])


@asynccontextmanager
async def listening_twistd(*options: str) -> AsyncIterator[list[str]]:
    """
    Run ``twistd -n wordecho`` with ``options`` and no others, as :func:`twistd` does; yields where it listens.

    What it logs must have no traceback in it.
    """
    count = len([option for option in options if option in ("--port", "--udp", "--listen")])
    async with ending(spawn_twistd(*options)) as child:
        yield await child.listens(count)
    assert "Traceback" not in child.log, child.log


def port_of(address: str) -> int:
    """Return the port of an address that the log shows."""
    return int(re.findall(r":(\d+)\b", address)[-1])


@asynccontextmanager
async def ending(child: Twistd) -> AsyncIterator[Twistd]:
    """End ``child`` with SIGTERM on leaving, unless it has ended by then."""
    try:
        yield child
    finally:
        with suppress(ProcessExitedAlready):
            child.signal("TERM")
        if not child.ended.called:
            await child.ended.addTimeout(PATIENCE, reactor)


def spawn_twistd(
    *options: str, limit: str = "", folder: str | None = None, twistd_options: Sequence[str] = ()
) -> Twistd:
    """Start ``twistd -n wordecho`` in ``folder``, by default that of the tests, under a ``limit`` of the shell's."""
    child = Twistd()
    command = f'{limit or ":"}; exec "$@"'
    arguments = ["/bin/sh", "-c", command, "sh", TWISTD, "-n", "--pidfile=", *twistd_options, "wordecho", *options]
    reactor.spawnProcess(child, "/bin/sh", arguments, env=os.environ, path=folder)
    return child


async def process_output(*command: str, stdin: bytes = b"") -> tuple[bytes, str, int]:
    """Run ``command`` to its end; return its standard output, its standard error and its exit status."""
    executable, *arguments = command
    running = getProcessOutputAndValue(executable, arguments, ENVIRONMENT, stdinBytes=stdin)
    out, err, status = await running.addTimeout(PATIENCE, reactor)
    return out, err.decode(), status


async def client_command(*arguments: str, stdin: bytes = b"") -> tuple[bytes, str, int]:
    """Run ``python -m wordecho.client``, as :func:`process_output` does."""
    return await process_output(sys.executable, "-m", "wordecho.client", *arguments, stdin=stdin)


class Program(ProcessProtocol):
    """
    Any other program as a child process that runs until it is ended.

    :ivar ended: fires when it has
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


@asynccontextmanager
async def running(*command: str, descriptors: dict[int, int]) -> AsyncIterator[None]:
    """Run ``command`` with these file ``descriptors`` besides its standard streams; it is ended on leaving."""
    child = Program()
    process = reactor.spawnProcess(
        child, command[0], command, env=ENVIRONMENT, childFDs={0: "w", 1: "r", 2: "r"} | descriptors
    )
    try:
        yield
    finally:
        with suppress(ProcessExitedAlready):
            process.signalProcess("TERM")
        await child.ended.addTimeout(PATIENCE, reactor)
