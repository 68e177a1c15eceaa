"""Where the server listens: each kind of stream socket, with real ones, and what is said where that is not possible."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError
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
from wordecho.server.endpoints import endpoint_from_string
from wordecho.sockets import bind as bind_module
from wordecho.sockets.addresses import host_of, show_address
from wordecho.sockets.bind import bind
from wordecho.sockets.endpoints import tcp_endpoint
from wordecho.sockets.unix import remove_stale_socket

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'
TWO_UNTERMINATED = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3,"terminated":false}\n'
SHOWN = b"1 word, 1 unique, 3 characters, 3 bytes\none\n"


async def assert_answers(family: int, address: Any) -> None:
    assert await deferToThread(talk_to, family, address, b"one\ntwo") == ONE + TWO_UNTERMINATED


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


class NoIPv6Tests(SynchronousTestCase):
    """Machines without IPv6, as far as a machine that has it can play one."""

    def assert_falls_back(self) -> None:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with bind(kind, 0) as bound:
                self.assertEqual((bound.family, bound.getsockname()[0]), (socket.AF_INET, "0.0.0.0"))

    def test_a_python_or_a_kernel_without_ipv6(self) -> None:
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        self.assert_falls_back()

    def test_a_kernel_whose_ipv6_is_turned_off(self) -> None:
        original = bind_module._bind

        def bind_ipv4(family: socket.AddressFamily, *arguments: Any) -> socket.socket:
            if family == socket.AF_INET6:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            return original(family, *arguments)

        self.patch(bind_module, "_bind", bind_ipv4)
        self.patch(socket, "has_dualstack_ipv6", lambda: True)
        self.assert_falls_back()

    def test_a_port_that_is_taken_is_no_reason_to_fall_back(self) -> None:
        with bind(socket.SOCK_STREAM, 0) as taken:
            taken.listen()
            port = taken.getsockname()[1]
            error = self.assertRaises(CannotListenError, bind, socket.SOCK_STREAM, port)
        self.assertIn(str(port), str(error))

    def test_it_listens_with_the_family_that_there_is(self) -> None:
        reactor: Any = MemoryReactorClock()
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        self.successResultOf(tcp_endpoint(reactor, 0).listen(None))  # type: ignore[arg-type]
        ((_, family, _),) = reactor.adoptedPorts
        self.assertEqual(family, socket.AF_INET)


class AddressTests(SynchronousTestCase):
    def test_addresses_read_as_people_write_them(self) -> None:
        for address, shown in (
            (IPv4Address("TCP", "192.0.2.1", 7), "192.0.2.1:7"),
            (IPv6Address("TCP", "2001:db8::1", 7), "[2001:db8::1]:7"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 7), "192.0.2.1:7"),
            (UNIXAddress(b"/run/wordecho.sock"), "unix:/run/wordecho.sock"),
            (UNIXAddress(None), "a local process"),
        ):
            self.assertEqual(show_address(address), shown)

    def test_an_ipv4_host_is_one_host_whatever_socket_it_came_by(self) -> None:
        mapped, plain = IPv6Address("TCP", "::ffff:192.0.2.1", 7), IPv4Address("TCP", "192.0.2.1", 8)
        self.assertEqual(host_of(mapped), host_of(plain))
        self.assertEqual(host_of(IPv6Address("TCP", "::ffff:1", 7)), "::ffff:1")
        self.assertIsNone(host_of(UNIXAddress(b"/run/wordecho.sock")))


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


class StaleSocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/socket"
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.bind(self.path)

    def test_it_is_removed_where_nobody_listens(self) -> None:
        remove_stale_socket(self.path)
        self.assertFalse(os.path.exists(self.path))

    def test_it_stays_where_somebody_listens_and_is_too_busy_to_answer(self) -> None:
        self.server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for connection in waiting:
            self.addCleanup(connection.close)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(self.path)
        remove_stale_socket(self.path)
        self.assertTrue(os.path.exists(self.path))


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


@pytest.mark.parametrize(
    ("description", "why"),
    [
        ("tcp", ""),
        ("tcp:http", "http"),
        ("carrier-pigeon:1", "Unknown endpoint type"),
        ("unix", ""),
        ("haproxy:", ""),
        ("haproxy:tcp", ""),
        ("haproxy:tls:tcp:0", "write tls:haproxy:tcp:PORT"),
        ("tls:tcp:0", "it needs --cert"),
        ("ssl:0:privateKey=/nosuch.pem", "nosuch"),
        ("ssl:0:privateKey=/nosuch.pem:sslmethod=TLSv1_METHOD", "it is 1.2 or newer"),
        ("systemd:domain=INET:name=wordecho", "wordecho"),
        ("systemd:domain=INET:index=0", "index"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_description_that_does_not_parse_is_one_sentence_and_exit_status_1(description: str, why: str) -> None:
    sentence = await refusal_to_start("--listen", description)
    assert f"--listen takes a server endpoint such as tcp:65432 or unix:/run/wordecho.sock, not {description!r}" in (
        sentence
    )
    assert why in sentence


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


class DescriptionTests(SynchronousTestCase):
    def test_a_wrapped_endpoint_that_does_not_parse_is_refused_as_it_would_be_alone(self) -> None:
        for description in ("tcp:x", "haproxy:tcp:x", "haproxy:haproxy:tcp:x"):
            with self.assertRaises(ValueError):
                endpoint_from_string(MemoryReactorClock(), description)
