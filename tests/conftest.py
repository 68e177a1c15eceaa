"""What every test under pytest gets without asking for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.furniture.processes import RUNNING


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
