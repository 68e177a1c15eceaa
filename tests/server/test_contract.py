"""Whatever peers, transports and the clock do to the server, in any order, against a model of the contract."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.contract import Contract
from tests.furniture.transports import Transport
from wordecho import wire
from wordecho.server import WordEchoFactory
from wordecho.server.drain import Drain
from wordecho.sockets import tcp_info
from wordecho.wire import Refusal, python_engine

MAX_LENGTH = 16
MAX_CONNECTIONS = 3
MAX_CONNECTIONS_PER_HOST = 2
MOST_PEERS = MAX_CONNECTIONS + 1

DRAIN_TIMEOUT = 8  # seconds
STEP = 0.125  # seconds; what the server does in time it does on such a one

READ = 65536  # octets that a transport hands over at once, at most
ROOMS = [0, 300, 65536]  # octets that a transport keeps for a peer before it asks for a pause

# What may be held for a peer that does not read: a read that came in spite of the pause, the rest of the one that was
# interrupted, and besides its room the replies to the shortest lines of one slice.
HELD_AT_MOST = 2 * READ + max(ROOMS) + 4096 * 60

LINES = [
    *(b"\n", b"\r\n", b"one two\n", b"one\r\n", b"two\n\nthree\r\n"),
    *(b"\xff\n", b"sixteen octets 1\r\n", b"a line that is too long\n", b"this is too long too\r\n"),
]
PARTS = [b"\r", b"one", b"1234567", b"sixteen octets 1", b"seventeen octets1", b"\xc3", b"\xa9"]


class WatchedTransport(Transport):
    """
    One whose peer's kernel acknowledges what was sent sooner or later.

    :ivar acknowledged_at_pause: what was acknowledged when it last asked for a pause
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.acknowledged_at_pause: int | None = None
        self._sent = 0

    @property
    def unacknowledged(self) -> int:
        return self._sent + len(self.value()) - self.acknowledged

    @property
    def has_half_close(self) -> bool:
        return ITCPTransport.providedBy(self)

    def ask_for_a_pause(self) -> None:
        if self.producer is not None:
            self.acknowledged_at_pause = self.acknowledged
        super().ask_for_a_pause()

    def acknowledge(self) -> None:
        self.acknowledged = self._sent

    def flush(self) -> bytes:
        self._sent += len(self.value())
        return super().flush()


def transports() -> st.SearchStrategy[WatchedTransport]:
    hosts = st.sampled_from(["192.0.2.1", "192.0.2.2"])
    return st.builds(
        WatchedTransport,
        st.builds(IPv4Address, st.just("TCP"), hosts, st.just(54321)),
        room=st.sampled_from(ROOMS),
        interfaces=st.sampled_from([(ITCPTransport,), ()]),
    )


