"""The load: some connections, each with so many messages in flight, driven by one loop that costs little itself."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

PATIENCE = 20  # seconds of silence after which a server has failed
MOST_MESSAGES = 10_000_000  # in one measurement
WARM_UP = 0.1  # seconds that are not counted


@dataclass
class Figures:
    """
    What a measurement found.

    :ivar cpu: seconds of the server's processor time for each message
    :ivar rate: messages a second
    :ivar p50: seconds from sending a message to its reply, half of them
    :ivar p99: likewise, 99 of 100
    """

    cpu: float
    rate: float
    p50: float
    p99: float


def cpu_seconds(pid: int) -> float:
    """Return the processor time that all threads of process ``pid`` have used, as the operating system counts it."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python does not have for a process


class Load:
    """
    Connections to one server, every one of which always waits for ``in_flight`` replies.

    :param request: one request with its ending; the reply to it is one line
    """

    def __init__(self, port: int, connections: int, in_flight: int, request: bytes) -> None:
        self._in_flight = in_flight
        # What goes out is a part of this, and what comes in goes into the same place each time: to make either anew for
        # each batch would make the load a tenth slower or more, and a fast server wait for it.
        self._request_size = len(request)
        self._requests = memoryview(request * in_flight)
        self._room = bytearray(1 << 18)
        self._poller = select.epoll()
        self._connections: dict[int, tuple[socket.socket, deque[tuple[float, int]]]] = {}
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            # A timeout of Python's own would cost the load a system call before each of the others.
            connection.settimeout(None)
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", PATIENCE, 0))
            self._connections[connection.fileno()] = connection, deque()
            self._poller.register(connection.fileno(), select.EPOLLIN)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exception: object) -> None:
        for connection, _ in self._connections.values():
            connection.close()
        self._poller.close()

    def measure(self, pid: int, seconds: float) -> Figures:
        """Keep the server with process ``pid`` busy for about so many seconds."""
        for connection, sent in self._connections.values():
            sent.append((time.perf_counter(), self._in_flight))
            connection.sendall(self._requests)
        self._drive(WARM_UP)
        cpu, begun = cpu_seconds(pid), time.perf_counter()
        count, latencies = self._drive(seconds)
        cpu, elapsed = cpu_seconds(pid) - cpu, time.perf_counter() - begun
        self._receive_rest()
        latencies.sort()
        p50, p99 = (latencies[int(len(latencies) * part)] for part in (0.5, 0.99))
        return Figures(cpu / count, count / elapsed, p50, p99)

    def _drive(self, seconds: float) -> tuple[int, list[float]]:
        """
        Send a message for each reply that comes; return how many came, and how long one of each batch took.

        Everything that has come is read before anything is sent. So the server has several messages to answer at a
        time, and what is measured is not how it falls asleep and is woken for each.
        """
        now = time.perf_counter()
        end = now + seconds
        count, latencies = 0, []
        while now < end and count < MOST_MESSAGES:
            events = self._poller.poll(PATIENCE)
            if not events:
                raise TimeoutError(f"no reply came for {PATIENCE} seconds")
            came = []
            for descriptor, _ in events:
                connection, sent = self._connections[descriptor]
                if replies := self._receive(connection):
                    came.append((connection, sent, replies))
            now = time.perf_counter()
            for connection, sent, replies in came:
                left = replies
                while left:
                    when, batch = sent.popleft()
                    if batch > left:
                        sent.appendleft((when, batch - left))
                        break
                    left -= batch
                    latencies.append(now - when)
                count += replies
                sent.append((now, replies))
                connection.sendall(self._requests[: self._request_size * replies])
        return count, latencies

    def _receive(self, connection: socket.socket) -> int:
        """Read what has come, or wait for it; return how many replies it ends."""
        size = connection.recv_into(self._room)
        if not size:
            raise ConnectionError("the server has closed a connection")
        return self._room.count(b"\n", 0, size)

    def _receive_rest(self) -> None:
        """Wait for the replies that are due; a server that was still at them would disturb those measured next."""
        for connection, sent in self._connections.values():
            due = sum(batch for _, batch in sent)
            while due > 0:
                due -= self._receive(connection)
