"""Servers as child processes: ours, started as a user does, and the peers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import Thread

HERE = Path(__file__).parent
TWISTD = Path(sys.executable).with_name("twistd")
ATTEMPTS = 5  # to start a server on a port that was free a moment ago

# The port at which a server listens, and its process, for as long as the block runs.
Server = AbstractContextManager[tuple[int, int]]


@contextmanager
def child(
    *command: str, announces: str = r"^(\d+)$", port: int = 0, by_python: bool = False
) -> Iterator[tuple[int, int]]:
    """
    Run ``command`` until the block is left; yields the port where it listens, and its process.

    :param announces: what a line of its output matches when it listens
    :param port: where it listens; 0 where the line says so
    :param by_python: whether wordecho is to answer by its Python engine, even where the native one is built
    :raises RuntimeError: if it ends before it has announced anything.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what a peer says there is how it takes the end of the load's connections
        text=True,
        cwd=HERE.parent,
        env=environment(by_python),
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := re.search(announces, line):
                # What it says from now on must be read, or it would wait for that.
                Thread(target=process.stdout.read, daemon=True).start()
                yield port or int(match[1]), process.pid
                return
        raise RuntimeError(f"{command} has ended without a word of where it listens")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(by_python: bool) -> dict[str, str]:
    """Return our own environment, but that it says which of its engines wordecho is to use."""
    return {**os.environ, "WORDECHO_NATIVE": "0" if by_python else ""}


def ours(*options: str, by_python: bool = False) -> Server:
    arguments = ["wordecho", "--port", "0", "--interface", "127.0.0.1", *options]
    command = [str(TWISTD), "-n", "--pidfile=", *arguments]
    return child(*command, announces=r"Listening on 127\.0\.0\.1:(\d+)", by_python=by_python)


def peer(name: str) -> Server:
    """A server of :mod:`benchmarks.peers`, which analyses in Python whatever engine is built."""
    return child(sys.executable, "-m", "benchmarks.peers", name, by_python=True)


def node(path: str) -> Server:
    return child(path, str(HERE / "segmenter.js"))


@contextmanager
def redis(path: str) -> Iterator[tuple[int, int]]:
    """A Redis with one thread that saves nothing, on a port that it has to be told."""
    options = ["--bind", "127.0.0.1", "--protected-mode", "yes", "--daemonize", "no"]
    options += ["--save", "", "--appendonly", "no", "--io-threads", "1"]
    with ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            port = free_port()
            try:
                running = stack.enter_context(
                    child(path, "--port", str(port), *options, announces="Ready to accept connections", port=port)
                )
                break
            except RuntimeError:  # somebody else may have taken the port meanwhile
                if attempt == ATTEMPTS:
                    raise
        yield running


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def installed(program: str) -> str | None:
    """Return the path of ``program``, or None, and say so, where this machine does not have it."""
    path = shutil.which(program)
    if path is None:
        print(f"There is no {program} on this machine; it is left out.", file=sys.stderr)
    return path


def version_of(program: str) -> str | None:
    """Return the version that ``program`` says it has, None where there is no such program."""
    if (path := shutil.which(program)) is None:
        return None
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=?(\d+(?:\.\d+)*)", printed)  # "v20.20.2", "Redis server v=7.0.15 sha=..."
    return found[1] if found else printed.strip()
