"""
The service under a mix of good, bad, slow and rude clients, with every reply that is due checked.

``python -m benchmarks.soak [--seconds 120] [--workers 1]`` starts a ``twistd -n wordecho`` of its own on free loopback
ports, with limits so small that the rude clients reach them; ``WORDECHO_NATIVE=0`` before it has that answer by its
Python engine. The clients come in four rounds, over TCP and, where there is one process, TLS; after each they all go,
the server has to take as many connections as ever, and its memory and descriptors, now that it is idle, are read from
``/proc``. At the end the server is stopped while replies are due.

The exit status is 1 where a reply was wrong or missing, where memory or descriptors grew after the first round, where
the log has a traceback, or where the stop lost a reply. The load does not use the server's own code, but for
``wordecho.wire.python_engine.answer``: the replies themselves have tests of their own.

Nothing here goes by how fast a machine is, as long as no client is held up for :data:`QUIET_PERIOD`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from benchmarks.growth import resident
from benchmarks.servers import TWISTD
from tests.furniture.contract import Contract
from tests.furniture.kinds import make_certificate
from wordecho import wire

MAX_LENGTH = 2000
MAX_CONNECTIONS = 100
IDLE_TIMEOUT = 12
QUIET_PERIOD = 2  # more than this process should ever hold up one of its clients
DRAIN_TIMEOUT = 10

CLIENTS = 40  # at once, and one crowd now and then
ROUNDS = 4
PATIENCE = 60  # seconds in which nothing more comes or can be sent, after which a reply is missing

MEMORY_GROWTH = (
    2048  # kB that each process of an idle server may have more than after the first round: what malloc keeps varies
)

TEXTS = [
    "",
    "Hello, world hello world",
    "The quick brown fox can't jump 32.3 feet, right?",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "日本語の文章は空白で区切られない",
    "عيد ميلاد سعيد",
    "👍 caf\u00e9 cafe\u0301",
    "GET / HTTP/1.1",
    "word " * 300,
]


class Server:
    """
    A ``twistd -n wordecho`` as a child process.

    :param folder: where its log is, and its certificate
    :param workers: how many processes it has serve
    :ivar port: for TCP
    :ivar tls_port: for TLS, None where several processes serve, which can share nothing but one port
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self.log = folder / "log"
        limits = {
            "port": 0,
            "interface": "127.0.0.1",
            "workers": workers,
            "max-length": MAX_LENGTH,
            "max-connections": MAX_CONNECTIONS,
            "idle-timeout": IDLE_TIMEOUT,
            "quiet-period": QUIET_PERIOD,
            "drain-timeout": DRAIN_TIMEOUT,
        }
        options = [f"--{name}={value}" for name, value in limits.items()]
        if workers == 1:
            make_certificate(folder)
            options += [f"--{file}={folder}/{file}.pem" for file in ("cert", "key")]
            options.append("--listen=tls:tcp:0:interface=127.0.0.1")
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", "wordecho", *options], stdout=output, stderr=subprocess.STDOUT
            )
        self.port, self.tls_port = self._await_ports()

    def _await_ports(self) -> tuple[int, int | None]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            match re.findall(r"Listening on 127\.0\.0\.1:(\d+)", self.log.read_text()):
                case [port, tls_port] if self.workers == 1:
                    return int(port), int(tls_port)
                case [port, *others] if self.workers == 1 + len(others) > 1:  # each of them says so
                    return int(port), None
            time.sleep(0.05)
        self.process.kill()
        raise SystemExit(f"The server does not start: {self.log.read_text()}")

    def _processes(self) -> list[int]:
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def memory(self) -> int:
        """Return the resident memory of its processes, in kB."""
        return sum(map(resident, self._processes())) // 1024

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{process}/fd")) for process in self._processes())

    def tracebacks(self) -> int:
        return sum("Traceback" in line for line in self.log.read_text().splitlines())


@contextmanager
def running_server(workers: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), workers)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()


