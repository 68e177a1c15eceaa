"""Twisted's own tests of what a reactor promises, run on ours: every test that Twisted runs on its EPollReactor."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

# What Twisted's tests warn of is Twisted's.
pytestmark = pytest.mark.filterwarnings("ignore")

MODULES = ["core", "fdset", "newtls", "process", "socket", "stdio", "tcp", "threads", "time", "tls", "udp", "unix"]

# What cannot pass, on Twisted's reactor no more than on ours.
LEFT_OUT = [
    "test_lostFileDescriptor",  # epoll cannot detect one; Twisted skips the test for its own, by its name
    "test_changeUID",  # passes only where the files of this Python can be read by all users
]


@pytest.fixture(scope="module", autouse=True)
def garbage_goes_here() -> Iterator[None]:
    """Let go of what these tests have left open before a test has to answer for it that is not among them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def leave_out(case: object) -> None:
    """Stands in place of a test that is left out."""


def make_temporary_name(case: Any) -> str:
    """Return a path for a test's own use; Twisted's own ``mktemp`` makes one in the working directory."""
    folder = tempfile.mkdtemp()
    case.addCleanup(shutil.rmtree, folder)
    return os.path.join(folder, "temp")


def keep_signals(case: Any) -> None:
    """Have what tells the reactor of this process that a child has ended outlive ``case``, whose reactor undoes it."""
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    case.addCleanup(signal.set_wakeup_fd, wakeup)
    case.addCleanup(signal.signal, signal.SIGCHLD, signal.getsignal(signal.SIGCHLD))


def cases() -> dict[str, Any]:
    """Make of each of Twisted's test cases for its own EPollReactor one for ours."""
    made: dict[str, Any] = {}
    for name in MODULES:
        module = import_module(f"twisted.internet.test.test_{name}")
        for case in vars(module).values():
            if getattr(case, "__name__", "").endswith("_EPollReactorTests"):
                builder = case.__mro__[1]  # a ReactorBuilder, which the case mixes with SynchronousTestCase
                own: dict[str, Any] = {test: leave_out for test in LEFT_OUT if hasattr(builder, test)}

                def setUp(case: Any, builder: Any = builder) -> None:
                    keep_signals(case)
                    builder.setUp(case)

                own["setUp"] = setUp
                own["mktemp"] = make_temporary_name
                own["_reactors"] = ["wordecho.reactor.EagerEPollReactor"]
                ours: Any = type(builder.__name__, (builder,), own)
                made |= ours.makeTestCaseClasses()
    return made


if sys.platform == "linux":
    globals().update(cases())
