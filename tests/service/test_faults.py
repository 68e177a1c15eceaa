"""What goes wrong around a server: peers that reset, vanish and send rubbish, a full disk, a clock that jumps."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.furniture.contract import ONE
from tests.furniture.processes import PATIENCE, TWISTD, Twistd, client_command, process_output
from tests.furniture.sockets import connect, exchange, send_until_nothing_is_taken


def reset(connection: socket.socket) -> None:
    """Close ``connection`` so that its peer gets a reset: with a linger time of 0."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def assert_unharmed(server: Twistd, port: int) -> None:
    with connect(port) as connection:
        assert await deferToThread(exchange, connection) == ONE + b"\n"
    assert "Traceback" not in server.log


def half_close(connection: socket.socket) -> None:
    connection.sendall(b"one\n")
    connection.shutdown(socket.SHUT_WR)


STAGES: dict[str, Callable[[socket.socket], object]] = {
    "before-a-byte": lambda connection: None,
    "within-a-line": lambda connection: connection.sendall(b"half a li"),
    "with-replies-unread": lambda connection: connection.sendall(b"one\n" * 1000),
    "after-its-replies": exchange,
    "while-it-does-not-read": send_until_nothing_is_taken,
    "after-its-half-close": half_close,
    "within-a-line-that-is-too-long": lambda connection: connection.sendall(b"x" * 1_000_000),
}


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_reset_at_any_stage_leaves_one_line_in_the_log(server: tuple[Twistd, int]) -> None:
    child, port = server
    for prepare in STAGES.values():
        connection = connect(port)
        peer = f"127.0.0.1:{connection.getsockname()[1]}"
        await deferToThread(prepare, connection)
        reset(connection)
        await child.logged(f"#debug] {peer} went: .*\n")
        assert child.log.count(f"{peer} went") == 1
    await assert_unharmed(child, port)


@pytest_twisted.ensureDeferred
async def test_a_client_that_sends_byte_by_byte_is_answered(server: tuple[Twistd, int]) -> None:
    def trickle(port: int) -> bytes:
        with connect(port) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in b"Hello, world":
                connection.sendall(bytes([octet]))
            return exchange(connection)

    _, port = server
    assert b'["Hello","worldone"]' in await deferToThread(trickle, port)


@pytest_twisted.ensureDeferred
async def test_1_500_clients_that_send_random_bytes_and_hang_up_do_no_harm(server: tuple[Twistd, int]) -> None:
    def send_rubbish(port: int) -> None:
        chance = random.Random(0)
        for number in range(1_500):
            with connect(port) as connection:
                connection.sendall(chance.randbytes(chance.randrange(5000)))
                if number % 3 == 0:
                    reset(connection)
                elif number % 3 == 1:
                    connection.shutdown(socket.SHUT_WR)

    child, port = server
    await deferToThread(send_rubbish, port)
    await assert_unharmed(child, port)
    # Bytes of a message never reach the log, so nobody can write to it, or to the terminal that shows it.
    assert all(character.isprintable() or character == "\n" for character in child.log)


@pytest_twisted.ensureDeferred
async def test_what_a_message_says_never_reaches_the_log(server: tuple[Twistd, int]) -> None:
    child, port = server
    with connect(port) as connection:
        own_port = connection.getsockname()[1]
        await deferToThread(exchange, connection, b"\x1b]0;owned\x07 2026-01-01 [-] forged\r\n")
        await deferToThread(exchange, connection, b"\xff forged\n")
    await child.logged(f":{own_port} went")
    assert "forged" not in child.log
    assert "\x1b" not in child.log


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this machine")
@pytest_twisted.ensureDeferred
async def test_a_full_disk_under_the_log_stops_nobody(tmp_path: Path) -> None:
    # A daemon's starter ends when the daemon listens, which no log tells here.
    pidfile = tmp_path / "pid"
    daemon = ["--logfile=/dev/full", f"--pidfile={pidfile}", "wordecho", "--listen", f"unix:{tmp_path / 'socket'}"]
    assert await process_output(TWISTD, *daemon) == (b"", "", 0)
    try:
        for _ in range(3):
            out, _, status = await client_command(f"unix:{tmp_path / 'socket'}", "one")
            assert (out, status) == (b"1 word, 1 unique, 3 characters, 3 bytes\none\n", 0)
    finally:
        os.kill(int(pidfile.read_text()), signal.SIGTERM)


def test_a_clock_that_jumps_changes_nothing() -> None:
    program = """
import time
wall_clock, offset = time.time, 0
time.time = lambda: wall_clock() + offset
from wordecho.service import Options, makeService
options = Options()
options.parseOptions(["--port", "0"])
makeService(options)
from twisted.internet import reactor
reactor.callLater(3600, print, "too early")
reactor.callLater(0.1, reactor.stop)
offset = -1800
reactor.callLater(0, lambda: globals().update(offset=1800))
reactor.run()
print("in time")
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert process.stdout == "in time\n", process.stderr
