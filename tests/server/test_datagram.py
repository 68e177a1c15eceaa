"""Datagrams: what each gets for a reply, and what is promised of real ones."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.error import MessageLengthError
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.processes import PATIENCE, ending, listening_twistd, port_of, spawn_twistd
from tests.furniture.snippets import ROOT
from tests.furniture.sockets import needs_ipv6
from wordecho.server.buckets import TokenBuckets
from wordecho.server.datagram import WordEchoDatagramProtocol
from wordecho.wire import python_engine
from wordecho.wire.datagrams import MAX_DATAGRAM

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
PEER = ("192.0.2.1", 5000)


class Port:
    """A port, 65432 of every address, that keeps what is sent, or fails to send it."""

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "0.0.0.0", 65432)

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.error: Exception | None = None

    def write(self, datagram: bytes, addr: object) -> None:
        assert addr == PEER
        if self.error:
            raise self.error
        self.sent.append(datagram)


def protocol_on(
    port: Port, answer: Callable[[bytes], bytes] = python_engine.answer, *, rate: int = 0, clock: Clock | None = None
) -> WordEchoDatagramProtocol:
    protocol = WordEchoDatagramProtocol(answer, TokenBuckets(clock or Clock(), rate))
    protocol.transport = port
    return protocol


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.port = Port()
        self.protocol = protocol_on(self.port)

    def reply(self, datagram: bytes) -> bytes:
        """Return the one datagram that comes for ``datagram``."""
        self.port.sent.clear()
        self.protocol.datagramReceived(datagram, PEER)
        (reply,) = self.port.sent
        return reply

    def test_one_is_a_message_and_one_is_its_reply(self) -> None:
        self.assertEqual(self.reply(b"one"), ONE + b"\n")

    def test_a_line_ending_at_its_end_is_none_of_the_message_and_that_of_the_reply(self) -> None:
        self.assertEqual(self.reply(b"one\n"), ONE + b"\n")
        self.assertEqual(self.reply(b"one\r\n"), ONE + b"\r\n")
        self.assertEqual(json.loads(self.reply(b"one\n\n"))["bytes"], 4)
        self.assertEqual(json.loads(self.reply(b"one\r"))["bytes"], 4)

    def test_lines_in_it_are_one_message(self) -> None:
        reply = json.loads(self.reply(b"one\ntwo\none"))
        self.assertEqual((reply["unique_words"], reply["bytes"]), (["one", "two"], 11))

    def test_an_empty_one_is_a_message(self) -> None:
        self.assertEqual(json.loads(self.reply(b""))["bytes"], 0)

    def test_errors_are_those_of_a_line(self) -> None:
        self.assertEqual(json.loads(self.reply(b"caf\xe9"))["offset"], 3)
        self.protocol = protocol_on(self.port, lambda message: python_engine.answer(message, max_length=3))
        reply = json.loads(self.reply(b"three"))
        self.assertEqual((reply["error"], reply["limit"]), ("too-long", 3))

    def test_a_reply_that_fits_in_no_datagram_is_replaced_by_the_reason(self) -> None:
        words = b" ".join(b"%04x" % number for number in range(8189))
        self.assertLessEqual(len(self.reply(words)), MAX_DATAGRAM)
        reply = json.loads(self.reply(b" ".join(b"%04x" % number for number in range(10_000))))
        self.assertEqual((reply["error"], reply["limit"]), ("reply-too-long", MAX_DATAGRAM))
        self.assertTrue(reply["detail"].endswith("."))

    def test_the_limit_is_that_of_the_datagram_its_ending_counted(self) -> None:
        for size, fits in ((MAX_DATAGRAM, True), (MAX_DATAGRAM + 1, False)):
            self.protocol = protocol_on(self.port, lambda message, size=size: b"x" * (size - 1))  # type: ignore[misc]
            self.assertEqual(self.reply(b"one").startswith(b"x"), fits)

    def test_what_cannot_be_sent_is_dropped_in_silence(self) -> None:
        for error in OSError("Network is unreachable"), BlockingIOError(), MessageLengthError():
            self.port.error = error
            self.protocol.datagramReceived(b"one", PEER)
        self.assertEqual(self.port.sent, [])


class LoopTests(SynchronousTestCase):
    """Anybody can forge whom a datagram is from: no two servers may be made to answer each other, nor one itself."""

    def setUp(self) -> None:
        self.port = Port()
        self.protocol = protocol_on(self.port)

    def assert_not_answered(self, datagram: bytes, address: tuple[str, int] = PEER) -> None:
        self.protocol.datagramReceived(datagram, address)
        self.assertEqual(self.port.sent, [])

    def test_a_reply_is_never_answered(self) -> None:
        for reply in (
            ONE,
            ONE + b"\n",
            ONE + b"\r\n",
            ONE[:-1] + b',"terminated":false}',
            ONE[:-1] + b',"counts":[1]}',
            b'{"error":"not-utf-8","detail":"The byte at offset 0 is not UTF-8.","offset":0}\n',
            b'{"error":"reply-too-long","detail":"","limit":65507}',
        ):
            self.assert_not_answered(reply)

    def test_what_only_looks_like_one_is_a_message(self) -> None:
        for message in (b'{"unique_words":[', b'{"error":"', ONE + b"x", b"[]", b'{"unique_words":["one"]}', ONE[1:]):
            self.protocol.datagramReceived(message, PEER)
            self.assertEqual(len(self.port.sent), 1)
            self.port.sent.clear()

    def test_what_comes_from_this_port_is_never_answered(self) -> None:
        for host in "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1":
            self.assert_not_answered(b"one", (host, 65432))

    def test_what_comes_from_another_port_or_machine_is(self) -> None:
        for address in ("127.0.0.1", 65431), ("192.0.2.1", 65432):
            sent: list[object] = []
            self.port.write = lambda datagram, addr: sent.append(addr)  # type: ignore[method-assign]  # noqa: B023
            self.protocol.datagramReceived(b"one", address)
            self.assertEqual(sent, [address])


class RateTests(SynchronousTestCase):
    def test_one_address_gets_so_many_replies_a_second(self) -> None:
        clock, port = Clock(), Port()
        protocol = protocol_on(port, rate=4, clock=clock)
        for seconds, replies in ((0, 4), (1, 4), (0.25, 1), (0.125, 0), (10, 4)):
            clock.advance(seconds)
            for _ in range(5):
                protocol.datagramReceived(b"one", PEER)
            self.assertEqual(len(port.sent), replies)
            port.sent.clear()

    def test_each_address_has_its_own(self) -> None:
        buckets = TokenBuckets(Clock(), 1)
        self.assertEqual([buckets.take(host) for host in ("a", "b", "a", "b")], [True, True, False, False])

    def test_0_is_for_no_such_limit(self) -> None:
        buckets = TokenBuckets(Clock(), 0)
        self.assertTrue(all(buckets.take("a") for _ in range(100_000)))

    def test_no_more_than_4096_addresses_are_kept(self) -> None:
        clock = Clock()
        buckets = TokenBuckets(clock, 1)
        for number in range(4096):
            buckets.take(str(number))
        self.assertFalse(buckets.take("0"))  # which is now the last that was asked for
        for number in range(4096, 8191):
            buckets.take(str(number))
        self.assertFalse(buckets.take("0"))
        self.assertTrue(buckets.take("1"), "it is kept though 4 096 others came after it")


class AmplificationTests(SynchronousTestCase):
    """What docs/sockets.rst says of how much longer a reply can be than what asked for it."""

    headers = 28  # octets of IPv4 and UDP

    def largest(self, datagrams: Any) -> tuple[float, bytes]:
        """Return by how much the reply of one of ``datagrams`` is the longest on the wire, and that datagram."""
        port = Port()
        protocol = protocol_on(port)
        worst = (0.0, b"")
        for datagram in datagrams:
            protocol.datagramReceived(datagram, PEER)
            sent = self.headers + len(port.sent.pop())
            worst = max(worst, (sent / (self.headers + len(datagram)), datagram))
        return worst

    def test_the_page_tells_the_largest_one(self) -> None:
        every_short_one = [bytes(octets) for size in range(3) for octets in product(range(256), repeat=size)]
        factor, datagram = self.largest(every_short_one)
        self.assertNotEqual(datagram, b"")
        said = re.findall(r"at most (\d\.\d) times", (ROOT / "docs" / "sockets.rst").read_text())
        self.assertEqual(said, [f"{factor:.1f}"])

    def test_no_longer_one_does_worse(self) -> None:
        shortest = self.largest(bytes([octet]) for octet in range(256))[0]
        chance = random.Random(0)
        letters = [chr(code) for code in range(0x20, 0x3000) if chr(code).isalnum()]
        han = [chr(code) for code in range(0x4E00, 0x9FFF)]
        words = [f"{letter} " for letter in letters] + [f"{letter}\u05f4{letter} " for letter in "אבגדהוזחט"]
        longer = [
            "".join(chance.sample(alphabet, size)).encode()
            for alphabet in (words, han)
            for size in [*range(1, 200), 1000, 3000]
        ]
        self.assertLess(self.largest(longer)[0], shortest)
        self.assertLess(self.largest(b"x" * size + b"\xff" for size in range(2000))[0], shortest + 1e-9)


# Real sockets


def exchange(port: int, *datagrams: bytes, host: str = "127.0.0.1") -> list[bytes]:
    """Send each of ``datagrams`` when the one before it is answered; return the replies."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
        endpoint.settimeout(PATIENCE)
        endpoint.connect((host, port))
        return [endpoint.recv(65536) for datagram in datagrams if endpoint.send(datagram) >= 0]


