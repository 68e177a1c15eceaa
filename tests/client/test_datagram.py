"""What a program gets from the client of datagrams, with a clock and a socket of the tests' own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.processes import PATIENCE, client_command, listening_twistd, port_of
from tests.furniture.sockets import needs_ipv6
from wordecho import wire
from wordecho.client import (
    Answer,
    ClientError,
    NotWordEchoError,
    ServerGoneError,
    WordEchoDatagramClient,
    connect_datagrams,
)
from wordecho.wire import python_engine

ONE = b'{"unique_words":["one"],"word_count":1,"length":3,"bytes":3}'
TWO = b'{"unique_words":["two"],"word_count":1,"length":3,"bytes":3}'
THREE = b'{"unique_words":["three"],"word_count":1,"length":5,"bytes":5}'

NOT_OPEN = "the server cannot be reached: the port is not open for datagrams."
NO_ROUTE = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


class Socket:
    """
    A connected socket that keeps what is sent. It is closed in the reactor's next turn, as Twisted's are.

    :ivar sent: the datagrams
    :ivar peer: to whom it is connected
    :ivar fail: called before a datagram is sent, or the socket connected
    """

    def __init__(self, clock: Clock, protocol: Any) -> None:
        self.sent: list[bytes] = []
        self.peer: tuple[str, int] | None = None
        self.fail: Callable[[], None] = lambda: None
        self._clock = clock
        self._protocol = protocol

    def connect(self, host: str, port: int) -> None:
        self.fail()
        self.peer = (host, port)

    def write(self, datagram: bytes) -> None:
        self.fail()
        self.sent.append(datagram)

    def stopListening(self) -> None:
        self._clock.callLater(0, self._protocol.doStop)


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


class DatagramTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client = WordEchoDatagramClient(self.clock, "192.0.2.1", 7)
        self.socket = Socket(self.clock, self.client)
        self.client.makeConnection(self.socket)  # type: ignore[arg-type]

    def ask(self, *messages: bytes) -> list[Deferred[Answer]]:
        return [self.client.ask(message) for message in messages]

    def reply(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.client.datagramReceived(datagram, ("192.0.2.1", 7))

    def lines(self, answers: list[Deferred[Answer]]) -> list[bytes]:
        return [self.successResultOf(answer).line for answer in answers]

    def assert_over(self, error: ClientError | None, due: list[Deferred[Answer]]) -> None:
        """The socket is closed, whoever waits for something has learnt why, and no timer is left."""
        self.clock.advance(0)
        ends = [self.failureResultOf(answer).value for answer in due]
        ends.append(self.successResultOf(self.client.lost))
        self.assertEqual([(type(end), str(end)) for end in ends], [(type(error), str(error))] * len(ends))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnswerTests(DatagramTestCase):
    def test_a_message_is_a_datagram_to_the_server_and_so_is_its_reply(self) -> None:
        (answer,) = self.ask(b"one")
        self.assertEqual((self.socket.peer, self.socket.sent), (("192.0.2.1", 7), [b"one"]))
        self.reply(ONE + b"\n")
        self.assertEqual(self.successResultOf(answer), Answer(wire.Reply(["one"], 1, 3, 3), ONE))

    def test_one_message_is_on_its_way_at_a_time(self) -> None:
        answers = self.ask(b"one", b"three", b"two")
        self.assertEqual(self.socket.sent, [b"one"])
        self.reply(ONE + b"\n")
        self.assertEqual(self.socket.sent, [b"one", b"three"])
        self.reply(THREE + b"\n", TWO + b"\n")
        self.assertEqual(self.lines(answers), [ONE, THREE, TWO])

    def test_who_asks_again_at_once_waits_for_those_before(self) -> None:
        first, second = self.ask(b"one", b"three")
        third = first.addCallback(lambda _: self.client.ask(b"two"))
        self.reply(ONE + b"\n")
        self.assertEqual(self.socket.sent, [b"one", b"three"])
        self.reply(THREE + b"\n", TWO + b"\n")
        self.assertEqual(self.lines([second, third]), [THREE, TWO])

    def test_a_datagram_that_the_network_brings_twice_counts_once(self) -> None:
        (first,) = self.ask(b"one")
        self.reply(ONE + b"\n", ONE + b"\n")
        (second,) = self.ask(b"two")
        self.reply(TWO + b"\n")
        self.assertEqual(self.lines([first, second]), [ONE, TWO])

    def test_a_refusal_is_an_answer(self) -> None:
        refused, answered = self.ask(b"\xff", b"one")
        line = b'{"error":"not-utf-8","detail":"No.","offset":0}'
        self.reply(line + b"\n", ONE + b"\n")
        self.assertEqual(self.successResultOf(refused), Answer(wire.Refusal("not-utf-8", "No.", offset=0), line))
        self.assertEqual(self.lines([answered]), [ONE])

    def test_a_message_with_a_line_feed_is_the_callers_mistake(self) -> None:
        with self.assertRaises(ValueError):
            self.client.ask(b"one\ntwo")
        self.assertEqual(self.socket.sent, [])

    def test_who_cancels_keeps_the_place_in_the_queue_and_nobody_gets_the_reply(self) -> None:
        first, second, third = self.ask(b"one", b"two", b"three")
        for cancelled in first, second:
            cancelled.cancel()
            self.failureResultOf(cancelled, CancelledError)
        self.reply(ONE + b"\n", TWO + b"\n", THREE + b"\n")
        self.assertEqual(self.lines([third]), [THREE])


class LongMessageTests(DatagramTestCase):
    def test_what_a_datagram_can_carry_goes_out_and_no_more(self) -> None:
        longest = b"x" * 65_507
        fits, refused, next_one = self.ask(longest, longest + b"x", b"one")
        self.assertEqual(self.socket.sent, [longest])
        self.reply(b'{"unique_words":[],"word_count":1,"length":65507,"bytes":65507}')
        self.assertEqual(self.socket.sent, [longest, b"one"])
        self.successResultOf(fits)
        refusal: Any = self.successResultOf(refused).reply
        self.assertEqual((refusal.error, refusal.limit), ("too-long", 65_507))
        self.reply(ONE + b"\n")
        self.assertEqual(self.lines([next_one]), [ONE])

    def test_any_number_of_them_in_a_row_is_refused(self) -> None:
        too_long = b"x" * 65_508
        first, *refused = self.ask(b"one", *[too_long] * 5000)
        self.reply(ONE + b"\n")
        self.assertEqual(len(set(self.lines([first, *refused]))), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EndTests(DatagramTestCase):
    def test_a_client_that_waits_for_nothing_waits_for_ever(self) -> None:
        self.clock.advance(1000)
        answers = self.ask(b"one")
        self.reply(ONE + b"\n")
        self.clock.advance(1000)
        answers += self.ask(b"two")
        self.reply(TWO + b"\n")
        self.assertEqual(self.lines(answers), [ONE, TWO])
        self.assertNoResult(self.client.lost)

    def test_ten_seconds_without_a_reply_are_the_end(self) -> None:
        answers = self.ask(b"one", b"two")
        self.clock.advance(9)
        self.reply(ONE + b"\n")
        self.clock.advance(9.9)
        self.assertNoResult(self.client.lost)
        self.clock.advance(0.1)
        sentence = "the server fell silent: nothing came for 10 seconds while 1 reply was due."
        self.assert_over(ServerGoneError(sentence), answers[1:])

    def test_what_is_no_reply_is_the_end(self) -> None:
        answers = self.ask(b"one", b"two")
        self.reply(b"what?\n", ONE + b"\n", TWO + b"\n")
        self.assert_over(NotWordEchoError("it sent b'what?'"), answers)

    def test_a_reply_to_as_many_bytes_as_were_not_sent_is_the_end(self) -> None:
        answers = self.ask(b"three")
        self.reply(ONE + b"\n")
        self.assert_over(NotWordEchoError("it replied to 3 bytes when 5 were sent"), answers)

    def test_a_port_that_is_not_open_is_the_end(self) -> None:
        answers = self.ask(b"one", b"two")
        self.client.connectionRefused()
        self.client.connectionRefused()  # of the next datagram, which the system may have told of already
        self.assert_over(ServerGoneError(NOT_OPEN), answers)

    def test_a_port_that_is_found_not_open_while_sending_is_the_end(self) -> None:
        self.socket.fail = self.client.connectionRefused
        self.assert_over(ServerGoneError(NOT_OPEN), self.ask(b"one"))

    def test_a_socket_that_the_reactor_closes_is_the_end(self) -> None:
        answers = self.ask(b"one")
        self.client.setTimeout(None)
        self.client.doStop()
        self.assert_over(ServerGoneError(NOT_OPEN), answers)

    def test_no_route_is_the_end(self) -> None:
        self.socket.fail = failing(NO_ROUTE)
        answers = self.ask(b"one")
        self.assert_over(ServerGoneError("the server cannot be reached: Network is unreachable."), answers)

    def test_a_system_that_sends_less_than_a_datagram_can_carry_is_the_end(self) -> None:
        self.socket.fail = failing(MessageLengthError())
        sentence = "the server cannot be reached: this machine sends no datagram of 20000 bytes."
        self.assert_over(ServerGoneError(sentence), self.ask(b"x" * 20_000))

    def test_a_client_that_is_closed_ends_without_an_error(self) -> None:
        answers = self.ask(b"one")
        self.reply(ONE + b"\n")
        self.client.close()
        self.client.close()
        self.assertEqual(self.lines(answers), [ONE])
        self.assert_over(None, [])

    def test_what_is_due_when_it_is_closed_fails(self) -> None:
        answers = self.ask(b"one", b"two")
        self.client.close()
        self.reply(ONE + b"\n")
        self.assert_over(ServerGoneError("the connection is closed."), answers)

    def test_nothing_is_sent_after_the_end(self) -> None:
        first, second = self.ask(b"one", b"two")
        first.addCallback(lambda _: self.client.close())
        self.reply(ONE + b"\n")
        (third,) = self.ask(b"three")
        self.failureResultOf(third, ServerGoneError)
        self.assert_over(ServerGoneError("the connection is closed."), [second])
        self.assertEqual(self.socket.sent, [b"one"])


class Reactor(Clock):
    """
    A reactor on which the server's name has ``addresses``, and a socket fails with ``error``.

    :ivar listening: the interface and the octets read of a datagram, of each socket
    """

    def __init__(self, *addresses: IPv4Address | IPv6Address, error: Exception | None = None) -> None:
        super().__init__()
        self.nameResolver = self
        self.listening: list[tuple[str, int]] = []
        self._addresses = addresses
        self._error = error

    def resolveHostName(self, receiver: Any, name: str, portNumber: int, **_: object) -> None:
        receiver.resolutionBegan(None)
        for address in self._addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> None:
        self.listening.append((interface, maxPacketSize))
        if isinstance(self._error, CannotListenError):
            raise self._error
        socket = Socket(self, protocol)
        if self._error:
            socket.fail = failing(self._error)
        protocol.makeConnection(socket)


IPV6 = IPv6Address("UDP", "2001:db8::1", 7)
IPV4 = IPv4Address("UDP", "192.0.2.1", 7)


class ConnectTests(SynchronousTestCase):
    def connect(self, reactor: Reactor) -> Deferred[WordEchoDatagramClient]:
        return Deferred.fromCoroutine(connect_datagrams(reactor, "example.org", 7, timeout=3))

    def assert_fails(self, reactor: Reactor, sentence: str) -> None:
        self.assertEqual(str(self.failureResultOf(self.connect(reactor), ServerGoneError).value), sentence)
        reactor.advance(0)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_the_first_address_of_the_name_is_the_servers(self) -> None:
        for addresses, interface in (((IPV6, IPV4), "::"), ((IPV4, IPV6), "")):
            reactor = Reactor(*addresses)
            client = self.successResultOf(self.connect(reactor))
            self.assertEqual(client.transport.peer, (addresses[0].host, 7))
            self.assertEqual(reactor.listening, [(interface, 65_536)])

    def test_the_timeout_is_that_of_each_silence(self) -> None:
        reactor = Reactor(IPV4)
        client = self.successResultOf(self.connect(reactor))
        answer = client.ask(b"one")
        reactor.advance(2.9)
        self.assertNoResult(answer)
        reactor.advance(0.1)
        reactor.advance(0)
        self.failureResultOf(answer, ServerGoneError)

    def test_a_name_without_an_address_is_a_sentence(self) -> None:
        self.assert_fails(Reactor(), "the server cannot be reached: example.org has no address.")

    def test_no_route_is_a_sentence(self) -> None:
        self.assert_fails(Reactor(IPV4, error=NO_ROUTE), "the server cannot be reached: Network is unreachable.")

    def test_no_socket_to_be_had_is_a_sentence(self) -> None:
        error = CannotListenError("", 0, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        self.assert_fails(Reactor(IPV4, error=error), "the server cannot be reached: Too many open files.")


# Real sockets


@needs_ipv6
@pytest_twisted.ensureDeferred
async def test_the_client_sends_each_message_as_a_datagram() -> None:
    async with listening_twistd("--port", "0", "--udp", "0") as (_, address):
        ask = "--udp", "-p", str(port_of(address))
        shown = b"1 word, 1 unique, 3 characters, 3 bytes\none\n"
        for host in (["-4", "localhost"], ["::1"], ["-6", "::1"], ["127.0.0.1"]):
            assert await client_command(*ask, *host, "one") == (shown, "", 0)
        messages = b"".join(b"message %d\n" % number for number in range(1000))
        out, err, status = await client_command(*ask, "--json", "127.0.0.1", stdin=messages)
        assert out.splitlines() == [python_engine.answer(message) for message in messages.splitlines()]
        assert (err, status) == ("", 0)


@pytest_twisted.ensureDeferred
async def test_the_client_says_what_became_of_a_message_that_is_refused() -> None:
    messages = b"\n".join([b"\xff", b"x" * 65_508, b"x" * 65_507, b"one"])
    async with listening_twistd("--port", "0", "--interface", "127.0.0.1", "--udp", "0") as (_, address):
        out, err, status = await client_command("--udp", "-p", str(port_of(address)), "127.0.0.1", stdin=messages)
    first, second, third = err.splitlines()
    assert first.startswith("wordecho: message 1 was refused (not-utf-8): ")
    assert second.startswith("wordecho: message 2 was refused (too-long): ")
    assert third.startswith("wordecho: message 3 was refused (reply-too-long): ")  # the message itself fits in one
    assert (out, status) == (b"1 word, 1 unique, 3 characters, 3 bytes\none\n", 1)


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_mute_or_another_one() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = str(bound.getsockname()[1])
        mute = await client_command("--udp", "-p", port, "--timeout", "0.5", "127.0.0.1", "one")

        def answer_nonsense() -> None:
            bound.settimeout(PATIENCE)
            while (received := bound.recvfrom(1024))[0] != b"else":
                pass
            bound.sendto(b"what?", received[1])

        answering = deferToThread(answer_nonsense)
        another = await client_command("--udp", "-p", port, "127.0.0.1", "else")
        await answering
    gone = await client_command("--udp", "-p", port, "127.0.0.1", "one")
    nowhere = await client_command("--udp", "-6", "no-such-name.invalid", "one")
    assert mute == (b"", "wordecho: the server fell silent: nothing came for 0.5 seconds while 1 reply was due.\n", 3)
    assert another == (b"", "wordecho: what answered is not a wordecho server: it sent b'what?'.\n", 4)
    assert gone == (b"", "wordecho: the server cannot be reached: the port is not open for datagrams.\n", 3)
    assert nowhere == (b"", "wordecho: the server cannot be reached: no-such-name.invalid has no address.\n", 3)