# What is due


def replies_to(stream: bytes) -> list[bytes]:
    """Return the replies to all messages in ``stream`` once the client has ended its sending side after it."""
    contract = Contract(MAX_LENGTH)
    contract.hear(stream)
    contract.end_message()
    return bytes(contract.owed).splitlines(keepends=True)


IDLE = wire.encode(wire.idle_timeout(IDLE_TIMEOUT)) + b"\n"
FULL = wire.encode(wire.too_many_connections(MAX_CONNECTIONS)) + b"\n"


Result = TypeVar("Result")


async def in_time(step: Awaitable[Result]) -> Result:
    """
    Return what one ``step`` of a client does.

    :raises TimeoutError: if that takes too long.
    """
    try:
        return await asyncio.wait_for(step, PATIENCE)
    except asyncio.TimeoutError:  # before Python 3.11 it is another one
        raise TimeoutError from None


class RefusedError(Exception):
    """The server had as many connections as it may have."""


class Load:
    """
    The clients, and what they found.

    :param server: whose clients they are
    :param chance: what the clients do, the same for the same seed
    :ivar checked: replies that were right
    :ivar problems: replies that were wrong or missing
    :ivar clients: how many clients of each kind are done
    """

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.checked = 0
        self.problems: list[str] = []
        self.clients: Counter[str] = Counter()
        self._port = server.port
        self._tls_port = server.tls_port
        self._most = MAX_CONNECTIONS * server.workers
        self._chance = chance
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE  # tests have that

    async def run(self, seconds: float) -> None:
        """Keep :data:`CLIENTS` clients busy for ``seconds``, and a crowd of more than the server takes at times."""
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(self._take_turns(deadline) for _ in range(CLIENTS)), self._crowd_at_times(deadline))

    async def _take_turns(self, deadline: float) -> None:
        kinds: list[Callable[[], Awaitable[None]]] = [
            *[self.pipelining, self.asking] * 4,
            *[self.noisy, self.too_long] * 2,
            *[self.byte_by_byte, self.slow_reader, self.quiet],
            *[self.resetting, self.silent, self.never_reading, self.early_half_close],
        ]
        if self._tls_port is not None:
            kinds += [self.asking_by_tls, self.pipelining_by_tls] * 2 + [self.no_tls, self.unfinished_tls]
        while time.monotonic() < deadline:
            await self._run_client(self._chance.choice(kinds))

    async def _run_client(self, kind: Callable[[], Awaitable[None]]) -> None:
        name = kind.__name__.strip("_")
        try:
            await kind()
            self.clients[name] += 1
        except RefusedError:
            # Also where there is room again, for as long as the server has not seen who is gone; see check_room().
            self.clients["refused"] += 1
            await asyncio.sleep(0.2)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.problems.append(f"{name}: {error!r}")

    def _check(self, name: str, received: bytes, replies: list[bytes], *, may_lack: bool = False) -> None:
        """Note whether ``received`` is ``replies``, or the first of them where it ``may_lack`` the others."""
        lines = received.splitlines(keepends=True)
        if lines[:1] == [FULL]:
            raise RefusedError
        if may_lack:
            # The last one may be cut short.
            lines = [line for line in lines if line.endswith(b"\n")]
            replies = replies[: len(lines)]
        right = sum(line == reply for line, reply in zip(lines, replies, strict=False))
        self.checked += right
        wrong = max(len(lines), len(replies)) - right
        if wrong:
            self.problems += [f"{name}: {len(lines)} lines for {len(replies)} replies, {received[-200:]!r}"] * wrong

    # Streams

    def _lines(self, count: int) -> bytes:
        """Make ``count`` good lines."""
        return b"".join(
            self._chance.choice(TEXTS).encode() + self._chance.choice([b"\n", b"\n", b"\r\n"]) for _ in range(count)
        )

    def _noise(self) -> bytes:
        """Make lines of which most are refused."""
        return b"".join(
            self._chance.choice(
                [
                    self._chance.randbytes(self._chance.randrange(300)),
                    "caf\u00e9".encode("latin-1"),
                    b"\xf0\x9f\x91",
                    b"\0\x1b[2J\r",
                    b"x" * self._chance.choice([MAX_LENGTH, MAX_LENGTH + 1, 70_000]),
                    self._chance.choice(TEXTS).encode(),
                ]
            )
            + self._chance.choice([b"\n", b"\r\n"])
            for _ in range(self._chance.randrange(1, 30))
        )

    def _cut(self, stream: bytes) -> Iterator[bytes]:
        cuts = sorted(self._chance.randrange(len(stream) + 1) for _ in range(self._chance.randrange(6)))
        for start, end in pairwise([0, *cuts, len(stream)]):
            yield stream[start:end]

    # Good clients

    async def pipelining(self) -> None:
        stream = self._lines(self._chance.randrange(1, 400)) + self._chance.choice([b"", b"the rest"])
        async with Connection(self._port) as connection:
            _, received = await asyncio.gather(
                connection.send(*self._cut(stream), end=True), connection.receive_to_end()
            )
            self._check("pipelining", received, replies_to(stream))

    async def asking(self) -> None:
        async with Connection(self._port) as connection:
            for _ in range(self._chance.randrange(1, 60)):
                line = self._lines(1)
                await connection.send(line)
                self._check("asking", await connection.receive_line(), replies_to(line))

    async def quiet(self) -> None:
        """Send a message with no line feed, and wait; then another."""
        async with Connection(self._port) as connection:
            for _ in range(2):
                await connection.send(b"Hello, world")
                self._check("quiet", await connection.receive_line(), replies_to(b"Hello, world"))

    # Bad clients

    async def noisy(self) -> None:
        stream = self._noise()
        async with Connection(self._port) as connection:
            _, received = await asyncio.gather(
                connection.send(*self._cut(stream), end=True), connection.receive_to_end()
            )
            self._check("noisy", received, replies_to(stream))

    async def too_long(self) -> None:
        """Send a line far too long, and read why before it ends."""
        async with Connection(self._port) as connection:
            await connection.send(b"x" * 100_000)
            self._check("too_long", await connection.receive_line(), replies_to(b"x" * 100_000))
            await connection.send(b"x" * 100_000 + b"\none\n")
            self._check("too_long", await connection.receive_line(), replies_to(b"one\n"))

    # Slow clients

    async def byte_by_byte(self) -> None:
        stream = self._lines(2)[-150:]
        async with Connection(self._port) as connection:
            for index in range(len(stream)):
                await connection.send(stream[index : index + 1])
                await asyncio.sleep(0.01)
            await connection.send(end=True)
            self._check("byte_by_byte", await connection.receive_to_end(), replies_to(stream))

    async def slow_reader(self) -> None:
        stream = self._lines(1500)
        async with Connection(self._port, receive_buffer=4096) as connection:
            _, received = await asyncio.gather(
                connection.send(stream, end=True), connection.receive_to_end(size=16384, pause=0.02)
            )
            self._check("slow_reader", received, replies_to(stream))

    # Rude clients

    async def resetting(self) -> None:
        """Reset the connection with replies due and half a line sent."""
        stream = self._lines(self._chance.randrange(200)) + b"half a li"
        async with Connection(self._port) as connection:
            await connection.send(stream)
            received = await connection.receive_some() if self._chance.random() < 0.5 else b""
            connection.reset()
            self._check("resetting", received, replies_to(stream), may_lack=True)

    async def silent(self) -> None:
        """Say nothing, until the server has enough of it."""
        async with Connection(self._port) as connection:
            self._check("silent", await connection.receive_to_end(), [IDLE])

    async def never_reading(self) -> None:
        """Send without end and read nothing, until the server has enough of it."""
        stream = self._lines(100)
        async with Connection(self._port, receive_buffer=4096) as connection:
            with suppress(ConnectionError, RefusedError):  # which it was, it has not read
                while True:
                    await connection.send(stream)

    async def early_half_close(self) -> None:
        stream = self._chance.choice([b"", b"\n", b"the rest", self._lines(3)])
        async with Connection(self._port) as connection:
            await connection.send(stream, end=True)
            self._check("early_half_close", await connection.receive_to_end(), replies_to(stream))

    # Clients over TLS

    async def asking_by_tls(self) -> None:
        async with self._tls_connection() as (reader, writer):
            for _ in range(self._chance.randrange(1, 30)):
                line = self._lines(1)
                writer.write(line)
                self._check("asking_by_tls", await in_time(reader.readline()), replies_to(line))

    async def pipelining_by_tls(self) -> None:
        """Send many lines, and read until the last of them is answered: TLS has no half-close."""
        stream = self._lines(self._chance.randrange(1, 400))
        replies = replies_to(stream)
        async with self._tls_connection() as (reader, writer):
            writer.writelines(self._cut(stream))
            received = b""
            while received.count(b"\n") < len(replies) and (data := await in_time(reader.read(65536))):
                received += data
            self._check("pipelining_by_tls", received, replies)

    @asynccontextmanager
    async def _tls_connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await in_time(asyncio.open_connection("127.0.0.1", self._tls_port, ssl=self._tls))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def no_tls(self) -> None:
        """Send what is no TLS, and be closed."""
        async with Connection(self._tls_port or 0) as connection:
            with suppress(ConnectionError):
                await connection.send(b"Hello, world\n" * 10)
                await connection.receive_to_end()

    async def unfinished_tls(self) -> None:
        """Begin a handshake and leave, or leave it at that."""
        async with Connection(self._tls_port or 0) as connection:
            await connection.send(b"\x16\x03\x01\x02\x00\x01")
            await asyncio.sleep(self._chance.choice([0, 0.1, 2]))

    # Crowds

    async def check_room(self) -> None:
        """Note whether the server, which has nobody now, takes as many as it may."""
        members = [Connection(self._port) for _ in range(MAX_CONNECTIONS)]
        refused = await self._count_refused(members)
        if refused:
            self.problems.append(f"room: {refused} of {len(members)} were refused, though nobody else was there")

    async def _crowd_at_times(self, deadline: float) -> None:
        while time.monotonic() < deadline - 3:
            await asyncio.sleep(2)
            await self._run_client(self._crowd)

    async def _crowd(self) -> None:
        """Be more than the server takes: those who come last are told so, those who came first are answered."""
        members = [Connection(self._port) for _ in range(self._most + 20)]
        refused = await self._count_refused(members)
        self.checked += refused
        if refused < 20:
            self.problems.append(f"crowd: {refused} of {len(members)} were refused")

    async def _count_refused(self, members: list[Connection]) -> int:
        try:
            for member in members:
                await member.open()
            return sum(await asyncio.gather(*map(self._is_refused, members)))
        finally:
            for member in members:
                member.close()

    async def _is_refused(self, member: Connection) -> bool:
        try:
            await member.send(b"one\n")
            self._check("crowd", await member.receive_line(), replies_to(b"one\n"))
        except RefusedError:
            return True
        return False


