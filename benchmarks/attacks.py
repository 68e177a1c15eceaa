"""What somebody who means harm does to a server on loopback, each attack in a process of its own, bounded in time."""

from __future__ import annotations

import resource
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from benchmarks.load import PATIENCE

HOST = "127.0.0.1"
LONGEST = 300  # seconds after which an attack ends, whoever has forgotten it
AHOM = "\U00011700"
THAI = "สุนัขจิ้งจอกสีน้ำตาลกระโดดไม่ได้ไกล"


def repeated(text: str, *, octets: int = 65_000) -> bytes:
    """Return ``text`` again and again, as often as it fits in so many octets."""
    return text.encode() * (octets // len(text.encode()))


DEAR = {
    "Ahom lines": repeated(f"{AHOM}\n"),
    "Ahom and a": repeated(f"{AHOM}a") + b"\n",
    "Thai": repeated(THAI) + b"\n",
    "not UTF-8": b"\xff\n" * 32_500,
}


@dataclass
class Target:
    """The ports of a server: for TCP, for UDP, for TLS, and behind a proxy."""

    tcp: int
    udp: int
    tls: int
    proxied: int


IsOver = Callable[[], bool]
Attack = Callable[[Target, IsOver], dict[str, int]]
"""Goes on until it is over, whatever becomes of the server, and returns what it has counted."""


# Datagrams


def forge(target: Target, is_over: IsOver) -> dict[str, int]:
    """Send a datagram a second that says it is from the server's own port. It takes a raw socket, and so root."""
    datagram = struct.pack("!HHHH", target.udp, target.udp, 8 + 3, 0) + b"one"
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        while not is_over():
            raw.sendto(datagram, (HOST, 0))
            sent += 1
            pause(1, is_over)
    return {"datagrams": sent}


def flood(datagram: bytes) -> Attack:
    """Send ``datagram`` as fast as it goes, and read no reply."""

    def attack(target: Target, is_over: IsOver) -> dict[str, int]:
        sent = 0
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.connect((HOST, target.udp))
            while not is_over():
                for _ in range(100):
                    with suppress(OSError):  # a full buffer, or a port that is not there any more
                        sender.send(datagram)
                    sent += 1
        return {"datagrams": sent}

    return attack


# Connections


def pipeline(number: int, text: bytes) -> Attack:
    """Send ``text`` without end over so many connections, and read what comes."""

    def attack(target: Target, is_over: IsOver) -> dict[str, int]:
        received = 0
        room = bytearray(1 << 18)
        with connections(target.tcp, number) as made, select.epoll() as poller:
            rest = {each.fileno(): (each, memoryview(text)) for each in made}
            for descriptor in rest:
                poller.register(descriptor, select.EPOLLIN | select.EPOLLOUT)
            while rest and not is_over():
                for descriptor, events in poller.poll(0.1):
                    connection, unsent = rest[descriptor]
                    try:
                        if events & select.EPOLLOUT:
                            unsent = unsent[connection.send(unsent) :] or memoryview(text)
                            rest[descriptor] = connection, unsent
                        if events & ~select.EPOLLOUT:
                            size = connection.recv_into(room)
                            received += size
                            if not size:
                                raise ConnectionResetError
                    except BlockingIOError:
                        pass
                    except OSError:
                        poller.unregister(descriptor)
                        del rest[descriptor]
        return {"MB of replies": received >> 20}

    return attack


def be_deaf(target: Target, is_over: IsOver) -> dict[str, int]:
    """Pipeline over 20 connections and read nothing."""
    with connections(target.tcp, 20, receive_buffer=4096) as made:
        while not is_over():
            for connection in made:
                with suppress(OSError):
                    connection.send(b"one two three\n" * 5000)
            pause(0.01, is_over)
    return {}


def be_slow(target: Target, is_over: IsOver) -> dict[str, int]:
    """Have 5 000 connections, each of which sends a byte every five seconds."""
    with connections(target.tcp, 5000) as made:
        while not is_over():
            for connection in made:
                with suppress(OSError):
                    connection.send(b"x")
                pause(0.001, is_over)
        return {"connections": len(made)}


def be_silent(kind: str, number: int) -> Attack:
    """Connect to the port of that kind and say nothing, again whenever the server has enough of it."""

    def attack(target: Target, is_over: IsOver) -> dict[str, int]:
        port = {"tls": target.tls, "proxied": target.proxied}[kind]
        made = 0
        held: dict[int, socket.socket] = {}
        with select.epoll() as poller:
            while not is_over():
                try:
                    while len(held) < number and not is_over():
                        connection = connect(port)
                        held[connection.fileno()] = connection
                        poller.register(connection.fileno(), select.EPOLLIN)
                        made += 1
                except OSError:  # it stops
                    pause(0.1, is_over)
                for descriptor, _ in poller.poll(0.1):
                    poller.unregister(descriptor)
                    held.pop(descriptor).close()
            for connection in held.values():
                connection.close()
        return {"connections": made}

    return attack


def crowd(target: Target, is_over: IsOver) -> dict[str, int]:
    """Be 300 at once more than a server takes, again and again; count how many are told so."""
    found: Counter[str] = Counter()
    with connections(target.tcp, 100):  # as many as it takes
        pause(0.5, is_over)
        while not is_over():
            with connections(target.tcp, 300) as refused:
                pause(0.1, is_over)  # by now the server has refused them
                found.update(send_on(refused, target.tcp))
            pause(0.1, is_over)
    return {kind: found[kind] for kind in ("told", "untold")}


def send_on(crowd: list[socket.socket], port: int) -> Iterator[str]:
    """Do as any client does that has not read yet, and yield what becomes of each of them."""
    is_cut_off = set()
    for _ in range(2):  # the second message finds that the first was answered with a reset
        for connection in crowd:
            try:
                connection.send(b"one\n")
            except OSError:
                is_cut_off.add(connection)
    for connection in crowd:
        connection.settimeout(PATIENCE)
        came = b""
        with suppress(OSError):
            came = connection.recv(1024)
        if b'"too-many-connections"' in came and connection not in is_cut_off:
            yield "told"
        elif came and connection not in is_cut_off:
            yield "let in"
        else:
            yield "untold" if is_listening(port) else "ended by the stop"


def is_listening(port: int) -> bool:
    try:
        connect(port).close()
    except OSError:
        return False
    return True


# What they are made of


def connect(port: int, receive_buffer: int = 0) -> socket.socket:
    """Return a connection that blocks nobody, but for its being made."""
    connection = socket.socket()
    try:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect((HOST, port))
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def connections(port: int, number: int, receive_buffer: int = 0) -> Iterator[list[socket.socket]]:
    """Have so many connections, or as many as this machine and the server let us have."""
    made: list[socket.socket] = []
    try:
        with suppress(OSError):
            while len(made) < number:
                made.append(connect(port, receive_buffer))
        yield made
    finally:
        for connection in made:
            connection.close()


def pause(seconds: float, is_over: IsOver) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not is_over():
        time.sleep(min(left, 0.1))


class Attacker:
    """
    A process that attacks from when the block is entered to when it is left, beside whatever the block does.

    :ivar counted: what it has counted, once it is over
    """

    def __init__(self, attack: Attack, target: Target) -> None:
        context = get_context("fork")
        self.counted: dict[str, int] = {}
        self._over = context.Event()
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(attack, target, self._over, sender), daemon=True)

    def __enter__(self) -> Attacker:
        self._process.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._receiver.poll(PATIENCE):
            self.counted = self._receiver.recv()
        self._process.join(PATIENCE)
        self._process.kill()


def _run(attack: Attack, target: Target, over: Event, sender: Connection) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    deadline = time.monotonic() + LONGEST
    counted: dict[str, int] = {}
    try:
        counted = attack(target, lambda: over.is_set() or time.monotonic() > deadline)
    except PermissionError:
        counted = {"sent, for want of permission": 0}
    finally:
        sender.send(counted)
