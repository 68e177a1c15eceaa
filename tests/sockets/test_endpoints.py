"""Where the server listens: each kind of stream socket, with real ones, and what is said where that is not possible."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.processes import (
    TWISTD,
    Twistd,
    client_command,
    ending,
    listening_twistd,
    port_of,
    process_output,
    refusal_to_start,
    spawn_twistd,
    start,
)
from tests.furniture.sockets import needs_ipv6, talk, talk_to
from wordecho.sockets.endpoints import tcp_endpoint

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'
TWO_UNTERMINATED = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3,"terminated":false}\n'
SHOWN = b"1 word, 1 unique, 3 characters, 3 bytes\none\n"


async def assert_answers(family: int, address: Any) -> None:
    assert await deferToThread(talk_to, family, address, b"one\ntwo") == ONE + TWO_UNTERMINATED


class Adopting:
    """A reactor that keeps the socket that it is handed, and accepts nothing."""

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> None:
        self.listening = socket.socket(fileno=os.dup(descriptor))


class BacklogTests(SynchronousTestCase):
    def test_connections_may_wait_on_every_address(self) -> None:
        reactor: Any = Adopting()
        self.successResultOf(tcp_endpoint(reactor, 0).listen(Factory()))
        self.addCleanup(reactor.listening.close)
        port = reactor.listening.getsockname()[1]
        with ExitStack() as stack:
            for _ in range(100):  # the kernel may have a bound of its own, 128 or more
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))

    def test_and_on_one(self) -> None:
        for interface in "127.0.0.1", "::1":
            reactor: Any = MemoryReactorClock()
            self.successResultOf(tcp_endpoint(reactor, 0, interface).listen(Factory()))
            self.assertEqual([server[2:] for server in reactor.tcpServers], [(1024, interface)])


# IPv4 and IPv6


@needs_ipv6
@pytest_twisted.ensureDeferred
async def test_a_port_alone_is_on_ipv4_and_ipv6_and_the_log_shows_peers_as_what_they_are() -> None:
    async with ending(spawn_twistd("--port", "0")) as child:
        (address,) = await child.listens(1)
        port = port_of(address)
        assert address == f"[::]:{port} and 0.0.0.0:{port}"
        await assert_answers(socket.AF_INET, ("127.0.0.1", port))
        await assert_answers(socket.AF_INET6, ("::1", port))
        for host in "127.0.0.1", "::1":
            assert await client_command("-p", str(port), host, "one") == (SHOWN, "", 0)
        await child.logged(r"127\.0\.0\.1:\d+ came")
        await child.logged(r"\[::1\]:\d+ came")
        assert "ffff" not in child.log


@needs_ipv6
@pytest_twisted.ensureDeferred
async def test_interface_is_the_one_address_that_it_listens_on() -> None:
    async with listening_twistd("--port", "0", "--interface", "::1") as (address,):
        port = port_of(address)
        assert address == f"[::1]:{port}"
        await assert_answers(socket.AF_INET6, ("::1", port))
        with pytest.raises(ConnectionRefusedError):
            await deferToThread(talk, port)
    async with listening_twistd("--port", "0", "--interface", "127.0.0.1") as (address,):
        port = port_of(address)
        assert address == f"127.0.0.1:{port}"
        await assert_answers(socket.AF_INET, ("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            await deferToThread(talk_to, socket.AF_INET6, ("::1", port))


@needs_ipv6
@pytest.mark.skipif(not shutil.which("nc"), reason="there is no nc here; Debian has it in netcat-openbsd")
@pytest_twisted.ensureDeferred
async def test_nc_over_ipv6_gets_its_answer() -> None:
    async with listening_twistd("--port", "0") as (address,):
        port = str(port_of(address))
        out, err, status = await process_output(shutil.which("nc") or "", "-6", "-N", "::1", port, stdin=b"one\ntwo")
        assert (out, err, status) == (ONE + TWO_UNTERMINATED, "", 0)


@needs_ipv6
@pytest_twisted.ensureDeferred
async def test_tcp_and_tcp6_endpoints_as_many_as_wanted() -> None:
    descriptions = ["tcp:0:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1", "tcp:0:interface=127.0.0.1"]
    options = [option for description in descriptions for option in ("--listen", description)]
    async with listening_twistd(*options) as addresses:
        assert [address.rpartition(":")[0] for address in addresses] == ["127.0.0.1", "[::1]", "127.0.0.1"]
        for address in addresses:
            host = "::1" if "[" in address else "127.0.0.1"
            assert await client_command("-p", str(port_of(address)), host, "one") == (SHOWN, "", 0)


# UNIX sockets


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_has_the_mode_that_was_asked_for_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening_twistd("--listen", f"unix:{path}:mode=660") as addresses:
        assert addresses == [f"unix:{path}"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        await assert_answers(socket.AF_UNIX, str(path))
        assert await client_command(f"unix:{path}", "one") == (SHOWN, "", 0)
        assert os.listdir(tmp_path) == ["socket"]
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not shutil.which("socat"), reason="there is no socat here; Debian has it in socat")
@pytest_twisted.ensureDeferred
async def test_socat_over_a_unix_socket_gets_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening_twistd("--listen", f"unix:{path}"):
        socat = shutil.which("socat") or ""
        out, err, status = await process_output(socat, "-t60", "-", f"UNIX-CONNECT:{path}", stdin=b"one\ntwo")
        assert (out, err, status) == (ONE + TWO_UNTERMINATED, "", 0)


@pytest_twisted.ensureDeferred
async def test_a_socket_that_a_killed_server_has_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with ending(spawn_twistd("--listen", f"unix:{path}")) as killed:
        await killed.listens(1)
        killed.signal("KILL")
        await killed.ended
    assert path.is_socket()
    async with listening_twistd("--listen", f"unix:{path}"):
        await assert_answers(socket.AF_UNIX, str(path))


@pytest_twisted.ensureDeferred
async def test_a_live_servers_socket_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening_twistd("--listen", f"unix:{path}"):
        for description in f"unix:{path}", f"haproxy:unix:{path}":
            sentence = await refusal_to_start("--listen", description)
            assert sentence == f"wordecho: Couldn't listen on unix:{path}: [Errno 98] Address already in use."
        await assert_answers(socket.AF_UNIX, str(path))


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_no_socket_and_a_folder_that_is_not_there_are_one_sentence(tmp_path: Path) -> None:
    file, nowhere = tmp_path / "file", tmp_path / "nowhere" / "socket"
    file.write_text("precious")
    sentence = await refusal_to_start("--listen", f"unix:{file}")
    assert sentence == f"wordecho: Couldn't listen on unix:{file}: [Errno 98] Address already in use."
    assert file.read_text() == "precious"
    sentence = await refusal_to_start("--listen", f"unix:{nowhere}")
    assert sentence.startswith(f"wordecho: Couldn't listen on unix:{nowhere}: [Errno 2] No such file or directory")


@pytest_twisted.ensureDeferred
async def test_a_stop_is_orderly_though_the_sockets_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with ending(spawn_twistd("--listen", f"unix:{path}", "--listen", "tcp:0:interface=127.0.0.1")) as child:
        await child.listens(2)
        path.unlink()
    assert await child.ended == -signal.SIGTERM
    assert "Traceback" not in child.log


# Sockets from systemd


async def activated(listening: socket.socket, description: str) -> Twistd:
    """Start a server that gets the socket ``listening`` as systemd hands one over."""
    child = Twistd()
    environment = os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "wordecho"}
    command = f'LISTEN_PID=$$ exec {TWISTD} -n --pidfile= wordecho --listen "{description}"'
    descriptors = {0: "w", 1: "r", 2: "r", 3: listening.fileno()}
    start(child, "/bin/sh", "-c", command, env=environment, childFDs=descriptors)
    await child.listens(1)
    return child


@pytest_twisted.ensureDeferred
async def test_a_socket_that_systemd_hands_over_outlives_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        for description in "systemd:domain=INET:name=wordecho", "systemd:domain=INET:index=0":
            async with ending(await activated(listening, description)) as child:
                assert await child.listens(1) == [f"127.0.0.1:{address[1]}"]
                await assert_answers(socket.AF_INET, address)


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_and_a_proxys_can_come_from_systemd_too(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        async with ending(await activated(listening, "systemd:domain=UNIX:name=wordecho")) as child:
            await assert_answers(socket.AF_UNIX, path)
        assert "Traceback" not in child.log


# What cannot be listened on


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_one_sentence_and_exit_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        tcp, udp = taken.getsockname()[1], bound.getsockname()[1]
        for options, port, host in (
            (["--port", str(tcp)], tcp, "any"),
            (["--listen", f"tcp:{tcp}"], tcp, "any"),
            (["--listen", f"haproxy:tcp:{tcp}:interface=127.0.0.1"], tcp, "127.0.0.1"),
            (["--port", "0", "--udp", str(udp)], udp, "any"),
            (["--port", "0", "--udp", str(udp), "--interface", "127.0.0.1"], udp, "127.0.0.1"),
        ):
            sentence = await refusal_to_start(*options)
            assert sentence == f"wordecho: Couldn't listen on {host}:{port}: [Errno 98] Address already in use."
