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
    child = spawn_twistd("--port", "0", "--interface", "127.0.0.1", *options, limit=limit)
    try:
        match = await child.logged(r"Listening on 127\.0\.0\.1:(\d+)")
        yield child, int(match[1])
    finally:
        with suppress(ProcessExitedAlready):
            child.signal("TERM")
        if not child.ended.called:
            await child.ended.addTimeout(PATIENCE, reactor)


def spawn_twistd(*options: str, limit: str = "", twistd_options: Sequence[str] = ()) -> Twistd:
    """Run ``twistd -n wordecho`` with ``options``, under a ``limit`` such as ``ulimit -n 100``."""
    child = Twistd()
    command = f'{limit or ":"}; exec "$@"'
    twistd = [TWISTD, "-n", "--pidfile=", *twistd_options]
    arguments = ["/bin/sh", "-c", command, "sh", *twistd, "wordecho", *options]
    reactor.spawnProcess(child, "/bin/sh", arguments, env=os.environ)
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
