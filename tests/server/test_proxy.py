"""A proxy's connections: the header of the PROXY protocol, and what the server sees of the client behind it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.furniture.kinds import PROXY1, PROXY2
from tests.furniture.processes import PATIENCE, ending, listening_twistd, port_of, running, spawn_twistd
from tests.furniture.sockets import talk
from tests.furniture.transports import Transport
from wordecho.server import WordEchoFactory
from wordecho.server.newcomer import NewcomerFactory
from wordecho.server.proxy import ProxyProtocol
from wordecho.sockets.addresses import show_address
from wordecho.wire.proxy_header import Header, parse

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}\n'
TWO_UNTERMINATED = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3,"terminated":false}\n'

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SOURCE, DESTINATION = IPv4Address("TCP", "192.0.2.7", 50000), IPv4Address("TCP", "192.0.2.1", 65432)


def version_2(rest: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


class ParseTests(SynchronousTestCase):
    def assert_header(self, data: bytes, source: object, destination: object, *, every: int = 1) -> None:
        self.assertEqual(parse(data + b"one\n"), Header(len(data), source, destination))  # type: ignore[arg-type]
        for end in range(0, len(data), every):
            self.assertIsNone(parse(data[:end]))

    def assert_no_header(self, *data: bytes) -> None:
        for each in data:
            with self.assertRaises(ValueError, msg=each):
                parse(each)

    def test_version_1(self) -> None:
        self.assert_header(PROXY1.header, SOURCE, DESTINATION)
        self.assert_header(
            b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 50000 65432\r\n",
            IPv6Address("TCP", "2001:db8::7", 50000),
            IPv6Address("TCP", "2001:db8::1", 65432),
        )

    def test_an_ipv4_client_has_one_address_whichever_way_the_proxy_has_it(self) -> None:
        self.assert_header(b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 50000 65432\r\n", SOURCE, DESTINATION)
        mapped = struct.pack(
            "!16s16sHH",
            socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7"),
            socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1"),
            50000,
            65432,
        )
        self.assert_header(version_2(mapped, family=0x21), SOURCE, DESTINATION)

    def test_a_zone_which_could_be_any_text_is_refused(self) -> None:
        self.assert_no_header(b"PROXY TCP6 fe80::1%eth0\nforged fe80::2 1 2\r\n")

    def test_a_path_ends_at_its_first_nul(self) -> None:
        paths = struct.pack("108s108s", b"/a\0zz", b"/b")
        self.assert_header(version_2(paths, family=0x31), UNIXAddress(b"/a"), UNIXAddress(b"/b"))

    def test_a_path_writes_nothing_else_into_the_log(self) -> None:
        self.assertEqual(show_address(UNIXAddress(b"/a\n\x1b[31m\xff")), r"unix:/a\n\x1b[31m\udcff")

    def test_the_longest_headers_are_taken_and_no_longer_ones(self) -> None:
        longest = f"PROXY UNKNOWN {'ffff:' * 8}".rstrip(":") + f" {'ffff:' * 8}".rstrip(":") + " 65535 65535\r\n"
        self.assertEqual(len(longest), 107)
        self.assert_header(longest.encode(), None, None)
        self.assert_no_header(longest.replace("UNKNOWN", "UNKNOWN ").encode())
        self.assert_header(version_2(PROXY2.header[16:].ljust(65535, b"\0")), SOURCE, DESTINATION, every=1000)

    def test_version_1_of_a_proxy_that_does_not_know(self) -> None:
        self.assert_header(b"PROXY UNKNOWN\r\n", None, None)
        self.assert_header(b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None, None)

    def test_version_2(self) -> None:
        self.assert_header(PROXY2.header, SOURCE, DESTINATION)
        hosts = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
        self.assert_header(
            version_2(hosts + struct.pack("!HH", 50000, 65432), family=0x21),
            IPv6Address("TCP", "2001:db8::7", 50000),
            IPv6Address("TCP", "2001:db8::1", 65432),
        )
        self.assert_header(
            version_2(struct.pack("108s108s", b"/run/client", b""), family=0x31),
            UNIXAddress(b"/run/client"),
            UNIXAddress(None),
        )

    def test_version_2_with_more_than_addresses(self) -> None:
        self.assert_header(version_2(PROXY2.header[16:] + b"\x03\0\x04\x12\x34\x56\x78"), SOURCE, DESTINATION)

    def test_version_2_of_a_proxy_that_speaks_for_itself_or_does_not_know(self) -> None:
        self.assert_header(version_2(b"", command=0x20, family=0), None, None)
        self.assert_header(version_2(PROXY2.header[16:], command=0x20), None, None)
        self.assert_header(version_2(b"", family=0), None, None)

    def test_what_is_no_header_is_refused(self) -> None:
        self.assert_no_header(
            b"one\n",
            b"PROXZ",
            b"PROXY \r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP5 192.0.2.7 192.0.2.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 -2\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 x\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n",
            b"PROXY TCP4 192.0.2.\xff 192.0.2.1 1 2\r\n",
            b"PROXY " + b"x" * 101,
            SIGNATURE + b"\x11\x11\0\0",
            SIGNATURE + b"\x22\x11\0\0",
        )

    def test_an_unknown_version_or_command_is_refused_though_the_rest_is_as_it_should_be(self) -> None:
        for command in (0x11, 0x22, 0x2F, 0x31):
            self.assert_no_header(version_2(PROXY2.header[16:], command=command))

    def test_no_address_is_read_out_of_the_message_after_a_header_that_is_too_short(self) -> None:
        for family, size in ((0x11, 12), (0x21, 36), (0x31, 216)):
            self.assert_no_header(version_2(b"\0" * (size - 1), family=family) + b"message\n" * 100)
            self.assertIsNotNone(parse(version_2(b"\0" * size, family=family)))

    @settings(deadline=None, derandomize=True)
    @given(st.sampled_from([b"", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\0\x0c"]), st.binary(max_size=130))
    def test_nothing_but_a_value_error_comes_of_any_octets(self, start: bytes, rest: bytes) -> None:
        with contextlib.suppress(ValueError):
            parse(start + rest)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Protocol):
    """
    What a header is put before.

    :ivar ended: which of its sides have ended
    """

    def __init__(self) -> None:
        self.ended: list[str] = []

    def readConnectionLost(self) -> None:
        self.ended.append("read")

    def writeConnectionLost(self) -> None:
        self.ended.append("write")


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = WordEchoFactory(self.clock, max_connections_per_host=1)

    def connect(self, *pieces: bytes, factory: Any = None) -> Any:
        connection: Any = NewcomerFactory(ProxyProtocol, factory or self.factory, self.factory).buildProtocol(None)
        connection.makeConnection(Transport())
        for piece in pieces:
            connection.dataReceived(piece)
        return connection

    def test_a_header_may_come_in_pieces_and_with_the_first_message(self) -> None:
        for header in PROXY1.header, PROXY2.header:
            whole = self.connect(header + b"one\n")
            self.assertEqual(whole.transport.value(), ONE)
            whole.connectionLost()
            cut = self.connect(*(bytes([octet]) for octet in header + b"one\n"))
            self.assertEqual(cut.transport.value(), ONE)
            cut.connectionLost()

    def test_the_server_sees_the_client_and_not_the_proxy(self) -> None:
        connection = self.connect(PROXY1.header)
        transport = connection.wrappedProtocol.transport
        self.assertEqual((transport.getPeer(), transport.getHost()), (SOURCE, DESTINATION))

    def test_a_proxy_that_does_not_tell_is_the_peer_itself(self) -> None:
        connection = self.connect(b"PROXY UNKNOWN\r\n")
        self.assertEqual(connection.wrappedProtocol.transport.getPeer(), connection.transport.getPeer())

    def test_the_limit_per_host_is_one_of_clients(self) -> None:
        first, other = self.connect(PROXY1.header), self.connect(PROXY1.header.replace(b"192.0.2.7", b"192.0.2.8"))
        self.assertEqual((first.transport.value(), other.transport.value()), (b"", b""))
        second = self.connect(PROXY2.header)
        self.assertEqual(json.loads(second.transport.value())["error"], "too-many-connections")

    def test_without_a_header_there_is_no_answer(self) -> None:
        connection = self.connect(b"one\n")
        self.assertTrue(connection.transport.disconnected)
        connection.connectionLost()
        self.assertEqual(connection.transport.value(), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_header_that_does_not_come_is_not_waited_for(self) -> None:
        connection = self.connect(b"PROXY TCP4")
        self.clock.advance(4.9)
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(connection.transport.disconnected)

    def test_an_end_before_the_header_is_the_end(self) -> None:
        connection = self.connect(b"PROXY TCP4")
        connection.readConnectionLost()
        self.assertTrue(connection.transport.disconnecting)
        connection.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_end_of_a_half_close_is_passed_on(self) -> None:
        connection = self.connect(PROXY1.header, factory=Factory.forProtocol(HalfCloseable))
        connection.readConnectionLost()
        connection.writeConnectionLost()
        self.assertEqual(connection.wrappedProtocol.ended, ["read", "write"])
        self.assertFalse(connection.transport.disconnecting)

    def test_a_protocol_without_half_close_is_closed_by_one(self) -> None:
        connection = self.connect(PROXY1.header, factory=Factory.forProtocol(Protocol))
        connection.readConnectionLost()
        connection.writeConnectionLost()
        self.assertTrue(connection.transport.disconnecting)


# Real sockets


@pytest_twisted.ensureDeferred
async def test_the_log_has_the_client_of_either_version() -> None:
    async with ending(spawn_twistd("--listen", "haproxy:tcp:0:interface=127.0.0.1")) as child:
        (address,) = await child.listens(1)
        for header in PROXY1.header, PROXY2.header.replace(bytes([192, 0, 2, 7]), bytes([192, 0, 2, 8])):
            assert await deferToThread(talk, port_of(address), header, b"one\ntwo") == ONE + TWO_UNTERMINATED
        for host in "192.0.2.7", "192.0.2.8":
            await child.logged(rf"{host}:50000 came")
            await child.logged(rf"{host}:50000 went")
        assert "127.0.0.1:" not in child.log.partition("Listening on 127.0.0.1:")[2]
    assert "Traceback" not in child.log


@pytest_twisted.ensureDeferred
async def test_the_limit_per_host_leaves_the_proxys_other_clients_alone() -> None:
    def three_clients(port: int) -> list[bytes]:
        hosts = b"192.0.2.7", b"192.0.2.7", b"192.0.2.8"
        connections = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in hosts]
        try:
            received = []
            for connection, host in zip(connections, hosts, strict=True):
                connection.sendall(PROXY1.header.replace(b"192.0.2.7", host) + b"one\n")
                received.append(connection.recv(1024))
            return received
        finally:
            for connection in connections:
                connection.close()

    options = "--max-connections-per-host", "1", "--listen", "haproxy:tcp:0:interface=127.0.0.1"
    async with listening_twistd(*options) as (address,):
        first, second, other = await deferToThread(three_clients, port_of(address))
    assert (first, json.loads(second)["error"], other) == (ONE, "too-many-connections", ONE)


HAPROXY_CONFIGURATION = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen wordecho
    bind fd@3
    server wordecho 127.0.0.1:{port} {header}
"""


@pytest.mark.skipif(not shutil.which("haproxy"), reason="there is no haproxy here; Debian has it in haproxy")
@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
@pytest_twisted.ensureDeferred
async def test_haproxy_in_front(header: str, tmp_path: Path) -> None:
    def talk_through(port: int) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(b"one\ntwo")
            connection.shutdown(socket.SHUT_WR)
            return connection.getsockname()[1], b"".join(iter(lambda: connection.recv(65536), b""))

    configuration = tmp_path / "haproxy.cfg"
    with socket.create_server(("127.0.0.1", 0)) as front:
        async with ending(spawn_twistd("--listen", "haproxy:tcp:0:interface=127.0.0.1")) as child:
            (address,) = await child.listens(1)
            configuration.write_text(HAPROXY_CONFIGURATION.format(port=port_of(address), header=header))
            command = shutil.which("haproxy") or "", "-db", "-f", str(configuration)
            async with running(*command, descriptors={3: front.fileno()}):
                own_port, received = await deferToThread(talk_through, front.getsockname()[1])
                assert received == ONE + TWO_UNTERMINATED
                await child.logged(f"127.0.0.1:{own_port} came")
        assert "Traceback" not in child.log
