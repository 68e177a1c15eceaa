"""What is promised of processes: a real twistd, talked to by the real client and by plain sockets."""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.furniture.processes import (
    PATIENCE,
    TWISTD,
    Twistd,
    client_command,
    process_output,
    reactor,
    spawn_twistd,
    twistd,
)
from tests.furniture.sockets import read_all, talk
from wordecho import ENGINE


@pytest_twisted.ensureDeferred
async def test_the_client_gets_its_answer_from_a_real_twistd(server: tuple[Twistd, int]) -> None:
    _, port = server
    out, err, status = await client_command("--port", str(port), "127.0.0.1", "Hello,", "world", "hello", "world")
    assert (out, err, status) == (b"4 words, 3 unique, 24 characters, 24 bytes\nHello world hello\n", "", 0)


@pytest_twisted.ensureDeferred
async def test_the_log_begins_with_what_answers() -> None:
    for value, engine in (("0", "Python"), ("", ENGINE)):
        async with twistd(limit=f"export WORDECHO_NATIVE={value}") as (server, port):
            assert await deferToThread(talk, port, "one e\u0301 é\nไทย\n".encode()) != b""
        begins, _, _ = server.log.partition("Listening on")
        (line,) = re.findall(r"^\S+ \[\S+\] (wordecho [0-9].*)$", begins, re.MULTILINE)
        assert re.fullmatch(rf"wordecho \S+, {engine} engine( \(.*\))?, Unicode 17\.0\.0, ICU [0-9.]+", line), line


@pytest_twisted.ensureDeferred
async def test_a_plain_socket_script_with_no_line_ending_gets_its_answer() -> None:
    def script(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(b"Hello, world")
            return connection.recv(1024)

    async with twistd("--quiet-period", "0.2") as (_, port):
        received = await deferToThread(script, port)
    assert received == b'{"unique_words":["Hello","world"],"word_count":2,"length":12,"bytes":12,"terminated":false}\n'


@pytest_twisted.ensureDeferred
async def test_20_000_lines_and_a_half_close_give_20_000_replies(server: tuple[Twistd, int]) -> None:
    messages = [f"message {number}" for number in range(20_000)]
    _, port = server
    received = await deferToThread(talk, port, "".join(f"{message}\r\n" for message in messages).encode())
    assert received.count(b"\r\n") == received.count(b"\n") == 20_000
    assert [json.loads(line)["unique_words"] for line in received.splitlines()] == [
        message.split() for message in messages
    ]


@pytest_twisted.ensureDeferred
async def test_one_connection_too_many_gets_the_reason_though_it_has_sent_a_message_already() -> None:
    def talk_too(port: int) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as first,
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as second,
        ):
            first.sendall(b"one\n")
            assert first.recv(1024)
            second.sendall(b"two\n" * 10_000)
            return read_all(second)

    async with twistd("--max-connections", "1") as (_, port):
        (refusal,) = (await deferToThread(talk_too, port)).splitlines()
    assert json.loads(refusal)["error"] == "too-many-connections"


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_read_is_answered_in_full_when_it_does(server: tuple[Twistd, int]) -> None:
    def send_then_read(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
            sent = 0
            try:
                while True:  # until both kernels and the server hold all that they will
                    sent += connection.send(b"two words\n" * 1000)
            except TimeoutError:
                connection.settimeout(PATIENCE)
            connection.shutdown(socket.SHUT_WR)
            received = read_all(connection)
            assert sent > 65536
            assert received.count(b"\n") == -(-sent // 10)
            return received

    _, port = server
    await deferToThread(send_then_read, port)


@pytest_twisted.ensureDeferred
async def test_the_log_says_where_it_listens_and_who_came_and_went_and_has_no_traceback(
    server: tuple[Twistd, int],
) -> None:
    def reset(port: int) -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(b"one\n" * 1000)
            # Closed with a linger time of 0, a connection is reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            own_port: int = connection.getsockname()[1]
            return own_port

    child, port = server
    peer = await deferToThread(reset, port)
    await child.logged(f"127.0.0.1:{peer} came")
    await child.logged(f"127.0.0.1:{peer} went")
    assert "Traceback" not in child.log


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_one_sentence_and_exit_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        child = spawn_twistd("--port", port, "--interface", "127.0.0.1")
        assert await child.ended == 1
        assert f"wordecho: Couldn't listen on 127.0.0.1:{port}: [Errno 98] Address already in use." in child.log
        assert "Traceback" not in child.log

        pidfile, logfile = tmp_path / "twistd.pid", tmp_path / "twistd.log"
        daemon = [f"--pidfile={pidfile}", f"--logfile={logfile}", "wordecho", "--port", port, "-i", "127.0.0.1"]
        _, err, status = await process_output(TWISTD, *daemon)
        assert status == 1
        assert "Couldn't listen on" in err
        for _ in range(10 * PATIENCE):  # the daemon, which is no child of ours, ends after it has told its parent
            if not pidfile.exists():
                break
            await deferLater(reactor, 0.1)
        assert not pidfile.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="there is no epoll here")
@pytest_twisted.ensureDeferred
async def test_twistd_runs_it_on_the_eager_reactor_unless_it_is_told_another() -> None:
    for arguments, chosen in {
        (): "wordecho.reactor.EagerEPollReactor",
        ("--reactor=epoll",): "twisted.internet.epollreactor.EPollReactor",
        ("--reactor=eager-epoll",): "wordecho.reactor.EagerEPollReactor",
    }.items():
        child = spawn_twistd("--port", "0", "--listen", "tcp:0", "--interface", "127.0.0.1", twistd_options=arguments)
        await child.logged(f"reactor class: {re.escape(chosen)}[.]")
        await child.logged("Listening on")
        child.signal("TERM")
        await child.ended


@pytest_twisted.ensureDeferred
async def test_a_value_that_makes_no_sense_is_refused_before_anything_listens() -> None:
    child = spawn_twistd("--port", "0", "--max-length", "0")
    assert await child.ended == 1
    assert child.log.endswith("--max-length takes a whole number from 1 to 1073741824, not '0'.\n")
    assert "Listening" not in child.log


@pytest_twisted.ensureDeferred
async def test_it_listens_on_every_endpoint_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with twistd("--listen", f"unix:{path}") as (_, port):
        for host in f"tcp:127.0.0.1:{port}", f"unix:{path}":
            out, _, status = await client_command(host, "one")
            assert (out, status) == (b"1 word, 1 unique, 3 characters, 3 bytes\none\n", 0)
