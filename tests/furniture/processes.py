"""Real processes for the tests that are about processes: a twistd with the service, and the client's command."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

reactor: Any = _reactor

TWISTD = os.path.join(os.path.dirname(sys.executable), "twistd")
PATIENCE = 60  # seconds after which a test that waits for a process fails, instead of waiting for ever
# Python's own setting would hide that output is not flushed when it should be.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


class Child(ProcessProtocol):
    """
    A child process, from :func:`start`.

    :ivar output: what it has written to standard output so far
    :ivar errors: what it has written to standard error so far
    """

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""
        self._status: int | None = None
        self._waiting: list[Deferred[int]] = []

    @property
    def pid(self) -> int:
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    @property
    def ended(self) -> Deferred[int]:
        """Fires with its exit status, or with minus the signal that ended it; fails where that takes too long."""
        if self._status is not None:
            return succeed(self._status)
        ended: Deferred[int] = Deferred()
        self._waiting.append(ended)
        return ended.addTimeout(PATIENCE, reactor)

    def signal(self, name: str) -> None:
        if self._status is not None:
            raise ProcessExitedAlready
        os.kill(self.pid, getattr(signal, f"SIG{name}"))

    def outReceived(self, data: bytes) -> None:
        self.output += data

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        RUNNING.discard(self)
        how: Any = reason.value
        self._status = -how.signal if how.signal else how.exitCode
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended.callback(self._status)


ChildT = TypeVar("ChildT", bound=Child)

# tests/conftest.py kills what a test leaves behind.
RUNNING: set[Child] = set()


def start(child: Child, *command: str, **how: Any) -> None:
    """Start ``command`` as ``child``; for ``how`` see IReactorProcess.spawnProcess."""
    reactor.spawnProcess(child, command[0], command, **{"env": ENVIRONMENT} | how)
    RUNNING.add(child)


class Twistd(Child):
    """
    A ``twistd -n wordecho`` as a child process.

    :ivar log: what it has written to standard output and standard error so far
    """

    def __init__(self) -> None:
        super().__init__()
        self.log = ""
        self._awaited: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []

    def logged(self, pattern: str) -> Deferred[re.Match[str]]:
        """Wait until ``pattern`` stands in the log; fires with the match."""
        found: Deferred[re.Match[str]] = Deferred()
        self._awaited.append((re.compile(pattern), found))
        self._look()
        return found.addTimeout(PATIENCE, reactor)

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
        super().processEnded(reason)


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
async def ending(child: ChildT) -> AsyncIterator[ChildT]:
    """End ``child`` with SIGTERM on leaving, unless it has ended by then."""
    try:
        yield child
    finally:
        with suppress(ProcessExitedAlready):
            child.signal("TERM")
            child.signal("CONT")  # or one that was stopped would not see it
        await child.ended


def spawn_twistd(
    *options: str, limit: str = "", folder: str | None = None, twistd_options: Sequence[str] = ()
) -> Twistd:
    """Start ``twistd -n wordecho`` in ``folder``, by default that of the tests, under a ``limit`` of the shell's."""
    child = Twistd()
    command = f'{limit or ":"}; exec "$@"'
    arguments = ["-c", command, "sh", TWISTD, "-n", "--pidfile=", *twistd_options, "wordecho", *options]
    start(child, "/bin/sh", *arguments, path=folder)
    return child


async def refusal_to_start(*options: str) -> str:
    """Return the one sentence with which twistd ends at ``options``; its exit status is 1."""
    child = spawn_twistd(*options)
    assert await child.ended == 1
    assert "Traceback" not in child.log
    return re.sub(r"^\S+ \[stderr#error\] ", "", child.log.splitlines()[-1])


async def process_output(*command: str, stdin: bytes = b"") -> tuple[bytes, str, int]:
    """Run ``command`` to its end; return its standard output, its standard error and its exit status."""
    child = Child()
    start(child, *command)
    child.transport.write(stdin)  # type: ignore[union-attr]
    child.transport.closeStdin()  # type: ignore[union-attr]
    status = await child.ended
    return child.output, child.errors.decode(), status


async def client_command(*arguments: str, stdin: bytes = b"") -> tuple[bytes, str, int]:
    """Run ``python -m wordecho.client``, as :func:`process_output` does."""
    return await process_output(sys.executable, "-m", "wordecho.client", *arguments, stdin=stdin)


@asynccontextmanager
async def running(*command: str, descriptors: dict[int, int]) -> AsyncIterator[None]:
    """Run ``command`` with these file ``descriptors`` besides its standard streams; it is ended on leaving."""
    child = Child()
    start(child, *command, childFDs={0: "w", 1: "r", 2: "r"} | descriptors)
    async with ending(child):
        yield
