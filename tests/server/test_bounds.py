"""Every bound of docs/reliability.rst that a real process has to keep."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.contract import ONE
from tests.furniture.kinds import Connection, make_certificate
from tests.furniture.processes import port_of, twistd
from tests.furniture.sockets import connect, exchange, read_all, send_until_nothing_is_taken
from tests.furniture.transports import Transport
from wordecho.server import WordEchoFactory
from wordecho.service.descriptors import raise_descriptor_limit
from wordecho.settings import SPARE_DESCRIPTORS

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc, on Linux")


def memory(pid: int, peak: bool = False) -> int:
    """Return the resident memory of a process, in octets."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)[0]) * 1024


@needs_proc
@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_reads_costs_less_than_1_MB_and_holds_up_nobody() -> None:
    async with twistd() as (server, port):
        connections = [connect(port) for _ in range(21)]
        for connection in connections:
            await deferToThread(exchange, connection)
        before = memory(server.pid)
        for connection in connections[:20]:
            assert await deferToThread(send_until_nothing_is_taken, connection) > 65536
        assert await deferToThread(exchange, connections[20]) == ONE + b"\n"
        cost = (memory(server.pid, peak=True) - before) / 20
        for connection in connections:
            connection.close()
    assert cost < 1_000_000


@needs_proc
@pytest_twisted.ensureDeferred
async def test_a_line_of_200_MB_costs_less_than_5_MB_and_one_too_long() -> None:
    def send_it(port: int) -> bytes:
        with connect(port) as connection:
            for _ in range(200):
                connection.sendall(b"x" * 1_000_000)
            return exchange(connection, b"\n") + exchange(connection)

    async with twistd() as (server, port):
        with connect(port) as connection:
            await deferToThread(exchange, connection)
        before = memory(server.pid)
        too_long, one = (await deferToThread(send_it, port)).splitlines()
        cost = memory(server.pid, peak=True) - before
    assert (json.loads(too_long)["error"], one) == ("too-long", ONE)
    assert cost < 5_000_000


@needs_proc
@pytest_twisted.ensureDeferred
async def test_8_000_idle_connections_cost_less_than_4_kB_each_and_the_8_001st_is_told() -> None:
    needed = 8_000 + 2 * SPARE_DESCRIPTORS
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < needed:
        pytest.skip(f"the hard limit of open descriptors is below {needed} on this machine")
    raise_descriptor_limit(needed)
    async with twistd("--max-connections", "8000") as (server, port):
        connections = [connect(port) for _ in range(100)]
        for connection in connections:
            await deferToThread(exchange, connection)
        before = memory(server.pid)
        connections += await deferToThread(lambda: [connect(port) for _ in range(7_900)])
        await deferToThread(exchange, connections[-1])  # so all before it have been accepted
        cost = (memory(server.pid) - before) / 7_900
        with connect(port) as one_too_many:
            refusal = json.loads(await deferToThread(exchange, one_too_many, b""))
        for connection in connections:
            connection.close()
    assert (refusal["error"], refusal["limit"]) == ("too-many-connections", 8_000)
    assert cost < 4_000


@pytest_twisted.ensureDeferred
async def test_of_300_at_once_that_are_refused_each_is_told_and_may_send_on_without_a_reset() -> None:
    def send_on(crowd: list[socket.socket]) -> list[bytes]:
        for connection in crowd:
            connection.recv(1, socket.MSG_PEEK)  # it was refused by now
        for _ in range(2):  # the second one would find that the first was answered with a reset
            for connection in crowd:
                connection.sendall(b"one\n")
        for connection in crowd:
            connection.shutdown(socket.SHUT_WR)
        return [read_all(connection) for connection in crowd]

    async with twistd("--max-connections", "1") as (server, port):
        with ExitStack() as stack:
            first = stack.enter_context(connect(port))
            await deferToThread(exchange, first)
            server.signal("STOP")  # so that it finds all of them at once
            crowd = [stack.enter_context(connect(port)) for _ in range(300)]
            server.signal("CONT")
            told = await deferToThread(send_on, crowd)
        assert [json.loads(each)["error"] for each in told] == ["too-many-connections"] * 300