class Connection:
    """
    A plain socket.

    :param receive_buffer: octets of the kernel's buffer, None for its own choice
    """

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self._port = port
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._received = bytearray()

    async def open(self) -> None:
        await in_time(asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", self._port)))

    async def __aenter__(self) -> Connection:
        try:
            await self.open()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def send(self, *pieces: bytes, end: bool = False) -> None:
        for piece in pieces:
            await in_time(asyncio.get_running_loop().sock_sendall(self._socket, piece))
            await asyncio.sleep(0)
        if end:
            self._socket.shutdown(socket.SHUT_WR)

    async def receive_some(self, size: int = 65536) -> bytes:
        return await in_time(asyncio.get_running_loop().sock_recv(self._socket, size))

    async def receive_to_end(self, *, size: int = 65536, pause: float = 0) -> bytes:
        while data := await self.receive_some(size):
            self._received += data
            await asyncio.sleep(pause)
        return bytes(self._received)

    async def receive_line(self) -> bytes:
        """Receive a line, or what there is of it when the connection ends."""
        while b"\n" not in self._received and (data := await self.receive_some()):
            self._received += data
        line, line_feed, rest = self._received.partition(b"\n")
        self._received = rest
        return bytes(line + line_feed)

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._socket.close()


async def check_stop(server: Server) -> list[str]:
    """Stop ``server`` with replies due, and return what is wrong with how it ends."""
    stream = b"Hello, world hello world\n" * 500
    problems = []
    connections = [Connection(server.port) for _ in range(20)]
    for connection in connections:
        await connection.open()
        await connection.send(b"one\n")
        await connection.receive_line()  # the server has accepted it
        await connection.send(stream)
    server.process.terminate()
    received = await asyncio.gather(
        *(connection.receive_to_end() for connection in connections), return_exceptions=True
    )
    replies = sum(part == b"".join(replies_to(stream)) for part in received) * 500
    if replies != 500 * len(connections):
        problems.append(f"{replies} of {500 * len(connections)} replies came to those who were whole at the stop")
    for connection in connections:
        connection.close()
    try:
        status = await asyncio.to_thread(server.process.wait, DRAIN_TIMEOUT + 5)
    except subprocess.TimeoutExpired:
        return [*problems, "the server does not end"]
    if status not in (0, -signal.SIGTERM):  # twistd ends itself with the signal that it got
        problems.append(f"the server ended with status {status}")
    return problems


async def settle(server: Server, descriptors: int) -> None:
    """Wait until ``server`` has closed the connections of clients that are gone."""
    deadline = time.monotonic() + PATIENCE
    while server.descriptors() > descriptors and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)