class Peer:
    """
    A peer, its connection to the server, and what the contract says of them.

    :param refusal: what it is told at once, None where it is taken in
    :param sends_lines: whether it sends line feeds, ever
    """

    def __init__(
        self, factory: WordEchoFactory, transport: WatchedTransport, refusal: Refusal | None, *, sends_lines: bool
    ) -> None:
        self._factory = factory
        self._clock = factory.reactor
        self.transport = transport
        self.contract = Contract(factory.max_length)
        self.is_refused = refusal is not None
        self._unread = bytearray()  # what the peer has sent and the server has not read
        self.has_shut = False  # the peer has ended its sending side
        self._has_ended = False  # and the server knows
        self._has_left = False  # the server has ended its sending side, since it stops
        self._has_been_closed = False  # and now has closed, without the peer's doing
        self._has_all = False  # the peer has all that the server had to say
        self._spare = READ  # octets that may still come in spite of a pause
        self._sends_lines = sends_lines
        self.protocol = factory.buildProtocol(transport.getPeer())
        self.protocol.makeConnection(transport)
        self._quiet_at: float | None = None
        self._let_go_at: float | None = None
        self._active_at = 0.0
        self._is_active()
        if refusal is not None:
            self._send_away(refusal)

    # What happens to it

    def send(self, data: bytes) -> None:
        if not self.has_shut and len(self._unread) < READ:
            self._unread += data if self._sends_lines else data.replace(b"\n", b"")

    def read(self, size: int) -> None:
        """The server's transport reads what the peer has sent, or its end."""
        if self._has_ended or (self.transport.disconnecting and not self._unread):
            return
        is_paused = self.transport.has_paused_its_producer
        if is_paused:
            size = min(size, self._spare)
            self._spare -= size
        data = bytes(self._unread[:size])
        if data:
            del self._unread[:size]
            if not self.contract.is_over:
                self.contract.hear(data)
                if not is_paused:
                    self._is_active()
            sent = self.transport.value()
            self.protocol.dataReceived(data)
            assert not is_paused or self.transport.value() == sent, "answered though its peer does not read"
        elif self.has_shut and not self._unread:
            self._has_ended = True
            if not self.contract.is_over:
                self.contract.end_message()
            self.protocol.readConnectionLost()

    def half_close(self) -> None:
        self.has_shut = True
        self.read(READ)

    def catch_up(self) -> bytes:
        """The peer reads all that the server's transport has for it."""
        if self.transport.has_paused_its_producer:
            self._spare = READ
            self._is_active()
        sent = self.transport.flush()
        if self.transport.has_ended_sending:
            self._has_all = True
            self.protocol.writeConnectionLost()
        return sent

    def time_passed(self, stopped_at: float | None, *, was_paused: bool) -> None:
        is_cut_off = stopped_at is not None and self._clock.seconds() - stopped_at >= DRAIN_TIMEOUT
        if self._is_time(self._quiet_at) and not (
            was_paused or self.contract.is_line_client or self.contract.is_over or self._has_ended
        ):
            self._quiet_at = None
            self.contract.end_message()
        if self._is_time(self._let_go_at):
            is_cut_off |= self._let_go(was_paused=was_paused)
        assert self.transport.disconnected == is_cut_off, "cut off too early, or too late"
        if stopped_at is not None and not is_cut_off:
            self._look(stopped_at, was_paused=was_paused)

    def _let_go(self, *, was_paused: bool) -> bool:
        """Nothing has come for too long; return whether the peer is to be cut off without a word."""
        if self.contract.is_over:
            return True
        if not (self._has_ended or was_paused):
            self.contract.end_message()
            self._send_away(wire.idle_timeout(self._factory.idle_timeout))
            return False
        has_read = self.transport.acknowledged != self.transport.acknowledged_at_pause
        self.transport.acknowledged_at_pause = self.transport.acknowledged
        self._let_go_at = self._clock.seconds() + self._factory.idle_timeout
        return not has_read

    def _look(self, stopped_at: float, *, was_paused: bool) -> None:
        """The server stops, and looks at what there is still to do."""
        seconds = self._clock.seconds() - stopped_at
        is_quiet = self._clock.seconds() - max(self._active_at, stopped_at) >= 0.25
        if self._has_left:
            self._has_been_closed |= self._has_all and is_quiet and not self.transport.unacknowledged
        elif not (self.contract.is_over or self._has_ended or was_paused) and (is_quiet or seconds >= 4):
            self._has_left = True
            self._active_at = self._clock.seconds()
            self._let_go_at = None
            if not self.contract.is_line_client:
                self.contract.end_message()
            self.contract.is_over = True

    def _is_time(self, time: float | None) -> bool:
        return time is not None and self._clock.seconds() >= time

    # What follows from it

    def _is_active(self) -> None:
        self._active_at = self._clock.seconds()
        if self._factory.idle_timeout:
            self._let_go_at = self._clock.seconds() + self._factory.idle_timeout
        if self._factory.quiet_period:
            self._quiet_at = self._clock.seconds() + self._factory.quiet_period

    def _send_away(self, refusal: Refusal) -> None:
        self.contract.send_away(refusal)
        self._let_go_at = self._clock.seconds() + 5

    # What must hold

    def check(self) -> None:
        sent = self.transport.value()
        is_paused = self.transport.has_paused_its_producer
        assert self.contract.owed.startswith(sent), f"not what is owed: {sent[:200]!r}"
        assert is_paused or len(sent) == len(self.contract.owed), "some reply is missing"
        size = self.protocol._framing.held + len(sent)
        assert size <= HELD_AT_MOST, f"{size} octets are held"
        assert not (self.contract.is_over and self.protocol._framing.held), "what nobody answers is held"
        has_finished = self._has_ended and not is_paused
        assert self.transport.is_ending == (self.contract.is_over or has_finished)
        is_dropped = self.contract.is_over and not self.transport.has_half_close
        is_closed = has_finished or is_dropped or self._has_been_closed
        assert self.transport.disconnecting == is_closed, "closed too early, or too late"
        if not self.transport.disconnecting:
            # What comes after the goodbye is read too, or closing the connection would reset it.
            assert self.transport.producerState == ("paused" if is_paused else "producing")