@needs_proc
@pytest_twisted.ensureDeferred
async def test_a_connection_by_tls_costs_less_than_40_kB_idle_and_80_kB_in_its_handshake(
    tmp_path: Path,
) -> None:
    make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")

    def open_idle(port: int, number: int) -> list[socket.socket]:
        return [context.wrap_socket(connect(port), server_hostname="localhost") for _ in range(number)]

    def open_unfinished(port: int, number: int) -> list[socket.socket]:
        """Begin handshakes, and end none: the server has said all that it can say."""
        begun = []
        for _ in range(number):
            begun.append(connect(port))
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            begun[-1].sendall(outgoing.read())
            assert begun[-1].recv(65536)
        return begun

    tls = "--listen", "tls:tcp:0:interface=127.0.0.1", "--cert", str(tmp_path / "cert.pem")
    options = *tls, "--key", str(tmp_path / "key.pem"), "--handshake-timeout", "600"
    async with twistd(*options) as (server, _):
        port = port_of((await server.listens(2))[1])
        with ExitStack() as stack:
            costs = []
            for opening in open_idle, open_unfinished:
                for number in (50, 300):  # the first of them cost what nobody after them does
                    before = memory(server.pid)
                    for connection in await deferToThread(opening, port, number):
                        stack.enter_context(connection)
                costs.append((memory(server.pid) - before) / 300)
    idle, unfinished = costs
    assert idle < 40_000
    assert unfinished < 80_000


@pytest_twisted.ensureDeferred
async def test_a_hard_limit_of_descriptors_that_is_too_low_is_said_and_kept_to() -> None:
    async with twistd(limit=f"ulimit -n {SPARE_DESCRIPTORS + 10}") as (server, port):
        await server.logged(
            f"The hard limit of open descriptors is {SPARE_DESCRIPTORS + 10}: at most 10 connections, not 10000\n"
        )
        connections = [connect(port) for _ in range(10)]
        assert [await deferToThread(exchange, connection) for connection in connections] == [ONE + b"\n"] * 10
        refused = []
        for _ in range(1100):  # more than twice as many as can stay until they close themselves
            refused.append(connect(port))
            assert b'"too-many-connections"' in await deferToThread(exchange, refused[-1], b"")
        assert await deferToThread(exchange, connections[0]) == ONE + b"\n"
        for connection in connections + refused:
            connection.close()
    assert "Traceback" not in server.log


@pytest_twisted.ensureDeferred
async def test_the_soft_limit_of_descriptors_is_raised() -> None:
    async with twistd("--max-connections", "200", limit="ulimit -Sn 100") as (_, port):
        connections = await deferToThread(lambda: [connect(port) for _ in range(150)])
        for connection in connections:
            assert await deferToThread(exchange, connection) == ONE + b"\n"
            connection.close()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can lower another process's limit")
@pytest_twisted.ensureDeferred
async def test_running_out_of_descriptors_neither_ends_the_listener_nor_lets_it_spin() -> None:
    async with twistd() as (server, port):
        with connect(port) as first:
            await deferToThread(exchange, first)
            before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (5, before[1]))
            starved = [connect(port) for _ in range(20)]
            assert await deferToThread(exchange, first) == ONE + b"\n"
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
            for connection in starved:
                connection.close()
            with connect(port) as later:
                assert await deferToThread(exchange, later) == ONE + b"\n"
    # What spins writes its complaint thousands of times a second.
    assert 1 <= server.log.count("EMFILE") < 100


@pytest_twisted.ensureDeferred
async def test_a_peer_that_has_stopped_reading_is_let_go_after_the_idle_timeout() -> None:
    async with twistd("--idle-timeout", "0.5", "--quiet-period", "0") as (server, port):
        with connect(port) as connection:
            await deferToThread(send_until_nothing_is_taken, connection)
            await server.logged(f"127.0.0.1:{connection.getsockname()[1]} went: Connection was aborted locally")


class HostLimitTests(SynchronousTestCase):
    def test_one_address_may_have_so_many_connections(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections_per_host=2)
        mine = [Connection(factory) for _ in range(3)]
        self.assertEqual([connection.received() for connection in mine[:2]], [b"", b""])
        (refusal,) = mine[2].replies()
        self.assertEqual((refusal["error"], refusal["limit"]), ("too-many-connections", 2))
        mine[0].lose()
        self.assertEqual(Connection(factory).received(), b"")

    def test_another_address_has_as_many_of_its_own(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections_per_host=1)
        for host in "192.0.2.1", "192.0.2.2":
            peer = IPv4Address("TCP", host, 5000)
            self.assertEqual(Connection(factory, Transport(peer)).received(), b"")

    def test_a_peer_without_an_address_is_not_bound_by_it(self) -> None:
        factory = WordEchoFactory(Clock(), max_connections_per_host=1)
        for _ in range(3):
            self.assertEqual(Connection(factory, Transport(object())).received(), b"")


class StuckTests(SynchronousTestCase):
    def test_a_peer_that_reads_slowly_is_not_stuck(self) -> None:
        clock = Clock()
        connection = Connection(WordEchoFactory(clock, idle_timeout=60))
        connection.protocol.pauseProducing()
        for _ in range(3):
            connection.transport.acknowledged += 1
            clock.advance(60)
            self.assertFalse(connection.transport.disconnected)
        clock.advance(60)
        self.assertTrue(connection.transport.disconnected)