async def soak(server: Server, seconds: float, seed: int) -> bool:
    """Return whether all is well."""
    load = Load(server, random.Random(seed))
    descriptors_at_start = server.descriptors()
    figures = []
    for number in range(1, ROUNDS + 1):
        await load.run(seconds / ROUNDS)
        await settle(server, descriptors_at_start)
        await load.check_room()
        await settle(server, descriptors_at_start)
        figures.append((server.memory(), server.descriptors()))
        print(
            f"round {number} of {ROUNDS}: {load.checked} replies checked, {len(load.problems)} wrong or missing; "
            f"memory {figures[-1][0]} kB, descriptors {figures[-1][1]}",
            flush=True,
        )
    print("clients:", ", ".join(f"{count} {name}" for name, count in load.clients.most_common()))
    for problem, count in Counter(load.problems).most_common(10):
        print(f"  {count} x {problem}")
    memory_growth, descriptor_growth = (last - first for last, first in zip(figures[-1], figures[0], strict=True))
    stop_problems = await check_stop(server)
    tracebacks = server.tracebacks()
    print(f"replies checked: {load.checked}")
    print(f"replies wrong or missing: {len(load.problems)}")
    print(f"growth after the first quarter: memory {memory_growth} kB, descriptors {descriptor_growth}")
    print(f"lines with a traceback in the log: {tracebacks}")
    print("stop:", "; ".join(stop_problems) or "all that was due was answered")
    return not (
        load.problems
        or memory_growth > MEMORY_GROWTH * server.workers
        or descriptor_growth > 0
        or tracebacks
        or stop_problems
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Soak a wordecho server on loopback.")
    parser.add_argument("--seconds", type=float, default=120, help="how long the clients come [default: %(default)s]")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of what they do [default: %(default)s]")
    arguments = parser.parse_args()
    with running_server(arguments.workers) as server:
        is_well = asyncio.run(soak(server, arguments.seconds, arguments.seed))
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
