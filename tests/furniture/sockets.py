"""Plain sockets for the tests that talk to a real server: each call waits as long as it has to, within a limit."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from tests.furniture.processes import PATIENCE


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: nothing can listen on ::1")


def connect(port: int) -> socket.socket:
    """Connect to ``port`` of 127.0.0.1, which takes no time: where the server is busy, its kernel does it."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.settimeout(PATIENCE)
    return connection


def talk(port: int, *pieces: bytes) -> bytes:
    """Send ``pieces`` to ``port`` of 127.0.0.1, end the sending side, and return all that comes."""
    return talk_to(socket.AF_INET, ("127.0.0.1", port), *pieces)


def talk_to(family: int, address: Any, *pieces: bytes) -> bytes:
    """Do likewise at any ``address``."""
    with socket.socket(family) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(address)
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def exchange(connection: socket.socket, message: bytes = b"one\n") -> bytes:
    """Send ``message`` and return the reply, or what the server says instead."""
    connection.sendall(message)
    received = b""
    while not received.endswith(b"\n"):
        data = connection.recv(65536)
        if not data:
            break
        received += data
    return received


def send_until_nothing_is_taken(connection: socket.socket) -> int:
    """Fill the kernels' buffers and the server's own with messages whose replies nobody reads; return how much."""
    connection.settimeout(0.2)
    sent = 0
    try:
        while True:
            sent += connection.send(b"two words\n" * 1000)
    except TimeoutError:
        connection.settimeout(PATIENCE)
        return sent
