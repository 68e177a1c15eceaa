"""Servers as child processes: ours, started as a user does, and the peers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

HERE = Path(__file__).parent
TWISTD = Path(sys.executable).with_name("twistd")


@contextmanager
def child(*command: str, announces: str = r"^(\d+)$") -> Iterator[tuple[int, int]]:
    """
    Run ``command`` until the block is left; yields the port that it announces, and its process.

    :raises RuntimeError: if it ends before it has announced a port.
    """
    # What a peer says on standard error is how it takes the end of the load's connections.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=HERE.parent)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := re.search(announces, line):
                # What it says from now on must be read, or it would wait for that.
                Thread(target=process.stdout.read, daemon=True).start()
                yield int(match[1]), process.pid
                return
        raise RuntimeError(f"{command} has ended without a word of where it listens")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ours(*options: str) -> list[str]:
    arguments = ["wordecho", "--port", "0", "--interface", "127.0.0.1", *options]
    return [str(TWISTD), "-n", "--pidfile=", *arguments]


LISTENING = r"Listening on 127\.0\.0\.1:(\d+)"


def peer(name: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers", name]


def node() -> list[str] | None:
    """Return how to start node's server, or None where there is no node."""
    return [path, str(HERE / "segmenter.js")] if (path := shutil.which("node")) else None