@pytest_twisted.ensureDeferred
async def test_10_000_datagrams_get_10_000_replies() -> None:
    def ask(port: int) -> list[bytes]:
        replies = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.settimeout(PATIENCE)
            endpoint.connect(("127.0.0.1", port))
            for number in range(10_000 + 50):  # 50 on their way at once, which no buffer is too small for
                if number < 10_000:
                    endpoint.send(b"message %d" % number)
                if number >= 50:
                    replies.append(endpoint.recv(65536))
        return replies

    async with listening_twistd("--port", "0", "--interface", "127.0.0.1", "--udp", "0") as (_, address):
        assert address.endswith(" (UDP)")
        replies = await deferToThread(ask, port_of(address))
    assert sorted(replies) == sorted(python_engine.answer(b"message %d" % number) + b"\n" for number in range(10_000))


@pytest_twisted.ensureDeferred
async def test_an_oversize_and_a_non_utf_8_one_are_refused_in_words() -> None:
    many_words = b" ".join(b"%04x" % number for number in range(13_000))
    options = "--port", "0", "--interface", "127.0.0.1", "--udp", "0", "--max-length", "64998"
    async with listening_twistd(*options) as (_, address):
        port = port_of(address)
        replies = await deferToThread(exchange, port, b"x" * 65_507, many_words[:64_998], b"\xff", b"one")
        too_long, reply_too_long, not_utf_8, one = replies
    assert (json.loads(too_long)["error"], json.loads(too_long)["limit"]) == ("too-long", 64_998)
    assert json.loads(reply_too_long)["error"] == "reply-too-long"
    assert json.loads(not_utf_8)["error"] == "not-utf-8"
    assert one == ONE + b"\n"