class ServerMachine(RuleBasedStateMachine):
    """A server and a few peers, some more than it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.peers: list[Peer] = []
        self.stopped_at: float | None = None
        self._kernel = patch.object(tcp_info, "unacknowledged_octets", lambda transport: transport.unacknowledged)
        self._kernel.start()

    @initialize(
        idle_timeout=st.sampled_from([6.125, 0]),
        quiet_period=st.sampled_from([2, 0]),
        transport=transports(),
        sends_lines=st.booleans(),
        stops_at=st.sampled_from([None, 0, 5, 10, 20]),
    )
    def begin(
        self,
        idle_timeout: float,
        quiet_period: int,
        transport: WatchedTransport,
        sends_lines: bool,
        stops_at: float | None,
    ) -> None:
        self.stops_at = stops_at
        self.factory = WordEchoFactory(
            self.clock,
            max_length=MAX_LENGTH,
            max_connections=MAX_CONNECTIONS,
            max_connections_per_host=MAX_CONNECTIONS_PER_HOST,
            idle_timeout=idle_timeout,
            quiet_period=quiet_period,
        )
        self.peers.append(Peer(self.factory, transport, None, sends_lines=sends_lines))

    def _pick(self, number: int) -> Peer:
        return self.peers[number % len(self.peers)]

    numbers = st.integers(0, MOST_PEERS - 1)
    pieces = st.sampled_from(PARTS) | st.sampled_from(LINES)

    @precondition(lambda self: len(self.peers) < MOST_PEERS and self.stopped_at is None)
    @rule(transport=transports(), sends_lines=st.booleans())
    def connect(self, transport: WatchedTransport, sends_lines: bool) -> None:
        hosts = [peer.transport.getPeer().host for peer in self.peers if not peer.is_refused]
        refusal = None
        if len(hosts) == MAX_CONNECTIONS:
            refusal = wire.too_many_connections(MAX_CONNECTIONS)
        elif hosts.count(transport.getPeer().host) == MAX_CONNECTIONS_PER_HOST:
            refusal = wire.too_many_connections(MAX_CONNECTIONS_PER_HOST, of_one_host=True)
        self.peers.append(Peer(self.factory, transport, refusal, sends_lines=sends_lines))

    # A run of the machine does without some of the rules and takes each of the others as often. So what belongs
    # together is one of them, and what ends a connection is part of another.
    @precondition(lambda self: self.peers)
    @rule(
        number=numbers,
        pieces=st.lists(pieces, max_size=3),
        times=st.sampled_from([1, 1, 5000]),
        sizes=st.just([READ]) | st.lists(st.sampled_from([1, 2, 3, 7, 100, 4096, READ]), max_size=4),
        end=st.sampled_from(["half-close", "loss", *["later"] * 8]),
    )
    def send(self, number: int, pieces: list[bytes], times: int, sizes: list[int], end: str) -> None:
        peer = self._pick(number)
        peer.send(b"".join(pieces) * times)
        for size in sizes:
            peer.read(size)
        if end == "half-close":
            peer.half_close()
        elif end == "loss":
            self._lose(peer)

    @precondition(lambda self: self.peers)
    @rule(number=numbers, is_acknowledged=st.booleans())
    def catch_up(self, number: int, is_acknowledged: bool) -> None:
        peer = self._pick(number)
        sent = peer.catch_up()
        if is_acknowledged:
            peer.transport.acknowledge()
        assert peer.contract.owed.startswith(sent)
        del peer.contract.owed[: len(sent)]

    @precondition(lambda self: self.peers)
    @rule(number=numbers, seconds=st.sampled_from([0, 0.25, 3]))
    def stop_reading(self, number: int, seconds: float) -> None:
        self._pick(number).transport.ask_for_a_pause()
        self._advance(seconds)

    @rule(seconds=st.sampled_from([0.125, 0.25, 0.5, 1, 2, 5]), sender=st.none() | numbers, piece=pieces)
    def advance(self, seconds: float, sender: int | None, piece: bytes) -> None:
        self._advance(seconds, self._pick(sender) if sender is not None and self.peers else None, piece)

    def _advance(self, seconds: float, sender: Peer | None = None, piece: bytes = b"") -> None:
        """Let time pass; ``sender`` goes on sending ``piece`` meanwhile."""
        for _ in range(round(seconds / STEP)):
            if self.stopped_at is None and self.stops_at is not None and self.clock.seconds() >= self.stops_at:
                self.stopped_at = self.clock.seconds()
                self.stopped = Drain(self.factory, DRAIN_TIMEOUT).run([])
            if sender in self.peers:
                sender.send(piece)
                sender.read(READ)
            were_paused = [peer.transport.has_paused_its_producer for peer in self.peers]
            self.clock.advance(STEP)
            for peer, was_paused in zip(self.peers[:], were_paused, strict=True):
                peer.time_passed(self.stopped_at, was_paused=was_paused)
                if peer.transport.disconnected:
                    self._lose(peer)
            self.every_peer_gets_what_it_is_owed()

    def _lose(self, peer: Peer) -> None:
        self.peers.remove(peer)
        peer.protocol.connectionLost(Failure(ConnectionLost()))
        assert peer.protocol not in self.factory.guests

    @invariant()
    def every_peer_gets_what_it_is_owed(self) -> None:
        for peer in self.peers:
            peer.check()

    @invariant()
    def no_timer_outlives_its_connection(self) -> None:
        of_the_stop = 0 if self.stopped_at is None else 3
        assert len(self.clock.getDelayedCalls()) <= 2 * len(self.peers) + of_the_stop

    def teardown(self) -> None:
        self._kernel.stop()
        while self.peers:
            self._lose(self.peers[-1])
        assert self.stopped_at is None or self.stopped.called, "nobody is there, and the stop has not ended"
        assert self.clock.getDelayedCalls() == []


class StatefulTests(SynchronousTestCase):
    def test_the_contract_holds_whatever_happens_in_any_order(self) -> None:
        run_state_machine_as_test(
            ServerMachine,
            settings=settings(deadline=None, derandomize=True, max_examples=400, stateful_step_count=40),
        )


class FoundTests(SynchronousTestCase):
    """What the machine has found once, in the fewest steps."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = WordEchoFactory(self.clock, max_length=MAX_LENGTH, idle_timeout=6, quiet_period=2)
        self.transport = Transport(room=0)
        self.protocol = self.factory.buildProtocol(self.transport.getPeer())
        self.protocol.makeConnection(self.transport)

    def test_a_goodbye_that_fills_the_transport_does_not_stop_the_reading(self) -> None:
        self.clock.advance(6)
        self.assertTrue(self.transport.has_ended_sending)
        self.assertEqual(self.transport.producerState, "producing")

    def test_the_quiet_period_ends_no_message_of_a_peer_that_does_not_read(self) -> None:
        self.protocol.dataReceived(b"one")
        self.transport.ask_for_a_pause()
        self.clock.advance(5)
        self.assertEqual(self.transport.flush(), b"")
        self.protocol.dataReceived(b" two\n")
        self.assertEqual(self.transport.flush(), python_engine.answer(b"one two") + b"\n")

    def test_the_quiet_period_does_not_part_a_message_that_waits_to_be_cut(self) -> None:
        self.protocol.dataReceived(b"x" * 8192)
        self.assertTrue(self.protocol.held)
        self.clock.advance(2)
        received = self.transport.flush() + self.transport.flush()
        self.assertEqual(received, wire.encode(wire.too_long(MAX_LENGTH)) + b"\n")

    def test_the_quiet_period_begins_when_the_peer_has_caught_up(self) -> None:
        self.transport.ask_for_a_pause()
        self.protocol.dataReceived(b"one")
        self.clock.advance(3)
        self.transport.flush()
        self.clock.advance(2)
        self.assertEqual(self.transport.flush(), python_engine.answer(b"one", terminated=False) + b"\n")

    def test_what_ends_while_the_server_stops_is_left_once(self) -> None:
        Drain(self.factory, DRAIN_TIMEOUT).run([])
        self.protocol.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.clock.advance(0.25)
