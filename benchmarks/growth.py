"""
Measures how the cost grows with a message's size, the connections and the workers, and how soon a worker that is killed
is back, and writes it into ``docs/``.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from string import ascii_lowercase
from threading import Event, Thread
from timeit import repeat

from benchmarks import servers
from benchmarks.__main__ import ENGLISH, TEXTS
from benchmarks.load import PATIENCE, Load, cpu_seconds
from benchmarks.report import replace_part, table
from tests.furniture.words import SEED, colliding_words
from wordecho import _native

PIECE = 1448  # bytes, as in a segment on Ethernet
ROUNDS = 3


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def resident(pid: int) -> int:
    """Return the octets of memory that process ``pid`` has."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def sizes() -> Iterator[list[str]]:
    yield ["message", "CPU ns a byte"]
    with servers.ours("--max-length", str(2**25)) as (port, pid):
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


def texts() -> Iterator[list[str]]:
    yield ["64 kB of", "µs", "times English"]
    syllables = " ".join(map(chr, range(0xAC00, 0xD7A4)))
    numbers = " ".join(map(str, range(20_000)))
    kinds = {
        "English": f"{ENGLISH} ",
        **{name: f"{TEXTS[name]} " for name in ("French", "Russian", "Arabic", "Hindi", "Korean")},
        "one word": "x",
        "one letter a word": "a ",
        "numbers, all different": numbers,
        "Hangul syllables, all different": syllables,
        "a letter and a thousand marks": "a" + "\u0301" * 1000 + " ",
        "a mark out of order": "a\u0301\u0323 ",
        "composed and decomposed letters": "é e\u0301 ",
        "composed and decomposed words, all different": " ".join(f"é{each} e\u0301{each}" for each in range(4000)),
        "what JSON escapes": "\x01\uff9e ",
        "spaces and single letters beyond ASCII": " é",
    }
    found = {name: milliseconds(text) * 1000 for name, text in kinds.items()}
    for name, cost in found.items():
        yield [name, f"{cost:.0f}", f"{cost / found['English']:.1f}"]


def collisions() -> Iterator[list[str]]:
    yield ["words", "µs", "times words that do not collide"]
    chance = Random(1)
    others = ["".join(chance.choices(ascii_lowercase, k=5)) for _ in range(200)]
    colliding = [word.decode() for word in colliding_words()]
    more = ["".join(chance.choices(ascii_lowercase, k=6)) for _ in range(9000)]
    for name, rest in (("200, again and again", []), ("200, then 9 000 different ones", more)):
        own, of_others = (milliseconds(" ".join([*words, *rest, ""])) * 1000 for words in (colliding, others))
        yield [name, f"{own:.0f}", f"{own / of_others:.2f}"]


def milliseconds(text: str) -> float:
    """Return what the kernel takes to answer 64 kB of ``text``, with a seed that is known; the least of many times."""
    octets = text.encode()
    message = (octets * (65536 // len(octets) + 1))[:65536].decode(errors="ignore").encode()
    best = min(repeat(lambda: _native.answer(message, False, False, SEED), number=3, repeat=30))
    return best / 3 * 1000


def connections() -> Iterator[list[str]]:
    yield ["connections", "kB of memory for each"]
    for number in (100, 1000, 8000):
        with servers.ours() as (port, pid):
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
    # The load runs on the same processors; each of these costs the server so much that the load hardly counts.
    request = " ".join([ENGLISH] * 16).encode() + b"\n"
    most = os.cpu_count() or 1
    yield ["workers", "messages/s", "times one worker's"]
    with ExitStack() as stack:
        running = {number: stack.enter_context(servers.ours("--workers", str(number))) for number in range(1, most + 1)}
        time.sleep(1)  # until all of them serve
        rates: dict[int, list[float]] = {number: [] for number in running}
        for _ in range(ROUNDS):
            for number, (port, pid) in running.items():
                with Load(port, 32 * most, 16, request) as load:
                    rates[number].append(load.measure(pid, 1).rate)
    for number, found in rates.items():
        ratio = median(rate / of_one for rate, of_one in zip(found, rates[1], strict=True))
        yield [str(number), f"{median(found):.0f}", f"{ratio:.2f}"]


def kills() -> Iterator[list[str]]:
    yield ["round", "seconds until it is back", "its connections", "cut off", "cut off of the other's"]
    for number in range(1, ROUNDS + 1):
        with servers.ours("--workers", "2") as (port, pid):
            time.sleep(1)  # until both of them serve
            with Crowd(port) as crowd:
                time.sleep(1)
                victim, _ = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                its_own = peers_of(victim) & crowd.ports
                os.kill(victim, signal.SIGKILL)
                killed = time.perf_counter()
                made = [connect(port) for _ in range(40)]  # about half of them wait for the one that is to come
                for connection in made:
                    connection.sendall(b"one\n")
                for connection in made:
                    connection.recv(1024)
                elapsed = time.perf_counter() - killed
                time.sleep(0.5)  # long enough for a connection of the other's to show that it is cut off
            yield [
                str(number),
                f"{elapsed:.2f}",
                str(len(its_own)),
                str(len(crowd.cut_off)),
                str(len(crowd.cut_off - its_own)),
            ]
            for connection in made:
                connection.close()


def peers_of(pid: int) -> set[int]:
    """Return the ports at the other ends of the TCP connections that process ``pid`` has."""
    own = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[2].partition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in own}


class Crowd(Thread):
    """Keeps a server busy, over connections that may be cut off."""

    CONNECTIONS = 32

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._lines = (" ".join([ENGLISH] * 16).encode() + b"\n") * 16
        self._connections = [connect(port) for _ in range(self.CONNECTIONS)]
        self.ports = {connection.getsockname()[1] for connection in self._connections}
        self.cut_off: set[int] = set()
        self._is_over = Event()

    def __enter__(self) -> Crowd:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self.join()
        for connection in self._connections:
            connection.close()

    def run(self) -> None:
        due = dict.fromkeys(self._connections, 0)
        while not self._is_over.is_set():
            readable = select.select(due, [], [], 0 if 0 in due.values() else 0.1)[0]
            for connection in list(due):
                try:
                    if not due[connection]:
                        connection.sendall(self._lines)
                        due[connection] = 16
                    elif connection in readable:
                        data = connection.recv(1 << 18)
                        if not data:
                            raise ConnectionResetError
                        due[connection] -= data.count(b"\n")
                except OSError:
                    self.cut_off.add(connection.getsockname()[1])
                    del due[connection]


def main() -> None:
    parts = {
        "texts": texts,
        "collisions": collisions,
        "sizes": sizes,
        "connections": connections,
        "workers": workers,
        "kills": kills,
    }
    for name, measure in parts.items():
        text = table(measure())
        print(text, end="\n\n")
        replace_part(name, text)


if __name__ == "__main__":
    main()