@needs_ipv6
@pytest_twisted.ensureDeferred
async def test_udp_is_on_ipv4_and_ipv6_besides_the_tcp_port() -> None:
    async with listening_twistd("--port", "0", "--udp", "0") as (tcp, udp):
        port = port_of(udp)
        assert (tcp, udp) == (
            f"[::]:{port_of(tcp)} and 0.0.0.0:{port_of(tcp)}",
            f"[::]:{port} and 0.0.0.0:{port} (UDP)",
        )
        for host in "127.0.0.1", "::1":
            short, long = await deferToThread(exchange, port, b"one", b"-" * 65_507, host=host)
            assert (short, json.loads(long)["bytes"]) == (ONE + b"\n", 65_507)


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_gone_before_its_reply_leaves_no_traceback() -> None:
    def leave(port: int) -> None:
        for _ in range(100):  # the replies find a closed port, which the kernel tells the server by ICMP
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
                endpoint.sendto(b"one", ("127.0.0.1", port))

    async with listening_twistd("--port", "0", "--interface", "127.0.0.1", "--udp", "0") as (_, address):
        await deferToThread(leave, port_of(address))
        assert await deferToThread(exchange, port_of(address), b"one") == [ONE + b"\n"]


@pytest_twisted.ensureDeferred
async def test_a_stop_answers_the_datagrams_that_wait_and_gives_the_port_back() -> None:
    async with ending(spawn_twistd("--port", "0", "--interface", "127.0.0.1", "--udp", "0")) as child:
        port = port_of((await child.listens(2))[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.settimeout(PATIENCE)
            child.signal("STOP")  # the process sees nothing until it goes on, and then the signal as well
            for _ in range(5):
                endpoint.sendto(b"one", ("127.0.0.1", port))
            child.signal("TERM")
            child.signal("CONT")
            replies = await deferToThread(lambda: [endpoint.recv(65536) for _ in range(5)])
        assert replies == [ONE + b"\n"] * 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", port))
    assert "Traceback" not in child.log
