"""What every test under pytest gets without asking for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner

from tests.furniture.processes import RUNNING, Twistd, twistd

# Until the logging begins, Twisted keeps all events, and so what they are about, such as connections and failures.
with warnings.catch_warnings():  # which undoes that warnings go into the log
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Kill the processes that a test has left behind, which is a failure of its own."""
    before = RUNNING.copy()
    yield
    left = RUNNING - before
    for child in left:
        child.signal("KILL")
        pytest_twisted.blockon(child.ended)
    assert not left, "processes were left running"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Twistd, int]]:
    """One twistd for the tests of a module that leave it as they found it, and its port of 127.0.0.1."""
    running = twistd()
    child, port = pytest_twisted.blockon(Deferred.fromCoroutine(running.__aenter__()))
    yield child, port
    pytest_twisted.blockon(Deferred.fromCoroutine(running.__aexit__(None, None, None)))
    assert "Traceback" not in child.log, child.log
