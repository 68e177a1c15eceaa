"""Measures how the cost grows with a message's size, the connections and the workers, and writes it into ``docs/``."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import servers
from benchmarks.__main__ import ENGLISH
from benchmarks.load import PATIENCE, Load, cpu_seconds
from benchmarks.report import replace_part, table

PIECE = 1448  # bytes, as in a segment on Ethernet
ROUNDS = 3


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def resident(pid: int) -> int:
    """Return the octets of memory that process ``pid`` has."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def sizes() -> Iterator[list[str]]:
    yield ["message", "CPU ns a byte"]
    with servers.child(*servers.ours("--max-length", str(2**25)), announces=servers.LISTENING) as (port, pid):
        for size in (2**10, 2**14, 2**17, 2**20, 2**22, 2**24):
            repeats = -(-size // len(ENGLISH))
            message = " ".join([ENGLISH] * repeats).encode()[:size] + b"\n"
            costs = [spend(port, pid, message, max(1, 2**22 // size)) / size * 1e9 for _ in range(ROUNDS)]
            yield [f"{size / 1024:.0f} kB", f"{median(costs):.1f}"]


def spend(port: int, pid: int, message: bytes, times: int) -> float:
    """Send ``message`` so often, in pieces; return the processor time that each one costs the server."""
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        before = cpu_seconds(pid)
        for _ in range(times):
            for start in range(0, len(message), PIECE):
                connection.sendall(message[start : start + PIECE])
            while not connection.recv(2**20).endswith(b"\n"):
                pass
        return (cpu_seconds(pid) - before) / times


def connections() -> Iterator[list[str]]:
    yield ["connections", "kB of memory for each"]
    for number in (100, 1000, 8000):
        with servers.child(*servers.ours(), announces=servers.LISTENING) as (port, pid):
            before = resident(pid)
            made = [connect(port) for _ in range(number)]
            for connection in made:
                connection.sendall(b"one\n")
            for connection in made:
                connection.recv(1024)
            yield [str(number), f"{(resident(pid) - before) / number / 1024:.1f}"]
            for connection in made:
                connection.close()


def workers() -> Iterator[list[str]]:
    yield ["workers", "messages/s"]
    for number in range(1, (os.cpu_count() or 1) + 1):
        with servers.child(*servers.ours("--workers", str(number)), announces=servers.LISTENING) as (port, pid):
            time.sleep(1)  # until all of them serve
            with Load(port, 32, 16, ENGLISH.encode()) as load:
                yield [str(number), f"{load.measure(pid, 2).rate:.0f}"]


def main() -> None:
    for name, rows in (("sizes", sizes()), ("connections", connections()), ("workers", workers())):
        text = table(rows)
        print(text, end="\n\n")
        replace_part(name, text)


if __name__ == "__main__":
    main()
